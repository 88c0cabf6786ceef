"""Learns from dismissals: the worker's round that turns "not me" into a lookalike, and forgets old ones.

    1 take      a dismissal that is due, and what its finding kept: the evidence's crops, or the original
    2 look      detect and embed, the very stages that found it
    3 pick      the face or voice that was taken for the subject: the one nearest to the subject's own samples
    4 refuse    what is as near to them as hardly anybody else could be: the watch must not go blind
    5 seal      under a key of its own, with the event that galleries follow, in one transaction

Idempotent: whoever dies before 5 leaves the dismissal due, and two workers end in the same place. What else
was seen in the picture lives in memory for this one comparison, like any stranger.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from monitor import audit, crypto, dismissals, findings, lookalikes, subject_keys
from monitor import log as logs
from monitor.db import reading, writing
from monitor.dismissals import Reason, State
from monitor.errors import KeyMissing, KeyWrong, LikenessError, NotFound, StorageFull, SubjectErased
from monitor.gallery import models_of
from monitor.gallery_rows import opened, rows_of
from monitor.lookalikes import Learnt, opened_lookalikes, sealed
from monitor.stages.detect import detect
from monitor.stages.embed import embed
from monitor.switching import left_behind
from monitor.tables import Finding, Template
from monitor.values import SAMPLE_RATE, BlobId, FindingId, MediaKind, Modality, Sound, SubjectId

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta

    from numpy.typing import NDArray
    from sqlmodel import Session

    from monitor.ml.interfaces import Pack
    from monitor.tools import Tools
    from monitor.values import ClipInfo, CouldNotLook, Frame, ModelId

AT_ONCE = 5
"""Dismissals learnt from in one round, which telling waits for: a crop takes about 0.1 s."""

CLEAR = 0.05
"""How far above the alert threshold nothing is learnt. Measured on LFW J to Z (2026-11, registry / edgeface
pack): of pictures of the subjects themselves that were dismissed 84 / 87 % are refused with one enrolled
sample and 96 / 98 % with three; of strangers over the alert threshold 8 / 27 % (of 38 and 11) are."""

KNOWN = 0.95
"""Cosine from which two vectors are of one picture: copies of it need no lookalike each."""

HEARD_S = 30.0
"""Seconds of a voice that are looked at: CAM++ is steady from two on."""

WORKER = "worker"
"""Who learns and forgets, in the audit record."""

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Learning:
    """What one round did."""

    learnt: int = 0
    nothing: int = 0
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class _Case:
    """One dismissed finding, opened. `crops` are JPEG bytes; `voices` spans of the matched voice, seconds."""

    finding_id: FindingId
    subject_id: SubjectId
    media_id: str
    kind: MediaKind
    crops: tuple[bytes, ...]
    original: BlobId | None
    matched: frozenset[Modality]
    voices: tuple[tuple[float, float], ...]
    alert: dict[Modality, float]


@dataclass(slots=True)
class _Found:
    """What was made out in a case: vectors by modality, and why there are none."""

    vectors: dict[Modality, list[NDArray[np.float32]]] = field(default_factory=dict)
    reason: Reason = Reason.NOTHING_SEEN


def learn_due(tools: Tools, keep_for: timedelta, now: datetime) -> Learning:
    """Learn from dismissals that are due, at most AT_ONCE, and forget the lookalikes whose time is over.

    Never raises for one dismissal. A database that is away raises, and nothing is lost.
    """
    forgotten = forget_expired(tools, now)
    with reading(tools.engine) as session:
        due = dismissals.due(session, AT_ONCE)
    learnt = nothing = 0
    for one in due:
        state = _learn_safely(tools, FindingId(one.finding_id), SubjectId(one.subject_id), now + keep_for)
        learnt += state is State.LEARNT
        nothing += state is State.NOTHING
    return Learning(learnt, nothing, forgotten)


def forget_expired(tools: Tools, now: datetime) -> int:
    """Delete the lookalikes whose time is over, and with them their keys. Idempotent."""
    with reading(tools.engine) as session:
        if not lookalikes.expired(session, now, most=1):
            return 0
    with writing(tools.engine) as session:
        gone = lookalikes.expired(session, now)
        subjects = [row.subject_id for row in gone]
        findings_of_them = lookalikes.forget(session, gone)
        dismissals.let_go(session, findings_of_them, Reason.EXPIRED)
        for subject_id in dict.fromkeys(subjects):
            audit.record(
                session, WORKER, "lookalike.expire", subject_id, lookalikes=subjects.count(subject_id)
            )
    return len(subjects)


def _learn_safely(
    tools: Tools, finding_id: FindingId, subject_id: SubjectId, expires_at: datetime
) -> State | None:
    try:
        return _learn(tools, finding_id, subject_id, expires_at)
    except (SubjectErased, NotFound):
        return None  # gone since we looked, and the dismissal with it
    except (SQLAlchemyError, StorageFull):
        raise
    except (KeyMissing, KeyWrong) as exc:
        log.warning("dismissal_waits_for_a_key", finding_id=finding_id, code=exc.code)
        return None
    except LikenessError as exc:
        log.warning("nothing_to_learn", finding_id=finding_id, code=exc.code)
    except Exception:  # edge: whatever is wrong with one dismissal must not hold up the others
        log.exception("learning_failed", finding_id=finding_id)
    return _settle(tools, finding_id, subject_id, Reason.UNREADABLE)


def _learn(tools: Tools, finding_id: FindingId, subject_id: SubjectId, expires_at: datetime) -> State | None:
    # 1  take
    with reading(tools.engine) as session:
        tools = _tools_for(session, tools, subject_id)
        case = _case(session, tools, finding_id, subject_id)
        own = _own(session, tools, subject_id)
    if not any(modality in own for modality in case.matched):
        return _settle(tools, finding_id, subject_id, Reason.NO_SAMPLES)
    try:
        # 2, 3  look and pick
        found = _look(case, own, tools)
        # 4  refuse
        if _too_close(case, found, own, tools.pack):
            return _settle(tools, finding_id, subject_id, Reason.TOO_CLOSE)
    finally:
        for vectors in own.values():
            vectors[:] = 0
    # 5  seal
    try:
        return _seal(tools, case, found, expires_at)
    finally:
        for made in found.vectors.values():
            for vector in made:
                vector[:] = 0


def _case(session: Session, tools: Tools, finding_id: FindingId, subject_id: SubjectId) -> _Case:
    row = session.get_one(Finding, finding_id)
    document = json.loads(findings.evidence_of(session, tools.keks, finding_id))
    detail = findings.read(session, tools.keks, finding_id).detail
    matched = {Modality.FACE: detail.face_score is not None, Modality.VOICE: detail.voice_score is not None}
    in_force = document.get("thresholds", {})
    return _Case(
        finding_id=finding_id,
        subject_id=subject_id,
        media_id=row.media_id,
        kind=detail.kind,
        crops=tuple(_bytes_of(crop["jpeg"]) for crop in document.get("crops", ())),
        original=BlobId(document["original"]) if document.get("original") else None,
        matched=frozenset(modality for modality, there in matched.items() if there),
        voices=tuple((span.start_s, span.end_s) for span in detail.voice_spans),
        alert={m: float(in_force[m]["alert"]) for m in Modality if m in in_force},
    )


def _bytes_of(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return b""


def _tools_for(session: Session, tools: Tools, subject_id: SubjectId) -> Tools:
    """Give the tools with the pack by which the subject's face is known; see sides.py."""
    faces = tools.pack.faces
    if not tools.older or faces is None:
        return tools
    if subject_id not in left_behind(session, [subject_id], faces.recogniser.model_id):
        return tools
    packs = [side.pack for side in tools.older]
    known = [pack for pack in packs if Modality.FACE in _own(session, replace(tools, pack=pack), subject_id)]
    return replace(tools, pack=known[0]) if known else tools


def _own(session: Session, tools: Tools, subject_id: SubjectId) -> dict[Modality, NDArray[np.float32]]:
    """Open the subject's own templates by the models in use: (n, d) float32 by modality."""
    models = models_of(tools.pack)
    ids = session.exec(select(Template.id).where(col(Template.subject_id) == subject_id)).all()
    vectors: dict[Modality, list[NDArray[np.float32]]] = {}
    for row in opened(tools.keks, models, rows_of(session, models, list(ids))):
        vectors.setdefault(row.modality, []).append(row.vector.copy())
    return {modality: np.stack(rows) for modality, rows in vectors.items()}


def _nearness(vectors: NDArray[np.float32], own: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the cosine of each row to the subject's own set: to its middle or to its nearest sample."""
    middle = own.mean(axis=0)
    middle /= max(float(np.linalg.norm(middle)), 1e-9)
    nearest: NDArray[np.float32] = np.maximum(vectors @ middle, (vectors @ own.T).max(axis=1))
    return nearest


def _look(case: _Case, own: dict[Modality, NDArray[np.float32]], tools: Tools) -> _Found:
    found = _Found()
    if Modality.FACE in case.matched and Modality.FACE in own:
        seen = [_face_in(crop, own[Modality.FACE], tools) for crop in case.crops if crop]
        if not any(one is not None for one in seen) and case.kind is MediaKind.IMAGE:
            kept = _original(case, tools)
            seen = [_face_in(kept, own[Modality.FACE], tools)] if kept else []
        found.vectors[Modality.FACE] = _distinct([one for one in seen if one is not None])
    if Modality.VOICE in case.matched and Modality.VOICE in own:
        kept = _original(case, tools)
        if kept is None and case.matched == {Modality.VOICE}:
            found.reason = Reason.NOT_KEPT
        voice = _voice_in(kept, case, tools) if kept else None
        found.vectors[Modality.VOICE] = [voice] if voice is not None else []
    return found


def _face_in(data: bytes, own: NDArray[np.float32], tools: Tools) -> NDArray[np.float32] | None:
    """Give the vector of the face in a picture that is nearest to the subject, None where there is none."""
    pack = replace(tools.pack, voices=None)
    with tools.decoder.start(data, signals=False) as clip:
        probes = embed(detect(clip, pack), pack)
    means = [_mean(probe.vectors, probe.qualities) for probe in probes]
    if not means:
        return None
    return means[int(np.argmax(_nearness(np.stack(means), own)))]


def _voice_in(data: bytes, case: _Case, tools: Tools) -> NDArray[np.float32] | None:
    """Give the mean vector of the speech where the subject was thought to speak, None where there is none."""
    pack = replace(tools.pack, faces=None)
    with tools.decoder.start(data, frames=False, signals=False) as clip:
        probes = embed(detect(_Excerpt(clip.info, _cut(clip.sound(), case.voices)), pack), pack)
    if not probes:
        return None
    vectors = np.concatenate([probe.vectors for probe in probes])
    return _mean(vectors, np.concatenate([probe.qualities for probe in probes]))


@dataclass(frozen=True, slots=True)
class _Excerpt:
    """A part of a sound, for the stage `detect`."""

    info: ClipInfo
    heard: Sound | None
    not_looked: tuple[CouldNotLook, ...] = ()

    def frames(self) -> Iterator[Frame]:
        """Give no picture."""
        return iter(())

    def sound(self) -> Sound | None:
        """Give the part."""
        return self.heard


def _cut(sound: Sound | None, spans: Sequence[tuple[float, float]]) -> Sound | None:
    """Cut out the longest of the spans, its first HEARD_S at most."""
    if sound is None or not spans:
        return sound
    start, end = max(spans, key=lambda span: span[1] - span[0])
    first, last = int(start * SAMPLE_RATE), int(min(end, start + HEARD_S) * SAMPLE_RATE)
    return Sound(sound.samples[first:last])


def _mean(vectors: NDArray[np.float32], qualities: NDArray[np.float32]) -> NDArray[np.float32]:
    mean = (vectors * qualities[:, None]).sum(axis=0) if float(qualities.sum()) > 0 else vectors.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)


def _distinct(vectors: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Leave out those that show what an earlier one shows."""
    kept: list[NDArray[np.float32]] = []
    for vector in vectors:
        if not any(float(vector @ one) >= KNOWN for one in kept):
            kept.append(vector)
    return kept


def _original(case: _Case, tools: Tools) -> bytes | None:
    """Open the item itself, where it was kept for the subject."""
    if case.original is None:
        return None
    with reading(tools.engine) as session, subject_keys.held_key(session, tools.keks, case.subject_id) as key:
        context = crypto.Context(case.subject_id, case.media_id, "original")
        return crypto.unseal(key, tools.blobs.get(case.original), context)


def _too_close(case: _Case, found: _Found, own: dict[Modality, NDArray[np.float32]], pack: Pack) -> bool:
    """Say whether any of it is clearly above the alert threshold, the pack's or the one then in force."""
    halves = {Modality.FACE: pack.faces, Modality.VOICE: pack.voices}
    for modality, vectors in found.vectors.items():
        half = halves[modality]
        if half is None or not vectors:
            continue
        limit = max(half.thresholds.alert, case.alert.get(modality, -1.0)) + CLEAR
        if float(_nearness(np.stack(vectors), own[modality]).max()) >= limit:
            return True
    return False


def _settle(tools: Tools, finding_id: FindingId, subject_id: SubjectId, reason: Reason) -> State | None:
    """Write down that nothing was learnt, and why."""
    with writing(tools.engine) as session:
        row = dismissals.hold_due(session, finding_id, subject_id)
        if row is None:
            return None
        row.state, row.reason = State.NOTHING, reason
        audit.record(session, WORKER, "lookalike.refuse", subject_id, finding=finding_id, reason=reason.value)
    return State.NOTHING


def _seal(tools: Tools, case: _Case, found: _Found, expires_at: datetime) -> State | None:
    models = models_of(tools.pack)
    new = [(m, vector) for m, vectors in found.vectors.items() for vector in vectors]
    if not new:
        return _settle(tools, case.finding_id, case.subject_id, found.reason)
    with writing(tools.engine) as session:
        row = dismissals.hold_due(session, case.finding_id, case.subject_id)
        if row is None:
            return None
        news = [one for one in new if not _is_known(session, tools, case.subject_id, *one)]
        if not news:
            row.state, row.reason = State.NOTHING, Reason.KNOWN
            return State.NOTHING
        for modality, vector in news:
            model_id = models[modality][0]
            learnt = Learnt(case.subject_id, case.finding_id, modality, model_id, vector, expires_at)
            lookalikes.keep(session, tools.keks, learnt)
            _make_room(session, case.subject_id, modality, model_id)
        row.state, row.reason = State.LEARNT, ""
        audit.record(
            session,
            WORKER,
            "lookalike.learn",
            case.subject_id,
            finding=case.finding_id,
            lookalikes=len(news),
            expires_at=expires_at.isoformat(timespec="seconds"),
        )
    return State.LEARNT


def _is_known(
    session: Session, tools: Tools, subject_id: SubjectId, modality: Modality, vector: NDArray[np.float32]
) -> bool:
    models = {modality: models_of(tools.pack)[modality]}
    rows = [
        sealed(row)
        for row in lookalikes.of_subject(session, subject_id)
        if (row.modality, row.model_id) == (modality, models[modality][0])
    ]
    near = [float(one.vector @ vector) for one in opened_lookalikes(tools.keks, models, rows)]
    return max(near, default=-1.0) >= KNOWN


def _make_room(session: Session, subject_id: SubjectId, modality: Modality, model_id: ModelId) -> None:
    gone = lookalikes.forget(session, lookalikes.too_many(session, subject_id, modality, model_id))
    dismissals.let_go(session, gone, Reason.CROWDED_OUT)
