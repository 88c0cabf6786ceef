"""How a score reads: how much likelier the same person makes it, and how many strangers reach it.

A cosine means nothing by itself. `Calibration` holds what a measurement on labelled people, split by
person, said of one recogniser: a line from cosine to log-likelihood ratio (logistic calibration, Brummer and
du Preez, "Application-independent evaluation of speaker detection", 2006), and the tail of strangers' scores.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import exp, log10
from typing import TYPE_CHECKING, Any

from monitor.errors import ConfigError
from monitor.values import Modality

if TYPE_CHECKING:
    from pathlib import Path

MOST_LLR = 30.0
"""Largest log-likelihood ratio that is said, natural logarithm: no measurement here reaches further."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured of one recogniser on one data set.

    `scale` and `offset` give the natural logarithm of the likelihood ratio: scale * cosine + offset. `tail`
    is (cosine, log10 of the false match rate per comparison), rising in the first and falling in the second;
    between two points it is a line, and the last line goes on beyond what could be measured.
    """

    modality: Modality
    model_id: str
    data_set: str
    date: str
    people: int
    genuine: int
    impostor: int
    scale: float
    offset: float
    tail: tuple[tuple[float, float], ...]

    def llr(self, score: float) -> float:
        """Natural logarithm of the likelihood ratio of a cosine, cut off at MOST_LLR on both sides."""
        return min(MOST_LLR, max(-MOST_LLR, self.scale * score + self.offset))

    def probability(self, score: float, prior: float = 0.5) -> float:
        """Say how probable it is that two are one person, in (0, 1), when `prior` of all pairs are."""
        return 1 / (1 + (1 - prior) / prior * exp(-self.llr(score)))

    def fmr(self, score: float) -> float:
        """Share of strangers' comparisons that reach a cosine, in (0, 1]."""
        (x0, y0), (x1, y1) = self._line(lambda point: score <= point[0])
        return float(10 ** min(0.0, y0 + (score - x0) * (y1 - y0) / (x1 - x0)))

    def score_at(self, fmr: float) -> float:
        """Give the cosine that this share of strangers' comparisons reaches; `fmr` is in (0, 1)."""
        wanted = log10(fmr)
        (x0, y0), (x1, y1) = self._line(lambda point: wanted >= point[1])
        return min(1.0, x0 + (wanted - y0) * (x1 - x0) / (y1 - y0))

    def _line(self, reached: Any) -> tuple[tuple[float, float], tuple[float, float]]:  # noqa: ANN401 - a test of a point
        for before, after in zip(self.tail, self.tail[1:], strict=False):
            if reached(after):
                return before, after
        return self.tail[-2], self.tail[-1]


def read_calibration(path: Path) -> Calibration:
    """Read a file that `write_calibration` wrote. Raises ConfigError when it is not one."""
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
        tail = tuple((float(score), float(rate)) for score, rate in words.pop("tail"))
        return Calibration(modality=Modality(words.pop("modality")), tail=tail, **words)
    except (OSError, ValueError, TypeError, KeyError) as exc:
        msg = f"{path} is no calibration"
        raise ConfigError(msg, hint="`likeness calibrate` writes them.") from exc


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write it as JSON, for people to read as well."""
    path.write_text(json.dumps(asdict(calibration), indent=2) + "\n", encoding="utf-8")
