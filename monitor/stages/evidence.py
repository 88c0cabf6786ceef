"""Step 8: put together what proves a finding, as one canonical JSON document, sealed to the subject.

It holds digests, origins, a crop of the matched person (bystanders blurred by stages/tracking.py), model
ids, scores, spans, the thresholds in force, what was found of its making, with pictures (explaining.py),
and the software version. It is complete or there is none:
what cannot be made raises EvidenceIncomplete and the item fails, to be tried again.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import io
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from monitor import findings
from monitor.db import utc_now
from monitor.errors import EvidenceIncomplete
from monitor.explaining import explanation
from monitor.values import FaceTrack, pieces_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from sqlmodel import Session

    from monitor.crypto import KeyEncryptionKeys
    from monitor.ml.interfaces import Thresholds
    from monitor.values import BlobId, Candidate, CouldNotLook, FindingId, Modality, Origin, Verdict

CROP_QUALITY = 90
"""JPEG quality of a crop: small, and no worse to look at than what platforms serve."""

MAX_CROPS = 4
"""Crops kept for one finding: her best appearances. More of one video would add bytes and no proof."""

FORMAT = "likeness-evidence/2"
"""Name and version of the document. In 1, `synthetic` had no `assessed`: read both."""


@dataclass(frozen=True, slots=True)
class Exhibit:
    """What the evidence says about the item itself."""

    sha256: str
    perceptual_hash: str | None
    kind: str
    size_bytes: int
    origins: tuple[Origin, ...]
    not_looked: tuple[CouldNotLook, ...]


def evidence(
    verdict: Verdict,
    exhibit: Exhibit,
    thresholds: Mapping[Modality, Thresholds],
    original: BlobId | None = None,
) -> bytes:
    """Write the evidence record of one verdict: canonical JSON, UTF-8, sorted keys.

    `original` names the blob that keeps the item itself, sealed to the subject, where it is kept.
    Raises EvidenceIncomplete where a part of it cannot be made.
    """
    candidates = (*verdict.face, *verdict.voice)
    if not candidates:
        msg = "a verdict without a single candidate proves nothing"
        raise EvidenceIncomplete(msg)
    document: dict[str, Any] = {
        "format": FORMAT,
        "software": f"likeness-watch {importlib.metadata.version('likeness-watch')}",
        "made_at": utc_now().isoformat(),
        "nonce": secrets.token_hex(16),  # so that nobody can guess a record and compare digests
        "subject_id": verdict.subject_id,
        "band": verdict.band,
        "media": media_of(exhibit),
        "original": original,
        "thresholds": {m.value: _limits(t) for m, t in thresholds.items()},
        "llr": round(verdict.llr, 4),
        "agreement": verdict.agreement,
        "candidates": [_candidate(c) for c in candidates],
        "crops": [_crop(c) for c in verdict.face[:MAX_CROPS]],
        "synthetic": {
            "status": verdict.synthetic.status,
            "not_covered": verdict.synthetic.not_covered,
            "signals": [
                {"source": s.source, "says": s.says, "weight": s.weight, "trusted": s.trusted}
                for s in verdict.synthetic.reasons
            ],
            "assessed": explanation(verdict.synthetic.assessed) if verdict.synthetic.assessed else None,
        },
        "reasons": list(verdict.reasons),
        "against": list(verdict.against),
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def crop_of(session: Session, keks: KeyEncryptionKeys, finding_id: FindingId) -> bytes | None:
    """Give the best crop of the matched person as JPEG bytes, or None for a finding by voice alone.

    Raises NotFound, SubjectErased, and Tampered where the evidence does not open.
    """
    crops = json.loads(findings.evidence_of(session, keks, finding_id))["crops"]
    return base64.b64decode(crops[0]["jpeg"]) if crops else None


def reasons_of(session: Session, keks: KeyEncryptionKeys, finding_id: FindingId) -> dict[str, Any] | None:
    """Give what was found of its being made by a computer, as `explanation` says it, or None: nobody looked.

    Raises NotFound, SubjectErased, and Tampered where the evidence does not open.
    """
    said = json.loads(findings.evidence_of(session, keks, finding_id)).get("synthetic") or {}
    found: dict[str, Any] | None = said.get("assessed")  # evidence of format 1 has none
    return found


def plate_of(session: Session, keks: KeyEncryptionKeys, finding_id: FindingId, number: int) -> bytes | None:
    """Give one of the pictures in it as JPEG bytes, counted from 0 over all signals, or None past the end.

    Raises as `reasons_of`.
    """
    found = reasons_of(session, keks, finding_id)
    plates = [plate for signal in (found or {}).get("signals", ()) for plate in signal["plates"]]
    return base64.b64decode(plates[number]["jpeg"]) if 0 <= number < len(plates) else None


def media_of(exhibit: Exhibit) -> dict[str, Any]:
    """Say what the item is and where it was seen, as evidence does."""
    return {
        "sha256": exhibit.sha256,
        "perceptual_hash": exhibit.perceptual_hash,
        "kind": exhibit.kind,
        "size_bytes": exhibit.size_bytes,
        "origins": [
            {
                "kind": o.kind,
                "seen_at": o.seen_at.isoformat(),
                "url": o.url,
                "page_url": o.page_url,
                "title": o.title,
                "source_id": o.source_id,
            }
            for o in exhibit.origins
        ],
        "not_looked": [{"part": n.part, "code": n.code, "reason": n.reason} for n in exhibit.not_looked],
    }


def _limits(thresholds: Thresholds) -> dict[str, Any]:
    """Give the thresholds with what they were measured on: no people means that they never were."""
    return {
        "alert": round(thresholds.alert, 6),
        "review": round(thresholds.review, 6),
        "source": thresholds.source,
        "model_id": thresholds.model_id,
        "data_set": thresholds.data_set,
        "date": thresholds.date,
        "people": thresholds.people,
        "pairs_of_one_person": thresholds.genuine,
        "pairs_of_two_people": thresholds.impostor,
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    appearance = candidate.appearance
    boxes = [
        {"at_s": s.at_s, "box": [round(v, 1) for v in (s.box.x0, s.box.y0, s.box.x1, s.box.y1)]}
        for s in (appearance.samples if isinstance(appearance, FaceTrack) else ())
    ]
    return {
        "modality": candidate.modality,
        "model_id": candidate.model_id,
        "score": round(candidate.score, 6),
        "margin": round(candidate.margin, 6),
        "llr": round(candidate.llr, 4),
        "lookalike": round(candidate.lookalike, 6),
        "doubts": list(candidate.doubts),
        "band": candidate.band,
        "start_s": appearance.span.start_s,
        "end_s": appearance.span.end_s,
        "pieces": [[p.start_s, p.end_s] for p in pieces_of(appearance)],
        "where": boxes,
    }


def _crop(candidate: Candidate) -> dict[str, str | float]:
    if not isinstance(candidate.appearance, FaceTrack):
        msg = "a face candidate without a picture of the face"
        raise EvidenceIncomplete(msg)
    jpeg = _jpeg(candidate.appearance.portrait())
    return {
        "jpeg": base64.b64encode(jpeg).decode(),
        "sha256": hashlib.sha256(jpeg).hexdigest(),
        "start_s": candidate.appearance.span.start_s,
    }


def _jpeg(portrait: NDArray[np.uint8]) -> bytes:
    try:
        out = io.BytesIO()
        Image.fromarray(portrait).save(out, "JPEG", quality=CROP_QUALITY)
    except (ValueError, OSError, SystemError) as exc:
        msg = "the crop of the matched face could not be written"
        raise EvidenceIncomplete(msg) from exc
    return out.getvalue()
