"""Which of the faces in a picture is the subject's: the one that nobody could take another for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.errors import SeveralFaces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.values import FaceTrack

BACKGROUND = 0.5
"""A face whose side is less than this part of the largest one's stands in the background: in a portrait
nobody takes it for the subject."""

CLEARLY = 0.8
"""A whole face below this part of the height of the one in the middle stands clearly behind it."""

EDGE = 0.01
"""A face that comes this near to the edge, in parts of the picture's side, is cut off: people do not frame
the one they photograph like that."""


def subject_of(tracks: Sequence[FaceTrack], size: tuple[int, int] | None) -> tuple[FaceTrack, int]:
    """Pick the one face that is the subject's, and count the others that were passed over.

    `size` is width and height of a picture; None for a clip, in which people move. A face far larger than all
    others is the subject's; else the one in the middle of the picture, whole and clearly larger than every
    other whole one. Raises SeveralFaces when neither can be said.
    """
    largest = max(map(_height, tracks))
    beside = [track for track in tracks if _height(track) >= BACKGROUND * largest]
    subject = beside[0] if len(beside) == 1 else _in_the_middle(beside, size) if size else None
    if subject is None:
        msg = f"{len(beside)} faces of like size: nobody could say which one is the subject"
        raise SeveralFaces(msg, hint="Cut the picture so that the subject is alone in it.")
    return subject, len(tracks) - 1


def passed_over(count: int) -> tuple[str, ...]:
    """Say how many other faces there were, in a sentence, or nothing."""
    if not count:
        return ()
    faces = "1 other face was" if count == 1 else f"{count} other faces were"
    return (f"{faces} passed over: behind, or cut off by the edge. Check that the one meant is in front.",)


def _in_the_middle(tracks: Sequence[FaceTrack], size: tuple[int, int]) -> FaceTrack | None:
    """Give the whole face over the picture's centre when nobody could take another for the subject."""
    whole = [track for track in tracks if not _cut_off(track, size)]
    middle = [track for track in whole if _covers_the_centre(track, size)]
    if len(middle) != 1:
        return None
    height = _height(middle[0])
    rivals = (
        _height(t) > (CLEARLY if any(t is w for w in whole) else 1 / CLEARLY) * height
        for t in tracks
        if t is not middle[0]
    )
    return None if any(rivals) else middle[0]


def _cut_off(track: FaceTrack, size: tuple[int, int]) -> bool:
    box, (width, height) = track.samples[0].box, size
    edge_x, edge_y = EDGE * width, EDGE * height
    return box.x0 < edge_x or box.y0 < edge_y or box.x1 > width - edge_x or box.y1 > height - edge_y


def _covers_the_centre(track: FaceTrack, size: tuple[int, int]) -> bool:
    box = track.samples[0].box
    return box.x0 < size[0] / 2 < box.x1 and box.y0 < size[1] / 2 < box.y1


def _height(track: FaceTrack) -> float:
    return max(sample.box.height for sample in track.samples)
