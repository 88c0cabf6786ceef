"""Whether what a calibration says comes true on other people: its probabilities and its false alerts.

Where the folder holds the very people that the pack's calibration was fitted on, they are split by person in
halves: one half is fitted on, the other counted, both ways round. On any other people the pack's own
calibration is used as it is. Every person and every pair of people counts once: monitor/ml/calibrating.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.frame import Figure, Result
from monitor.bench.people import read_people
from monitor.bench.sampling import PICTURES, Samples, digest_of_names, sample_faces, sample_voices
from monitor.bench.voices_data import read_speakers
from monitor.errors import ConfigError
from monitor.ml.calibrating import MIDDLES, STARTS, Measured, Scored, fit, score_people
from monitor.ml.packs import load_pack
from monitor.values import Modality

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.bench.frame import Request
    from monitor.ml.calibration import Calibration

PROBABILITY_BINS: Final = 15
"""Bins of equal width that probabilities are sorted into for the expected calibration error."""

FMRS: Final = ("1e-2", "1e-3", "3e-4", "1e-4", "3e-5", "1e-5", "3e-6", "1e-6")
"""False match rates that the dial is set to, as they are named in the figures."""

ENOUGH: Final = 50
"""Pairs of people that are promised where the headline figure of the dial is taken; fewer are luck."""

FEWEST: Final = 10
"""Pairs of people that are promised where any figure of the dial is given."""

SPLITS: Final = 5
"""How often people are split in halves: to fit on one of them, and for the bounds of every figure."""

UNNAMED: Final = Measured(Modality.FACE, "", "", "")
"""What a calibration says of itself that lives no longer than a bench."""

HALVES: Final = "people split in halves, one fitted on and the other counted, both ways"
AS_IT_IS: Final = "the pack's own calibration as it is, on people it never saw"


def run(request: Request) -> Result:
    """Measure faces in `request.data` and voices in `request.voices`, whichever is given."""
    if request.data is None and request.voices is None:
        msg = "no folder to measure on"
        raise ConfigError(msg, hint="Give pictures with --data, recordings with --voices, or both.")
    pack = load_pack(request.settings)
    figures: dict[str, Figure] = {}
    said, ids = [], []
    if request.data is not None and pack.faces is not None:
        faces = sample_faces(request, pack.faces)
        everybody = [file.path for file in read_people(request.data, PICTURES, 0)]
        same = seen_before(everybody, pack.faces.calibration)
        figures |= face_figures(
            faces.vectors, faces.persons, pack.faces.calibration, same=same, seed=request.seed
        )
        said.append(f"{request.data.resolve().name}: {HALVES if same else AS_IT_IS}")
        ids += [pack.faces.detector.model_id, pack.faces.recogniser.model_id]
    if request.voices is not None and pack.voices is not None:
        voices = sample_voices(request, pack.voices)
        everybody = [file.path for file in read_speakers(request.voices, 0, 0)]
        same = seen_before(everybody, pack.voices.calibration)
        figures |= voice_figures(voices, pack.voices.calibration, same=same, seed=request.seed)
        said.append(f"{request.voices.resolve().name}: {HALVES if same else AS_IT_IS}")
        ids += [pack.voices.detector.model_id, pack.voices.recogniser.model_id]
    result = Result.today("calibration", figures, request, pack.provider, tuple(ids))
    return replace(result, data_set="; ".join(said))


def seen_before(paths: Iterable[Path], calibration: Calibration | None) -> bool:
    """Say whether these very files were calibrated on, or nothing was: then people must be split.

    Give all files of a folder, known wrong labels left out, even where only some of them are measured.
    """
    return calibration is None or calibration.made_of == digest_of_names(paths)


def face_figures(
    vectors: NDArray[np.float32],
    persons: NDArray[np.int64],
    calibration: Calibration | None,
    *,
    same: bool,
    seed: int,
) -> dict[str, Figure]:
    """Give the figures of faces: `vectors` (n, d) of length 1, `persons` (n,) numbers; no row is missing.

    `same` says whether the calibration was fitted on these people, or there is none: `seen_before`.
    Raises ConfigError when there are too few people.
    """
    samples = Samples(vectors, np.unique(persons, return_inverse=True)[1], np.arange(len(vectors)), (), 0)
    return _measure(samples, None if same else calibration, "faces", seed)


def voice_figures(
    samples: Samples, calibration: Calibration | None, *, same: bool, seed: int
) -> dict[str, Figure]:
    """Give the figures of voices, as `face_figures` does."""
    return _measure(samples, None if same else calibration, "voices", seed)


@dataclass(frozen=True, slots=True)
class Trial:
    """A calibration, and the scores of people of whom it has seen none."""

    calibration: Calibration
    scored: Scored


def _measure(samples: Samples, calibration: Calibration | None, name: str, seed: int) -> dict[str, Figure]:
    """Give all figures of one modality. With no calibration, each half is tried with that of the other."""
    halves = [half for turn in range(SPLITS) for half in _halves(samples, seed + turn)]
    if calibration is None:
        fitted = [fit(half, UNNAMED) for half in halves]
        other = [place ^ 1 for place in range(len(halves))]
        trials = [Trial(fitted[place], halves[i]) for i, place in enumerate(other)]
        whole = trials
    else:
        trials = [Trial(calibration, half) for half in halves]
        whole = [Trial(calibration, score_people(samples.vectors, samples.persons, samples.sources))]
    budget = "budget" if name == "faces" else f"budget.{name}"
    return {f"calibration.ece_{name}": _error(whole, trials), **_dial(whole, trials, budget)}


def _halves(samples: Samples, seed: int) -> Iterator[Scored]:
    """Score each of two halves of the people by itself."""
    people = int(samples.persons.max(initial=-1)) + 1
    drawn = np.random.default_rng(seed).permutation(people) < people // 2
    for rows in (drawn[samples.persons], ~drawn[samples.persons]):
        persons = np.unique(samples.persons[rows], return_inverse=True)[1]
        yield score_people(samples.vectors[rows], persons, samples.sources[rows])


def _error(whole: Sequence[Trial], trials: Sequence[Trial]) -> Figure:
    """Mean over the whole; its bounds are the range over the halves."""
    spread = [expected_error(one) for one in trials]
    value = float(np.mean([expected_error(one) for one in whole]))
    people = round(sum(float(one.scored.genuine.sum()) for one in trials) / SPLITS)
    return Figure(
        value, min(value, *spread), max(value, *spread), people, "mean |probability - share|; range of halves"
    )


def expected_error(trial: Trial) -> float:
    """Expected calibration error: how far probabilities are from shares, 15 bins of equal width.

    Genuine and impostor pairs weigh one half each, people and pairs of people the same.
    """
    genuine = trial.scored.genuine / trial.scored.genuine.sum() / 2
    impostor = trial.scored.impostor / trial.scored.impostor.sum() / 2
    said = np.array([trial.calibration.probability(score) for score in MIDDLES])
    bins = np.minimum((said * PROBABILITY_BINS).astype(np.int64), PROBABILITY_BINS - 1)
    wrong = np.bincount(bins, genuine - (genuine + impostor) * said, PROBABILITY_BINS)
    return float(np.abs(wrong).sum())


def _dial(whole: Sequence[Trial], trials: Sequence[Trial], name: str) -> dict[str, Figure]:
    """Compare promised with counted false alerts, at every rate at which both can be told."""
    figures: dict[str, Figure] = {}
    for fmr in FMRS:
        promised, counted = _alerts(whole, float(fmr))
        if promised < FEWEST or counted <= 0:
            break
        value = promised / counted
        spread = [one / other for one, other in (_alerts([t], float(fmr)) for t in trials) if other > 0]
        figure = Figure(
            value,
            min(value, *spread),
            max(value, *spread),
            round(counted),
            f"times, at an FMR of {fmr}; range of halves",
        )
        figures[f"{name}.predicted_over_counted_at_fmr_{fmr}"] = figure
        if promised >= ENOUGH:
            figures[f"{name}.predicted_over_counted"] = figure
    return figures


def _alerts(trials: Sequence[Trial], fmr: float) -> tuple[float, float]:
    """Add up the false alerts that are promised at this rate and those that come, in pairs of people."""
    promised = counted = 0.0
    for one in trials:
        place = int(np.searchsorted(STARTS, one.calibration.score_at(fmr)))
        promised += one.calibration.fmr(float(STARTS[place])) * float(one.scored.impostor.sum())
        counted += float(one.scored.impostor[place:].sum())
    rounds = max(1, len(trials) // 2)
    return promised / rounds, counted / rounds
