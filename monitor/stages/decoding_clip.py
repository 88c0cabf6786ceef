"""The parent's side of one decode: `Line` reads what the child says, `Clip` believes none of it unchecked."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self

import numpy as np

from monitor.errors import DecoderKilled, MediaError, NotMedia, TooManyPixels, Unreadable
from monitor.stages.decoding_wire import FRAME_HEAD, HEAD, JSON_BYTES, DecodeLimits, Part
from monitor.values import ClipInfo, CouldNotLook, Frame, MediaKind, Sound, SyntheticSignal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from numpy.typing import NDArray

SAID = {error.code: error for error in (Unreadable, TooManyPixels, NotMedia, DecoderKilled)}
"""Errors that a child may report."""

WORDS = 400
"""Longest text taken from a child."""

MOST_SIGNALS = 64
"""More signals than this are cut off."""

SOUND_CHUNK = 1 << 20
"""Bytes of sound that are converted at once."""

MOST_PIXELS_A_SIDE = 1 << 16
"""No picture format that is read here goes further."""

NONSENSE = "the decoder sent a header that makes no sense"
"""Said of anything in a header that is missing, of the wrong type or out of range."""

LAST_WORD_S = 5.0
"""How long to wait for the zygote to tell how a child ended: it answers within milliseconds."""


class Source(Protocol):
    """Where a Clip reads what its child says: a Line, or a turn in decoding_shared.py."""

    def read(self, length: int) -> bytes:
        """Read exactly `length` bytes. Raises DecoderKilled."""

    def fill(self, view: memoryview) -> None:
        """Fill `view` exactly. Raises DecoderKilled when the child is late or dead."""

    def close(self) -> None:
        """Hang up. May be called twice."""


class Line:
    """Reads the child's pipe, counting only the time spent waiting for it."""

    def __init__(self, fd: int, life: socket.socket, wall_seconds: float) -> None:
        self._fd = fd
        self._life = life
        self._left_s = wall_seconds
        self._wall_s = wall_seconds
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._open = True

    def read(self, length: int) -> bytes:
        """Read exactly `length` bytes. Raises DecoderKilled."""
        body = bytearray(length)
        self.fill(memoryview(body))
        return bytes(body)

    def fill(self, view: memoryview) -> None:
        """Fill `view` exactly. Raises DecoderKilled when the child is late or dead."""
        while view:
            try:
                got = os.readv(self._fd, [view])
            except BlockingIOError:
                self._wait()
                continue
            if got == 0:
                raise DecoderKilled(self._how_it_ended())
            view = view[got:]

    def close(self) -> None:
        """Hang up: the zygote kills the child if it still runs. May be called twice."""
        if self._open:
            self._open = False
            os.close(self._fd)
            self._life.close()

    def _wait(self) -> None:
        began = time.monotonic()
        ready = self._poll.poll(max(0, self._left_s) * 1000)
        self._left_s -= time.monotonic() - began
        if not ready:
            self.close()
            msg = f"the decoder took longer than {self._wall_s:.0f} s"
            raise DecoderKilled(msg)

    def _how_it_ended(self) -> str:
        self._life.settimeout(LAST_WORD_S)
        status = b""
        with contextlib.suppress(OSError):
            status = self._life.recv(4)
        if len(status) != 4:
            return "no decoder could be started, or it died with its keeper"
        number = int.from_bytes(status, "little")
        if not os.WIFSIGNALED(number):
            return "the decoder stopped half-way"
        ended_by = os.WTERMSIG(number)
        if ended_by == signal.SIGXCPU:
            return "the decoder used up its CPU time"
        return f"the decoder was killed by {signal.Signals(ended_by).name}"


class Clip:
    """One decoded item: its frames once, in order, then its sound. Use it as a context manager.

    Anything may raise Unreadable, TooManyPixels or DecoderKilled (its limits of time or memory, or it died).
    """

    def __init__(self, line: Source, limits: DecodeLimits) -> None:
        self._line = line
        self._limits = limits
        self._info: ClipInfo | None = None
        self._hash: str | None = None
        self._signals: tuple[SyntheticSignal, ...] = ()
        self._sound: Sound | None = None
        self._frames = 0
        self._held: Frame | None = None
        self._ended = False
        self._failed: MediaError | None = None

    @property
    def info(self) -> ClipInfo:
        """What the clip is. `note` and `duration_s` are final once frames() and sound() were read."""
        if self._info is None:
            self._open()
        assert self._info is not None  # noqa: S101 - _open sets it or raises
        return self._info

    @property
    def perceptual_hash(self) -> str | None:
        """16 hex digits of a picture's or animation's first frame; of a video, once it was read."""
        _ = self.info
        return self._hash

    @property
    def signals(self) -> tuple[SyntheticSignal, ...]:
        """What the file says about its own making."""
        _ = self.info
        return self._signals

    @property
    def not_looked(self) -> tuple[CouldNotLook, ...]:
        """What a limit or damage left out. Final once frames() and sound() were read."""
        note = self.info.note
        return (CouldNotLook("clip", "partly_decoded", note),) if note else ()

    def first(self) -> Frame | None:
        """Give the first frame, which `frames` will give again; None where there is none."""
        if self._held is None and self._frames == 0:
            self._held = next(self.frames(), None)
        return self._held

    def frames(self) -> Iterator[Frame]:
        """Give the frames in order of time, as the child decodes them. A second call gives the rest."""
        _ = self.info
        held, self._held = self._held, None
        if held is not None:
            yield held
        while not self._ended:
            frame = self._next()
            if frame is not None:
                yield frame

    def sound(self) -> Sound | None:
        """Give the whole sound, or None where there is none. Frames not yet read are lost."""
        for _ in self.frames():
            pass
        return self._sound

    def close(self) -> None:
        """End the child if it still runs. May be called twice."""
        self._ended = True
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            self._line.close()

    def _open(self) -> None:
        part, length = self._head()
        if part is not Part.INFO:
            self._refuse("something before its header")
        with self._checking():
            said = self._json(length)
            self._info = _info_of(said, self._limits)
            self._hash = _hash_of(said)
            self._signals = _signals_of(said)

    def _next(self) -> Frame | None:
        part, length = self._head()
        if part is Part.FRAME:
            return self._frame(length)
        if part is Part.SOUND and self._sound is None:
            self._sound = self._samples(length)
        elif part is Part.END:
            self._end(length)
        else:
            self._refuse(f"a part of kind {part.name} came out of turn")
        return None

    def _head(self) -> tuple[Part, int]:
        """Read the head of the next part. Raises what the child reports, and what was raised before."""
        if self._failed is not None:
            raise self._failed
        if self._ended:
            msg = "the clip was closed"
            raise DecoderKilled(msg)
        try:
            kind, length = HEAD.unpack(self._line.read(HEAD.size))
        except DecoderKilled as exc:
            raise self._fail(exc) from exc
        if kind not in set(Part):
            self._refuse("a part of unknown kind")
        if kind == Part.ERROR:
            raise self._fail(self._reported(length))
        return Part(kind), length

    def _frame(self, length: int) -> Frame:
        index, at_s, width, height = FRAME_HEAD.unpack(self._body(FRAME_HEAD.size))
        self._frames += 1
        fits = 0 < width * height <= self._limits.most_frame_pixels
        fits = fits and length == FRAME_HEAD.size + width * height * 3
        if not fits or self._frames > self._limits.most_frames or not 0 <= at_s < float("inf"):
            self._refuse("a frame that cannot be")
        rgb = np.empty((height, width, 3), np.uint8)
        self._fill(rgb)
        return Frame(index, at_s, rgb)

    def _samples(self, length: int) -> Sound:
        if length % 2 or length // 2 > self._limits.most_samples:
            self._refuse("a sound that cannot be")
        samples = np.empty(length // 2, np.float32)
        buffer = np.empty(SOUND_CHUNK // 2, np.int16)
        for start in range(0, len(samples), len(buffer)):
            chunk = buffer[: len(samples) - start]
            self._fill(chunk)
            np.multiply(chunk, np.float32(1 / 32768), out=samples[start : start + len(chunk)])
        return Sound(samples)

    def _end(self, length: int) -> None:
        with self._checking():
            said = self._json(length)
            note = "; ".join(filter(None, (self.info.note, _text(said, "note"))))
            duration = _number(said, "duration_s") if "duration_s" in said else self.info.duration_s
            self._info = replace(self.info, note=note, duration_s=duration)
            self._hash = self._hash or _hash_of(said)
        self.close()

    def _reported(self, length: int) -> MediaError:
        try:
            said = self._json(length)
            return SAID[_text(said, "code")](_text(said, "reason"))
        except (KeyError, TypeError, ValueError, RecursionError):
            return Unreadable("the decoder failed and did not say why")

    def _json(self, length: int) -> dict[str, Any]:
        if length > JSON_BYTES:
            self._refuse("a header that is too long")
        said = json.loads(self._body(length))
        if not isinstance(said, dict):
            raise TypeError
        return said

    def _body(self, length: int) -> bytes:
        try:
            return self._line.read(length)
        except DecoderKilled as exc:
            raise self._fail(exc) from exc

    def _fill(self, array: NDArray[Any]) -> None:
        try:
            self._line.fill(array.data.cast("B"))
        except DecoderKilled as exc:
            raise self._fail(exc) from exc

    @contextlib.contextmanager
    def _checking(self) -> Iterator[None]:
        try:
            yield
        except (KeyError, TypeError, ValueError, RecursionError) as exc:
            raise self._fail(DecoderKilled(NONSENSE)) from exc

    def _refuse(self, what: str) -> NoReturn:
        raise self._fail(DecoderKilled(f"the decoder sent {what}"))

    def _fail(self, error: MediaError) -> MediaError:
        """Remember the error, end the child, and give the error back to be raised."""
        self._failed = error
        self._line.close()
        return error


def _info_of(said: dict[str, Any], limits: DecodeLimits) -> ClipInfo:
    width, height = int(_number(said, "width")), int(_number(said, "height"))
    if width > MOST_PIXELS_A_SIDE or height > MOST_PIXELS_A_SIDE or width * height > limits.max_pixels:
        raise ValueError
    kind = MediaKind(_text(said, "kind"))
    duration_s = _number(said, "duration_s")
    return ClipInfo(kind, width, height, duration_s, bool(said.get("has_sound")), _text(said, "note"))


def _hash_of(said: dict[str, Any]) -> str | None:
    word = _text(said, "perceptual_hash")
    return f"{int(word, 16):016x}"[:16] if word else None


def _signals_of(said: dict[str, Any]) -> tuple[SyntheticSignal, ...]:
    told = said.get("signals", [])
    return tuple(
        SyntheticSignal(
            _text(one, "source"),
            _text(one, "says"),
            _text(one, "weight"),
            trusted=one.get("trusted") is True,
            weak=one.get("weak") is True,
        )
        for one in told[:MOST_SIGNALS]
    )


def _text(said: dict[str, Any], name: str) -> str:
    """Take one short printable line."""
    word = said.get(name, "")
    if not isinstance(word, str):
        raise TypeError
    word = word[:WORDS]
    return word if word.isprintable() else "".join(c if c.isprintable() else " " for c in word)


def _number(said: dict[str, Any], name: str) -> float:
    value = float(said.get(name, 0))
    if not 0 <= value < float("inf"):
        raise ValueError
    return value
