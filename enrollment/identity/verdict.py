"""From signs to a verdict: what becomes of a challenge, what an operator reads, and what the person does.

The person reads one of three texts, and none says which check was passed, nearly passed or failed: whoever
tries with another person's pictures learns nothing from it. "Passed" and "held" read the same.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from enrollment.identity.signs import Outcome, Sign, worst

if TYPE_CHECKING:
    from collections.abc import Mapping

REPORT: Final = "challenge-report"
"""Kind in the context of the sealed report."""


class State(StrEnum):
    """What became of a challenge.

        drawn ──┬─> waiting ──> judging ──┬─> passed      every check is content
                │                         ├─> held        some check is in doubt: a person will look
                └─> expired               ├─> refused     some check says no; another one may be drawn
                                          └─> failed      nobody could look; another one may be drawn

    Where an operator made sure in another way it is `passed` at once, and its report says who, and how.
    """

    DRAWN = "drawn"
    WAITING = "waiting"
    JUDGING = "judging"
    PASSED = "passed"
    HELD = "held"
    REFUSED = "refused"
    FAILED = "failed"
    EXPIRED = "expired"


GOES_ON: Final = frozenset({State.PASSED, State.HELD})
"""With these a person may take the next steps. `held` ones are looked at by an operator before the start."""

_OF: Final[Mapping[Outcome, State]] = {
    Outcome.PASS: State.PASSED,
    Outcome.DOUBT: State.HELD,
    Outcome.FAIL: State.REFUSED,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checks of one clip came to.

    `codes` are those of the signs that are not content, the worst first. `not_made` names the checks for
    which there is no scorer: nobody shall take their silence for a yes.
    """

    state: State
    codes: tuple[str, ...]
    signs: tuple[Sign, ...]
    not_made: tuple[str, ...] = ()

    def report(self) -> bytes:
        """Write down every sign, for an operator: JSON, to be sealed."""
        signs = [asdict(sign) for sign in self.signs]
        said = {"state": self.state, "codes": self.codes, "signs": signs, "not assessed": self.not_made}
        return json.dumps(said).encode()


def join(signs: tuple[Sign, ...], not_made: tuple[str, ...] = ()) -> Verdict:
    """Join what all checks say: the worst of them counts. Raises ValueError when nothing was checked."""
    order = list(Outcome)
    bad = sorted(
        (sign for sign in signs if sign.outcome is not Outcome.PASS),
        key=lambda sign: order.index(sign.outcome),
        reverse=True,
    )
    return Verdict(_OF[worst(signs)], tuple(sign.code for sign in bad), signs, not_made)


@dataclass(frozen=True, slots=True)
class Words:
    """What the person reads: a heading, and what to do now."""

    heading: str
    text: str


THANKS: Final = Words(
    "Thank you",
    "We have what we need. You can go on.",
)
AGAIN: Final = Words(
    "We could not confirm that it is you",
    "This happens, and it says nothing about you. Try again in good light, with your face in the middle and "
    "nobody else in the picture. Speak the digits clearly, one after the other, in a quiet room.",
)
NOT_ABLE: Final = Words(
    "We could not look at your recording",
    "This is not your fault. Please try once more.",
)


def words_of(state: State) -> Words:
    """Give the text for a state that is an end. Raises KeyError for one that is still open."""
    return {
        State.PASSED: THANKS,
        State.HELD: THANKS,
        State.REFUSED: AGAIN,
        State.FAILED: NOT_ABLE,
        State.EXPIRED: NOT_ABLE,
    }[state]
