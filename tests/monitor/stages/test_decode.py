"""What honest media become: frames, sound, and what was left out."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from monitor.errors import EmptyMedia, TooManyPixels, Unreadable
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.values import MediaKind
from tests.assets import media
from tests.assets.decoding import limited, read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.values import Sound


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(DecodeLimits(cpu_seconds=60, wall_seconds=60)) as running:
        yield running


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "GIF", "JPEG2000"])
def test_a_picture_is_one_frame(decoder: Decoder, kind: str) -> None:
    info, frames, sound = read(decoder, media.saved(media.pattern(97, 61), kind))

    assert (info.kind, info.width, info.height, info.note) == (MediaKind.IMAGE, 97, 61, "")
    assert [(frame.index, frame.at_s, frame.rgb.shape, frame.rgb.dtype) for frame in frames] == [
        (0, 0.0, (61, 97, 3), np.uint8)
    ]
    assert sound is None


def test_the_pixels_are_those_of_the_file(decoder: Decoder) -> None:
    picture = media.pattern(33, 21, seed=5)

    _, frames, _ = read(decoder, media.saved(picture, "PNG"))

    assert np.array_equal(frames[0].rgb, np.asarray(picture))


def test_a_picture_is_turned_as_its_camera_was_held(decoder: Decoder) -> None:
    picture, exif = media.pattern(40, 20), Image.Exif()
    exif[0x0112] = 6  # shown turned a quarter clockwise
    data = media.saved(picture, "PNG", exif=exif)

    info, frames, _ = read(decoder, data)

    assert (info.width, info.height) == (20, 40)
    assert np.array_equal(frames[0].rgb, np.rot90(np.asarray(picture), -1))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white(decoder: Decoder, mode: str) -> None:
    clear = Image.new("RGBA", (10, 10), (200, 0, 0, 0)).convert(mode)
    data = media.saved(clear, "PNG", **({"transparency": clear.getpixel((0, 0))} if mode == "P" else {}))

    _, frames, _ = read(decoder, data)

    assert frames[0].rgb.min() == 255


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "I;16", "YCbCr"])
def test_every_colour_mode_becomes_rgb(decoder: Decoder, mode: str) -> None:
    grey = Image.fromarray(np.full((12, 10), 128 * 256, np.uint16)) if mode == "I;16" else None
    picture = grey or media.pattern(10, 12).convert(mode)

    _, frames, _ = read(decoder, media.saved(picture, "TIFF"))

    assert frames[0].rgb.shape == (12, 10, 3)
    if grey:
        assert frames[0].rgb.mean() == 128


def test_a_very_large_picture_is_scaled_down_and_says_so(decoder: Decoder) -> None:
    info, frames, _ = read(decoder, media.saved(Image.new("RGB", (8000, 4000), "red"), "JPEG"))

    assert frames[0].rgb.shape[0] * frames[0].rgb.shape[1] <= 24_000_000
    assert info.note == "scaled down from 8000 x 4000 pixels"


def test_copies_of_a_picture_have_nearly_one_hash(decoder: Decoder) -> None:
    picture = media.pattern(400, 300, seed=3)
    versions = [picture, picture.resize((200, 150)), picture.convert("L"), media.pattern(400, 300, seed=4)]
    hashes = []
    for version in versions:
        with decoder.start(media.saved(version, "JPEG", quality=70)) as clip:
            hashes.append(int(clip.perceptual_hash or "", 16))

    assert max((hashes[0] ^ other).bit_count() for other in hashes[1:3]) <= 4
    assert (hashes[0] ^ hashes[3]).bit_count() > 12


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_sampled_by_time(decoder: Decoder, kind: str) -> None:
    data = media.animation(kind, frames=20, duration_ms=100)

    info, frames, _ = read(decoder, data)

    assert info.kind is MediaKind.ANIMATION
    assert info.duration_s == pytest.approx(2.0, abs=0.2)
    assert 6 <= len(frames) <= 8
    assert frames[0].at_s == 0
    assert all(0 < b.at_s - a.at_s <= 0.31 for a, b in pairwise(frames))


def test_every_picture_of_a_slow_animation_is_looked_at(decoder: Decoder) -> None:
    _, frames, _ = read(decoder, media.gif(frames=5, duration_ms=3000))

    assert [frame.at_s for frame in frames] == [0, 3, 6, 9, 12]


def test_a_gif_of_a_hundred_thousand_frames_is_cheap() -> None:
    with limited(cpu_seconds=20) as decoder:
        info, frames, _ = read(decoder, media.endless_gif(100_000))

    assert len(frames) == 200
    assert frames[-1].at_s > 0.99 * info.duration_s - 30


def test_a_video_gives_frames_and_sound_in_one_pass(decoder: Decoder) -> None:
    info, frames, sound = read(decoder, media.mp4(3.0))

    assert (info.kind, info.width, info.height, info.has_sound) == (MediaKind.VIDEO, 160, 120, True)
    assert [frame.at_s for frame in frames] == pytest.approx(np.arange(12) / 4, abs=0.11)
    assert sound is not None
    assert sound.seconds == pytest.approx(3.0, abs=0.2)
    assert np.abs(sound.samples).max() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    ("container", "codec", "sound_codec"),
    [
        ("webm", "libvpx-vp9", "libopus"),
        ("matroska", "libx264", "aac"),
        ("mov", "mpeg4", "aac"),
        ("mpegts", "libx264", "aac"),
        ("avi", "mpeg4", "libmp3lame"),
    ],
)
def test_every_usual_container_is_read(
    decoder: Decoder, container: str, codec: str, sound_codec: str
) -> None:
    data = media.video(
        2, container=container, codec=codec, sound_codec=sound_codec, samples=media.tone(2, hertz=300)
    )

    info, frames, sound = read(decoder, data)

    assert info.kind is MediaKind.VIDEO
    assert len(frames) == pytest.approx(8, abs=1)
    assert sound is not None
    assert sound.seconds == pytest.approx(2, abs=0.2)
    assert _pitch(sound) == pytest.approx(300, abs=5)


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [
        ("wav", "pcm_s16le", 44_100),
        ("mp3", "libmp3lame", 44_100),
        ("flac", "flac", 48_000),
        ("ogg", "libopus", 48_000),
        ("adts", "aac", 22_050),
        ("aiff", "pcm_s16be", 8_000),
        ("ipod", "aac", 44_100),
    ],
)
def test_every_usual_sound_becomes_16_khz(decoder: Decoder, container: str, codec: str, rate: int) -> None:
    data = media.sound(media.tone(2, hertz=440, rate=rate), rate, container=container, codec=codec)

    info, frames, sound = read(decoder, data)

    assert (info.kind, frames) == (MediaKind.AUDIO, [])
    assert sound is not None
    assert (sound.samples.dtype, sound.seconds) == (np.float32, pytest.approx(2, abs=0.15))
    assert _pitch(sound) == pytest.approx(440, abs=5)


def _pitch(sound: Sound) -> float:
    spectrum = np.abs(np.fft.rfft(sound.samples))
    return float(spectrum.argmax() / sound.seconds)


def test_the_sound_alone_can_be_asked_for(decoder: Decoder) -> None:
    _, frames, sound = read(decoder, media.mp4(2.0), frames=False)

    assert frames == []
    assert sound is not None


def test_a_large_video_is_scaled_to_1280(decoder: Decoder) -> None:
    info, frames, _ = read(decoder, media.video(0.5, size=(1920, 1080), codec="mpeg4"))

    assert (info.width, info.height) == (1280, 720)
    assert frames[0].rgb.shape == (720, 1280, 3)


def test_a_video_is_turned_as_its_camera_was_held(decoder: Decoder) -> None:
    picture = Image.new("RGB", (160, 120), "black")
    picture.paste("white", (0, 0, 80, 120))
    straight = media.video(1, pictures=[picture])
    identity = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    quarter = struct.pack(">9I", 0, 1 << 16, 0, (1 << 32) - (1 << 16), 0, 0, 0, 0, 1 << 30)
    track = straight.index(b"tkhd")
    turned = straight[:track] + straight[track:].replace(identity, quarter, 1)

    _, frames, _ = read(decoder, turned)

    rgb = frames[0].rgb
    assert rgb.shape == (160, 120, 3)
    assert rgb[:70].mean() > 200  # what was on the left is now on top: a quarter clockwise
    assert rgb[90:].mean() < 50


def test_a_long_video_is_looked_at_up_to_the_limit() -> None:
    with limited(max_seconds=3) as decoder:
        info, frames, sound = read(decoder, media.mp4(10))

    assert info.note == "first 3 s of 10 s"
    assert frames[-1].at_s <= 3
    assert sound is not None
    assert sound.seconds == 3


def test_a_ten_hour_silent_video_is_bounded() -> None:
    ten_hours = media.video(36_000, fps=1, size=(64, 48), codec="mpeg4", container="matroska")
    limits = {"max_seconds": 600, "frames_per_second": 0.5, "cpu_seconds": 20}
    with limited(**limits) as decoder, decoder.start(ten_hours) as clip:
        count = sum(1 for _ in clip.frames())

        assert clip.sound() is None
        assert clip.not_looked[0].reason == "first 600 s of 36000 s"
    assert 290 <= count <= 302


def test_zero_bytes_are_refused_before_a_child_starts(decoder: Decoder) -> None:
    with pytest.raises(EmptyMedia):
        decoder.start(b"")


@pytest.mark.parametrize(
    "data",
    [
        media.jpeg(400, 300)[:4000],
        media.png(400, 300)[:4000],
        media.jpeg()[:3] + bytes(2000),
        media.mp4()[:200],
        media.mp4()[:-2000],
        media.wav()[:20],
        b"ID3" + bytes(4000),
        b"\x1aE\xdf\xa3" + bytes(4000),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<html><img src=x></html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nquit\n",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1/a.ts\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
    ],
)
def test_what_cannot_be_read_says_so(decoder: Decoder, data: bytes) -> None:
    with decoder.start(data) as clip, pytest.raises(Unreadable) as caught:
        list(clip.frames())

    assert caught.value.code == "unreadable"
    assert caught.value.message


def test_a_video_cut_off_in_the_middle_gives_what_could_be_read(decoder: Decoder) -> None:
    whole = media.video(20, container="matroska", samples=media.tone(20))
    with decoder.start(whole[: len(whole) // 2]) as clip:
        frames = list(clip.frames())

        assert 8 < len(frames) < 78
        assert clip.not_looked[0].part == "clip"
        assert "second" in clip.not_looked[0].reason


def test_a_video_with_damage_inside_gives_the_rest_and_says_so(decoder: Decoder) -> None:
    whole = bytearray(media.video(10, container="matroska", codec="mpeg4", size=(320, 240)))
    middle = len(whole) // 2
    whole[middle : middle + 4000] = bytes(4000)

    info, frames, _ = read(decoder, bytes(whole))

    assert len(frames) >= 10
    assert info.note


def test_more_pixels_than_allowed_are_refused_before_decoding(decoder: Decoder) -> None:
    with decoder.start(media.huge_png()) as clip, pytest.raises(TooManyPixels):
        _ = clip.info


def test_an_error_is_raised_again_at_every_call(decoder: Decoder) -> None:
    with decoder.start(b"nothing that anybody knows") as clip:
        for _ in range(2):
            with pytest.raises(Unreadable):
                _ = clip.info
        with pytest.raises(Unreadable):
            clip.sound()


def test_a_picture_format_without_a_reader_says_so(decoder: Decoder) -> None:
    heic = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(200)

    with decoder.start(heic) as clip, pytest.raises(Unreadable, match="no reader"):
        _ = clip.info
