"""What was found of a sighting being made by a computer, put into words for the page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from alerts.synthetic_words import (
    ABSTENTIONS,
    OF_A_COPY,
    SAYS_NOTHING,
    VERDICTS,
    looks_of,
    strength,
)
from alerts.timelines import Timeline, timeline
from alerts.words import clock
from monitor.ml.synthetic.fusing import NOT_COVERED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.findings import FindingDetail
    from monitor.values import Assessment, Heat, Said, Signal

MOST_WORDS: Final = 400
"""Pieces of what is said on one page. The file of reasons has all of them."""

THIRDS: Final = (("upper left", "upper middle", "upper right"), ("left", "middle", "right"),
                 ("lower left", "lower middle", "lower right"))  # fmt: skip
"""Parts of a face as the viewer sees them, by row and column."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the evidence: its number on the finding's list, and what is to be seen on it."""

    number: int
    says: str


@dataclass(frozen=True, slots=True)
class Check:
    """One signal in words. `found` is what it found or why it says nothing; `state` is that in short."""

    title: str
    state: str
    speaks: bool
    at: str
    found: tuple[str, ...]
    counted: bool
    pictures: tuple[Picture, ...]
    places: tuple[str, ...]
    line: Timeline | None
    look_for: tuple[str, ...]
    limits: str
    version: str


@dataclass(frozen=True, slots=True)
class Words:
    """One piece of what is said, and when."""

    at: str
    text: str


@dataclass(frozen=True, slots=True)
class Explained:
    """The whole section. `strongest` is what speaks strongest for and against, in whole sentences."""

    line: str
    means: str
    copy: str
    strongest: tuple[str, ...]
    checks: tuple[Check, ...]
    not_covered: tuple[str, ...]
    look_for: tuple[str, ...]
    own_words: tuple[Words, ...]
    other_words: tuple[Words, ...]
    more_words: int
    language: str
    version: str


def explained(detail: FindingDetail) -> Explained | None:
    """Put what was found of one finding into words; None where nobody looked."""
    found = detail.synthetic.assessed
    if found is None:
        return None
    verdict = VERDICTS[found.made]
    said = found.said[:MOST_WORDS]
    return Explained(
        line=verdict.line,
        means=verdict.means,
        copy=OF_A_COPY if detail.copy_of else "",
        strongest=_strongest(found),
        checks=tuple(_check(signal, detail.plates) for signal in _in_order(found)),
        not_covered=found.not_covered or NOT_COVERED,
        look_for=tuple(dict.fromkeys(one for signal in found.signals for one in signal.look_for)),
        own_words=_words(said, own=True),
        other_words=_words(said, own=False),
        more_words=len(found.said) - len(said),
        language=found.language if re.fullmatch("[a-z]{2}", found.language) else "",
        version=found.version,
    )


def in_short(assessed: Assessment) -> tuple[str, ...]:
    """Say the verdict and what each signal came to, one sentence each: for an operator's list."""
    states = (f"{looks_of(one.name).title}: {_state(one)}." for one in _in_order(assessed))
    return (f"{VERDICTS[assessed.made].line}.", *states)


def _in_order(found: Assessment) -> list[Signal]:
    """Put the signals that said something first, the strongest of them before the others."""
    return sorted(found.signals, key=lambda one: (one.llr is None, -abs(one.llr or 0.0)))


def _strongest(found: Assessment) -> tuple[str, ...]:
    said = []
    for name, word in ((found.supports, "for"), (found.opposes, "against")):
        signal = next((one for one in found.signals if one.name == name), None)
        if signal is None or not name:
            said.append(f"Nothing speaks {word} it being made or changed.")
            continue
        why = f": {signal.reasons[0]}" if signal.reasons else "."
        said.append(f"What speaks most {word} it being made or changed: {looks_of(name).title}{why}")
    return tuple(said)


def _state(signal: Signal) -> str:
    return SAYS_NOTHING if signal.llr is None else strength(signal.llr)


def _check(signal: Signal, plates: Sequence[tuple[str, str]]) -> Check:
    looks = looks_of(signal.name)
    nothing = (ABSTENTIONS[signal.abstains],) if signal.llr is None and signal.abstains else ()
    return Check(
        title=looks.title,
        state=_state(signal),
        speaks=signal.llr is not None,
        at=looks.at,
        found=(*nothing, *signal.reasons),
        counted=not signal.shown_only,
        pictures=tuple(Picture(n, says) for n, (name, says) in enumerate(plates) if name == signal.name),
        places=tuple(place(heat) for heat in signal.heats),
        line=timeline(signal.moments),
        look_for=signal.look_for,
        limits=signal.limits,
        version=signal.version,
    )


def place(heat: Heat) -> str:
    """Say where in the face the sign was strongest, for whoever cannot see the picture."""
    cells = [(value, y, x) for y, row in enumerate(heat.cells) for x, value in enumerate(row)]
    if not cells or max(cells)[0] == 0:
        return f"At {clock(heat.at_s)}: nowhere in particular."
    _, y, x = max(cells)
    part = THIRDS[3 * y // len(heat.cells)][3 * x // len(heat.cells[y])]
    return f"At {clock(heat.at_s)}: most in the {part} of the face, as you look at it."


def _words(said: Sequence[Said], *, own: bool) -> tuple[Words, ...]:
    return tuple(Words(clock(one.span.start_s), one.text) for one in said if one.subject is own)
