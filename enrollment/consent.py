"""Consent: three questions, each answered by itself, each answer signed and kept.

    ask      the text in force (consent_texts.py); a box that nobody ticked is a no
    answer   one Consent row per answer, with a record that the service signs; nothing is ever overwritten
    ask again   when a text has a new version: the old yes counts no more for the question it does not cover

Taking back is an answer like giving. What follows from it is done in the same transaction (`withdraw`).
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlmodel import col, select

from enrollment.consent_texts import TEXTS, Purpose, Text, current
from enrollment.tables import Consent
from monitor import audit, crypto
from monitor.errors import NotFound, Tampered
from monitor.values import SubjectId

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

LABEL = b"likeness-watch/consent/1"
"""Stands before what is signed, so that this signature can mean a consent and nothing else."""

VERSION = 1
KIND = "likeness-watch consent"

ACTOR = "subject"


@dataclass(frozen=True, slots=True)
class Answer:
    """The newest answer to one question. `is_old`: the text changed since, and must be asked again."""

    consent_id: str
    purpose: Purpose
    version: str
    given: bool
    at: datetime

    @property
    def is_old(self) -> bool:
        """Whether the words have changed since."""
        return self.version != current(self.purpose).version


@dataclass(frozen=True, slots=True)
class Record:
    """One answer as it was signed. `at` is ISO 8601, UTC; `text` is all that was read."""

    consent_id: str
    subject_id: str
    purpose: str
    version: str
    text: str
    given: bool
    at: str


def answer(
    session: Session, signer: crypto.Signer, subject_id: SubjectId, given: dict[Purpose, bool], now: datetime
) -> None:
    """Keep the answers to these questions, by the texts in force, in the caller's transaction; audited.

    An answer that changes nothing is kept all the same: somebody who was asked again said it again.
    """
    for purpose, said in given.items():
        text = current(purpose)
        record = Record(
            uuid.uuid4().hex, subject_id, purpose, text.version, text.whole, said, now.isoformat()
        )
        _keep(session, signer, record, now)


def in_force(session: Session, subject_id: SubjectId) -> dict[Purpose, Answer]:
    """Give the newest answer to each question that was ever answered."""
    rows = session.exec(
        select(Consent)
        .where(Consent.subject_id == subject_id)
        .order_by(col(Consent.at), col(Consent.id))  # the last one of each purpose stays
    )
    return {
        Purpose(row.purpose): Answer(row.id, Purpose(row.purpose), row.version, row.given, row.at)
        for row in rows
    }


def is_agreed(session: Session, subject_id: SubjectId, purpose: Purpose) -> bool:
    """Say whether the newest answer is yes, whichever version it was about."""
    found = in_force(session, subject_id).get(purpose)
    return found is not None and found.given


def to_ask(session: Session, subject_id: SubjectId) -> tuple[Purpose, ...]:
    """List what must be asked: what was never answered, and what was answered of an older text."""
    answers = in_force(session, subject_id)
    return tuple(one for one in Purpose if one not in answers or answers[one].is_old)


def history(session: Session, subject_id: SubjectId) -> list[Consent]:
    """List all answers, the newest first."""
    query = select(Consent).where(Consent.subject_id == subject_id)
    return list(session.exec(query.order_by(col(Consent.at).desc(), col(Consent.id).desc())))


def record_of(session: Session, subject_id: SubjectId, consent_id: str) -> str:
    """Give one signed record of a person. Raises NotFound where it is not theirs."""
    row = session.get(Consent, consent_id)
    if row is None or row.subject_id != subject_id:
        msg = "there is no such consent"
        raise NotFound(msg)
    return row.record


def text_of(purpose: Purpose, version: str) -> Text | None:
    """Give a text by its version, old ones too."""
    return next((one for one in TEXTS[purpose] if one.version == version), None)


def verify(text: str, public: bytes) -> Record:
    """Check a record's file against the service's public key (of receipts), and give what it says.

    Raises Tampered when it is no such file, anything in it was changed, or another key signed it.
    """
    try:
        whole = json.loads(text)
        body = whole["consent"]
        signature = base64.b64decode(whole["signature"], validate=True)
        record = Record(
            body["consent_id"],
            body["subject_id"],
            body["purpose"],
            body["version"],
            body["text"],
            bool(body["given"]),
            body["at"],
        )
        same = body == _body(record)
    except (ValueError, KeyError, TypeError, binascii.Error) as exc:
        msg = "this is not a record of consent"
        raise Tampered(msg) from exc
    if not same:
        msg = "this is not a record of consent of a version known here, or something was added to it"
        raise Tampered(msg)
    crypto.verify(public, signature, _signed_bytes(body))
    return record


def _keep(session: Session, signer: crypto.Signer, record: Record, now: datetime) -> None:
    session.add(
        Consent(
            id=record.consent_id,
            subject_id=record.subject_id,
            purpose=record.purpose,
            version=record.version,
            given=record.given,
            record=_signed(signer, record),
            at=now,
        )
    )
    action = "consent.give" if record.given else "consent.refuse"
    purpose, version = str(record.purpose), record.version
    audit.record(session, ACTOR, action, record.subject_id, purpose=purpose, version=version)


def _signed(signer: crypto.Signer, record: Record) -> str:
    body = _body(record)
    signature = base64.b64encode(signer.sign(_signed_bytes(body))).decode()
    public = base64.b64encode(signer.public).decode()
    whole = {"consent": body, "signature": signature, "public_key": public}
    return json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False)


def _body(record: Record) -> dict[str, Any]:
    return {
        "kind": KIND,
        "record_version": VERSION,
        "consent_id": record.consent_id,
        "subject_id": record.subject_id,
        "purpose": record.purpose,
        "version": record.version,
        "text": record.text,
        "given": record.given,
        "at": record.at,
    }


def _signed_bytes(body: dict[str, Any]) -> bytes:
    return crypto.bind(LABEL, json.dumps(body, sort_keys=True, separators=(",", ":")))
