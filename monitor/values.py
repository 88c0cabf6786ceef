"""The frozen values that one stage hands to the next.

Arrays in them are read as given and never written to; every docstring says shape, dtype and range.
Nothing here is ever stored: what is stored stands in tables.py.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

SubjectId = NewType("SubjectId", str)
MediaId = NewType("MediaId", str)
TemplateId = NewType("TemplateId", str)
FindingId = NewType("FindingId", str)
SourceId = NewType("SourceId", str)
BlobId = NewType("BlobId", str)
ModelId = NewType("ModelId", str)
"""Made by `model_id`: templates of two ModelIds are never compared."""


def model_id(name: str, sha256: str, preprocessing: str) -> ModelId:
    """Name a model by what its vectors depend on: `name@sha256[:16]/preprocessing`; `sha256` is in hex."""
    return ModelId(f"{name}@{sha256[:16]}/{preprocessing}")


SAMPLE_RATE = 16_000
"""Hz of every sound inside the service; the speech models take nothing else."""


class Modality(StrEnum):
    """What of a person is compared."""

    FACE = "face"
    VOICE = "voice"


class MediaKind(StrEnum):
    """What a media item is, by its own bytes."""

    IMAGE = "image"
    ANIMATION = "animation"
    VIDEO = "video"
    AUDIO = "audio"


class OriginKind(StrEnum):
    """How an item came in."""

    CRAWL = "crawl"
    PUSH = "push"
    SCAN = "scan"


class Band(StrEnum):
    """What a score means for the person: tell, let a human look first, or nothing."""

    ALERT = "alert"
    REVIEW = "review"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest that carries its algorithm. `str()` gives `sha256:hex`."""

    algorithm: str
    hex: str

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """SHA-256 of the bytes as they came in, before anything else touches them."""
        return cls("sha256", hashlib.sha256(data).hexdigest())

    def __str__(self) -> str:
        """Give `algorithm:hex`."""
        return f"{self.algorithm}:{self.hex}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an item was seen. `url` is the media itself, `page_url` the page that shows it."""

    kind: OriginKind
    seen_at: datetime
    url: str | None = None
    page_url: str | None = None
    title: str | None = None
    source_id: SourceId | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds from the start of the clip, start <= end."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of its frame; x0 < x1, y0 < y1; may reach past the frame's edge."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Pixels."""
        return self.y1 - self.y0


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a clip. `rgb` is (height, width, 3) uint8; `at_s` seconds from the start."""

    index: int
    at_s: float
    rgb: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono sound at SAMPLE_RATE. `samples` is (n,) float32 in [-1, 1]."""

    samples: NDArray[np.float32]

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """What the decoder knows of a clip before its frames come.

    `note` names what was left out by a limit (for example "first 1800 s of 36000 s"), or is empty.
    """

    kind: MediaKind
    width: int
    height: int
    duration_s: float
    has_sound: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """One face in one picture.

    `landmarks` is (5, 2) float32, pixels: left eye, right eye, nose, left and right corner of the
    mouth, as the viewer sees them. `score` is the detector's own, in [0, 1].
    """

    box: Box
    landmarks: NDArray[np.float32]
    score: float


@dataclass(frozen=True, slots=True)
class FaceSample:
    """One face in one frame, ready for a recogniser.

    `aligned` is (112, 112, 3) uint8 RGB; `quality` in [0, 1], see stages/quality.py for what it is made of;
    `score` is the detector's own, in [0, 1]. `chip` is (160, 160, 3) uint8 RGB, the same face with more of
    its surroundings, for a second look; None where it was not cut.
    """

    at_s: float
    box: Box
    landmarks: NDArray[np.float32]
    aligned: NDArray[np.uint8]
    quality: float
    score: float = 1.0
    chip: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """One person's face through a clip: one appearance, however many frames.

    `samples` are the best few by quality, in order of time. `portrait` gives (h, w, 3) uint8 RGB, the
    surroundings of the best sample with bystanders blurred, for the evidence of a match. `upright` gives
    (112, 112, 3) uint8 RGB, the best sample turned upright, from which copies are known. Of strangers
    neither is asked for.
    """

    track: int
    span: Span
    samples: tuple[FaceSample, ...]
    portrait: Callable[[], NDArray[np.uint8]]
    upright: Callable[[], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class SpeechTurn:
    """One stretch of speech of one voice. `sound` holds the speech alone; `net_speech_s` is its length.

    `speaker` numbers the voices of one item in order of their first word; `pieces` are the seconds at which
    this one speaks, in order, and empty where nobody told them apart from `span`.
    """

    turn: int
    span: Span
    sound: Sound
    net_speech_s: float
    speaker: int = 0
    pieces: tuple[Span, ...] = ()


def pieces_of(appearance: FaceTrack | SpeechTurn) -> tuple[Span, ...]:
    """Give the seconds at which somebody appears: of a voice each piece, of a face its whole span."""
    pieces = appearance.pieces if isinstance(appearance, SpeechTurn) else ()
    return pieces or (appearance.span,)


@dataclass(frozen=True, slots=True)
class CouldNotLook:
    """Part of an item that was not looked at, and why. Never to be read as "found nothing"."""

    part: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Appearances:
    """Everybody who appears in one item."""

    faces: tuple[FaceTrack, ...]
    turns: tuple[SpeechTurn, ...]
    not_looked: tuple[CouldNotLook, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """The vectors of one appearance. They live in memory for one comparison and are never stored.

    `vectors` is (n, d) float32, each row of length 1; `qualities` is (n,) float32 in [0, 1]. `covered` says
    that the lower half of the face seems to be covered; only a second look finds out.
    """

    appearance: FaceTrack | SpeechTurn
    modality: Modality
    model_id: ModelId
    vectors: NDArray[np.float32]
    qualities: NDArray[np.float32]
    covered: bool = False


class Doubt(StrEnum):
    """Why a score that is high enough for an alert goes to a human first; see stages/match.py."""

    TIE = "tie"
    WEAK = "weak"
    FEW_SAMPLES = "few_samples"
    LOOKALIKE = "lookalike"
    OTHER_SPEAKER = "other_speaker"
    COVERED = "covered"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An enrolled subject who may be the one who appears.

    `score` is the cosine in [-1, 1] that the thresholds are set on; `margin` is the distance to the
    second-best subject, or to -1 where nobody else is enrolled and a margin says nothing. `llr` is the
    natural logarithm of the likelihood ratio that the pack's calibration gives the score, 0 where there is
    none. `lookalike` is the best cosine to a known lookalike of the subject, -1 where there is none.
    """

    subject_id: SubjectId
    modality: Modality
    model_id: ModelId
    score: float
    margin: float
    band: Band
    appearance: FaceTrack | SpeechTurn
    llr: float = 0.0
    lookalike: float = -1.0
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, slots=True)
class Counterpart:
    """How an appearance of the other kind compares with a subject who was found: a voice, where a face was.

    `sure` says that it was good enough (WEAK, two seconds of speech) for a low score to mean something.
    """

    subject_id: SubjectId
    modality: Modality
    score: float
    llr: float
    sure: bool
    appearance: FaceTrack | SpeechTurn


TALLY_BINS = 50
"""Bins of a Tally: each 0.02 of cosine wide, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many comparisons of one item were with whom they should not be, by score: counts and nothing else.

    `comparisons` counts probes times enrolled subjects; `counts` has TALLY_BINS numbers: best scores of pairs
    that were not taken for a match. Low bins may be incomplete, since only the nearest subjects are scored.
    """

    modality: Modality
    model_id: ModelId
    comparisons: int
    counts: tuple[int, ...]


class SyntheticStatus(StrEnum):
    """What is known about an item being synthetic. DECLARED: the file says so itself."""

    NOT_ASSESSED = "not_assessed"
    DECLARED = "declared"
    DECLARED_CAPTURED = "declared_captured"


@dataclass(frozen=True, slots=True)
class SyntheticSignal:
    """One thing that a file says about its own making: self-declared and strippable.

    `source` is c2pa, iptc, xmp, exif, png, tags, watermark; `says` is one sentence for people; `weight` is
    "synthetic", "edited" or "captured"; `trusted` is True only if a signature chains to the trust list.
    `weak`: it speaks of a part of the item, or stands in a credential that does not verify.
    """

    source: str
    says: str
    weight: str
    trusted: bool = False
    weak: bool = False


class Aspect(StrEnum):
    """What of a sighting a signal speaks about."""

    FACE = "face"
    VOICE = "voice"
    WHOLE = "whole"
    FILE = "file"


class Abstention(StrEnum):
    """Why a signal says nothing. The words that people read stand in alerts/synthetic_words.py."""

    NO_FACE = "no_face"
    NO_SPEECH = "no_speech"
    NO_ORIGINAL = "no_original"
    NO_DECLARATION = "no_declaration"
    NOT_MOVING = "not_moving"
    LIPS_STILL = "lips_still"
    ONE_FRAME = "one_frame"
    FACE_SMALL = "face_small"
    FACE_BLURRED = "face_blurred"
    FACE_TURNED = "face_turned"
    FACE_COVERED = "face_covered"
    MONOCHROME = "monochrome"
    DRAWN = "drawn"
    RE_ENCODED = "re_encoded"
    UNLIKE_TRAINING = "unlike_training"
    TOO_LITTLE_SPEECH = "too_little_speech"
    NARROW_BAND = "narrow_band"
    SEVERAL_SPEAKERS = "several_speakers"
    SEVERAL_FACES = "several_faces"
    UNSURE_WHOSE = "unsure_whose"
    MUSIC = "music"
    NO_WEIGHTS = "no_weights"
    TOO_LATE = "too_late"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Heat:
    """Where in a face a signal looked hardest, at one moment.

    `cells` are rows of grey levels in 0..255 over `box` (pixels of the frame), 255 for the strongest sign.
    """

    at_s: float
    box: Box
    cells: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """What a signal found in one stretch of time; `llr` as in Signal."""

    span: Span
    llr: float


@dataclass(frozen=True, slots=True)
class Plate:
    """A picture that shows what a signal found: JPEG bytes, and what is to be seen on it in one sentence."""

    jpeg: bytes
    says: str


@dataclass(frozen=True, slots=True)
class Signal:
    """One independent opinion on whether a sighting was made or altered by a computer.

    `name` is stable (`composite_face`), `version` names the weights and calibration. `llr` is the natural
    logarithm of the likelihood ratio, made or altered against genuine: positive speaks for made. It is None
    exactly where `abstains` says why. `reasons` and `look_for` (what to look for with one's own eyes or ears)
    are whole sentences for people; `limits` is one on what this signal is known not to tell. `shown_only`:
    it is shown and never counted. `moments` and `heats` say when and where. `plates` go into the evidence
    alone. `strong`: it can carry a verdict by itself, as a comparison with a known original can.
    """

    name: str
    version: str
    aspect: Aspect
    llr: float | None = None
    abstains: Abstention | None = None
    reasons: tuple[str, ...] = ()
    moments: tuple[Moment, ...] = ()
    heats: tuple[Heat, ...] = ()
    look_for: tuple[str, ...] = ()
    limits: str = ""
    strong: bool = False
    shown_only: bool = False
    plates: tuple[Plate, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """Words that were heard, as a model wrote them down. `subject`: the enrolled person seems to say them."""

    span: Span
    text: str
    subject: bool


class Made(StrEnum):
    """The verdict on a sighting being made or altered by a computer. CANNOT_TELL is not NO_SIGN."""

    LIKELY = "synthetic_likely"
    POSSIBLE = "synthetic_possible"
    NO_SIGN = "no_sign_found"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class Assessment:
    """What all signals say together about one sighting of one subject.

    `llr` is what the fusion makes of them, None where it cannot tell. `supports` and `opposes` name the
    signals that speak strongest for and against, "" where none does. `not_covered` lists, in words for
    people, the ways to make a fake that no signal here looks for. `thresholds` says from which `llr` on the
    verdict is POSSIBLE and LIKELY. `language` is the transcript's, ISO 639-1, or "".
    """

    made: Made
    llr: float | None
    signals: tuple[Signal, ...]
    supports: str = ""
    opposes: str = ""
    not_covered: tuple[str, ...] = ()
    thresholds: tuple[float, float] | None = None
    version: str = ""
    said: tuple[Said, ...] = ()
    language: str = ""


@dataclass(frozen=True, slots=True)
class SyntheticAssessment:
    """Whether it is synthetic: what the file itself says, and what we found in this subject's sighting.

    `status`, `reasons` and `not_covered` speak of the file's own words; `assessed` is None where nobody
    looked further.
    """

    status: SyntheticStatus
    reasons: tuple[SyntheticSignal, ...]
    not_covered: str
    assessed: Assessment | None = None


class Agreement(StrEnum):
    """What face and voice of one item say of each other. ALONE: there was nothing to compare with."""

    ALONE = "alone"
    BOTH = "both"
    FACE_NOT_VOICE = "face_not_voice"
    VOICE_NOT_FACE = "voice_not_face"


@dataclass(frozen=True, slots=True)
class Verdict:
    """For one subject in one item: is it me (face, voice), and is it synthetic.

    `face` and `voice` hold the candidates in order of score; one of them may be empty. `reasons` and
    `against` are whole sentences for people. `llr` is the natural logarithm of the likelihood ratio of all
    that was counted together, 0 where the pack has no calibration.
    """

    subject_id: SubjectId
    band: Band
    face: tuple[Candidate, ...]
    voice: tuple[Candidate, ...]
    synthetic: SyntheticAssessment
    reasons: tuple[str, ...]
    against: tuple[str, ...]
    agreement: Agreement = Agreement.ALONE
    llr: float = 0.0
