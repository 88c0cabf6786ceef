"""What was looked at before, beside one crawl (scratch.py), written to the database behind its back.

A crawl decides by itself and never waits for the database. What happened is written in batches by one
thread; a crawl that is killed loses at most the last batch, and those addresses are simply looked at
again, for intake knows their content.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select

from crawlers.canonical import canonical
from crawlers.cursors import CursorBook, read_cursors
from crawlers.scratch import Rows
from crawlers.tables import SeenUrl
from monitor.db import reading, utc_now
from monitor.errors import RateLimited, StorageError, StorageFull, retryable_codes
from monitor.tables import GalleryEvent, MediaItem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.values import SourceId

PAGE: Final = "page"
MEDIA: Final = "media"
TAKEN: Final = "taken"
GONE: Final = "gone"
UNCHANGED: Final = "unchanged"
LOOKED: Final = frozenset({TAKEN, UNCHANGED})

RECHECK: Final = timedelta(days=1)
"""Media with validators are asked for again, conditionally, no sooner than this: their address may hold
another picture by then."""

REFETCH: Final = timedelta(days=7)
"""Media without validators, and what was refused for good, are asked for again no sooner than this."""

RELOOK: Final = timedelta(days=1)
"""Media looked at before somebody enrolled are fetched again for them, in scheduled runs no sooner than
this after the last look, so that frequent enrolments do not load a site again and again. A run by hand
does it at once."""

MAX_ATTEMPTS: Final = 5
"""Failed fetches in a row after which an address waits for REFETCH like one that was refused for good."""

LONGEST_VALIDATOR: Final = 512
"""Characters of an ETag or date that are kept and sent back; longer ones are not validators."""

AT_ONCE: Final = 500
"""Rows of the database in memory at once while a book is read."""

LONGEST_REASON: Final = 300
"""Characters of a reason that are kept for the operator."""


RETRYABLE: Final = retryable_codes()
"""Every stable code of an error that doing the same again later can cure."""

ROBOTS_SAID_NO: Final = "robots"

NOT_ITS_FAULT: Final = frozenset(
    {StorageFull.code, StorageError.code, RateLimited.code, ROBOTS_SAID_NO, "robots_unreadable"}
)
"""Our own full disk, a robots.txt, or a host that wants to be asked later: the address itself was not asked,
so it is asked in the next run."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The last look at one address. `gallery_seq` is how far the gallery had read when it was matched."""

    url: str
    part: str
    code: str
    looked_at: datetime
    page_url: str | None = None
    title: str | None = None
    reason: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    sha256: str | None = None
    media_id: str | None = None
    shows: bytes | None = None
    attempts: int = 0
    gallery_seq: int | None = None

    @property
    def conditions(self) -> dict[str, str]:
        """The headers that ask "only if it has changed", or nothing where the server gave no validator."""
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in pairs.items() if value}


def key_of(url: str) -> str:
    """Give the key of an address, however it is written: SHA-256 of its canonical form, in hex."""
    return hashlib.sha256(canonical(url).encode()).hexdigest()


class SeenBook:
    """All addresses of one source. Used by the crawl's own thread; `take_batch` by the writer's too.

    `cursors` say how far each line of pages was read. `on_noted`, where it is set, hears the address of
    each file once its look is noted, however it went.
    """

    def __init__(
        self,
        source_id: SourceId,
        rows: Mapping[str, Seen] | Iterable[tuple[str, Seen]],
        newest_add: int,
        *,
        by_hand: bool,
    ) -> None:
        """Keep what `read_book` read. `newest_add` is the sequence number of the last enrolment."""
        self.source_id, self.newest_add, self._by_hand = source_id, newest_add, by_hand
        self._rows = Rows(_FIELDS, frozenset({"looked_at"}))
        pairs = rows.items() if isinstance(rows, Mapping) else rows
        self._rows.fill((key, _values(one)) for key, one in pairs)
        self.cursors = CursorBook(source_id, {})
        self._batch: dict[str, Seen] = {}
        self._lock = threading.Lock()
        self.on_noted: Callable[[str], object] | None = None

    def ask(self, url: str, part: str, changed_at: datetime | None = None) -> dict[str, str] | None:
        """Say whether to ask for an address now: None for no, else the conditional headers to send.

        `changed_at` is when its platform says that the file was last changed.
        """
        seen = self._row(key_of(url))
        if seen is None or (part == PAGE and seen.shows is None):
            return {}
        if part == MEDIA and changed_at is not None and seen.looked_at < changed_at <= utc_now():
            return seen.conditions
        return seen.conditions if part == PAGE else self._ask_media(seen, utc_now() - seen.looked_at)

    def _ask_media(self, seen: Seen, age: timedelta) -> dict[str, str] | None:
        if seen.code not in LOOKED:
            soon = seen.code in NOT_ITS_FAULT or (seen.code in RETRYABLE and seen.attempts < MAX_ATTEMPTS)
            return seen.conditions if soon or age >= REFETCH else None
        if self._missed_somebody(seen) and (self._by_hand or age >= RELOOK):
            return {}
        conditions = seen.conditions
        return conditions if age >= (RECHECK if conditions else REFETCH) else None

    def _missed_somebody(self, seen: Seen) -> bool:
        return seen.gallery_seq is not None and seen.gallery_seq < self.newest_add

    def unfinished(self) -> list[Seen]:
        """Give the files that could not be had for a reason that passes: a platform shows each only once."""
        files = (Seen(*values) for _, values in self._rows.where("part", MEDIA))
        return [one for one in files if self.passes(one)]

    def passes(self, seen: Seen) -> bool:
        """Say whether a failure is one that the next run may not meet."""
        asked_in_vain = seen.code in RETRYABLE and seen.attempts < MAX_ATTEMPTS
        return asked_in_vain or seen.code in NOT_ITS_FAULT - {ROBOTS_SAID_NO}

    def gone(self, page_url: str) -> bool:
        """Note that a post was deleted: what was taken of it stays, and is not asked for any more.

        False where nothing is known of the post, or that it is gone.
        """
        posted = [(key, Seen(*values)) for key, values in self._rows.where("page_url", page_url)]
        known = [(key, one) for key, one in posted if one.code != GONE]
        for key, one in known:
            self._put(key, replace(one, code=GONE, reason="deleted, says its platform"))
        return bool(known)

    def _row(self, key: str) -> Seen | None:
        values = self._rows.get(key)
        return None if values is None else Seen(*values)

    def seen(self, url: str) -> Seen | None:
        """Give the last look at an address, or None."""
        return self._row(key_of(url))

    def shows(self, url: str) -> bytes | None:
        """Give what a page showed when it was last read, packed."""
        seen = self._row(key_of(url))
        return None if seen is None else seen.shows

    def looked(self, url: str, part: str, code: str, **facts: Any) -> None:  # noqa: ANN401 - the fields of Seen
        """Note a look that gave something: `facts` are fields of Seen."""
        key = key_of(url)
        before = self._row(key)
        kept = Seen(url, part, code, utc_now()) if before is None or code == TAKEN else before
        self._put(key, replace(kept, url=url, part=part, code=code, looked_at=utc_now(), attempts=0, **facts))

    def failed(self, url: str, part: str, code: str, reason: str, **facts: Any) -> None:  # noqa: ANN401 - the fields of Seen
        """Note a look that failed. What an earlier look gave is kept, so that it can still be compared.

        `facts` are `page_url` and `title`, for an address that is new.
        """
        key = key_of(url)
        before = self._row(key) or replace(Seen(url, part, code, utc_now()), **facts)
        attempts = before.attempts + (0 if code in NOT_ITS_FAULT else 1)
        note = reason[:LONGEST_REASON]
        self._put(key, replace(before, code=code, reason=note, looked_at=utc_now(), attempts=attempts))

    def _put(self, key: str, seen: Seen) -> None:
        self._rows.put(key, _values(seen))
        with self._lock:
            self._batch[key] = seen
        if seen.part == MEDIA and self.on_noted is not None:
            self.on_noted(seen.url)

    def take_batch(self) -> dict[str, Seen]:
        """Take what is not written yet."""
        with self._lock:
            batch, self._batch = self._batch, {}
        return batch

    def give_back(self, batch: dict[str, Seen]) -> None:
        """Take back a batch that could not be written; newer looks win."""
        with self._lock:
            self._batch = batch | self._batch

    def write(self, session: Session, batch: dict[str, Seen]) -> None:
        """Write a batch in the caller's transaction."""
        if batch:
            rows = [
                {"source_id": self.source_id, "url_key": key, **_columns(one)} for key, one in batch.items()
            ]
            session.connection().execute(_upsert(session.get_bind().dialect.name), rows)


_KEY = ("source_id", "url_key")
_FIELDS = tuple(one.name for one in fields(Seen))
_COLUMNS = tuple(name for name in _FIELDS if name != "gallery_seq")


def _values(seen: Seen) -> tuple[Any, ...]:
    return tuple(getattr(seen, name) for name in _FIELDS)


def _columns(seen: Seen) -> dict[str, Any]:
    return {name: getattr(seen, name) for name in _COLUMNS} | {"first_seen_at": seen.looked_at}


def _upsert(dialect: str) -> Any:  # noqa: ANN401 - two classes of the same interface
    table = SeenUrl.__table__  # type: ignore[attr-defined]  # SQLModel makes it
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    return insert.on_conflict_do_update(
        index_elements=list(_KEY), set_={name: insert.excluded[name] for name in _COLUMNS}
    )


def read_book(engine: Engine, source_id: SourceId, *, by_hand: bool) -> SeenBook:
    """Read everything that is known of a source's addresses, and its cursors."""
    known = select(SeenUrl, MediaItem.gallery_seq).join(
        MediaItem, col(MediaItem.id) == col(SeenUrl.media_id), isouter=True
    )
    with reading(engine) as session:
        found = session.exec(known.where(SeenUrl.source_id == source_id).execution_options(yield_per=AT_ONCE))
        adds = select(func.max(GalleryEvent.seq)).where(GalleryEvent.kind == "add")
        rows = (
            (row.url_key, Seen(**{name: getattr(row, name) for name in _COLUMNS}, gallery_seq=gallery_seq))
            for row, gallery_seq in found
        )
        book = SeenBook(source_id, rows, 0, by_hand=by_hand)
        book.newest_add = session.exec(adds).one() or 0
    book.cursors = read_cursors(engine, source_id)
    return book
