"""What a comparison with an original comes to, in sentences for the person whose original it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.originals.comparing import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.originals.comparing import Comparison, Region
    from monitor.values import Box, Span

LIMITS: Final = (
    "It compares with what you gave us, and knows nothing of anything else. A change smaller than about "
    "a seventh of the side of the picture, or that compression hides, can be missed."
)

LOOK_FOR: Final = "Hold both pictures next to each other, and look at the outlined place."
LISTEN_FOR: Final = "Listen to both recordings at the seconds named here."

NOT_STEADY: Final = "It was cut, or plays at another speed than yours."

FRAME_ONLY: Final = 0.93
"""Share of the sighting that the original covers, below which we say that there is something around it."""


def picture(
    found: Comparison, faces: Sequence[Box], frame: tuple[int, int], *, turned: bool
) -> tuple[str, ...]:
    """Say what became of a picture. `frame` is the sighting's width and height; `faces` are its faces."""
    said = [changed(found.regions, faces, frame, "This picture")]
    said += more(found, turned=turned)
    return tuple(said)


def changed(regions: Sequence[Region], faces: Sequence[Box], frame: tuple[int, int], what: str) -> str:
    """Say whether, and where, a copy differs."""
    if not regions:
        return (
            f"{what} is a copy of one that you gave us; nothing in it was changed beyond size, light and "
            "compression, as far as we can see."
        )
    share = sum(one.share for one in regions)
    where = place(regions[0].box, faces, frame)
    verb = {
        Kind.ADDED: f"something was added {where}",
        Kind.GONE: f"something was taken away or blurred {where}",
        Kind.DIFFERENT: f"it is different {where}",
    }[regions[0].kind]
    places = "an area" if len(regions) == 1 else f"{len(regions)} areas, together"
    return f"{what} is a copy of one that you gave us, and {verb}: {places} of {percent(share)} of it."


def more(found: Comparison, *, turned: bool) -> list[str]:
    """Say what was done to the whole picture. None of it is a sign of a fake."""
    said = []
    if found.monochrome:
        said.append("It was made black and white.")
    if turned:
        said.append("It was mirrored.")
    if found.covered < FRAME_ONLY:
        said.append(
            f"Yours fills {percent(found.covered)} of it; what stands around it, such as a border or another "
            "picture, was not compared."
        )
    if found.shown < FRAME_ONLY:
        said.append(f"It shows {percent(found.shown)} of yours; the rest was cut off.")
    return said


def place(box: Box, faces: Sequence[Box], frame: tuple[int, int]) -> str:
    """Say where in a picture something is."""
    if any(touches(box, face) for face in faces):
        return "around the face"
    x, y = (box.x0 + box.x1) / 2 / frame[0], (box.y0 + box.y1) / 2 / frame[1]
    across = "on the left" if x < 0.33 else "on the right" if x > 0.67 else ""
    down = "at the top" if y < 0.33 else "at the bottom" if y > 0.67 else ""
    return " ".join(one for one in (down, across) if one) or "in the middle"


def touches(box: Box, face: Box) -> bool:
    """Say whether a place covers part of a face, or of the head around it: a tenth of the smaller."""
    grown = (
        face.x0 - 0.25 * face.width,
        face.y0 - 0.35 * face.height,
        face.x1 + 0.25 * face.width,
        face.y1 + 0.25 * face.height,
    )
    width = min(box.x1, grown[2]) - max(box.x0, grown[0])
    height = min(box.y1, grown[3]) - max(box.y0, grown[1])
    if width <= 0 or height <= 0:
        return False
    smaller = min(box.width * box.height, (grown[2] - grown[0]) * (grown[3] - grown[1]))
    return width * height > 0.1 * smaller


def percent(share: float) -> str:
    """Say a share: whole percent, and not nought for something."""
    return "less than 1 %" if share < 0.01 else f"{round(100 * share)} %"


def seconds(spans: Sequence[Span]) -> str:
    """List stretches of time."""
    listed = [
        f"at {one.start_s:.1f} s"
        if one.end_s - one.start_s < 0.1
        else f"from {one.start_s:.1f} to {one.end_s:.1f} s"
        for one in spans[:4]
    ]
    listed += [f"and {len(spans) - 4} times more"] if len(spans) > 4 else []
    return ", ".join(listed)
