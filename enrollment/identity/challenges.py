"""The rows of challenges: draw one, take its clip in, or attest in place of a clip.

A proof holds for the samples that were there when its challenge was drawn (see enrollment/proofs.py): else
one could pass with one's own face, and then swap it.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlmodel import col, delete, func, select, update

from enrollment import limits, references
from enrollment.given import GOOD, UNJUDGED
from enrollment.identity.draw import FRESH_FOR, Drawn, draw
from enrollment.identity.verdict import REPORT, State
from enrollment.tables import Challenge, GivenSample, SeenClip, Subject
from monitor import audit, crypto, subject_keys
from monitor.db import reading, writing
from monitor.errors import ChallengeOver, ChallengeTooEarly, EmptyMedia, NotFound, TooOften
from monitor.tables import BlobRow
from monitor.values import Modality, SubjectId

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlmodel import Session

    from enrollment.lookups import Lookups
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.values import BlobId

PER_HOUR, PER_DAY = 6, 12
"""Challenges of one person: who speaks unclearly gets several, and who guesses gets nowhere with twelve."""

CLIP: Final = "challenge-clip"
"""Kind of the blob."""

SEEN_FOR: Final = timedelta(days=400)
"""How long a clip is known again: longer than from one yearly proof to the next."""


@dataclass(frozen=True, slots=True)
class Takers:
    """What it takes to draw challenges and take clips in. No key of it opens one."""

    engine: Engine
    blobs: BlobStore
    lookups: Lookups


@dataclass(frozen=True, slots=True)
class ProofView:
    """One challenge as its person sees it."""

    challenge_id: str
    state: State
    drawn: Drawn
    expires_at: datetime


def begin(
    takers: Takers, subject_id: SubjectId, language: str, heard: Sequence[str], now: datetime
) -> ProofView:
    """Draw a challenge; an older one that is not answered yet expires.

    Raises ChallengeTooEarly, ChallengeOver while a clip is being looked at, TooOften.
    """
    with writing(takers.engine) as session:
        if not (_counted(session, takers, subject_id, now)):
            often = TooOften("you tried this often today", hint="Try again tomorrow, or write to us.")
        else:
            often = None
    if often is not None:  # the count stands, though nothing else was done
        raise often
    with writing(takers.engine) as session:
        session.get(Subject, subject_id, with_for_update=True)
        if not has_samples(session, subject_id):
            msg = "there are no samples yet that this could be held against"
            raise ChallengeTooEarly(msg, hint="Give pictures of your face and a recording first.")
        if newest(session, subject_id, (State.WAITING, State.JUDGING)) is not None:
            msg = "your last recording is still being looked at"
            raise ChallengeOver(msg, hint="Wait a moment, then reload the page.")
        _expire(session, subject_id, now)
        drawn = draw(language, heard)
        row = Challenge(
            id=uuid.uuid4().hex,
            subject_id=subject_id,
            drawn=drawn.as_json(),
            drawn_at=now,
            expires_at=now + FRESH_FOR,
        )
        session.add(row)
        return ProofView(row.id, State.DRAWN, drawn, row.expires_at)


def check_fresh(takers: Takers, subject_id: SubjectId, challenge_id: str, now: datetime) -> None:
    """Look whether a clip may come now: asked when its upload begins. Raises ChallengeOver."""
    with reading(takers.engine) as session:
        row = session.get(Challenge, challenge_id)
        if row is None or row.subject_id != subject_id or row.state != State.DRAWN or now > row.expires_at:
            raise _over()


def hand_in(
    takers: Takers, subject_id: SubjectId, challenge_id: str, clip: bytes, began_at: datetime
) -> None:
    """Take the clip of a challenge in, sealed to its person's own key. `began_at` is when the upload began.

    Raises ChallengeOver, EmptyMedia, StorageFull, StorageError.
    """
    if not clip:
        msg = "the recording is empty"
        raise EmptyMedia(msg, hint="Try again.")
    check_fresh(takers, subject_id, challenge_id, began_at)
    with reading(takers.engine) as session:
        public = session.get_one(Subject, subject_id).reference_public
    sealed = crypto.IntakeSealer(public).seal(clip, references.info(subject_id, challenge_id))
    blob_id = takers.blobs.put(sealed)
    with takers.blobs.deleted_on_failure(blob_id), writing(takers.engine) as session:
        session.add(BlobRow(id=blob_id, subject_id=subject_id, kind=CLIP, size_bytes=len(sealed)))
        session.flush()  # the challenge points at this row
        _answer(session, (subject_id, challenge_id), blob_id, began_at)


def _answer(session: Session, which: tuple[SubjectId, str], blob_id: BlobId, began_at: datetime) -> None:
    """Let a challenge wait for the worker, with its clip. Raises ChallengeOver where it is not open."""
    taken = session.connection().execute(
        update(Challenge)
        .where(
            col(Challenge.subject_id) == which[0],
            col(Challenge.id) == which[1],
            col(Challenge.state) == State.DRAWN,
            col(Challenge.expires_at) >= began_at,
        )
        .values(state=State.WAITING, blob_id=blob_id)
    )
    if taken.rowcount != 1:
        raise _over()


def attest(  # noqa: PLR0913, PLR0917 - who attests what of whom, and when
    engine: Engine, keks: KeyEncryptionKeys, subject_id: SubjectId, actor: str, how: str, now: datetime
) -> None:
    """Write that an operator made sure that the samples given so far are this person's. Audited.

    Raises NotFound, SubjectErased, ChallengeTooEarly.
    """
    if not how.strip():
        msg = "nothing says how it was checked"
        raise ChallengeTooEarly(msg, hint="Say with --how what you looked at, and who was there.")
    with writing(engine) as session:
        if session.get(Subject, subject_id, with_for_update=True) is None:
            msg = f"there is no subject {subject_id}"
            raise NotFound(msg)
        if not has_samples(session, subject_id):
            msg = "this person has not given a usable picture and recording yet"
            raise ChallengeTooEarly(msg, hint="Attest after the samples are there.")
        _expire(session, subject_id, now)
        challenge_id = uuid.uuid4().hex
        key = subject_keys.key_of(session, keks, subject_id)
        report = json.dumps({"state": State.PASSED, "attested by": actor, "how": how, "signs": []}).encode()
        session.add(
            Challenge(
                id=challenge_id,
                subject_id=subject_id,
                drawn=Drawn((), "", "").as_json(),
                state=State.PASSED,
                sealed_report=crypto.seal(key, report, report_context(subject_id, challenge_id)),
                drawn_at=now,
                expires_at=now,
                ended_at=now,
            )
        )
        audit.record(session, actor, "challenge.attested", subject_id)


def newest(
    session: Session, subject_id: SubjectId, states: Sequence[State] = tuple(State)
) -> Challenge | None:
    """Give a person's newest challenge in one of these states; None where there is none."""
    query = select(Challenge).where(Challenge.subject_id == subject_id, col(Challenge.state).in_(states))
    return session.exec(query.order_by(col(Challenge.drawn_at).desc(), col(Challenge.id)).limit(1)).first()


def view_of(row: Challenge, now: datetime) -> ProofView:
    """Show a challenge. One that nobody answered in time is shown as expired."""
    late = row.state == State.DRAWN and now > row.expires_at
    state = State.EXPIRED if late else State(row.state)
    return ProofView(row.id, state, Drawn.of_json(row.drawn), row.expires_at)


def has_samples(session: Session, subject_id: SubjectId) -> bool:
    """Say whether there are a face and a voice that a clip can be held against."""
    query = select(GivenSample.modality).where(
        GivenSample.subject_id == subject_id, col(GivenSample.state).in_(GOOD)
    )
    return set(session.exec(query.distinct())) >= set(Modality)


def is_waiting_for_samples(session: Session, subject_id: SubjectId) -> bool:
    """Say whether samples of a person are still being judged."""
    query = select(func.count()).where(
        col(GivenSample.subject_id) == subject_id, col(GivenSample.state).in_(UNJUDGED)
    )
    return session.exec(query).one() > 0


def report_context(subject_id: str, challenge_id: str) -> crypto.Context:
    """Give what is bound to a sealed report."""
    return crypto.Context(subject_id, challenge_id, REPORT)


def report_of(session: Session, keks: KeyEncryptionKeys, row: Challenge) -> bytes | None:
    """Open what the checks found, for an operator: JSON (see verdict.py). Raises Tampered, SubjectErased."""
    if row.sealed_report is None:
        return None
    key = subject_keys.key_of(session, keks, SubjectId(row.subject_id))
    return crypto.unseal(key, row.sealed_report, report_context(row.subject_id, row.id))


def forget_seen(session: Session, now: datetime) -> None:
    """Delete the digests of clips that are no longer known again."""
    session.connection().execute(delete(SeenClip).where(col(SeenClip.expires_at) <= now))


def _counted(session: Session, takers: Takers, subject_id: SubjectId, now: datetime) -> bool:
    within = [
        limits.take(session, takers.lookups, "challenge", subject_id, per=per, most=most, now=now)
        for per, most in ((limits.HOUR, PER_HOUR), (limits.DAY, PER_DAY))
    ]
    return all(within)


def _expire(session: Session, subject_id: SubjectId, now: datetime) -> None:
    session.connection().execute(
        update(Challenge)
        .where(col(Challenge.subject_id) == subject_id, col(Challenge.state) == State.DRAWN)
        .values(state=State.EXPIRED, ended_at=now)
    )


def _over() -> ChallengeOver:
    msg = "the time for this was over"
    return ChallengeOver(msg, hint="Begin once more: you get new directions and digits.")
