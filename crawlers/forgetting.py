"""Forgets addresses that were not met for as long as their source says, and old records of its runs.

What is forgotten is an address and what came of it. Media that were taken and findings live by their own
rules.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlmodel import col, delete, select

from crawlers.tables import CrawlRun, SeenUrl, Source
from monitor.db import reading, writing

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine

BATCH: Final = 500
"""Rows in one transaction: a few milliseconds, so that crawls hardly wait."""


def forget(engine: Engine, now: datetime, *, batches: int = 100) -> int:
    """Delete what is older than `Source.keep_days`, in `batches` transactions at most; count the rows."""
    with reading(engine) as session:
        kept = session.exec(select(Source.id, Source.keep_days).order_by(Source.id)).all()
    gone = 0
    for source_id, keep_days in kept:
        before = now - timedelta(days=keep_days)
        for part in (_addresses, _runs):
            while batches > 0:
                batches -= 1
                went = part(engine, source_id, before)
                gone += went
                if went < BATCH:
                    break
    return gone


def _addresses(engine: Engine, source_id: str, before: datetime) -> int:
    old = select(SeenUrl.url_key).where(SeenUrl.source_id == source_id, col(SeenUrl.looked_at) < before)
    with writing(engine) as session:
        found = session.exec(old.limit(BATCH)).all()
        this = (col(SeenUrl.source_id) == source_id) & col(SeenUrl.url_key).in_(found)
        # looked at again in the meantime: kept
        session.exec(delete(SeenUrl).where(this, col(SeenUrl.looked_at) < before))
    return len(found)


def _runs(engine: Engine, source_id: str, before: datetime) -> int:
    """Delete old runs, but never the newest one: it says how the source is."""
    of_source = select(CrawlRun.id).where(CrawlRun.source_id == source_id)
    with writing(engine) as session:
        newest = session.exec(of_source.order_by(col(CrawlRun.started_at).desc()).limit(1)).first()
        old = of_source.where(col(CrawlRun.started_at) < before, col(CrawlRun.id) != newest)
        found = session.exec(old.limit(BATCH)).all()
        session.exec(delete(CrawlRun).where(col(CrawlRun.id).in_(found)))
    return len(found)
