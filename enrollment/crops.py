"""A small picture of a newcomer's face, for the operators who decide on a held enrolment."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image

from enrollment import references
from enrollment.foremost import subject_of
from enrollment.tables import GivenSample, Subject
from enrollment.upright import Upright
from monitor import intake
from monitor import log as logs
from monitor.db import reading
from monitor.errors import LikenessError, ModelError, NoFace
from monitor.stages.detect import detect
from monitor.values import BlobId, MediaKind, Modality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enrollment.arrivals import Arrival
    from enrollment.desk import Desk
    from enrollment.samples import Reader
    from monitor.values import SubjectId

log = logs.get(__name__)

QUALITY = 85
"""JPEG quality: some 4 KB for the 112 x 112 pixels that a recogniser sees. Enough to know a face by."""


def crop_of(reader: Reader, data: bytes) -> bytes:
    """Cut the newcomer's face out of one sample: a JPEG of 112 x 112 pixels, nobody else in it.

    Raises SampleError, MediaError, ModelError.
    """
    if reader.pack.faces is None:
        msg = f"the pack {reader.pack.name!r} has no face models"
        raise ModelError(msg)
    with reader.decoder.start(data, intake.kind_of(data), frames=True, signals=False) as clip:
        upright = Upright(clip, reader.pack.faces.detector)
        found, info = detect(upright, replace(reader.pack, voices=None)), upright.info
    tracks = [track for track in found.faces if track.samples]
    if not tracks:
        msg = "no face was found"
        raise NoFace(msg)
    still = info.kind is MediaKind.IMAGE
    track, _ = subject_of(tracks, (info.width, info.height) if still else None)
    best = max(track.samples, key=lambda sample: sample.quality)
    out = io.BytesIO()
    Image.fromarray(best.aligned).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def best_crop(desk: Desk, subject_id: SubjectId, found: Sequence[Arrival]) -> bytes:
    """Cut the face out of the best of these samples; empty where that cannot be done, since it only helps."""
    faces = sorted((one for one in found if one.modality is Modality.FACE), key=lambda one: -one.quality)
    try:
        for one in faces[:1]:
            with reading(desk.engine) as session:
                row, subject = session.get(GivenSample, one.sample_id), session.get(Subject, subject_id)
                if row is None or subject is None or row.blob_id is None:
                    return b""
                opener = references.opener(session, desk.keks, subject)
            data = opener.open(desk.blobs.get(BlobId(row.blob_id)), references.info(subject_id, row.id))
            return crop_of(desk.reader, data)
    except LikenessError as exc:
        log.warning("no_picture_of_a_held_one", subject_id=subject_id, code=exc.code)
    return b""
