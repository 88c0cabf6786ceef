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

from monitor.stages.quality import WEAK
from monitor.stages.somebody import Somebody, everybody, somebody
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
    SpeechTurn,
    SubjectId,
    Tally,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.gallery import Compared, SetScore
    from monitor.ml.calibration import Calibration
    from monitor.ml.interfaces import Pack, Thresholds

    Alive = Callable[[Collection[SubjectId]], Collection[SubjectId]]
    Again = Callable[[Probe], Probe]

NEAREST = 10
"""Subjects looked at for one who appears: enough for the second-best, near ties and the tally's tail."""

NEAR_TIE = 0.05
"""Margin below which two enrolled subjects cannot be told apart, about the spread of one person's scores
between two frames (LFW, fr_feature): both go to a human, nobody is told about a twin. The same distance is
asked between a subject and a lookalike of theirs; and what exceeds alert by more is hidden by no lookalike,
since a slip, or somebody who wants the watch blind, may have called the subject's own face one."""

LEAST_SHARE = 0.5
"""Part of the weight of all samples that must reach review each by itself: one bad frame never convicts."""

CLEAR = 0.10
"""How far a subject's speaker must stand above the other voices of the same recording. On one channel
strangers rise together: two on a telephone line reached 0.50, where elsewhere 99.9 % of strangers stay under
0.41 (CAM++, 2026-11)."""

REACH = 0.05
"""How far below review a face still gets a second look: 99 % of genuine scores move less (EdgeFace xs)."""

SMALL_GALLERY = 1000
"""Subjects up to which REACH holds. In a larger gallery nearly every stranger is that near to somebody, and
only what reached review by itself is looked at again."""


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
class _Rated:
    """One subject's score for one who appears, before anything is decided."""

    seen: Somebody
    subject_id: SubjectId
    score: float
    margin: float
    lookalike: float
    thresholds: Thresholds


@dataclass(frozen=True, slots=True)
class _Group:
    """All who appear in one modality, and who of the enrolled is nearest to each."""

    people: tuple[Somebody, ...]
    compared: Compared


def match(
    probes: Sequence[Probe], gallery: Compares, book: Book, alive: Alive, again: Again | None = None
) -> Matched:
    """Find the enrolled subjects among the probes, best score first.

    `alive` says which of some subjects are enrolled at this moment, so that an erased one cannot match even
    before the gallery has heard of it. `again` looks a second time at a face that may be somebody's
    (second_look.py); the first look's score is forgotten then. Raises GalleryNotReady, ModelMismatch, and
    BadVector where a probe is not a vector of length 1.
    """
    # 1  who appears: each face, each speaker; all of one model are compared at once
    groups = [_compared(list(people), gallery) for people in everybody(probes)]
    groups = [_second_look(group, gallery, book, again) for group in groups] if again else groups
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


def _compared(people: Sequence[Somebody], gallery: Compares) -> _Group:
    means = np.stack([one.mean for one in people])
    return _Group(tuple(people), gallery.compare(people[0].modality, people[0].model_id, means, NEAREST))


def _second_look(group: _Group, gallery: Compares, book: Book, again: Again) -> _Group:
    """Look again at the faces that come near to review, and compare those anew."""
    modality = group.people[0].modality
    if modality is not Modality.FACE:
        return group
    reach = REACH if group.compared.subjects <= SMALL_GALLERY else 0.0
    gate = book.least(modality) - reach
    near = [n for n, line in enumerate(group.compared.nearest) if line and line[0].score >= gate]
    if not near:
        return group
    people, nearest = list(group.people), list(group.compared.nearest)
    anew = _compared([_looked_again(people[n], again) for n in near], gallery)
    for n, person, line in zip(near, anew.people, anew.compared.nearest, strict=True):
        people[n], nearest[n] = person, line
    return _Group(tuple(people), replace(group.compared, nearest=tuple(nearest)))


def _looked_again(seen: Somebody, again: Again) -> Somebody:
    probe = again(Probe(seen.appearance, seen.modality, seen.model_id, seen.vectors, seen.weights))
    return somebody([probe], seen.appearance, [seen.weights])


def _rate(group: _Group, book: Book) -> Iterable[_Rated]:
    """Of each who appears take the best subject and those in a near tie with it, from review on."""
    modality = group.people[0].modality
    least = book.least(modality)
    for seen, ranked in zip(group.people, group.compared.nearest, strict=True):
        for one in ranked:
            if one.score < least or ranked[0].score - one.score >= NEAR_TIE:
                break
            thresholds = book.of(modality, one.subject_id)
            a_lookalike = one.lookalike >= one.score and one.score < thresholds.alert + NEAR_TIE
            if one.score < thresholds.review or a_lookalike:
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


def _judged(rated: _Rated, speakers: Sequence[Somebody], gallery: Compares, book: Book) -> Candidate | None:
    """Decide the band, and say what speaks against it. None where it turns out to be somebody else."""
    seen = rated.seen
    doubts = []
    if rated.margin < NEAR_TIE:
        doubts.append(Doubt.TIE)
    if rated.score - rated.lookalike < NEAR_TIE:
        doubts.append(Doubt.LOOKALIKE)
    if seen.best < WEAK:
        doubts.append(Doubt.WEAK)
    if seen.covered:
        doubts.append(Doubt.COVERED)
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


def _rivals(rated: _Rated, speakers: Sequence[Somebody], gallery: Compares) -> list[tuple[float, float]]:
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
