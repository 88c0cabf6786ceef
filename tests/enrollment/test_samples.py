"""What becomes a sample, what does not, and what the operator is told."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from scipy.signal import resample_poly

from enrollment.samples import Reader, look
from monitor.errors import (
    EmptyMedia,
    FaceCovered,
    FaceTooBlurred,
    FaceTooBright,
    FaceTooDark,
    FaceTooFlat,
    FaceTooPoor,
    FaceTooSmall,
    ModelError,
    NoFace,
    NoSound,
    NoSpeech,
    NotMedia,
    SampleError,
    SeveralFaces,
    SeveralVoices,
    TooLarge,
    TooLittleSpeech,
    Unreadable,
    VoiceClipped,
    VoiceNoisy,
)
from monitor.ml.interfaces import Pack
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.stages.quality import FaceQuality
from monitor.values import SAMPLE_RATE, Modality
from tests.assets import media

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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


def tiny(brody: Image.Image) -> Image.Image:
    """Show a face of some 20 pixels."""
    page = Image.new("RGB", (400, 400), (90, 110, 90))
    page.paste(brody.resize((48, 48)), (170, 170))
    return page


def masked(brody: Image.Image) -> Image.Image:
    """Put a paper mask on."""
    picture = brody.copy()
    shape = [(88, 128), (125, 115), (162, 128), (158, 165), (125, 180), (92, 165)]
    ImageDraw.Draw(picture).polygon(shape, fill=(150, 190, 220))
    return picture


def levels(scale: float, offset: float = 0.0) -> Callable[[Image.Image], Image.Image]:
    return lambda picture: picture.point(lambda level: scale * level + offset)


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (tiny, FaceTooSmall, "pixels high"),
        (lambda picture: picture.filter(ImageFilter.GaussianBlur(BLUR)), FaceTooBlurred, "blurred"),
        (levels(0.08), FaceTooDark, "dark"),
        (levels(4.0, 60), FaceTooBright, "bright"),
        (levels(0.1, 110), FaceTooFlat, "light and shade"),
        (masked, FaceCovered, "covered"),
    ],
)
def test_a_poor_face_says_what_is_wrong_and_what_to_do(
    reader: Reader,
    brody: Image.Image,
    spoil: Callable[[Image.Image], Image.Image],
    error: type[FaceTooPoor],
    says: str,
) -> None:
    with pytest.raises(error, match=says) as caught:
        reader.face("poor", jpeg(spoil(brody)))
    assert caught.value.code != FaceTooPoor.code
    assert caught.value.hint.endswith(".")


def test_a_drawing_in_lines_is_no_sample(reader: Reader, brody: Image.Image) -> None:
    """A line drawing is refused; a picture through a comic filter is not known as one (README says so)."""
    lines = cv2.Canny(np.asarray(brody.resize((750, 750)).convert("L")), 60, 140)
    for size in (750, 250):
        drawing = Image.fromarray(255 - lines).convert("RGB").resize((size, size))
        with pytest.raises((NoFace, FaceTooPoor)):
            reader.face("drawing", jpeg(drawing))


def selfie(brody: Image.Image, fill: float) -> Image.Image:
    """Show the face of a picture of LFW (some 110 of 250 px) on `fill` of the height of a frame of 1,200."""
    scale = fill * 1200 / 110
    page = Image.new("RGB", (900, 1200), (110, 120, 115))
    whole = brody.resize((round(250 * scale), round(250 * scale)), Image.Resampling.BICUBIC)
    page.paste(whole, ((900 - whole.width) // 2, (1200 - whole.height) // 2))
    return page


@pytest.mark.parametrize("fill", [0.1, 0.4, 0.7, 1.0])
def test_a_selfie_is_enrolled_however_much_of_it_the_face_fills(
    reader: Reader, brody: Image.Image, fill: float
) -> None:
    alone = reader.face("a", jpeg(brody)).vector
    assert float(alone @ reader.face("selfie", jpeg(selfie(brody, fill))).vector) > 0.75


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_picture_on_its_side_or_head_is_turned(reader: Reader, brody: Image.Image, turns: int) -> None:
    alone = reader.face("a", jpeg(brody)).vector
    sample = reader.face("turned", jpeg(selfie(brody, 0.4).rotate(90 * turns, expand=True)))
    assert float(alone @ sample.vector) > 0.85
    assert any("turned" in note for note in sample.notes)


def test_a_phone_that_notes_how_it_was_held_is_obeyed(reader: Reader, brody: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned a quarter clockwise
    out = io.BytesIO()
    brody.rotate(90, expand=True).save(out, "JPEG", quality=95, exif=exif)
    sample = reader.face("phone", out.getvalue())
    assert sample.notes == ()
    assert float(sample.vector @ reader.face("a", jpeg(brody)).vector) > 0.95


def test_a_mirrored_front_camera_is_the_same_person(reader: Reader, brody: Image.Image) -> None:
    mirrored = reader.face("m", jpeg(ImageOps.mirror(brody)))
    assert float(mirrored.vector @ reader.face("a", jpeg(brody)).vector) > 0.9


def test_the_parts_of_a_face_are_kept_with_it(reader: Reader, brody: Image.Image) -> None:
    judged = reader.face("a", jpeg(brody)).judged
    assert isinstance(judged, FaceQuality)
    assert 80 < judged.size_px < 130
    assert abs(judged.roll) < 15
    assert judged.overall > 0.8


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
    assert sample.quality > 0.8
    with pytest.raises(SeveralVoices):
        reader.voice("two.wav", media.wav(np.concatenate([one, other]), SAMPLE_RATE))


def test_what_holds_no_voice_says_why(reader: Reader, data: Path) -> None:
    one = speech(data, "1688", 0, reader)
    chord = sum(media.tone(6.0, hertz) for hertz in (220.0, 277.2, 329.6)) / 3
    rng = np.random.default_rng(0)
    noisy = one + rng.standard_normal(len(one)).astype(np.float32) * np.sqrt(np.mean(one**2)) * 1.4
    loud = np.clip(one / np.abs(one).max() * 12, -1, 1)
    for samples, error in (
        (one[: int(0.3 * SAMPLE_RATE)], TooLittleSpeech),
        (one[: int(1.2 * SAMPLE_RATE)], TooLittleSpeech),
        (np.zeros(4 * SAMPLE_RATE, np.float32), NoSound),
        (chord, NoSpeech),
        (0.3 * noisy, VoiceNoisy),
        (loud, VoiceClipped),
    ):
        with pytest.raises(error) as caught:
            reader.voice("poor", media.wav(np.asarray(samples, np.float32), SAMPLE_RATE))
        assert type(caught.value) is error
        assert caught.value.hint.endswith(".")
    with pytest.raises(NoSound, match="picture"):
        reader.voice("picture", media.png())


def test_a_telephone_recording_is_taken_with_a_note(reader: Reader, data: Path) -> None:
    one = speech(data, "1688", 0, reader)
    narrow = resample_poly(one, 1, 2).astype(np.float32)
    plain, telephone = (reader.voice("v", media.wav(s, r)) for s, r in ((one, 16_000), (narrow, 8_000)))
    assert not any("Telephone" in note for note in plain.notes)
    assert any("Telephone" in note for note in telephone.notes)
    assert float(plain.vector @ telephone.vector) > 0.5


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
