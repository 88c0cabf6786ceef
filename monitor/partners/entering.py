"""The rows of what partners pushed: many messages in one transaction, each item once for ever.

    1. no other process writes for these feeds until the commit
    2. the key still counts, the feed is not paused, the message was not accepted before
    3. an item whose key came before is a duplicate, or refused where it is another item
    4. what is above the number a day is refused
    5. media goes through the one door in; items by address are due for the eyes
    6. rows and counts

Nothing here reads what was found in anything, so no answer can depend on it. Pushed, fetched from a bucket or
come in pieces: whoever has a sealed item hands it to `enter`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlmodel import col, delete, select, update

from monitor.db import one_at_a_time
from monitor.errors import (
    FeedError,
    FeedKeyRevoked,
    FeedPaused,
    ItemKeyTaken,
    LikenessError,
    MessageReplayed,
    QuotaSpent,
)
from monitor.intake_many import enter_many, unless_there
from monitor.partners import counting, feeds, signatures
from monitor.partners.tables import Feed, FeedItem, FeedKey, FeedMessage
from monitor.values import Origin, OriginKind, SourceId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlmodel import Session

    from monitor.intake import Kept
    from monitor.values import BlobId, MediaId

TAKEN: Final = "taken"
FETCH_DUE: Final = "fetch_due"
ARRIVED: Final = "arrived"
WITHDRAWN: Final = "withdrawn"
"""States of a FeedItem that are written here."""

ID_BYTES: Final = 16
"""Random: the id of an item says nothing of its content."""

REMEMBERED: Final = timedelta(seconds=3 * signatures.WINDOW_S)
"""How long a message's id is kept: its time may lie one window ahead and passes until one window after that;
the third one is for clocks that are put right meanwhile."""

USED_EVERY: Final = timedelta(minutes=1)
"""How exactly it is written down when a key was used last."""


@dataclass(frozen=True, slots=True)
class Given:
    """One item to be written down: sealed (`kept`), or to be fetched from `url`.

    `arrived`: it came whole in pieces, and the worker will hold it against its digest (arriving.py).
    """

    key: str
    body_sha256: str
    kept: Kept | None
    url: str | None
    page_url: str | None = None
    title: str | None = None
    arrived: bool = False


@dataclass(frozen=True, slots=True)
class Push:
    """What one message gave, or a part of it; `is_last` says that its id is never accepted again.

    `key_id` and `message_id` are None where nobody signed because we fetched.
    """

    feed_id: str
    key_id: str | None
    message_id: str | None
    items: tuple[Given, ...]
    is_last: bool = True


@dataclass(frozen=True, slots=True)
class Receipt:
    """One item that is written down. `again`: it was before. The partner sees both as the same."""

    key: str
    id: str
    again: bool


@dataclass(slots=True)
class Entered:
    """What became of one push: a receipt or an error for each item, in order; or one error for all of it.

    `unused` are blobs that nothing points to: the caller deletes them after the commit.
    """

    items: list[Receipt | FeedError] = field(default_factory=list)
    error: LikenessError | None = None
    unused: list[BlobId] = field(default_factory=list)


def enter(session: Session, pushes: Sequence[Push], now: datetime) -> list[Entered]:
    """Write down what came, in the order of `pushes`. `session` comes from `db.writing`.

    Raises BlobMissing and SQLAlchemyError: nothing was written then.
    """
    ids = sorted({push.feed_id for push in pushes})
    _alone(session, ids)
    book = _Book.read(session, pushes, ids, now)
    entered = [book.judge(push) for push in pushes]
    media, unused = enter_many(
        session, [(one.given.kept, _origin(one, now)) for one in book.new if one.given.kept is not None]
    )
    if entered:
        entered[-1].unused += unused
    _write(session, book, media, now)
    return entered


def prune(session: Session, now: datetime) -> None:
    """Forget the ids of messages whose time is long over."""
    session.exec(delete(FeedMessage).where(col(FeedMessage.at) < now - REMEMBERED))


@dataclass(frozen=True, slots=True)
class _New:
    feed_id: str
    id: str
    given: Given


@dataclass(slots=True)
class _Book:
    """What is known before these pushes, and what they add to it."""

    now: datetime
    feeds: dict[str, Feed]
    keys: dict[str, FeedKey]
    messages: set[tuple[str, str]]
    items: dict[tuple[str, str], tuple[str, str]]
    today: Counter[str]
    new: list[_New] = field(default_factory=list)
    fresh_messages: list[tuple[str, str]] = field(default_factory=list)
    counts: Counter[counting.Place] = field(default_factory=Counter)
    used: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, session: Session, pushes: Sequence[Push], ids: list[str], now: datetime) -> _Book:
        """Look everything up that these pushes touch, with a handful of queries."""
        by_feed: dict[str, list[Push]] = defaultdict(list)
        for push in pushes:
            by_feed[push.feed_id].append(push)
        key_ids = {push.key_id for push in pushes if push.key_id is not None}
        return cls(
            now,
            {row.id: row for row in session.exec(select(Feed).where(col(Feed.id).in_(ids)))},
            {row.id: row for row in session.exec(select(FeedKey).where(col(FeedKey.id).in_(key_ids)))},
            {one for feed_id, some in by_feed.items() for one in _messages(session, feed_id, some)},
            {
                place: known
                for feed_id, some in by_feed.items()
                for place, known in _items(session, feed_id, some)
            },
            Counter(counting.accepted_today(session, ids, now)),
        )

    def judge(self, push: Push) -> Entered:
        """Say what becomes of one push; what is new is noted for writing."""
        entered = Entered()
        try:
            feed = self._standing(push)
        except FeedError as exc:
            self._count(push.feed_id, exc.code)
            entered.error = exc
            entered.unused = [one.kept.blob_id for one in push.items if one.kept and one.kept.blob_id]
            return entered
        for given in push.items:
            found = self._item(feed, given)
            is_new = isinstance(found, Receipt) and not found.again
            if not is_new and given.kept is not None and given.kept.blob_id is not None:
                entered.unused.append(given.kept.blob_id)
            entered.items.append(found)
        only = entered.items[0] if len(entered.items) == 1 else None
        if push.message_id is not None and push.is_last and not isinstance(only, FeedError):
            self.messages.add((push.feed_id, push.message_id))
            self.fresh_messages.append((push.feed_id, push.message_id))
        if push.key_id is not None:
            self.used.add(push.key_id)
        return entered

    def _standing(self, push: Push) -> Feed:
        """Raise where nothing of this push may be written down at this very moment."""
        feed = self.feeds.get(push.feed_id)
        if feed is None or not feed.enabled:
            msg = "the operator has paused this feed"
            raise FeedPaused(msg, hint="Ask the operator; keep the items until then.")
        if push.key_id is not None:
            key = self.keys.get(push.key_id)
            if key is None or not feeds.counts(key, self.now):
                msg = "the key that signed this was revoked"
                raise FeedKeyRevoked(msg, hint="Sign with the newer key; the operator hands it out.")
        if push.message_id is not None and (push.feed_id, push.message_id) in self.messages:
            raise replayed()
        return feed

    def _item(self, feed: Feed, given: Given) -> Receipt | FeedError:
        known = self.items.get((feed.id, given.key))
        found = self._again(given, *known) if known is not None else self._first(feed, given)
        if isinstance(found, Receipt):
            self._count(feed.id, counting.DUPLICATE if found.again else counting.ACCEPTED)
        else:
            self._count(feed.id, found.code)
        return found

    def _again(self, given: Given, item_id: str, body_sha256: str) -> Receipt | FeedError:
        if body_sha256 == given.body_sha256:
            return Receipt(given.key, item_id, again=True)
        return taken()

    def _first(self, feed: Feed, given: Given) -> Receipt | FeedError:
        if self.today[feed.id] >= feed.per_day:
            return spent(feed.per_day, self.now)
        self.today[feed.id] += 1
        one = _New(feed.id, secrets.token_hex(ID_BYTES), given)
        self.new.append(one)
        self.items[feed.id, given.key] = (one.id, given.body_sha256)
        return Receipt(given.key, one.id, again=False)

    def _count(self, feed_id: str, code: str) -> None:
        self.counts[feed_id, counting.day_of(self.now), code] += 1


def replayed() -> MessageReplayed:
    """Say that a message was accepted before."""
    return MessageReplayed(
        "a message with this webhook-id was accepted already",
        hint="It is safe here. To see its answer, send the same items under a new id.",
    )


def taken() -> ItemKeyTaken:
    """Say that a key belongs to another item."""
    return ItemKeyTaken(
        "this key came before with another item", hint="Give each item a key of its own; nothing was changed."
    )


def spent(per_day: int, now: datetime) -> QuotaSpent:
    """Say that a day's number is used up."""
    tomorrow = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)
    return QuotaSpent(
        f"the {per_day} items a day that were agreed have come", after_s=(tomorrow - now).total_seconds()
    )


def _alone(session: Session, feed_ids: Iterable[str]) -> None:
    """Keep other processes from writing for these feeds, so that looking first and writing then is safe."""
    for feed_id in feed_ids:
        number = int.from_bytes(hashlib.sha256(b"feed:" + feed_id.encode()).digest()[:8], "big", signed=True)
        one_at_a_time(session, number)


def _messages(session: Session, feed_id: str, pushes: Sequence[Push]) -> Iterable[tuple[str, str]]:
    ids = {push.message_id for push in pushes if push.message_id is not None}
    query = select(FeedMessage.feed_id, FeedMessage.message_id).where(FeedMessage.feed_id == feed_id)
    return session.exec(query.where(col(FeedMessage.message_id).in_(ids))).all() if ids else ()


def _items(
    session: Session, feed_id: str, pushes: Sequence[Push]
) -> Iterable[tuple[tuple[str, str], tuple[str, str]]]:
    keys = {given.key for push in pushes for given in push.items}
    query = select(FeedItem.item_key, FeedItem.id, FeedItem.body_sha256).where(FeedItem.feed_id == feed_id)
    for key, item_id, body_sha256 in session.exec(query.where(col(FeedItem.item_key).in_(keys))):
        yield (feed_id, key), (item_id, body_sha256)


def _origin(one: _New, now: datetime) -> Origin:
    given = one.given
    return Origin(OriginKind.PUSH, now, given.url, given.page_url, given.title, SourceId(one.feed_id))


def _write(session: Session, book: _Book, media: dict[str, MediaId], now: datetime) -> None:
    rows = [_row(one, media, now) for one in book.new]
    if rows:
        session.connection().execute(FeedItem.__table__.insert(), rows)  # type: ignore[attr-defined]
    said = [{"feed_id": feed_id, "message_id": one, "at": now} for feed_id, one in book.fresh_messages]
    if said:
        session.execute(unless_there(session, FeedMessage), said)
    counting.write(session, book.counts)
    stale = [key.id for key in book.keys.values() if key.id in book.used and _is_stale(key, now)]
    if stale:
        session.exec(update(FeedKey).where(col(FeedKey.id).in_(stale)).values(used_at=now))


def _is_stale(key: FeedKey, now: datetime) -> bool:
    return key.used_at is None or now - key.used_at > USED_EVERY


def _row(one: _New, media: dict[str, MediaId], now: datetime) -> dict[str, object]:
    given = one.given
    digest = None if given.kept is None else given.kept.digest.hex
    state = TAKEN if digest is not None else ARRIVED if given.arrived else FETCH_DUE
    return {
        "id": one.id,
        "feed_id": one.feed_id,
        "item_key": given.key,
        "body_sha256": given.body_sha256,
        "state": state,
        "url": given.url,
        "page_url": given.page_url,
        "title": given.title,
        "media_id": None if digest is None else media[digest],
        "sha256": digest,
        "attempts": 0,
        "next_try_at": now if state == FETCH_DUE else None,
        "at": now,
    }
