"""What the comparisons of one sighting with one original come to: an llr, reasons, seconds, drawings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.originals import plates, words
from monitor.originals.comparing import Kind, compare
from monitor.originals.sound_prints import joined
from monitor.originals.videos import meet
from monitor.values import SAMPLE_RATE, Moment, Span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.originals.aligning import Alignment
    from monitor.originals.comparing import Comparison, Region
    from monitor.originals.pictures import Seen
    from monitor.originals.sound_prints import SoundMatch
    from monitor.originals.videos import Laid, Shown
    from monitor.values import Box, Plate, Sound

CHANGED_LLR: Final = 3.5
"""What a verified change of content counts for."""

ADDED_LLR: Final = 1.6
"""Something added away from every face: text over a picture is a change, and seldom meant to deceive."""

SAME_LLR: Final = -2.0
"""A copy in which no change was found: small ones are missed, so it counts for less than a change."""

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


def llr_of(regions: Sequence[Region], faces: Sequence[Box]) -> float:
    """Give what changed places count for: the most where content differs, or a face is touched."""
    if not regions:
        return SAME_LLR
    told = any(
        one.kind is not Kind.ADDED or any(words.touches(one.box, face) for face in faces) for one in regions
    )
    return CHANGED_LLR if told else ADDED_LLR


def held(shown: Sequence[tuple[Seen, Comparison, Alignment]]) -> list[tuple[Seen, Comparison, Alignment]]:
    """Keep of a film's frames those that may be called changed, and those that are the same.

    A film of the moment in which a picture was taken differs from it without anybody's doing. So a frame that
    differs counts only where another one shows the same still picture.
    """
    kept = []
    for number, (seen, found, alignment) in enumerate(shown):
        if found.regions and not any(
            _still(shown[number], shown[other])
            for other in (number - 1, number + 1)
            if 0 <= other < len(shown)
        ):
            continue
        kept.append((seen, found, alignment))
    return kept


def _still(one: tuple[Seen, Comparison, Alignment], other: tuple[Seen, Comparison, Alignment]) -> bool:
    """Say whether two frames show one picture, whatever moves over it as a whole."""
    across = other[2].matrix @ np.linalg.inv(one[2].matrix)
    found = compare(one[0].rgb, other[0].rgb, across)
    return found is not None and not found.regions


def of_pictures(
    shown: Sequence[tuple[Seen, Comparison, Alignment]], faces: Sequence[Box], frames: int
) -> Outcome:
    """Say what became of a picture, or of frames that each are a copy of a picture."""
    seen, found, alignment = max(shown, key=lambda one: llr_of(one[1].regions, faces))
    turned = alignment.mirrored
    size = (seen.rgb.shape[1], seen.rgb.shape[0])
    if frames == 1:
        said = words.picture(found, faces, size, turned=turned)
        times: tuple[Moment, ...] = ()
    else:
        said = (
            words.changed(found.regions, faces, size, f"What is shown at {seen.at_s:.1f} s"),
            *words.more(found, turned=turned),
        )
        times = tuple(Moment(Span(s.at_s, s.at_s), llr_of(f.regions, faces)) for s, f, _ in shown)
    return Outcome(
        llr_of(found.regions, faces),
        said,
        found.covered * found.alike * len(shown) / frames,
        times,
        ((seen.at_s, seen, found),),
        (plates.side_by_side(seen.rgb, found, _plate_says(found)),),
    )


def of_video(laid: Laid, faces: Sequence[Box]) -> Outcome:
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
        Moment(Span(one.at_s, one.at_s), llr_of(one.found.regions if does else (), faces))
        for one, does in zip(shown, lasting, strict=True)
    )
    return Outcome(
        llr_of(kept.regions, faces),
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


def of_sound(found: SoundMatch, sighted: Sound, original: Sound | None) -> Outcome:
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
