"""The record of one crawl: counted in memory, written now and then, closed at the end."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlmodel import col, select, update

from crawlers.tables import CrawlRun
from monitor.db import utc_now, writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.values import SourceId

RUNNING, FINISHED, STOPPED, FAILED = "running", "finished", "stopped", "failed"


@dataclass
class Tally:
    """What a crawl has done so far. Changed by the crawl's own thread only.

    `requests` are all that left this machine, robots.txt and answers "not modified" too; `media_copies` media
    known by their looks; `lag_s` the median age of new posts in seconds, None where none said its age.
    """

    pages: int = 0
    pages_unchanged: int = 0
    media_found: int = 0
    media_taken: int = 0
    media_known: int = 0
    media_unchanged: int = 0
    media_copies: int = 0
    requests: int = 0
    bytes_fetched: int = 0
    lag_s: float | None = None
    dropped: Counter[str] = field(default_factory=Counter)
    refused_hosts: dict[str, str] = field(default_factory=dict)

    def columns(self) -> dict[str, Any]:
        """Give the values for a CrawlRun row."""
        plain = self.plain()
        lists = ("dropped", "refused_hosts")
        return plain | {name: json.dumps(plain[name], sort_keys=True) for name in lists}

    def plain(self) -> dict[str, Any]:
        """Give the counts as they are, for a report."""
        return vars(self) | {"dropped": dict(self.dropped), "refused_hosts": dict(self.refused_hosts)}


def begin(engine: Engine, source_id: SourceId) -> str:
    """Open the record of a new run, and close those that a killed process left open. Gives its id."""
    run_id = uuid.uuid4().hex
    with writing(engine) as session:
        left_open = (col(CrawlRun.source_id) == source_id) & (col(CrawlRun.state) == RUNNING)
        session.exec(update(CrawlRun).where(left_open).values(state=STOPPED, finished_at=utc_now()))
        session.add(CrawlRun(id=run_id, source_id=source_id))
    return run_id


def note(session: Session, run_id: str, tally: Tally) -> None:
    """Write the counts so far, in the caller's transaction."""
    session.exec(update(CrawlRun).where(col(CrawlRun.id) == run_id).values(**tally.columns()))


def end(engine: Engine, run_id: str, tally: Tally, state: str, failed: tuple[str, str] | None = None) -> None:
    """Close the record. `failed` is the code and the sentence of what ended the run early."""
    code, reason = failed or (None, None)
    values = tally.columns() | {"failed_code": code, "failed_reason": reason}
    with writing(engine) as session:
        row = update(CrawlRun).where(col(CrawlRun.id) == run_id)
        session.exec(row.values(state=state, finished_at=utc_now(), **values))


def last(session: Session, source_id: str) -> CrawlRun | None:
    """Give the newest run of a source, or None before the first."""
    return next(iter(newest(session, source_id, 1)), None)


def newest(session: Session, source_id: str, most: int) -> Sequence[CrawlRun]:
    """Give the newest runs of a source, the newest first."""
    query = select(CrawlRun).where(CrawlRun.source_id == source_id).order_by(col(CrawlRun.started_at).desc())
    return session.exec(query.limit(most)).all()
