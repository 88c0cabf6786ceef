"""Where a feed is fetched from, and how to enter: sealed in the feed's row under a key of its own.

The key stands among the feed's keys (scheme `pull`), wrapped by the key-encryption key, so that a change of
that key reaches it like all others.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from sqlmodel import col, select

from monitor import crypto, subject_keys
from monitor.errors import ExtraMissing, FeedInvalid
from monitor.partners.tables import Feed, FeedKey

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from sqlmodel import Session

    from monitor.crypto import KeyEncryptionKeys

    Dial = Callable[[str, int], socket.socket]
    """Connects to a host and port, if the guard lets it: only to addresses that it has checked."""

S3, SFTP = "s3", "sftp"

PULL: Final = "pull"
"""Scheme of the key that a place is sealed with. Nobody signs with it."""

ID_BYTES: Final = 8

PIECE_BYTES: Final = 256 * 2**10
"""Bytes of a file that are handed on at a time."""

SILENCE_S: Final = 20.0
"""Seconds without an answer after which the other side is given up."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where files are fetched from. `secret` is a password, a private key, or the secret of an access key.

    Of s3: `url` is the endpoint, `bucket` and `prefix` say where in it, `user` is the id of the access key.
    Of sftp: `url` is `sftp://host:port`, `prefix` the folder, `host_key` the server's public key as
    `ssh-ed25519 AAAA...`. `allow_private` lets this very host and port be inside our own network.
    """

    way: str
    url: str
    user: str
    secret: str = field(repr=False)
    prefix: str = ""
    bucket: str = ""
    region: str = "us-east-1"
    host_key: str = ""
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """One file of a place. `version` changes when the file does; `changed_at` is in seconds since 1970."""

    name: str
    size: int
    version: str
    changed_at: float


class Store(Protocol):
    """A place that was entered."""

    def files(self, after: str) -> Iterator[Found]:
        """Give the files; those up to the name `after` may be left out. Raises FetchFailed."""

    def pieces(self, found: Found) -> Iterator[bytes]:
        """Give the bytes of a file as they come. Raises FetchFailed, and FetchTimeout."""

    def now(self) -> float | None:
        """Give the time of the server, if it says so."""

    def close(self) -> None:
        """Leave."""


def seal(session: Session, keks: KeyEncryptionKeys, feed: Feed, place: Place) -> None:
    """Write a place to its feed's row, sealed; an earlier one is forgotten."""
    for old in session.exec(select(FeedKey).where(FeedKey.feed_id == feed.id, FeedKey.scheme == PULL)):
        session.delete(old)
    key_id, key = secrets.token_hex(ID_BYTES), crypto.new_key()
    wrapped, kek_id = keks.wrap(key, subject_keys.feed_key_context(feed.id, key_id))
    session.add(FeedKey(id=key_id, feed_id=feed.id, scheme=PULL, wrapped=wrapped, kek_id=kek_id))
    feed.pull = crypto.seal(key, json.dumps(asdict(place)).encode(), _context(feed.id, key_id))
    session.add(feed)


def opened(session: Session, keks: KeyEncryptionKeys, feed: Feed) -> Place:
    """Open the place of a feed. Raises FeedInvalid where it has none, and KeysError."""
    query = select(FeedKey).where(FeedKey.feed_id == feed.id, FeedKey.scheme == PULL)
    row = session.exec(query.where(col(FeedKey.revoked_at).is_(None))).first()
    if feed.pull is None or row is None or row.wrapped is None or row.kek_id is None:
        msg = f"nothing is fetched for the feed {feed.name!r}: its partner pushes, or the key was revoked"
        raise FeedInvalid(msg, hint="`likeness feed add NAME --way s3` or `--way sftp` sets up one that is.")
    key = keks.unwrap(row.wrapped, row.kek_id, subject_keys.feed_key_context(feed.id, row.id))
    return Place(**json.loads(crypto.unseal(key, feed.pull, _context(feed.id, row.id))))


def extra_missing() -> ExtraMissing:
    """Say which extra is to be installed."""
    msg = "fetching from buckets and SFTP servers needs libraries that are not installed"
    return ExtraMissing(msg, hint="Install the extra `pull`: pip install 'likeness-watch[pull]'.")


def _context(feed_id: str, key_id: str) -> crypto.Context:
    return crypto.Context(feed_id, key_id, "place of a feed")
