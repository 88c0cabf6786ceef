"""Puts findings together with their evidence, before `pipeline` writes them with the end of the item."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from monitor import findings, subject_keys
from monitor.copies import evidence_of_copy
from monitor.crypto import Context, seal
from monitor.db import reading
from monitor.errors import SubjectErased
from monitor.explaining import captions, without_pictures
from monitor.findings import Draft, FindingDetail, KeptBlob, Limit, Shown
from monitor.intake import opened
from monitor.stages.evidence import Exhibit, evidence, media_of
from monitor.stages.marks import close_up, copy_marks
from monitor.stages.picture_hash import picture_hashes
from monitor.tools import forget
from monitor.values import BlobId, FaceTrack, MediaKind, Modality, ModelId, Span, pieces_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from monitor.blobs import BlobStore
    from monitor.claims import Work
    from monitor.copies import Known
    from monitor.ml.interfaces import Pack, Thresholds
    from monitor.sides import Side
    from monitor.tools import Tools
    from monitor.values import Appearances, Candidate, CouldNotLook, Origin, SubjectId, Verdict

A_COPY: Final = "It is a copy of a picture that you were found in before; the faces in both look the same."
"""Said with a finding that no model looked at."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What evidence and detail say of the item. `picture` is (h, w, 3) uint8 of a still one, else None."""

    work: Work
    appearances: Appearances
    perceptual_hash: str | None
    picture: NDArray[np.uint8] | None = None


@dataclass(slots=True)
class Drafts:
    """Findings about to be written, and the blobs that were put for them.

    `picture_hash` is that of a picture whose copies need no look, see copies.py.
    """

    drafts: list[Draft] = field(default_factory=list)
    put: list[BlobId] = field(default_factory=list)
    picture_hash: bytes | None = None


def finding_model(pack: Pack) -> ModelId:
    """Name the models that a finding is by: all recognisers of the pack, matched or not."""
    parts = [half.recogniser.model_id for half in (pack.faces, pack.voices) if half is not None]
    return ModelId("+".join(parts))


def draft(verdicts: Sequence[tuple[Side, Verdict]], seen: Seen, tools: Tools) -> Drafts:
    """Put evidence together for every verdict that is news; keep the original for its subject if small."""
    result = Drafts()
    if not verdicts:
        return result
    with reading(tools.engine) as session:
        origins = findings.origins_of(session, seen.work.media_id)
        by = [(side, verdict, finding_model(side.pack)) for side, verdict in verdicts]
        news = [one for one in by if findings.is_news(session, seen.work.media_id, one[1], one[2])]
    exhibit = _exhibit(seen.work, seen.perceptual_hash, origins, seen.appearances.not_looked)
    shown = _shown(seen, verdicts)
    if shown is not None and seen.picture is not None:
        result.picture_hash = picture_hashes(seen.picture)[0].tobytes()
    try:
        for side, verdict, model_id in news:
            kept = _keep_original(verdict.subject_id, seen.work, tools, result)
            thresholds = _thresholds(side, verdict.subject_id)
            proof = evidence(verdict, exhibit, thresholds, kept.blob_id if kept else None)
            detail = _detail(verdict, seen, thresholds, shown)
            result.drafts.append(
                Draft(verdict.subject_id, seen.work.media_id, model_id, verdict.band, detail, proof, kept)
            )
    except BaseException:  # edge: what was kept for a finding that is not written belongs to nobody
        take_back(result, tools.blobs)
        raise
    return result


def draft_copy(known: Known, work: Work, perceptual_hash: str | None, tools: Tools) -> Drafts:
    """Put the finding of a copy together: what was found in the picture that it is a copy of."""
    result, view = Drafts(), known.view
    with reading(tools.engine) as session:
        origins = findings.origins_of(session, work.media_id)
    exhibit = _exhibit(work, perceptual_hash, origins, ())
    kept = _keep_original(view.subject_id, work, tools, result)
    try:
        proof = evidence_of_copy(known, media_of(exhibit), kept.blob_id if kept else None)
        reasons = tuple(dict.fromkeys((*view.detail.reasons, A_COPY)))
        detail = replace(
            view.detail,
            kind=work.kind,
            reasons=reasons,
            shown=None,
            copy_of=view.detail.copy_of or known.sha256,
        )
        result.drafts.append(
            Draft(view.subject_id, work.media_id, view.model_id, view.band, detail, proof, kept)
        )
    except BaseException:  # edge: what was kept for a finding that is not written belongs to nobody
        take_back(result, tools.blobs)
        raise
    return result


def take_back(drafts: Drafts, blobs: BlobStore, but: Collection[BlobId] = ()) -> None:
    """Delete what was kept for findings that were not written."""
    for blob_id in drafts.put:
        if blob_id not in but:
            forget(blobs, blob_id)


def _exhibit(
    work: Work,
    perceptual_hash: str | None,
    origins: tuple[Origin, ...],
    not_looked: tuple[CouldNotLook, ...],
) -> Exhibit:
    return Exhibit(work.sha256, perceptual_hash, work.kind.value, work.size_bytes, origins, not_looked)


def _thresholds(side: Side, subject_id: SubjectId) -> dict[Modality, Thresholds]:
    """Give the thresholds in force for one subject, of each modality that the pack compares."""
    halves = {Modality.FACE: side.pack.faces, Modality.VOICE: side.pack.voices}
    return {modality: side.dial.of(modality, subject_id) for modality, half in halves.items() if half}


def _keep_original(subject_id: SubjectId, work: Work, tools: Tools, result: Drafts) -> KeptBlob | None:
    if work.size_bytes > tools.keep_original_bytes:
        return None
    data = b"".join(opened(work.blob_id, work.sha256, tools.blobs, tools.opener))
    try:
        with reading(tools.engine) as session:
            key = subject_keys.key_of(session, tools.keks, subject_id)
    except SubjectErased:
        return None
    sealed = seal(key, data, Context(subject_id, work.media_id, "original"))
    blob_id = tools.blobs.put(sealed)
    result.put.append(blob_id)
    return KeptBlob(blob_id, len(sealed))


def _shown(seen: Seen, verdicts: Sequence[tuple[Side, Verdict]]) -> Shown | None:
    """Keep how the face of a picture looks, where it is the only one and its only finding."""
    alone = len(verdicts) == 1 and len(seen.appearances.faces) == 1 and not seen.appearances.not_looked
    if not alone or seen.picture is None or seen.work.kind is not MediaKind.IMAGE:
        return None
    face = next((c.appearance for c in verdicts[0][1].face), None)
    if not isinstance(face, FaceTrack):
        return None
    landmarks = face.samples[0].landmarks
    height, width, _ = seen.picture.shape
    parts = tuple((float(x) / width, float(y) / height) for x, y in landmarks)
    return Shown(parts, close_up(seen.picture, landmarks).hex())


def _detail(
    verdict: Verdict, seen: Seen, thresholds: Mapping[Modality, Thresholds], shown: Shown | None
) -> FindingDetail:
    face, voice = next(iter(verdict.face), None), next(iter(verdict.voice), None)
    assessed = verdict.synthetic.assessed
    return FindingDetail(
        kind=seen.work.kind,
        face_score=face.score if face else None,
        voice_score=voice.score if voice else None,
        face_spans=_spans(verdict.face),
        voice_spans=_spans(verdict.voice),
        synthetic=replace(verdict.synthetic, assessed=without_pictures(assessed) if assessed else None),
        reasons=verdict.reasons,
        against=verdict.against,
        not_looked=seen.appearances.not_looked,
        copy_marks=copy_marks(verdict.face),
        face_margin=face.margin if face else None,
        voice_margin=voice.margin if voice else None,
        llr=verdict.llr,
        agreement=verdict.agreement,
        limits=tuple(Limit(m, t.alert, t.review, t.source) for m, t in thresholds.items()),
        shown=shown,
        plates=captions(assessed) if assessed else (),
    )


def _spans(candidates: Sequence[Candidate]) -> tuple[Span, ...]:
    """Give the seconds at which these are seen or heard, in order: of a voice every piece by itself."""
    found = {span for c in candidates for span in pieces_of(c.appearance)}
    return tuple(sorted(found, key=lambda s: (s.start_s, s.end_s)))
