"""How a score reads: how much likelier the same person makes it, and how many strangers reach it.

A cosine means nothing by itself. `Calibration` holds what a measurement on labelled people said of one
recogniser: a line from cosine to log-likelihood ratio (logistic calibration: Brummer and du Preez,
"Application-independent evaluation of speaker detection", 2006), and the tail of strangers' scores.
`calibrating.py` fits one.

It holds for the cosine of two single samples. With the centroid of three pictures one person scores higher
(LFW: TAR at the usual alert threshold 0.97 instead of 0.87 for fr_feature, 0.99 instead of 0.95 for EdgeFace)
and strangers reach a cosine 1.3 to 1.7 times as often as is said here, with five pictures 1.3 to 2.4 times:
who promises false alerts to people with several pictures has to allow for it.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from math import exp, isfinite, log10
from typing import TYPE_CHECKING, Final

from monitor.errors import ConfigError
from monitor.ml.interfaces import Thresholds
from monitor.values import Modality, ModelId

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from pathlib import Path

MOST_LLR = 30.0
"""Largest log-likelihood ratio that is said, natural logarithm: no measurement here reaches further."""

COMPARISONS_A_MONTH: Final = 30 * 10_000
"""Strangers that a watch of usual size looks at in a month: 10,000 faces, or turns of speech, a day."""

ALERT_FMR: Final = 1 / COMPARISONS_A_MONTH
"""Unless a budget says otherwise, a subject gets one false alert a month: 3.3e-6 of all comparisons."""

REVIEW_TIMES: Final = 30
"""Unless a budget says otherwise, a human looks at one stranger a day: 1e-4 of all comparisons."""

LEAST: Final = {"campplus": (0.62, 0.50)}
"""Short name of a recogniser -> the cosines (alert, review) below which no threshold of it goes.

CAM++: one telephone channel pushes strangers up to 0.50, which readings of books do not show (of 8,363 pairs
of strangers, LibriSpeech and a telephone talk, 3 over 0.50 and none over 0.57)."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured of one recogniser on one data set.

    `scale` and `offset` give the natural logarithm of the likelihood ratio: scale * cosine + offset. `tail`
    is (cosine, log10 of the false match rate per comparison), rising in the first and falling in the second;
    between two points it is a line, and the last line goes on beyond what could be measured.
    `measured_to` is the smallest rate that was counted; below it the tail is drawn on. `least` are the
    cosines (alert, review) below which no threshold goes, whatever the tail says, because of what the data
    set does not hold. `made_of` is a digest of the names of the files: it tells whether a bench sees the same
    people.

    Raises ValueError when the scale is not over 0, a number is not finite or the tail does not fall.
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
    measured_to: float = 0.0
    least: tuple[float, float] = (-1.0, -1.0)
    made_of: str = ""

    def __post_init__(self) -> None:
        numbers = (self.scale, self.offset, self.measured_to, *self.least, *(n for p in self.tail for n in p))
        falls = all(x0 < x1 and y0 > y1 for (x0, y0), (x1, y1) in pairwise(self.tail))
        if not (all(map(isfinite, numbers)) and self.scale > 0 and len(self.tail) > 1 and falls):
            msg = "no calibration: a number is not finite, the scale is not over 0, or the tail does not fall"
            raise ValueError(msg)

    def llr(self, score: float) -> float:
        """Natural logarithm of the likelihood ratio of a cosine, cut off at MOST_LLR on both sides.

        Raises ValueError for NaN, as every method here does.
        """
        return min(MOST_LLR, max(-MOST_LLR, self.scale * _finite(score) + self.offset))

    def probability(self, score: float, prior: float = 0.5) -> float:
        """Say how probable it is that two are one person, in (0, 1), when `prior` of all pairs are."""
        if not 0 < prior < 1:
            msg = f"a prior lies between 0 and 1, not {prior}"
            raise ValueError(msg)
        return 1 / (1 + (1 - prior) / prior * exp(-self.llr(score)))

    def fmr(self, score: float) -> float:
        """Share of strangers' comparisons that reach a cosine, in (0, 1]."""
        (x0, y0), (x1, y1) = self._line(bisect_left([x for x, _ in self.tail], _finite(score)))
        return float(10 ** min(0.0, y0 + (score - x0) * (y1 - y0) / (x1 - x0)))

    def score_at(self, fmr: float) -> float:
        """Give the cosine that this share of strangers' comparisons reaches; `fmr` is in (0, 1].

        Never over 1: where even that is reached too often, the caller gets 1.
        """
        if not 0 < fmr <= 1:
            msg = f"a false match rate lies between 0 and 1, not {fmr}"
            raise ValueError(msg)
        wanted = log10(fmr)
        (x0, y0), (x1, y1) = self._line(bisect_right([-y for _, y in self.tail], -wanted))
        return max(-1.0, min(1.0, x0 + (wanted - y0) * (x1 - x0) / (y1 - y0)))

    def _line(self, after: int) -> tuple[tuple[float, float], tuple[float, float]]:
        """Give the two points around a place in the tail; beyond an end, the two at that end."""
        after = min(max(after, 1), len(self.tail) - 1)
        return self.tail[after - 1], self.tail[after]


def _finite(score: float) -> float:
    if not isfinite(score):
        msg = f"{score} is no cosine"
        raise ValueError(msg)
    return score


def thresholds_at(
    calibration: Calibration, alert_fmr: float = ALERT_FMR, review_fmr: float = ALERT_FMR * REVIEW_TIMES
) -> Thresholds:
    """Give the thresholds that strangers reach this often, per comparison, and never lower than `least`.

    Raises ValueError when a rate is not in (0, 1] or more would alert than be reviewed.
    """
    if alert_fmr > review_fmr:
        msg = f"more strangers may alert ({alert_fmr}) than be shown to a human ({review_fmr})"
        raise ValueError(msg)
    alert, review = calibration.least
    return Thresholds(
        max(alert, calibration.score_at(alert_fmr)),
        max(review, calibration.score_at(review_fmr)),
        ModelId(calibration.model_id),
        calibration.data_set,
        calibration.date,
        calibration.people,
        calibration.genuine,
        calibration.impostor,
    )


def least_of(model_id: str) -> tuple[float, float]:
    """Give the cosines (alert, review) below which no threshold of a recogniser goes; -1 for no rule."""
    return LEAST.get(model_id.partition("@")[0], (-1.0, -1.0))


def read_calibration(path: Path | Traversable) -> Calibration:
    """Read a file that `write_calibration` wrote. Raises ConfigError when it is not one."""
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
        tail = tuple((float(score), float(rate)) for score, rate in words.pop("tail"))
        alert, review = words.pop("least")
        modality = Modality(words.pop("modality"))
        return Calibration(modality=modality, tail=tail, least=(float(alert), float(review)), **words)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        msg = f"{path} is no calibration"
        raise ConfigError(
            msg, hint="`likeness calibrate` writes them; take this one away or do it again."
        ) from exc


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write it as JSON, for people to read as well. A reader sees the old file or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(path.name + ".new")
    half.write_text(json.dumps(asdict(calibration), indent=2) + "\n", encoding="utf-8")
    half.replace(path)


@cache
def shipped() -> tuple[Calibration, ...]:
    """Read what comes with the program: one file for each recogniser that was measured."""
    folder = files("monitor.ml").joinpath("calibrations")
    found = sorted((one for one in folder.iterdir() if one.name.endswith(".json")), key=lambda one: one.name)
    return tuple(read_calibration(one) for one in found)


def shipped_for(model_id: str) -> Calibration | None:
    """Give the calibration that comes with the program for this recogniser, where there is one."""
    return next((one for one in shipped() if one.model_id == model_id), None)


def own_path(home: Path, modality: Modality, pack: str) -> Path:
    """Say where an operator's own calibration lies: faces by pack, voices once."""
    name = f"faces-{pack}.json" if modality is Modality.FACE else "voices.json"
    return home / "calibrations" / name
