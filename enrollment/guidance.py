"""What to say to somebody in front of a camera, from one small picture: the light, the place, the turn.

The browser draws the video into a square of SIDE pixels and sends its bytes, no picture file: there is
nothing to decode. Only the face detector looks at it, and nothing of it is kept.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor import log as logs
from monitor.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.ml.interfaces import FaceDetector
    from monitor.settings import Settings
    from monitor.values import DetectedFace

SIDE: Final = 160
"""Pixels of a side. A face that fills the oval has some 90, CenterFace finds 20, and one look takes 10 ms."""

BYTES: Final = SIDE * SIDE * 3
"""Rows from the top, pixels from the left, red, green, blue: exactly so many bytes."""

NEAR, FAR = 0.80, 0.30
"""Height of the face in sides of the picture, beyond which it is too close or too far. At 0.30 a camera of
480 lines still gives 144 pixels, more than a recogniser takes."""

ASIDE, ABOVE = 0.16, 0.2
"""How far the middle of the face may be from the picture's, across and up or down, in sides."""

TURNED, NODDED = 22.0, 20.0
"""Degrees that the head may be turned or nod. Geometry from five points is rough to some 15, and a sample is
taken up to 50 (see faults.py): this is for the best picture, not for the last one that can be used."""

DARK, BRIGHT = 45.0, 215.0
"""Mean grey level of the face, 0..255, beyond which light is asked for. No picture of LFW lies below 46."""

COMPANY: Final = 0.5
"""Height of a second face, in heights of the first one, from which it is not just somebody passing behind."""

GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue (ITU-R BT.601)."""

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Guidance:
    """What to do now. `ok`: nothing; the picture can be taken."""

    code: str
    sentence: str
    ok: bool = False


GOOD = Guidance("good", "Good. Hold still.", ok=True)

SENTENCES: Final[dict[str, Guidance]] = {
    one.code: one
    for one in (
        GOOD,
        Guidance("no_face", "Bring your face into the oval."),
        Guidance("two_faces", "There is another face in the picture. Please be alone in it."),
        Guidance("too_dark", "Too dark. Turn towards a window or a lamp."),
        Guidance("too_bright", "Too bright. Turn away from the light."),
        Guidance("too_far", "Come a little closer."),
        Guidance("too_close", "Move back a little."),
        Guidance("move_left", "Move a little to your left."),
        Guidance("move_right", "Move a little to your right."),
        Guidance("move_up", "Move up a little, or tilt the camera up."),
        Guidance("move_down", "Move down a little, or tilt the camera down."),
        Guidance("turn_left", "Turn your head a little to your left."),
        Guidance("turn_right", "Turn your head a little to your right."),
        Guidance("look_up", "Raise your chin a little."),
        Guidance("look_down", "Lower your chin a little."),
        Guidance("hold_still", "Hold still."),
    )
}
"""By code. Left and right are the person's own: the picture is not mirrored, their left is on its right."""


def guide(picture: NDArray[np.uint8], detector: FaceDetector) -> Guidance:
    """Say what to do now. `picture` is (SIDE, SIDE, 3) uint8 RGB, as the camera sees it: not mirrored."""
    found = sorted(detector.detect(picture), key=lambda face: -face.box.height)
    if not found:
        level = float((picture.astype(np.float32) @ GREY).mean())
        return SENTENCES["too_dark" if level < DARK else "no_face"]
    if len(found) > 1 and found[1].box.height >= COMPANY * found[0].box.height:
        return SENTENCES["two_faces"]
    face = found[0]
    code = _place(face) or _light(picture, face) or _turn(face)
    return SENTENCES[code] if code else GOOD


def _place(face: DetectedFace) -> str:
    height = face.box.height / SIDE
    if height < FAR:
        return "too_far"
    if height > NEAR:
        return "too_close"
    across = (face.box.x0 + face.box.x1) / 2 / SIDE - 0.5
    if abs(across) > ASIDE:
        return "move_left" if across < 0 else "move_right"
    down = (face.box.y0 + face.box.y1) / 2 / SIDE - 0.5
    if abs(down) > ABOVE:
        return "move_up" if down > 0 else "move_down"
    return ""


def _light(picture: NDArray[np.uint8], face: DetectedFace) -> str:
    left, top = max(0, int(face.box.x0)), max(0, int(face.box.y0))
    inside = picture[top : int(face.box.y1) + 1, left : int(face.box.x1) + 1]
    level = float((inside.astype(np.float32) @ GREY).mean())
    return "too_dark" if level < DARK else "too_bright" if level > BRIGHT else ""


def _turn(face: DetectedFace) -> str:
    from monitor.stages.quality import pose  # noqa: PLC0415 - OpenCV, which most of the web process never needs

    yaw, pitch, _ = pose(face.landmarks)
    if abs(yaw) > TURNED:
        return "turn_right" if yaw > 0 else "turn_left"
    if abs(pitch) > NODDED:
        return "look_down" if pitch > 0 else "look_up"
    return ""


class Guide:
    """Holds the detector: loaded at the first use, once, on one thread of the CPU; safe for threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._detector: FaceDetector | None = None
        self._tried = False

    def say(self, raw: bytes) -> Guidance | None:
        """Say what to do now, from BYTES of a picture; None where there is no detector.

        Raises ValueError where there are more or fewer bytes.
        """
        picture = np.frombuffer(raw, np.uint8).reshape(SIDE, SIDE, 3)
        detector = self._loaded()
        return None if detector is None else guide(picture, detector)

    def _loaded(self) -> FaceDetector | None:
        with self._lock:
            if not self._tried:
                self._tried = True
                try:
                    self._detector = load_detector(self._settings)
                except ModelError as exc:
                    log.warning("no_guidance", error=exc.code, hint=exc.hint)
            return self._detector


def load_detector(settings: Settings) -> FaceDetector:
    """Load CenterFace alone, whatever pack is in force. Raises WeightsMissing, WeightsDiffer."""
    import cv2  # noqa: PLC0415 - a web process that guides nobody loads none of this

    from monitor.ml.centerface import CenterFace  # noqa: PLC0415
    from monitor.ml.lock import read_lock  # noqa: PLC0415
    from monitor.ml.sessions import open_session  # noqa: PLC0415
    from monitor.ml.weights import path_of  # noqa: PLC0415
    from monitor.values import model_id  # noqa: PLC0415

    cv2.setNumThreads(1)
    digest = read_lock().named("centerface.onnx").sha256
    session = open_session(path_of(settings.models_dir, "centerface-any-size.onnx"), "cpu")
    return CenterFace(model_id("centerface", digest, "rgb-two-looks-voted"), session)
