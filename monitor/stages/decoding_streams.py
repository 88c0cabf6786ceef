"""Video and sound, by FFmpeg through PyAV, inside the child."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

    from monitor.stages.decoding_wire import Job, Outlet
    from monitor.values import SyntheticSignal


def decode(stream: BinaryIO, job: Job, signals: tuple[SyntheticSignal, ...], outlet: Outlet) -> None:
    """Send frames, then the sound."""
    raise NotImplementedError
