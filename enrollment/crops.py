"""A small picture of a newcomer's face, for the operators who decide on a held enrolment."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image

from enrollment.foremost import subject_of
from enrollment.upright import Upright
from monitor import intake
from monitor.errors import ModelError, NoFace
from monitor.stages.detect import detect
from monitor.values import MediaKind

if TYPE_CHECKING:
    from enrollment.samples import Reader

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
