"""How well voices are told apart: by seconds of speech, telephone, codec and noise, and in mixed recordings.

A probe is cut from the speech that the service hears in a recording under one condition; it is compared with
people who were enrolled from other, clean recordings. So degraded sound meets clean enrolment, as in the
service.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.calibrating import seen_before, voice_figures
from monitor.bench.frame import Figure, Result
from monitor.bench.people import in_threads
from monitor.bench.sampling import sample_voices
from monitor.bench.statistics import rate_by_person
from monitor.bench.voices_conditions import CONDITIONS, POOLED
from monitor.bench.voices_data import read_speakers
from monitor.bench.voices_enrolled import enrolments, known_voices, probes_of, unfair_pairs
from monitor.bench.voices_mixes import look_at_mixes, mix_figures, plans, split
from monitor.bench.voices_reading import LENGTHS, Reader, lenders
from monitor.bench.voices_tables import tables
from monitor.bench.voices_trials import all_trials, eer_figure, pooled
from monitor.bench.voices_watch import Watch
from monitor.errors import ConfigError
from monitor.ml.calibrating import LEAST_PEOPLE
from monitor.ml.packs import load_pack
from monitor.stages.decode import Decoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.bench.frame import Request
    from monitor.bench.voices_data import Recording
    from monitor.bench.voices_reading import Read
    from monitor.bench.voices_trials import Trials
    from monitor.ml.interfaces import Pack, VoiceModels

CHUNK: Final = 2
"""Recordings that one thread takes at a time."""

SHORTEST: Final = min(LENGTHS)
"""Seconds of the shortest probe: the hardest, so the one that impostors are counted on."""


def run(request: Request) -> Result:
    """Read every recording in every condition, compare all with all, then look at mixed recordings."""
    if request.plots:
        from monitor.bench.plots import ready  # noqa: PLC0415 - matplotlib is an extra

        ready()
    recordings = read_speakers(request.data, request.limit, request.seed)
    pack = load_pack(request.settings)
    if pack.voices is None:
        msg = f"the pack {pack.name} reads no voices"
        raise ValueError(msg)
    reads = _read(recordings, pack.voices, request)
    made = _trials(recordings, reads)
    trials = {name: by_seconds for name in POOLED if (by_seconds := _of(name, made))}
    figures = {
        **_counts(recordings, reads),
        **_errors(trials, pack.voices, request),
        **_impostors(trials, made, pack.voices),
        **_calibration(pack.voices, request),
        **_mixes(recordings, reads, pack, request),
    }
    ids = (pack.voices.detector.model_id, pack.voices.recogniser.model_id)
    result = Result.today("voices", figures, request, pack.provider, ids)
    plots = _plots(trials, pack.voices, result) if request.plots else {}
    return replace(result, table=tables(figures), plots=plots)


def _read(recordings: Sequence[Recording], models: VoiceModels, request: Request) -> list[Read]:
    reader = Reader(models, lenders(recordings, models.detector), request.seed)
    return in_threads(reader.read, list(enumerate(recordings)), request, CHUNK, "read in every condition")


def _trials(recordings: Sequence[Recording], reads: Sequence[Read]) -> dict[tuple[str, int], Trials]:
    """Score everything, by condition and seconds; conditions that could not be made are missing."""
    enrolled = enrolments(recordings, reads)
    trials = {}
    for condition in CONDITIONS:
        for seconds in LENGTHS:
            probes = probes_of(recordings, reads, condition, seconds)
            if len(probes.vectors):
                babble = condition.startswith("babble")
                unfair = unfair_pairs(probes, enrolled, reads) if babble else None
                trials[condition, seconds] = all_trials(probes, enrolled, unfair)
    return trials


def _counts(recordings: Sequence[Recording], reads: Sequence[Read]) -> dict[str, Figure]:
    """Count speakers and recordings; say how much of the speech each condition leaves to be heard."""
    several = np.bincount([one.speaker for one in recordings])
    clean = sum(read.speech_s["clean"] for read in reads)
    figures = {
        "voices.recordings": Figure.exact(len(recordings), "count"),
        "voices.speakers": Figure.exact(int((several > 0).sum()), "count"),
        "voices.speakers_with_several": Figure.exact(int((several > 1).sum()), "count"),
    }
    for name in CONDITIONS:
        heard = sum(read.speech_s.get(name, 0.0) for read in reads)
        share = heard / max(clean, 1e-9)
        figures[f"voices.speech_heard_{name}"] = Figure.exact(share, "of the clean speech", len(reads))
    return figures


def _of(name: str, made: Mapping[tuple[str, int], Trials]) -> dict[int, Trials]:
    """Pool the trials that count under this name, by seconds, where there are genuine and impostor ones."""
    found = {}
    for seconds in LENGTHS:
        parts = [made[part, seconds] for part in POOLED[name] if (part, seconds) in made]
        one = pooled(parts) if parts else None
        if one is not None and len(one.genuine) and len(one.impostor):
            found[seconds] = one
    return found


def _errors(
    trials: Mapping[str, Mapping[int, Trials]], models: VoiceModels, request: Request
) -> dict[str, Figure]:
    """Give the equal error rate, and the share of genuine trials that the pack's thresholds let through."""
    figures: dict[str, Figure] = {}
    for done, (name, by_seconds) in enumerate(trials.items(), start=1):
        for seconds, one in by_seconds.items():
            figures[f"voices.eer_{seconds}s_{name}"] = eer_figure(one, request.seed)
            for band, cosine in (("alert", models.thresholds.alert), ("review", models.thresholds.review)):
                rate = _accepted(one, cosine, request.seed)
                figures[f"voices.tar_at_{band}_{seconds}s_{name}"] = rate
        request.progress("count errors", done, len(trials))
    return figures


def _accepted(trials: Trials, threshold: float, seed: int) -> Figure:
    _, rows = np.unique(trials.of, return_inverse=True)
    hits = np.bincount(rows[trials.genuine >= threshold], minlength=rows.max() + 1)
    rate = rate_by_person(hits, np.bincount(rows), seed)
    return Figure(*rate, len(trials.genuine), "share of genuine trials")


def _impostors(
    trials: Mapping[str, Mapping[int, Trials]],
    made: Mapping[tuple[str, int], Trials],
    models: VoiceModels,
) -> dict[str, Figure]:
    """Count the impostor trials of the shortest probes that reach the alert threshold; n is all of them."""
    figures = {
        f"voices.impostors_above_alert_{name}": _above(by_seconds[SHORTEST].impostor, models)
        for name, by_seconds in trials.items()
        if SHORTEST in by_seconds
    }
    of_shortest = [one.impostor for (_, seconds), one in made.items() if seconds == SHORTEST]
    together = np.concatenate([np.empty(0, np.float32), *of_shortest])
    highest = Figure.exact(float(together.max(initial=-1.0)), "cosine", len(together))
    return {
        **figures,
        "voices.impostors_above_alert": _above(together, models),
        "voices.highest_impostor": highest,
    }


def _above(scores: NDArray[np.float32], models: VoiceModels) -> Figure:
    return Figure.exact(int((scores >= models.thresholds.alert).sum()), "impostor trials", len(scores))


def _calibration(models: VoiceModels, request: Request) -> dict[str, Figure]:
    """Say whether probabilities come true; nothing where there are too few speakers to say."""
    own = replace(request, voices=request.data)
    try:
        samples = sample_voices(own, models)
        if len(np.unique(samples.persons)) < LEAST_PEOPLE:
            return {}
        same = seen_before(samples.files, models.calibration)
        found = voice_figures(samples, models.calibration, same=same, seed=request.seed)
    except ConfigError:
        return {}
    return {name: figure for name, figure in found.items() if name.startswith("calibration.")}


def _mixes(
    recordings: Sequence[Recording], reads: Sequence[Read], pack: Pack, request: Request
) -> dict[str, Figure]:
    """Look at mixed recordings with the real stages; nothing without a speaker of several recordings."""
    enrols, heard = split(recordings)
    known = known_voices(recordings, reads, enrols)
    wanted = plans([speaker for speaker in known if speaker in heard], heard, request.seed)
    if pack.voices is None or not wanted:
        return {}
    with Decoder.of(request.settings) as decoder:
        watch = Watch.of(pack, pack.voices, decoder, known)
        seen = look_at_mixes(recordings, wanted, heard, watch, request)
    return mix_figures(seen, request.seed)


def _plots(
    trials: Mapping[str, Mapping[int, Trials]], models: VoiceModels, result: Result
) -> dict[str, bytes]:
    from monitor.bench.voices_curves import curves  # noqa: PLC0415 - matplotlib is an extra

    files: dict[str, bytes] = {}
    for seconds in LENGTHS:
        some = {name: by_seconds[seconds] for name, by_seconds in trials.items() if seconds in by_seconds}
        files |= curves(some, models.thresholds, seconds, f"{result.data_set}, pack {result.pack}")
    return files
