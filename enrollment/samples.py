"""From a file to a sample: one picture of one face, or one sound of one voice, or a reason why not.

A sample goes through the very stages that a crawled item goes through (decode in a child process,
detect, embed), so that an enrolled vector and a found one are made alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from monitor import intake
from monitor.errors import (
    FaceTooPoor,
    MediaError,
    ModelError,
    NoFace,
    OtherPerson,
    SampleError,
    SeveralFaces,
    SeveralVoices,
    TooLarge,
    TooLittleSpeech,
)
from monitor.stages.detect import detect
from monitor.stages.embed import embed
from monitor.stages.quality import WEAK, detail
from monitor.stages.turns import LEAST_SPEECH_S
from monitor.values import MediaKind, Modality, ModelId

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.ml.interfaces import Pack, Thresholds
    from monitor.stages.decode import Clip, Decoder
    from monitor.values import Appearances, ClipInfo, FaceTrack, Probe

BACKGROUND = 0.5
"""A face whose side is less than this part of the largest one's stands in the background: in a portrait
nobody takes it for the subject."""

CLEARLY = 0.8
"""A whole face below this part of the height of the one in the middle stands clearly behind it."""

EDGE = 0.01
"""A face that comes this near to the edge, in parts of the picture's side, is cut off: people do not frame
the one they photograph like that."""

FACE_FLOOR = WEAK
"""Least quality of a face to enrol. A match on anything weaker goes to a human first, and an enrolled
face is matched against everything."""

SHARPNESS_FLOOR = 12.0
"""Least variance of the Laplacian of the best aligned face, grey levels squared. 53 faces of LFW, blurred by
0 to 4 px, fr_feature: below 12 the cosine to the sharp twin has a median of 0.5, above 16 of 0.86; 99 % of
the pictures as they are lie above 42."""

PLENTY_OF_SPEECH_S = 10.0
"""Speech in a sample beyond which more adds little, seconds."""

ONE_VOICE = 0.9
"""Part of the review threshold that windows of one recording of one person reach: 0.45 for CAM++, where one
person has 0.50 to 0.90 and two people on one telephone line 0.22 to 0.50 (a LibriVox reader and pyannote's
sample of a telephone talk, 2026-11)."""

SAME_PERSON = 0.6
"""Part of the review threshold that two samples of one person reach nearly always: 0.25 for faces of the
registry pack, where 1 % of genuine pairs and 99 % of strangers lie below (LFW); 0.30 for its voices."""

WINDOWS_OF_ONE = 0.25
"""Part of the windows of a sound that may sound unlike the rest: a laugh, a cough, a door."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample that can be enrolled. `vector` is (d,) float32 of length 1; `data` the file itself.

    `notes` are whole sentences for the operator, such as faces in the background that were passed over.
    """

    name: str
    modality: Modality
    model_id: ModelId
    vector: NDArray[np.float32]
    quality: float
    data: bytes
    notes: tuple[str, ...] = ()


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

        Raises NoFace, SeveralFaces, FaceTooPoor, or a MediaError when the file cannot be read.
        """
        if self.pack.faces is None:
            msg = f"the pack {self.pack.name!r} has no face models"
            raise ModelError(msg)
        appearances, probes, info = self._appearances(data, Modality.FACE)
        tracks = [track for track in appearances.faces if track.samples]
        if not tracks:
            self._say_why_no_face(data)
        still = info.kind is MediaKind.IMAGE
        track, passed_over = _subject_of(tracks, (info.width, info.height) if still else None)
        vectors = [probe for probe in probes if probe.appearance is track]
        quality = max(sample.quality for sample in track.samples)
        if quality < FACE_FLOOR or _sharpness(track) < SHARPNESS_FLOOR or not vectors:
            raise _too_poor(track)
        return Sample(
            name, Modality.FACE, vectors[0].model_id, _mean(vectors), quality, data, _notes(passed_over)
        )

    def voice(self, name: str, data: bytes) -> Sample:
        """Read one sound (or the sound of one video) in which one person speaks.

        Raises TooLittleSpeech, SeveralVoices, or a MediaError when the file cannot be read.
        """
        if self.pack.voices is None:
            msg = f"the pack {self.pack.name!r} has no voice models"
            raise ModelError(msg)
        _, probes, _ = self._appearances(data, Modality.VOICE)
        windows = [probe for probe in probes if probe.modality is Modality.VOICE]
        if not windows:
            msg = f"less than {LEAST_SPEECH_S:.0f} seconds of speech were found"
            raise TooLittleSpeech(
                msg, hint="Record ten seconds or more of plain speech, close to the microphone."
            )
        _refuse_two_voices(windows, self.pack.voices.thresholds)
        quality = min(1.0, _seconds(windows) / PLENTY_OF_SPEECH_S)
        return Sample(name, Modality.VOICE, windows[0].model_id, _mean(windows), quality, data)

    def _appearances(self, data: bytes, wanted: Modality) -> tuple[Appearances, tuple[Probe, ...], ClipInfo]:
        with self._clip(data, wanted) as clip:
            appearances, info = detect(clip, _only(self.pack, wanted)), clip.info
        return appearances, embed(appearances, self.pack), info

    def _clip(self, data: bytes, wanted: Modality) -> Clip:
        if len(data) > self.max_bytes:
            msg = f"the file has {len(data)} bytes; {self.max_bytes} are taken"
            raise TooLarge(msg)
        kind = intake.kind_of(data)
        if wanted is Modality.FACE and kind is MediaKind.AUDIO:
            msg = "this is a sound, and a sound shows no face"
            raise NoFace(msg, hint="Give it as --voice.")
        if wanted is Modality.VOICE and kind in {MediaKind.IMAGE, MediaKind.ANIMATION}:
            msg = "this is a picture, and a picture has no voice"
            raise TooLittleSpeech(msg, hint="Give it as --face.")
        return self.decoder.start(data, kind, frames=wanted is Modality.FACE, signals=False)

    def _say_why_no_face(self, data: bytes) -> NoReturn:
        """Look once more at the first picture: a face that was too poor deserves another answer than none."""
        faces = self.pack.faces
        with self._clip(data, Modality.FACE) as clip:
            first = next(clip.frames(), None)
        found = faces.detector.detect(first.rgb) if faces is not None and first is not None else ()
        if found:
            raise _poor(max(face.box.height for face in found))
        msg = "no face was found"
        raise NoFace(msg, hint="Use a sharp picture of the whole face, looking at the camera.")


def look(
    reader: Reader, files: Sequence[tuple[Path, Modality]], done: Callable[[Looked], None]
) -> list[Looked]:
    """Read files one by one and say of each what became of it; `done` is called after each.

    At the end the samples are held against each other, and one of another person is refused.
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
    return [_against_the_others(one, looked, thresholds) for one in looked]


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


def _only(pack: Pack, wanted: Modality) -> Pack:
    return replace(pack, voices=None) if wanted is Modality.FACE else replace(pack, faces=None)


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
        msg = "more than one person speaks"
        raise SeveralVoices(msg, hint="Cut the sound so that the subject speaks alone, without music.")


def _seconds(windows: Sequence[Probe]) -> float:
    """Add up the stretches that the overlapping windows cover."""
    total, reached = 0.0, 0.0
    for span in sorted((window.appearance.span for window in windows), key=lambda span: span.start_s):
        total += max(0.0, span.end_s - max(span.start_s, reached))
        reached = max(reached, span.end_s)
    return total


def _against_the_others(
    one: Looked, looked: Sequence[Looked], thresholds: dict[Modality, Thresholds]
) -> Looked:
    """Refuse a sample that is not like the one that is most like all others of its kind."""
    alike = [other.sample for other in looked if other.modality is one.modality and other.sample]
    if one.sample is None or len(alike) < 2:
        return one
    vectors = np.stack([sample.vector for sample in alike])
    central = alike[int(np.argmax((vectors @ vectors.T).sum(axis=1)))]
    cosine = float(central.vector @ one.sample.vector)
    if cosine >= SAME_PERSON * thresholds[one.modality].review:
        return one
    msg = f"this is not the person in {central.name} (likeness {cosine:.2f})"
    hint = "Leave out the file that shows somebody else."
    return Looked(one.path, one.modality, error=OtherPerson(msg, hint=hint))


def _subject_of(tracks: Sequence[FaceTrack], size: tuple[int, int] | None) -> tuple[FaceTrack, int]:
    """Pick the one face that is the subject's, and count the others that were passed over.

    `size` is width and height of a picture; None for a clip, in which people move. A face far larger than all
    others is the subject's; else the one in the middle of the picture, whole and clearly larger than every
    other whole one. Raises SeveralFaces when neither can be said.
    """
    largest = max(map(_height, tracks))
    beside = [track for track in tracks if _height(track) >= BACKGROUND * largest]
    subject = beside[0] if len(beside) == 1 else _in_the_middle(beside, size) if size else None
    if subject is None:
        msg = f"{len(beside)} faces of like size: nobody could say which one is the subject"
        raise SeveralFaces(msg, hint="Cut the picture so that the subject is alone in it.")
    return subject, len(tracks) - 1


def _in_the_middle(tracks: Sequence[FaceTrack], size: tuple[int, int]) -> FaceTrack | None:
    """Give the whole face over the picture's centre when nobody could take another for the subject."""
    whole = [track for track in tracks if not _cut_off(track, size)]
    middle = [track for track in whole if _covers_the_centre(track, size)]
    if len(middle) != 1:
        return None
    height = _height(middle[0])
    rivals = (
        _height(t) > (CLEARLY if any(t is w for w in whole) else 1 / CLEARLY) * height
        for t in tracks
        if t is not middle[0]
    )
    return None if any(rivals) else middle[0]


def _cut_off(track: FaceTrack, size: tuple[int, int]) -> bool:
    box, (width, height) = track.samples[0].box, size
    edge_x, edge_y = EDGE * width, EDGE * height
    return box.x0 < edge_x or box.y0 < edge_y or box.x1 > width - edge_x or box.y1 > height - edge_y


def _covers_the_centre(track: FaceTrack, size: tuple[int, int]) -> bool:
    box = track.samples[0].box
    return box.x0 < size[0] / 2 < box.x1 and box.y0 < size[1] / 2 < box.y1


def _notes(passed_over: int) -> tuple[str, ...]:
    if not passed_over:
        return ()
    faces = "1 other face was" if passed_over == 1 else f"{passed_over} other faces were"
    return (f"{faces} passed over: behind, or cut off by the edge. Check that the one meant is in front.",)


def _height(track: FaceTrack) -> float:
    return max(sample.box.height for sample in track.samples)


def _sharpness(track: FaceTrack) -> float:
    return max(detail(sample.aligned) for sample in track.samples)


def _too_poor(track: FaceTrack) -> FaceTooPoor:
    return _poor(max(sample.box.height for sample in track.samples))


def _poor(height: float) -> FaceTooPoor:
    msg = f"the face ({height:.0f} pixels high) is too small, too blurred or too far turned away"
    return FaceTooPoor(msg, hint="Use a sharp picture, face to the camera, the face 100 pixels high or more.")
