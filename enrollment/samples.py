"""From a file to a sample: one picture of one face, or one sound of one voice, or a reason why not.

A sample goes through the very stages that a crawled item goes through (decode in a child process,
detect, embed), so that an enrolled vector and a found one are made alike; before them it is turned upright.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from enrollment import sets
from enrollment.faults import face_fault, face_notes, too_little, too_small, voice_fault, voice_notes
from enrollment.foremost import passed_over, subject_of
from enrollment.hiding import hidden_parts
from enrollment.upright import Upright
from monitor import intake
from monitor.errors import (
    MediaError,
    ModelError,
    NoFace,
    NoSound,
    SampleError,
    SeveralVoices,
    TooLarge,
)
from monitor.ml.align import align
from monitor.stages.detect import detect
from monitor.stages.embed import embed
from monitor.stages.quality import judge
from monitor.stages.second_look import look_again
from monitor.stages.voice_quality import judge_voice
from monitor.values import DetectedFace, MediaKind, Modality, ModelId, SpeechTurn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.ml.interfaces import FaceModels, Pack, Thresholds, VoiceModels
    from monitor.stages.decode import Clip, Decoder
    from monitor.stages.quality import FaceQuality
    from monitor.stages.voice_quality import VoiceQuality
    from monitor.values import ClipInfo, CouldNotLook, FaceSample, FaceTrack, Frame, Probe, Sound

ONE_VOICE = 0.9
"""Part of the review threshold that windows of one recording of one person reach: 0.45 for CAM++, where one
person has 0.50 to 0.90 and two people on one telephone line 0.22 to 0.50 (a LibriVox reader and pyannote's
sample of a telephone talk, 2026-11)."""

WINDOWS_OF_ONE = 0.25
"""Part of the windows of a sound that may sound unlike the rest: a laugh, a cough, a door."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample that can be enrolled. `vector` is (d,) float32 of length 1; `data` the file itself.

    `quality` in [0, 1] is its weight among the subject's samples; `judged` says what it is made of.
    `notes` are whole sentences for the operator, such as faces in the background that were passed over.
    """

    name: str
    modality: Modality
    model_id: ModelId
    vector: NDArray[np.float32]
    quality: float
    data: bytes
    notes: tuple[str, ...] = ()
    judged: FaceQuality | VoiceQuality | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What became of one file: a sample, or the error that says why not."""

    path: Path
    modality: Modality
    sample: Sample | None = None
    error: SampleError | MediaError | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """What it takes to read samples. `max_bytes` is the largest file taken."""

    pack: Pack
    decoder: Decoder
    max_bytes: int

    def face(self, name: str, data: bytes) -> Sample:
        """Read one picture (or short clip) of one face.

        Raises NoFace, SeveralFaces, a FaceTooPoor that says why, or a MediaError when the file cannot be
        read.
        """
        if self.pack.faces is None:
            msg = f"the pack {self.pack.name!r} has no face models"
            raise ModelError(msg)
        with self._clip(data, Modality.FACE) as clip:
            upright = Upright(clip, self.pack.faces.detector)
            appearances, info = detect(upright, replace(self.pack, voices=None)), upright.info
        tracks = [track for track in appearances.faces if track.samples]
        if not tracks:
            self._say_why_no_face(data, self.pack.faces)
        still = info.kind is MediaKind.IMAGE
        track, others = subject_of(tracks, (info.width, info.height) if still else None)
        judged, notes = _judged(track, self.pack.faces)
        probes = embed(replace(appearances, faces=(track,), turns=()), self.pack)
        probes = tuple(look_again(probe, self.pack.faces) for probe in probes)
        turned = ("The picture lay on its side or head, and was turned.",) if upright.turned else ()
        return Sample(
            name,
            Modality.FACE,
            probes[0].model_id,
            _mean(probes),
            judged.overall,
            data,
            (*passed_over(others), *turned, *notes),
            judged,
        )

    def voice(self, name: str, data: bytes) -> Sample:
        """Read one sound (or the sound of one video) in which one person speaks.

        Raises TooLittleSpeech, SeveralVoices, a VoiceTooPoor that says why, or a MediaError when the file
        cannot be read.
        """
        if self.pack.voices is None:
            msg = f"the pack {self.pack.name!r} has no voice models"
            raise ModelError(msg)
        with self._clip(data, Modality.VOICE) as clip:
            heard = _Heard(clip.info, clip.sound() if clip.info.has_sound else None)
        judged = _judged_sound(heard.kept, self.pack.voices)
        probes = embed(detect(heard, replace(self.pack, faces=None)), self.pack)
        if not probes:
            raise too_little(judged.net_speech_s)
        _refuse_two_speakers(probes, self.pack.voices.thresholds)
        _refuse_two_voices(probes, self.pack.voices.thresholds)
        model_id, vector, notes = probes[0].model_id, _mean(probes), voice_notes(judged)
        return Sample(name, Modality.VOICE, model_id, vector, judged.overall, data, notes, judged)

    def _clip(self, data: bytes, wanted: Modality) -> Clip:
        if len(data) > self.max_bytes:
            msg = f"the file has {len(data)} bytes; {self.max_bytes} are taken"
            raise TooLarge(msg, hint="Make the file smaller, or cut out the part that shows the person.")
        kind = intake.kind_of(data)
        if wanted is Modality.FACE and kind is MediaKind.AUDIO:
            msg = "this is a sound, and a sound shows no face"
            raise NoFace(msg, hint="Give it as --voice.")
        if wanted is Modality.VOICE and kind in {MediaKind.IMAGE, MediaKind.ANIMATION}:
            msg = "this is a picture, and a picture has no voice"
            raise NoSound(msg, hint="Give it as --face.")
        return self.decoder.start(data, kind, frames=wanted is Modality.FACE, signals=False)

    def _say_why_no_face(self, data: bytes, faces: FaceModels) -> NoReturn:
        """Look once more at the first picture: a face that was too poor deserves another answer than none."""
        with self._clip(data, Modality.FACE) as clip:
            first = next(Upright(clip, faces.detector).frames(), None)
        found = faces.detector.detect(first.rgb) if first is not None else ()
        if first is not None and found:
            best = max(found, key=lambda face: face.box.height)
            judged = judge(best, align(first.rgb, best.landmarks))
            raise face_fault(judged) or too_small(judged.size_px)
        msg = "no face was found"
        hint = "Use a sharp photograph of the whole face, looking at the camera: no drawing, no mask."
        raise NoFace(msg, hint=hint)


@dataclass(frozen=True, slots=True)
class _Heard:
    """The sound of a clip that was read to its end (see detect.Shows)."""

    info: ClipInfo
    kept: Sound | None
    not_looked: tuple[CouldNotLook, ...] = ()

    def frames(self) -> Iterator[Frame]:
        """Give none."""
        return iter(())

    def sound(self) -> Sound | None:
        """Give it again."""
        return self.kept


def look(
    reader: Reader,
    files: Sequence[tuple[Path, Modality]],
    done: Callable[[Looked], None],
    known: sets.Known | None = None,
) -> list[Looked]:
    """Read files one by one and say of each what became of it; `done` is called after each.

    At the end the samples are held against each other, and one of another person is refused; so is one
    unlike the subject's own set, where `known` holds it.
    """
    looked = []
    for path, modality in files:
        looked.append(_look_at(reader, path, modality))
        done(looked[-1])
    thresholds = {
        modality: models.thresholds
        for modality, models in ((Modality.FACE, reader.pack.faces), (Modality.VOICE, reader.pack.voices))
        if models is not None
    }
    return sets.agreeing(looked, thresholds, known or {})


def _look_at(reader: Reader, path: Path, modality: Modality) -> Looked:
    read = reader.face if modality is Modality.FACE else reader.voice
    try:
        return Looked(path, modality, sample=read(path.name, _bytes_of(path)))
    except (SampleError, MediaError) as exc:
        return Looked(path, modality, error=exc)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        msg = f"the file cannot be read: {exc.strerror}"
        raise SampleError(msg, hint="Check the path.") from exc


def _judged(track: FaceTrack, models: FaceModels) -> tuple[FaceQuality, tuple[str, ...]]:
    """Judge the best sample of a track, and give what could be better. Raises a FaceTooPoor."""
    best: FaceSample = max(track.samples, key=lambda sample: sample.quality)
    judged = judge(DetectedFace(best.box, best.landmarks, best.score), best.aligned)
    fault = face_fault(judged)
    if fault is not None:
        raise fault
    hidden = hidden_parts(best.aligned, models.recogniser)
    fault = face_fault(judged, hidden)
    if fault is not None:
        raise fault
    return judged, face_notes(judged, hidden)


def _judged_sound(sound: Sound | None, models: VoiceModels) -> VoiceQuality:
    """Judge a recording. Raises what voice_fault finds."""
    if sound is None:
        msg = "the file has no sound"
        raise NoSound(msg, hint="Give a recording in which the person speaks.")
    judged = judge_voice(sound, models.detector.speech(sound))
    fault = voice_fault(judged)
    if fault is not None:
        raise fault
    return judged


def _mean(probes: Sequence[Probe]) -> NDArray[np.float32]:
    """Average the vectors of one sample, the better ones counting more, to length 1."""
    vectors = np.concatenate([probe.vectors for probe in probes])
    weights = np.concatenate([probe.qualities for probe in probes])
    mean: NDArray[np.float32] = weights @ vectors
    return (mean / np.linalg.norm(mean)).astype(np.float32)


def _refuse_two_voices(windows: Sequence[Probe], thresholds: Thresholds) -> None:
    """Raise SeveralVoices when too many windows sound unlike the one that is most like all others."""
    vectors = np.concatenate([window.vectors for window in windows])
    alike = vectors @ vectors.T
    central = alike[int(np.argmax(alike.sum(axis=1)))]
    if float(np.mean(central < ONE_VOICE * thresholds.review)) > WINDOWS_OF_ONE:
        raise _several_voices()


def _refuse_two_speakers(turns: Sequence[Probe], thresholds: Thresholds) -> None:
    """Raise SeveralVoices when a speaker who was told apart from the first one does sound like another."""
    voices: dict[int, list[Probe]] = {}
    for turn in turns:
        if isinstance(turn.appearance, SpeechTurn):
            voices.setdefault(turn.appearance.speaker, []).append(turn)
    first, *others = (_mean(own) for own in voices.values())
    if any(float(first @ other) < ONE_VOICE * thresholds.review for other in others):
        raise _several_voices()


def _several_voices() -> SeveralVoices:
    msg = "more than one person speaks"
    return SeveralVoices(msg, hint="Cut the sound so that the subject speaks alone, without music.")
