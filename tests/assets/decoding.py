"""Decoders with limits of a test's own, and what comes out of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.stages.decode import DecodeLimits, Decoder

if TYPE_CHECKING:
    from monitor.values import ClipInfo, Frame, Sound


def limited(**limits: Any) -> Decoder:
    return Decoder(DecodeLimits(**{"cpu_seconds": 60, "wall_seconds": 60} | limits))


def read(decoder: Decoder, data: bytes, **options: bool) -> tuple[ClipInfo, list[Frame], Sound | None]:
    with decoder.start(data, **options) as clip:
        frames = list(clip.frames())
        return clip.info, frames, clip.sound()
