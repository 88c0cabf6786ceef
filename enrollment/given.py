"""What a person gives by the web form: judged by its first bytes, sealed at once, and listed to them.

The web process puts a sample in and can say what became of it; it never opens one again, and decodes
nothing. The worker does, in enrollment/judging.py.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import func
from sqlmodel import col, select

from enrollment import references
from enrollment.files import kind_of_file
from enrollment.tables import GivenSample, Subject
from monitor import crypto, subject_keys
from monitor.db import reading, writing
from monitor.errors import (
    GivenBefore,
    NoFace,
    NoSound,
    NotFound,
    TooManySamples,
)
from monitor.tables import BlobRow
from monitor.values import BlobId, MediaKind, Modality

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlmodel import Session

    from enrollment.lookups import Lookups
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.values import SubjectId

MOST_SAMPLES = 20
"""Samples of one kind that one person can have on the list. Beyond three they add little (sets.ENOUGH)."""

SAID = "given-said"
VECTOR = "given-vector"
"""Kinds in the context of what is sealed of a sample, with the subject's key."""


class State(StrEnum):
    """What became of a sample.

    waiting ──> judging ──┬─> usable ──> enrolled     its vector is a template now
                          ├─> refused                 it cannot be used; the bytes are deleted
                          └─> failed                  nobody could look; the bytes are deleted
    """

    WAITING = "waiting"
    JUDGING = "judging"
    USABLE = "usable"
    REFUSED = "refused"
    FAILED = "failed"
    ENROLLED = "enrolled"


UNJUDGED = frozenset({State.WAITING, State.JUDGING})
GOOD = frozenset({State.USABLE, State.ENROLLED})


@dataclass(frozen=True, slots=True)
class Said:
    """What the person reads about one sample: a sentence, what to do about it, and what could be better."""

    sentence: str
    hint: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GivenView:
    """One sample as its person sees it. `number` counts those of its kind, from 1, in the order given."""

    sample_id: str
    modality: Modality
    number: int
    state: State
    code: str
    said: Said
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Givers:
    """What it takes to take samples in. No key of it opens one."""

    engine: Engine
    blobs: BlobStore
    lookups: Lookups
    max_bytes: int


def give(givers: Givers, subject_id: SubjectId, modality: Modality, data: bytes, now: datetime) -> str:
    """Take one sample in: sealed to its person's own key before this returns; give its id.

    Raises:
        EmptyMedia, TooLarge, NotMedia, HeicPicture, NoFace, NoSound: it is not taken, by its first bytes.
        GivenBefore, TooManySamples: it is not taken, whatever it is.
        NotFound: nobody has that id.
        StorageFull, StorageError: the sealed bytes could not be stored; nothing is.
    """
    # 1. judge it by size and first bytes
    check_kind(data, modality, givers.max_bytes)
    # 2. know it again
    lookup = givers.lookups.clip(data)
    with reading(givers.engine) as session:
        subject = session.get(Subject, subject_id)
        if subject is None:
            msg = "there is nobody to give a sample to"
            raise NotFound(msg)
        _refuse_more(session, subject_id, modality, lookup)
        public = subject.reference_public
    # 3. seal and store the bytes, then write the rows; a second tab may have been first
    kept = references.put(givers.blobs, subject_id, public, modality, data)
    with givers.blobs.deleted_on_failure(kept.blob_id), writing(givers.engine) as session:
        session.get(Subject, subject_id, with_for_update=True)
        _refuse_more(session, subject_id, modality, lookup)
        session.add(references.blob_row(subject_id, kept, references.GIVEN))
        session.flush()  # the sample points at this row
        session.add(_row(subject_id, kept, lookup, now))
    return kept.reference_id


def check_kind(data: bytes, modality: Modality, max_bytes: int) -> MediaKind:
    """Say what a file is by its first bytes, and refuse what can never be a sample of this kind.

    Raises EmptyMedia, TooLarge, NotMedia, HeicPicture, NoFace, NoSound.
    """
    kind = kind_of_file(data, max_bytes, EXPECTED[modality])
    if modality is Modality.FACE and kind is MediaKind.AUDIO:
        msg = "this is a sound, and a sound shows no face"
        raise NoFace(msg, hint=f"Give {EXPECTED[modality]}.")
    if modality is Modality.VOICE and kind in {MediaKind.IMAGE, MediaKind.ANIMATION}:
        msg = "this is a picture, and a picture has no voice"
        raise NoSound(msg, hint=f"Give {EXPECTED[modality]}.")
    return kind


EXPECTED = {
    Modality.FACE: "a photograph (JPEG, PNG or WebP) or a short video of your face",
    Modality.VOICE: "a recording (WAV, MP3, M4A, OGG) or a video in which you speak",
}
"""What is wanted instead."""


def listing(session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId) -> list[GivenView]:
    """List what a person gave, in the order given. Raises SubjectErased."""
    key = subject_keys.key_of(session, keks, subject_id)
    query = select(GivenSample).where(GivenSample.subject_id == subject_id)
    rows = session.exec(query.order_by(col(GivenSample.created_at), col(GivenSample.id))).all()
    counts = dict.fromkeys(Modality, 0)
    views = []
    for row in rows:
        modality = Modality(row.modality)
        counts[modality] += 1
        said = said_of(key, row)
        views.append(
            GivenView(row.id, modality, counts[modality], State(row.state), row.code, said, row.created_at)
        )
    return views


def remove(givers: Givers, subject_id: SubjectId, sample_id: str) -> bool:
    """Take one sample back, bytes and all; say whether it was there. One that is enrolled already stays."""
    with writing(givers.engine) as session:
        row = session.get(GivenSample, sample_id, with_for_update=True)
        if row is None or row.subject_id != subject_id or row.state == State.ENROLLED:
            return False
        blob = session.get(BlobRow, row.blob_id) if row.blob_id is not None else None
        session.delete(row)
        session.flush()
        if blob is not None:
            session.delete(blob)
        blob_id = row.blob_id
    if blob_id is not None:
        givers.blobs.delete(BlobId(blob_id))
    return True


def seal_said(key: bytes, subject_id: str, sample_id: str, said: Said) -> bytes:
    """Seal what the person reads about a sample."""
    return crypto.seal(key, json.dumps(asdict(said)).encode(), crypto.Context(subject_id, sample_id, SAID))


def said_of(key: bytes, row: GivenSample) -> Said:
    """Open what the person reads about a sample. Raises Tampered."""
    if row.sealed_said is None:
        return Said("We are looking at it.")
    plain = crypto.unseal(key, row.sealed_said, crypto.Context(row.subject_id, row.id, SAID))
    read = json.loads(plain)
    return Said(read["sentence"], read["hint"], tuple(read["notes"]))


def _row(subject_id: SubjectId, kept: references.Kept, lookup: str, now: datetime) -> GivenSample:
    return GivenSample(
        id=kept.reference_id,
        subject_id=subject_id,
        modality=kept.modality,
        blob_id=kept.blob_id,
        clip_lookup=lookup,
        created_at=now,
    )


def _refuse_more(session: Session, subject_id: SubjectId, modality: Modality, lookup: str) -> None:
    own = (col(GivenSample.subject_id) == subject_id, col(GivenSample.modality) == modality)
    twin = select(GivenSample.state).where(*own, GivenSample.clip_lookup == lookup)
    state = session.exec(twin).first()
    if state is not None:
        msg = "you gave this very file already"
        again = "Give another one; the list says why that one cannot be used."
        more = "It is on the list. Another picture or recording would add something."
        raise GivenBefore(msg, hint=again if state in {State.REFUSED, State.FAILED} else more)
    if session.exec(select(func.count()).select_from(GivenSample).where(*own)).one() >= MOST_SAMPLES:
        msg = f"there are {MOST_SAMPLES} on the list already, and three are enough"
        raise TooManySamples(msg, hint="Remove some first, if you want to give others.")
