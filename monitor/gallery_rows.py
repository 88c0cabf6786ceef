"""Between the sealed rows and a gallery: putting templates in, and opening them again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from monitor import crypto, subject_keys
from monitor import log as logs
from monitor.db import reading
from monitor.errors import SubjectErased, Tampered
from monitor.gallery_shelves import unit_rows
from monitor.tables import GalleryEvent, Lookalike, SubjectKey, Template
from monitor.values import Modality, ModelId, SubjectId, TemplateId

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from numpy.typing import NDArray
    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.crypto import KeyEncryptionKeys

Models = dict[Modality, tuple[ModelId, int]]
"""What a gallery holds: modality -> (model, length of its vectors)."""

PAGE = 1000
"""Subjects read at once: some megabytes, and few enough that a reader never stands in a writer's way."""

LONGEST_LIST = 500
"""Ids in one SQL list; SQLite takes 32,766 parameters, older ones 999."""

_PARTS: list[Any] = [
    col(part)
    for part in (
        Template.id,
        Template.subject_id,
        Template.modality,
        Template.model_id,
        Template.quality,
        Template.sealed,
    )
]
"""The first columns of a SealedRow; more of them than select() has types for."""

log = logs.get(__name__)


class SealedRow(NamedTuple):
    """One template as it rests, with the wrapped key that opens it."""

    template_id: str
    subject_id: str
    modality: str
    model_id: str
    quality: float
    sealed: bytes
    wrapped: bytes
    kek_id: str


@dataclass(frozen=True, slots=True)
class OpenedRow:
    """One template opened. `vector` is (d,) float32 of length 1, and is overwritten after its use.

    `quality` in [0, 1] is that of the sample. It is not sealed: whoever changes it in the database moves the
    centroid among that subject's own templates, and nothing else.
    """

    subject_id: SubjectId
    template_id: TemplateId
    modality: Modality
    quality: float
    vector: NDArray[np.float32]


def add_template(  # noqa: PLR0913, PLR0917 - a row has these parts
    session: Session,
    keks: KeyEncryptionKeys,
    subject_id: SubjectId,
    modality: Modality,
    model_id: ModelId,
    vector: NDArray[np.float32],
    quality: float,
    reference_id: str | None = None,
) -> TemplateId:
    """Seal one vector with its subject's key and tell all galleries, in the caller's transaction.

    `vector` is (d,) float32 of length 1; `quality` is in [0, 1]; `reference_id` names the sample that was
    kept, if it was. Raises SubjectErased when the subject
    has no key, BadVector (a ModelMismatch) when it is not a vector of length 1.
    """
    template_id = TemplateId(uuid.uuid4().hex)
    plain = _checked(vector).tobytes()
    with subject_keys.held_key(session, keks, subject_id) as key:
        sealed = crypto.seal(key, plain, _context(subject_id, template_id, model_id))
    row = Template(
        id=template_id,
        subject_id=subject_id,
        modality=modality,
        model_id=model_id,
        sealed=sealed,
        quality=float(quality),
        reference_id=reference_id,
    )
    session.flush()  # what the caller has pending fails as what it is
    session.add(row)
    session.add(GalleryEvent(kind="add", subject_id=subject_id, template_id=template_id))
    try:
        session.flush()
    except IntegrityError as exc:
        msg = f"subject {subject_id} was erased just now"
        raise SubjectErased(msg) from exc
    return template_id


def tombstone(session: Session, subject_id: SubjectId) -> None:
    """Tell all galleries that a subject is erased, in the transaction that destroys the key."""
    session.add(GalleryEvent(kind="erase", subject_id=subject_id))


def pause(session: Session, subject_id: SubjectId, at: datetime) -> bool:
    """Take a subject out of all galleries until `unpause`, in the caller's transaction; the rows stay sealed.

    Says whether that was new. Raises SubjectErased when the subject has no key.
    """
    key = _locked_key(session, subject_id)
    if key.paused_at is not None:
        return False
    key.paused_at = at
    session.add(GalleryEvent(kind="pause", subject_id=subject_id))
    return True


def unpause(session: Session, subject_id: SubjectId) -> bool:
    """Put a paused subject's templates and lookalikes back, in the caller's transaction.

    Says whether the subject was paused. Raises SubjectErased when the subject has no key.
    """
    key = _locked_key(session, subject_id)
    if key.paused_at is None:
        return False
    key.paused_at = None
    session.flush()
    for kind, table in (("add", Template), ("learn", Lookalike)):
        ids = select(col(table.id)).where(col(table.subject_id) == subject_id).order_by(col(table.id))
        for (one,) in session.connection().execute(ids).all():
            session.add(GalleryEvent(kind=kind, subject_id=subject_id, template_id=one))
    return True


def _locked_key(session: Session, subject_id: SubjectId) -> SubjectKey:
    row = session.get(SubjectKey, subject_id, with_for_update=True)
    if row is None:
        msg = f"subject {subject_id} was erased (or never was)"
        raise SubjectErased(msg)
    return row


def alive(session: Session, subject_ids: Iterable[SubjectId]) -> set[SubjectId]:
    """Give those who are neither erased nor paused, by the ledger itself: asked before a match is told."""
    wanted = list(dict.fromkeys(subject_ids))
    found: set[SubjectId] = set()
    for part in _parts(wanted):
        query = select(col(SubjectKey.subject_id)).where(
            col(SubjectKey.subject_id).in_(part), col(SubjectKey.paused_at).is_(None)
        )
        found.update(SubjectId(one) for (one,) in session.connection().execute(query))
    return found


def pages(engine: Engine, models: Models) -> Iterator[list[SealedRow]]:
    """Read every sealed template of these models, subject by subject, a page at a time."""
    after = ""
    while True:
        with reading(engine) as session:
            subjects = _keys_after(session, after)
            if not subjects:
                return
            last = list(subjects)[-1]  # in the order of the database, which may not be Python's
            page = _rows_between(session, after, last, subjects)
        yield [row for row in page if _is_held(models, row)]
        after = last


def _keys_after(session: Session, after: str) -> dict[str, tuple[bytes, str]]:
    parts = (col(SubjectKey.subject_id), col(SubjectKey.wrapped), col(SubjectKey.kek_id))
    watched = (parts[0] > after, col(SubjectKey.paused_at).is_(None))
    query = select(*parts).where(*watched).order_by(parts[0]).limit(PAGE)
    return {row[0]: (row[1], row[2]) for row in session.connection().execute(query)}


def _rows_between(
    session: Session, after: str, last: str, keys: Mapping[str, tuple[bytes, str]]
) -> list[SealedRow]:
    # By subject alone: with the model in the query SQLite takes the index on models and sorts every time.
    subject = col(Template.subject_id)
    query = select(*_PARTS).where(subject > after, subject <= last).order_by(subject)
    rows = session.connection().execute(query)
    return [SealedRow._make((*row, *keys[row[1]])) for row in rows if row[1] in keys]


def _is_held(models: Models, row: SealedRow) -> bool:
    return any(
        row.modality == modality and row.model_id == model_id for modality, (model_id, _) in models.items()
    )


def rows_of(
    session: Session, models: Models, template_ids: Sequence[str], *, paused: bool = True
) -> list[SealedRow]:
    """Read the sealed templates of these models and ids that are still there, subject by subject.

    Without `paused` those of paused subjects are left out.
    """
    key = (col(SubjectKey.wrapped), col(SubjectKey.kek_id))
    query = select(*_PARTS, *key).join(SubjectKey, col(SubjectKey.subject_id) == col(Template.subject_id))
    if not paused:
        query = query.where(col(SubjectKey.paused_at).is_(None))
    rows: list[SealedRow] = []
    for part in _parts(template_ids):
        found = session.connection().execute(query.where(col(Template.id).in_(part)))
        rows += [SealedRow._make(row) for row in found]
    return sorted((row for row in rows if _is_held(models, row)), key=lambda row: row.subject_id)


def opened(keks: KeyEncryptionKeys, models: Models, rows: Sequence[SealedRow]) -> Iterator[OpenedRow]:
    """Open rows, one key per subject; overwrite each vector when the next one is asked for.

    A row that was changed is passed over and logged by its id: one bad row must not switch the watch off.
    Raises KeyMissing or KeyWrong when the key-encryption key is not the right one.
    """
    scratch = {modality: np.zeros(size, dtype=np.float32) for modality, (_, size) in models.items()}
    for subject_id, group in groupby(rows, key=lambda row: row.subject_id):
        try:
            yield from _opened_of_one(keks, list(group), scratch)
        except Tampered as exc:
            log.warning("subject_key_does_not_open", subject_id=subject_id, code=exc.code)
    for vector in scratch.values():
        vector[:] = 0


def _opened_of_one(
    keks: KeyEncryptionKeys, rows: list[SealedRow], scratch: Mapping[Modality, NDArray[np.float32]]
) -> Iterator[OpenedRow]:
    first = rows[0]
    context = subject_keys.subject_context(first.subject_id)
    key = bytearray(keks.unwrap(first.wrapped, first.kek_id, context))
    try:
        for row in rows:
            modality = Modality(row.modality)
            if _open_into(key, row, scratch[modality]):
                yield OpenedRow(
                    SubjectId(row.subject_id),
                    TemplateId(row.template_id),
                    modality,
                    row.quality,
                    scratch[modality],
                )
    finally:
        crypto.wipe(key)


def _open_into(key: bytearray, row: SealedRow, vector: NDArray[np.float32]) -> bool:
    context = _context(row.subject_id, row.template_id, row.model_id)
    try:
        crypto.unseal_into(key, row.sealed, context, vector.data)
    except Tampered as exc:
        log.warning("template_does_not_open", template_id=row.template_id, code=exc.code)
        return False
    return True


def _context(subject_id: str, template_id: str, model_id: str) -> crypto.Context:
    return crypto.Context(subject_id, template_id, "template", model_id)


def _checked(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(unit_rows(vector[None], "a template")[0])


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(ids), LONGEST_LIST):
        yield ids[first : first + LONGEST_LIST]
