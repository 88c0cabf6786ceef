"""Reads the operator's own insightface pack (buffalo_l, antelopev2 and the like) from a folder.

The code of insightface is MIT; most of its model packs are for non-commercial research unless licensed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.errors import WeightsDiffer, WeightsMissing
from monitor.ml.archives import sha256_of
from monitor.ml.faces import ArcFace
from monitor.ml.interfaces import FaceModels, Thresholds
from monitor.ml.sessions import must_run_on, providers_of, session_options
from monitor.values import Box, DetectedFace, ModelId, model_id

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.ml.sessions import Device

DETECTION_SIZE: Final = (640, 640)
"""Pixels that a picture is fitted into before detection: what the published packs were measured at."""

MIN_SCORE: Final = 0.5
"""insightface's own default."""

THRESHOLDS: Final = Thresholds(
    alert=0.50,
    review=0.40,
    model_id=ModelId(""),
    data_set=(
        "not measured on this pack: set well above what its makers publish; run `likeness calibrate faces`"
    ),
)


@dataclass(frozen=True, slots=True)
class InsightFaceDetector:
    """A FaceDetector over the detection model of a FaceAnalysis; insightface guards it for threads itself."""

    model_id: ModelId
    model: Any

    def detect(self, image: NDArray[np.uint8]) -> tuple[DetectedFace, ...]:
        """Find the faces of one (h, w, 3) uint8 RGB picture, best score first."""
        boxes, points = self.model.detect(np.ascontiguousarray(image[..., ::-1]))
        if points is None:
            msg = "the detector of this insightface pack gives no landmarks, so no face can be aligned"
            raise WeightsDiffer(msg)
        faces = [
            DetectedFace(Box(*map(float, box[:4])), landmarks.astype(np.float32), float(box[4]))
            for box, landmarks in zip(boxes, points, strict=True)
        ]
        return tuple(sorted(faces, key=lambda face: -face.score))


def load_insightface(folder: Path, device: Device) -> FaceModels:
    """Load detector and recogniser of a pack; its other models stay on the disk.

    Raises WeightsMissing when the folder holds no such pack, WeightsDiffer when insightface refuses it or
    its recogniser takes another crop, DeviceMissing.
    """
    models = _analysis(folder, device).models
    if "recognition" not in models:
        msg = f"{folder} holds no recognition model that insightface knows"
        raise WeightsMissing(
            msg, hint="Set LIKENESS_INSIGHTFACE_DIR to the folder with the pack's *.onnx files."
        )
    detector, recogniser = models["detection"], models["recognition"]
    for model in (detector, recogniser):
        must_run_on(model.session, device)
    named = _id(folder, recogniser, "crop112-rgb")
    return FaceModels(
        InsightFaceDetector(_id(folder, detector, "640"), detector),
        ArcFace(named, _dimension(recogniser), recogniser, mirrored=False),
        replace(THRESHOLDS, model_id=named),
    )


def _analysis(folder: Path, device: Device) -> Any:  # noqa: ANN401 - insightface has no types
    if not any(folder.glob("*.onnx")):
        msg = f"{folder} holds no *.onnx files"
        raise WeightsMissing(msg, hint="Set LIKENESS_INSIGHTFACE_DIR to the folder of your insightface pack.")
    from insightface.app import FaceAnalysis  # noqa: PLC0415 - two seconds

    try:
        analysis = FaceAnalysis(
            name=str(folder),
            allowed_modules=["detection", "recognition"],
            providers=providers_of(device),
            sess_options=session_options(),
        )
    except (AssertionError, ValueError, RuntimeError) as exc:  # an assertion is how it says "no detector"
        msg = f"insightface could not load a detector and a recogniser from {folder}"
        raise WeightsDiffer(msg) from exc
    analysis.prepare(ctx_id=0, det_thresh=MIN_SCORE, det_size=DETECTION_SIZE)
    return analysis


def _id(folder: Path, model: Any, preprocessing: str) -> ModelId:  # noqa: ANN401 - insightface has no types
    from pathlib import Path  # noqa: PLC0415

    digest = sha256_of(Path(model.model_file))
    return model_id(f"{folder.name}-{model.taskname}", digest, preprocessing)


def _dimension(recogniser: Any) -> int:  # noqa: ANN401 - insightface has no types
    if tuple(recogniser.input_size) != (112, 112) or len(recogniser.output_shape) != 2:
        shapes = f"{recogniser.input_size} and gives {recogniser.output_shape}"
        msg = f"the recogniser takes {shapes}, not 112x112 and (n, d)"
        raise WeightsDiffer(msg)
    probe = recogniser.forward(np.zeros((1, 3, 112, 112), np.float32))
    return int(probe.shape[1])
