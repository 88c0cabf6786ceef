"""A file that takes the decoder over gets nothing: no file, no socket, no process, and no trust."""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.errors import DecoderKilled, Unreadable
from monitor.stages import decode
from monitor.stages.decode import DecodeLimits, Decoder
from tests.assets import media
from tests.attacks.hostile_child import POSING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitor.stages.decode import Clip

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the attacks name system calls of x86-64"
)

QUICK = DecodeLimits(cpu_seconds=20, wall_seconds=20, memory_mb=512, max_seconds=10)

FORBIDDEN = [
    "open a TCP socket", "open a UDP socket", "open a local socket", "make a socket pair",
    "write a file", "read a file", "read its own memory map", "list a folder", "look a file up",
    "remove a file", "make a memory file", "make a pipe", "duplicate a descriptor",
    "write over the media", "fork", "start a program", "replace itself by a program", "start a thread",
    "kill its keeper", "kill everybody", "raise its own limits", "trace another process",
    "read another process", "become root", "mount", "make a name space", "use io_uring",
    "load a BPF program", "call under the x32 convention",
]  # fmt: skip

LIES = [
    "start with a frame", "start with the end", "a part of unknown kind", "a header of a gigabyte",
    "a header that is a pickle", "a header that is a list", "a header without a kind",
    "a header of not a number", "a header of endless length", "a header of too many pixels",
    "a header nested deeply", "a header of a huge number", "a hash that is none",
    "a hash of ten thousand digits", "a note that is a number", "a frame longer than it says",
    "a frame shorter than it says", "a frame of no pixels", "a frame of too many pixels",
    "a frame at no time", "a sound for a year", "half a sample", "two sounds", "a second header",
    "an end that is none", "send frames for ever", "send headers for ever", "send noise for ever",
]  # fmt: skip


POISONS = [
    "crash", "leave without a word", "take all memory", "compute for ever", "send noise for ever",
    "send frames for ever", "send headers for ever", "start with the end", "a part of unknown kind",
    "a header of a gigabyte", "a header without a kind", "a frame longer than it says",
    "a frame of no pixels", "two sounds", "a second header", "an end that is none",
    "an error of another kind",
]  # fmt: skip


@contextlib.contextmanager
def hostile_decoder(limits: DecodeLimits) -> Iterator[Decoder]:
    """Give a decoder whose children are taken over by every item that names an attack."""
    patch = pytest.MonkeyPatch()
    boot = decode.BOOT.replace("monitor.stages.decoding_zygote", "tests.attacks.hostile_child")
    patch.setattr(decode, "BOOT", boot)
    patch.setenv("LIKENESS_KEK", "k1:secret")
    with Decoder(limits) as decoder:
        with decoder.start(b"leave without a word") as clip, pytest.raises(DecoderKilled):
            _ = clip.info  # the zygote for streams runs from here on, and that for pictures
        with decoder.start(media.jpeg()) as clip:
            _ = clip.info
        patch.undo()
        yield decoder


@pytest.fixture(scope="module")
def hostile() -> Iterator[Decoder]:
    """Give a decoder whose children are taken over, under quick limits."""
    with hostile_decoder(QUICK) as decoder:
        yield decoder


def pixels(clip: Clip) -> NDArray[np.uint8]:
    """Give the one frame of a picture."""
    with clip:
        (frame,) = clip.frames()
    return frame.rgb


def with_limits(hostile: Decoder, name: str, limits: DecodeLimits) -> Clip:
    """Start an attack under other limits, in a child of the same zygote."""
    before, hostile._limits = hostile._limits, limits
    try:
        return hostile.start(name.encode())
    finally:
        hostile._limits = before


def everything(clip: Clip) -> None:
    with clip:
        clip.sound()


def is_gone(pid: int) -> bool:
    for _ in range(500):
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_child_that_is_taken_over_can_do_nothing(hostile: Decoder, name: str) -> None:
    with hostile.start(name.encode()) as clip, pytest.raises(Unreadable, match=r"^refused: ") as caught:
        _ = clip.info

    assert "allowed" not in caught.value.message
    assert not Path("/tmp/likeness-attack").exists()  # noqa: S108 - the file that the attack names


def test_a_child_knows_no_secrets_and_holds_only_what_it_needs(hostile: Decoder) -> None:
    with hostile.start(b"show the environment") as clip, pytest.raises(Unreadable) as seen:
        _ = clip.info
    with hostile.start(b"count the descriptors") as clip, pytest.raises(Unreadable) as counted:
        _ = clip.info

    assert "LIKENESS" not in seen.value.message
    assert counted.value.message == "5"  # the three usual ones, the media, the line to the parent


@pytest.mark.parametrize("name", LIES)
def test_a_lying_child_is_refused(hostile: Decoder, name: str) -> None:
    with pytest.raises(DecoderKilled) as caught:
        everything(hostile.start(name.encode()))

    assert "longer than" not in caught.value.message  # the lie was seen, and not merely waited out


def test_an_error_that_a_child_may_not_report_is_only_unreadable(hostile: Decoder) -> None:
    with pytest.raises(Unreadable):
        everything(hostile.start(b"an error of another kind"))


def test_words_of_a_child_are_cut_and_cleaned(hostile: Decoder) -> None:
    with hostile.start(b"many signals") as clip:
        signals = clip.signals

    assert len(signals) == 20
    assert all(len(signal.says) <= 400 and signal.says.isprintable() for signal in signals)
    assert not any(signal.trusted for signal in signals)


def test_endless_computing_is_ended_by_the_cpu_limit(hostile: Decoder) -> None:
    limits = DecodeLimits(cpu_seconds=1, wall_seconds=30)

    with pytest.raises(DecoderKilled, match="CPU time") as caught:
        everything(with_limits(hostile, "compute for ever", limits))

    assert caught.value.retryable


@pytest.mark.parametrize("name", ["sleep", "send a byte at a time"])
def test_a_child_that_dawdles_is_ended_by_the_clock(hostile: Decoder, name: str) -> None:
    with pytest.raises(DecoderKilled, match="longer than 1 s"):
        everything(with_limits(hostile, name, DecodeLimits(cpu_seconds=5, wall_seconds=1)))


def test_a_memory_bomb_is_ended_by_the_memory_limit(hostile: Decoder) -> None:
    with pytest.raises(DecoderKilled, match="memory"):
        everything(hostile.start(b"take all memory"))


@pytest.mark.parametrize(("name", "why"), [("crash", "SIGSEGV"), ("leave without a word", "half-way")])
def test_a_child_that_dies_is_told_apart(hostile: Decoder, name: str, why: str) -> None:
    with pytest.raises(DecoderKilled, match=why):
        everything(hostile.start(name.encode()))


def test_closing_a_clip_ends_its_child(hostile: Decoder) -> None:
    clip = hostile.start(b"sleep")
    pid = int(clip.info.note)
    assert Path(f"/proc/{pid}").exists()

    clip.close()

    assert is_gone(pid)


def test_one_hostile_item_disturbs_no_other(hostile: Decoder) -> None:
    sleeping = [hostile.start(b"sleep") for _ in range(5)]

    with pytest.raises(Unreadable, match="refused"):
        _ = hostile.start(b"read a file").info

    for clip in sleeping:
        clip.close()


@pytest.mark.parametrize("name", POISONS)
def test_a_poisonous_picture_in_a_shared_child_hurts_only_itself(
    hostile: Decoder, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "compute for ever":  # it takes all the time that it may, shared and then alone
        monkeypatch.setattr(hostile, "_limits", replace(QUICK, cpu_seconds=3))
    pictures = [media.jpeg(seed=seed) for seed in range(4)]
    expected = [pixels(hostile.start(one)) for one in pictures]

    room = hostile.room()
    poison = POSING + name.encode()
    clips = [room.start(one) for one in (*pictures[:2], poison, *pictures[2:])]
    room.open()

    for clip, wanted in zip((*clips[:2], *clips[3:]), expected, strict=True):
        assert np.array_equal(pixels(clip), wanted)
    with pytest.raises((DecoderKilled, Unreadable)):
        everything(clips[2])


def test_a_picture_that_dawdles_is_left_behind_by_those_after_it() -> None:
    with hostile_decoder(DecodeLimits(cpu_seconds=20, wall_seconds=1)) as hostile:
        room = hostile.room()
        clips = [room.start(one) for one in (POSING + b"sleep", media.jpeg(), media.jpeg(seed=2))]
        room.open()

        assert [len(pixels(clip)) > 0 for clip in clips[1:]] == [True, True]
        with pytest.raises(DecoderKilled, match="took longer than"):
            everything(clips[0])


def test_a_keeper_that_is_killed_is_replaced() -> None:
    with Decoder(QUICK) as decoder:
        with decoder.start(media.mp4()) as clip:
            assert clip.info.width == 160
        waiting = decoder.start(media.video(20, size=(640, 480), codec="mpeg4"))
        _ = waiting.info
        os.kill(decoder._zygotes[decode.STREAMS]._process.pid, signal.SIGKILL)

        with pytest.raises(DecoderKilled):
            waiting.sound()
        waiting.close()
        with decoder.start(media.mp4()) as clip:
            assert clip.info.width == 160


def test_a_keeper_without_room_for_one_more_child_fails_that_item_alone() -> None:
    with Decoder(QUICK) as decoder:
        waiting = decoder.start(media.video(20, size=(640, 480), codec="mpeg4"))
        _ = waiting.info
        keeper = decoder._zygotes[decode.STREAMS]._process.pid
        before = resource.prlimit(keeper, resource.RLIMIT_NOFILE)
        for room in (4, 7, 8, 9):  # for none of the descriptors, for some, for all but one
            resource.prlimit(keeper, resource.RLIMIT_NOFILE, (room, before[1]))
            with decoder.start(media.mp4()) as clip, contextlib.suppress(DecoderKilled):
                _ = clip.info
        resource.prlimit(keeper, resource.RLIMIT_NOFILE, before)

        with decoder.start(media.mp4()) as clip:
            assert clip.info.width == 160
        assert decoder._zygotes[decode.STREAMS]._process.pid == keeper
        with waiting:
            assert sum(1 for _ in waiting.frames()) > 10


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 2>&-", "0<&- 1>&2 2>&-"])
def test_a_worker_whose_streams_were_closed_reads_media_all_the_same(closed: str, tmp_path: Path) -> None:
    script = (
        "import pathlib, sys\n"
        "from monitor.stages.decode import DecodeLimits, Decoder\n"
        "from tests.assets import media\n"
        "with Decoder(DecodeLimits()) as decoder:\n"
        "    found = [decoder.start(one).info.kind.value for one in (media.jpeg(), media.mp4())]\n"
        "pathlib.Path(sys.argv[1]).write_text(' '.join(found))\n"
    )
    said = tmp_path / "said"
    words = ["sh", "-c", f'exec "$0" -c "$1" "$2" {closed}', sys.executable, script, str(said)]
    subprocess.run(words, check=True, timeout=60, stderr=subprocess.DEVNULL)
    assert said.read_text() == "image video"


def test_nothing_outlives_a_worker_that_is_killed() -> None:
    script = (
        "import time\n"
        "from monitor.stages import decode\n"
        "decode.BOOT = decode.BOOT.replace('monitor.stages.decoding_zygote', 'tests.attacks.hostile_child')\n"
        "decoder = decode.Decoder(decode.DecodeLimits())\n"
        "clip = decoder.start(b'sleep')\n"
        "print(clip.info.note, decoder._zygotes['streams']._process.pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        child, zygote = map(int, worker.stdout.readline().split())
        worker.kill()

    assert is_gone(child)
    assert is_gone(zygote)
