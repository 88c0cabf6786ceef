"""A ledger of its own for the bench of enrolment: rows as the web process writes them, and the worker's desk.

Nothing is imitated but the clock: samples are sealed and judged, clips are sealed, decoded in a child process
and judged, the last click is the web's, and the worker's step lets in or holds.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlmodel import col, select

from enrollment import consent, erasure, given, proofs, subjects
from enrollment.consent_texts import Purpose
from enrollment.desk import Desk
from enrollment.given import GOOD, Givers
from enrollment.identity import challenges
from enrollment.identity.challenges import Takers, report_of
from enrollment.identity.check import check_due
from enrollment.judging import judge_due
from enrollment.lookups import Lookups
from enrollment.profiles import Profile
from enrollment.samples import Reader
from enrollment.standing import Standing
from enrollment.starting import start_due
from enrollment.tables import Account, Challenge, GivenSample, Hold, Passkey, Subject
from monitor import subject_keys
from monitor.blobs import BlobStore
from monitor.crypto import KeyEncryptionKeys, new_key
from monitor.db import reading, utc_now, writing
from monitor.errors import ChallengeOver, ConfigError
from monitor.gallery import Gallery, add_template, models_of
from monitor.ledger import open_ledger
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.stages.match import FixedBook
from monitor.values import Modality, SubjectId

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from enrollment.identity.draw import Drawn
    from monitor.ml.interfaces import Pack
    from monitor.settings import Settings

BETWEEN = timedelta(hours=3)
"""By which the clock goes on from one try to the next: limits on how often one may try are not measured."""

ANSWERED_AFTER = timedelta(seconds=25)
"""When the upload of a clip begins, after its challenge was drawn."""


@dataclass
class Clock:
    """A clock that can be put forward."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        """Tell the time."""
        return utc_now() + self.ahead


@dataclass(frozen=True)
class Door:
    """Where people come in."""

    desk: Desk
    gallery: Gallery
    clock: Clock = field(default_factory=Clock)

    def arrive(self, photographs: Sequence[bytes], recording: bytes) -> SubjectId:
        """Let somebody come, say who they are, agree, and give samples; judge those.

        Raises ConfigError where one kind has no usable sample.
        """
        desk, who = self.desk, SubjectId(uuid.uuid4().hex)
        self.clock.ahead += BETWEEN
        email = f"{who}@bench.invalid"
        signer = subject_keys.receipt_signer(desk.engine, desk.keks)
        with writing(desk.engine) as session:
            profile = Profile("Somebody", email, "", "", "1990-01-01")
            subjects.create(session, desk.keks, who, profile, standing=Standing.NEW)
            session.add(Account(subject_id=who, email_lookup=desk.lookups.email(email)))
            session.add(Passkey(id=who, subject_id=who, public_key=b"", name="bench"))
            answers = {Purpose.BIOMETRICS: True, Purpose.REFERENCES: False}
            consent.answer(session, signer, who, answers, self.clock())
        givers = Givers(desk.engine, desk.blobs, desk.lookups, desk.settings.sample_max_bytes)
        for photograph in photographs:
            given.give(givers, who, Modality.FACE, photograph, self.clock())
        given.give(givers, who, Modality.VOICE, recording, self.clock())
        while judge_due(desk):
            pass
        self._must_be_usable(who)
        return who

    def answer(self, who: SubjectId, drawn: Drawn, clip: bytes, *, late: bool = False) -> tuple[str, ...]:
        """Draw a challenge, answer it by a clip, and let it be judged; give the codes that speak against it.

        `drawn` takes the place of what the system's random numbers drew, so that a run can be repeated.
        """
        desk = self.desk
        self.clock.ahead += BETWEEN
        takers = Takers(desk.engine, desk.blobs, desk.lookups)
        view = challenges.begin(takers, who, drawn.language, (drawn.language,), self.clock())
        with writing(desk.engine) as session:
            session.get_one(Challenge, view.challenge_id).drawn = drawn.as_json()
        self.clock.ahead += ANSWERED_AFTER
        if late:
            self.clock.ahead += BETWEEN
        try:
            challenges.hand_in(takers, who, view.challenge_id, clip, self.clock())
        except ChallengeOver as exc:
            return (exc.code,)
        check_due(desk)
        with reading(desk.engine) as session:
            row = session.get_one(Challenge, view.challenge_id)
            found: dict[str, Any] = json.loads(report_of(session, desk.keks, row) or b"{}")
        return tuple(found.get("codes", ()))

    def start(self, who: SubjectId) -> Outcome:
        """Press the last button and let the worker act; say what became of it."""
        with writing(self.desk.engine) as session:
            missing = proofs.start(session, self.desk.keks, self.desk.settings, who, self.clock())
        if missing is not None:
            return Outcome("refused", (f"no_{missing}",))
        start_due(self.desk)
        with reading(self.desk.engine) as session:
            standing = Standing(session.get_one(Subject, who).status)
            query = select(Hold).where(Hold.subject_id == who).order_by(col(Hold.created_at).desc())
            hold = session.exec(query).first()
        if standing is Standing.ACTIVE:
            return Outcome("active", ())
        return Outcome("held", tuple(hold.reasons.split(",")) if hold is not None else ())

    def leave(self, who: SubjectId) -> None:
        """Erase somebody."""
        erasure.erase(self.desk.engine, self.desk.keks, self.desk.blobs, who, "bench")
        self.gallery.follow()

    def _must_be_usable(self, who: SubjectId) -> None:
        with reading(self.desk.engine) as session:
            rows = session.exec(select(GivenSample).where(GivenSample.subject_id == who)).all()
        good = {row.modality for row in rows if row.state in GOOD}
        if good != set(Modality):
            codes = ", ".join(row.code for row in rows if row.code)
            msg = f"the samples of somebody cannot be used: {codes}"
            raise ConfigError(msg, hint="Is --data the project's data folder?")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one who came: active, held or refused; and why not active."""

    state: str
    codes: tuple[str, ...]


@contextmanager
def opened(settings: Settings, pack: Pack) -> Iterator[Door]:
    """Open a door over an empty ledger in a folder that goes when it is closed."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        own = settings.model_copy(update={"home": home, "database_url": "", "blob_dir": None})
        engine, keks = open_ledger(own), KeyEncryptionKeys({"bench": new_key()})
        subject_keys.ensure_service_keys(engine, keks)
        blobs, clock = BlobStore(own.blobs), Clock()
        with Decoder(DecodeLimits.of(own)) as decoder, Gallery(engine, keks, models_of(pack)) as gallery:
            gallery.follow()
            reader, lookups = Reader(pack, decoder, own.sample_max_bytes), Lookups(engine, keks)
            desk = Desk(engine, keks, blobs, own, lookups, reader, gallery, FixedBook(pack), clock)
            yield Door(desk, gallery, clock)
        engine.dispose()


def fill(door: Door, modality: Modality, vectors: Sequence[NDArray[np.float32]]) -> list[SubjectId]:
    """Enrol people as an operator would, each with one template; give their ids."""
    model_id, _ = models_of(door.desk.reader.pack)[modality]
    people = []
    for vector in vectors:
        who = SubjectId(uuid.uuid4().hex)
        with writing(door.desk.engine) as session:
            subjects.create(session, door.desk.keks, who, Profile("Somebody", "", "", "", "1990-01-01"))
            add_template(session, door.desk.keks, who, modality, model_id, vector, quality=0.9)
        people.append(who)
    door.gallery.follow()
    return people
