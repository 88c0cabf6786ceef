"""People who are watched for and have an account: a web process, their browsers, and a worker's desk."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlmodel import select

from enrollment import consent, references, subjects
from enrollment.consent_texts import Purpose
from enrollment.desk import Desk
from enrollment.given import Said, State, seal_said
from enrollment.identity.draw import Drawn
from enrollment.lookups import Lookups
from enrollment.standing import Standing
from enrollment.tables import Account, Challenge, GivenSample, Reference, Subject
from monitor import crypto, subject_keys
from monitor.blobs import BlobStore
from monitor.db import reading, writing
from monitor.gallery import Gallery, add_template
from monitor.settings import Settings
from monitor.tables import BlobRow
from monitor.values import Modality
from tests.enrollment.applicant import ANA, URL, Town
from tests.enrollment.newcomers import Clock
from tests.enrollment.people import MODEL, MODELS, unit_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi.testclient import TestClient
    from numpy.typing import NDArray

    from monitor.values import SubjectId

PICTURE = b"\x89PNG\r\n\x1a\n" + b"the picture itself"


@dataclass
class Residents:
    """A town, its blobs, and the desk of a worker whose clock a test can put forward."""

    town: Town
    blobs: BlobStore
    desk: Desk
    clock: Clock = field(default_factory=Clock)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(11))
    browsers: dict[str, TestClient] = field(default_factory=dict)

    @classmethod
    def at(cls, home: Path, **how: Any) -> Residents:
        """Found the town in a folder."""
        town, clock = Town.at(home, **how), Clock()
        settings = Settings(home=home, public_url=URL, **how)
        blobs, nobody = BlobStore(settings.blobs), _nobody()
        lookups = Lookups(town.engine, town.keys)
        desk = Desk(town.engine, town.keys, blobs, settings, lookups, nobody, nobody, nobody, clock)
        subject_keys.ensure_service_keys(town.engine, town.keys)
        return cls(town, blobs, desk, clock)

    def begun(self, email: str = ANA, name: str = "") -> SubjectId:
        """Let somebody come in by e-mail, who has done nothing else; name and birthday only if named."""
        self.browsers[email] = self.town.signed_in(email)
        who = self.town.subject(email)
        if name:
            with writing(self.town.engine) as session:
                profile = subjects.profile_of(session, self.town.keys, who)
                full = replace(profile, name=name, born="1990-05-23")
                subjects.rewrite_profile(session, self.town.keys, who, full)
        return who

    def watched(
        self, email: str = ANA, vectors: NDArray[np.float32] | None = None, *, keep: bool = True
    ) -> SubjectId:
        """Let somebody be enrolled the whole way, cooling-off over, with kept samples and a clip."""
        who, engine, keys = self.begun(email, "Ana"), self.town.engine, self.town.keys
        vectors = unit_vectors(self.rng, 2) if vectors is None else vectors
        signer = subject_keys.receipt_signer(engine, keys)
        given = {Purpose.BIOMETRICS: True, Purpose.REFERENCES: keep, Purpose.SCORES: False}
        now = self.clock()
        with reading(engine) as session:
            public = session.get_one(Subject, who).reference_public
            key = subject_keys.key_of(session, keys, who)
        with writing(engine) as session:
            consent.answer(session, signer, who, given, now)
            for vector in vectors:
                kept = references.put(self.blobs, who, public, Modality.FACE, PICTURE)
                session.add(references.blob_row(who, kept, references.GIVEN))
                session.flush()
                sample = GivenSample(
                    id=kept.reference_id,
                    subject_id=who,
                    modality=Modality.FACE,
                    blob_id=kept.blob_id,
                    clip_lookup=kept.reference_id,
                    state=State.ENROLLED,
                    sealed_said=seal_said(key, who, kept.reference_id, Said("It can be used.")),
                    model_id=MODEL,
                    quality=0.9,
                    created_at=now,
                )
                session.add(sample)
                session.flush()
                reference = references.keep(session, sample) if keep else None
                add_template(session, keys, who, Modality.FACE, MODEL, vector, 0.9, reference)
            account = session.get_one(Account, who)
            account.told_from, account.proved_until = now - timedelta(hours=1), now + timedelta(days=365)
            session.get_one(Subject, who).status = Standing.ACTIVE
        self.clip(who)
        return who

    def clip(self, who: SubjectId, state: str = "passed") -> str:
        """Answer a challenge, whose clip is still there; give its id."""
        engine, now, challenge_id = self.town.engine, self.clock(), uuid.uuid4().hex
        with reading(engine) as session:
            public = session.get_one(Subject, who).reference_public
        sealed = crypto.IntakeSealer(public).seal(b"the clip", references.info(who, challenge_id))
        blob_id = self.blobs.put(sealed)
        with writing(engine) as session:
            session.add(BlobRow(id=blob_id, subject_id=who, kind="challenge-clip", size_bytes=len(sealed)))
            session.flush()
            session.add(
                Challenge(
                    id=challenge_id,
                    subject_id=who,
                    drawn=Drawn((), "", "en").as_json(),
                    state=state,
                    blob_id=blob_id,
                    drawn_at=now,
                    expires_at=now + timedelta(minutes=1),
                    ended_at=now if state != "drawn" else None,
                )
            )
        return challenge_id

    def standing(self, who: SubjectId) -> Standing:
        """Say where somebody stands."""
        with reading(self.town.engine) as session:
            return Standing(session.get_one(Subject, who).status)

    def references(self, who: SubjectId) -> int:
        """Count somebody's kept samples."""
        with reading(self.town.engine) as session:
            return len(session.exec(select(Reference).where(Reference.subject_id == who)).all())

    def gallery(self) -> Gallery:
        """Open a worker's gallery; the caller closes it."""
        gallery = Gallery(self.town.engine, self.town.keys, MODELS)
        gallery.follow()
        return gallery

    def close(self) -> None:
        """Close what is open."""
        self.town.close()


def _nobody() -> Any:
    """Stand for a part of the desk that is not asked here: using it fails."""
    return None


def found(gallery: Gallery, vector: NDArray[np.float32]) -> list[SubjectId]:
    """Say whom a gallery takes a vector for."""
    [line] = gallery.compare(Modality.FACE, MODEL, vector[None], 3).nearest
    return [one.subject_id for one in line if one.score > 0.9]


def residents(home: Path, **how: Any) -> Iterator[Residents]:
    """Found a town for a fixture, and close it."""
    there = Residents.at(home, **how)
    yield there
    there.close()
