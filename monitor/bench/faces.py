"""How well faces are told apart, on a folder of pictures with one folder per person (as in LFW)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.calibrating import face_figures, seen_before
from monitor.bench.faces_disturbed import disturbed, draw_trials
from monitor.bench.faces_seeing import see
from monitor.bench.faces_tables import tables
from monitor.bench.frame import Figure, Result
from monitor.bench.identification import DRAWS, drawn, identified
from monitor.bench.people import in_threads, read_people
from monitor.bench.sampling import PICTURES
from monitor.bench.statistics import wilson
from monitor.bench.verification import Embedded, capped, count_pairs, tar_at_far
from monitor.errors import ConfigError
from monitor.ml.packs import load_pack
from monitor.stages.quality import FLOOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.bench.faces_seeing import Seen
    from monitor.bench.frame import Request
    from monitor.bench.identification import Looks
    from monitor.bench.people import Labelled
    from monitor.bench.verification import CountedPairs
    from monitor.ml.interfaces import FaceModels

FARS: Final = ("1e-3", "1e-4", "1e-5")
"""False accept rates that are reported, as they are named in the figures."""

CONDITIONS_FAR: Final = 1e-4
"""The rate at whose threshold disturbed pictures are measured."""

MOST: Final = 10
"""Pictures of one person that count in the figures named `_capped`."""

FPIRS: Final = {"1pct": 0.01, "0.1pct": 0.001}
SAMPLES: Final = (1, 2, 3, 5)
SIZES: Final = {"_of_100": 100, "_of_1000": 1000, "": 0}
"""People in a gallery, as they are named in the figures; nothing: all who have enough pictures."""

CHUNK: Final = 32
"""Pictures that one thread takes at a time."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the curves are drawn from: pairs by the way they are counted, looks by samples enrolled."""

    pairs: CountedPairs
    of_capped: CountedPairs
    looks: dict[int, tuple[Looks, ...]]


def run(request: Request) -> Result:
    """Embed the face in the middle of every picture; compare all with all, enrol, and disturb the pictures.

    Raises ConfigError when the folder holds fewer than two people, or nobody with two pictures.
    """
    files = read_people(request.data, PICTURES, request.limit, errata=request.errata)
    pack = load_pack(request.settings)
    if pack.faces is None:
        msg = f"the pack {pack.name} reads no faces"
        raise ConfigError(msg, hint="Choose another with --pack; see `likeness models list`.")
    models = pack.faces
    if request.plots:
        from monitor.bench.plots import ready  # noqa: PLC0415 - matplotlib is an extra

        ready()
    seen = in_threads(lambda some: see(some, models), files, request, CHUNK, "find and embed")
    embedded = _embedded(files, seen)
    figures, measured = _compare(embedded, request)
    figures |= _disturb(files, seen, measured, models, request)
    figures |= _calibrated(embedded, files, models, request)
    ids = (models.detector.model_id, models.recogniser.model_id)
    result = Result.today("faces", figures, request, pack.provider, ids)
    plots = _plots(measured, models, result) if request.plots else {}
    return replace(result, table=tables([result]), plots=plots)


def _embedded(files: Sequence[Labelled], seen: Sequence[Seen]) -> Embedded:
    vectors = np.stack([one.vector for one in seen])
    rated = np.array([one.quality for one in seen], np.float32)
    return Embedded(vectors, np.array([file.person for file in files]), rated)


def _compare(embedded: Embedded, request: Request) -> tuple[dict[str, Figure], Measured]:
    steps = 2 + len(SAMPLES)
    request.progress("compare", 0, steps)
    pairs = count_pairs(embedded)
    if not len(pairs.genuine) or not pairs.impostors:
        msg = f"in {request.data} nobody has two pictures that could be compared"
        raise ConfigError(msg, hint="One folder per person, several pictures in some of them.")
    request.progress("compare", 1, steps)
    of_capped = count_pairs(capped(embedded, MOST, request.seed))
    request.progress("compare", 2, steps)
    looks = {}
    figures = _seen(embedded) | _verified(pairs, of_capped, request.seed)
    for done, samples in enumerate(SAMPLES, start=3):
        for name, size in SIZES.items():
            answers = drawn(embedded, samples, size, request.seed)
            figures |= _identified(f"faces.open_set_{samples}{name}", answers, request.seed)
            if not size:
                looks[samples] = answers
        request.progress("compare", done, steps)
    return figures, Measured(pairs, of_capped, looks)


def _seen(embedded: Embedded) -> dict[str, Figure]:
    count, found = len(embedded.found), int(embedded.found.sum())
    looked = int((embedded.qualities >= FLOOR).sum()) if embedded.qualities is not None else found
    return {
        "faces.found": Figure(*wilson(found, count), count, "share of pictures"),
        "faces.looked": Figure(*wilson(looked, count), count, "share of pictures"),
    }


def _verified(pairs: CountedPairs, of_capped: CountedPairs, seed: int) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for far in FARS:
        if float(far) * pairs.impostors >= 1:
            accepted = tar_at_far(pairs, float(far), seed)
            figures[f"faces.tar_at_far_{far}"] = accepted.of_pairs
            figures[f"faces.tar_at_far_{far}_by_person"] = accepted.of_people
            figures[f"faces.threshold_at_far_{far}"] = accepted.threshold
        if float(far) * of_capped.impostors >= 1:
            accepted = tar_at_far(of_capped, float(far), seed)
            figures[f"faces.tar_at_far_{far}_capped"] = accepted.of_pairs
            figures[f"faces.threshold_at_far_{far}_capped"] = accepted.threshold
    return figures


def _identified(name: str, looks: Sequence[Looks], seed: int) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for rate, fpir in FPIRS.items():
        if looks and len(looks[0].mated) and fpir * len(looks[0].strangers) >= 1:
            found = identified(looks, fpir, seed, DRAWS)
            figures[f"{name}_tpir_at_fpir_{rate}"] = found.tpir
            figures[f"{name}_tpir_at_fpir_{rate}_by_person"] = found.by_person
            figures[f"{name}_fnir_at_fpir_{rate}"] = found.fnir
            figures[f"{name}_threshold_at_fpir_{rate}"] = found.threshold
    return figures


def _disturb(
    files: Sequence[Labelled],
    seen: Sequence[Seen],
    measured: Measured,
    models: FaceModels,
    request: Request,
) -> dict[str, Figure]:
    """Measure the conditions; with too few pairs for the rate, at the pack's own threshold for a review."""
    pairs, own = measured.pairs, models.thresholds.review
    threshold = pairs.threshold_at(CONDITIONS_FAR) if CONDITIONS_FAR * pairs.impostors >= 1 else own
    figures = disturbed(draw_trials(files, seen, request.seed), threshold, models, request)
    return figures | {"faces.conditions_threshold": Figure.exact(threshold, "cosine", pairs.impostors)}


def _calibrated(
    embedded: Embedded, files: Sequence[Labelled], models: FaceModels, request: Request
) -> dict[str, Figure]:
    """Say whether the calibration comes true here.

    People whom it was fitted on are split, also if fewer are taken now or their labels are left as they came.
    """
    request.progress("calibration", 0, 1)
    everybody = read_people(request.data, PICTURES, 0)
    same = any(seen_before([f.path for f in some], models.calibration) for some in (files, everybody))
    rows = np.flatnonzero(embedded.found)
    vectors, persons = embedded.vectors[rows], embedded.persons[rows]
    try:
        figures = face_figures(vectors, persons, models.calibration, same=same, seed=request.seed)
    except ConfigError:
        figures = {}  # too few people to say
    request.progress("calibration", 1, 1)
    return figures


def _plots(measured: Measured, models: FaceModels, result: Result) -> dict[str, bytes]:
    from monitor.bench import faces_curves  # noqa: PLC0415 - matplotlib is an extra

    ways = {"of pairs": measured.pairs, f"{MOST} pictures a person": measured.of_capped}
    about = f"{result.data_set}, pack {result.pack}"
    return {
        **faces_curves.verification(ways, models.thresholds, about, f"faces-det-{result.pack}"),
        **faces_curves.identification(
            measured.looks, models.thresholds, about, f"faces-open-set-{result.pack}"
        ),
    }
