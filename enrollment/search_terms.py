"""What somebody asks us to look for: names, handles and hashtags. They say where the crawlers search first.

A term finds nobody: what is found there is compared with faces and voices like everything else. Each is
sealed with its subject's key. The scheduler opens them when a crawl begins and hands them on as one list of
everybody's, without saying whose; they are gone from memory when the crawl is.
"""

from __future__ import annotations

import json
import unicodedata
import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from sqlmodel import col, func, select

from enrollment.standing import WATCHED
from enrollment.tables import SearchTerm, Subject
from monitor import audit, crypto, subject_keys
from monitor import log as logs
from monitor.db import reading
from monitor.errors import KeysError, NotFound, TermInvalid
from monitor.tables import SubjectKey
from monitor.values import SubjectId

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlmodel import Session

    from enrollment.lookups import Lookups
    from monitor.crypto import KeyEncryptionKeys

MOST = 20
"""Terms of one person. Each costs a search per source and look; nobody is called by more than twenty."""

LONGEST = 80
"""Characters of a term. Handles with their server, and names, are shorter."""

SHORTEST = 2
"""Characters. A single letter is found everywhere; names of two characters are common in some scripts."""

PADDED = 512
"""Bytes that every term is filled up to before it is sealed, so that its length says nothing. The longest one
takes 4 bytes a character, and its frame."""

SEALED = "search_term"

log = logs.get(__name__)


class TermKind(StrEnum):
    """What a term is. A handle is what somebody is called on a platform; a hashtag what posts carry."""

    NAME = "name"
    HANDLE = "handle"
    HASHTAG = "hashtag"


@dataclass(frozen=True, slots=True)
class TermView:
    """One term as its person sees it."""

    term_id: str
    kind: TermKind
    text: str
    created_at: datetime


def kind_of(word: str) -> TermKind:
    """Read what somebody chose. Raises TermInvalid."""
    try:
        return TermKind(word)
    except ValueError:
        msg = "it was not said whether this is a name, a handle or a hashtag"
        raise TermInvalid(msg, hint="Choose one of the three.") from None


def checked(kind: TermKind, text: str) -> str:
    """Put a term into its one spelling, without @ or #. Raises TermInvalid."""
    plain = unicodedata.normalize("NFC", text).strip()
    if any(unicodedata.category(one)[0] == "C" and one not in "\u200c\u200d" for one in plain):
        msg = "this holds characters that cannot be read"
        raise TermInvalid(msg, hint="Type it by hand.")
    plain = " ".join(plain.split())
    if kind is TermKind.HANDLE:
        plain = plain.removeprefix("@")
    if kind is TermKind.HASHTAG:
        plain = plain.removeprefix("#")
    if not SHORTEST <= len(plain) <= LONGEST:
        msg = f"this has fewer than {SHORTEST} or more than {LONGEST} characters"
        raise TermInvalid(msg, hint="Write it as it stands where you are talked about.")
    if kind is not TermKind.NAME and (" " in plain or "/" in plain or ":" in plain):
        msg = f"a {kind} has no blanks and is no address"
        raise TermInvalid(msg, hint="Write what stands after the sign, for instance ada.example")
    if not any(unicodedata.category(one)[0] in "LN" for one in plain):
        msg = "this has no letter and no digit"
        raise TermInvalid(msg, hint="Write it as it stands where you are talked about.")
    return plain


def add(  # noqa: PLR0913, PLR0917 - what, whose, and who says so
    session: Session,
    keks: KeyEncryptionKeys,
    lookups: Lookups,
    subject_id: SubjectId,
    term: tuple[TermKind, str],
    actor: str,
    now: datetime,
) -> None:
    """Add a term in the caller's transaction, audited without it. The same one again changes nothing.

    Raises TermInvalid, also beyond MOST, and SubjectErased.
    """
    kind, text = term[0], checked(*term)
    lookup = lookups.digest(f"search.{subject_id}.{kind}", text.casefold())
    key = subject_keys.key_of(session, keks, subject_id)
    own = col(SearchTerm.subject_id) == subject_id
    if session.exec(select(SearchTerm.id).where(own, SearchTerm.lookup == lookup)).first() is not None:
        return
    if session.exec(select(func.count()).select_from(SearchTerm).where(own)).one() >= MOST:
        msg = f"there can be {MOST} at a time"
        raise TermInvalid(msg, hint="Take one of the others away first.")
    term_id = uuid.uuid4().hex
    plain = json.dumps({"kind": kind, "text": text}, ensure_ascii=False).encode().ljust(PADDED)
    sealed = crypto.seal(key, plain, crypto.Context(subject_id, term_id, SEALED))
    session.add(SearchTerm(id=term_id, subject_id=subject_id, lookup=lookup, sealed=sealed, created_at=now))
    audit.record(session, actor, "search.add", subject_id, kind=kind)


def remove(session: Session, subject_id: SubjectId, term_id: str, actor: str) -> None:
    """Take a term away, audited. Raises NotFound for one that is not this person's."""
    row = session.get(SearchTerm, term_id, with_for_update=True)
    if row is None or row.subject_id != subject_id:
        msg = "there is no such name, handle or hashtag"
        raise NotFound(msg)
    session.delete(row)
    audit.record(session, actor, "search.remove", subject_id)


def listing(session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId) -> list[TermView]:
    """Give a person's terms, the oldest first. Raises SubjectErased, KeysError."""
    key = subject_keys.key_of(session, keks, subject_id)
    query = select(SearchTerm).where(SearchTerm.subject_id == subject_id)
    return [
        _view(key, row) for row in session.exec(query.order_by(col(SearchTerm.created_at), SearchTerm.id))
    ]


def _view(key: bytes, row: SearchTerm) -> TermView:
    said = json.loads(crypto.unseal(key, row.sealed, crypto.Context(row.subject_id, row.id, SEALED)))
    return TermView(row.id, TermKind(said["kind"]), said["text"], row.created_at)


T_co = TypeVar("T_co", covariant=True)


class MakesTerms(Protocol[T_co]):
    """What terms are handed on as: the entry file passes the Terms of the crawlers."""

    def __call__(
        self, *, names: tuple[str, ...], handles: tuple[str, ...], hashtags: tuple[str, ...], tag_key: bytes
    ) -> T_co:
        """Make it."""


class EnrolledTerms(Generic[T_co]):
    """Everybody's terms for one crawl. It fits the `TermBook` of the crawlers without knowing crawlers."""

    def __init__(
        self, engine: Engine, keks: KeyEncryptionKeys, lookups: Lookups, make: MakesTerms[T_co]
    ) -> None:
        """Keep what opens them; opens none so far."""
        self._engine, self._keks, self._lookups, self._make = engine, keks, lookups, make

    def terms(self, source_id: str) -> T_co | None:
        """Give the union of what those who are watched for ask to look for; None where that is nothing.

        Each once, in the order of the alphabet: nothing says whose it is, or that two belong together. Who
        paused is not looked for. The key for tags is made of a secret of the service for each source.
        """
        found: dict[TermKind, dict[str, str]] = {kind: {} for kind in TermKind}
        with reading(self._engine) as session:
            for subject_id in _who_asks(session):
                for one in self._of(session, subject_id):
                    found[one.kind].setdefault(one.text.casefold(), one.text)
        if not any(found.values()):
            return None
        return self._make(
            names=_in_order(found[TermKind.NAME].values()),
            handles=_in_order(found[TermKind.HANDLE].values()),
            hashtags=_in_order(found[TermKind.HASHTAG].values()),
            tag_key=bytes.fromhex(self._lookups.digest("search.tags", source_id)),
        )

    def _of(self, session: Session, subject_id: SubjectId) -> list[TermView]:
        try:
            return listing(session, self._keks, subject_id)
        except KeysError as exc:  # erased in this moment, or damaged: the others are looked for all the same
            log.warning("search_terms_not_opened", code=exc.code)
            return []


def _who_asks(session: Session) -> list[SubjectId]:
    """Give everybody who is watched for, is not on a pause, and has a term."""
    query = (
        select(SearchTerm.subject_id)
        .join(Subject, col(Subject.id) == col(SearchTerm.subject_id))
        .join(SubjectKey, col(SubjectKey.subject_id) == col(SearchTerm.subject_id))
        .where(col(Subject.status).in_(WATCHED), col(SubjectKey.paused_at).is_(None))
    )
    return [SubjectId(one) for one in session.exec(query.distinct())]


def _in_order(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(texts))
