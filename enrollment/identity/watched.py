"""What is kept of a challenge's pictures while it is judged: the one face, frame by frame, and the frames.

`watching.watch` makes a Watched; the checks beside it are pure functions of one. It lives in memory for one
judgement and is never stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from enrollment.identity.pose import Pose
    from monitor.values import Box

FRAMES_PER_SECOND = 12.0
"""Frames looked at in a second. Lips open and close some five times a second in speech, so fewer than ten
frames would miss it; more only cost time."""

LONGEST_S = 20.0
"""Seconds of a clip that are looked at; the challenge takes 8 to 15."""

FACE_PX, FACE_SHARE = 40.0, 0.6
"""A face that fills less than this many pixels, or is seen in less than this part of the frames, was not
watched well enough to judge."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One frame of the clip.

    `grey` is (h, w) uint8, the whole frame with its long side at 320 pixels. `faces` counts the faces at
    least half as high as the one that is watched, that one included; None where the frame was only searched
    around it.
    """

    at_s: float
    grey: NDArray[np.uint8]
    faces: int | None


@dataclass(frozen=True, slots=True)
class Seen:
    """The face in one frame.

    `landmarks` is (5, 2) float32 in pixels of the frame, in the order of values.DetectedFace; `chip` is
    (160, 160, 3) uint8 RGB (see ml.align.cut_chip). The rest is there for some frames only: `vector` (d,)
    float32 of length 1; `around` (128, 128, 3) uint8 RGB, the face with 2.7 sides of its surroundings;
    `close` (128, 128, 3) uint8 RGB, the middle of the face in the frame's own pixels.
    """

    frame: int
    at_s: float
    box: Box
    landmarks: NDArray[np.float32]
    score: float
    pose: Pose
    chip: NDArray[np.uint8]
    vector: NDArray[np.float32] | None = None
    around: NDArray[np.uint8] | None = None
    close: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """A clip that was watched to its end: its frames in order of time, and the one face in them."""

    sights: tuple[Sight, ...]
    seen: tuple[Seen, ...]

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return self.sights[-1].at_s - self.sights[0].at_s if self.sights else 0.0

    @property
    def share(self) -> float:
        """In which part of the frames the face was found."""
        return len(self.seen) / len(self.sights) if self.sights else 0.0

    @property
    def others(self) -> float:
        """In which part of the frames that were searched whole a second face was found."""
        counted = [sight.faces for sight in self.sights if sight.faces is not None]
        return sum(faces > 1 for faces in counted) / len(counted) if counted else 0.0

    @property
    def longest_gap_s(self) -> float:
        """Longest time in which the face was not found, beginning and end of the clip included."""
        if not self.seen:
            return self.seconds
        times = [self.sights[0].at_s, *(one.at_s for one in self.seen), self.sights[-1].at_s]
        return float(np.max(np.diff(times)))

    @property
    def times(self) -> NDArray[np.float64]:
        """(n,) seconds at which the face was seen."""
        return np.array([one.at_s for one in self.seen], np.float64)

    @property
    def embedded(self) -> tuple[Seen, ...]:
        """The frames whose face was turned into a vector."""
        return tuple(one for one in self.seen if one.vector is not None)
