"""Findings: one subject seen in one item, sealed for that subject, written together with its evidence.

`record` is the only way in. It writes the finding, the evidence and the evidence's link of the chain in one
transaction and is idempotent on (media, subject, model), so a worker that dies half-way and looks
again ends in the same place. The alerts read what is `due`; nothing here calls them.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import TypeAdapter
from sqlmodel import Session, col, select

from monitor import audit, lookalikes, subject_keys
from monitor.crypto import Context, KeyEncryptionKeys, seal, unseal
from monitor.db import one_at_a_time, utc_now, writing
from monitor.errors import NotFound, Tampered
from monitor.tables import BlobRow, Evidence, EvidenceLink, Finding, MediaItem, MediaOrigin, SubjectKey
from monitor.values import (
    Agreement,
    Band,
    BlobId,
    CouldNotLook,
    FindingId,
    MediaId,
    MediaKind,
    Modality,
    ModelId,
    Origin,
    OriginKind,
    SourceId,
    Span,
    SubjectId,
    SyntheticAssessment,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Engine

COPY_DISTANCE = 60
"""Differing bits, of 288, up to which two marks are of one picture.

Measured 2026-11 with CenterFace on 306 pictures of 60 people of LFW and the four White House photographs
of the `face_recognition` sdist. 3,360 copies (half to 1.5 size, JPEG q20-90, mirrored, cropped to 0.6 face
widths around the face, in a collage, mirrored at 60 px and q40): half within 18 bits, 95 % within 47, 99 %
within 60. 635 pairs of different pictures of one person start at 61 (1 % under 75), 46,030 pairs of two
people at 62 (1 % under 90).
"""

CHAIN_LOCK = 0x6C6B_6576
"""PostgreSQL advisory lock of whoever appends to the evidence chain; any constant of our own will do."""

CHAIN_START = "0" * 64
"""What the first link of the chain calls its predecessor."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The two thresholds in force for a subject, as cosines, and a sentence on what they were measured on."""

    modality: Modality
    alert: float
    review: float
    source: str


@dataclass(frozen=True, slots=True)
class Shown:
    """How the one face of a picture looks in it, so that copies of the picture need no second look.

    `landmarks` are five points (x, y) as parts of the picture's width and height, `close_up` is hex of
    stages/marks.close_up.
    """

    landmarks: tuple[tuple[float, float], ...]
    close_up: str


@dataclass(frozen=True, slots=True)
class FindingDetail:
    """What was found, in full. It is stored only sealed with the subject's key.

    Scores are cosines of the best candidate, None where that modality did not match. Spans are where she is
    seen and heard. `copy_marks` are hex hashes of the matched face in its surroundings (stages/marks.py; see
    `same_picture`), empty for a finding by voice alone. Margins are distances to the second-best subject.
    `llr` is the natural logarithm of the likelihood ratio of all that was counted together, 0 where the pack
    has no calibration. `shown` is there where the item is a picture of this face and no other.
    `synthetic.assessed` is without its pictures: `plates` has (signal, what is to be seen) of each of them in
    the evidence, in order. `copy_of` is the SHA-256 of the picture that this one is a copy of, "" if none.
    """

    kind: MediaKind
    face_score: float | None
    voice_score: float | None
    face_spans: tuple[Span, ...]
    voice_spans: tuple[Span, ...]
    synthetic: SyntheticAssessment
    reasons: tuple[str, ...]
    against: tuple[str, ...]
    not_looked: tuple[CouldNotLook, ...]
    copy_marks: tuple[str, ...]
    face_margin: float | None = None
    voice_margin: float | None = None
    llr: float = 0.0
    agreement: Agreement = Agreement.ALONE
    limits: tuple[Limit, ...] = ()
    shown: Shown | None = None
    plates: tuple[tuple[str, str], ...] = ()
    copy_of: str = ""


@dataclass(frozen=True, slots=True)
class FindingView:
    """One finding, opened, and every place where its item has been seen so far."""

    finding_id: FindingId
    subject_id: SubjectId
    media_id: MediaId
    sha256: str
    model_id: ModelId
    band: Band
    state: str
    created_at: datetime
    detail: FindingDetail
    origins: tuple[Origin, ...]


@dataclass(frozen=True, slots=True)
class KeptBlob:
    """Bytes sealed to the subject and already put into the blob store: the original of a finding."""

    blob_id: BlobId
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A finding that is about to be written. `evidence` is the evidence record's canonical bytes."""

    subject_id: SubjectId
    media_id: MediaId
    model_id: ModelId
    band: Band
    detail: FindingDetail
    evidence: bytes
    original: KeptBlob | None = None


_DETAIL = TypeAdapter(FindingDetail)


def record(session: Session, keks: KeyEncryptionKeys, draft: Draft) -> FindingId | None:
    """Write finding, evidence and chain link in the caller's transaction.

    Returns the id of the new finding, or None where these models found this subject in this item before, or
    the subject began a pause since the match. A finding that was held for a human look gives way to one that
    is sure.
    Raises SubjectErased where the subject is gone: nothing is written then.
    """
    key = subject_keys.key_of(session, keks, draft.subject_id)
    if session.get_one(SubjectKey, draft.subject_id).paused_at is not None:
        return None
    known = _known(session, draft.media_id, draft.subject_id, draft.model_id)
    if known is not None and not _surer(known, draft.band):
        return None
    if known is not None:
        lookalikes.forget(session, lookalikes.of_finding(session, known.id))
        session.delete(known)  # held for a human until now; its evidence goes with it, its link stays
        session.flush()
    finding_id = FindingId(uuid.uuid4().hex)
    session.add(
        Finding(
            id=finding_id,
            subject_id=draft.subject_id,
            media_id=draft.media_id,
            model_id=draft.model_id,
            band=draft.band,
            sealed=seal(
                key, _DETAIL.dump_json(draft.detail), _context(draft.subject_id, finding_id, draft.model_id)
            ),
        )
    )
    session.flush()
    _add_evidence(session, key, finding_id, draft)
    if draft.original is not None:
        session.add(
            BlobRow(
                id=draft.original.blob_id,
                subject_id=draft.subject_id,
                kind="original",
                size_bytes=draft.original.size_bytes,
            )
        )
    session.flush()
    return finding_id


def is_news(session: Session, media_id: MediaId, verdict: Verdict, model_id: ModelId) -> bool:
    """Say whether `record` would write this verdict: a second look at an item makes no second evidence."""
    known = _known(session, media_id, verdict.subject_id, model_id)
    return known is None or _surer(known, verdict.band)


def read(session: Session, keks: KeyEncryptionKeys, finding_id: FindingId) -> FindingView:
    """Open one finding.

    Raises NotFound, SubjectErased, and Tampered or KeyWrong where it does not open.
    """
    row = session.get(Finding, finding_id)
    item = session.get(MediaItem, row.media_id) if row is not None else None
    if row is None or item is None:
        msg = "there is no such finding"
        raise NotFound(msg)
    subject = SubjectId(row.subject_id)
    key = subject_keys.key_of(session, keks, subject)
    opened = unseal(key, row.sealed, _context(subject, row.id, row.model_id))
    return FindingView(
        finding_id=FindingId(row.id),
        subject_id=subject,
        media_id=MediaId(row.media_id),
        sha256=item.sha256,
        model_id=ModelId(row.model_id),
        band=Band(row.band),
        state=row.state,
        created_at=row.created_at,
        detail=_DETAIL.validate_json(opened),
        origins=origins_of(session, MediaId(row.media_id)),
    )


def due(session: Session) -> list[Finding]:
    """List the findings that nobody has told or held yet, oldest first."""
    return list(
        session.exec(
            select(Finding).where(Finding.state == "due").order_by(col(Finding.created_at), Finding.id)
        )
    )


def origins_of(session: Session, media_id: MediaId) -> tuple[Origin, ...]:
    """List every place where an item was seen, first seen first."""
    rows = session.exec(
        select(MediaOrigin)
        .where(MediaOrigin.media_id == media_id)
        .order_by(col(MediaOrigin.seen_at), col(MediaOrigin.id))
    )
    return tuple(
        Origin(
            kind=OriginKind(row.kind),
            seen_at=row.seen_at,
            url=row.url,
            page_url=row.page_url,
            title=row.title,
            source_id=SourceId(row.source_id) if row.source_id else None,
        )
        for row in rows
    )


def evidence_of(session: Session, keks: KeyEncryptionKeys, finding_id: FindingId) -> bytes:
    """Open the evidence record of one finding: canonical JSON, see stages/evidence.py.

    Raises NotFound, SubjectErased, and Tampered where the record is not the one that was chained.
    """
    row = session.exec(select(Evidence).where(Evidence.finding_id == finding_id)).first()
    finding = session.get(Finding, finding_id)
    if row is None or finding is None:
        msg = "there is no evidence for such a finding"
        raise NotFound(msg)
    subject = SubjectId(row.subject_id)
    key = subject_keys.key_of(session, keks, subject)
    record_bytes = unseal(key, row.sealed, Context(subject, row.id, "evidence", ModelId(finding.model_id)))
    if hashlib.sha256(record_bytes).hexdigest() != row.record_sha256:
        msg = "the evidence record is not the one that was chained"
        raise Tampered(msg)
    return record_bytes


def put_on_record(engine: Engine, actor: str, shown: Sequence[tuple[str, str]]) -> None:
    """Write down, before they are shown to somebody, whose findings are: (subject, finding) of each."""
    if not shown:
        return
    with writing(engine) as session:
        for subject_id, finding_id in shown:
            audit.record(session, actor, "finding.show", subject_id, finding=finding_id)


def verify_chain(session: Session) -> int:
    """Recompute the evidence chain and give its length. Raises Tampered naming the first bad link."""
    previous, count = CHAIN_START, 0
    for row in session.exec(select(EvidenceLink).order_by(col(EvidenceLink.seq))):
        if row.previous != previous or row.link != _link(previous, row.record_sha256, row.at):
            msg = f"link {row.seq} of the evidence chain does not follow from the one before it"
            raise Tampered(msg)
        previous, count = row.link, count + 1
    return count


def same_picture(a_marks: Sequence[str], b_marks: Sequence[str]) -> bool:
    """Say whether two findings show one picture: resized, recompressed, mirrored, cropped, in a collage.

    No marks (a finding by voice alone) are the same as nothing.
    """
    return any(_distance(a, b) <= COPY_DISTANCE for a in a_marks for b in b_marks)


def _distance(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


def _known(session: Session, media_id: MediaId, subject_id: SubjectId, model_id: ModelId) -> Finding | None:
    return session.exec(
        select(Finding).where(
            Finding.media_id == media_id, Finding.subject_id == subject_id, Finding.model_id == model_id
        )
    ).first()


def _surer(known: Finding, band: Band) -> bool:
    return known.band == Band.REVIEW and band is Band.ALERT


def _context(subject_id: SubjectId, finding_id: str, model_id: str) -> Context:
    return Context(subject_id, finding_id, "finding", ModelId(model_id))


def _add_evidence(session: Session, key: bytes, finding_id: FindingId, draft: Draft) -> None:
    evidence_id, digest = uuid.uuid4().hex, hashlib.sha256(draft.evidence).hexdigest()
    context = Context(draft.subject_id, evidence_id, "evidence", draft.model_id)
    session.add(
        Evidence(
            id=evidence_id,
            finding_id=finding_id,
            subject_id=draft.subject_id,
            sealed=seal(key, draft.evidence, context),
            record_sha256=digest,
        )
    )
    _append_link(session, digest)


def _append_link(session: Session, digest: str) -> None:
    one_at_a_time(session, CHAIN_LOCK)
    last = session.exec(select(EvidenceLink).order_by(col(EvidenceLink.seq).desc()).limit(1)).first()
    previous, at = (last.link if last else CHAIN_START), utc_now()
    session.add(
        EvidenceLink(record_sha256=digest, previous=previous, link=_link(previous, digest, at), at=at)
    )


def _link(previous: str, digest: str, at: datetime) -> str:
    return hashlib.sha256(f"{previous}|{digest}|{at.isoformat()}".encode()).hexdigest()
