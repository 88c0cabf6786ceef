"""Feeds and their keys: set up by the operator, read by every process. Each change is on record.

A key's secret is wrapped by the key-encryption key. Several keys are in force at once, so a partner changes
one without a break: add the new one, let the partner sign with it, revoke the old one.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sqlmodel import col, delete, func, select

from monitor import audit, subject_keys
from monitor.db import reading, utc_now, writing
from monitor.errors import FeedInvalid, NotFound
from monitor.partners import addresses, signatures
from monitor.partners.signatures import Scheme
from monitor.partners.tables import Feed, FeedItem, FeedKey, Partner

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.crypto import KeyEncryptionKeys

NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
"""Of a feed: it stands in the address that the partner calls."""

SCOPES: Final = ("items", "urls", "uploads", "takedowns")
"""What a feed may be allowed: push media, push addresses, push large files, report removals."""

WAYS: Final = ("push", "s3", "sftp")

LEAST_EVERY_S: Final = 60
"""Seconds between two fetches of a feed that we fetch."""

ID_BYTES: Final = 8
MOST_KEYS: Final = 10
"""Keys of one feed that count at a time. Two are a change of keys; each one is tried at every message."""


@dataclass(frozen=True, slots=True)
class NewFeed:
    """A feed to be set up. `per_second`, `burst` and `per_day` are in items."""

    name: str
    partner: str
    contact: str
    contract: str = ""
    way: str = "push"
    sandbox: bool = False
    scopes: tuple[str, ...] = SCOPES
    hosts: tuple[str, ...] = ()
    per_second: float = 50.0
    burst: int = 500
    per_day: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different about a feed; None stays. `contact` and `contract` are of its whole partner."""

    contact: str | None = None
    contract: str | None = None
    scopes: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    per_second: float | None = None
    burst: int | None = None
    per_day: int | None = None
    every_s: int | None = None

    def named(self) -> dict[str, object]:
        """Give what is named, by its name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class KeyWish:
    """What a new key shall be: the partner's own `public` key (`whpk_...`), or, empty, a secret of ours."""

    public: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was made or taken in. `secret` is to be handed over once; empty for ed25519."""

    id: str
    scheme: Scheme
    secret: str = field(default="", repr=False)


def add(engine: Engine, new: NewFeed, actor: str) -> Feed:
    """Set up a feed without a key; its partner is made where there is none of that name.

    Raises FeedInvalid, also where the name is taken.
    """
    _check(new)
    with writing(engine) as session:
        if session.exec(select(Feed).where(Feed.name == new.name)).first() is not None:
            msg = f"there is a feed {new.name!r} already"
            raise FeedInvalid(msg, hint="`likeness feed list` names them all.")
        partner = _partner(session, new)
        row = Feed(
            id=secrets.token_hex(ID_BYTES),
            partner_id=partner.id,
            name=new.name,
            way=new.way,
            sandbox=new.sandbox,
            scopes=",".join(new.scopes),
            hosts=",".join(new.hosts),
            per_second=new.per_second,
            burst=new.burst,
            per_day=new.per_day,
        )
        session.add(row)
        audit.record(session, actor, "feed.add", feed=row.name, sandbox=row.sandbox, scopes=row.scopes)
    return row


def find(session: Session, name: str) -> Feed:
    """Give a feed by its name. Raises NotFound."""
    row = session.exec(select(Feed).where(Feed.name == name)).first()
    if row is None:
        msg = f"there is no feed {name!r}"
        raise NotFound(msg, hint="`likeness feed list` names them all.")
    return row


def every(session: Session) -> list[tuple[Feed, Partner]]:
    """Give all feeds with their partners, by name."""
    query = select(Feed, Partner).where(Feed.partner_id == Partner.id).order_by(Feed.name)
    return list(session.exec(query).all())


def keys_of(session: Session, feed_id: str) -> list[FeedKey]:
    """Give the keys of a feed, the oldest first."""
    query = select(FeedKey).where(FeedKey.feed_id == feed_id)
    return list(session.exec(query.order_by(col(FeedKey.created_at), FeedKey.id)).all())


def change(engine: Engine, name: str, wish: Change, actor: str) -> Feed:
    """Change what is named of a feed, on record; the rest stays. It counts within a second.

    Raises NotFound, and FeedInvalid, where nothing is changed.
    """
    named = wish.named()
    every_s = named.pop("every_s", None)
    with writing(engine) as session:
        row = find(session, name)
        partner = session.get_one(Partner, row.partner_id)
        if not wish.named() or (every_s is not None and row.way == "push"):
            msg = "nothing is named that could be changed of this feed; --every is of those that we fetch"
            raise FeedInvalid(msg, hint="`likeness feed set --help` lists what can be.")
        now = NewFeed(
            row.name, partner.name, partner.contact, partner.contract, row.way,
            scopes=tuple(row.scopes.split(",")), hosts=tuple(filter(None, row.hosts.split(","))),
            per_second=row.per_second, burst=row.burst, per_day=row.per_day,
        )  # fmt: skip
        new = replace(now, **named)  # type: ignore[arg-type]  # the names and kinds of Change
        _check(new)
        if wish.every_s is not None and wish.every_s < LEAST_EVERY_S:
            msg = f"a feed is fetched every {LEAST_EVERY_S} seconds at most"
            raise FeedInvalid(msg)
        partner.contact, partner.contract = new.contact, new.contract
        row.scopes, row.hosts = ",".join(new.scopes), ",".join(new.hosts)
        row.per_second, row.burst, row.per_day = new.per_second, new.burst, new.per_day
        row.pull_every_s = row.pull_every_s if wish.every_s is None else wish.every_s
        session.add_all([partner, row])
        audit.record(
            session, actor, "feed.set", feed=name, changed=",".join(sorted(wish.named())), scopes=row.scopes,
            per_second=row.per_second, burst=row.burst, per_day=row.per_day, every_s=row.pull_every_s,
        )  # fmt: skip
    return row


def set_enabled(engine: Engine, name: str, actor: str, *, enabled: bool) -> None:
    """Pause a feed, or let it go on. Raises NotFound."""
    with writing(engine) as session:
        row = find(session, name)
        row.enabled = enabled
        audit.record(session, actor, "feed.resume" if enabled else "feed.pause", feed=name)


def set_sandbox(engine: Engine, name: str, actor: str, *, sandbox: bool) -> None:
    """Make a feed a sandbox, or a real one. Raises NotFound."""
    with writing(engine) as session:
        row = find(session, name)
        row.sandbox = sandbox
        audit.record(session, actor, "feed.sandbox", feed=name, sandbox=sandbox)


def remove(engine: Engine, name: str, actor: str) -> None:
    """Forget a feed, its keys, items and counts. Media that was taken from it stays. Raises NotFound."""
    with writing(engine) as session:
        row = find(session, name)
        others = session.exec(select(func.count()).where(Feed.partner_id == row.partner_id)).one()
        session.exec(delete(FeedItem).where(col(FeedItem.feed_id) == row.id))
        session.delete(row)
        session.flush()
        if others == 1:
            session.exec(delete(Partner).where(col(Partner.id) == row.partner_id))
        audit.record(session, actor, "feed.remove", feed=name)


def add_key(
    engine: Engine, keks: KeyEncryptionKeys, name: str, actor: str, wish: KeyWish | None = None
) -> NewKey:
    """Make a shared secret, or take the partner's Ed25519 public key. It counts within a second.

    Raises NotFound, FeedInvalid.
    """
    wish = wish or KeyWish()
    raw = signatures.public_of(wish.public) if wish.public else None
    text, secret = ("", b"") if raw is not None else signatures.new_secret()
    with writing(engine) as session:
        row = find(session, name)
        if row.way != "push":
            msg = f"the feed {name!r} is fetched by us: nobody signs"
            raise FeedInvalid(msg)
        now = utc_now()
        if len([one for one in keys_of(session, row.id) if counts(one, now)]) >= MOST_KEYS:
            msg = f"the feed {name!r} has {MOST_KEYS} keys in force"
            raise FeedInvalid(msg, hint="Revoke one: `likeness feed key revoke`.")
        key = FeedKey(
            id=secrets.token_hex(ID_BYTES),
            feed_id=row.id,
            scheme=(Scheme.HMAC if raw is None else Scheme.ED25519).value,
            public=raw,
            expires_at=wish.expires_at,
        )
        if raw is None:
            context = subject_keys.feed_key_context(row.id, key.id)
            key.wrapped, key.kek_id = keks.wrap(secret, context)
        session.add(key)
        audit.record(session, actor, "feed.key_add", feed=name, key=key.id, scheme=key.scheme)
    return NewKey(key.id, Scheme(key.scheme), text)


def revoke_key(engine: Engine, name: str, key_id: str, actor: str) -> None:
    """Let a key never count again. Raises NotFound."""
    with writing(engine) as session:
        row = find(session, name)
        key = session.get(FeedKey, key_id)
        if key is None or key.feed_id != row.id:
            msg = f"the feed {name!r} has no key {key_id!r}"
            raise NotFound(msg, hint=f"`likeness feed show {name}` names them.")
        key.revoked_at = key.revoked_at or utc_now()
        audit.record(session, actor, "feed.key_revoke", feed=name, key=key_id)


def counts(key: FeedKey, now: datetime) -> bool:
    """Say whether a key is in force."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def names(engine: Engine) -> list[str]:
    """Name all feeds."""
    with reading(engine) as session:
        return [row.name for row, _ in every(session)]


def _check(new: NewFeed) -> None:
    faults = (
        (not NAME.fullmatch(new.name), "a name is 1 to 64 small letters, digits and dashes"),
        (not new.partner.strip() or not new.contact.strip(), "a partner has a name and a contact"),
        (new.way not in WAYS, f"a way is one of {', '.join(WAYS)}"),
        (not new.scopes or not set(new.scopes) <= set(SCOPES), f"scopes are of {', '.join(SCOPES)}"),
        (not all(map(addresses.is_host, new.hosts)), "a host is a full name, or `*.` and one"),
        (new.per_second <= 0 or new.burst < 1 or new.per_day < 1, "a quota is more than nothing"),
    )
    for wrong, msg in faults:
        if wrong:
            raise FeedInvalid(msg)


def _partner(session: Session, new: NewFeed) -> Partner:
    found = session.exec(select(Partner).where(Partner.name == new.partner)).first()
    if found is None:
        found = Partner(
            id=secrets.token_hex(ID_BYTES), name=new.partner, contact=new.contact, contract=new.contract
        )
        session.add(found)
        session.flush()
    return found
