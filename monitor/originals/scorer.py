"""The signal `known_original`: is this sighting a copy of something that its subject gave us, and changed?

Only the originals of the sighting's own subject are asked: what somebody registers says nothing about
sightings of anybody else. Originals are decoded like everything else, in the decoder's child process.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from monitor.ml.synthetic.interfaces import Clip, Sighting
from monitor.originals import plates, words
from monitor.originals.comparing import Kind
from monitor.originals.pictures import Seen, compared, place
from monitor.originals.sound_prints import joined, loudness, match, sound_print
from monitor.originals.videos import lay, meet, moments
from monitor.values import SAMPLE_RATE, Abstention, Aspect, MediaKind, Moment, Signal, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from monitor.originals.comparing import Comparison
    from monitor.originals.known import Known
    from monitor.originals.sound_prints import SoundMatch
    from monitor.originals.videos import Laid, Shown
    from monitor.stages.decode import Decoder
    from monitor.values import Box, Plate, Sound, SubjectId

NAME: Final = "known_original"
VERSION: Final = "known_original/1"

CHANGED_LLR: Final = 3.5
"""What a verified change of content counts for."""

ADDED_LLR: Final = 1.6
"""Something added away from every face: text over a picture is a change, and seldom meant to deceive."""

SAME_LLR: Final = -2.0
"""A copy in which no change was found: small ones are missed, so it counts for less than a change."""

MOST_ORIGINALS: Final = 60
"""Originals of one subject that one sighting is laid over; the newest ones."""

MOST_LAID: Final = 2
"""Originals that a sighting is compared with in full, the surest first: one decode each."""

SAMPLED: Final = 2.0
"""Frames a second of a sighted video from which those to compare are chosen."""

LASTING: Final = 2
"""Compared moments in a row that must show a change before it is named: one may be a bad frame."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one original says of a sighting. `sure` orders outcomes of several originals."""

    llr: float
    reasons: tuple[str, ...]
    sure: float
    moments: tuple[Moment, ...] = ()
    shown: tuple[tuple[float, Seen, Comparison], ...] = ()
    plates: tuple[Plate, ...] = ()
    listens: bool = False


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
            found = self._over(sighting, kept, one)
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
            return None if laid is None else _of_video(laid, faces)
        # a picture: each sighted frame by itself
        shown: list[tuple[Seen, Comparison, bool]] = []
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
                shown.append((seen, found, there.alignment.mirrored))
        return _of_pictures(shown, faces, len(kept)) if shown else None

    def _reader(self, one: Known) -> Callable[[float], Clip]:
        data = self._shelf.data(one)

        def read(frames_per_second: float) -> Clip:
            limits = replace(self._decoder.limits, frames_per_second=frames_per_second)
            return self._decoder.start(data, signals=False, limits=limits)

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
        with self._decoder.start(self._shelf.data(one), frames=False, signals=False) as clip:
            for _ in clip.frames():
                pass
            sound = clip.sound()
        return _of_sound(best, sighting.sound, sound)


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


def _llr(regions: Sequence[object], faces: Sequence[Box]) -> float:
    if not regions:
        return SAME_LLR
    told = [one.kind is not Kind.ADDED or any(words.touches(one.box, f) for f in faces) for one in regions]  # type: ignore[attr-defined]
    return CHANGED_LLR if any(told) else ADDED_LLR


def _of_pictures(
    shown: Sequence[tuple[Seen, Comparison, bool]], faces: Sequence[Box], frames: int
) -> Outcome:
    """Say what became of a picture, or of frames that each are a copy of a picture."""
    seen, found, turned = max(shown, key=lambda one: _llr(one[1].regions, faces))
    size = (seen.rgb.shape[1], seen.rgb.shape[0])
    if frames == 1:
        said = words.picture(found, faces, size, turned=turned)
        times: tuple[Moment, ...] = ()
    else:
        said = (
            words.changed(found.regions, faces, size, f"What is shown at {seen.at_s:.1f} s"),
            *words.more(found, turned=turned),
        )
        times = tuple(Moment(Span(s.at_s, s.at_s), _llr(f.regions, faces)) for s, f, _ in shown)
    return Outcome(
        _llr(found.regions, faces),
        said,
        found.covered * found.alike * len(shown) / frames,
        times,
        ((seen.at_s, seen, found),),
        (plates.side_by_side(seen.rgb, found, _plate_says(found)),),
    )


def _of_video(laid: Laid, faces: Sequence[Box]) -> Outcome:
    """Say what became of a video: a change counts where it lasts."""
    shown = laid.shown
    lasting = [_lasts(shown, n) for n in range(len(shown))]
    changed = [one for one, does in zip(shown, lasting, strict=True) if does]
    worst = max(changed or shown, key=lambda one: sum(r.share * r.strength for r in one.found.regions))
    kept = worst.found if changed else replace(worst.found, regions=())
    size = (worst.seen.rgb.shape[1], worst.seen.rgb.shape[0])
    what = "This video" if len(shown) > 1 else "This picture"
    said = [words.changed(kept.regions, faces, size, what)]
    if changed and len(shown) > 1:
        step = float(np.median(np.diff([one.at_s for one in shown]))) if len(shown) > 1 else 0.0
        spans = joined([Span(one.at_s, one.at_s) for one in changed], 1.6 * step)
        said.append(
            f"We see it {words.seconds(spans)}; {len(changed)} of {len(shown)} compared pictures differ."
        )
    if not laid.steady:
        said.append(words.NOT_STEADY)
    said += words.more(kept, turned=laid.mirrored)
    times = tuple(
        Moment(Span(one.at_s, one.at_s), _llr(one.found.regions if does else (), faces))
        for one, does in zip(shown, lasting, strict=True)
    )
    return Outcome(
        _llr(kept.regions, faces),
        tuple(said),
        kept.covered * kept.alike,
        times,
        tuple((one.at_s, one.seen, one.found) for one in (changed or [worst])[:3]),
        (plates.side_by_side(worst.seen.rgb, kept, _plate_says(kept)),),
    )


def _lasts(shown: Sequence[Shown], number: int) -> bool:
    """Say whether a change at this moment is there at neighbouring ones too, in about the same place."""
    here = shown[number].found.regions
    if not here:
        return False
    if len(shown) < LASTING:
        return True
    for other in (number - 1, number + 1):
        if 0 <= other < len(shown) and any(
            meet(a.box, b.box) for a in here for b in shown[other].found.regions
        ):
            return True
    return False


def _of_sound(found: SoundMatch, sighted: Sound, original: Sound | None) -> Outcome:
    """Say what became of a sound."""
    said = []
    if found.replaced:
        said.append(
            "The sound is a copy of one that you gave us, and in places another sound was put into it: "
            f"{words.seconds(found.replaced)}."
        )
    if found.cut:
        cuts = words.seconds([Span(at, at) for at in found.cut])
        said.append(f"The sound was cut: {cuts} it goes on elsewhere in yours.")
    if not said:
        said.append(
            "The sound is a copy of one that you gave us; nothing in it was changed beyond loudness and "
            "compression, as far as we can hear."
        )
    llr = CHANGED_LLR if found.replaced else ADDED_LLR if found.cut else SAME_LLR
    drawn: tuple[Plate, ...] = ()
    if found.replaced and original is not None:
        begin = round(-found.offset_s * SAMPLE_RATE)
        whole = np.zeros(len(sighted.samples), np.float32)
        start, end = max(0, begin), min(len(original.samples), begin + len(whole))
        if end > start:
            whole[start - begin : end - begin] = original.samples[start:end]
        says = "Above the sound of your original, below that of what was found; what was replaced is shaded."
        drawn = (plates.timeline(whole, sighted.samples, found.replaced, sighted.seconds, says),)
    times = tuple(Moment(one, CHANGED_LLR) for one in found.replaced)
    times += tuple(Moment(Span(at, at), ADDED_LLR) for at in found.cut)
    return Outcome(
        llr,
        tuple(said),
        min(1.0, found.same_s / max(1.0, sighted.seconds)),
        times,
        plates=drawn,
        listens=True,
    )


def _plate_says(found: Comparison) -> str:
    what = "the places that differ are outlined" if found.regions else "we see no difference"
    return f"Left your original, right what was found; {what}."
