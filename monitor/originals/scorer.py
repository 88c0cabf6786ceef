"""The signal `known_original`: is this sighting a copy of something that its subject gave us, and changed?

Only the originals of the sighting's own subject are asked: what somebody registers says nothing about
sightings of anybody else. Originals are decoded like everything else, in the decoder's child process.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from monitor import log as logs
from monitor.errors import LikenessError
from monitor.ml.synthetic.interfaces import Clip, Sighting
from monitor.originals import plates, words
from monitor.originals.marks import limited
from monitor.originals.outcomes import Outcome, held, of_pictures, of_sound, of_video
from monitor.originals.pictures import Seen, compared, place
from monitor.originals.sound_prints import loudness, match, sound_print
from monitor.originals.videos import lay, moments
from monitor.values import Abstention, Aspect, MediaKind, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from monitor.originals.aligning import Alignment
    from monitor.originals.comparing import Comparison
    from monitor.originals.known import Known
    from monitor.originals.sound_prints import SoundMatch
    from monitor.stages.decode import Decoder
    from monitor.values import Sound, SubjectId

log = logs.get(__name__)

NAME: Final = "known_original"
VERSION: Final = "known_original/1"

MOST_ORIGINALS: Final = 60
"""Originals of one subject that one sighting is laid over; the newest ones."""

MOST_LAID: Final = 2
"""Originals that a sighting is compared with in full, the surest first: one decode each."""

SAMPLED: Final = 2.0
"""Frames a second of a sighted video from which those to compare are chosen."""


class Opens(Protocol):
    """Opens originals: known.Shelf, or what a bench holds in memory."""

    def known(self, subject_id: SubjectId) -> tuple[Known, ...]:
        """Give what one subject registered."""

    def data(self, known: Known) -> bytes:
        """Open its bytes."""


class KnownOriginals:
    """The scorer. `shelf` opens what a subject registered, `decoder` reads it."""

    name = NAME

    def __init__(self, shelf: Opens, decoder: Decoder) -> None:
        self._shelf, self._decoder = shelf, decoder

    def assess(self, sighting: Sighting) -> Signal:
        """Compare a sighting with its subject's originals. NO_ORIGINAL where it is a copy of none."""
        known = self._shelf.known(sighting.verdict.subject_id)[-MOST_ORIGINALS:]
        found = self._heard_and_seen(sighting, known) if known else None
        if found is None:
            return Signal(NAME, VERSION, Aspect.WHOLE, abstains=Abstention.NO_ORIGINAL, strong=True)
        look_for = ((words.LOOK_FOR,) if found.shown else ()) + ((words.LISTEN_FOR,) if found.listens else ())
        return Signal(
            NAME,
            VERSION,
            Aspect.WHOLE,
            llr=found.llr,
            reasons=found.reasons,
            moments=found.moments,
            heats=tuple(plates.heat(one, seen.rgb, at_s) for at_s, seen, one in found.shown[:3]),
            look_for=look_for if found.llr > 0 else (),
            limits=words.LIMITS,
            strong=True,
            plates=found.plates,
        )

    def _heard_and_seen(self, sighting: Sighting, known: Sequence[Known]) -> Outcome | None:
        seen = self._seen(sighting, known)
        heard = self._heard(sighting, known)
        if seen is None or heard is None:
            return seen or heard
        one = max((seen, heard), key=lambda outcome: outcome.llr)
        return replace(
            one,
            reasons=seen.reasons + heard.reasons,
            moments=seen.moments + heard.moments,
            shown=seen.shown,
            plates=seen.plates + heard.plates,
            listens=heard.llr > 0,
        )

    def _seen(self, sighting: Sighting, known: Sequence[Known]) -> Outcome | None:
        """Compare what is to be seen."""
        if sighting.info.kind is MediaKind.AUDIO:
            return None
        kept = _kept(sighting)
        if not kept:
            return None
        outcomes = []
        for one in _likeliest(kept, known)[:MOST_LAID]:
            try:
                found = self._over(sighting, kept, one)
            except LikenessError as exc:  # taken back, or damaged: the others are asked all the same
                log.warning("original_not_compared", original=one.original_id, code=exc.code)
                continue
            if found is not None:
                outcomes.append(found)
        return max(outcomes, key=lambda outcome: outcome.sure, default=None)

    def _over(self, sighting: Sighting, kept: Sequence[Seen], one: Known) -> Outcome | None:
        """Lay a sighting over one original."""
        read = self._reader(one)
        faces = [look.face.box for look in sighting.looks]
        moving = one.marks.kind is not MediaKind.IMAGE
        if moving:
            laid = lay(kept, one.marks, read)
            return None if laid is None else of_video(laid, faces)
        # a picture: each sighted frame by itself
        shown: list[tuple[Seen, Comparison, Alignment]] = []
        picture: NDArray[np.uint8] | None = None
        for seen in kept:
            there = place(seen, one.marks)
            if there is None:
                continue
            picture = _first(read) if picture is None else picture
            if picture is None:
                return None
            found = compared(picture, seen, there.alignment)
            if found is not None:
                shown.append((seen, found, there.alignment))
        if len(kept) > 1:
            shown = held(shown)
        return of_pictures(shown, faces, len(kept)) if shown else None

    def _reader(self, one: Known) -> Callable[[float], Clip]:
        data = self._shelf.data(one)

        def read(frames_per_second: float) -> Clip:
            return self._decoder.start(
                data, signals=False, limits=limited(self._decoder.limits, frames_per_second)
            )

        return read

    def _heard(self, sighting: Sighting, known: Sequence[Known]) -> Outcome | None:
        """Compare what is to be heard."""
        if sighting.sound is None:
            return None
        samples = sighting.sound.samples
        printed = sound_print(samples)
        loud = loudness(samples, len(printed))
        found: list[tuple[SoundMatch, Known]] = []
        for one in known:
            there = match(one.marks.sound, printed, loud)
            if there is not None:
                found.append((there, one))
        if not found:
            return None
        best, one = max(found, key=lambda pair: pair[0].same_s)
        return of_sound(best, sighting.sound, self._sound(one) if best.replaced else None)

    def _sound(self, one: Known) -> Sound | None:
        """Decode the sound of an original, to be drawn; None where that fails."""
        limits = limited(self._decoder.limits)
        try:
            with self._decoder.start(
                self._shelf.data(one), frames=False, signals=False, limits=limits
            ) as clip:
                return clip.sound()
        except LikenessError as exc:
            log.warning("original_not_drawn", original=one.original_id, code=exc.code)
            return None


def _kept(sighting: Sighting) -> list[Seen]:
    """Choose the frames that are compared: of a picture the whole of it."""
    if sighting.info.kind is MediaKind.IMAGE and sighting.looks:
        return [Seen(sighting.looks[0].rgb, sighting.looks[0].at_s)]
    with sighting.again(SAMPLED) as clip:
        return moments(clip.frames(), sighting.info.duration_s)


def _likeliest(kept: Sequence[Seen], known: Sequence[Known]) -> list[Known]:
    """Give the originals that some of the frames are found in, the surest first."""
    some = kept[:: max(1, len(kept) // 3)]
    pairs: list[tuple[int, Known]] = []
    for one in known:
        most = max(
            (there.alignment.pairs + 1 for seen in some if (there := place(seen, one.marks))), default=0
        )
        if most:
            pairs.append((most, one))
    return [one for _, one in sorted(pairs, key=lambda pair: -pair[0])]


def _first(read: Callable[[float], Clip]) -> NDArray[np.uint8] | None:
    with read(SAMPLED) as clip:
        return next((frame.rgb for frame in clip.frames()), None)
