"""Where one look is: how long each step took, what is written down on the way, and how it ended."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor import claims
from monitor.claims import NEXT_STAGE, Timing
from monitor.errors import LeaseLost
from monitor.values import MediaKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Engine

    from monitor.claims import Ending, Hold, Looked, Work
    from monitor.stages.decode import Clip
    from monitor.values import ClipInfo, CouldNotLook, FindingId, Frame, MediaId, Sound

WRITE_STATE_EVERY_S = 1.0
"""How often a first look writes down how far it is. Most items are done within that, in one transaction; an
item under which a worker died before has every step written down."""

_STATE_AFTER = dict(zip(NEXT_STAGE.values(), [*NEXT_STAGE][1:], strict=False))


@dataclass(frozen=True, slots=True)
class Begun:
    """An item whose decoder runs, or what kept it from running."""

    hold: Hold
    work: Work | None
    clip: Clip | None
    error: Exception | None = None

    def abandon(self) -> None:
        """End the decoder of an item that nobody will look at now."""
        if self.clip is not None:
            self.clip.close()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a look ended: `state` is done, failed, released (to be tried again) or lost (to another worker).

    `ending` is what the caller still has to write, where it asked to.
    """

    media_id: MediaId
    state: str
    seconds: float
    timings: tuple[Timing, ...] = ()
    findings: tuple[FindingId, ...] = ()
    faces_seen: int = 0
    turns_seen: int = 0
    stage: str = ""
    code: str = ""
    ending: Ending | None = None


class Run:
    """Where one look is, how long each step took, and what is written down on the way."""

    def __init__(self, begun: Begun, engine: Engine) -> None:
        self.begun = begun
        self.stage = "decode"
        self.timings: list[Timing] = []
        self._engine = engine
        self._began = self._written = time.perf_counter()
        self._decoding = 0.0

    def ready(self) -> tuple[Work, Clip]:
        """Give the opened item, or raise what kept it from being opened."""
        if self.begun.error is not None:
            raise self.begun.error
        if self.begun.work is None or self.begun.clip is None:
            msg = "an item without a clip and without an error"
            raise LeaseLost(msg)
        return self.begun.work, self.begun.clip

    @contextmanager
    def step(self, stage: str) -> Iterator[None]:
        """Time one step and write down that it was finished."""
        self.stage, began = stage, time.perf_counter()
        waited = self._decoding
        yield
        seconds, decoded = time.perf_counter() - began, self._decoding - waited
        if stage == "detect":
            self.timings.append(Timing("decode", decoded, "ok"))
        self.timings.append(Timing(stage, seconds - decoded, "ok"))
        self._write_down(stage)

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Count the time spent waiting for the decoder as its own, and its errors too."""
        before, began = self.stage, time.perf_counter()
        try:
            self.stage = "decode"
            yield
            self.stage = before
        finally:
            self._decoding += time.perf_counter() - began

    def picture(self, clip: Clip) -> NDArray[np.uint8] | None:
        """Give the pixels of a still picture, (h, w, 3) uint8; None of anything that moves or sounds."""
        with self.decoding():
            frame = clip.first() if clip.info.kind is MediaKind.IMAGE else None
        return None if frame is None else frame.rgb

    def timed(self, clip: Clip) -> TimedClip:
        """Wrap a clip so that waiting for it is counted as decoding."""
        return TimedClip(clip, self)

    def outcome(
        self,
        state: str,
        *,
        code: str = "",
        findings: Sequence[FindingId] = (),
        looked: Looked | None = None,
        ending: Ending | None = None,
    ) -> Outcome:
        """Say how the look ended."""
        return Outcome(
            self.begun.hold.media_id,
            state,
            time.perf_counter() - self._began,
            tuple(self.timings),
            tuple(findings),
            looked.faces_seen if looked else 0,
            looked.turns_seen if looked else 0,
            "" if state == "done" else self.stage,
            code,
            ending,
        )

    def _write_down(self, stage: str) -> None:
        now = time.perf_counter()
        watched = self.begun.work is not None and self.begun.work.attempts > 1
        if stage in _STATE_AFTER and (watched or now - self._written > WRITE_STATE_EVERY_S):
            claims.advance(self._engine, self.begun.hold, _STATE_AFTER[stage])
            self._written = now


@dataclass(frozen=True, slots=True)
class TimedClip:
    """A clip whose reader is timed. Has what `detect` looks at, and nothing else."""

    clip: Clip
    run: Run

    @property
    def info(self) -> ClipInfo:
        """See Clip.info."""
        with self.run.decoding():
            return self.clip.info

    @property
    def not_looked(self) -> tuple[CouldNotLook, ...]:
        """See Clip.not_looked."""
        return self.clip.not_looked

    def frames(self) -> Iterator[Frame]:
        """See Clip.frames."""
        frames = iter(self.clip.frames())
        while True:
            with self.run.decoding():
                frame = next(frames, None)
            if frame is None:
                return
            yield frame

    def sound(self) -> Sound | None:
        """See Clip.sound."""
        with self.run.decoding():
            return self.clip.sound()
