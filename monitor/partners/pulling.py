"""A feed that is fetched by us: what is new in its bucket or folder goes through the one door in.

    1. the files are listed, from where an interrupted round ended (buckets alone have an order)
    2. what was taken or refused before is passed over, by the rows of the feed: no file comes in twice
    3. each new file is read as it comes, sealed, and written down in a transaction of its own
    4. after each lot of files the feed's cursor is moved; at the end of a round it starts anew

So a round that is killed repeats the file that it was at and no other. A file that cannot be read now is left
for the next round, one that is no media keeps its code, and neither stops the others. A file that changed
comes in as another item, by its name, `#`, and its version.

Nothing is kept of a file in which nobody was found but what was listed of it, digested, and its own digest.
`again` finds such files in the list once more, for people who enrolled since (crawlers/retro.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from sqlmodel import col, select

from monitor.db import reading, utc_now, writing
from monitor.errors import (
    BlobMissing,
    FeedError,
    FetchError,
    FetchFailed,
    FetchTimeout,
    MediaError,
    StorageError,
    TooLarge,
)
from monitor.intake import keep, submit_kept
from monitor.intake_many import keep_sealed
from monitor.partners import counting
from monitor.partners.entering import ID_BYTES, Given, Push, enter
from monitor.partners.items import ITEM_KEY, LONGEST_TITLE, PLAIN
from monitor.partners.places import S3
from monitor.partners.pulled_s3 import Bucket
from monitor.partners.pulled_sftp import Folder
from monitor.partners.tables import Feed, FeedItem
from monitor.values import Origin, OriginKind, SourceId

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from monitor.intake import Door, Kept
    from monitor.partners.places import Dial, Found, Place, Store

LOT: Final = 100
"""Files that are looked up at once, and after which the cursor is moved."""

OVERLAP_S: Final = 24 * 3600.0
"""Of a bucket only files are looked up that changed since the last whole round, less this: a large upload has
the date of its beginning."""

LONGEST_KEY: Final = 180
"""Letters of a file's name that are its item's key as they stand; a version is added to some."""

LEAST_RATE: Final = 64 * 2**10
"""Bytes a second that a file must come with, on the whole."""

GRACE_S: Final = 60.0
"""Seconds that even the smallest file may take."""

MOST_IN_VAIN: Final = 5
"""Files in a row that cannot be read, after which it is asked whether the place is still there at all."""

DIGEST: Final = 16


@dataclass(slots=True)
class Pulled:
    """What a round did so far. `failed` are left for the next one; `is_whole` says that it came to an end."""

    seen: int = 0
    known: int = 0
    taken: int = 0
    taken_bytes: int = 0
    failed: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far pulls have come.

    `after` is a name within a round that was interrupted, `since` and `began` are the server's times at the
    beginning of the last whole round and of this one, in seconds since 1970, 0 where it does not say.
    """

    after: str = ""
    since: float = 0.0
    began: float = 0.0

    @classmethod
    def of(cls, text: str) -> Cursor:
        """Read what `text` gave."""
        return cls(**json.loads(text)) if text else cls()

    def text(self) -> str:
        """Give it as it is kept."""
        return json.dumps({"after": self.after, "since": self.since, "began": self.began})


@dataclass(frozen=True, slots=True)
class Before:
    """A file that came in before: `seq`, `body_sha256` and `title` of its FeedItem, `sha256` of its bytes."""

    seq: int
    body_sha256: str
    sha256: str
    title: str | None


def store_of(place: Place, dial: Dial) -> Store:
    """Enter a place. Raises ExtraMissing, HostKeyDiffers, FetchError."""
    return Bucket(place, dial) if place.way == S3 else Folder(place, dial)


def pull(feed: Feed, store: Store, door: Door, said: Callable[[Pulled], object]) -> Pulled:
    """Take in what is new, in one round. `said` hears after each file how far it is.

    Raises FetchError where the place cannot be read, FeedError where the feed may give no more now, and
    StorageError; what came before stays, and the next round goes on from there.
    """
    return _Round(feed, store, door, said).go()


def again(
    feed_id: str, store: Store, door: Door, before: Sequence[Before], said: Callable[[], object]
) -> int:
    """Take files in once more, each item once. Gives how many items came; `said` hears of each.

    A file that is gone, was changed, or cannot be read now is left out, and a copy of it that is among
    `before` is taken in its place. Raises FetchError where the place cannot be read, and StorageError.
    """
    wanted, left, in_vain = {one.body_sha256: one for one in before}, {one.sha256 for one in before}, 0
    every = len(left)
    for found in store.files("") if before else ():
        one = wanted.pop(_body(found), None)
        if one is not None and one.sha256 in left:
            try:
                if _again(feed_id, _coming(found, store, door), one, door):
                    left.discard(one.sha256)
                    said()
                in_vain = 0
            except MediaError:
                in_vain = 0
            except FetchError:
                in_vain += 1
                if in_vain % MOST_IN_VAIN == 0:
                    next(store.files(""), None)  # raises where it is the place, and not these files
        if not left or not wanted:
            break
    return every - len(left)


def _again(feed_id: str, kept: Kept, one: Before, door: Door) -> bool:
    """Hand a file in if it is the one that was looked for."""
    if kept.digest.hex != one.sha256:
        if kept.blob_id is not None:
            door.blobs.delete(kept.blob_id)
        return False
    origin = Origin(OriginKind.PUSH, utc_now(), title=one.title, source_id=SourceId(feed_id))
    submit_kept(kept, origin, door)
    return True


class _Round:
    """One round through a place."""

    def __init__(self, feed: Feed, store: Store, door: Door, said: Callable[[Pulled], object]) -> None:
        self._feed, self._store, self._door, self._said = feed, store, door, said
        self._cursor, self._done, self._in_vain = Cursor.of(feed.cursor), Pulled(), 0

    def go(self) -> Pulled:
        for lot in _lots(self._store.files(self._cursor.after)):
            if not self._cursor.began:
                self._cursor = replace(self._cursor, began=self._store.now() or 0.0)
            self._lot(lot)
            if not self._done.failed:  # what could not be read now is met again
                self._move(replace(self._cursor, after=lot[-1].name))
        self._move(Cursor(since=self._cursor.since if self._done.failed else self._cursor.began))
        self._done.is_whole = True
        return self._done

    def _lot(self, lot: Sequence[Found]) -> None:
        self._done.seen += len(lot)
        recent = [one for one in lot if not self._is_old(one)]
        keys = self._new_keys(recent)
        self._done.known += len(lot) - len(keys)
        for one in recent:
            if one.name in keys and not self._feed.sandbox:
                self._one(one, keys[one.name])
            self._said(self._done)

    def _is_old(self, found: Found) -> bool:
        return bool(self._cursor.since) and found.changed_at < self._cursor.since - OVERLAP_S

    def _new_keys(self, lot: Sequence[Found]) -> dict[str, str]:
        """Give name -> key of an item, of the files that did not come in before."""
        wanted = {key for one in lot for key in _keys(one)}
        query = select(FeedItem.item_key, FeedItem.body_sha256).where(FeedItem.feed_id == self._feed.id)
        with reading(self._door.engine) as session:
            there = dict(session.exec(query.where(col(FeedItem.item_key).in_(wanted))).all())
        new = {}
        for one in lot:
            plain, versioned = _keys(one)
            if there.get(plain) != _body(one) and versioned not in there:
                new[one.name] = versioned if plain in there else plain
        return new

    def _one(self, found: Found, key: str) -> None:
        """Take one file in, refuse it for good, or leave it for the next round."""
        try:
            kept = _coming(found, self._store, self._door)
            kept = kept if kept.data is None else keep_sealed(kept.data, self._door)
        except MediaError as exc:
            self._refuse(found, key, exc.code)
            return
        except FetchError:
            self._done.failed += 1
            self._in_vain += 1
            if self._in_vain % MOST_IN_VAIN == 0:
                next(self._store.files(""), None)  # raises where it is the place, and not these files
            return
        self._in_vain = 0
        self._enter(found, key, kept)

    def _enter(self, found: Found, key: str, kept: Kept) -> None:
        given = Given(key, _body(found), kept, None, None, _title(found))
        blobs = self._door.blobs
        if kept.blob_id is None:
            msg = "nothing was kept of this file"
            raise BlobMissing(msg)
        with blobs.deleted_on_failure(kept.blob_id), writing(self._door.engine) as session:
            entered = enter(session, [Push(self._feed.id, None, None, (given,))], utc_now())[0]
        for blob_id in entered.unused:
            with contextlib.suppress(StorageError):  # jobs.sweep takes what is left
                blobs.delete(blob_id)
        error = entered.error or next((one for one in entered.items if isinstance(one, FeedError)), None)
        if error is not None:
            raise error
        self._done.taken += 1
        self._done.taken_bytes += kept.size_bytes

    def _refuse(self, found: Found, key: str, code: str) -> None:
        self._done.refused[code] = self._done.refused.get(code, 0) + 1
        now = utc_now()
        row = FeedItem(
            id=secrets.token_hex(ID_BYTES),
            feed_id=self._feed.id,
            item_key=key,
            body_sha256=_body(found),
            state="refused",
            code=code,
            title=_title(found),
            attempts=1,
            at=now,
        )
        with writing(self._door.engine) as session:
            here = select(FeedItem.seq).where(FeedItem.feed_id == self._feed.id, FeedItem.item_key == key)
            if session.exec(here).first() is None:
                session.add(row)
                counting.write(session, {(self._feed.id, counting.day_of(now), code): 1})

    def _move(self, cursor: Cursor) -> None:
        self._cursor = cursor
        if self._feed.sandbox:
            return
        with writing(self._door.engine) as session:
            row = session.get(Feed, self._feed.id)
            if row is not None:
                row.cursor = cursor.text()
                session.add(row)


def _lots(files: Iterator[Found]) -> Iterator[list[Found]]:
    while lot := list(islice(files, LOT)):
        yield lot


def _coming(found: Found, store: Store, door: Door) -> Kept:
    """Read one file as it comes. Raises MediaError, FetchError, StorageError."""
    if found.size > door.max_bytes:
        msg = f"{found.size} bytes are more than the {door.max_bytes} that are taken"
        raise TooLarge(msg)
    return keep(_timed(store.pieces(found), found.size), door)


def _timed(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Hand pieces on, for as long as a file of that size may take, and no more than were listed."""
    until, came = time.monotonic() + GRACE_S + size / LEAST_RATE, 0
    for piece in pieces:
        came += len(piece)
        if came > size:
            msg = "more came of a file than was listed: it was changed meanwhile"
            raise FetchFailed(msg)
        if time.monotonic() > until:
            msg = "a file came too slowly"
            raise FetchTimeout(msg)
        yield piece


def _keys(found: Found) -> tuple[str, str]:
    """Give the key of a file, and that of this version of it."""
    is_key = len(found.name) <= LONGEST_KEY and ITEM_KEY.fullmatch(found.name)
    plain = found.name if is_key else "sha256:" + hashlib.sha256(found.name.encode()).hexdigest()
    return plain, f"{plain}#{_body(found)[:DIGEST]}"


def _body(found: Found) -> str:
    """Digest what was listed of a file: another digest is another version."""
    whole = json.dumps([found.name, found.size, found.version])
    return hashlib.sha256(whole.encode()).hexdigest()


def _title(found: Found) -> str | None:
    name = found.name.rpartition("/")[2][:LONGEST_TITLE]
    return name if PLAIN.fullmatch(name) else None
