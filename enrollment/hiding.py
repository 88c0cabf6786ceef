"""Whether part of a face is hidden: the recogniser itself is shown the face with that part blank.

Blank the mouth of an open face and its vector moves far; blank a mouth that lay under a mask and little
changes, whatever the mask's colour. So no list of colours of skin or cloth is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.ml.interfaces import FaceRecogniser

MOUTH, EYES = np.s_[76:112], np.s_[38:64]
"""Rows of an aligned face."""

MOUTH_HIDDEN = 0.865
"""Cosine of a face to itself without the mouth from which the mouth counts as hidden. Drawn masks (blue,
white, black, skin-coloured; 30 people each): median 0.91 to 0.94 with fr_feature, 0.96 with EdgeFace; of 250
faces of LFW as they are 1 % lies above 0.86, some with a microphone before the mouth."""

EYES_HIDDEN = 0.77
"""The same of the eyes, and only a hint: dark glasses drawn on reach it half of the time, a bar over the eyes
nine times in ten, 1 % of LFW (where some do wear glasses) too."""


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
        np.stack([aligned, _without(aligned, MOUTH), _without(aligned, EYES)])
    )
    return Hidden(float(whole @ mouthless), float(whole @ eyeless))


def _without(aligned: NDArray[np.uint8], rows: Any) -> NDArray[np.uint8]:  # noqa: ANN401 - what np.s_ gives
    blank = aligned.copy()
    blank[rows] = aligned.reshape(-1, 3).mean(axis=0)
    return blank
