"""What /metrics says, in the form that Prometheus reads. Counts about everybody together, nobody by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlmodel import col

from monitor.drift import State
from monitor.live_scores import edge
from monitor.tables import MediaItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlmodel import Session

    from monitor.balance import Balance, Side

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The text form, which every version of Prometheus reads."""

LEVEL = {State.OK: 0, State.WATCH: 1, State.ALARM: 2}


def written(session: Session, balance: Balance) -> bytes:
    """Write everything down."""
    registry = CollectorRegistry()
    registry.register(_Once([*_of_items(session), *_of_balance(balance)]))
    return generate_latest(registry)


class _Once(Collector):
    """Gives what was put together beforehand, at one moment of the ledger."""

    def __init__(self, families: Iterable[GaugeMetricFamily]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give it."""
        yield from self._families


def _of_items(session: Session) -> Iterator[GaugeMetricFamily]:
    asked = select(
        col(MediaItem.state), func.count(), func.sum(MediaItem.faces_seen), func.sum(MediaItem.turns_seen)
    ).group_by(col(MediaItem.state))
    rows = session.connection().execute(asked).all()
    items = _family("likeness_items", "Media items in the ledger.", "state")
    for state, count, _faces, _turns in rows:
        items.add_metric([state], count)
    yield items
    looked = _family("likeness_appearances", "Faces and turns of speech in the items of the ledger.", "kind")
    looked.add_metric(["face"], sum(int(faces or 0) for _, _, faces, _ in rows))
    looked.add_metric(["turn"], sum(int(turns or 0) for _, _, _, turns in rows))
    yield looked


def _of_balance(balance: Balance) -> Iterator[GaugeMetricFamily]:
    dial = balance.allowance
    yield _single("likeness_budget_false_alerts_per_month", "The dial.", dial.false_alerts_per_month)
    yield _single("likeness_budget_faces_per_day", "The dial.", dial.faces_per_day)
    yield _single("likeness_enrolled", "People with a template of the models in use.", balance.enrolled)
    expected = {"alert": balance.expected_alerts, "review": balance.expected_reviews}
    actual = {"alert": balance.false_alerts, "review": balance.false_reviews}
    yield _by_band("likeness_false_expected_30d", "Strangers expected to reach a band in 30 days.", expected)
    yield _by_band("likeness_false_dismissed_30d", "Findings of 30 days that were called false.", actual)
    drift = _family(
        "likeness_drift", "How far expected and actual have parted: 0 ok, 1 watch, 2 alarm.", "of"
    )
    for one in balance.drifts:
        drift.add_metric([one.of], LEVEL[one.state])
    yield drift
    yield from _of_sides(balance.sides)


def _of_sides(sides: Iterable[Side]) -> Iterator[GaugeMetricFamily]:
    labels = ("modality", "model")
    comparisons = _family("likeness_comparisons_30d", "Comparisons of 30 days.", *labels)
    thresholds = _family("likeness_threshold", "Cosine from which on a band begins.", *labels, "band")
    raised = _family("likeness_threshold_raised", "By how much live scores raised the alert.", *labels)
    live = _family("likeness_scores_30d", "Strangers' scores of 30 days in a bin.", *labels, "from")
    wanted = _family("likeness_scores_expected_30d", "The same as the calibration has it.", *labels, "from")
    for side in sides:
        who = [side.modality.value, side.thresholds.model_id]
        comparisons.add_metric(who, side.comparisons)
        thresholds.add_metric([*who, "alert"], side.thresholds.alert)
        thresholds.add_metric([*who, "review"], side.thresholds.review)
        raised.add_metric(who, side.raised)
        for number, count in enumerate(side.counts):
            live.add_metric([*who, f"{edge(number):.2f}"], count)
        for number, count_expected in enumerate(side.expected or ()):
            wanted.add_metric([*who, f"{edge(number):.2f}"], count_expected)
    yield from (comparisons, thresholds, raised, live, wanted)


def _family(name: str, says: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, says, labels=labels)


def _single(name: str, says: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, says, value=value)


def _by_band(name: str, says: str, values: Mapping[str, float | None]) -> GaugeMetricFamily:
    """Leave out what is not known: no number is not the number nought."""
    family = _family(name, says, "band")
    for band, value in values.items():
        if value is not None:
            family.add_metric([band], value)
    return family
