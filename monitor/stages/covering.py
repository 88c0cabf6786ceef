"""Whether the lower half of a face is covered: the recogniser itself is shown the face with the mouth blank.

Blank the mouth of an open face and its vector moves far; blank a mouth that lay under a mask and little
changes, whatever the mask's colour. So no list of colours of skin or cloth is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOUTH: Final = np.s_[76:112]
"""Rows of an aligned face, from below the nose to the chin."""

MOUTH_HIDDEN: Final = 0.865
"""Cosine of a face to itself without the mouth from which the mouth counts as hidden. Drawn masks (blue,
white, black, skin-coloured; 30 people each): median 0.91 to 0.94 with fr_feature, 0.96 with EdgeFace; of 250
faces of LFW as they are 1 % lies above 0.86, some with a microphone before the mouth. By `likeness
bench faces` EdgeFace calls 649 of 650 covered faces covered (one was not found), and 0.7 % of 300 open ones;
fr_feature some 89 % of 120, and 2 % of as many open ones."""


def blanked(aligned: NDArray[np.uint8], rows: Any) -> NDArray[np.uint8]:  # noqa: ANN401 - what np.s_ gives
    """Paint rows of an aligned (112, 112, 3) uint8 face with its mean colour; gives a copy."""
    blank = aligned.copy()
    blank[rows] = aligned.reshape(-1, 3).mean(axis=0)
    return blank


def is_mouth_hidden(whole: NDArray[np.float32], mouthless: NDArray[np.float32]) -> bool:
    """Say whether the mouth seems hidden, by the vectors (d,) of a face and of the same blanked there."""
    return float(np.vecdot(whole, mouthless)) > MOUTH_HIDDEN
