"""Whether part of a sample's face is hidden: mouth (see monitor/stages/covering.py) or eyes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.stages.covering import MOUTH, MOUTH_HIDDEN, blanked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.ml.interfaces import FaceRecogniser

EYES = np.s_[38:64]
"""Rows of an aligned face."""

EYES_HIDDEN = 0.77
"""Cosine of a face to itself without the eyes from which they may be hidden, and only a hint: dark glasses
drawn on reach it half of the time, a bar over the eyes nine times in ten, 1 % of LFW (where some do wear
glasses) too."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """Whether mouth and eyes are hidden, with the cosines that say so, in [-1, 1]."""

    mouth_cosine: float
    eyes_cosine: float

    @property
    def mouth(self) -> bool:
        """Whether the lower half of the face seems to be covered."""
        return self.mouth_cosine > MOUTH_HIDDEN

    @property
    def eyes(self) -> bool:
        """Whether the eyes may be hidden: a hint, no verdict."""
        return self.eyes_cosine > EYES_HIDDEN


def hidden_parts(aligned: NDArray[np.uint8], recogniser: FaceRecogniser) -> Hidden:
    """Measure what of one aligned (112, 112, 3) uint8 RGB face is hidden."""
    whole, mouthless, eyeless = recogniser.embed(
        np.stack([aligned, blanked(aligned, MOUTH), blanked(aligned, EYES)])
    )
    return Hidden(float(whole @ mouthless), float(whole @ eyeless))
