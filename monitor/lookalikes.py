"""Lookalikes: people whom a subject called "not me", each sealed under a key of its own.

A lookalike is a negative template. Its key is wrapped by a key-encryption key and stands in the same row, so
deleting the row destroys it, by an undo, an expiry or the subject's erasure. Galleries follow `learn` and
`unlearn` events, written in the transaction of the change. A lookalike belongs to one model: those of
another one stay sealed and are not loaded.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col
from sqlmodel import select as select_rows

from monitor import crypto
from monitor import log as logs
from monitor.db import reading
from monitor.errors import SubjectErased, Tampered
from monitor.gallery_rows import LONGEST_LIST
from monitor.gallery_shelves import unit_rows
from monitor.subject_keys import lookalike_context
from monitor.tables import GalleryEvent, Lookalike
from monitor.values import FindingId, Modality, ModelId, SubjectId

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray
    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.crypto import KeyEncryptionKeys

    Models = Mapping[Modality, tuple[ModelId, int]]

MOST = 100
"""Lookalikes of one subject, modality and model; the oldest goes when one more comes. A hundred different
people taken for one person is a sign that their samples or the thresholds are wrong, and every one of them
narrows what is found."""

PAGE = 1000
"""Rows read at once."""

_PARTS: list[Any] = [
    col(part)
    for part in (
        Lookalike.id,
        Lookalike.subject_id,
        Lookalike.modality,
        Lookalike.model_id,
        Lookalike.sealed,
        Lookalike.wrapped,
        Lookalike.kek_id,
    )
]
"""The columns of a SealedLookalike; more of them than select() has types for."""

log = logs.get(__name__)


class SealedLookalike(NamedTuple):
    """One lookalike as it rests, with the wrapped key that opens it."""

    lookalike_id: str
    subject_id: str
    modality: str
    model_id: str
    sealed: bytes
    wrapped: bytes
    kek_id: str


@dataclass(frozen=True, slots=True)
class OpenedLookalike:
    """One lookalike opened. `vector` is (d,) float32 of length 1, and is overwritten after its use."""

    subject_id: SubjectId
    lookalike_id: str
    modality: Modality
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Learnt:
    """A lookalike about to be sealed. `vector` is (d,) float32 of length 1."""

    subject_id: SubjectId
    finding_id: FindingId
    modality: Modality
    model_id: ModelId
    vector: NDArray[np.float32]
    expires_at: datetime


def keep(session: Session, keks: KeyEncryptionKeys, learnt: Learnt) -> str:
    """Seal one lookalike under a new key and tell all galleries, in the caller's transaction.

    Raises SubjectErased when the subject or the finding is gone, BadVector when it is no vector of length 1.
    """
    lookalike_id = uuid.uuid4().hex
    context = _context(learnt.subject_id, lookalike_id, learnt.model_id)
    key = bytearray(crypto.new_key())
    try:
        sealed = crypto.seal(key, _checked(learnt.vector).tobytes(), context)
        wrapped, kek_id = keks.wrap(bytes(key), lookalike_context(learnt.subject_id, lookalike_id))
    finally:
        crypto.wipe(key)
    session.flush()  # what the caller has pending fails as what it is
    session.add(
        Lookalike(
            id=lookalike_id,
            subject_id=learnt.subject_id,
            finding_id=learnt.finding_id,
            modality=learnt.modality,
            model_id=learnt.model_id,
            sealed=sealed,
            wrapped=wrapped,
            kek_id=kek_id,
            expires_at=learnt.expires_at,
        )
    )
    session.add(GalleryEvent(kind="learn", subject_id=learnt.subject_id, template_id=lookalike_id))
    try:
        session.flush()
    except IntegrityError as exc:
        msg = f"subject {learnt.subject_id} was erased just now"
        raise SubjectErased(msg) from exc
    return lookalike_id


def forget(session: Session, rows: Collection[Lookalike]) -> set[FindingId]:
    """Delete lookalikes and tell all galleries, in the caller's transaction; give their findings."""
    for row in rows:
        session.add(GalleryEvent(kind="unlearn", subject_id=row.subject_id, template_id=row.id))
        session.delete(row)
    session.flush()
    return {FindingId(row.finding_id) for row in rows}


def of_finding(session: Session, finding_id: str) -> list[Lookalike]:
    """List what was learnt from one finding."""
    return list(session.exec(select_rows(Lookalike).where(Lookalike.finding_id == finding_id)))


def of_subject(session: Session, subject_id: str) -> list[Lookalike]:
    """List the lookalikes of one subject, of every model, oldest first."""
    return list(
        session.exec(
            select_rows(Lookalike)
            .where(Lookalike.subject_id == subject_id)
            .order_by(col(Lookalike.created_at), Lookalike.id)
        )
    )


def expired(session: Session, now: datetime, most: int = LONGEST_LIST) -> list[Lookalike]:
    """List those whose time is over, oldest first."""
    return list(
        session.exec(
            select_rows(Lookalike)
            .where(Lookalike.expires_at <= now)
            .order_by(col(Lookalike.expires_at))
            .limit(most)
            .with_for_update(skip_locked=True)
        )
    )


def too_many(session: Session, subject_id: str, modality: Modality, model_id: str) -> list[Lookalike]:
    """List the oldest ones beyond MOST: those that have to go."""
    held = [
        row
        for row in of_subject(session, subject_id)
        if row.modality == modality and row.model_id == model_id
    ]
    return held[: max(0, len(held) - MOST)]


def pages(engine: Engine, models: Models) -> Iterator[list[SealedLookalike]]:
    """Read every sealed lookalike of these models, a page at a time."""
    after = ""
    while True:
        with reading(engine) as session:
            query = select(*_PARTS).where(col(Lookalike.id) > after).order_by(col(Lookalike.id)).limit(PAGE)
            rows = [SealedLookalike._make(row) for row in session.connection().execute(query)]
        if not rows:
            return
        yield [row for row in rows if _is_held(models, row)]
        after = rows[-1].lookalike_id


def rows_of(session: Session, models: Models, lookalike_ids: Sequence[str]) -> list[SealedLookalike]:
    """Read the sealed lookalikes of these models and ids that are still there."""
    rows: list[SealedLookalike] = []
    for first in range(0, len(lookalike_ids), LONGEST_LIST):
        part = lookalike_ids[first : first + LONGEST_LIST]
        found = session.connection().execute(select(*_PARTS).where(col(Lookalike.id).in_(part)))
        rows += [SealedLookalike._make(row) for row in found]
    return [row for row in rows if _is_held(models, row)]


def sealed(row: Lookalike) -> SealedLookalike:
    """Give a row of the table as what `opened_lookalikes` takes."""
    return SealedLookalike(
        row.id, row.subject_id, row.modality, row.model_id, row.sealed, row.wrapped, row.kek_id
    )


def opened_lookalikes(
    keks: KeyEncryptionKeys, models: Models, rows: Sequence[SealedLookalike]
) -> Iterator[OpenedLookalike]:
    """Open rows; overwrite each vector when the next one is asked for.

    A row that was changed, or moved to another subject, is passed over and logged by its id: the watch
    tells somebody once too often then, and never once too rarely. Raises KeyMissing or KeyWrong when the
    key-encryption key is not the right one.
    """
    scratch = {modality: np.zeros(size, dtype=np.float32) for modality, (_, size) in models.items()}
    for row in rows:
        modality = Modality(row.modality)
        try:
            _open_into(keks, row, scratch[modality])
        except Tampered as exc:
            log.warning("lookalike_does_not_open", lookalike_id=row.lookalike_id, code=exc.code)
            continue
        yield OpenedLookalike(SubjectId(row.subject_id), row.lookalike_id, modality, scratch[modality])
    for vector in scratch.values():
        vector[:] = 0


def _open_into(keks: KeyEncryptionKeys, row: SealedLookalike, vector: NDArray[np.float32]) -> None:
    key = bytearray(keks.unwrap(row.wrapped, row.kek_id, lookalike_context(row.subject_id, row.lookalike_id)))
    try:
        context = _context(row.subject_id, row.lookalike_id, row.model_id)
        crypto.unseal_into(key, row.sealed, context, vector.data)
    finally:
        crypto.wipe(key)


def _is_held(models: Models, row: SealedLookalike) -> bool:
    return any(
        row.modality == modality and row.model_id == model_id for modality, (model_id, _) in models.items()
    )


def _context(subject_id: str, lookalike_id: str, model_id: str) -> crypto.Context:
    return crypto.Context(subject_id, lookalike_id, "lookalike", model_id)


def _checked(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    row: NDArray[np.float32] = unit_rows(vector[None], "a lookalike")[0]
    return row
