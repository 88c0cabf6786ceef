"""What a signal of synthetic media must be able to do, and what it is given. The rest knows only this.

A signal sees one sighting: one subject who was found in one item. Strangers are never scored. A signal that
cannot say anything gives a Signal with the reason; one that raises is taken for one that abstains (FAILED).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from monitor.values import (
        ClipInfo,
        FaceSample,
        Frame,
        Signal,
        Sound,
        Span,
        SpeechTurn,
        SyntheticSignal,
        Verdict,
    )


class Clip(Protocol):
    """A decoded item: its frames once, in order of time, then its sound. stages/decode.py gives it."""

    @property
    def info(self) -> ClipInfo:
        """What it is."""

    def frames(self) -> Iterator[Frame]:
        """Give the frames, at most as many a second as were asked for."""

    def sound(self) -> Sound | None:
        """Give the whole sound."""

    def __enter__(self) -> Self:
        """Hold the decoder."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the decoder."""


@dataclass(frozen=True, slots=True)
class Look:
    """The subject's face in one frame. `rgb` is the whole frame, (h, w, 3) uint8; `face` says where."""

    at_s: float
    rgb: NDArray[np.uint8]
    face: FaceSample


@dataclass(frozen=True, slots=True)
class Sighting:
    """One subject who was found in one item, with all that a signal may look at.

    `looks` are at most stages.assess.MOST_LOOKS frames of the best track of the subject's face, in order of
    time; empty where only the voice was found. `turns` are the subject's own turns of speech, `speech` where
    anybody speaks. `sound` is the whole sound. `declared` is what the file says about itself. `again` decodes
    the item once more with this many frames a second of a video at most, None for as many as in the looks:
    only for what needs more than these.
    """

    info: ClipInfo
    verdict: Verdict
    looks: tuple[Look, ...]
    sound: Sound | None
    turns: tuple[SpeechTurn, ...]
    speech: tuple[Span, ...]
    declared: tuple[SyntheticSignal, ...]
    sha256: str
    perceptual_hash: str | None
    again: Callable[[float | None], Clip]


class Scorer(Protocol):
    """One signal. `assess` may be called from several threads at once."""

    @property
    def name(self) -> str:
        """Its stable name, as in Signal."""

    def assess(self, sighting: Sighting) -> Signal:
        """Say what it finds, or why it says nothing."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said in a sighting, and in which language (ISO 639-1, "" if unknown)."""

    said: tuple[tuple[Span, str], ...]
    language: str


class Listener(Protocol):
    """Writes down what is said."""

    def transcribe(self, sound: Sound, speech: tuple[Span, ...]) -> Transcript:
        """Write down the words of (at most ten minutes of) speech, each piece with its seconds."""

    def rest(self, now: datetime) -> None:
        """Free what was not used for a while. Cheap where there is nothing to do."""
