"""Decode one item in a child process of its own: `Decoder.start(data)` -> `Clip`.

Hostile bytes never meet a decoder in this process. A small zygote (decoding_zygote.py) forks one child
per item; the child gives up everything but computing (decoding_sandbox.py), decodes, and writes raw
frames into a pipe that holds about one frame. So memory is bounded, and the next item is being decoded
while this one is looked at. Small pictures that came through the same hands may share a child: see
decoding_shared.py for what shares, and why nobody else does. Linux only.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Self

import filetype

from monitor.errors import ConfigError, DecoderKilled, EmptyMedia
from monitor.intake import HEAD_BYTES
from monitor.stages.decoding_clip import Clip, Line
from monitor.stages.decoding_shared import Room, shared_limits
from monitor.stages.decoding_wire import DecodeLimits, Job

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

    from monitor.settings import Settings
    from monitor.values import MediaKind

__all__ = ["Clip", "DecodeLimits", "Decoder", "Room"]

PICTURES, STREAMS = "images", "streams"
"""The two trades: decoding_images.py and decoding_streams.py. By its first bytes an item goes to one."""

PIPE_BYTES = 1 << 20
"""The most that the kernel lends to anybody: a child may decode this far ahead of its reader."""

ENVIRONMENT = {
    "PATH": os.defpath,
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 26),
}
"""All that the zygote knows: no secrets, and no threads, since a fork copies only one.

A picture's memory is kept for the next one in the same child, up to 64 MiB: to get it from the kernel anew
costs as much as decoding.
"""

BOOT = (
    "import json,sys;"
    "sys.path[:]=json.loads(sys.argv[2]);"
    "from monitor.stages.decoding_zygote import main;"
    "main(int(sys.argv[1]),sys.argv[3])"
)


class Decoder:
    """Starts one child per item. Safe for several threads; close it, or use it as a context manager.

    Args:
        limits: what each decode may take.
        trust_pem: certificates of the signers whose Content Credentials count as trusted; none by default.
    """

    def __init__(self, limits: DecodeLimits, *, trust_pem: str = "") -> None:
        self._limits = limits
        self._trust_pem = trust_pem
        self._lock = threading.Lock()
        self._zygotes: dict[str, _Zygote] = {}
        self._closed = False

    @classmethod
    def of(cls, settings: Settings) -> Decoder:
        """Take the limits and the trusted signers that the operator set.

        Raises ConfigError when the file of trusted signers cannot be read.
        """
        trust_pem = ""
        if settings.c2pa_trust_file is not None:
            try:
                trust_pem = settings.c2pa_trust_file.read_text("ascii")
            except (OSError, ValueError) as exc:
                msg = f"LIKENESS_C2PA_TRUST_FILE: {settings.c2pa_trust_file} is no PEM file that can be read"
                raise ConfigError(msg) from exc
        return cls(DecodeLimits.of(settings), trust_pem=trust_pem)

    def start(
        self,
        data: bytes,
        kind: MediaKind | None = None,  # noqa: ARG002 - the child goes by the bytes; callers know the kind
        *,
        frames: bool = True,
        signals: bool = True,
        limits: DecodeLimits | None = None,
    ) -> Clip:
        """Start to decode `data` and return at once. What is wrong with it is raised by the Clip.

        `frames=False` leaves the pictures out, `signals=False` what the file says about its making. `limits`
        take the place of the decoder's own, for this item.

        Raises:
            EmptyMedia: zero bytes.
            DecoderKilled: no child could be started.
        """
        if not data:
            msg = "the file is empty"
            raise EmptyMedia(msg)
        limits = limits or self._limits
        job = Job(limits, frames=frames, signals=signals, trust_pem=self._trust_pem)
        return Clip(self._line((data,), job, data), limits)

    def start_pieces(self, pieces: Iterable[bytes], *, limits: DecodeLimits | None = None) -> Clip:
        """Start to decode what comes in pieces, which never lie in this process's memory together.

        `limits` as in `start`.

        Raises EmptyMedia and DecoderKilled like `start`, and whatever `pieces` raises.
        """
        coming = iter(pieces)
        first = next(coming, b"")
        if not first:
            msg = "the file is empty"
            raise EmptyMedia(msg)
        limits = limits or self._limits
        job = Job(limits, trust_pem=self._trust_pem)
        return Clip(self._line(chain((first,), coming), job, first), limits)

    def warm(self) -> None:
        """Start the zygote for pictures, so that it is ready when the first one comes. Returns at once."""
        with self._lock, contextlib.suppress(OSError):
            self._running(PICTURES)

    def room(self) -> Room:
        """Make room for several small pictures in one child: see decoding_shared.py for what may share."""
        return Room(self)

    def line(self, data: bytes, sizes: Sequence[int] = ()) -> Line:
        """Start a child on one item, or on pictures of these sizes in a row. Raises DecoderKilled."""
        limits = shared_limits(self._limits) if sizes else self._limits
        return self._line((data,), Job(limits, trust_pem=self._trust_pem, sizes=sizes), data)

    @property
    def limits(self) -> DecodeLimits:
        """What each decode may take."""
        return self._limits

    def close(self) -> None:
        """End the zygote and every child of it. Clips that are still open fail."""
        with self._lock:
            self._closed = True
            for trade in tuple(self._zygotes):
                self._bury(trade)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _line(self, pieces: Iterable[bytes], job: Job, first: bytes) -> Line:
        trade = PICTURES if filetype.image_match(first[:HEAD_BYTES]) else STREAMS
        try:
            return self._started(pieces, trade, job)
        except OSError as exc:
            msg = f"there was no room to start a decoder: {exc.strerror}"
            raise DecoderKilled(msg) from exc

    def _started(self, pieces: Iterable[bytes], trade: str, job: Job) -> Line:
        """Start a child and keep our ends of its lines; its own ends are closed here, come what may."""
        with contextlib.ExitStack() as handed_over, contextlib.ExitStack() as kept:
            out, line = _pipe()
            kept.callback(os.close, out)
            handed_over.callback(os.close, line)
            ours, theirs = socket.socketpair()
            kept.callback(ours.close)
            handed_over.callback(theirs.close)
            media = _memory_file(pieces)
            handed_over.callback(os.close, media)
            self._send(trade, json.dumps(asdict(job)).encode(), [media, line, theirs.fileno()])
            kept.pop_all()
        return Line(out, ours, job.limits.wall_seconds)

    def _send(self, trade: str, said: bytes, fds: list[int]) -> None:
        """Hand a job over; a zygote that was killed is replaced once."""
        with self._lock:
            if self._closed:
                msg = "the decoder was closed"
                raise DecoderKilled(msg)
            for _ in range(2):
                try:
                    socket.send_fds(self._running(trade).control, [said], fds)
                except OSError as exc:
                    failed: OSError = exc
                    self._bury(trade)
                else:
                    return
            msg = "no decoder process could be started"
            raise DecoderKilled(msg) from failed

    def _running(self, trade: str) -> _Zygote:
        if trade not in self._zygotes:
            self._zygotes[trade] = _Zygote(trade)
        return self._zygotes[trade]

    def _bury(self, trade: str) -> None:
        dead = self._zygotes.pop(trade, None)
        if dead is not None:
            dead.close()


class _Zygote:
    """The running process of decoding_zygote.py, from outside."""

    def __init__(self, trade: str) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", BOOT, str(theirs.fileno()), json.dumps(sys.path), trade],
                env=ENVIRONMENT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    def close(self) -> None:
        """Kill it; its children die with it."""
        self.control.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()


def _pipe() -> tuple[int, int]:
    out, line = os.pipe()
    with contextlib.suppress(OSError):  # over the user's share of pipe memory: a small pipe works too
        fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(out, False)
    return out, line


def _memory_file(pieces: Iterable[bytes]) -> int:
    """Put the bytes where the child can read them and nobody can change them."""
    fd = os.memfd_create("media", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    try:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(fd)
        raise
    return fd
