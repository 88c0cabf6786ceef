"""Small pictures that differ, made when asked for."""

from __future__ import annotations

import io

from PIL import Image


def picture(shade: int, kind: str = "PNG") -> bytes:
    """Make a picture; another shade gives other bytes."""
    held = io.BytesIO()
    Image.new("RGB", (24, 16), (shade % 256, 255 - shade % 256, shade // 256)).save(held, kind)
    return held.getvalue()


def gallery(count: int, first: int = 0) -> str:
    """Make a page that shows that many pictures, /0.png and so on."""
    return "".join(f'<img src="/{number}.png">' for number in range(first, first + count))
