"""Step 6: vectors -> enrolled subjects who may be the ones who appear. Most probes match nobody.

The decision is open-set: a score below a subject's thresholds is nobody, however near the nearest subject is.
Whoever appears is compared as a whole: a face by all samples of its track, a voice by all turns of its
speaker, as the mean weighted by quality and by seconds of speech. What then speaks against a match is kept
as a Doubt, and with a doubt nobody is told before a human has looked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from monitor.gallery_shelves import unit_rows
from monitor.stages.quality import WEAK
from monitor.values import (
    TALLY_BINS,
    Band,
    Candidate,
    Counterpart,
    Doubt,
    FaceTrack,
    Modality,
    ModelId,
    Probe,
    Span,
    SpeechTurn,
    SubjectId,
    Tally,
    pieces_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.gallery import Compared, SetScore
    from monitor.ml.calibration import Calibration
    from monitor.ml.interfaces import Pack, Thresholds

    Alive = Callable[[Collection[SubjectId]], Collection[SubjectId]]

NEAREST = 10
"""Subjects looked at for one who appears: enough for the second-best, near ties and the tally's tail."""

NEAR_TIE = 0.05
"""Margin below which two enrolled subjects cannot be told apart, about the spread of one person's scores
between two frames (LFW, fr_feature): both go to a human, nobody is told about a twin. The same distance is
asked between a subject and a lookalike of theirs."""

LEAST_SHARE = 0.5
"""Part of the weight of all samples that must reach review each by itself: one bad frame never convicts."""

LEAST_SPEECH_S = 2.0
"""Net speech of one speaker below which nothing is compared: CAM++ is unsteady there."""

ROUNDING_S = 0.05
"""What cutting speech into samples may take off a length."""

CLEAR = 0.10
"""How far a subject's speaker must stand above the other voices of the same recording. On one channel
strangers rise together: two on a telephone line reached 0.50, where elsewhere 99.9 % of strangers stay under
0.41 (CAM++, 2026-11)."""

JOIN_S = 1.0
"""Pauses of one voice up to this long, in which nobody else speaks, are not named as seconds of silence."""


class Compares(Protocol):
    """What is needed of the gallery."""

    def compare(
        self, modality: Modality, model_id: ModelId, vectors: NDArray[np.float32], k: int
    ) -> Compared:
        """Give the k nearest subjects of each row, best first. Raises GalleryNotReady, ModelMismatch."""

    def against(
        self,
        modality: Modality,
        model_id: ModelId,
        vectors: NDArray[np.float32],
        subject_ids: Collection[SubjectId],
    ) -> Mapping[SubjectId, tuple[SetScore, ...]]:
        """Compare each row with these subjects alone; whoever has no set is left out."""


class Book(Protocol):
    """Where thresholds stand: monitor/budget.py keeps one that follows the operator's dial."""

    def of(self, modality: Modality, subject_id: SubjectId) -> Thresholds:
        """Give the thresholds of one subject."""

    def least(self, modality: Modality) -> float:
        """Give the lowest cosine at which anybody is anything but a stranger."""

    def llr(self, modality: Modality, score: float) -> float:
        """Natural logarithm of the likelihood ratio of a cosine; 0, which says nothing, if never measured."""


class FixedBook:
    """The thresholds that came with a pack, the same for everybody: for benches, which have no ledger."""

    def __init__(self, pack: Pack) -> None:
        """Read them off the pack."""
        halves = {Modality.FACE: pack.faces, Modality.VOICE: pack.voices}
        self._thresholds = {m: half.thresholds for m, half in halves.items() if half is not None}
        self._calibrations: dict[Modality, Calibration] = {
            m: half.calibration
            for m, half in halves.items()
            if half is not None and half.calibration is not None
        }

    def of(self, modality: Modality, subject_id: SubjectId) -> Thresholds:  # noqa: ARG002 - the same for all
        """Give the pack's thresholds."""
        return self._thresholds[modality]

    def least(self, modality: Modality) -> float:
        """Give the pack's review threshold."""
        return self._thresholds[modality].review

    def llr(self, modality: Modality, score: float) -> float:
        """Ask the pack's calibration; 0 where there is none."""
        calibration = self._calibrations.get(modality)
        return 0.0 if calibration is None else calibration.llr(score)


@dataclass(frozen=True, slots=True)
class Matched:
    """What a comparison gave.

    `counterparts` say of each subject who was found how the item's other appearances compare with them.
    `tallies` count the scores of those who were not found: counts, and nothing else.
    """

    candidates: tuple[Candidate, ...] = ()
    tallies: tuple[Tally, ...] = ()
    counterparts: tuple[Counterpart, ...] = ()


@dataclass(frozen=True, slots=True)
class _Somebody:
    """One who appears: a face with its samples, or a speaker with all turns.

    `vectors` is (n, d) with `weights` (n,); `mean` is (d,), of length 1. `best` is the best sample's quality.
    """

    modality: Modality
    model_id: ModelId
    appearance: FaceTrack | SpeechTurn
    vectors: NDArray[np.float32]
    weights: NDArray[np.float32]
    mean: NDArray[np.float32]
    best: float


@dataclass(frozen=True, slots=True)
class _Rated:
    """One subject's score for one who appears, before anything is decided."""

    seen: _Somebody
    subject_id: SubjectId
    score: float
    margin: float
    lookalike: float
    thresholds: Thresholds


@dataclass(frozen=True, slots=True)
class _Group:
    """All who appear in one modality, and who of the enrolled is nearest to each."""

    people: tuple[_Somebody, ...]
    compared: Compared


def match(probes: Sequence[Probe], gallery: Compares, book: Book, alive: Alive) -> Matched:
    """Find the enrolled subjects among the probes, best score first.

    `alive` says which of some subjects are enrolled at this moment, so that an erased one cannot match even
    before the gallery has heard of it. Raises GalleryNotReady, ModelMismatch, and BadVector where a probe is
    not a vector of length 1.
    """
    # 1  who appears: each face, each speaker; all of one model are compared at once
    groups = [_compared(list(people), gallery) for people in _people(probes)]
    # 2  who may be a subject: above review, and nearer to the subject than to anybody they called "not me"
    rated = [one for group in groups for one in _rate(group, book)]
    living = set(alive({r.subject_id for r in rated})) if rated else set()
    rated = _one_face_each([r for r in rated if r.subject_id in living])
    # 3  what speaks against each of them
    speakers = [one for group in groups for one in group.people if one.modality is Modality.VOICE]
    found = [c for c in (_judged(r, speakers, gallery, book) for r in rated) if c is not None]
    candidates = tuple(sorted(found, key=lambda c: -c.score))
    # 4  how the rest of the item compares with those found, and the counts of all others
    counterparts = _counterparts(candidates, groups, gallery, book) if candidates else ()
    names = {c.subject_id for c in candidates}
    return Matched(candidates, tuple(_tally(group, names) for group in groups), counterparts)


def _people(probes: Sequence[Probe]) -> Iterable[list[_Somebody]]:
    """Put together who appears, by modality and model: a track is one person, a speaker's turns are one."""
    groups: dict[tuple[Modality, ModelId], list[_Somebody]] = {}
    turns: dict[tuple[ModelId, int], list[Probe]] = {}
    for probe in probes:
        if isinstance(probe.appearance, SpeechTurn):
            turns.setdefault((probe.model_id, probe.appearance.speaker), []).append(probe)
        else:
            one = _somebody([probe], probe.appearance, [probe.qualities])
            groups.setdefault((probe.modality, probe.model_id), []).append(one)
    for (model_id, number), own in turns.items():
        others = [p for (_, speaker), each in turns.items() if speaker != number for p in each]
        speaker = _speaker(own, others)
        if speaker is not None:
            groups.setdefault((Modality.VOICE, model_id), []).append(speaker)
    return groups.values()


def _speaker(own: Sequence[Probe], others: Sequence[Probe]) -> _Somebody | None:
    turns = [p.appearance for p in own if isinstance(p.appearance, SpeechTurn)]
    net = sum(t.net_speech_s for t in turns)
    if net < LEAST_SPEECH_S - ROUNDING_S:
        return None
    longest = max(turns, key=lambda t: t.net_speech_s)
    pieces = _joined(_pieces(turns), _pieces(p.appearance for p in others))
    whole = replace(longest, span=Span(pieces[0].start_s, pieces[-1].end_s), net_speech_s=net, pieces=pieces)
    weights = [
        p.qualities * np.float32(t.net_speech_s / max(float(p.qualities.sum()), 1e-9))
        for p, t in zip(own, turns, strict=True)
    ]
    return _somebody(own, whole, weights)


def _pieces(turns: Iterable[FaceTrack | SpeechTurn]) -> list[Span]:
    return sorted((piece for t in turns for piece in pieces_of(t)), key=lambda s: s.start_s)


def _joined(own: Sequence[Span], others: Sequence[Span]) -> tuple[Span, ...]:
    """Join what only a short pause parts, unless somebody else speaks in it."""
    starts, ends = np.array([s.start_s for s in others]), np.array([s.end_s for s in others])
    joined: list[Span] = []
    for piece in own:
        end = joined[-1].end_s if joined else 0.0
        near = bool(joined) and piece.start_s - end <= JOIN_S
        if near and not bool(np.any((starts < piece.start_s) & (ends > end))):
            joined[-1] = Span(joined[-1].start_s, max(end, piece.end_s))
        else:
            joined.append(piece)
    return tuple(joined)


def _somebody(
    probes: Sequence[Probe], appearance: FaceTrack | SpeechTurn, weights: Sequence[NDArray[np.float32]]
) -> _Somebody:
    first = probes[0]
    vectors = first.vectors if len(probes) == 1 else np.concatenate([p.vectors for p in probes])
    vectors = unit_rows(vectors, "a probe")  # each of them: a mean would hide a broken one
    weighed = weights[0] if len(weights) == 1 else np.concatenate(weights)
    best = max(float(p.qualities.max()) for p in probes)
    return _Somebody(
        first.modality, first.model_id, appearance, vectors, weighed, _mean(vectors, weighed), best
    )


def _mean(vectors: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the weighted mean, of length 1; where samples cancel each other out, the best of them."""
    if len(vectors) == 1:
        return np.asarray(vectors[0])
    mean = (vectors * weights[:, None]).sum(axis=0)
    length = float(np.sqrt(np.vecdot(mean, mean)))
    if length <= 1e-3 * float(weights.sum()) or not length:
        mean, length = vectors[int(weights.argmax())], 1.0
    return np.asarray(mean / length, np.float32)


def _compared(people: Sequence[_Somebody], gallery: Compares) -> _Group:
    means = np.stack([one.mean for one in people])
    return _Group(tuple(people), gallery.compare(people[0].modality, people[0].model_id, means, NEAREST))


def _rate(group: _Group, book: Book) -> Iterable[_Rated]:
    """Of each who appears take the best subject and those in a near tie with it, from review on."""
    modality = group.people[0].modality
    least = book.least(modality)
    for seen, ranked in zip(group.people, group.compared.nearest, strict=True):
        for one in ranked:
            if one.score < least or ranked[0].score - one.score >= NEAR_TIE:
                break
            thresholds = book.of(modality, one.subject_id)
            if one.score < thresholds.review or one.lookalike >= one.score:
                continue
            others = max((other.score for other in ranked if other is not one), default=-1.0)
            yield _Rated(seen, one.subject_id, one.score, one.score - others, one.lookalike, thresholds)


def _one_face_each(rated: Sequence[_Rated]) -> list[_Rated]:
    """Of two faces in one frame only the better can be a subject: nobody stands beside himself."""
    kept: list[_Rated] = []
    for r in sorted(rated, key=lambda r: -r.score):
        faces = (k for k in kept if k.subject_id == r.subject_id and _is_face(k) and _is_face(r))
        if not any(_together(k.seen.appearance, r.seen.appearance) for k in faces):
            kept.append(r)
    return kept


def _is_face(rated: _Rated) -> bool:
    return rated.seen.modality is Modality.FACE


def _together(a: FaceTrack | SpeechTurn, b: FaceTrack | SpeechTurn) -> bool:
    return a.span.start_s <= b.span.end_s and b.span.start_s <= a.span.end_s


def _judged(rated: _Rated, speakers: Sequence[_Somebody], gallery: Compares, book: Book) -> Candidate | None:
    """Decide the band, and say what speaks against it. None where it turns out to be somebody else."""
    seen = rated.seen
    doubts = []
    if rated.margin < NEAR_TIE:
        doubts.append(Doubt.TIE)
    if rated.score - rated.lookalike < NEAR_TIE:
        doubts.append(Doubt.LOOKALIKE)
    if seen.best < WEAK:
        doubts.append(Doubt.WEAK)
    if _share(rated, gallery) < LEAST_SHARE:
        doubts.append(Doubt.FEW_SAMPLES)
    if seen.modality is Modality.VOICE:
        rivals = _rivals(rated, speakers, gallery)
        if any(score >= rated.score + CLEAR and alike < rated.thresholds.review for score, alike in rivals):
            return None  # that one is the subject, and nobody speaks with two voices
        if any(score > rated.score - CLEAR for score, _ in rivals):
            doubts.append(Doubt.OTHER_SPEAKER)
    sure = rated.score >= rated.thresholds.alert and not doubts
    return Candidate(
        subject_id=rated.subject_id,
        modality=seen.modality,
        model_id=seen.model_id,
        score=rated.score,
        margin=rated.margin,
        band=Band.ALERT if sure else Band.REVIEW,
        appearance=seen.appearance,
        llr=book.llr(seen.modality, rated.score),
        lookalike=rated.lookalike,
        doubts=tuple(doubts),
    )


def _share(rated: _Rated, gallery: Compares) -> float:
    """Give the part of the samples' weight that reaches review each by itself, in [0, 1]."""
    seen = rated.seen
    if len(seen.vectors) == 1:
        return 1.0
    scores = gallery.against(seen.modality, seen.model_id, seen.vectors, [rated.subject_id])
    reached = [one.score >= rated.thresholds.review for one in scores.get(rated.subject_id, ())]
    if not reached:
        return 0.0  # erased just now
    return float(seen.weights[np.array(reached)].sum()) / max(float(seen.weights.sum()), 1e-9)


def _rivals(rated: _Rated, speakers: Sequence[_Somebody], gallery: Compares) -> list[tuple[float, float]]:
    """Compare the other voices of the recording with the subject: (score, likeness to this speaker) of each.

    One that is as like this speaker as an alert demands is the same voice, taken for two.
    """
    others = [s for s in speakers if s is not rated.seen and s.model_id == rated.seen.model_id]
    alike = [float(np.vecdot(s.mean, rated.seen.mean)) for s in others]
    apart = [(s, a) for s, a in zip(others, alike, strict=True) if a < rated.thresholds.alert]
    if not apart:
        return []
    means = np.stack([s.mean for s, _ in apart])
    scores = gallery.against(Modality.VOICE, rated.seen.model_id, means, [rated.subject_id])
    return [(one.score, a) for one, (_, a) in zip(scores.get(rated.subject_id, ()), apart, strict=False)]


def _counterparts(
    candidates: Sequence[Candidate], groups: Sequence[_Group], gallery: Compares, book: Book
) -> tuple[Counterpart, ...]:
    """Compare everybody who is not taken for a subject with each subject who was found."""
    taken = {(c.subject_id, id(c.appearance)) for c in candidates}
    names = list(dict.fromkeys(c.subject_id for c in candidates))
    found = []
    for group in groups:
        first = group.people[0]
        means = np.stack([one.mean for one in group.people])
        for name, scores in gallery.against(first.modality, first.model_id, means, names).items():
            for seen, one in zip(group.people, scores, strict=True):
                if (name, id(seen.appearance)) not in taken:
                    llr, sure = book.llr(seen.modality, one.score), seen.best >= WEAK
                    found.append(Counterpart(name, seen.modality, one.score, llr, sure, seen.appearance))
    return tuple(found)


def _tally(group: _Group, found: Collection[SubjectId]) -> Tally:
    """Count the scores of the nearest subjects who were not found anywhere in the item."""
    counts = [0] * TALLY_BINS
    for line in group.compared.nearest:
        for one in line:
            if one.score >= 0 and one.subject_id not in found:
                counts[min(TALLY_BINS - 1, int(one.score * TALLY_BINS))] += 1
    first = group.people[0]
    comparisons = group.compared.subjects * len(group.people)
    return Tally(first.modality, first.model_id, comparisons, tuple(counts))
