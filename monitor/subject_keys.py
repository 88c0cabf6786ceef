"""The wrapped keys in the database: one per subject, two pairs of the service, and their rotation.

Nothing is cached: a subject whose key row is gone is erased in the next call of every process.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from monitor import crypto
from monitor.db import reading, writing
from monitor.errors import KeyMissing, SubjectErased
from monitor.tables import ServiceKey, SubjectKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.crypto import KeyEncryptionKeys
    from monitor.values import SubjectId

INTAKE = "intake"
RECEIPTS = "receipts"
_PAIRS = {INTAKE: crypto.new_intake_pair, RECEIPTS: crypto.new_signing_pair}


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
