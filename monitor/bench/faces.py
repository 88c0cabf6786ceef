"""How well faces are told apart, on a folder of pictures with one folder per person (as in LFW)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from monitor.bench.frame import Figure, Result
from monitor.bench.people import Labelled, in_threads, read_people
from monitor.bench.statistics import wilson
from monitor.bench.verification import Embedded, all_pairs, open_set_one, tar_at_far
from monitor.ml.align import align
from monitor.ml.packs import load_pack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from monitor.bench.frame import Request
    from monitor.ml.interfaces import FaceModels
    from monitor.values import DetectedFace

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png"})

FARS: Final = ("1e-3", "1e-4", "1e-5")
"""False accept rates that are reported, as they are named in the figures."""

FPIR: Final = 0.01

CHUNK: Final = 32
"""Pictures that one thread takes at a time."""


def run(request: Request) -> Result:
    """Find, align and embed the face in the middle of every picture, then compare all with all."""
    files = read_people(request.data, SUFFIXES, request.limit)
    pack = load_pack(request.settings)
    if pack.faces is None:
        msg = f"the pack {pack.name} reads no faces"
        raise ValueError(msg)
    models = pack.faces
    rows = in_threads(lambda some: _embed(some, models), files, request, CHUNK)
    embedded = Embedded(np.stack(rows), np.array([file.person for file in files]))
    ids = (models.detector.model_id, models.recogniser.model_id)
    return Result.today("faces", _figures(embedded, request), request, pack.provider, ids)


def _figures(embedded: Embedded, request: Request) -> dict[str, Figure]:
    request.progress("compare", 0, 1)
    found = int(embedded.found.sum())
    value, low, high = wilson(found, len(embedded.found))
    figures = {"faces.found": Figure(value, low, high, len(embedded.found), "share of pictures")}
    pairs = all_pairs(embedded)
    for far in FARS:
        if float(far) * len(pairs.impostor) >= 1:
            accepted = tar_at_far(pairs, float(far), request.seed)
            figures[f"faces.tar_at_far_{far}"] = accepted.of_pairs
            figures[f"faces.tar_at_far_{far}_by_person"] = accepted.of_people
            figures[f"faces.threshold_at_far_{far}"] = accepted.threshold
    tpir, threshold = open_set_one(embedded, FPIR, request.seed)
    figures["faces.open_set_1_tpir_at_fpir_1pct"] = tpir
    figures["faces.open_set_1_threshold_at_fpir_1pct"] = threshold
    request.progress("compare", 1, 1)
    return figures


def _embed(files: Sequence[Labelled], models: FaceModels) -> Iterator[NDArray[np.float32]]:
    crops = [_crop(file, models) for file in files]
    vectors = iter(
        models.recogniser.embed(np.stack([crop for crop in crops if crop is not None] or [_EMPTY]))
    )
    for crop in crops:
        yield np.full(models.recogniser.dimension, np.nan, np.float32) if crop is None else next(vectors)


_EMPTY: Final = np.zeros((112, 112, 3), np.uint8)


def _crop(file: Labelled, models: FaceModels) -> NDArray[np.uint8] | None:
    with Image.open(file.path) as picture:
        image = np.asarray(picture.convert("RGB"))
    faces = models.detector.detect(image)
    if not faces:
        return None
    middle = np.array([image.shape[1], image.shape[0]]) / 2
    return align(image, min(faces, key=lambda face: _distance(face, middle)).landmarks)


def _distance(face: DetectedFace, place: NDArray[np.float64]) -> float:
    centre = np.array([face.box.x0 + face.box.x1, face.box.y0 + face.box.y1]) / 2
    return float(np.linalg.norm(centre - place))
