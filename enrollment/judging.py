"""The worker judges what people gave: opens each sample in memory, reads it, and says what became of it.

`judge_due` is one step of the desk. A sample is read in a child process (stages/decode.py) and held against
the person's other samples; what ends the worker each time is left alone after MOST_TRIES.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sqlmodel import col, select

from enrollment import references, sample_words
from enrollment.desk import MOST_TRIES
from enrollment.desk_queue import Queue
from enrollment.given import GOOD, VECTOR, Said, State, seal_said
from enrollment.samples import Looked
from enrollment.sets import agreeing
from enrollment.standing import WATCHED
from enrollment.subjects import Ledger, own_set
from enrollment.tables import GivenSample, Subject
from monitor import crypto, subject_keys
from monitor import log as logs
from monitor.db import reading, writing
from monitor.errors import LikenessError, MediaError, SampleError, SubjectErased
from monitor.tables import BlobRow
from monitor.values import BlobId, Modality, SubjectId

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlmodel import Session

    from enrollment.desk import Desk
    from enrollment.samples import Sample
    from enrollment.sets import Known

log = logs.get(__name__)

AT_ONCE = 4
"""Samples of one round: the other steps of the desk wait no longer than these take, some seconds."""

QUEUE = Queue(GivenSample, "created_at")


@dataclass(frozen=True, slots=True)
class Claimed:
    """One sample in hand."""

    sample_id: str
    subject_id: SubjectId
    modality: Modality
    blob_id: BlobId | None
    tries: int


def judge_due(desk: Desk) -> int:
    """Judge what waits, oldest first; give how many were dealt with. Killed half-way it is done again."""
    _leave_alone(desk)
    done = 0
    while done < AT_ONCE and (claimed := _claim(desk)) is not None:
        done += 1
        try:
            _judge(desk, claimed)
        except SubjectErased:
            log.info("sample_gone", sample=claimed.sample_id)
    return done


def vector_of(key: bytes, row: GivenSample) -> NDArray[np.float32]:
    """Open the vector of a usable sample: (d,) float32 of length 1. Raises Tampered."""
    if row.sealed_vector is None:
        msg = f"sample {row.id} has no vector"
        raise ValueError(msg)
    plain = crypto.unseal(key, row.sealed_vector, _vector_context(row.subject_id, row.id, row.model_id))
    return np.frombuffer(plain, np.float32)


def _claim(desk: Desk) -> Claimed | None:
    """Take up one sample. A worker that went silent loses its one."""
    row = QUEUE.claim(desk)
    if row is None:
        return None
    blob_id = None if row.blob_id is None else BlobId(row.blob_id)
    return Claimed(row.id, SubjectId(row.subject_id), Modality(row.modality), blob_id, row.tries)


def _judge(desk: Desk, claimed: Claimed) -> None:
    """Read one sample and write what became of it. Raises SubjectErased."""
    try:
        sample = _read(desk, claimed)
    except SubjectErased:
        raise
    except (SampleError, MediaError) as exc:
        if exc.retryable and claimed.tries < MOST_TRIES:
            QUEUE.put_back(desk, claimed.sample_id, claimed.tries)
            return
        said = sample_words.of_error(exc, claimed.modality, enrolled=_is_enrolled(desk, claimed))
        _end(desk, claimed, State.REFUSED, exc.code, said)
    except LikenessError as exc:
        log.warning("sample_not_judged", sample=claimed.sample_id, error=exc.code)
        if claimed.tries < MOST_TRIES:
            QUEUE.put_back(desk, claimed.sample_id, claimed.tries)
            return
        _end(desk, claimed, State.FAILED, exc.code, sample_words.NOT_ABLE)
    else:
        _end(desk, claimed, State.USABLE, "", sample_words.of_sample(sample), sample)


def _read(desk: Desk, claimed: Claimed) -> Sample:
    """Open the bytes, read them, and hold the sample against the person's others."""
    with reading(desk.engine) as session:
        subject = session.get(Subject, claimed.subject_id)
        if subject is None or claimed.blob_id is None:
            msg = "the person or the bytes are gone"
            raise SubjectErased(msg)
        opener = references.opener(session, desk.keks, subject)
    info = references.info(claimed.subject_id, claimed.sample_id)
    data = opener.open(desk.blobs.get(claimed.blob_id), info)
    face = claimed.modality is Modality.FACE
    sample = (desk.reader.face if face else desk.reader.voice)("this one", data)
    models = desk.reader.pack.faces if face else desk.reader.pack.voices
    assert models is not None  # noqa: S101 - the reader has just read with them
    looked = Looked(Path("this one"), claimed.modality, sample=sample)
    [held] = agreeing([looked], {claimed.modality: models.thresholds}, _others(desk, claimed, sample))
    if held.error is not None:
        raise held.error
    return held.sample or sample


def _others(desk: Desk, claimed: Claimed, sample: Sample) -> Known:
    """Open the vectors that say who the person is, of the same kind and model.

    Of somebody who is enrolled that is the enrolled set alone: what was given since may be anybody's.
    """
    ledger = Ledger(desk.engine, desk.keks, desk.blobs, "worker")
    enrolled = own_set(ledger, claimed.subject_id, {claimed.modality: (sample.model_id, len(sample.vector))})
    if enrolled:
        return enrolled
    query = select(GivenSample).where(
        GivenSample.subject_id == claimed.subject_id,
        GivenSample.modality == claimed.modality,
        GivenSample.model_id == sample.model_id,
        col(GivenSample.state).in_(GOOD),
        GivenSample.id != claimed.sample_id,
    )
    with reading(desk.engine) as session:
        key = subject_keys.key_of(session, desk.keks, claimed.subject_id)
        vectors = [vector_of(key, row) for row in session.exec(query)]
    return {claimed.modality: np.stack(vectors)} if vectors else {}


def _is_enrolled(desk: Desk, claimed: Claimed) -> bool:
    with reading(desk.engine) as session:
        subject = session.get(Subject, claimed.subject_id)
        return subject is not None and subject.status in WATCHED


def _end(  # noqa: PLR0913, PLR0917 - an end has these parts
    desk: Desk, claimed: Claimed, state: State, code: str, said: Said, sample: Sample | None = None
) -> None:
    """Write what became of a sample, if it is still in hand; what cannot be used is deleted with it."""
    unwanted = None
    with writing(desk.engine) as session:
        row = QUEUE.in_hand(session, claimed.sample_id, claimed.tries)
        if row is None:
            return
        key = subject_keys.key_of(session, desk.keks, claimed.subject_id)
        row.state, row.code, row.judging_since = state, code, None
        row.sealed_said = seal_said(key, row.subject_id, row.id, said)
        if sample is not None:
            context = _vector_context(row.subject_id, row.id, sample.model_id)
            row.sealed_vector = crypto.seal(key, sample.vector.astype(np.float32).tobytes(), context)
            row.model_id, row.quality = sample.model_id, sample.quality
        else:
            unwanted = _without_bytes(session, row)
    if unwanted is not None:
        desk.blobs.delete(unwanted)


def _leave_alone(desk: Desk) -> None:
    """Mark what ended its workers each time as failed: nobody takes it up again."""
    unwanted = []

    def give_up(session: Session, row: GivenSample) -> None:
        key = subject_keys.key_of(session, desk.keks, SubjectId(row.subject_id))
        row.state, row.code, row.judging_since = State.FAILED, "worker_died", None
        row.sealed_said = seal_said(key, row.subject_id, row.id, sample_words.NOT_ABLE)
        unwanted.append(_without_bytes(session, row))

    QUEUE.leave_alone(desk, give_up)
    for blob_id in unwanted:
        if blob_id is not None:
            desk.blobs.delete(blob_id)


def _without_bytes(session: Session, row: GivenSample) -> BlobId | None:
    """Take the bytes off a row, in the caller's transaction; give the file to delete after it."""
    if row.blob_id is None:
        return None
    blob_id, row.blob_id = BlobId(row.blob_id), None
    session.flush()
    blob = session.get(BlobRow, blob_id)
    if blob is not None:
        session.delete(blob)
    return blob_id


def _vector_context(subject_id: str, sample_id: str, model_id: str) -> crypto.Context:
    return crypto.Context(subject_id, sample_id, VECTOR, model_id)
