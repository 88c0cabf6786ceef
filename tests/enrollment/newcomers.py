"""Newcomers with every step done but the last, made of vectors; and the worker's desk that lets them in."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlmodel import col, select

from alerts.interfaces import Message
from enrollment import consent, letters, references, starting, subjects
from enrollment.consent_texts import Purpose
from enrollment.desk import Desk
from enrollment.given import VECTOR, Said, State, seal_said
from enrollment.lookups import Lookups
from enrollment.profiles import Profile
from enrollment.proofs import start
from enrollment.samples import Reader
from enrollment.standing import Standing
from enrollment.tables import Account, Challenge, GivenSample, Hold, Passkey, Subject
from monitor import crypto, subject_keys
from monitor.blobs import BlobStore
from monitor.crypto import KeyEncryptionKeys
from monitor.db import reading, utc_now, writing
from monitor.gallery import Gallery, models_of
from monitor.settings import Settings
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.stages.match import FixedBook
from monitor.tables import AuditEvent, BlobRow, Template
from monitor.values import Modality, SubjectId
from tests.alerts import scene
from tests.enrollment.people import unit_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Engine

    from enrollment.steps import Step
    from monitor.ml.interfaces import Pack

    Vectors = NDArray[np.float32]


@dataclass
class Clock:
    """A clock that a test can put forward."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        """Tell the time."""
        return utc_now() + self.ahead


@dataclass
class Door:
    """Where newcomers come in: rows as the web writes them, and the worker's steps."""

    engine: Engine
    keys: KeyEncryptionKeys
    blobs: BlobStore
    pack: Pack
    desk: Desk
    gallery: Gallery
    clock: Clock
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    mail: scene.Spool = field(default_factory=scene.spool)
    sms: scene.Spool = field(default_factory=lambda: scene.spool("sms"))

    def vectors(self, modality: Modality = Modality.FACE, count: int = 1) -> Vectors:
        """Make somebody: (count, d) float32 of length 1, all near one direction; another one each time."""
        size = models_of(self.pack)[modality][1]
        middle = unit_vectors(self.rng, 1, size)
        around = middle + 0.02 * unit_vectors(self.rng, count, size)
        return (around / np.linalg.norm(around, axis=1, keepdims=True)).astype(np.float32)

    def again(self, vectors: Vectors) -> Vectors:
        """Make other pictures or recordings of the same person."""
        noise = 0.3 * unit_vectors(self.rng, len(vectors), vectors.shape[1])
        moved = vectors + noise
        return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)

    def newcomer(
        self,
        email: str,
        face: Vectors | None = None,
        voice: Vectors | None = None,
        *,
        keep: bool = False,
        proof: str = "passed",
        data: bytes = b"no picture",
        subject_id: SubjectId | None = None,
    ) -> SubjectId:
        """Make somebody who has done every step but the last one."""
        face = self.vectors() if face is None else face
        voice = self.vectors(Modality.VOICE) if voice is None else voice
        now = self.clock()
        who = subject_id or SubjectId(uuid.uuid4().hex)
        with writing(self.engine) as session:
            if subject_id is None:
                profile = Profile("Ann Other", email, "", "", "1990-05-23")
                subjects.create(session, self.keys, who, profile, standing=Standing.NEW)
                session.add(Account(subject_id=who, email_lookup=self.desk.lookups.email(email)))
            else:
                profile = Profile("Ann Other", email, "", "", "1990-05-23")
                subjects.rewrite_profile(session, self.keys, who, profile)
            session.add(Passkey(id=uuid.uuid4().hex, subject_id=who, public_key=b"k", name="phone"))
        self.agree(who, references=keep)
        for modality, vectors in ((Modality.FACE, face), (Modality.VOICE, voice)):
            for vector in vectors:
                self.sample(who, modality, vector, data=data)
        self.prove(who, proof, now)
        return who

    def agree(self, who: SubjectId, *, biometrics: bool = True, references: bool = False) -> None:
        """Answer the questions."""
        signer = subject_keys.receipt_signer(self.engine, self.keys)
        given = {Purpose.BIOMETRICS: biometrics, Purpose.REFERENCES: references}
        with writing(self.engine) as session:
            consent.answer(session, signer, who, given, self.clock())

    def sample(
        self, who: SubjectId, modality: Modality, vector: NDArray[np.float32], *, data: bytes = b"no picture"
    ) -> str:
        """Give one sample that was judged as usable."""
        model_id = models_of(self.pack)[modality][0]
        with reading(self.engine) as session:
            public = session.get_one(Subject, who).reference_public
            key = subject_keys.key_of(session, self.keys, who)
        kept = references.put(self.blobs, who, public, modality, data)
        sealed = crypto.seal(key, vector.tobytes(), crypto.Context(who, kept.reference_id, VECTOR, model_id))
        with writing(self.engine) as session:
            session.add(references.blob_row(who, kept, references.GIVEN))
            session.flush()
            session.add(
                GivenSample(
                    id=kept.reference_id,
                    subject_id=who,
                    modality=modality,
                    blob_id=kept.blob_id,
                    clip_lookup=self.desk.lookups.clip(kept.reference_id.encode()),
                    state=State.USABLE,
                    sealed_said=seal_said(key, who, kept.reference_id, Said("It can be used.")),
                    sealed_vector=sealed,
                    model_id=model_id,
                    quality=0.9,
                    created_at=self.clock(),
                )
            )
        return kept.reference_id

    def prove(self, who: SubjectId, state: str = "passed", at: datetime | None = None) -> None:
        """Answer a challenge, with this outcome."""
        now = at if at is not None and at > self.clock() else self.clock()
        with writing(self.engine) as session:
            session.add(
                Challenge(
                    id=uuid.uuid4().hex,
                    subject_id=who,
                    drawn="{}",
                    state=state,
                    drawn_at=now,
                    expires_at=now + timedelta(minutes=1),
                    ended_at=now,
                )
            )

    def click(self, who: SubjectId) -> Step | None:
        """Press the last button."""
        with writing(self.engine) as session:
            return start(session, self.keys, self.desk.settings, who, self.clock())

    def work(self) -> int:
        """Do the worker's two steps, and let the gallery follow."""
        done = starting.start_due(self.desk) + starting.act_due(self.desk)
        self.gallery.follow()
        return done

    def enrolled(
        self, email: str, face: Vectors | None = None, voice: Vectors | None = None, **how: Any
    ) -> SubjectId:
        """Bring somebody in, the whole way."""
        who = self.newcomer(email, face, voice, **how)
        assert self.click(who) is None
        assert self.work() == 1
        assert self.standing(who) is Standing.ACTIVE
        return who

    def standing(self, who: SubjectId) -> Standing:
        """Say where somebody stands."""
        with reading(self.engine) as session:
            return Standing(session.get_one(Subject, who).status)

    def account(self, who: SubjectId) -> Account:
        """Give somebody's account."""
        with reading(self.engine) as session:
            return session.get_one(Account, who)

    def hold(self, who: SubjectId) -> Hold:
        """Give the newest answer to somebody's start."""
        with reading(self.engine) as session:
            query = select(Hold).where(Hold.subject_id == who).order_by(col(Hold.created_at).desc())
            found = session.exec(query).first()
        assert found is not None
        return found

    def samples(self, who: SubjectId) -> Sequence[GivenSample]:
        """List what somebody gave."""
        with reading(self.engine) as session:
            return session.exec(select(GivenSample).where(GivenSample.subject_id == who)).all()

    def templates(self, who: SubjectId) -> Sequence[Template]:
        """List somebody's templates."""
        with reading(self.engine) as session:
            return session.exec(select(Template).where(Template.subject_id == who)).all()

    def files(self, who: SubjectId) -> int:
        """Count somebody's files, that are on the disk and named by a row."""
        there = set(self.blobs.ids())
        with reading(self.engine) as session:
            return sum(
                row.id in there for row in session.exec(select(BlobRow).where(BlobRow.subject_id == who))
            )

    def actions(self, who: SubjectId) -> list[str]:
        """List what is on record about somebody, in order."""
        with reading(self.engine) as session:
            query = select(AuditEvent).where(AuditEvent.subject_id == who).order_by(col(AuditEvent.seq))
            return [event.action for event in session.exec(query)]

    def matches(self, vector: NDArray[np.float32], modality: Modality = Modality.FACE) -> SubjectId | None:
        """Say whom the worker's gallery takes a vector for, from the alert threshold on."""
        model_id, _ = models_of(self.pack)[modality]
        [line] = self.gallery.compare(modality, model_id, vector[None], 1).nearest
        sure = line and line[0].score >= self.desk.book.of(modality, line[0].subject_id).alert
        return line[0].subject_id if sure else None

    def delivered(self) -> list[Message]:
        """Send the letters that are due, and give what arrived."""
        before = len(self.mail.sent)
        carriers = letters.Carriers((self.mail, self.sms), Message, 200, lambda _session, _now: 0)
        letters.send_due(self.engine, self.keys, carriers, self.clock())
        return self.mail.sent[before:]


@contextmanager
def door_of(
    engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore, pack: Pack, **how: Any
) -> Iterator[Door]:
    """Open the door over one database."""
    subject_keys.ensure_service_keys(engine, keys)
    settings, clock = Settings(**how), Clock()
    with (
        Decoder(DecodeLimits.of(settings)) as decoder,
        Gallery(engine, keys, models_of(pack)) as gallery,
    ):
        gallery.follow()
        reader = Reader(pack, decoder, settings.sample_max_bytes)
        lookups = Lookups(engine, keys)
        desk = Desk(engine, keys, blobs, settings, lookups, reader, gallery, FixedBook(pack), clock)
        yield Door(engine, keys, blobs, pack, desk, gallery, clock)
