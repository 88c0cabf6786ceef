"""Still and animated pictures, by Pillow, inside the child."""

from __future__ import annotations

import io
from dataclasses import asdict
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import AvifImagePlugin, Image, ImageOps, UnidentifiedImageError

from monitor.errors import TooManyPixels, Unreadable
from monitor.ml.synthetic import declared
from monitor.stages import decoding_png
from monitor.stages.decoding_hash import perceptual_hash
from monitor.stages.decoding_wire import ANIMATION_FRAMES, PICTURE_PIXELS, Job, Outlet, Part
from monitor.values import MediaKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from numpy.typing import NDArray

    from monitor.values import SyntheticSignal

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "JPEG2000")
"""Pillow's readers that may run. Others start programs (EPS) or are never seen on the web."""

PLAIN_FORMATS = ("JPEG", "PNG")
"""Readers that may run in a child that several pictures share (decoding_shared.py)."""

MOVING = frozenset({"GIF", "PNG", "WEBP", "AVIF"})
"""Formats whose several pictures are one film; in others (TIFF, MPO) they are pages."""

ANIMATION_PIXELS = 1_000_000_000
"""Pixels of an animation that are decoded, looked at or not: some seconds of CPU time."""

ALONE = "an animation has a child of its own"
"""Said in a shared child; the parent starts such an item again."""

USUAL_DURATION_S = 0.1
"""What browsers take for a frame of an animation that says 0."""


def samples() -> list[bytes]:
    """Set Pillow up, and make one tiny picture of each format."""
    Image.MAX_IMAGE_PIXELS = None  # our own check comes first and knows the operator's limit
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # a child may start no threads
    Image.init()
    made = []
    for name in FORMATS:
        into = io.BytesIO()
        Image.new("RGB", (16, 16)).save(into, name)
        made.append(into.getvalue())
    return made


def decode(stream: BinaryIO, job: Job, signals: tuple[SyntheticSignal, ...], outlet: Outlet) -> None:
    """Send the frames of one picture or animation.

    Raises TooManyPixels, Unreadable for a format without a reader, and whatever Pillow raises.
    """
    try:
        image, full = _loaded(stream, job)
        note = ""
    except ValueError as exc:
        if not decoding_png.is_bomb(exc):
            raise
        image, full = _loaded(decoding_png.without_words(stream), job)
        note = decoding_png.LEFT_OUT
    with image:
        _tell(image, full, job, signals, outlet, note=note)


def _loaded(stream: BinaryIO, job: Job) -> tuple[Image.Image, tuple[int, int]]:
    """Open and load a picture; give it with the size that it has in the file."""
    image = _opened(stream, PLAIN_FORMATS if job.sizes else FORMATS)
    _check_size(image, job.limits.max_pixels)
    full = image.size
    image.draft("RGB", _shrunk(image.size))  # a very large JPEG is scaled down while it is decoded
    image.load()  # PNG text may stand behind the pixels
    return image, full


def _tell(  # noqa: PLR0913 - what is known of one picture
    image: Image.Image,
    full: tuple[int, int],
    job: Job,
    signals: tuple[SyntheticSignal, ...],
    outlet: Outlet,
    *,
    note: str,
) -> None:
    count = getattr(image, "n_frames", 1)
    signals = (*signals, *declared.in_picture(image)) if job.signals else ()
    said: dict[str, Any] = {"signals": [asdict(signal) for signal in signals], "has_sound": False}
    if count > 1 and image.format in MOVING:
        if job.sizes:
            raise Unreadable(ALONE)
        _film(image, count, job, said | {"note": note}, outlet)
    else:
        said["note"] = f"page 1 of {count}" if count > 1 and image.format == "TIFF" else note
        _still(image, full, job, said, outlet)


def _opened(stream: BinaryIO, formats: tuple[str, ...]) -> Image.Image:
    try:
        return Image.open(stream, formats=formats)
    except UnidentifiedImageError as exc:
        msg = "no reader here knows this picture, or its header is damaged"
        raise Unreadable(msg) from exc


def _check_size(image: Image.Image, most: int) -> None:
    if image.width * image.height > most:
        msg = f"{image.width} x {image.height} pixels are more than the {most} that are decoded"
        raise TooManyPixels(msg)


def _still(image: Image.Image, full: tuple[int, int], job: Job, said: dict[str, Any], outlet: Outlet) -> None:
    rgb = _rgb(ImageOps.exif_transpose(_scaled(image)))
    if rgb.shape[0] * rgb.shape[1] < full[0] * full[1]:
        said["note"] = "; ".join(
            filter(None, (said["note"], f"scaled down from {full[0]} x {full[1]} pixels"))
        )
    outlet.json(Part.INFO, said | _header(MediaKind.IMAGE, rgb, 0.0))
    if job.frames:
        outlet.frame(0, 0.0, rgb)
    outlet.json(Part.END, {})


def _film(image: Image.Image, count: int, job: Job, said: dict[str, Any], outlet: Outlet) -> None:
    walked = min(count, max(1, ANIMATION_PIXELS // (image.width * image.height)))
    guess_s = walked * _duration_s(image)
    note = f"first {walked} of {count} frames" if walked < count else said["note"]
    at_s = 0.0
    for index, (at_s, picture) in enumerate(_spread(image, walked, job)):
        rgb = _rgb(_scaled(picture))
        if index == 0:
            outlet.json(Part.INFO, said | _header(MediaKind.ANIMATION, rgb, guess_s) | {"note": note})
        if not job.frames:
            break
        outlet.frame(index, at_s, rgb)
    outlet.json(Part.END, {"duration_s": at_s + _duration_s(image)})


def _spread(image: Image.Image, walked: int, job: Job) -> Iterator[tuple[float, Image.Image]]:
    """Give (seconds, picture) of frames that are far enough apart in number and in time."""
    stride, step_s = ceil(walked / ANIMATION_FRAMES), 1 / job.limits.frames_per_second
    now_s, due_s = 0.0, 0.0
    for index in range(walked):
        image.seek(index)
        image.load()  # WebP tells the duration of a frame only then
        length_s = _duration_s(image)
        if index % stride == 0 and (now_s >= due_s or now_s + length_s > due_s + step_s):
            yield now_s, image
            due_s = now_s + step_s
        now_s += length_s


def _duration_s(image: Image.Image) -> float:
    return float(image.info.get("duration", 0)) / 1000 or USUAL_DURATION_S


def _shrunk(size: tuple[int, int]) -> tuple[int, int]:
    """Give the size at which a picture is handed on."""
    shrink = min(1.0, sqrt(PICTURE_PIXELS / (size[0] * size[1])))
    return max(1, int(size[0] * shrink)), max(1, int(size[1] * shrink))


def _scaled(image: Image.Image) -> Image.Image:
    size = _shrunk(image.size)
    if size == image.size:
        return image
    small = image.resize(size, Image.Resampling.BOX)
    small.info = image.info
    return small


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Make (h, w, 3) uint8 RGB of any mode; what is transparent becomes white."""
    if image.mode.startswith("I"):  # 16 bits a pixel; Pillow's own conversion cuts off at 255
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        above = image.convert("RGBA")
        white = Image.new("RGBA", above.size, "white")
        image = Image.alpha_composite(white, above)
    return np.ascontiguousarray(image.convert("RGB"))


def _header(kind: MediaKind, rgb: NDArray[np.uint8], duration_s: float) -> dict[str, Any]:
    height, width, _ = rgb.shape
    return {
        "kind": kind.value,
        "width": width,
        "height": height,
        "duration_s": duration_s,
        "perceptual_hash": perceptual_hash(rgb),
    }
