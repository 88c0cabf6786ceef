"""The rows of partner feeds. None says whether anybody was found in what a partner pushed.

A partner is answered from these rows alone, so that no answer can depend on a match.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from monitor.db import utc_now
from monitor.tables import SEQUENCE, moment


def of_feed(*, primary_key: bool = False) -> Column[str]:
    """Make a column that ties a row to its feed: it goes when the feed is removed."""
    return Column(
        ForeignKey("feed.id", ondelete="CASCADE"), nullable=False, index=True, primary_key=primary_key
    )


class Partner(SQLModel, table=True):
    """Who pushes: a platform, an agency. `contact` is whom the operator writes to."""

    __tablename__ = "partner"
    id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    contact: str
    contract: str = ""
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class Feed(SQLModel, table=True):
    """One stream of media of one partner.

    `way` is push, s3 or sftp. A `sandbox` feed validates and keeps nothing. `scopes` is comma-separated, of
    items (push media), urls (push addresses), uploads (large files), takedowns (report removals).
    `per_second`, `burst` and `per_day` are its quotas, in items. `pull` is sealed JSON of a pull feed: where
    it is and how to enter. `cursor` is how far a pull has come, `pulled_at` when the last round ended,
    `pull_failures` how many failed in a row, `pull_said` what the last one gave (pull_times.py).
    """

    __tablename__ = "feed"
    id: str = Field(primary_key=True)
    partner_id: str = Field(
        sa_column=Column(ForeignKey("partner.id", ondelete="CASCADE"), nullable=False, index=True)
    )
    name: str = Field(unique=True)
    way: str = "push"
    sandbox: bool = False
    enabled: bool = True
    scopes: str = "items,urls,uploads,takedowns"
    per_second: float = 50.0
    burst: int = 500
    per_day: int = Field(default=1_000_000, sa_column=Column(BigInteger, nullable=False))
    hosts: str = ""
    pull: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    pull_every_s: int = 900
    cursor: str = ""
    pulled_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    pull_failures: int = 0
    pull_said: str = ""
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())


class FeedKey(SQLModel, table=True):
    """One key that a partner signs with. `scheme` is hmac or ed25519.

    Of hmac, `wrapped` is the shared secret under a key-encryption key; of ed25519 only `public` is here.
    Several may be in force at once: that is how a key is changed without downtime.
    """

    __tablename__ = "feed_key"
    id: str = Field(primary_key=True)
    feed_id: str = Field(sa_column=of_feed())
    scheme: str
    public: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    wrapped: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    kek_id: str | None = Field(default=None, index=True)
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())
    expires_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    revoked_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    used_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))


class FeedMessage(SQLModel, table=True):
    """A signed message that was accepted: its id is never accepted again while its time would pass."""

    __tablename__ = "feed_message"
    feed_id: str = Field(sa_column=of_feed(primary_key=True))
    message_id: str = Field(primary_key=True)
    at: datetime = Field(default_factory=utc_now, sa_column=moment(index=True))


class FeedItem(SQLModel, table=True):
    """One item that a feed gave. `item_key` is the partner's idempotency key, once for ever within a feed.

    `body_sha256` is of what was sent under the key: the same key with another body is refused. `state` is
    taken, arrived, fetch_due, fetched, refused or withdrawn; `code` says why where it was refused.
    """

    __tablename__ = "feed_item"
    __table_args__ = (
        UniqueConstraint("feed_id", "item_key"),
        Index("ix_feed_item_due", "state", "next_try_at"),
    )
    seq: int | None = Field(default=None, sa_column=Column(SEQUENCE, primary_key=True, autoincrement=True))
    id: str = Field(unique=True)
    feed_id: str = Field(sa_column=of_feed())
    item_key: str
    body_sha256: str
    state: str
    code: str | None = None
    url: str | None = None
    page_url: str | None = None
    title: str | None = None
    media_id: str | None = Field(default=None, index=True)
    sha256: str | None = Field(default=None, index=True)
    attempts: int = 0
    next_try_at: datetime | None = Field(default=None, sa_column=moment(nullable=True))
    at: datetime = Field(default_factory=utc_now, sa_column=moment(index=True))


class FeedUpload(SQLModel, table=True):
    """A large file that comes in pieces (tus). Every piece is sealed as it comes; none can be opened here.

    `blob_id` is the growing sealed blob of monitor/blobs.py; `offset` how many bytes of the file it holds;
    `seal_state` how many parts and sealed bytes that is (uploads.py): what lies behind them came of a crash.
    Without `blob_id` the file was taken over, or is of a sandbox.
    """

    __tablename__ = "feed_upload"
    id: str = Field(primary_key=True)
    feed_id: str = Field(sa_column=of_feed())
    item_key: str
    size_bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    offset: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    meta: str = "{}"
    blob_id: str | None = None
    seal_state: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=moment())
    expires_at: datetime = Field(sa_column=moment(index=True))


class FeedCount(SQLModel, table=True):
    """What came of a feed's requests on one day: `code` is accepted, duplicate, or the code of a refusal."""

    __tablename__ = "feed_count"
    feed_id: str = Field(sa_column=of_feed(primary_key=True))
    day: str = Field(primary_key=True)
    code: str = Field(primary_key=True)
    count: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))


class Takedown(SQLModel, table=True):
    """What a partner told us about an item of its own: removed, refused, restored. Shown with the finding."""

    __tablename__ = "takedown"
    id: str = Field(primary_key=True)
    feed_id: str = Field(sa_column=of_feed())
    item_key: str
    status: str
    note: str = ""
    at: datetime = Field(default_factory=utc_now, sa_column=moment())
