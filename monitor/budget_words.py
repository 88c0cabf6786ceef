"""What the dial and its balance say in plain sentences, on the terminal and on the operator's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.drift import NAMES, State
from monitor.live_scores import MOST_RAISED

if TYPE_CHECKING:
    from monitor.balance import Balance, Side

WORST_FIRST = (State.ALARM, State.WATCH, State.OK)


def dial_sentences(balance: Balance) -> tuple[str, ...]:
    """Say where the dial stands and what follows for people."""
    dial = balance.allowance
    said = [
        (
            f"At most {alerts(dial.false_alerts_per_month)} a month for each enrolled person, at "
            f"{dial.faces_per_day:,} faces and turns of speech a day."
        ),
        (
            f"So a stranger may be taken for a person in one of {1 / dial.alert_fmr:,.0f} comparisons, "
            f"and come to a human look in one of {1 / dial.review_fmr:,.0f}."
        ),
    ]
    if balance.expected_a_month is not None and balance.expected_in_all is not None:
        said.append(
            f"Expected at that many faces: {number(balance.expected_a_month)} a month for a person, "
            f"{number(balance.expected_in_all)} for all {balance.enrolled:,} together."
        )
    if balance.tightened:
        said.append(f"People who have tightened their own budget: {balance.tightened:,}.")
    return tuple(said)


def outcome_sentences(balance: Balance) -> tuple[str, ...]:
    """Set what was expected in the last 30 days against what people and operators dismissed."""
    return (
        _outcome("False alerts", balance.expected_alerts, balance.false_alerts),
        _outcome("Strangers shown to a human", balance.expected_reviews, balance.false_reviews),
    )


def side_sentences(side: Side) -> tuple[str, ...]:
    """Say what one recogniser's thresholds are and where they come from."""
    thresholds = side.thresholds
    said = [
        f"Told from a cosine of {thresholds.alert:.3f} on, shown to a human from {thresholds.review:.3f} on.",
        f"Measured: {thresholds.source}." if side.share is not None else f"Fixed: {thresholds.source}.",
    ]
    if side.raised >= MOST_RAISED - 1e-9:
        said.append(f"Live scores raised the alert by {side.raised:.3f}, the most they may: have a look.")
    elif side.raised >= 0.0005:
        said.append(f"Live scores raised the alert by {side.raised:.3f}: strangers are more alike here.")
    if side.beyond:
        said.append("So small a rate was never counted: the threshold lies on the measured tail, drawn on.")
    said.append(f"{side.enrolled:,} people are enrolled, {side.comparisons:,} comparisons made in 30 days.")
    return tuple(said)


def name_of(side: Side) -> str:
    """Give "Faces" or "Voices"."""
    return NAMES[side.modality.value]


def worst_of(balance: Balance) -> State:
    """Give the most alarming state of all."""
    states = {one.state for one in balance.drifts}
    return next(state for state in WORST_FIRST if state in states or state is State.OK)


def alerts(value: float) -> str:
    """Write a number of false alerts."""
    return f"{number(value)} false alert{'' if value == 1 else 's'}"


def number(value: float) -> str:
    """Write a small number with two digits that mean something, a large one whole."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _outcome(what: str, expected: float | None, actual: int) -> str:
    told = "unknown what to expect, nothing was measured"
    if expected is not None:
        told = f"{number(expected)} expected"
    return f"{what} in 30 days: {told}, {actual:,} dismissed."
