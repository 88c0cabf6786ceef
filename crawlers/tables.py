"""The rows of the eyes: where to look, what was seen there, and how each look went.

No row here says anything about a person: an address, a digest, a code and a time.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary
from sqlmodel import Field, SQLModel

from monitor.db import utc_now
from monitor.tables import moment

SOURCE = "source.id"


def of_source(*, primary_key: bool = False) -> Column[str]:
    """Make a column that ties a row to its source: it goes when the source is removed."""
    return Column(ForeignKey(SOURCE, ondelete="CASCADE"), nullable=False, index=True, primary_key=primary_key)


class Source(SQLModel, table=True):
    """One web site, feed or platform to watch. `kind` is `site` or one of crawlers/platforms/registry.py.

    `basis` says why we may look (platforms/interfaces.Basis), `basis_note` where that is written down.
    `options` is JSON, text -> text, of this kind alone. `collects` names the kinds of media that are taken,
    comma-separated; `keep_days` is how long an address is remembered after it was last met.
    `interval_s` is the cadence in force, adapted between the limits of crawlers/cadence.py; `due_at` when it
    is looked at next, None for at once; `failures` how many looks failed in a row.

    `allow_private` lets the crawler reach this very host and port though its address is not public; it
    is meant for a site on this machine and is shown with a warning wherever the source is shown.
    """

    __tablename__ = "source"
    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    url: str
    kind: str = "site"
    options: str = "{}"
    basis: str = "robots"
    basis_note: str = ""
    collects: str = "image,video,audio"
    keep_days: int = 90
    allow_http: bool = False
    allow_private: bool = False
    cadence_s: int = 6 * 3600
    interval_s: int | None = None
    due_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    failures: int = 0
    delay_s: float = 0.25
    max_pages: int = 500
    depth: int = 5
    enabled: bool = True
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class SeenUrl(SQLModel, table=True):
    """What the last look at one address gave.

    `url_key` is the SHA-256, in hex, of the one way to write `url` (canonical.py), so that a long one fits an
    index. `part` is `page` or `media`. `code` is `taken`, `unchanged` or the stable code of what went wrong.
    `shows` holds the packed links of a page, so that an answer "not modified" still leads to what it showed.
    """

    __tablename__ = "seen_url"
    __table_args__ = (Index("ix_seen_url_part", "source_id", "part"),)
    source_id: str = Field(sa_column=of_source(primary_key=True))
    url_key: str = Field(primary_key=True)
    url: str
    part: str
    code: str
    reason: str | None = None
    page_url: str | None = None
    title: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    sha256: str | None = None
    media_id: str | None = Field(default=None, index=True)
    shows: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    attempts: int = 0
    first_seen_at: datetime = Field(default_factory=utc_now, sa_column=moment())
    looked_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class CrawlRun(SQLModel, table=True):
    """One look at one source. `state` is running, finished, stopped or failed.

    A run whose process was killed stays `running` until the next run of its source marks it `stopped`.
    `media_copies` counts media that were known by their looks; `lag_s` is the middle age, in seconds, of the
    posts that were new when they were read, where the source says when they were posted.
    `dropped` is JSON, code -> how often; `refused_hosts` is JSON, host -> why, for hosts whose
    robots.txt could not be read and that were therefore left alone in this run.
    """

    __tablename__ = "crawl_run"
    id: str = Field(primary_key=True)
    source_id: str = Field(sa_column=of_source())
    state: str = "running"
    started_at: datetime = Field(default_factory=utc_now, sa_column=moment(index=True))
    finished_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    pages: int = 0
    pages_unchanged: int = 0
    media_found: int = 0
    media_taken: int = 0
    media_known: int = 0
    media_unchanged: int = 0
    media_copies: int = 0
    requests: int = 0
    bytes_fetched: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    lag_s: float | None = None
    dropped: str = "{}"
    refused_hosts: str = "{}"
    failed_code: str | None = None
    failed_reason: str | None = None


class SourceCursor(SQLModel, table=True):
    """How far one line of pages of a source was read: `tag` and `value` are the platform's own words."""

    __tablename__ = "source_cursor"
    source_id: str = Field(sa_column=of_source(primary_key=True))
    tag: str = Field(primary_key=True)
    value: str
    at: datetime = Field(default_factory=utc_now, sa_column=moment())


class RetroScan(SQLModel, table=True):
    """One second look at what was seen lately, for people who enrolled since. `state` is running or done.

    `upto_seq` is the newest enrolment that it serves; `after_key` how far it has come, so that a killed one
    goes on.
    """

    __tablename__ = "retro_scan"
    id: str = Field(primary_key=True)
    upto_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    state: str = "running"
    after_key: str = ""
    fetched: int = 0
    failed: int = 0
    started_at: datetime = Field(default_factory=utc_now, sa_column=moment())
    ended_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
