"""What one check of a challenge says: a sign. All signs together make the verdict (see verdict.py)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What a sign is worth: nothing against it, a person should look, or it cannot be taken."""

    PASS = "pass"  # noqa: S105 - no password
    DOUBT = "doubt"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Sign:
    """What one check found.

    `check` names the check, `code` what it found: both are stable and go into the sealed report, never to
    whoever sent the clip. `score` is the check's own number; each check says its unit and which way is good.
    """

    check: str
    outcome: Outcome
    code: str
    score: float


def worst(signs: tuple[Sign, ...]) -> Outcome:
    """Give the worst outcome of some signs. Raises ValueError when there are none: nothing was checked."""
    if not signs:
        msg = "no check was made"
        raise ValueError(msg)
    order = list(Outcome)
    return max((sign.outcome for sign in signs), key=order.index)
