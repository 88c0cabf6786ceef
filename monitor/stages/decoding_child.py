"""The life of one child: take the limits, decode one item, say what came of it, end.

Everything that the child needs is imported before the fork: under its limits it can open no file.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from typing import TYPE_CHECKING, NoReturn

import av
import av.logging
from PIL import AvifImagePlugin, Image

from monitor.errors import MediaError
from monitor.ml.synthetic import declared
from monitor.stages import decoding_images, decoding_sandbox, decoding_streams
from monitor.stages.decoding_wire import DecodeLimits, Job, Outlet, Part

if TYPE_CHECKING:
    from typing import BinaryIO

STDERR = 2
MOST_FDS = 1 << 16
WORDS = 300
"""Longest reason that is sent: decoders quote from the file, and one line is enough."""


def run(media: int, line: int, job: Job, keeper: int) -> NoReturn:
    """Be the child of `keeper` that decodes the bytes in `media` and writes to `line`. Never returns."""
    try:
        _keep_only(media, line)
        outlet = Outlet(line)
        with open(media, "rb") as stream:
            decoding_sandbox.enter(
                keeper=keeper, memory_mb=job.limits.memory_mb, cpu_seconds=job.limits.cpu_seconds
            )
            _report(stream, job, outlet)
        os._exit(0)
    finally:
        os._exit(1)  # no clean-up: the zygote's own must not run twice


def _keep_only(*fds: int) -> None:
    """Close what the zygote had open; what is written to stdout and stderr goes nowhere."""
    with contextlib.suppress(OSError):
        os.dup2(1, STDERR)
    low, high = sorted(fds)
    os.closerange(STDERR + 1, low)
    os.closerange(low + 1, high)
    os.closerange(high + 1, MOST_FDS)


def _report(stream: BinaryIO, job: Job, outlet: Outlet) -> None:
    try:
        decode(stream, job, outlet)
    except MediaError as exc:
        outlet.json(Part.ERROR, {"code": exc.code, "reason": exc.message[:WORDS]})
    except MemoryError:
        outlet.json(Part.ERROR, {"code": "decoder_killed", "reason": "it needs more memory than allowed"})
    except BrokenPipeError:
        return  # nobody wants to know any more
    except Exception as exc:  # noqa: BLE001 - edge: decoders raise anything at all on hostile bytes
        outlet.json(Part.ERROR, {"code": "unreadable", "reason": f"{type(exc).__name__}: {exc}"[:WORDS]})


def decode(stream: BinaryIO, job: Job, outlet: Outlet) -> None:
    """Decode whatever the bytes are. Raises MediaError, and anything that a decoder raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # decoders warn about every crooked file; the result says enough
        signals = declared.in_bytes(stream, trust_pem=job.trust_pem) if job.signals else ()
        stream.seek(0)
        if decoding_images.is_picture(stream):
            decoding_images.decode(stream, job, signals, outlet)
        else:
            decoding_streams.decode(stream, job, signals, outlet)


def warm() -> None:
    """Import and run every decoder once, so that children find all of it in memory."""
    av.logging.set_level(av.logging.PANIC)
    Image.MAX_IMAGE_PIXELS = None  # our own check comes first and knows the operator's limit
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # a child may start no threads
    Image.init()
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        for sample in (*_pictures(), _wave()):
            _report(io.BytesIO(sample), Job(DecodeLimits()), Outlet(sink))
    finally:
        os.close(sink)


def _pictures() -> list[bytes]:
    """Make one tiny picture of each format."""
    made = []
    for name in ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "JPEG2000"):
        into = io.BytesIO()
        Image.new("RGB", (16, 16)).save(into, name)
        made.append(into.getvalue())
    return made


def _wave() -> bytes:
    """Make a tenth of a second of silence."""
    into = io.BytesIO()
    with av.open(into, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame(format="s16", layout="mono", samples=800)
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return into.getvalue()
