"""What happens to a partner's message, step by step. Every call blocks, and runs in a thread.

    1. who signed it, and is that allowed          admission.py
    2. not faster than agreed                      buckets.py
    3. what it says                                items.py
    4. each file judged by its first bytes, digested and sealed: nobody here can open it again
    5. rows, together with others' in one commit   recorder.py, entering.py

The answer is made of 5 alone. Whether the same picture was seen before, whether anybody is on it: the same
steps are taken, and the same bytes are sealed and stored, in any case.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import SQLAlchemyError

from monitor import subject_keys
from monitor.db import reading, utc_now, writing
from monitor.errors import EmptyMedia, FeedError, KeyMissing, LikenessError, StorageError, TooLarge
from monitor.intake import Door, kind_of
from monitor.intake_many import keep_sealed
from monitor.partners import counting, items, takedowns, tus
from monitor.partners.admission import Admitted, OpenFeeds, admit, check_scope
from monitor.partners.buckets import Buckets
from monitor.partners.entering import Entered, Given, Push, Receipt
from monitor.partners.recorder import Recorder
from monitor.partners.sandbox import Sandbox
from monitor.partners.takedowns import Report
from monitor.partners.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.partners.items import Item
    from monitor.partners.tables import FeedUpload
    from monitor.partners.uploads import Piece

LINES_TOGETHER: Final = 64
"""Lines of a batch that are sealed and then committed together: others need not wait for the whole batch."""

MOST_CONTENT: Final = 64 * 2**20
"""Bytes of one file in a body. A body is held in memory until its signature is verified; larger files come in
pieces."""

DAYS_SHOWN: Final = 7


@dataclass(frozen=True, slots=True)
class Call:
    """One request: the feed that its path names, its headers, its body."""

    feed: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The header as it came."""
        return self.headers.get("content-type", "")


@dataclass(frozen=True, slots=True)
class LineAnswer:
    """What became of one line of a batch: a receipt, or an error and the key where it could be read."""

    line: int
    key: str | None
    found: Receipt | LikenessError


class Reception:
    """Takes messages. One for the whole process; safe for many threads."""

    def __init__(self, engine: Engine, keks: KeyEncryptionKeys, blobs: BlobStore, max_bytes: int) -> None:
        """Join the parts. `max_bytes` is the largest file that the watch takes at all."""
        self._engine, self._keks, self._blobs = engine, keks, blobs
        self.most_content = min(max_bytes, MOST_CONTENT)
        self.feeds = OpenFeeds(engine, keks)
        self.tally = counting.Tally()
        self.recorder = Recorder(engine, blobs, self.tally)
        self._buckets = Buckets()
        self._sandbox = Sandbox()
        self.uploads = Uploads(engine, blobs, self._sandbox, max_bytes)
        self._opening = threading.Lock()
        self._door: Door | None = None

    def admit(self, call: Call) -> Admitted:
        """Step 1. Raises SignatureRefused and FeedPaused; refusals are counted."""
        feed = self.feeds.get(call.feed)
        try:
            return admit(feed, call.headers, call.body)
        except FeedError as exc:
            if feed is not None:
                self.count(feed.id, exc)
            raise

    def admit_upload(self, call: Call, *, begins: bool = False) -> Admitted:
        """Let a request about an upload in: its `body` is the statement that was signed. Raises FeedError."""
        who = self.admit(call)
        with self.counted(who):
            check_scope(who.feed, "uploads")
            tus.check_version(call.headers)
            if begins:
                self._buckets.take(who.feed.id, 1, who.feed.per_second, who.feed.burst)
        return who

    def begin_upload(self, call: Call) -> FeedUpload:
        """Begin an upload. Raises FeedError, MediaError."""
        who = self.admit_upload(call, begins=True)
        with self.counted(who):
            return self.uploads.create(who, tus.wish_of(call.headers, self.uploads.most))

    def end_upload(self, call: Call, upload_id: str) -> None:
        """Forget an unfinished upload. Raises FeedError."""
        who = self.admit_upload(call)
        with self.counted(who):
            self.uploads.end(who, upload_id)

    def upload(self, call: Call, upload_id: str) -> FeedUpload:
        """Say how far an upload is. Raises FeedError."""
        who = self.admit_upload(call)
        return self.uploads.find(who.feed.id, upload_id)

    def piece(self, call: Call, upload_id: str) -> Piece:
        """Begin to take a piece; the caller closes it. Raises FeedError, StorageError."""
        who = self.admit_upload(call)
        with self.counted(who):
            offset = tus.number_in(call.headers, "upload-offset")
            tus.checksum_in(call.headers)
            return self.uploads.piece(who, upload_id, offset, self._opened().sealer)

    def counted(self, who: Admitted) -> _Counted:
        """Count what is refused in the block."""
        return _Counted(self, who.feed.id)

    def one(self, call: Call) -> Future[Entered]:
        """Take one item. The future has its end after the commit.

        Raises FeedError and MediaError: it is not taken.
        """
        who = self.admit(call)
        with _Counted(self, who.feed.id):
            feed = who.feed
            self._buckets.take(feed.id, 1, feed.per_second, feed.burst)
            if call.content_type.startswith("multipart/"):
                item = items.of_multipart(call.body, call.content_type, feed.hosts)
            else:
                item = items.of_json(call.body, feed.hosts)
            given = self._given(item, who)
        return self._record(who, (given,), is_last=True)

    def batch(self, call: Call) -> list[LineAnswer]:
        """Take a batch, each line with its own end. Raises FeedError where none of it is taken."""
        who = self.admit(call)
        lines = call.body.count(b"\n") + (not call.body.endswith(b"\n"))
        with _Counted(self, who.feed.id):
            if lines > items.MOST_LINES:
                msg = f"a batch has at most {items.MOST_LINES} lines"
                raise TooLarge(msg, hint="Send several batches.")
            self._buckets.take(who.feed.id, lines, who.feed.per_second, who.feed.burst)
        answers: list[LineAnswer] = []
        coming = items.lines_of(call.body)
        while some := list(islice(coming, LINES_TOGETHER)):
            answers += self._lines(who, some)
        self._ended(self._record(who, (), is_last=True).result())
        return answers

    def takedown(self, call: Call) -> Report:
        """Write down a report. Raises FeedError."""
        who = self.admit(call)
        with _Counted(self, who.feed.id):
            check_scope(who.feed, "takedowns")
            self._buckets.take(who.feed.id, 1, who.feed.per_second, who.feed.burst)
            report = takedowns.of_json(call.body)
            push = Push(who.feed.id, who.key_id, who.message_id, ())
            if who.feed.sandbox:
                if not self._sandbox.knows(who.feed.id, report.key):
                    raise takedowns.unknown()
                self._ended(self._sandbox.enter(push))
                return report
            try:
                with writing(self._engine) as session:
                    takedowns.write(session, push, report, utc_now())
            except SQLAlchemyError as exc:
                msg = "the database did not take the report"
                raise StorageError(msg, hint="Send the same again later.") from exc
        return report

    def status(self, call: Call) -> dict[str, object]:
        """Say how a feed is doing: what its partner may know. Raises SignatureRefused."""
        feed = self.admit(call).feed
        now = utc_now()
        with reading(self._engine) as session:
            days = counting.days(session, feed.id, now, DAYS_SHOWN)
        today = days[0][1].get(counting.ACCEPTED, 0)
        return {
            "feed": feed.name,
            "sandbox": feed.sandbox,
            "scopes": sorted(feed.scopes),
            "hosts": list(feed.hosts),
            "limits": {
                "per_second": feed.per_second,
                "burst": feed.burst,
                "per_day": feed.per_day,
                "left_today": max(0, feed.per_day - today),
                "content_bytes": self.most_content,
                "upload_bytes": self.uploads.most,
                "batch_lines": items.MOST_LINES,
            },
            "days": [_day(name, counts) for name, counts in days],
        }

    def count(self, feed_id: str, error: LikenessError) -> None:
        """Count a refusal; it is written down within seconds."""
        self.tally.add(feed_id, error.code, utc_now())
        self.recorder.nudge()

    def close(self) -> None:
        """Write down what waits."""
        self.recorder.close()

    def _lines(self, who: Admitted, lines: Sequence[tuple[int, bytes]]) -> Iterable[LineAnswer]:
        """Seal and commit some lines. Gives their ends, in order."""
        given: dict[int, Given] = {}
        refused: dict[int, LineAnswer] = {}
        for number, raw in lines:
            try:
                given[number] = self._given(items.of_json(raw, who.feed.hosts), who)
            except StorageError:
                raise
            except LikenessError as exc:
                self.count(who.feed.id, exc)
                refused[number] = LineAnswer(number, items.key_in(raw), exc)
        entered = self._ended(self._record(who, tuple(given.values()), is_last=False).result())
        for (number, one), found in zip(given.items(), entered.items, strict=True):
            refused[number] = LineAnswer(number, one.key, found)
        return [refused[number] for number, _ in lines]

    def _given(self, item: Item, who: Admitted) -> Given:
        """Judge and seal one item. Raises ScopeMissing, EmptyMedia, TooLarge, NotMedia, StorageError."""
        content = item.content
        check_scope(who.feed, "urls" if content is None else "items")
        kept = None
        if content is not None:
            _check_size(len(content), self.most_content)
            if who.feed.sandbox:
                kind_of(content)
            else:
                kept = keep_sealed(content, self._opened())
        return Given(item.key, item.body_sha256, kept, item.url, item.page_url, item.title)

    def _record(self, who: Admitted, given: tuple[Given, ...], *, is_last: bool) -> Future[Entered]:
        push = Push(who.feed.id, who.key_id, who.message_id, given, is_last)
        if not who.feed.sandbox:
            return self.recorder.record(push)
        entered = self._sandbox.enter(push)
        for found in entered.items:
            self.tally.add(who.feed.id, _code_of(found), utc_now())
            self.recorder.nudge()
        future: Future[Entered] = Future()
        future.set_result(entered)
        return future

    def _ended(self, entered: Entered) -> Entered:
        if entered.error is not None:
            raise entered.error
        return entered

    def _opened(self) -> Door:
        """Open the door at the first item: only then must there be something to seal to."""
        with self._opening:
            if self._door is None:
                try:
                    sealer = subject_keys.intake_sealer(self._engine)
                except KeyMissing:
                    subject_keys.ensure_service_keys(self._engine, self._keks)
                    sealer = subject_keys.intake_sealer(self._engine)
                self._door = Door(self._engine, self._blobs, sealer, self.most_content)
            return self._door


class _Counted:
    """Counts what is refused inside the block, for its feed."""

    def __init__(self, reception: Reception, feed_id: str) -> None:
        self._reception, self._feed_id = reception, feed_id

    def __enter__(self) -> None:
        return

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, LikenessError):
            self._reception.count(self._feed_id, error)


def _code_of(found: Receipt | FeedError) -> str:
    if isinstance(found, FeedError):
        return found.code
    return counting.DUPLICATE if found.again else counting.ACCEPTED


def _check_size(size: int, most: int) -> None:
    if size == 0:
        msg = "the file is empty"
        raise EmptyMedia(msg)
    if size > most:
        msg = f"the file has {size} bytes, and {most} are taken at once"
        raise TooLarge(msg, hint="Larger files come in pieces, by the upload of this feed.")


def _day(name: str, counts: Mapping[str, int]) -> dict[str, object]:
    well = {code: counts.get(code, 0) for code in counting.WELL}
    return {"day": name, **well, "refused": {code: n for code, n in counts.items() if code not in well}}
