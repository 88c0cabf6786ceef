"""Step 4: who appears in a clip: faces as tracks, speech as turns. Frames are looked at as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from monitor.stages.quality import FLOOR
from monitor.stages.straighten import straighten
from monitor.stages.tracking import Tracker, change, thumbnail
from monitor.stages.turns import turns
from monitor.values import Appearances, CouldNotLook, FaceTrack, MediaKind, SpeechTurn

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from monitor.ml.interfaces import FaceModels, Pack, VoiceModels
    from monitor.values import ClipInfo, Frame, Sound

MOST_TRACKS = 2000
"""Faces of one item: a stadium. More would let one file hold a worker for minutes."""

STILL = 4
"""Largest change of a cell of the thumbnail, in grey levels, at which a frame repeats the one before it."""


class Shows(Protocol):
    """What is needed of a decode.Clip."""

    @property
    def info(self) -> ClipInfo:
        """Kind and size."""

    @property
    def not_looked(self) -> tuple[CouldNotLook, ...]:
        """What the decoder left out; final when all was read."""

    def frames(self) -> Iterator[Frame]:
        """Give the frames once, in order of time."""

    def sound(self) -> Sound | None:
        """Give the whole sound."""


def detect(clip: Shows, pack: Pack) -> Appearances:
    """Find every face and every stretch of speech of a clip.

    Faces below the quality floor are left out: nobody could be recognised by them. What was not looked at for
    another reason is named in `not_looked`. Raises what the clip raises: Unreadable, DecoderKilled.
    """
    faces, no_faces = _faces(clip, pack.faces)
    spoken, no_speech = _speech(clip, pack.voices)
    return Appearances(faces, spoken, (*clip.not_looked, *no_faces, *no_speech))


def _faces(clip: Shows, models: FaceModels | None) -> tuple[tuple[FaceTrack, ...], tuple[CouldNotLook, ...]]:
    if clip.info.kind is MediaKind.AUDIO:
        return (), ()
    if models is None:
        return (), (CouldNotLook("faces", "no_model", "the model pack in use has no face models"),)
    tracker = Tracker(MOST_TRACKS)
    still = clip.info.kind is MediaKind.IMAGE
    for frame, moved in ((f, True) for f in clip.frames()) if still else _moving(clip.frames()):
        if moved:
            found = models.detector.detect(frame.rgb)
            tracker.add(frame, [straighten(frame.rgb, face, models.detector) for face in found])
        else:
            tracker.hold(frame.at_s)
    kept = tuple(t for t in tracker.finish() if max((s.quality for s in t.samples), default=0.0) >= FLOOR)
    if tracker.overflowed:
        reason = f"{tracker.overflowed} faces beyond the first {MOST_TRACKS}"
        return kept, (CouldNotLook("faces", "too_many_faces", reason),)
    return kept, ()


def _moving(frames: Iterator[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Say of each frame whether the picture moved; a slide show is looked at once a slide."""
    last: NDArray[np.uint8] | None = None
    for frame in frames:
        thumb = thumbnail(frame.rgb)
        moved = last is None or int(change(last, thumb).max()) > STILL
        if moved:
            last = thumb
        yield frame, moved


def _speech(
    clip: Shows, models: VoiceModels | None
) -> tuple[tuple[SpeechTurn, ...], tuple[CouldNotLook, ...]]:
    if not clip.info.has_sound:
        return (), ()
    if models is None:
        return (), (CouldNotLook("sound", "no_model", "the model pack in use has no voice models"),)
    sound = clip.sound()
    return ((), ()) if sound is None else turns(sound, models)
