"""Who is at the door: the feed that a path names, and which of its keys signed. Nothing is read before this.

A feed that is not there, and a signature that is none, get the same answer after the same work.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlmodel import select

from monitor import subject_keys
from monitor.crypto import new_key
from monitor.db import reading, utc_now
from monitor.errors import FeedKeyExpired, FeedKeyRevoked, FeedPaused, ScopeMissing, SignatureWrong
from monitor.partners import feeds, signatures
from monitor.partners.signatures import Scheme, VerifyingKey
from monitor.partners.tables import Feed, FeedKey

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys
    from monitor.partners.signatures import Signed

FRESH_S: Final = 1.0
"""How long a feed and its keys are remembered. What is recorded looks once more, in its own transaction
(entering.py), so a revoked key records nothing even within this second."""

MOST_REMEMBERED: Final = 1000
"""Feeds in memory."""


@dataclass(frozen=True, slots=True)
class OpenKey:
    """One key, ready to verify with. A revoked one is kept, so that its holder is told."""

    id: str
    verifying: VerifyingKey
    expires_at: datetime | None
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class OpenFeed:
    """One feed as the door needs it."""

    id: str
    name: str
    sandbox: bool
    enabled: bool
    scopes: frozenset[str]
    hosts: tuple[str, ...]
    per_second: float
    burst: int
    per_day: int
    keys: tuple[OpenKey, ...]


@dataclass(frozen=True, slots=True)
class Admitted:
    """A message whose signature is right: of this feed, by this key, under this id."""

    feed: OpenFeed
    key_id: str
    message_id: str


NOBODY: Final = VerifyingKey(Scheme.HMAC, new_key())
"""What a message to a feed that is not there is checked with: a secret that nobody has."""


class OpenFeeds:
    """The feeds with their keys opened. Safe for many threads."""

    def __init__(self, engine: Engine, keks: KeyEncryptionKeys) -> None:
        """Read from this ledger; the keys open what is wrapped."""
        self._engine, self._keks = engine, keks
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, OpenFeed]] = {}

    def get(self, name: str) -> OpenFeed | None:
        """Give a push feed by its name, None where there is none. Raises KeysError."""
        if not feeds.NAME.fullmatch(name):
            return None
        with self._lock:
            at, known = self._known.get(name, (0.0, None))
        if known is not None and time.monotonic() - at < FRESH_S:
            return known
        found = self._read(name)
        with self._lock:
            self._known.pop(name, None)
            if found is not None:
                if len(self._known) >= MOST_REMEMBERED:
                    self._known.clear()
                self._known[name] = (time.monotonic(), found)
        return found

    def _read(self, name: str) -> OpenFeed | None:
        with reading(self._engine) as session:
            row = session.exec(select(Feed).where(Feed.name == name, Feed.way == "push")).first()
            if row is None:
                return None
            keys = tuple(self._opened(key) for key in _newest(feeds.keys_of(session, row.id)))
        return OpenFeed(
            row.id,
            row.name,
            row.sandbox,
            row.enabled,
            frozenset(filter(None, row.scopes.split(","))),
            tuple(filter(None, row.hosts.split(","))),
            row.per_second,
            row.burst,
            row.per_day,
            keys,
        )

    def _opened(self, key: FeedKey) -> OpenKey:
        if key.wrapped is not None and key.kek_id is not None:
            context = subject_keys.feed_key_context(key.feed_id, key.id)
            secret = self._keks.unwrap(key.wrapped, key.kek_id, context)
        else:
            secret = key.public or b""
        return OpenKey(
            key.id, VerifyingKey(Scheme(key.scheme), secret), key.expires_at, key.revoked_at is not None
        )


def _newest(keys: list[FeedKey]) -> list[FeedKey]:
    """Leave out old keys that no longer count: each one is tried at every message."""
    now = utc_now()
    counting = [key for key in keys if feeds.counts(key, now)]
    return counting + [key for key in keys if key not in counting][-feeds.MOST_KEYS :]


def admit(feed: OpenFeed | None, headers: Mapping[str, str], body: bytes) -> Admitted:
    """Let a message in, or say why not.

    Raises SignatureMissing, TimestampOutside, SignatureWrong, FeedKeyRevoked, FeedKeyExpired, FeedPaused.
    """
    # 1. the headers are there, and of these minutes
    signed = signatures.read(headers, time.time())
    # 2. a key of this feed signed this very body
    key = _signer(feed, signed, body)
    if feed is None or key is None:
        msg = "no key of this feed made the signature, or there is no such feed"
        raise SignatureWrong(
            msg, hint="Sign the body byte for byte as it is sent; check the feed's name and the secret."
        )
    # 3. that key still counts, and so does the feed
    if key.is_revoked:
        msg = "the key that signed this was revoked"
        raise FeedKeyRevoked(msg, hint="Sign with the newer key; the operator hands it out.")
    if key.expires_at is not None and key.expires_at <= utc_now():
        msg = "the time of the key that signed this is over"
        raise FeedKeyExpired(msg, hint="Sign with the newer key; the operator hands it out.")
    if not feed.enabled:
        msg = "the operator has paused this feed"
        raise FeedPaused(msg, hint="Ask the operator; keep the items until then.")
    return Admitted(feed, key.id, signed.message_id)


def check_scope(feed: OpenFeed, scope: str) -> None:
    """Raise ScopeMissing where a feed may not do this."""
    if scope not in feed.scopes:
        msg = f"this feed may not do this: it lacks the scope {scope!r}"
        raise ScopeMissing(msg, hint="Ask the operator for it.")


def _signer(feed: OpenFeed | None, signed: Signed, body: bytes) -> OpenKey | None:
    """Find the key that signed. One in force goes before one that is not."""
    if feed is None:
        signed.fits(NOBODY, body)
        return None
    fitting = [key for key in feed.keys if signed.fits(key.verifying, body)]
    now = utc_now()
    fitting.sort(key=lambda key: (key.is_revoked, key.expires_at is not None and key.expires_at <= now))
    return fitting[0] if fitting else None
