"""A picture that was told of already is known again by its looks, and nobody looks at it a second time.

1. the whole picture: a hash of it lies near that of a picture in which somebody was found (CopyIndex);
2. the face: what was the subject's face there looks the same here (stages/marks.change).

Both must hold, since a face put in place of another one changes the hash of the whole less than a darker
copy does. So only pictures of one face that was found are known again: where nobody was found, or there are
others in the picture, one of them could have been changed into somebody who is watched for, and that is just
what this service is for. Videos and sound are always looked at for the same reason.

The index holds hashes of pictures that were told of, no biometrics, and follows the ledger.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import faiss
import numpy as np
from sqlalchemy import func
from sqlmodel import Session, col, select

from monitor import findings
from monitor.db import reading, utc_now
from monitor.errors import LikenessError
from monitor.stages.marks import CHANGED, change, close_up
from monitor.stages.picture_hash import BYTES, laid, picture_hashes
from monitor.tables import Finding, GalleryEvent, MediaHash, MediaItem
from monitor.values import FindingId, MediaId, MediaKind

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys
    from monitor.findings import FindingView
    from monitor.values import ModelId

NEAR: Final = 8
"""Differing bits, of 256, up to which two pictures may be the same. Of 99 pictures of LFW (2026-11) copies of
JPEG q20 to q90 and of 0.3 to 1.5 times the size differ by 8 at most, different pictures by 100 at least."""

FOLLOW_S: Final = 1.0
"""How often the index reads what was told of since. A copy that comes sooner is looked at."""

MOST_TRIED: Final = 4
"""Near pictures that are compared face by face, nearest first."""


@dataclass(frozen=True, slots=True)
class Known:
    """A picture that was told of, of which another one is a copy. `distance` and `change` say how near."""

    media_id: MediaId
    sha256: str
    gallery_seq: int
    view: FindingView
    evidence: bytes
    distance: int
    change: float


class CopyIndex:
    """Hashes of all pictures that were told of: exact within NEAR, and incremental. Safe for threads."""

    def __init__(self, engine: Engine) -> None:
        """Start empty; the first question reads the ledger."""
        self._engine, self._lock = engine, threading.Lock()
        self._index = faiss.IndexBinaryFlat(8 * BYTES)
        self._media: list[MediaId] = []
        self._seq, self._next_s = 0, 0.0

    def near(self, rgb: NDArray[np.uint8]) -> list[tuple[MediaId, int, int]]:
        """Give (item, way, distance) of pictures that look like this one, laid that way, nearest first."""
        with self._lock:
            self._follow()
            if not self._media:
                return []
            limits, distances, places = self._index.range_search(picture_hashes(rgb), NEAR + 1)
        ways = np.repeat(np.arange(len(limits) - 1), np.diff(limits.astype(np.int64)))
        found = zip(places, ways, distances, strict=True)
        near = [(self._media[place], int(way), int(distance)) for place, way, distance in found]
        return sorted(near, key=lambda one: one[2])

    def _follow(self) -> None:
        now = time.monotonic()
        if now < self._next_s:
            return
        self._next_s = now + FOLLOW_S
        with reading(self._engine) as session:
            rows = session.exec(
                select(MediaHash.seq, MediaHash.media_id, MediaHash.hash)
                .where(col(MediaHash.seq) > self._seq, MediaHash.kind == MediaKind.IMAGE.value)
                .order_by(col(MediaHash.seq))
            ).all()
        if not rows:
            return
        self._index.add(np.stack([np.frombuffer(packed, np.uint8) for _, _, packed in rows]))
        self._media += [MediaId(media_id) for _, media_id, _ in rows]
        self._seq = rows[-1][0] or 0


def recognise(
    rgb: NDArray[np.uint8], index: CopyIndex, engine: Engine, keks: KeyEncryptionKeys, model_id: ModelId
) -> Known | None:
    """Say which picture that was told of this one is a copy of, or None: then it must be looked at.

    `rgb` is (h, w, 3) uint8. Only a picture that these models looked at since the last enrolment counts.
    """
    for media_id, way, distance in index.near(rgb)[:MOST_TRIED]:
        with reading(engine) as session:
            told = _told(session, keks, media_id, model_id)
        if told is None:
            continue
        row, view, evidence = told
        turned = laid(rgb, way)
        changed = _change(turned, view)
        if changed < CHANGED:
            return Known(media_id, row.sha256, row.gallery_seq or 0, view, evidence, distance, changed)
    return None


def _change(rgb: NDArray[np.uint8], view: FindingView) -> float:
    shown = view.detail.shown
    if shown is None:
        return float("inf")
    size = np.array([rgb.shape[1], rgb.shape[0]], np.float32)
    landmarks = np.array(shown.landmarks, np.float32) * size
    return change(bytes.fromhex(shown.close_up), close_up(rgb, landmarks))


def _told(
    session: Session, keks: KeyEncryptionKeys, media_id: MediaId, model_id: ModelId
) -> tuple[MediaItem, FindingView, bytes] | None:
    """Give the one finding in a picture of one face, as long as its look still holds."""
    row = session.get(MediaItem, media_id)
    found = session.exec(select(Finding).where(Finding.media_id == media_id)).all()
    if row is None or row.faces_seen != 1 or row.not_looked or len(found) != 1:
        return None
    newest = session.exec(select(func.max(GalleryEvent.seq)).where(GalleryEvent.kind == "add")).one()
    if found[0].model_id != model_id or (row.gallery_seq or 0) < (newest or 0):
        return None
    try:
        view = findings.read(session, keks, FindingId(found[0].id))
        return row, view, findings.evidence_of(session, keks, view.finding_id)
    except LikenessError:
        return None  # erased, or it does not open: a look finds out


def evidence_of_copy(known: Known, media: dict[str, object], original: str | None) -> bytes:
    """Write the evidence record of a copy: that of the picture it is a copy of, and how near it is."""
    document = json.loads(known.evidence)
    document |= {
        "made_at": utc_now().isoformat(),
        "nonce": secrets.token_hex(16),
        "media": media,
        "original": original,
        "copy_of": {
            "sha256": known.sha256,
            "finding_id": known.view.finding_id,
            "hash_distance": known.distance,
            "face_change": round(known.change, 5),
        },
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
