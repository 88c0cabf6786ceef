"""What the tests of known originals share: a real decoder, a shelf in memory, and sightings of real bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from monitor.ml.synthetic.interfaces import Look, Sighting
from monitor.originals.known import Known
from monitor.originals.marks import marks_of, packed, unpacked
from monitor.originals.scorer import KnownOriginals
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.values import (
    Band,
    Box,
    FaceSample,
    MediaKind,
    SubjectId,
    SyntheticAssessment,
    SyntheticStatus,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitor.stages.decode import Clip
    from monitor.values import Signal

    Picture = NDArray[np.uint8]

ANA = SubjectId("a" * 32)
SOMEWHERE = Box(0.0, 0.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    """Give a real decoder."""
    with Decoder(DecodeLimits()) as one:
        yield one


def scene(seed: int, size: tuple[int, int] = (400, 300)) -> Picture:
    """Give a picture with detail at every size, as photographs have it: (h, w, 3) uint8."""
    rng = np.random.default_rng(seed)
    width, height = size
    made = np.zeros((height, width, 3))
    for cells, strength in ((4, 70.0), (12, 45.0), (36, 25.0), (90, 12.0)):
        coarse = rng.normal(0, strength, (cells * 3 // 4, cells, 3)).astype(np.float32)
        layers = [Image.fromarray(coarse[..., n]).resize(size, Image.Resampling.BICUBIC) for n in range(3)]
        made += np.stack([np.asarray(one) for one in layers], axis=-1)
    return np.clip(128 + made, 0, 255).astype(np.uint8)


def jpeg(picture: Picture, quality: int = 90) -> bytes:
    """Save a picture."""
    kept = io.BytesIO()
    Image.fromarray(picture).save(kept, "JPEG", quality=quality)
    return kept.getvalue()


def scaled(picture: Picture, scale: float) -> Picture:
    """Scale a picture, as many programs do it."""
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


@dataclass
class Bench:
    """A shelf that holds its originals in memory, and the scorer over it."""

    decoder: Decoder
    held: dict[str, tuple[Known, bytes]] = field(default_factory=dict)

    def add(self, data: bytes, subject: SubjectId = ANA) -> None:
        """Register an original: decoded, marked, packed and read again, as the worker does."""
        with self.decoder.start(data, signals=False) as clip:
            marks = unpacked(packed(marks_of(clip)))
        name = str(len(self.held))
        self.held[name] = (Known(name, subject, marks.kind, marks), data)

    def known(self, subject_id: SubjectId) -> tuple[Known, ...]:
        """See Shelf."""
        return tuple(one for one, _ in self.held.values() if one.subject_id == subject_id)

    def data(self, known: Known) -> bytes:
        """See Shelf."""
        return self.held[known.original_id][1]

    def ask(self, data: bytes, face: Box = SOMEWHERE, subject: SubjectId = ANA) -> Signal:
        """Assess what was found: `data`, in which the subject's face is at `face`."""
        return KnownOriginals(self, self.decoder).assess(self.sighting(data, face, subject))

    def sighting(self, data: bytes, face: Box, subject: SubjectId) -> Sighting:
        """Decode a sighting, as stages/assess.py does."""

        def again(frames_per_second: float | None) -> Clip:
            limits = replace(self.decoder.limits, frames_per_second=frames_per_second or 4.0)
            return self.decoder.start(data, signals=False, limits=limits)

        with again(None) as clip:
            frames = list(clip.frames())
            sound, info = clip.sound(), clip.info
        nothing = np.zeros((112, 112, 3), np.uint8)
        looks = tuple(
            Look(one.at_s, one.rgb, FaceSample(one.at_s, face, np.zeros((5, 2), np.float32), nothing, 0.9))
            for one in (frames if info.kind is MediaKind.IMAGE else frames[:8])
        )
        about = SyntheticAssessment(SyntheticStatus.NOT_ASSESSED, (), "")
        verdict = Verdict(subject, Band.ALERT, (), (), about, (), ())
        return Sighting(info, verdict, looks, sound, (), (), (), "", None, again)


@pytest.fixture
def bench(decoder: Decoder) -> Bench:
    """Give an empty shelf and its scorer."""
    return Bench(decoder)
