"""The worker judges the clips of challenges: `check_due`, one step of the desk.

A clip is opened in memory with its person's key, judged (judge.py), and its end is written: state, a sealed
report for operators, and the clip's digest, so that it is known if it comes again. How long the sealed clip
stays is in retention.py. One bad clip never stops the desk: it is tried again, and left alone as failed in
the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
from sqlmodel import col, select

from enrollment import references
from enrollment.arrivals import vectors_of
from enrollment.desk import MOST_TRIES
from enrollment.desk_queue import Queue
from enrollment.given import GOOD
from enrollment.identity.challenges import SEEN_FOR, is_waiting_for_samples, report_context
from enrollment.identity.draw import Drawn
from enrollment.identity.judge import Judges, Own, judge
from enrollment.identity.signs import Outcome, Sign
from enrollment.identity.verdict import State, Verdict, join
from enrollment.tables import Challenge, GivenSample, SeenClip, Subject
from monitor import audit, crypto, subject_keys
from monitor import log as logs
from monitor.db import reading, writing
from monitor.errors import LikenessError, MediaError, SubjectErased
from monitor.values import BlobId, Modality, SubjectId

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlmodel import Session

    from enrollment.arrivals import Arrival
    from enrollment.desk import Desk

log = logs.get(__name__)

AT_ONCE: Final = 2
"""Clips of one round: the other steps of the desk wait no longer than these take, some seconds each."""

ACTOR: Final = "service:challenge"

REPLAY: Final = "replay"
"""Name of the check that is made here: was the very clip given before, by anybody, in any place?

Bytes only: whoever encodes an old clip anew has other bytes, but answers other digits. A digest of what the
pictures show would be a trace of a face, kept of everybody, to gain nothing.
"""

AS_LONG_AS_SAMPLES: Final = timedelta(minutes=10)
"""How long a clip waits for samples that are still being judged. Then it is held against those there are."""

QUEUE: Final = Queue(Challenge, "drawn_at")


@dataclass(frozen=True, slots=True)
class Claimed:
    """One challenge in hand."""

    challenge_id: str
    subject_id: SubjectId
    drawn: Drawn
    blob_id: BlobId | None
    tries: int


def check_due(desk: Desk) -> int:
    """Judge the clips that wait, oldest first; give how many. Killed half-way, it is done again."""
    desk.listener.rest(desk.now())
    QUEUE.leave_alone(desk, lambda session, row: _give_up(session, desk, row, "worker_died"))
    done = 0
    while done < AT_ONCE and (claimed := _claim(desk)) is not None:
        done += 1
        try:
            _check(desk, claimed)
        except SubjectErased:
            log.info("challenge_gone", challenge=claimed.challenge_id)
    return done


def _claim(desk: Desk) -> Claimed | None:
    """Take up one challenge whose person's samples are all judged. A silent worker loses its one."""
    late = desk.now() - AS_LONG_AS_SAMPLES

    def is_ready(session: Session, row: Challenge) -> bool:
        return row.drawn_at < late or not is_waiting_for_samples(session, SubjectId(row.subject_id))

    row = QUEUE.claim(desk, is_ready)
    if row is None:
        return None
    blob_id = None if row.blob_id is None else BlobId(row.blob_id)
    return Claimed(row.id, SubjectId(row.subject_id), Drawn.of_json(row.drawn), blob_id, row.tries)


def _check(desk: Desk, claimed: Claimed) -> None:
    """Judge one clip and write what became of it. Raises SubjectErased."""
    try:
        clip = _open(desk, claimed)
        verdict = judge(_judges(desk), clip, claimed.drawn, _own(desk, claimed.subject_id), desk.now())
    except SubjectErased:
        raise
    except MediaError as exc:
        if exc.retryable and claimed.tries < MOST_TRIES:
            QUEUE.put_back(desk, claimed.challenge_id, claimed.tries)
            return
        _end(desk, claimed, join((Sign("clip", Outcome.FAIL, exc.code, 0.0),)))
    except LikenessError as exc:
        log.warning("challenge_not_judged", challenge=claimed.challenge_id, error=exc.code)
        _fail(desk, claimed, exc.code)
    except Exception as exc:  # edge: one person's clip must never stop what waits behind it
        log.exception("challenge_not_judged", challenge=claimed.challenge_id)
        _fail(desk, claimed, type(exc).__name__)
    else:
        _end(desk, claimed, verdict, desk.lookups.clip(clip))


def _judges(desk: Desk) -> Judges:
    return Judges(desk.reader.pack, desk.reader.decoder, desk.listener, desk.settings)


def _open(desk: Desk, claimed: Claimed) -> bytes:
    with reading(desk.engine) as session:
        subject = session.get(Subject, claimed.subject_id)
        if subject is None or claimed.blob_id is None:
            msg = "the person or the bytes are gone"
            raise SubjectErased(msg)
        opener = references.opener(session, desk.keks, subject)
    info = references.info(claimed.subject_id, claimed.challenge_id)
    return opener.open(desk.blobs.get(claimed.blob_id), info)


def _own(desk: Desk, subject_id: SubjectId) -> Own:
    """Open the vectors of the person's good samples. Raises SubjectErased where one kind is missing."""
    query = select(GivenSample).where(GivenSample.subject_id == subject_id, col(GivenSample.state).in_(GOOD))
    with reading(desk.engine) as session:
        found = vectors_of(desk.keks, session, session.exec(query))
    pack = desk.reader.pack
    models = {Modality.FACE: pack.faces, Modality.VOICE: pack.voices}
    own = {
        modality: _stacked(found, modality, half.recogniser.model_id if half is not None else "")
        for modality, half in models.items()
    }
    return Own(own[Modality.FACE], own[Modality.VOICE])


def _stacked(found: list[Arrival], modality: Modality, model_id: str) -> NDArray[np.float32]:
    vectors = [one.vector for one in found if (one.modality, one.model_id) == (modality, model_id)]
    if not vectors:
        msg = f"there is no {modality} to compare with"
        raise SubjectErased(msg)
    return np.stack(vectors)


def _end(desk: Desk, claimed: Claimed, verdict: Verdict, lookup: str = "") -> None:
    """Write the end of one challenge, if it is still in hand. A clip that was seen before is refused."""
    with writing(desk.engine) as session:
        row = QUEUE.in_hand(session, claimed.challenge_id, claimed.tries)
        if row is None:
            return
        if lookup:
            verdict = join((*verdict.signs, _replay(session, desk, lookup)), verdict.not_made)
        key = subject_keys.key_of(session, desk.keks, claimed.subject_id)
        context = report_context(claimed.subject_id, claimed.challenge_id)
        row.state, row.judging_since, row.ended_at = verdict.state, None, desk.now()
        row.sealed_report = crypto.seal(key, verdict.report(), context)
        audit.record(session, ACTOR, "challenge.judged", claimed.subject_id)


def _replay(session: Session, desk: Desk, lookup: str) -> Sign:
    """Say whether a clip was given before, as a clip or as a sample; from now on this one is known."""
    now = desk.now()
    before = session.get(SeenClip, lookup)
    sample = session.exec(select(GivenSample.id).where(GivenSample.clip_lookup == lookup)).first()
    if before is None:
        session.add(SeenClip(lookup=lookup, expires_at=now + SEEN_FOR))
    if sample is not None or (before is not None and before.expires_at > now):
        return Sign(REPLAY, Outcome.FAIL, "replayed", 1.0)
    return Sign(REPLAY, Outcome.PASS, "not_seen_before", 0.0)


def _fail(desk: Desk, claimed: Claimed, code: str) -> None:
    """Let a challenge wait for another try; after the last one nobody could look."""
    if claimed.tries < MOST_TRIES:
        QUEUE.put_back(desk, claimed.challenge_id, claimed.tries)
        return
    with writing(desk.engine) as session:
        row = QUEUE.in_hand(session, claimed.challenge_id, claimed.tries)
        if row is not None:
            _give_up(session, desk, row, code)


def _give_up(session: Session, desk: Desk, row: Challenge, code: str) -> None:
    key = subject_keys.key_of(session, desk.keks, SubjectId(row.subject_id))
    report = Verdict(State.FAILED, (code,), ()).report()
    row.state, row.judging_since, row.ended_at = State.FAILED, None, desk.now()
    row.sealed_report = crypto.seal(key, report, report_context(row.subject_id, row.id))
