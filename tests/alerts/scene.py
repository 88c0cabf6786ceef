"""What the tests of the voice start from: a subject, findings of theirs, an address book and a channel."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import uuid
import warnings
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from PIL import Image

from alerts.interfaces import Contact, Message
from alerts.links import Links
from monitor import findings, subject_keys
from monitor.db import writing
from monitor.errors import DeliveryError, SubjectErased
from monitor.explaining import captions, explanation, without_pictures
from monitor.tables import MediaItem, MediaOrigin, SubjectKey
from monitor.values import (
    Band,
    CouldNotLook,
    FindingId,
    MediaId,
    MediaKind,
    ModelId,
    Span,
    SubjectId,
    SyntheticAssessment,
    SyntheticStatus,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

NOON = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)
MODEL = ModelId("test@0123456789abcdef/112")
ANA = Contact(name="Ana", email="ana@example.org", phone="+491701234567")
NOT_ASSESSED = SyntheticAssessment(SyntheticStatus.NOT_ASSESSED, (), "not assessed: no scorer installed")
SECRET = "a-secret-that-only-the-tests-know-of-0123"


@dataclass
class Book:
    """A fake address book. It says loudly that it is one."""

    contacts: dict[str, Contact] = field(default_factory=dict)
    quiet_until: datetime | None = NOON - timedelta(days=365)

    def __post_init__(self) -> None:
        """Warn, as every fake does; the tests expect it."""
        warnings.warn("this address book is a fake", RuntimeWarning, stacklevel=3)

    def contact(self, subject_id: SubjectId) -> Contact:
        """Look the subject up."""
        if subject_id not in self.contacts:
            msg = "erased"
            raise SubjectErased(msg)
        return self.contacts[subject_id]

    def told_from(self, subject_id: SubjectId) -> datetime | None:
        """Say when the subject is told; None: not for now."""
        self.contact(subject_id)
        return self.quiet_until


@dataclass
class Spool:
    """A fake channel that keeps what it is given, or fails as it is told."""

    name: str = "email"
    sent: list[Message] = field(default_factory=list)
    fail: DeliveryError | None = None

    def __post_init__(self) -> None:
        """Warn, as every fake does; the tests expect it."""
        warnings.warn("this channel is a fake", RuntimeWarning, stacklevel=3)

    def address_of(self, contact: Contact) -> str:
        """Pick the address."""
        return contact.phone if self.name == "sms" else contact.email

    def send(self, message: Message) -> str:
        """Keep it, or fail."""
        if self.fail is not None:
            raise self.fail
        self.sent.append(message)
        return f"ref-{len(self.sent)}"


@dataclass
class Clock:
    """A clock that stands still until a test moves it."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now


def book(subject: SubjectId, contact: Contact = ANA) -> Book:
    """Make an address book with one entry."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return Book({subject: contact})


def spool(name: str = "email") -> Spool:
    """Make a channel that keeps what it is given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return Spool(name)


def links(clock: Clock | None = None, url: str = "https://watch.example") -> Links:
    """Make links with a known secret."""
    return Links(SECRET, url, clock or Clock())


def subject(engine: Engine, keys: KeyEncryptionKeys) -> SubjectId:
    """Make a subject."""
    subject_id = SubjectId(uuid.uuid4().hex)
    with writing(engine) as session:
        subject_keys.create(session, keys, subject_id)
    return subject_id


def erase(engine: Engine, subject_id: SubjectId) -> None:
    """Delete the one row that everything of the subject hangs on."""
    with writing(engine) as session:
        session.delete(session.get_one(SubjectKey, subject_id))


def mark(number: int) -> str:
    """Make a copy mark that is far from every other number's."""
    return f"{int.from_bytes(hashlib.sha256(str(number).encode()).digest()):064x}"


def finding(
    engine: Engine,
    keys: KeyEncryptionKeys,
    subject_id: SubjectId,
    *,
    band: Band = Band.ALERT,
    marks: tuple[str, ...] = (),
    kind: MediaKind = MediaKind.IMAGE,
    face: float | None = 0.71,
    voice: float | None = None,
    face_spans: tuple[Span, ...] = (),
    voice_spans: tuple[Span, ...] = (),
    synthetic: SyntheticAssessment = NOT_ASSESSED,
    not_looked: tuple[CouldNotLook, ...] = (),
    url: str = "https://pictures.example/a/1.jpg",
    page_url: str | None = "https://pictures.example/a/",
    media_id: MediaId | None = None,
    model_id: ModelId = MODEL,
    copy_of: str = "",
) -> FindingId:
    """Record one finding as the worker would."""
    assessed = synthetic.assessed
    detail = findings.FindingDetail(
        kind=kind,
        face_score=face,
        voice_score=voice,
        face_spans=face_spans,
        voice_spans=voice_spans,
        synthetic=replace(synthetic, assessed=without_pictures(assessed) if assessed else None),
        reasons=("The face is close to the enrolled one.",),
        against=("The picture is small.",),
        not_looked=not_looked,
        copy_marks=marks,
        plates=captions(assessed) if assessed else (),
        copy_of=copy_of,
    )
    evidence = {
        "crops": [{"jpeg": base64.b64encode(jpeg()).decode()}] if face is not None else [],
        "synthetic": {"assessed": explanation(assessed) if assessed else None},
    }
    media = media_id or MediaId(uuid.uuid4().hex)
    with writing(engine) as session:
        if session.get(MediaItem, media) is None:
            session.add(MediaItem(id=media, sha256=uuid.uuid4().hex, kind=kind, size_bytes=1))
            session.flush()
            session.add(MediaOrigin(media_id=media, kind="crawl", url=url, page_url=page_url, seen_at=NOON))
        draft = findings.Draft(subject_id, media, model_id, band, detail, json.dumps(evidence).encode())
        found = findings.record(session, keys, draft)
    assert found is not None
    return found


def jpeg() -> bytes:
    """Make a small JPEG with nobody in it."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize((240, 240)).convert("RGB").save(out, "JPEG")
    return out.getvalue()
