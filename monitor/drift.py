"""An alarm for when what strangers score, or what people dismiss, parts from what was expected.

A test has two conditions. That so many come by chance must be very improbable (the exact tail of a Poisson
count), and they must be twice as many: of a million comparisons a difference of a hundredth is no chance, and
no reason to call anybody either. Fewer than expected is never a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from monitor import log as logs
from monitor.live_scores import LEAST_COMPARISONS, edge, lowest_reference, whole_bins_below

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.live_scores import LiveScores
    from monitor.ml.calibration import Calibration

LEAST_EXPECTED = 20.0
"""Scores above a reference that the calibration must expect before the live count is set against it."""

LEAST_ALARMING = 3
"""Dismissed alerts from which on they can be too many: two may be one clip and its copy."""

CHANCE = 1e-4
"""Probability below which a count is no chance. Two tests a day cry wolf once in 14 years."""

ALARMING_TIMES = 2.0
"""Times as many as expected that call for a person; the dial's promise is good to this factor."""

WATCHED_TIMES = 1.5
"""Times as many as expected that are worth a second look."""

NAMES = {"face": "Faces", "voice": "Voices"}


class State(StrEnum):
    """How far apart expected and actual are."""

    OK = "ok"
    WATCH = "watch"
    ALARM = "alarm"


log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Drift:
    """One comparison of actual and expected. `of` is face, voice or alerts; `sentence` is for people.

    `actual` and `expected` are counts in the window, None where nothing could be set against each other.
    """

    of: str
    state: State
    sentence: str
    actual: int | None = None
    expected: float | None = None


def of_scores(
    modality: str, calibration: Calibration | None, live: LiveScores, review: float, enrolled: int
) -> Drift:
    """Set the live scores above a reference against the calibration's.

    The reference is the highest edge of a bin below `review` that LEAST_EXPECTED strangers should lie above.
    """
    name = NAMES[modality]
    if calibration is None:
        said = f"{name}: the model was never measured, so nothing is expected of its scores."
        return Drift(modality, State.OK, said)
    top = whole_bins_below(review)
    above = calibration.fmr(edge(top))
    usable = range(lowest_reference(calibration, top, enrolled), top)
    expected = {n: live.comparisons * (calibration.fmr(edge(n)) - above) for n in usable}
    enough = [n for n in usable if expected[n] >= LEAST_EXPECTED]
    if not enough or live.comparisons < LEAST_COMPARISONS:
        said = f"{name}: {live.comparisons:,} comparisons in 30 days are too few to tell anything."
        return Drift(modality, State.OK, said)
    at = enough[-1]
    actual = live.between(at, top)
    state = judge(actual, expected[at])
    where = f"from {edge(at):.2f} to {edge(top):.2f}"
    said = f"{name}: {actual:,} strangers scored {where}, {expected[at]:,.0f} were expected"
    more = {
        State.OK: ".",
        State.WATCH: ": more than chance explains, less than twice as many.",
        State.ALARM: ": far too many. Strangers are more alike here than where the model was "
        "measured, or somebody enrolled goes unrecognised.",
    }
    return Drift(modality, state, said + more[state], actual, expected[at])


def of_alerts(actual: int, expected: float | None) -> Drift:
    """Set the alerts that people called false against the expected ones; None: nothing is expected."""
    said = f"Alerts: {actual:,} of 30 days were called false"
    if expected is None:
        return Drift(
            "alerts", State.OK, f"{said}; no model here was measured, so nothing is expected.", actual
        )
    state = judge(actual, expected) if actual >= LEAST_ALARMING else State.OK
    more = {State.OK: ".", State.WATCH: ": more than chance explains.", State.ALARM: ": far too many."}
    return Drift("alerts", state, f"{said}, {expected:,.2g} were expected{more[state]}", actual, expected)


class Alarm:
    """Says into the log what has changed, once. At its start everything is taken for well."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}

    def hear(self, drifts: Iterable[Drift]) -> None:
        """Take the newest comparisons."""
        for one in drifts:
            if one.state is self._states.get(one.of, State.OK):
                continue
            self._states[one.of] = one.state
            say = log.info if one.state is State.OK else log.warning
            say("drift", of=one.of, state=one.state.value, said=one.sentence)


def judge(actual: int, expected: float) -> State:
    """Say whether a count is too large for what was expected."""
    if actual <= WATCHED_TIMES * expected or chance_of(actual, expected) >= CHANCE:
        return State.OK
    return State.ALARM if actual >= ALARMING_TIMES * expected else State.WATCH


def chance_of(actual: int, expected: float) -> float:
    """Probability that a Poisson count of this mean is so large or larger, exactly.

    P(X >= k) is the regularised lower incomplete gamma function P(k, mean) (Abramowitz and Stegun, 26.4.21).
    """
    from scipy.special import gammainc  # noqa: PLC0415 - a tenth of a second that only this needs

    return 1.0 if actual <= 0 else float(gammainc(actual, expected))
