"""The whole path of one media item, on one screen. Start reading at `look`.

`begin` opens the bytes and starts their decoder, ahead of time if the worker likes; `look` does the rest.
Whatever goes wrong with one item ends that item and nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from monitor import claims, findings, subject_keys
from monitor import log as logs
from monitor.claims import Ending, Hold, Looked, Timing, Work
from monitor.crypto import Context, seal
from monitor.db import reading, writing
from monitor.errors import GalleryNotReady, LeaseLost, LikenessError, MediaError, StorageError, SubjectErased
from monitor.findings import Draft, FindingDetail, KeptBlob, Limit
from monitor.intake import WHOLE_BYTES, opened
from monitor.ml.synthetic.declared import assess
from monitor.progress import Begun, Outcome, Run
from monitor.sides import Side, alive_on
from monitor.stages.detect import detect
from monitor.stages.embed import embed
from monitor.stages.evidence import Exhibit, evidence
from monitor.stages.marks import copy_marks
from monitor.stages.match import match
from monitor.stages.score import score
from monitor.stages.second_look import look_again
from monitor.values import BlobId, FindingId, MediaId, Modality, ModelId, Span, SubjectId, pieces_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.budget import Dial
    from monitor.crypto import IntakeOpener, KeyEncryptionKeys
    from monitor.gallery import Gallery
    from monitor.ml.interfaces import Pack, Thresholds
    from monitor.stages.decode import Decoder, Room
    from monitor.stages.match import Matched
    from monitor.values import Appearances, Candidate, Probe, Verdict

GALLERY_WAIT_S = 2.0
"""An item that met a gallery that was not ready is taken up again after this long."""

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """Everything that a look needs, safe to share between threads."""

    engine: Engine
    keks: KeyEncryptionKeys
    opener: IntakeOpener
    blobs: BlobStore
    pack: Pack
    gallery: Gallery
    decoder: Decoder
    dial: Dial
    keep_original_bytes: int
    older: tuple[Side, ...] = ()

    @property
    def sides(self) -> tuple[Side, ...]:
        """What is looked with: the pack in force, then older ones by which somebody is still known."""
        return (Side(self.pack, self.gallery, self.dial), *self.older)


def process(media_id: MediaId, tools: Tools, owner: str) -> Outcome:
    """Take one claimed item the whole path. Raises SQLAlchemyError or StorageFull where the ledger fails."""
    hold = Hold(media_id, owner)
    try:
        work = claims.load(tools.engine, hold)
    except LikenessError as exc:
        return look(Begun(hold, None, None, exc), tools)
    return look(begin(hold, work, tools), tools)


def begin(hold: Hold, work: Work, tools: Tools, room: Room | None = None) -> Begun:
    """Open the sealed bytes of a claimed item and start its decoder; what goes wrong is kept for `look`.

    In a `room` it may share a child with what else is begun there; whoever made the room opens it.
    """
    try:
        pieces = opened(work.blob_id, work.sha256, tools.blobs, tools.opener)
        if work.size_bytes > WHOLE_BYTES:
            return Begun(hold, work, tools.decoder.start_pieces(pieces))
        return Begun(hold, work, (room or tools.decoder).start(b"".join(pieces), work.kind))
    except LikenessError as exc:
        return Begun(hold, work, None, exc)
    except Exception as exc:  # edge: whatever is wrong with one item ends that item and nothing else
        log.exception("begin_failed", media_id=hold.media_id)
        return Begun(hold, work, None, LikenessError(f"an unforeseen {type(exc).__name__} before decoding"))


def look(begun: Begun, tools: Tools, *, end_later: bool = False) -> Outcome:
    """Look at one item: decode, detect, embed, match, score, evidence, finding, forget.

    1, 2  `intake.submit` and `claims.claim` went before; `begin` started the decoder. With `end_later`, the
    end of an item that nobody was found in is left to the caller (Outcome.ending), who writes many at once.
    """
    run = Run(begun, tools.engine)
    try:
        # 3  decode: the child process has been at work since `begin`; frames come as they are read
        work, clip = run.ready()
        with clip:
            # 4  detect: tracks of faces, turns of speech
            with run.step("detect"):
                appearances = detect(run.timed(clip), tools.pack)
            synthetic = assess(clip.signals)
            perceptual_hash = clip.perceptual_hash
        # 5  embed: vectors that live until the end of this function
        with run.step("embed"):
            probes = _embed(appearances, tools.sides)
        # 6  match: how far the galleries had read is noted before they are asked
        with run.step("match"):
            gallery_seq = min(side.gallery.seq for side in tools.sides)
            matched = _match(probes, tools)
        # 7  score: one verdict per subject
        with run.step("score"):
            verdicts = [
                (side, verdict)
                for side, one in zip(tools.sides, matched, strict=True)
                for verdict in score(one, synthetic, side.dial)
            ]
        # 8, 9  evidence and finding, with the end of the item, in one transaction
        looked = _looked(appearances, gallery_seq, perceptual_hash)
        with run.step("evidence"):
            drafts = _drafts(verdicts, _Seen(work, appearances, perceptual_hash), tools)
        if end_later and not drafts.drafts:
            ending = Ending(begun.hold, work.blob_id, looked, tuple(run.timings))
            return run.outcome("done", looked=looked, ending=ending)
        found = _finish(run, drafts, looked, tools)
        # 10  forget: of a non-match nothing is kept but its digest
        forget(tools.blobs, work.blob_id)
        return run.outcome("done", findings=found, looked=looked)
    except LeaseLost:
        return run.outcome("lost")
    except GalleryNotReady:
        return _released(run, tools)
    except LikenessError as exc:
        return _failed(run, exc, tools)
    except SQLAlchemyError:
        raise
    except Exception as exc:  # edge: whatever is wrong with one item ends that item and nothing else
        log.exception("look_failed", media_id=begun.hold.media_id, stage=run.stage)
        return _failed(run, LikenessError(f"an unforeseen {type(exc).__name__} in {run.stage}"), tools)
    finally:
        begun.abandon()


@dataclass(frozen=True, slots=True)
class _Seen:
    """What evidence and detail say of the item."""

    work: Work
    appearances: Appearances
    perceptual_hash: str | None


@dataclass(slots=True)
class _Drafts:
    """Findings about to be written, and the blobs that were put for them."""

    drafts: list[Draft] = field(default_factory=list)
    put: list[BlobId] = field(default_factory=list)


def finding_model(pack: Pack) -> ModelId:
    """Name the models that a finding is by: all recognisers of the pack, matched or not."""
    parts = [half.recogniser.model_id for half in (pack.faces, pack.voices) if half is not None]
    return ModelId("+".join(parts))


def _thresholds(side: Side, subject_id: SubjectId) -> dict[Modality, Thresholds]:
    """Give the thresholds in force for one subject, of each modality that the pack compares."""
    halves = {Modality.FACE: side.pack.faces, Modality.VOICE: side.pack.voices}
    return {modality: side.dial.of(modality, subject_id) for modality, half in halves.items() if half}


def _embed(appearances: Appearances, sides: Sequence[Side]) -> list[tuple[Probe, ...]]:
    """Embed with each side's models; what two sides have in common, the voices, is embedded once."""
    first = embed(appearances, sides[0].pack)
    voices = tuple(probe for probe in first if probe.modality is Modality.VOICE)
    older = [(*embed(appearances, replace(side.pack, voices=None)), *voices) for side in sides[1:]]
    return [first, *older]


def _match(probes: Sequence[tuple[Probe, ...]], tools: Tools) -> list[Matched]:
    """Match each side's probes with its own gallery, and count each model's scores once."""
    found: list[Matched] = []
    for number, (side, own) in enumerate(zip(tools.sides, probes, strict=True)):
        alive = alive_on(tools.engine, tools.sides, number)
        matched = match(own, side.gallery, side.dial, alive, _again(side.pack))
        counted = [t for t in matched.tallies if not number or t.modality is Modality.FACE]
        tools.dial.note(counted)
        found.append(matched)
    return found


def _again(pack: Pack) -> Callable[[Probe], Probe] | None:
    return None if pack.faces is None else partial(look_again, models=pack.faces)


def _looked(appearances: Appearances, gallery_seq: int, perceptual_hash: str | None) -> Looked:
    left_out = [{"part": n.part, "code": n.code, "reason": n.reason} for n in appearances.not_looked]
    return Looked(
        gallery_seq=gallery_seq,
        faces_seen=len(appearances.faces),
        turns_seen=len(appearances.turns),
        not_looked=json.dumps(left_out) if left_out else None,
        perceptual_hash=perceptual_hash,
    )


def _drafts(verdicts: Sequence[tuple[Side, Verdict]], seen: _Seen, tools: Tools) -> _Drafts:
    """Put evidence together for every verdict that is news; keep the original for its subject if small."""
    result = _Drafts()
    if not verdicts:
        return result
    with reading(tools.engine) as session:
        origins = findings.origins_of(session, seen.work.media_id)
        by = [(side, verdict, finding_model(side.pack)) for side, verdict in verdicts]
        news = [one for one in by if findings.is_news(session, seen.work.media_id, one[1], one[2])]
    exhibit = Exhibit(
        seen.work.sha256,
        seen.perceptual_hash,
        seen.work.kind.value,
        seen.work.size_bytes,
        origins,
        seen.appearances.not_looked,
    )
    try:
        for side, verdict, model_id in news:
            kept = _keep_original(verdict.subject_id, seen.work, tools, result)
            thresholds = _thresholds(side, verdict.subject_id)
            proof = evidence(verdict, exhibit, thresholds, kept.blob_id if kept else None)
            detail = _detail(verdict, seen, thresholds)
            result.drafts.append(
                Draft(verdict.subject_id, seen.work.media_id, model_id, verdict.band, detail, proof, kept)
            )
    except BaseException:
        _take_back(result, tools.blobs)
        raise
    return result


def _keep_original(subject_id: SubjectId, work: Work, tools: Tools, result: _Drafts) -> KeptBlob | None:
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


def _detail(verdict: Verdict, seen: _Seen, thresholds: Mapping[Modality, Thresholds]) -> FindingDetail:
    face, voice = next(iter(verdict.face), None), next(iter(verdict.voice), None)
    return FindingDetail(
        kind=seen.work.kind,
        face_score=face.score if face else None,
        voice_score=voice.score if voice else None,
        face_spans=_spans(verdict.face),
        voice_spans=_spans(verdict.voice),
        synthetic=verdict.synthetic,
        reasons=verdict.reasons,
        against=verdict.against,
        not_looked=seen.appearances.not_looked,
        copy_marks=copy_marks(verdict.face),
        face_margin=face.margin if face else None,
        voice_margin=voice.margin if voice else None,
        llr=verdict.llr,
        agreement=verdict.agreement,
        limits=tuple(Limit(m, t.alert, t.review, t.source) for m, t in thresholds.items()),
    )


def _spans(candidates: Sequence[Candidate]) -> tuple[Span, ...]:
    """Give the seconds at which these are seen or heard, in order: of a voice every piece by itself."""
    found = {span for c in candidates for span in pieces_of(c.appearance)}
    return tuple(sorted(found, key=lambda s: (s.start_s, s.end_s)))


def _finish(run: Run, drafts: _Drafts, looked: Looked, tools: Tools) -> tuple[FindingId, ...]:
    """Write all findings with their evidence and end the item, or nothing of it."""
    found: list[FindingId] = []
    written: set[BlobId] = set()
    try:
        with writing(tools.engine) as session:
            for draft in drafts.drafts:
                try:
                    finding_id = findings.record(session, tools.keks, draft)
                except SubjectErased:
                    continue  # erased while we looked: to be forgotten, like any stranger
                if finding_id is not None:
                    found.append(finding_id)
                    written |= {draft.original.blob_id} if draft.original else set()
            claims.finish(session, run.begun.hold, looked, run.timings)
    except BaseException:
        _take_back(drafts, tools.blobs)
        raise
    _take_back(drafts, tools.blobs, but=written)
    return tuple(found)


def _released(run: Run, tools: Tools) -> Outcome:
    """Hand an item back that was not looked at for want of a gallery: this is not "found nothing"."""
    try:
        claims.release(tools.engine, run.begun.hold, GALLERY_WAIT_S)
    except LeaseLost:
        return run.outcome("lost")
    return run.outcome("released", code=GalleryNotReady.code)


def _failed(run: Run, error: LikenessError, tools: Tools) -> Outcome:
    stage = "decode" if isinstance(error, MediaError) and run.stage == "detect" else run.stage
    run.stage = stage
    run.timings.append(Timing(stage, 0.0, error.code))
    try:
        claims.fail(tools.engine, run.begun.hold, stage, error, run.timings)
    except LeaseLost:
        return run.outcome("lost")
    return run.outcome("failed", code=error.code)


def _take_back(drafts: _Drafts, blobs: BlobStore, but: Collection[BlobId] = ()) -> None:
    for blob_id in drafts.put:
        if blob_id not in but:
            forget(blobs, blob_id)


def forget(blobs: BlobStore, blob_id: BlobId) -> None:
    """Delete bytes that no row names any more; what a failing disk leaves behind `jobs.sweep` takes later."""
    try:
        blobs.delete(blob_id)
    except StorageError as exc:
        log.warning("blob_not_deleted", blob_id=blob_id, code=exc.code)
