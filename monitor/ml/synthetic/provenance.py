"""The signal `provenance`: what a file says about its own making, weighed for what such words are worth.

Nobody can measure that: who makes a fake chooses what it says. So the numbers below are reasoned, and said to
be. A claim of being made by a computer is believed for the most part, since few gain by it; a claim of being
a photograph is what a forger would write, and counts for nothing until somebody whom the operator trusts has
signed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from monitor.ml.synthetic.sources import CAPTURED, SYNTHETIC
from monitor.values import Abstention, Aspect, Signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.ml.synthetic.interfaces import Sighting
    from monitor.values import SyntheticSignal

VERSION: Final = "1"

CLAIMED: Final = 4.6
"""A file that says of itself that it was made: a likelihood ratio of 100. One generator's output in ten keeps
its mark on its way through the web, and one genuine picture in a thousand bears one by mistake or malice.
Reasoned, not measured."""

CLAIMED_OF_A_PART: Final = 1.6
"""A claim that speaks of a part, or stands in a broken credential: a ratio of 5. Telephones write it into a
photograph in which a lamp post was taken away. Reasoned, not measured."""

VOUCHED_MADE: Final = 6.0
"""A signer whom the operator trusts says that it was made: a ratio of 400. What is left is the signer's own
error. Reasoned, not measured."""

VOUCHED_CAPTURED: Final = -3.0
"""A signer whom the operator trusts says that a camera took it: a ratio of 1 to 20. A camera that signs also
signs the photograph of a screen. Reasoned, not measured."""

MOST_REASONS: Final = 8
"""Sentences that are handed on: a file may hold a hundred, all alike."""

ANYBODY: Final = "Anybody can write such words into a file, and anybody can take them out."
VOUCHED: Final = (
    "It is signed by somebody whom the operator of this service trusts. "
    "That says who stands by these words, not that they are true."
)
NO_PROOF: Final = (
    "Words of a camera that nobody trusted has signed are no sign that it is genuine: not counted."
)
ONLY_EDITED: Final = "That a program was used says nothing about what was changed with it: not counted."
LIMITS: Final = (
    "Most files say nothing about their making, since sites remove it: a file that is silent proves nothing."
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """The Scorer. Safe for threads: it holds nothing."""

    name: str = "provenance"

    def assess(self, sighting: Sighting) -> Signal:
        """Weigh what the file of a sighting says about itself; without such words it says nothing."""
        said = sighting.declared
        if not said:
            why = Abstention.NO_DECLARATION
            return Signal(self.name, VERSION, Aspect.FILE, abstains=why, limits=LIMITS)
        llr, strong, remark = _weighed(said)
        return Signal(
            name=self.name,
            version=VERSION,
            aspect=Aspect.FILE,
            llr=llr,
            reasons=(*_sentences(said), remark),
            limits=LIMITS,
            strong=strong,
            shown_only=llr == 0.0,
        )


def _weighed(said: Sequence[SyntheticSignal]) -> tuple[float, bool, str]:
    """Give what the words count for, whether they may carry a verdict alone, and how to read them."""
    made = [one for one in said if one.weight == SYNTHETIC]
    if any(one.trusted and not one.weak for one in made):
        return VOUCHED_MADE, True, VOUCHED
    if made:
        return CLAIMED if any(not one.weak for one in made) else CLAIMED_OF_A_PART, False, ANYBODY
    captured = [one for one in said if one.weight == CAPTURED]
    if any(one.trusted and not one.weak for one in captured):
        return VOUCHED_CAPTURED, True, VOUCHED
    return 0.0, False, NO_PROOF if captured else ONLY_EDITED


def _sentences(said: Sequence[SyntheticSignal]) -> tuple[str, ...]:
    """Give the words themselves, those that count most first."""
    order = sorted(said, key=lambda one: (not one.trusted, one.weight != SYNTHETIC, one.weak))
    return tuple(dict.fromkeys(one.says for one in order))[:MOST_REASONS]
