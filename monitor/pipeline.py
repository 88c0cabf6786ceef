"""The whole path of one media item, on one screen. Start reading at `look`.

`begin` opens the bytes and starts their decoder, ahead of time if the worker likes; `look` does the rest.
Whatever goes wrong with one item ends that item and nothing else.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from monitor import claims, findings
from monitor import log as logs
from monitor.claims import Ending, Hold, Looked, Timing, Work
from monitor.copies import recognise
from monitor.db import writing
from monitor.drafting import Seen, draft, draft_copy, finding_model, take_back
from monitor.errors import GalleryNotReady, LeaseLost, LikenessError, MediaError, SubjectErased
from monitor.intake import WHOLE_BYTES, opened
from monitor.ml.synthetic.declared import declared
from monitor.progress import Begun, Outcome, Run
from monitor.sides import alive_on
from monitor.stages.assess import Media, assess
from monitor.stages.detect import detect
from monitor.stages.embed import embed
from monitor.stages.match import match
from monitor.stages.score import score
from monitor.stages.second_look import look_again
from monitor.tables import MediaHash
from monitor.tools import forget
from monitor.values import FindingId, MediaId, MediaKind, Modality

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from monitor.copies import Known
    from monitor.drafting import Drafts
    from monitor.ml.interfaces import Pack
    from monitor.sides import Side
    from monitor.stages.decode import Clip, Room
    from monitor.stages.match import Matched
    from monitor.tools import Tools
    from monitor.values import Appearances, BlobId, Probe, SyntheticAssessment, Verdict

GALLERY_WAIT_S = 2.0
"""An item that met a gallery that was not ready is taken up again after this long."""

log = logs.get(__name__)


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
            picture, synthetic = run.picture(clip), declared(clip.signals)
            # 3b  a picture that was told of before is known by its looks, and not looked at again
            known = _known(picture, synthetic, tools)
            if known is not None:
                return _attached(run, known, clip.perceptual_hash, tools)
            # 4  detect: tracks of faces, turns of speech
            with run.step("detect"):
                appearances = detect(run.timed(clip), tools.pack)
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
            # 7b  whether it was made by a computer: asked only of who was found
            verdicts = _assessed(verdicts, work, perceptual_hash, tools)
        # 8, 9  evidence and finding, with the end of the item, in one transaction
        looked = _looked(appearances, gallery_seq, perceptual_hash)
        with run.step("evidence"):
            drafts = draft(verdicts, Seen(work, appearances, perceptual_hash, picture), tools)
        # 10  end, and forget: of a non-match nothing is kept but its digest
        return _end(run, drafts, looked, tools, end_later=end_later)
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


def _assessed(
    verdicts: list[tuple[Side, Verdict]], work: Work, perceptual_hash: str | None, tools: Tools
) -> list[tuple[Side, Verdict]]:
    """Ask of each sighting whether it was made by a computer."""
    if tools.assessor is None:
        return verdicts
    media = Media(work.sha256, perceptual_hash, partial(_decoded_again, work, tools))
    found = assess([verdict for _, verdict in verdicts], media, tools.assessor)
    return [(side, verdict) for (side, _), verdict in zip(verdicts, found, strict=True)]


def _decoded_again(work: Work, tools: Tools, frames_per_second: float | None) -> Clip:
    """Start to decode an item once more, with this many frames a second of a video."""
    limits = tools.decoder.limits
    if frames_per_second is not None:
        limits = replace(limits, frames_per_second=frames_per_second)
    pieces = opened(work.blob_id, work.sha256, tools.blobs, tools.opener)
    return tools.decoder.start_pieces(pieces, limits=limits)


def _looked(appearances: Appearances, gallery_seq: int, perceptual_hash: str | None) -> Looked:
    left_out = [{"part": n.part, "code": n.code, "reason": n.reason} for n in appearances.not_looked]
    return Looked(
        gallery_seq=gallery_seq,
        faces_seen=len(appearances.faces),
        turns_seen=len(appearances.turns),
        not_looked=json.dumps(left_out) if left_out else None,
        perceptual_hash=perceptual_hash,
    )


def _known(picture: NDArray[np.uint8] | None, synthetic: SyntheticAssessment, tools: Tools) -> Known | None:
    """Look for the picture of which this is a copy that says the same of its making.

    Where two packs are in force, everything is looked at.
    """
    if picture is None or tools.copies is None or tools.older:
        return None
    known = recognise(picture, tools.copies, tools.engine, tools.keks, finding_model(tools.pack))
    told = replace(known.view.detail.synthetic, assessed=None) if known is not None else None
    return known if told == synthetic else None


def _attached(run: Run, known: Known, perceptual_hash: str | None, tools: Tools) -> Outcome:
    """End a copy with the finding of the picture that it is a copy of."""
    work, _ = run.ready()
    with run.step("evidence"):
        drafts = draft_copy(known, work, perceptual_hash, tools)
    looked = Looked(known.gallery_seq, 1, 0, None, perceptual_hash, known.media_id)
    return _end(run, drafts, looked, tools)


def _end(run: Run, drafts: Drafts, looked: Looked, tools: Tools, *, end_later: bool = False) -> Outcome:
    work, _ = run.ready()
    if end_later and not drafts.drafts:
        ending = Ending(run.begun.hold, work.blob_id, looked, tuple(run.timings))
        return run.outcome("done", looked=looked, ending=ending)
    found = _finish(run, drafts, looked, tools)
    forget(tools.blobs, work.blob_id)
    return run.outcome("done", findings=found, looked=looked)


def _finish(run: Run, drafts: Drafts, looked: Looked, tools: Tools) -> tuple[FindingId, ...]:
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
            if drafts.picture_hash is not None and found:
                media_id = run.begun.hold.media_id
                row = MediaHash(media_id=media_id, kind=MediaKind.IMAGE.value, hash=drafts.picture_hash)
                session.add(row)
            claims.finish(session, run.begun.hold, looked, run.timings)
    except BaseException:  # edge: as in drafting.py; nothing of it was written
        take_back(drafts, tools.blobs)
        raise
    take_back(drafts, tools.blobs, but=written)
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
