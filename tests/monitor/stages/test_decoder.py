"""The decoder as a service: it works ahead, serves many threads, can be closed, and leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.errors import ConfigError, DecoderKilled, MediaError
from monitor.settings import Settings
from monitor.stages.decode import DecodeLimits, Decoder
from tests.assets import media
from tests.assets.decoding import limited, read

if TYPE_CHECKING:
    from collections.abc import Iterator


SMALLEST_PIPE = 60_000
"""Bytes that a pipe holds on every machine, less the clip's header: far more than the header itself."""


def bytes_waiting(fd: int) -> int:
    return struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(DecodeLimits(cpu_seconds=60, wall_seconds=60)) as running:
        yield running


def test_frames_come_in_step_with_their_reader(decoder: Decoder) -> None:
    """A clip of many frames never lies in memory: the child waits when its pipe is full."""
    data = media.video(30, size=(640, 480), codec="mpeg4")
    with decoder.start(data) as clip:
        frames = clip.frames()
        first = next(frames)
        time.sleep(0.3)

        assert first.at_s == 0
        assert sum(1 for _ in frames) == pytest.approx(119, abs=2)


def test_a_clip_may_be_closed_in_the_middle(decoder: Decoder) -> None:
    clip = decoder.start(media.video(30, size=(640, 480), codec="mpeg4"))
    next(clip.frames())
    clip.close()
    clip.close()

    assert list(clip.frames()) == []


def test_many_threads_decode_at_once(decoder: Decoder) -> None:
    pictures = [media.png(50 + place, 40, seed=place) for place in range(24)]

    def width(data: bytes) -> int:
        return read(decoder, data)[0].width

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(width, pictures)) == [50 + place for place in range(24)]


def test_the_next_item_is_decoded_while_this_one_is_looked_at(decoder: Decoder) -> None:
    """The child fills its pipe with decoded pixels before anybody has asked the clip for anything."""
    with decoder.start(media.saved(media.pattern(3000, 2000), "PNG")) as clip:
        until = time.monotonic() + 30
        while (ahead := bytes_waiting(clip._line._fd)) < SMALLEST_PIPE:
            assert time.monotonic() < until, f"only {ahead} bytes were decoded ahead"
            time.sleep(0.01)

        assert len(list(clip.frames())) == 1


def test_a_closed_decoder_refuses() -> None:
    decoder = limited()
    decoder.close()
    with pytest.raises(DecoderKilled):
        decoder.start(media.jpeg())


def test_the_limits_come_from_the_settings() -> None:
    limits = DecodeLimits.of(Settings(max_pixels=5, decode_seconds=7, decode_memory_mb=300))

    assert (limits.max_pixels, limits.cpu_seconds, limits.memory_mb) == (5, 7, 300)
    assert limits.wall_seconds > limits.cpu_seconds


def test_a_trust_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="LIKENESS_C2PA_TRUST_FILE"):
        Decoder.of(Settings(c2pa_trust_file=tmp_path / "none.pem"))


def test_no_descriptor_and_no_child_stays_behind(decoder: Decoder) -> None:
    read(decoder, media.jpeg())
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count, not paths
    for data in (media.jpeg(), media.mp4(), b"rubbish", media.huge_png()):
        try:
            read(decoder, data)
        except MediaError:
            continue
    threads = threading.active_count()

    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - as above
    assert threading.active_count() == threads
