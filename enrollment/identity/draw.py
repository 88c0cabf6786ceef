"""Draw a challenge: turns of the head in an order, and digits to say, that nobody can know before.

34 orders of turns times 590,490 rows of digits: a clip that was made before the draw answers one in twenty
million. What is drawn comes from the system's random numbers (`secrets`).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise, product
from typing import TYPE_CHECKING, Final

from enrollment.identity.digits import FALLBACK
from enrollment.identity.turns import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TURNS: Final = 3
DIGITS: Final = 6
"""Six digits take a person some three seconds to say: CAM++ needs two of speech to know a voice."""

ORDERS: Final = tuple(
    " ".join(order)
    for order in product(Turn, repeat=TURNS)
    if all(one != other for one, other in pairwise(order)) and {Turn.LEFT, Turn.RIGHT} & set(order)
)
"""Every order that may be asked, in words. A tilted print may read as nodding, so none is of nods alone."""

FRESH_FOR: Final = timedelta(seconds=60)
"""From when the challenge is shown to when its clip begins to arrive. Answering it takes some 20 seconds."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn. `language` is a code of digits.LANGUAGES."""

    turns: tuple[Turn, ...]
    digits: str
    language: str

    def as_json(self) -> str:
        """Write it down, for the row."""
        return json.dumps({"turns": self.turns, "digits": self.digits, "language": self.language})

    @classmethod
    def of_json(cls, text: str) -> Drawn:
        """Read what `as_json` wrote."""
        read = json.loads(text)
        return cls(tuple(Turn(one) for one in read["turns"]), read["digits"], read["language"])


def draw(
    language: str, heard: Sequence[str], choose: Callable[[Sequence[str]], str] = secrets.choice
) -> Drawn:
    """Draw a challenge, in `language` where it is one of those `heard`. No two alike in a row."""
    turns = choose(ORDERS).split()
    digits = _row(DIGITS, list("0123456789"), choose)
    spoken = language if language in heard else FALLBACK
    return Drawn(tuple(Turn(one) for one in turns), "".join(digits), spoken)


def _row(count: int, values: Sequence[str], choose: Callable[[Sequence[str]], str]) -> list[str]:
    row: list[str] = []
    while len(row) < count:
        row.append(choose([one for one in values if not row or one != row[-1]]))
    return row
