"""Reads in the demo's ledger how far the work is, and at the end what was found. Changes nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlmodel import Session, col, func, select

from alerts.tables import Alert, Incident, IncidentFinding
from crawlers.tables import CrawlRun, SeenUrl
from monitor import findings
from monitor.db import reading
from monitor.demo.expectations import DONE, Sighting
from monitor.tables import Finding, MediaItem, StageRun, Template
from monitor.values import FindingId, OriginKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

ENDED = ("done", "failed")
"""States of an item that is not waited for."""

WAITING = "waiting"
"""Outcome of an item that nobody has looked at to the end."""

ON_THE_WAY = ("due", "sending")
"""States of an alert that is not settled."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work is."""

    crawled: bool
    addresses: int
    items: int
    looked_at: int
    findings: int
    findings_due: int
    alerts: int
    alerts_sent: int
    alerts_waiting: int

    @property
    def finished(self) -> bool:
        """Whether the crawl has ended, every item has been looked at and everybody been told."""
        nothing_waits = self.items == self.looked_at and not self.findings_due and not self.alerts_waiting
        return self.crawled and self.items > 0 and nothing_waits


@dataclass(frozen=True, slots=True)
class StageTime:
    """Seconds that one stage took over all items."""

    stage: str
    items: int
    total_s: float
    longest_s: float


@dataclass(frozen=True, slots=True)
class CrawlFigures:
    """What the crawl did: pages and media, and why it left some alone."""

    pages: int
    media_taken: int
    media_known: int
    seconds: float


def progress(engine: Engine) -> Progress:
    """Read how far the work is."""
    with reading(engine) as session:
        items = _counts(session, MediaItem.state)
        found = _counts(session, Finding.state)
        alerts = _counts(session, Alert.state)
        runs = session.exec(select(CrawlRun.state)).all()
        addresses = session.exec(select(func.count()).select_from(SeenUrl)).one()
    return Progress(
        crawled=bool(runs) and "running" not in runs,
        addresses=addresses,
        items=items.total(),
        looked_at=sum(items[state] for state in ENDED),
        findings=found.total(),
        findings_due=found["due"],
        alerts=alerts.total(),
        alerts_sent=alerts["sent"],
        alerts_waiting=sum(alerts[state] for state in ON_THE_WAY),
    )


def sightings(
    engine: Engine, keks: KeyEncryptionKeys, people: Mapping[str, str], base: str
) -> list[Sighting]:
    """Open every finding and give one sighting per place. `people` maps a subject id to a person's key."""
    with reading(engine) as session:
        told = _told_incidents(session)
        ids = session.exec(select(Finding.id)).all()
        views = [findings.read(session, keks, FindingId(finding_id)) for finding_id in ids]
    return [
        Sighting(
            path=path,
            person=people.get(view.subject_id, view.subject_id),
            band=view.band,
            incident=told.get(view.finding_id, ""),
            face_score=view.detail.face_score,
            voice_score=view.detail.voice_score,
            voice_spans=view.detail.voice_spans,
        )
        for view in views
        for path in _paths((o.url for o in view.origins if o.kind is OriginKind.CRAWL), base)
    ]


def outcomes(engine: Engine, base: str) -> dict[str, str]:
    """Give what became of each media address: DONE, WAITING, or the code that stopped it."""
    with reading(engine) as session:
        items = {item.id: item for item in session.exec(select(MediaItem))}
        seen = session.exec(select(SeenUrl).where(SeenUrl.part == "media")).all()
    result: dict[str, str] = {}
    for row in seen:
        for path in _paths([row.url], base):
            item = items.get(row.media_id or "")
            result[path] = _outcome(item) if item else row.code
    return result


def stage_times(engine: Engine) -> list[StageTime]:
    """Sum up what each stage took, in the order in which stages first ran."""
    by_stage: dict[str, list[float]] = defaultdict(list)
    with reading(engine) as session:
        for run in session.exec(select(StageRun).order_by(col(StageRun.id))):
            by_stage[run.stage].append(run.seconds)
    return [StageTime(stage, len(s), sum(s), max(s)) for stage, s in by_stage.items()]


def crawl_figures(engine: Engine) -> CrawlFigures:
    """Sum up the crawls."""
    with reading(engine) as session:
        runs = session.exec(select(CrawlRun)).all()
    return CrawlFigures(
        pages=sum(run.pages for run in runs),
        media_taken=sum(run.media_taken for run in runs),
        media_known=sum(run.media_known for run in runs),
        seconds=sum((run.finished_at - run.started_at).total_seconds() for run in runs if run.finished_at),
    )


def model_ids(engine: Engine) -> tuple[str, ...]:
    """Name the models that the enrolled were read with."""
    with reading(engine) as session:
        return tuple(sorted(session.exec(select(Template.model_id).distinct()).all()))


def _counts(session: Session, column: str) -> Counter[str]:
    return Counter(dict(session.exec(select(column, func.count()).group_by(column)).all()))


def _told_incidents(session: Session) -> dict[str, str]:
    rows = session.exec(
        select(IncidentFinding.finding_id, Incident.id)
        .join(Incident, col(Incident.id) == col(IncidentFinding.incident_id))
        .where(Incident.state == "open")
    )
    return dict(rows.all())


def _outcome(item: MediaItem) -> str:
    if item.state == "failed":
        return item.failed_code or "failed"
    return DONE if item.state == "done" else WAITING


def _paths(urls: Iterable[str | None], base: str) -> list[str]:
    return [urlsplit(url).path for url in urls if url and url.startswith(base + "/")]
