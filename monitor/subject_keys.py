"""The wrapped keys in the database: of subjects, lookalikes, feeds, three of the service; their rotation.

Nothing is cached: a subject whose key row is gone is erased in the next call of every process.

The order of a rotation, so that at no moment a process meets a key that it cannot open:

1. Give every process the new key-encryption key as a second one, after the active one, and restart it.
2. Move the new key to the front everywhere, and restart again.
3. Run `likeness keys rotate`.
4. When `likeness keys show` counts nothing under the old key, take it away.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from monitor import crypto
from monitor.db import reading, writing
from monitor.errors import KeyMissing, KeysError, SubjectErased
from monitor.partners.tables import FeedKey
from monitor.tables import Lookalike, ServiceKey, SubjectKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.crypto import KeyEncryptionKeys
    from monitor.values import SubjectId

INTAKE = "intake"
RECEIPTS = "receipts"
LOOKUPS = "lookups"

ROTATION_BATCH = 100
"""Keys per transaction of a rotation: a few milliseconds, so that enrolment and workers hardly wait."""

MOST_DAMAGED = 100
"""So many keys that do not open are not accidents: the rotation stops and a person looks."""

_Wrapped = SubjectKey | ServiceKey | Lookalike | FeedKey

_PAIRS = {
    INTAKE: crypto.new_intake_pair,
    RECEIPTS: crypto.new_signing_pair,
    LOOKUPS: crypto.new_lookup_secret,
}


def create(session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId) -> bytes:
    """Make and store the data key of a new subject; give the key for use in the same transaction."""
    key = crypto.new_key()
    wrapped, kek_id = keks.wrap(key, subject_context(subject_id))
    session.add(SubjectKey(subject_id=subject_id, wrapped=wrapped, kek_id=kek_id))
    session.flush()  # rows that hang on it may follow in any order
    return key


def key_of(session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId) -> bytes:
    """Unwrap the data key of a subject.

    Raises SubjectErased when there is none, KeyMissing, KeyWrong or Tampered when it does not unwrap.
    """
    found = session.exec(
        select(SubjectKey.wrapped, SubjectKey.kek_id).where(SubjectKey.subject_id == subject_id)
    ).first()
    if found is None:
        msg = f"subject {subject_id} was erased (or never was)"
        raise SubjectErased(msg)
    return keks.unwrap(found[0], found[1], subject_context(subject_id))


@contextmanager
def held_key(session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId) -> Iterator[bytearray]:
    """Hold a subject's key for one piece of work and overwrite it afterwards. Raises like `key_of`."""
    key = bytearray(key_of(session, keks, subject_id))
    try:
        yield key
    finally:
        crypto.wipe(key)


def subject_context(subject_id: str) -> bytes:
    """Bind a wrapped key to its subject: under another subject's row it does not unwrap."""
    return crypto.bind(b"subject-key", subject_id)


def lookalike_context(subject_id: str, lookalike_id: str) -> bytes:
    """Bind a lookalike's wrapped key to its row and its subject."""
    return crypto.bind(b"lookalike-key", subject_id, lookalike_id)


def feed_key_context(feed_id: str, key_id: str) -> bytes:
    """Bind the wrapped secret of a feed's key to its row and its feed."""
    return crypto.bind(b"feed-key", feed_id, key_id)


def service_context(name: str, public: bytes) -> bytes:
    """Bind a wrapped private key to its public half: a public key put in its place is noticed."""
    return crypto.bind(b"service-key", name, public)


def ensure_service_keys(engine: Engine, keks: KeyEncryptionKeys) -> None:
    """Make the pairs of the service that are not there yet. Idempotent, also between processes."""
    for name, new_pair in _PAIRS.items():
        with reading(engine) as session:
            there = session.get(ServiceKey, name) is not None
        if not there:
            _insert_pair(engine, keks, name, *new_pair())


def _insert_pair(engine: Engine, keks: KeyEncryptionKeys, name: str, public: bytes, private: bytes) -> None:
    wrapped, kek_id = keks.wrap(private, service_context(name, public))
    try:
        with writing(engine) as session:
            session.add(ServiceKey(name=name, public=public, wrapped_private=wrapped, kek_id=kek_id))
    except IntegrityError:
        return  # another process was first, and its pair is as good as ours


def intake_sealer(engine: Engine) -> crypto.IntakeSealer:
    """Get what puts media in. Needs no KEK. Raises KeyMissing before `ensure_service_keys` ever ran."""
    return crypto.IntakeSealer(_row(engine, INTAKE).public)


def intake_opener(engine: Engine, keks: KeyEncryptionKeys) -> crypto.IntakeOpener:
    """Get what opens media. Raises KeyMissing, KeyWrong, or Tampered when the pair was changed."""
    return crypto.IntakeOpener(_private(engine, keks, INTAKE))


def receipt_signer(engine: Engine, keks: KeyEncryptionKeys) -> crypto.Signer:
    """Get what signs receipts. Raises KeyMissing, KeyWrong, or Tampered when the pair was changed."""
    return crypto.Signer(_private(engine, keks, RECEIPTS))


def receipt_public(engine: Engine) -> bytes:
    """Get the key that receipts are verified with. Raises KeyMissing before the pair was made."""
    return _row(engine, RECEIPTS).public


def lookup_secret(engine: Engine, keks: KeyEncryptionKeys) -> bytes:
    """Get the secret of keyed digests (see enrollment/lookups.py). Raises like `receipt_signer`."""
    return _private(engine, keks, LOOKUPS)


def _row(engine: Engine, name: str) -> ServiceKey:
    with reading(engine) as session:
        row = session.get(ServiceKey, name)
    if row is None:
        msg = f"the service's {name} keys have not been made yet"
        raise KeyMissing(msg, hint="Start `likeness worker` or run `likeness keys show` once: it makes them.")
    return row


def _private(engine: Engine, keks: KeyEncryptionKeys, name: str) -> bytes:
    row = _row(engine, name)
    return keks.unwrap(row.wrapped_private, row.kek_id, service_context(name, row.public))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rotation is: keys wrapped anew, keys there were to wrap, ids of keys that do not open."""

    done: int
    total: int
    damaged: tuple[str, ...] = ()


def rotate(engine: Engine, keks: KeyEncryptionKeys, *, batch: int = ROTATION_BATCH) -> Iterator[Progress]:
    """Wrap every key anew that is not under the active KEK; sealed records are not touched.

    Online: a short transaction per batch. Idempotent and resumable: a run that was killed is finished by
    the next one, and two at once do each other no harm. Gives the progress before the first and after
    each batch. A key that does not open is left as it is while the rest go on.

    Raises KeyMissing before anything is changed when an old KEK was not given; at the end, the error
    of the first key that did not open.
    """
    under = wrapped_under(engine)
    _refuse_unknown(under, keks)
    progress = Progress(0, sum(under.values()) - under.get(keks.active_id, 0))
    errors: list[KeysError] = []
    yield progress
    for rows_of in (_service_rows, _subject_rows, _lookalike_rows, _feed_key_rows):
        while len(progress.damaged) < MOST_DAMAGED:
            with writing(engine) as session:
                rows = rows_of(session, keks.active_id, progress.damaged, batch)
                damaged = tuple(_rewrap_all(rows, keks, errors))
            if not rows:
                break
            done = progress.done + len(rows) - len(damaged)
            progress = Progress(done, max(progress.total, done), progress.damaged + damaged)
            yield progress
    if errors:
        named = ", ".join(progress.damaged[:5])
        msg = f"{len(progress.damaged)} keys were left as they are, among them {named}: {errors[0].message}"
        raise type(errors[0])(
            msg, hint=errors[0].hint or "Restore those rows from a backup; then rotate again."
        )


def wrapped_under(engine: Engine) -> dict[str, int]:
    """Count the keys under each KEK id: subjects', lookalikes', feeds' and the service's together."""
    counts: Counter[str] = Counter()
    with reading(engine) as session:
        for column in (SubjectKey.kek_id, ServiceKey.kek_id, Lookalike.kek_id, FeedKey.kek_id):
            for kek_id, number in session.exec(select(column, func.count()).group_by(col(column))):
                if kek_id is not None:  # of a public key there is nothing to wrap
                    counts[kek_id] += number
    return dict(counts)


def _refuse_unknown(under: dict[str, int], keks: KeyEncryptionKeys) -> None:
    for kek_id in sorted(under.keys() - set(keks.ids)):
        msg = f"{under[kek_id]} keys are wrapped under {kek_id!r}, which was not given; nothing was changed"
        raise KeyMissing(msg, hint="Add that key after the active one and rotate again.")


def _subject_rows(
    session: Session, active: str, passed_over: tuple[str, ...], batch: int
) -> list[SubjectKey]:
    # Locked until the commit: an erasure waits a moment, and a second rotation finds the rows done.
    old = select(SubjectKey).where(
        SubjectKey.kek_id != active, col(SubjectKey.subject_id).not_in(passed_over)
    )
    return list(session.exec(old.order_by(SubjectKey.subject_id).limit(batch).with_for_update()))


def _service_rows(
    session: Session, active: str, passed_over: tuple[str, ...], batch: int
) -> list[ServiceKey]:
    old = select(ServiceKey).where(ServiceKey.kek_id != active, col(ServiceKey.name).not_in(passed_over))
    return list(session.exec(old.order_by(ServiceKey.name).limit(batch).with_for_update()))


def _lookalike_rows(
    session: Session, active: str, passed_over: tuple[str, ...], batch: int
) -> list[Lookalike]:
    old = select(Lookalike).where(Lookalike.kek_id != active, col(Lookalike.id).not_in(passed_over))
    return list(session.exec(old.order_by(Lookalike.id).limit(batch).with_for_update()))


def _feed_key_rows(session: Session, active: str, passed_over: tuple[str, ...], batch: int) -> list[FeedKey]:
    old = select(FeedKey).where(FeedKey.kek_id != active, col(FeedKey.id).not_in(passed_over))
    return list(session.exec(old.order_by(FeedKey.id).limit(batch).with_for_update()))


def _rewrap_all(rows: Sequence[_Wrapped], keks: KeyEncryptionKeys, errors: list[KeysError]) -> Iterator[str]:
    """Wrap rows anew; give the ids of those that do not open and keep their errors."""
    for row in rows:
        try:
            _rewrap(row, keks)
        except KeysError as exc:
            errors.append(exc)
            yield _id_of(row)


def _id_of(row: _Wrapped) -> str:
    if isinstance(row, ServiceKey):
        return row.name
    return row.subject_id if isinstance(row, SubjectKey) else row.id


def _rewrap(row: _Wrapped, keks: KeyEncryptionKeys) -> None:
    if isinstance(row, SubjectKey):
        context = subject_context(row.subject_id)
        row.wrapped, row.kek_id = keks.wrap(keks.unwrap(row.wrapped, row.kek_id, context), context)
        return
    if isinstance(row, Lookalike):
        context = lookalike_context(row.subject_id, row.id)
        row.wrapped, row.kek_id = keks.wrap(keks.unwrap(row.wrapped, row.kek_id, context), context)
        return
    if isinstance(row, FeedKey):
        context = feed_key_context(row.feed_id, row.id)
        if row.wrapped is not None and row.kek_id is not None:
            row.wrapped, row.kek_id = keks.wrap(keks.unwrap(row.wrapped, row.kek_id, context), context)
        return
    context = service_context(row.name, row.public)
    private = keks.unwrap(row.wrapped_private, row.kek_id, context)
    row.wrapped_private, row.kek_id = keks.wrap(private, context)
