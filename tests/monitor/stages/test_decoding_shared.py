"""Small pictures share a child, and nobody who looks at them can tell."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from monitor.errors import DecoderKilled, TooManyPixels, Unreadable
from monitor.stages import decoding_shared
from monitor.stages.decode import Clip, DecodeLimits, Decoder
from tests.assets import media

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from monitor.stages.decoding_clip import Line
    from monitor.stages.decoding_wire import Job


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(DecodeLimits(cpu_seconds=30, wall_seconds=30)) as running:
        yield running


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give a list that grows with every child: how many pictures share it, 0 for one alone."""
    started: list[int] = []
    line = Decoder._line

    def counted(self: Decoder, pieces: Iterable[bytes], job: Job, first: bytes) -> Line:
        started.append(len(job.sizes))
        return line(self, pieces, job, first)

    monkeypatch.setattr(Decoder, "_line", counted)
    return started


def together(decoder: Decoder, items: Sequence[bytes]) -> list[Clip]:
    room = decoder.room()
    clips = [room.start(one) for one in items]
    room.open()
    return clips


def picture(clip: Clip) -> tuple[NDArray[np.uint8], str | None]:
    with clip:
        (frame,) = clip.frames()
        return frame.rgb, clip.perceptual_hash


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_pictures_of_a_shared_child_are_those_of_their_own(
    decoder: Decoder, children: list[int], order: tuple[int, ...]
) -> None:
    items = [media.jpeg(seed=1), media.saved(media.pattern(90, 60), "PNG"), media.jpeg(seed=2)]
    alone = [picture(decoder.start(one)) for one in items]
    children.clear()
    clips = together(decoder, items)
    for number in order:
        rgb, perceptual_hash = picture(clips[number])
        assert np.array_equal(rgb, alone[number][0])
        assert perceptual_hash == alone[number][1]
    assert children == [3]


def test_what_may_not_share_has_a_child_of_its_own(
    decoder: Decoder, children: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = [media.jpeg(seed=1), media.jpeg(seed=2)]
    too_long = media.saved(media.pattern(300, 200), "PNG")
    monkeypatch.setattr(decoding_shared, "SHARED_BYTES", len(too_long) - 1)
    others = [too_long, media.saved(media.pattern(60, 60), "WEBP"), media.mp4(), media.wav()]
    clips = together(decoder, [*small, *others])
    for clip in clips:
        with clip:
            _ = clip.info
    assert sorted(children) == [0, 0, 0, 0, 2]


def test_what_turns_out_large_or_moving_is_started_again_alone(decoder: Decoder, children: list[int]) -> None:
    large = media.saved(Image.new("RGB", (2500, 2000)), "PNG")
    moving = media.animation("PNG", frames=3)
    clips = together(decoder, [media.jpeg(), large, moving, media.jpeg(seed=2)])
    counts = []
    for clip in clips:
        with clip:
            counts.append(sum(1 for _ in clip.frames()))
    assert counts == [1, 1, 3, 1]
    assert children == [4, 0, 0]


def test_an_error_is_that_of_a_child_of_its_own(decoder: Decoder) -> None:
    broken = media.jpeg()[:400]
    clips = together(decoder, [broken, media.huge_png(), media.jpeg()])
    with clips[0], pytest.raises(Unreadable):
        _ = clips[0].info
    with clips[1], pytest.raises(TooManyPixels):
        _ = clips[1].info
    assert picture(clips[2])[0].ndim == 3


def test_one_picture_in_a_room_is_started_at_once_and_alone(decoder: Decoder, children: list[int]) -> None:
    (clip,) = together(decoder, [media.jpeg()])
    assert children == [0]
    assert picture(clip)[0].ndim == 3


def test_without_a_shared_child_each_item_gets_its_own(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory_file = os.memfd_create

    def none_left(*_: object) -> int:
        monkeypatch.setattr(os, "memfd_create", memory_file)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", none_left)
    clips = together(decoder, [media.jpeg(seed=1), media.jpeg(seed=2)])
    assert [picture(clip)[0].ndim for clip in clips] == [3, 3]


def test_clips_that_nobody_reads_leave_nothing_behind(decoder: Decoder) -> None:
    picture(decoder.start(media.jpeg()))
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names of a folder of the kernel
    clips = together(decoder, [media.jpeg(seed=n) for n in range(3)])
    picture(clips[1])
    clips[0].close()
    with pytest.raises(DecoderKilled, match="closed"):
        list(clips[0].frames())
    clips[2].close()
    clips[2].close()
    del clips
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - as above
