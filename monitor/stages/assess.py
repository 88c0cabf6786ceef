"""Step 7b: was it made or altered by a computer? Asked only of sightings: of strangers, never.

The item is decoded a second time, for those frames alone in which a found subject was seen best. Whatever
goes wrong here ends in a signal that says nothing, and never costs the finding.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from monitor import log as logs
from monitor.errors import LikenessError
from monitor.ml.synthetic.fusing import fuse
from monitor.ml.synthetic.interfaces import Look, Sighting
from monitor.ml.transcribing import said
from monitor.stages.heat_plates import with_heat_plates
from monitor.values import Abstention, Aspect, FaceTrack, Said, Signal, SpeechTurn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from monitor.ml.interfaces import Pack
    from monitor.ml.synthetic.fusing import Fusion
    from monitor.ml.synthetic.interfaces import Clip, Listener, Scorer
    from monitor.values import Assessment, FaceSample, Sound, Span, Verdict

MOST_LOOKS: Final = 8
"""Frames of one subject that signals look at: as many as a track keeps (tracking.BEST)."""

MOST_S: Final = 120.0
"""Seconds after which no further signal of one sighting is begun: a worker has other items."""

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Assessor:
    """What sightings are assessed with, put together once (assembly.py) and shared by all threads."""

    scorers: tuple[Scorer, ...]
    listener: Listener | None
    fusion: Fusion
    pack: Pack

    def rest(self, now: datetime) -> None:
        """Free the networks that write down words when no sighting needed them for a while."""
        if self.listener is not None:
            self.listener.rest(now)


@dataclass(frozen=True, slots=True)
class Media:
    """The item, to be decoded again: `open` takes frames a second, None for as many as in the first look."""

    sha256: str
    perceptual_hash: str | None
    open: Callable[[float | None], Clip]


def assess(verdicts: Sequence[Verdict], media: Media, assessor: Assessor) -> tuple[Verdict, ...]:
    """Give the verdicts with what was found of each being made by a computer."""
    if not verdicts:
        return ()
    try:
        sightings = _sightings(verdicts, media, assessor)
    except LikenessError as exc:
        log.warning("not_assessed", code=exc.code)
        return tuple(_with(v, _silent(v, assessor)) for v in verdicts)
    return tuple(_with(one.verdict, _assessed(one, assessor)) for one in sightings)


def _with(verdict: Verdict, assessed: Assessment) -> Verdict:
    return replace(verdict, synthetic=replace(verdict.synthetic, assessed=assessed))


def _assessed(sighting: Sighting, assessor: Assessor) -> Assessment:
    until = time.monotonic() + MOST_S
    signals = tuple(_signal(scorer, sighting, until) for scorer in assessor.scorers)
    found = fuse(signals, _found_by(sighting.verdict), assessor.fusion)
    words, language = _said(sighting, assessor.listener)
    return replace(found, said=words, language=language)


def _signal(scorer: Scorer, sighting: Sighting, until: float) -> Signal:
    if time.monotonic() > until:
        return _nothing(scorer.name, Abstention.TOO_LATE)
    try:
        return with_heat_plates(scorer.assess(sighting), sighting.looks)
    except Exception as exc:  # edge: one signal that fails is one that says nothing
        log.exception("signal_failed", signal=scorer.name, error=type(exc).__name__)
        return _nothing(scorer.name, Abstention.FAILED)


def _nothing(name: str, why: Abstention) -> Signal:
    return Signal(name, "", Aspect.WHOLE, abstains=why)


def _silent(verdict: Verdict, assessor: Assessor) -> Assessment:
    """Say of an item that did not decode again that no signal could be asked."""
    signals = tuple(_nothing(scorer.name, Abstention.FAILED) for scorer in assessor.scorers)
    return fuse(signals, _found_by(verdict), assessor.fusion)


def _found_by(verdict: Verdict) -> tuple[Aspect, ...]:
    return (*([Aspect.FACE] if verdict.face else []), *([Aspect.VOICE] if verdict.voice else []))


def _said(sighting: Sighting, listener: Listener | None) -> tuple[tuple[Said, ...], str]:
    """Write down what is said around the subject's turns, and nothing that strangers say elsewhere."""
    if listener is None:
        return (), ""
    try:
        return said(sighting, listener)
    except Exception as exc:  # edge: words are shown with a finding, and never cost it
        log.exception("not_transcribed", error=type(exc).__name__)
        return (), ""


def _sightings(verdicts: Sequence[Verdict], media: Media, assessor: Assessor) -> list[Sighting]:
    """Decode the item again and put together what the signals look at."""
    wanted = [_samples(verdict) for verdict in verdicts]
    moments = {sample.at_s for samples in wanted for sample in samples}
    with media.open(None) as clip:
        frames: dict[float, NDArray[np.uint8]] = {}
        for frame in clip.frames():
            if frame.at_s in moments:
                frames[frame.at_s] = frame.rgb
        sound = clip.sound()
        info = clip.info
    speech = _speech(sound, assessor.pack)
    return [
        Sighting(
            info=info,
            verdict=verdict,
            looks=tuple(Look(s.at_s, frames[s.at_s], s) for s in samples if s.at_s in frames),
            sound=sound,
            turns=tuple(c.appearance for c in verdict.voice if isinstance(c.appearance, SpeechTurn)),
            speech=speech,
            declared=verdict.synthetic.reasons,
            sha256=media.sha256,
            perceptual_hash=media.perceptual_hash,
            again=media.open,
        )
        for verdict, samples in zip(verdicts, wanted, strict=True)
    ]


def _samples(verdict: Verdict) -> tuple[FaceSample, ...]:
    """Give the samples of the surest track of the subject's face, in order of time."""
    track = next((c.appearance for c in verdict.face if isinstance(c.appearance, FaceTrack)), None)
    if track is None:
        return ()
    best = sorted(track.samples, key=lambda sample: -sample.quality)[:MOST_LOOKS]
    return tuple(sorted(best, key=lambda sample: sample.at_s))


def _speech(sound: Sound | None, pack: Pack) -> tuple[Span, ...]:
    if sound is None or pack.voices is None:
        return ()
    return pack.voices.detector.speech(sound)
