"""Turns a clip the right way up, and scales a selfie down to what the detectors were trained for.

A phone held sideways notes in the file which way is up, and the decoder obeys. Where the note was lost, as
messengers and scanners do, a face on its side or head is found with its points in the wrong places: so all
four ways are looked at, and the one in which a face is surest is taken.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from monitor.ml.align import awry
from monitor.stages.quality import pose
from monitor.values import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitor.ml.interfaces import FaceDetector
    from monitor.stages.detect import Shows
    from monitor.values import ClipInfo, CouldNotLook, DetectedFace, Sound

LOOK_PX = 512
"""Longest side of the picture in which the right way is looked for: a face of 5 % has 25 px there."""

COARSE_PX = 256
"""A second size, for selfies: at LOOK_PX a face that fills the picture is larger than those that the
detectors were trained on. What both sizes show is surer than what one does."""

LARGEST_PX = 288
"""Height to which the largest face is scaled down: YuNet is trained for faces up to about 300 px, and a
recogniser takes 112."""

LEANING = 50.0
"""Degrees of lean up to which a face counts as upright. A quarter turn is 90."""

MOST_AWRY = 7.0
"""Pixels (root mean square, on a face of 112) by which the five points may miss where a face has them. Those
of upright faces miss by less than 5.7 in 99 %, those found on faces that lie by 8.6 in the median (16 people
of LFW at seven sizes, CenterFace). Each way is right then for all of them, and without this for 88 %."""

SURER = 0.02
"""How much surer the detector must be of another way than of the one in which the picture came."""


class Upright:
    """A clip (see detect.Shows) turned and scaled as the first face in it asks for.

    `turned` is the number of quarter turns against the clock that were made, final when the frames were read.
    """

    def __init__(self, clip: Shows, detector: FaceDetector) -> None:
        """Read from `clip`; the detector says where faces are."""
        self.turned = 0
        self._clip = clip
        self._detector = detector
        self._scale = 1.0

    @property
    def info(self) -> ClipInfo:
        """Kind and size, after turning and scaling."""
        info = self._clip.info
        width, height = (max(1, round(side * self._scale)) for side in (info.width, info.height))
        if self.turned % 2:
            width, height = height, width
        return replace(info, width=width, height=height)

    @property
    def not_looked(self) -> tuple[CouldNotLook, ...]:
        """What the decoder left out; final when all was read."""
        return self._clip.not_looked

    def sound(self) -> Sound | None:
        """Give the whole sound."""
        return self._clip.sound()

    def frames(self) -> Iterator[Frame]:
        """Give the frames once, in order of time, the right way up."""
        known = False
        for frame in self._clip.frames():
            if not known:
                known = self._find_out(frame.rgb)
            yield Frame(frame.index, frame.at_s, scaled(np.rot90(frame.rgb, self.turned), self._scale))

    def _find_out(self, rgb: NDArray[np.uint8]) -> bool:
        """Learn from one (h, w, 3) picture which way is up; False when it shows no face."""
        found = which_way(rgb, self._detector)
        if found is None:
            return False
        self.turned, height = found
        self._scale = min(1.0, LARGEST_PX / height)
        return True


def which_way(rgb: NDArray[np.uint8], detector: FaceDetector) -> tuple[int, float] | None:
    """Find the number of quarter turns against the clock that set a (h, w, 3) picture upright.

    Gives it with the height in pixels of the largest upright face then, or None when no way shows a face.
    """
    ways = [_surest(np.rot90(rgb, turn), detector) for turn in range(4)]
    best = max(range(4), key=lambda turn: ways[turn][0] + (SURER if turn == 0 else 0.0))
    sure, height = ways[best]
    return (best, height) if sure > 0.0 else None


def _surest(rgb: NDArray[np.uint8], detector: FaceDetector) -> tuple[float, float]:
    """Give the score of an upright, large face, mean over both sizes, and the largest height; 0 for none."""
    scores, heights = [], [0.0]
    for side in (LOOK_PX, COARSE_PX):
        scale = min(1.0, side / max(rgb.shape[:2]))
        large = _large(detector.detect(scaled(rgb, scale)))
        scores.append(max((face.score for face in large), default=0.0))
        heights += [face.box.height / scale for face in large]
    return sum(scores) / len(scores), max(heights)


def _large(faces: tuple[DetectedFace, ...]) -> list[DetectedFace]:
    """Those who stand upright, without the ones in the background."""
    upright = [face for face in faces if abs(pose(face.landmarks)[2]) <= LEANING]
    upright = [face for face in upright if awry(face.landmarks) <= MOST_AWRY]
    tallest = max((face.box.height for face in upright), default=0.0)
    return [face for face in upright if face.box.height >= tallest / 2]


def scaled(rgb: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Scale a (h, w, 3) picture down, without the false patterns that leaving out pixels makes."""
    whole = np.ascontiguousarray(rgb)
    if scale >= 1.0:
        return whole
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)
