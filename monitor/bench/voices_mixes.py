"""Mixed recordings of three speakers, looked at by the real stages: is the subject found, and when?"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.frame import Figure
from monitor.bench.mixing import Background, Clip, mix
from monitor.bench.people import in_threads
from monitor.bench.sound import WAV, encoded, read_sound
from monitor.bench.statistics import rate_by_person
from monitor.values import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.bench.frame import Request
    from monitor.bench.mixing import Mix
    from monitor.bench.voices_data import Recording
    from monitor.bench.voices_watch import Watch
    from monitor.ml.interfaces import SpeechDetector
    from monitor.values import Span

MIXES: Final = 48
"""Mixed recordings, divided among the subjects: some forty minutes of talk."""

SPEAKERS: Final = 3
"""Speakers in one mix."""

CLIPS_EACH: Final = 4
"""Clips from which the turns of one speaker are cut; bounds memory."""

GRID_HZ: Final = 100
"""Moments a second at which truth and claim are compared."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One mix that is to be made: who is looked for in it, who else speaks, with what behind."""

    number: int
    subject: int
    others: tuple[int, ...]
    overlaps: bool
    background: Background


@dataclass(frozen=True, slots=True)
class Heard:
    """Moments of one mix: the subject's own and how many were found; others' and how many were claimed.

    A moment at which the subject and somebody else speak counts for neither. `anybody` are others' moments
    that were claimed for any enrolled speaker who is silent then.
    """

    plan: Plan
    own: int
    found: int
    others: int
    claimed: int
    anybody: int


def split(recordings: Sequence[Recording]) -> tuple[set[int], dict[int, list[int]]]:
    """Divide recordings, by number, into those that enrol and those that mixes are made of, by speaker.

    Of a speaker with several, every other one enrols. Of those with a single one, every other speaker is
    enrolled and heard in no mix, and the rest are guests whom nobody knows.
    """
    enrols: set[int] = set()
    heard: dict[int, list[int]] = {}
    guests = 0
    numbered = sorted(enumerate(recordings), key=lambda one: one[1].speaker)
    for speaker, group in itertools.groupby(numbered, key=lambda one: one[1].speaker):
        own = [number for number, _ in group]
        if len(own) == 1:
            guests += 1
        if len(own) > 1 or guests % 2:
            enrols |= set(own[::2])
        if len(own) > 1 or not guests % 2:
            heard[speaker] = own[1::2] or own
    return enrols, heard


def plans(subjects: Sequence[int], heard: Mapping[int, Sequence[int]], seed: int) -> list[Plan]:
    """Draw who meets whom; overlaps and backgrounds take turns, so that every subject meets all of them."""
    if not subjects or len(heard) < SPEAKERS:
        return []
    rng = np.random.default_rng(seed)
    kinds = itertools.cycle(itertools.product(Background, (False, True)))
    made = []
    for number, (kind, _) in enumerate(zip(kinds, range(MIXES), strict=False)):
        subject = subjects[(number // 6 + number) % len(subjects)]
        others = rng.choice([s for s in heard if s != subject], SPEAKERS - 1, replace=False)
        made.append(Plan(number, subject, tuple(int(o) for o in others), kind[1], kind[0]))
    return made


def look_at_mixes(
    recordings: Sequence[Recording],
    wanted: Sequence[Plan],
    heard: Mapping[int, Sequence[int]],
    watch: Watch,
    request: Request,
) -> list[Heard]:
    """Make every mix, write it as a file, look at the file, and compare with the truth."""

    def some(chunk: Sequence[Plan]) -> Iterator[Heard]:
        for plan in chunk:
            rng = np.random.default_rng((request.seed, plan.number))
            clips = {
                who: [
                    _clip(recordings[n], watch.voices.detector)
                    for n in rng.permutation(heard[who])[:CLIPS_EACH]
                ]
                for who in (plan.subject, *plan.others)
            }
            clips = {who: [clip for clip in own if clip.speech] for who, own in clips.items()}
            if not all(clips.values()):
                continue
            made = mix(clips, rng, overlaps=plan.overlaps, background=plan.background)
            yield compare(plan, made, watch.finds(encoded(made.samples, WAV)))

    return in_threads(some, wanted, request, 1, "look at mixed recordings")


def compare(plan: Plan, made: Mix, claims: Mapping[int, Sequence[Span]]) -> Heard:
    """Count moments, GRID_HZ a second. `claims` says of each enrolled speaker when they are said to speak."""
    length = len(made.samples) * GRID_HZ // SAMPLE_RATE + 1
    speaking = {who: moments(spans, length) for who, spans in made.speaking.items()}
    own = speaking[plan.subject]
    others = np.logical_or.reduce([speaking[who] for who in plan.others])
    said = moments(claims.get(plan.subject, ()), length)
    silent = np.zeros(length, bool)
    wrong = [moments(spans, length) & ~speaking.get(who, silent) for who, spans in claims.items()]
    alone = own & ~others
    foreign = others & ~own
    anybody = np.logical_or.reduce([silent, *wrong]) & foreign
    return Heard(
        plan,
        int(alone.sum()),
        int((said & alone).sum()),
        int(foreign.sum()),
        int((said & foreign).sum()),
        int(anybody.sum()),
    )


def moments(spans: Sequence[Span], length: int) -> NDArray[np.bool_]:
    """Mark the moments within spans: (length,) bool."""
    marked = np.zeros(length, bool)
    for span in spans:
        marked[round(span.start_s * GRID_HZ) : round(span.end_s * GRID_HZ)] = True
    return marked


def mix_figures(heard: Sequence[Heard], seed: int) -> dict[str, Figure]:
    """Share of the subject's time found, of others' time claimed; over all mixes, and by what was hard."""
    if not heard:
        return {}
    kinds = {
        "": heard,
        **{
            f"_{'overlaps' if o else 'no_overlaps'}": [h for h in heard if h.plan.overlaps is o]
            for o in (False, True)
        },
        **{f"_{b.value}_behind": [h for h in heard if h.plan.background is b] for b in Background},
    }
    figures: dict[str, Figure] = {}
    for kind, some in kinds.items():
        if not some:
            continue
        figures[f"voices.mix_hit{kind}"] = _rate(some, "found", "own", "share of the subject's time", seed)
        figures[f"voices.mix_false{kind}"] = _rate(some, "claimed", "others", "share of others' time", seed)
    figures["voices.mix_false_anybody"] = _rate(heard, "anybody", "others", "share of others' time", seed)
    return figures


def _rate(heard: Sequence[Heard], part: str, whole: str, unit: str, seed: int) -> Figure:
    """Rate over all moments, the interval by bootstrap over subjects; n counts mixes."""
    subjects, rows = np.unique([h.plan.subject for h in heard], return_inverse=True)
    hits = np.bincount(rows, [getattr(h, part) for h in heard], len(subjects))
    tries = np.bincount(rows, [getattr(h, whole) for h in heard], len(subjects))
    return Figure(
        *rate_by_person(hits, tries, seed), len(heard), f"{unit}, {tries.sum() / GRID_HZ:.0f} s in mixes"
    )


def _clip(recording: Recording, detector: SpeechDetector) -> Clip:
    sound = read_sound(recording.path)
    return Clip(sound.samples, detector.speech(sound))
