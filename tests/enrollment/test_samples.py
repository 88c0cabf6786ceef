"""What becomes a sample, what does not, and what the operator is told."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageFilter

from enrollment.samples import Reader, look
from monitor.errors import (
    EmptyMedia,
    FaceTooPoor,
    ModelError,
    NoFace,
    NotMedia,
    SampleError,
    SeveralFaces,
    SeveralVoices,
    TooLarge,
    TooLittleSpeech,
    Unreadable,
)
from monitor.ml.interfaces import Pack
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.values import SAMPLE_RATE, Modality
from tests.assets import media

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

BLUR = 5.0
"""Pixels, at a face of 110: it is found, and nobody could be told apart by it."""

LIMITS = DecodeLimits(memory_mb=1024)


@pytest.fixture(scope="module")
def reader(pack: Pack) -> Iterator[Reader]:
    with Decoder(LIMITS) as decoder:
        yield Reader(pack, decoder, max_bytes=2**24)


@pytest.fixture
def brody(data: Path) -> Image.Image:
    return Image.open(data / "faces/lfw-dev/Adrien_Brody/Adrien_Brody_0001.jpg").convert("RGB")


def jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95)
    return out.getvalue()


def beside(left: Image.Image, right: Image.Image, scale: float) -> Image.Image:
    """Put two pictures side by side, the right one scaled."""
    small = right.resize((int(right.width * scale), int(right.height * scale)))
    both = Image.new("RGB", (left.width + small.width, left.height))
    both.paste(left, (0, 0))
    both.paste(small, (left.width, 0))
    return both


def test_a_good_picture_gives_a_vector_of_length_one(reader: Reader, brody: Image.Image, pack: Pack) -> None:
    sample = reader.face("brody.jpg", jpeg(brody))
    assert pack.faces is not None
    assert sample.model_id == pack.faces.recogniser.model_id
    assert sample.vector.dtype == np.float32
    assert np.linalg.norm(sample.vector) == pytest.approx(1.0, abs=1e-5)
    assert sample.quality > 0.8


def test_a_small_face_in_the_background_is_passed_over_and_said(
    reader: Reader, brody: Image.Image, data: Path
) -> None:
    other = Image.open(next((data / "faces/lfw-dev/Adam_Scott").glob("*.jpg"))).convert("RGB")
    alone = reader.face("a", jpeg(brody)).vector
    sample = reader.face("b", jpeg(beside(brody, other, 0.3)))
    assert "1 other face was passed over" in sample.notes[0]
    assert float(alone @ sample.vector) > 0.9
    with pytest.raises(SeveralFaces, match="2 faces"):
        reader.face("c", jpeg(beside(brody, other, 0.9)))


def test_the_one_in_the_middle_is_enrolled_when_the_others_are_cut_off_or_clearly_behind(
    reader: Reader, brody: Image.Image, data: Path
) -> None:
    other = Image.open(next((data / "faces/lfw-dev/Adam_Scott").glob("*.jpg"))).convert("RGB")
    alone = reader.face("a", jpeg(brody)).vector
    crowd = Image.new("RGB", (500, 250))
    crowd.paste(other, (-120, 0))  # half of this face is outside
    crowd.paste(other.crop((50, 0, 200, 250)).resize((100, 166)), (385, 40))
    crowd.paste(brody, (125, 0))
    sample = reader.face("crowd", jpeg(crowd))
    assert float(alone @ sample.vector) > 0.9
    assert "2 other faces were passed over" in sample.notes[0]


def test_nobody_is_guessed_among_faces_of_one_size_or_off_the_middle(
    reader: Reader, brody: Image.Image, data: Path
) -> None:
    other = Image.open(next((data / "faces/lfw-dev/Adam_Scott").glob("*.jpg"))).convert("RGB")
    row = Image.new("RGB", (750, 250))
    for place, picture in ((0, other), (250, brody), (500, other)):
        row.paste(picture, (place, 0))
    for unclear in (row, beside(brody, other, 0.7)):
        with pytest.raises(SeveralFaces, match="of like size"):
            reader.face("unclear", jpeg(unclear))


def test_a_face_too_small_or_too_blurred_says_so(reader: Reader, brody: Image.Image) -> None:
    tiny = Image.new("RGB", (400, 400), (90, 110, 90))
    tiny.paste(brody.resize((52, 52)), (170, 170))
    for poor in (tiny, brody.filter(ImageFilter.GaussianBlur(BLUR))):
        with pytest.raises(FaceTooPoor, match="pixels high"):
            reader.face("poor", jpeg(poor))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (media.png(), NoFace),
        (media.wav(), NoFace),
        (b"", EmptyMedia),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", NotMedia),
        (media.jpeg()[:400], Unreadable),
        (b"\xff\xd8\xff" + bytes(2**24), TooLarge),
    ],
)
def test_what_is_no_picture_of_a_face_is_refused(reader: Reader, content: bytes, expected: type) -> None:
    with pytest.raises(expected):
        reader.face("x", content)


def test_a_clip_of_one_face_is_one_sample(reader: Reader, brody: Image.Image) -> None:
    still = np.asarray(brody)
    moving = [np.roll(still, shift, axis=1) for shift in range(8)]
    out = io.BytesIO()
    first, *rest = (Image.fromarray(frame) for frame in moving)
    first.save(out, "GIF", save_all=True, append_images=rest, duration=250)
    sample = reader.face("clip.gif", out.getvalue())
    assert float(sample.vector @ reader.face("still", jpeg(brody)).vector) > 0.8


def speech(data: Path, speaker: str, clip: int, reader: Reader) -> NDArray[np.float32]:
    path = sorted((data / "voices/real/librispeech-test-other" / speaker).glob("*.flac"))[clip]
    with reader.decoder.start(path.read_bytes(), frames=False) as opened:
        sound = opened.sound()
    assert sound is not None
    return sound.samples


def test_one_voice_is_a_sample_and_two_are_not(reader: Reader, data: Path) -> None:
    one, again, other = (speech(data, *which, reader) for which in (("1688", 0), ("1688", 1), ("1998", 2)))
    sample = reader.voice("one.wav", media.wav(np.concatenate([one, again]), SAMPLE_RATE))
    assert np.linalg.norm(sample.vector) == pytest.approx(1.0, abs=1e-5)
    assert sample.quality == 1.0
    with pytest.raises(SeveralVoices):
        reader.voice("two.wav", media.wav(np.concatenate([one, other]), SAMPLE_RATE))


def test_too_little_speech_is_told(reader: Reader, data: Path) -> None:
    short = speech(data, "1688", 0, reader)[: int(1.2 * SAMPLE_RATE)]
    for content in (media.wav(short, SAMPLE_RATE), media.wav(media.tone(4.0)), media.png()):
        with pytest.raises(TooLittleSpeech):
            reader.voice("short", content)


def test_files_are_looked_at_one_by_one_and_reported(
    reader: Reader, brody: Image.Image, tmp_path: Path
) -> None:
    good, bad, gone = (tmp_path / name for name in ("good.jpg", "bad.jpg", "gone.jpg"))
    good.write_bytes(jpeg(brody))
    bad.write_bytes(media.jpeg())
    seen: list[str] = []
    files = [(path, Modality.FACE) for path in (good, bad, gone)]
    looked = look(reader, files, lambda one: seen.append(one.path.name))
    assert seen == ["good.jpg", "bad.jpg", "gone.jpg"]
    assert [one.sample is not None for one in looked] == [True, False, False]
    assert all(one.error and one.error.hint for one in looked[1:])


def test_a_sample_needs_the_model_for_it(reader: Reader, brody: Image.Image) -> None:
    deaf = Reader(Pack("none", "cpu", "none", None, None), reader.decoder, reader.max_bytes)
    with pytest.raises(ModelError):
        deaf.face("a", jpeg(brody))
    with pytest.raises(ModelError):
        deaf.voice("a", b"")
    assert not issubclass(ModelError, SampleError)
