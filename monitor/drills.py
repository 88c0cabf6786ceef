"""Fire drills: a marked picture of somebody who asked for it goes the way that a real one would go.

ask -> plant -> (crawl or push) -> look -> tell -> end. A drill is known by the digest of its picture,
which is written down before the picture is put anywhere. What is found by that digest is a drill: told in the
words of one (alerts/drills.py), never joined with a real incident, and removed at the end.
"""

from __future__ import annotations

import io
import json
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sqlmodel import col, delete, or_, select

from monitor import audit, findings
from monitor.db import utc_now
from monitor.errors import LikenessError, NotFound
from monitor.tables import BlobRow, Drill, Finding, MediaItem
from monitor.values import FindingId

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray
    from sqlmodel import Session

    from monitor.crypto import KeyEncryptionKeys
    from monitor.values import SubjectId

ASKED, RUNNING, ENDED, FAILED = "asked", "running", "ended", "failed"

TITLE: Final = "Fire drill: a test picture that was asked for"
"""What the page or the feed calls it, so that it stands as a drill with every place where it is seen."""

WORDS: Final = "FIRE DRILL - TEST PICTURE"

DOOR: Final = "door"
"""The path of a drill that the subject asked for: put in where what partners push is put in."""

LONGEST: Final = timedelta(hours=1)
"""When a drill is over by itself: whatever has not come by then is a failure to look into."""

LINGER: Final = timedelta(minutes=1)
"""How long one that the subject asked for stays after its first message, so that other channels send too."""

LONGEST_SIDE: Final = 800
"""Pixels of the picture within its frame: far above the smallest face that is looked at."""

TILES: Final = 12
"""Tiles of the frame along one side. Their greys are drawn anew for each drill: 8 random bits a tile, so
that neither its digest nor its looks are those of an earlier one (copies.NEAR is 8 of 256 bits)."""


def marked(rgb: NDArray[np.uint8]) -> bytes:
    """Make the picture of a drill: (h, w, 3) uint8 in, a JPEG out. Other bytes at each call."""
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    width, height = picture.size
    edge = max(24, max(width, height) // 6)
    greys = np.frombuffer(secrets.token_bytes(TILES * TILES), np.uint8).reshape(TILES, TILES)
    frame = Image.fromarray(greys).resize((width + 2 * edge, height + 2 * edge), Image.Resampling.NEAREST)
    canvas = frame.convert("RGB")
    canvas.paste(picture, (edge, edge))
    draw = ImageDraw.Draw(canvas)
    for top in (0, height + 2 * edge - edge // 2):
        draw.rectangle((0, top, canvas.width, top + edge // 2), fill="black")
        font = ImageFont.load_default(size=edge // 3)
        draw.text((canvas.width / 2, top + edge / 4), WORDS, fill="white", font=font, anchor="mm")
    made = io.BytesIO()
    canvas.save(made, "JPEG", quality=92)
    return made.getvalue()


def ask(session: Session, subject_id: SubjectId, path: str, actor: str, now: datetime) -> Drill:
    """Write down that a drill was asked for, audited."""
    row = Drill(
        id=secrets.token_hex(10), path=path, subject_id=subject_id, asked_by=actor, asked_at=now, state=ASKED
    )
    session.add(row)
    audit.record(session, actor, "drill.ask", subject_id, drill=row.id, path=path)
    return row


def begin(session: Session, drill_id: str, sha256: str, now: datetime) -> None:
    """Write down the digest of the picture; only then it may be put anywhere."""
    row = session.get_one(Drill, drill_id)
    row.state, row.sha256, row.planted_at = RUNNING, sha256, now


def fail(session: Session, drill_id: str, code: str, now: datetime) -> None:
    """Write down why a drill could not be held."""
    row = session.get_one(Drill, drill_id)
    row.state, row.code, row.ended_at = FAILED, code, now


def measure(session: Session, drill_id: str) -> Drill:
    """Fill in what has come so far, and give the row. Raises NotFound, where the subject was erased."""
    row = session.get(Drill, drill_id)
    if row is None:
        msg = "the drill is gone, and so is the person whom it was about"
        raise NotFound(msg)
    if row.sha256 and (row.taken_at is None or row.found_at is None):
        item = session.exec(select(MediaItem).where(MediaItem.sha256 == row.sha256)).first()
        found = _findings(session, row)
        row.taken_at = row.taken_at or (item.received_at if item is not None else None)
        row.found_at = row.found_at or min((one.created_at for one in found), default=None)
    return row


def media_of(session: Session, subject_id: SubjectId) -> frozenset[str]:
    """Give the items that are drills of a subject."""
    query = select(MediaItem.id).join(Drill, col(Drill.sha256) == col(MediaItem.sha256))
    return frozenset(session.exec(query.where(Drill.subject_id == subject_id)))


def over(session: Session, now: datetime) -> list[str]:
    """Name the drills that are over by themselves: too late, or asked for by the subject and told."""
    told = (col(Drill.path) == DOOR) & (col(Drill.told_at) <= now - LINGER)
    query = select(Drill.id).where(Drill.state == RUNNING, or_(col(Drill.planted_at) <= now - LONGEST, told))
    return list(session.exec(query))


def late(session: Session) -> list[str]:
    """Name the ended drills of which something was found after their end."""
    query = (
        select(Drill.id)
        .join(MediaItem, col(MediaItem.sha256) == col(Drill.sha256))
        .join(Finding, col(Finding.media_id) == col(MediaItem.id))
        .where(Finding.state == "due", Drill.state == ENDED, Finding.subject_id == Drill.subject_id)
    )
    return list(session.exec(query.distinct()))


def end(
    session: Session, keks: KeyEncryptionKeys, drill_id: str, actor: str, now: datetime | None = None
) -> None:
    """End a drill: what was found by it goes, with evidence and the kept original. Audited once; idempotent.

    The row stays with its times, and the digest in it, so that what is found late is no alarm either.
    """
    row = measure(session, drill_id)
    for finding in _findings(session, row):
        original = _original(session, keks, finding.id)
        if original is not None:  # the sweep deletes bytes without a row
            session.exec(delete(BlobRow).where(col(BlobRow.id) == original))
        session.delete(finding)
    if row.state == RUNNING:
        row.state, row.ended_at = ENDED, now or utc_now()
        audit.record(session, actor, "drill.end", row.subject_id, drill=row.id)
    session.flush()


def _findings(session: Session, row: Drill) -> list[Finding]:
    query = (
        select(Finding)
        .join(MediaItem, col(MediaItem.id) == col(Finding.media_id))
        .where(MediaItem.sha256 == row.sha256, Finding.subject_id == row.subject_id)
    )
    return list(session.exec(query)) if row.sha256 else []


def _original(session: Session, keks: KeyEncryptionKeys, finding_id: str) -> str | None:
    """Name the bytes that were kept with a finding; None where there are none, or they do not open."""
    try:
        document = json.loads(findings.evidence_of(session, keks, FindingId(finding_id)))
    except LikenessError:
        return None
    original = document.get("original")
    return str(original) if original else None
