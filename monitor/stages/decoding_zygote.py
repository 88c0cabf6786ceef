"""The small process that forks one child per job: one for pictures, and one for video and sound.

They are two since a fork costs by what is imported, and pictures, the most of the media, need no FFmpeg.

It holds no secrets: it is started anew with an empty environment, imports the decoders once, and then waits.
A fork of it costs a few milliseconds, where starting Python and importing the decoders costs half a
second. It never looks into an item itself.

The parent sends a job (one item, or a few small pictures in a row) and three descriptors: the bytes, the
line for what is decoded, and the life line. When the parent hangs up the life line, the child is killed;
when the child ends, its wait status is written there. When the parent is gone, all children go, and so does
this process.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
from dataclasses import dataclass
from typing import cast

from monitor import streams
from monitor.stages import decoding_child
from monitor.stages.decoding_wire import DecodeLimits, Job

REQUEST_BYTES = 1 << 20
"""Longest request: a job, with the operator's trust list in it."""

DESCRIPTORS = 3
"""The bytes, the line, the life line."""

STATUS = struct.Struct("<i")
"""What is written to the life line at the end: the status that waitpid gave."""


@dataclass(frozen=True, slots=True)
class _Child:
    pid: int
    handle: int
    life: socket.socket


class _Zygote:
    """Forks on request and reaps; one thread, one poll."""

    def __init__(self, control: socket.socket, reader: decoding_child.Reader) -> None:
        self._control = control
        self._reader = reader
        self._children: dict[int, _Child] = {}
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def serve(self) -> None:
        """Fork and reap until the parent is gone."""
        while True:
            for fd, _ in self._poll.poll():
                if fd == self._control.fileno():
                    if not self._take():
                        return
                elif fd in self._children:
                    self._look_after(fd)

    def _take(self) -> bool:
        said, fds, _, _ = socket.recv_fds(self._control, REQUEST_BYTES, DESCRIPTORS)
        if not said:
            return False
        try:
            self._start(said, fds)
        except OSError:  # no room for one more process or descriptor: this item fails, and no other
            for fd in fds:
                with contextlib.suppress(OSError):
                    os.close(fd)
        return True

    def _start(self, said: bytes, fds: list[int]) -> None:
        if len(fds) != DESCRIPTORS:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        (media, line, life), job = fds, _job(said)
        keeper, pid = os.getpid(), os.fork()
        if pid == 0:
            decoding_child.run(media, line, job, keeper, self._reader)
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        os.close(media)
        os.close(line)
        self._keep(_Child(pid, handle, socket.socket(fileno=life)))

    def _keep(self, child: _Child) -> None:
        self._children[child.handle] = child
        self._children[child.life.fileno()] = child
        self._poll.register(child.handle, select.POLLIN)
        self._poll.register(child.life, 0)  # tells of a hang-up alone

    def _look_after(self, fd: int) -> None:
        child = self._children[fd]
        if fd != child.handle:
            os.kill(child.pid, signal.SIGKILL)  # not reaped yet, so the number is still this child's
        _, status = os.waitpid(child.pid, 0)
        with contextlib.suppress(OSError):  # the parent may not want to know any more
            child.life.send(STATUS.pack(status))
        for known in (child.handle, child.life.fileno()):
            self._poll.unregister(known)
            del self._children[known]
        os.close(child.handle)
        child.life.close()


def _job(said: bytes) -> Job:
    words = json.loads(said)
    return Job(**{**words, "limits": DecodeLimits(**words["limits"])})


def main(fd: int, trade: str) -> None:
    """Import and warm the decoders for one trade, `images` or `streams`, then serve the socket `fd`."""
    streams.fill_closed()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to go
    reader = cast("decoding_child.Reader", importlib.import_module(f"monitor.stages.decoding_{trade}"))
    decoding_child.warm(reader)
    gc.collect()
    gc.freeze()
    _Zygote(socket.socket(fileno=fd), reader).serve()
