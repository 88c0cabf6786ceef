"""The rough look of a picture in 64 bits, by which its copies are known. Runs inside the child."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imagehash
from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def perceptual_hash(rgb: NDArray[np.uint8]) -> str:
    """Hash the brightness gradients of a (h, w, 3) uint8 picture.

    Gives 16 hex digits; resizing and recompression change a few of the 64 bits.
    """
    return str(imagehash.dhash(Image.fromarray(rgb)))
