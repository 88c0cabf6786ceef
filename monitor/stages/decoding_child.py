"""The life of one child: take the limits, decode one item, say what came of it, end.

Everything that the child needs is imported before the fork: under its limits it can open no file.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from typing import TYPE_CHECKING, NoReturn, Protocol

from monitor.errors import MediaError
from monitor.ml.synthetic import declared
from monitor.stages import decoding_sandbox
from monitor.stages.decoding_wire import DecodeLimits, Job, Outlet, Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from monitor.values import SyntheticSignal

STDERR = 2
MOST_FDS = 1 << 16
WORDS = 300
"""Longest reason that is sent: decoders quote from the file, and one line is enough."""


class Reader(Protocol):
    """What decoding_images.py and decoding_streams.py are: the decoders for one trade."""

    def decode(
        self, stream: BinaryIO, job: Job, signals: tuple[SyntheticSignal, ...], outlet: Outlet
    ) -> None:
        """Send what is decoded; raise MediaError, or anything at all on hostile bytes."""

    def samples(self) -> list[bytes]:
        """Set the decoders up, and make tiny media that bring all of them into memory."""


def run(media: int, line: int, job: Job, keeper: int, reader: Reader) -> NoReturn:
    """Be the child of `keeper` that decodes the bytes in `media` and writes to `line`. Never returns."""
    outlet = Outlet(line)
    try:
        _keep_only(media, line)
        with open(media, "rb") as stream:
            decoding_sandbox.enter(
                keeper=keeper, memory_mb=job.limits.memory_mb, cpu_seconds=job.limits.cpu_seconds
            )
            for item in _items(stream, job.sizes):
                _report(reader, item, job, outlet)
        os._exit(0)
    except Exception as exc:  # noqa: BLE001 - edge: the child ends here, and its last word is why
        outlet.json(
            Part.ERROR, {"code": "decoder_killed", "reason": f"the decoder stopped half-way: {exc!r}"[:WORDS]}
        )
    finally:
        os._exit(1)  # no clean-up: the zygote's own must not run twice


def _items(stream: BinaryIO, sizes: Sequence[int]) -> Iterator[BinaryIO]:
    """Cut the bytes into the pictures that share this child; without sizes they are one item."""
    if not sizes:
        yield stream
    for size in sizes:
        yield io.BytesIO(stream.read(size))


def _keep_only(*fds: int) -> None:
    """Close what the zygote had open; what is written to stdout and stderr goes nowhere."""
    with contextlib.suppress(OSError):
        os.dup2(1, STDERR)
    low, high = sorted(fds)
    os.closerange(STDERR + 1, low)
    os.closerange(low + 1, high)
    os.closerange(high + 1, MOST_FDS)


def _report(reader: Reader, stream: BinaryIO, job: Job, outlet: Outlet) -> None:
    try:
        decode(reader, stream, job, outlet)
    except MediaError as exc:
        outlet.json(Part.ERROR, {"code": exc.code, "reason": exc.message[:WORDS]})
    except MemoryError:
        outlet.json(Part.ERROR, {"code": "decoder_killed", "reason": "it needs more memory than allowed"})
    except BrokenPipeError:
        return  # nobody wants to know any more
    except Exception as exc:  # noqa: BLE001 - edge: decoders raise anything at all on hostile bytes
        outlet.json(Part.ERROR, {"code": "unreadable", "reason": f"{type(exc).__name__}: {exc}"[:WORDS]})


def decode(reader: Reader, stream: BinaryIO, job: Job, outlet: Outlet) -> None:
    """Decode one item. Raises MediaError, and anything that a decoder raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # decoders warn about every crooked file; the result says enough
        signals = declared.in_bytes(stream, trust_pem=job.trust_pem) if job.signals else ()
        stream.seek(0)
        reader.decode(stream, job, signals, outlet)


def warm(reader: Reader) -> None:
    """Run every decoder once, so that children find all of it in memory."""
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        for sample in reader.samples():
            _report(reader, io.BytesIO(sample), Job(DecodeLimits()), Outlet(sink))
    finally:
        os.close(sink)
