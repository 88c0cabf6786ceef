"""A decoder's child that has been taken over: it runs an attack named by the bytes it was given.

Started as the zygote by test_hostile_media.py. Everything else about the child is the real one: it is forked,
limited and filtered exactly as in the service; only `decode` is replaced, as code run by a broken decoder
would replace it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from monitor.stages import decoding_child, decoding_zygote
from monitor.stages.decoding_wire import FRAME_HEAD, HEAD, Job, Outlet, Part

if TYPE_CHECKING:
    from collections.abc import Callable

INFO = {"kind": "image", "width": 2, "height": 2, "duration_s": 0, "has_sound": False}
ELF64_X32_GETPID = 0x40000027
_libc = ctypes.CDLL(None, use_errno=True)
_line: list[int] = []


def raw(kind: int, length: int, body: bytes = b"") -> None:
    """Write to the parent without any of the honest child's care."""
    data = HEAD.pack(kind, length) + body
    while data:
        data = data[os.write(_line[0], data) :]


def frame(width: int = 2, height: int = 2, at_s: float = 0.0, extra: int = 0) -> None:
    """Write a frame whose header may lie about its body."""
    body = FRAME_HEAD.pack(0, at_s, width, height) + bytes(12)
    raw(Part.FRAME, len(body) + extra, body)


def forbidden(act: Callable[[], object]) -> Callable[[Outlet], None]:
    """Try something, and tell the parent how it went."""

    def tell(outlet: Outlet) -> None:
        try:
            act()
        except (OSError, RuntimeError) as exc:
            outlet.json(Part.ERROR, {"code": "unreadable", "reason": f"refused: {type(exc).__name__}"})
        else:
            outlet.json(Part.ERROR, {"code": "unreadable", "reason": "it was allowed"})

    return tell


def system_call(number: int, *words: int) -> Callable[[], object]:
    """Make one system call by its number (x86-64)."""

    def call() -> object:
        if _libc.syscall(number, *words) < 0:
            raise OSError(ctypes.get_errno(), "refused")
        return None

    return call


def start_thread() -> None:
    thread = threading.Thread(target=time.sleep, args=(0,))
    thread.start()


def write_over_the_media() -> None:
    os.write(_media[0], b"changed")


def show_environment(outlet: Outlet) -> None:
    names = sorted(os.environ)
    outlet.json(Part.ERROR, {"code": "unreadable", "reason": " ".join(names)})


def show_descriptors(outlet: Outlet) -> None:
    opened = []
    for fd in range(256):
        try:
            os.lseek(fd, 0, os.SEEK_CUR)
            opened.append(fd)
        except OSError as exc:
            if exc.errno != errno.EBADF:
                opened.append(fd)
    outlet.json(Part.ERROR, {"code": "unreadable", "reason": str(len(opened))})


def sleep(outlet: Outlet) -> None:
    outlet.json(Part.INFO, INFO | {"note": str(os.getpid())})
    time.sleep(1000)


def endless(_: Outlet) -> None:
    while True:
        pass


def bomb(_: Outlet) -> None:
    held = [bytearray(256 * 2**20) for _ in range(64)]
    del held


def die(_: Outlet) -> None:
    ctypes.string_at(0)


def leave(_: Outlet) -> None:
    os._exit(0)


def drip(_: Outlet) -> None:
    for byte in HEAD.pack(Part.INFO, 1000) + bytes(1000):
        os.write(_line[0], bytes([byte]))
        time.sleep(0.05)


def flood_frames(outlet: Outlet) -> None:
    outlet.json(Part.INFO, INFO)
    while True:
        frame()


def flood_info(outlet: Outlet) -> None:
    while True:
        outlet.json(Part.INFO, INFO)


def flood_noise(_: Outlet) -> None:
    while True:
        os.write(_line[0], b"\xff" * 65536)


def after_info(lie: Callable[[], object]) -> Callable[[Outlet], None]:
    """Start honestly, then lie."""

    def tell(outlet: Outlet) -> None:
        outlet.json(Part.INFO, INFO)
        lie()

    return tell


def body(text: bytes) -> Callable[[Outlet], None]:
    """Send a header whose body is `text`."""
    return lambda _: raw(Part.INFO, len(text), text)


def two_sounds() -> None:
    for _ in range(2):
        raw(Part.SOUND, 4, bytes(4))


def many_signals(outlet: Outlet) -> None:
    one = {"source": "c2pa", "says": "x\x1b[2J\n" + "y" * 10_000, "weight": "synthetic", "trusted": "yes"}
    outlet.json(Part.INFO, INFO | {"signals": [one] * 20})
    outlet.json(Part.END, {})


_media: list[int] = []

ATTACKS: dict[str, Callable[[Outlet], None]] = {
    "open a TCP socket": forbidden(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)),
    "open a UDP socket": forbidden(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)),
    "open a local socket": forbidden(lambda: socket.socket(socket.AF_UNIX)),
    "make a socket pair": forbidden(socket.socketpair),
    "write a file": forbidden(lambda: Path("/tmp/likeness-attack").write_bytes(b"x")),  # noqa: S108 - an attack
    "read a file": forbidden(lambda: Path("/etc/passwd").read_bytes()),
    "read its own memory map": forbidden(lambda: Path("/proc/self/maps").read_bytes()),
    "list a folder": forbidden(lambda: os.listdir("/")),  # noqa: PTH208 - an attack
    "look a file up": forbidden(lambda: os.stat("/etc/passwd")),  # noqa: PTH116 - an attack
    "remove a file": forbidden(lambda: os.unlink("/tmp/likeness-attack")),  # noqa: PTH108, S108 - an attack
    "make a memory file": forbidden(lambda: os.memfd_create("x")),
    "make a pipe": forbidden(os.pipe),
    "duplicate a descriptor": forbidden(lambda: os.dup(1)),
    "write over the media": forbidden(write_over_the_media),
    "fork": forbidden(os.fork),
    "start a program": forbidden(lambda: subprocess.run(["/bin/true"], check=False)),
    "replace itself by a program": forbidden(lambda: os.execv("/bin/true", ["true"])),  # noqa: S606 - an attack
    "start a thread": forbidden(start_thread),
    "kill its keeper": forbidden(lambda: os.kill(os.getpid() - 1, 9)),
    "kill everybody": forbidden(lambda: os.kill(-1, 9)),
    "raise its own limits": forbidden(system_call(302, 0, 9, 0, 0)),
    "trace another process": forbidden(system_call(101, 16, 1, 0, 0)),
    "read another process": forbidden(system_call(310, 1, 0, 0, 0, 0, 0)),
    "become root": forbidden(system_call(105, 0)),
    "mount": forbidden(system_call(165, 0, 0, 0, 0, 0)),
    "make a name space": forbidden(system_call(272, 0x10000000)),
    "use io_uring": forbidden(system_call(425, 1, 0)),
    "load a BPF program": forbidden(system_call(321, 0, 0, 0)),
    "call under the x32 convention": forbidden(system_call(ELF64_X32_GETPID)),
    "show the environment": show_environment,
    "count the descriptors": show_descriptors,
    "sleep": sleep,
    "compute for ever": endless,
    "take all memory": bomb,
    "crash": die,
    "leave without a word": leave,
    "send a byte at a time": drip,
    "send frames for ever": flood_frames,
    "send headers for ever": flood_info,
    "send noise for ever": flood_noise,
    "start with a frame": lambda _: frame(),
    "start with the end": lambda outlet: outlet.json(Part.END, {}),
    "a part of unknown kind": lambda _: raw(99, 0),
    "a header of a gigabyte": lambda _: raw(Part.INFO, 1 << 30),
    "a header that is a pickle": body(b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R."),
    "a header that is a list": body(b"[1]"),
    "a header without a kind": body(b"{}"),
    "a header of not a number": body(b'{"kind":"video","width":NaN,"height":1,"duration_s":1}'),
    "a header of endless length": body(b'{"kind":"video","width":1,"height":1,"duration_s":Infinity}'),
    "a header of too many pixels": body(b'{"kind":"video","width":60000,"height":60000,"duration_s":1}'),
    "a header nested deeply": body(b"[" * 200_000),
    "a header of a huge number": body(b'{"kind":"video","width":' + b"9" * 9000 + b',"height":1}'),
    "a hash that is none": body(
        b'{"kind":"image","width":1,"height":1,"duration_s":0,"perceptual_hash":"-1"}'
    ),
    "a hash of ten thousand digits": body(
        b'{"kind":"image","width":1,"height":1,"perceptual_hash":"' + b"f" * 9000 + b'"}'
    ),
    "a note that is a number": body(b'{"kind":"image","width":1,"height":1,"note":7}'),
    "a frame longer than it says": after_info(lambda: frame(extra=5)),
    "a frame shorter than it says": after_info(lambda: raw(Part.FRAME, 8, bytes(8))),
    "a frame of no pixels": after_info(lambda: frame(0, 0)),
    "a frame of too many pixels": after_info(lambda: frame(60_000, 60_000)),
    "a frame at no time": after_info(lambda: frame(at_s=float("nan"))),
    "a sound for a year": after_info(lambda: raw(Part.SOUND, 1 << 40)),
    "half a sample": after_info(lambda: raw(Part.SOUND, 3, bytes(3))),
    "two sounds": after_info(two_sounds),
    "a second header": after_info(lambda: raw(Part.INFO, 2, b"{}")),
    "an end that is none": after_info(lambda: raw(Part.END, 4, b"null")),
    "an error of another kind": lambda outlet: outlet.json(Part.ERROR, {"code": "key_wrong", "reason": 5}),
    "many signals": many_signals,
}
"""Name -> what a child does when it is taken over."""


POSING = b"\xff\xd8\xff"
"""An attack with this before its name passes for a JPEG, and so may share a child."""

_honest = decoding_child.decode


def attack(reader: decoding_child.Reader, stream: BinaryIO, job: Job, outlet: Outlet) -> None:
    """Stand in for `decoding_child.decode`. Bytes that name no attack are decoded as they would be."""
    act = ATTACKS.get(stream.read(200).removeprefix(POSING).decode("ascii", "replace"))
    if act is None:
        stream.seek(0)
        _honest(reader, stream, job, outlet)
        return
    _line.append(outlet._fd)
    if not job.sizes:
        _media.append(stream.fileno())
    act(outlet)


def main(fd: int, trade: str) -> None:
    """Be a zygote whose children are taken over."""
    decoding_child.decode = attack
    decoding_zygote.main(fd, trade)
