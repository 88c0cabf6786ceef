"""Sightings put together by hand, of films that were never written: for signals of synthetic media."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from monitor.ml.align import align
from monitor.ml.synthetic.interfaces import Look, Sighting
from monitor.values import (
    Agreement,
    Band,
    Candidate,
    ClipInfo,
    FaceSample,
    FaceTrack,
    Frame,
    MediaKind,
    Modality,
    ModelId,
    Sound,
    Span,
    SpeechTurn,
    SubjectId,
    SyntheticAssessment,
    SyntheticStatus,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from monitor.bench.challenge_film import Film
    from monitor.ml.interfaces import FaceDetector

SUBJECT = SubjectId("subject")


@dataclass
class Shown:
    """A film as the decoder gives it, without a codec. `given` counts the frames that were asked for."""

    film: Film
    info: ClipInfo
    given: int = 0

    def frames(self) -> Iterator[Frame]:
        """See Clip."""
        for frame in self.film.shown(self.film.rate):
            self.given += 1
            yield frame

    def sound(self) -> Sound | None:
        """See Clip."""
        return Sound(self.film.sound)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def looks_of(film: Film, detector: FaceDetector, per_second: float = 1.0) -> tuple[Look, ...]:
    """Look at the largest face of some frames."""
    looks = []
    for frame in film.shown(per_second):
        for face in sorted(detector.detect(frame.rgb), key=lambda one: -one.box.height)[:1]:
            aligned = align(frame.rgb, face.landmarks)
            sample = FaceSample(frame.at_s, face.box, face.landmarks, aligned, 0.8, face.score)
            looks.append(Look(frame.at_s, frame.rgb, sample))
    return tuple(looks)


def sighting(
    *,
    film: Film | None = None,
    kind: MediaKind = MediaKind.VIDEO,
    looks: Sequence[Look] = (),
    speech: Sequence[Span] = (),
    own: Sequence[Span] = (),
    agreement: Agreement = Agreement.ALONE,
    on_screen: Span | None = None,
) -> Sighting:
    """Put a sighting together: `own` is where the subject speaks, `on_screen` where the face is seen."""
    seconds = film.seconds if film is not None else 10.0
    info = ClipInfo(kind, 480, 360, seconds, has_sound=bool(speech))
    sound = Sound(film.sound if film is not None else np.zeros(160_000, np.float32)) if speech else None
    shown = on_screen or (Span(0.0, seconds) if looks else None)
    face = () if shown is None else (_found(Modality.FACE, _track(shown, looks)),)
    turns: tuple[SpeechTurn, ...] = ()
    if own:
        span = Span(own[0].start_s, own[-1].end_s)
        turns = (SpeechTurn(0, span, Sound(np.zeros(1, np.float32)), 3.0, 0, tuple(own)),)
    voice = tuple(_found(Modality.VOICE, turn) for turn in turns)
    about = SyntheticAssessment(SyntheticStatus.NOT_ASSESSED, (), "")
    return Sighting(
        info=info,
        verdict=Verdict(SUBJECT, Band.ALERT, face, voice, about, (), (), agreement),
        looks=tuple(looks),
        sound=sound,
        turns=turns,
        speech=tuple(speech),
        declared=(),
        sha256="",
        perceptual_hash=None,
        again=lambda _: Shown(_must(film), info),
    )


def _must(film: Film | None) -> Film:
    assert film is not None, "this sighting is not to be decoded again"
    return film


def _found(modality: Modality, appearance: FaceTrack | SpeechTurn) -> Candidate:
    return Candidate(SUBJECT, modality, ModelId("m"), 0.8, 1.0, Band.ALERT, appearance)


def _track(span: Span, looks: Sequence[Look]) -> FaceTrack:
    return FaceTrack(0, span, tuple(look.face for look in looks), _nothing, _nothing)


def _nothing() -> NDArray[np.uint8]:
    return np.zeros((1, 1, 3), np.uint8)
