"""A phone that was held upright, on its side or on its head: what it recorded is read like any other.

Phones store what the sensor sees and note beside it how they were held: the matrix of the track in a video
(ISO/IEC 14496-12, 8.3.2), the orientation in a picture (Exif 2.32, tag 274).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import pytest
from PIL import Image

from enrollment.identity.watching import watch
from enrollment.samples import Reader
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.values import MediaKind
from tests.assets import media, people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.ml.interfaces import Pack

PERSON: Final = "Adrien_Brody"

MATRICES: Final = {1: (0, 1, -1, 0), 2: (-1, 0, 0, -1), 3: (0, -1, 1, 0)}
"""Quarter turns against the clock in which the frames are stored -> a, b, c, d that undo them when shown."""

ORIENTATIONS: Final = {1: 6, 2: 3, 3: 8}
"""The same for a picture: quarter turns -> Exif's orientation."""

MATRIX_AT: Final = 44
"""Bytes from the name of a track's header to its matrix: version, times, numbers, layer, volume before it."""


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(DecodeLimits(memory_mb=1024)) as started:
        yield started


@pytest.fixture(scope="module")
def reader(pack: Pack, decoder: Decoder) -> Reader:
    return Reader(pack, decoder, 2**22)


@pytest.fixture(scope="module")
def upright(data: Path) -> NDArray[np.uint8]:
    """Give a photograph of somebody, higher than wide, as a phone takes it."""
    picture = people.pictures(data, PERSON)[0]
    tall = cv2.copyMakeBorder(picture, 60, 60, 0, 0, cv2.BORDER_REPLICATE)
    return np.asarray(tall[: tall.shape[0] // 2 * 2, : tall.shape[1] // 2 * 2], np.uint8)


@pytest.fixture(scope="module")
def vector(reader: Reader, upright: NDArray[np.uint8]) -> NDArray[np.float32]:
    return reader.face("upright", people.jpeg(upright)).vector


def filmed(upright: NDArray[np.uint8], turns: int, *, noted: bool = True) -> bytes:
    """Encode a clip as a phone does that is held so: turned frames, and a note of it where `noted`."""
    stored = np.ascontiguousarray(np.rot90(upright, turns))
    clip = people.video([stored], seconds_each=1.0)
    if not noted:
        return clip
    at = clip.index(b"tkhd") + MATRIX_AT
    a, b, c, d = (part << 16 for part in MATRICES[turns])
    plain = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    assert clip[at : at + 36] == plain, "the matrix is not where it is looked for"
    return clip[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + clip[at + 36 :]


@pytest.mark.parametrize("turns", MATRICES)
def test_a_video_of_a_turned_phone_is_a_sample_like_any_other(
    reader: Reader, upright: NDArray[np.uint8], vector: NDArray[np.float32], turns: int
) -> None:
    sample = reader.face("phone", filmed(upright, turns))
    assert float(sample.vector @ vector) > 0.9
    assert not any("lay on its side" in note for note in sample.notes), "the note of the phone was followed"


def test_a_video_that_does_not_say_how_the_phone_was_held_is_turned_by_the_face(
    reader: Reader, upright: NDArray[np.uint8], vector: NDArray[np.float32]
) -> None:
    sample = reader.face("phone", filmed(upright, 1, noted=False))
    assert float(sample.vector @ vector) > 0.9
    assert any("lay on its side" in note for note in sample.notes)


@pytest.mark.parametrize("turns", ORIENTATIONS)
def test_a_picture_of_a_turned_phone_is_a_sample_like_any_other(
    reader: Reader, upright: NDArray[np.uint8], vector: NDArray[np.float32], turns: int
) -> None:
    note = Image.Exif()
    note[274] = ORIENTATIONS[turns]
    stored = Image.fromarray(np.rot90(upright, turns))
    sample = reader.face("phone", media.saved(stored, "JPEG", quality=92, exif=note))
    assert float(sample.vector @ vector) > 0.95
    assert not any("lay on its side" in note for note in sample.notes)


@pytest.mark.parametrize("turns", MATRICES)
def test_the_clip_of_a_challenge_is_watched_upright(
    decoder: Decoder, pack: Pack, upright: NDArray[np.uint8], turns: int
) -> None:
    assert pack.faces is not None
    with decoder.start(filmed(upright, turns), MediaKind.VIDEO, frames=True, signals=False) as clip:
        watched = watch(clip, pack.faces)
    assert len(watched.sights) >= 3
    assert all(one.grey.shape[0] > one.grey.shape[1] for one in watched.sights)
    assert len(watched.seen) == len(watched.sights), "the face is found in every frame"
