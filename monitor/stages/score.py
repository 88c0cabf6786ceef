"""Step 7: one verdict per subject: is it me (face, voice), is it synthetic, and what speaks against.

Face and voice are counted together by adding their log-likelihood ratios, and their disagreement is kept.
The words are for people: whole, calm sentences that claim no more than was measured.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from monitor.ml.calibration import MOST_LLR
from monitor.values import Agreement, Band, Doubt, FaceTrack, Modality, SpeechTurn, Verdict, pieces_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.stages.match import Book, Matched
    from monitor.values import Candidate, Counterpart, SubjectId, SyntheticAssessment

SHORT_SPEECH_S = 3.0
"""A voice heard for less is named as a reason for doubt."""

ONE_SCENE_S = 5.0
"""Face and voice no further apart are one scene and are counted together. A long film shows many faces and
many voices: one of each that is a little like hers, far apart, is two chances and not one event."""

TOGETHER_S = 2.0
"""How long a voice must speak while a face is on screen before the two can be said to disagree."""

FAR_BELOW = 0.6
"""Part of the review threshold up to which a score says "somebody else" and not "perhaps": of CAM++ 0.30,
where the same voice on a telephone still has 0.64; of fr_feature 0.25."""

WHO_IS_IT: Final = frozenset({Doubt.TIE, Doubt.LOOKALIKE, Doubt.OTHER_SPEAKER})
"""Doubts that name somebody else. Face and voice together do not take them away."""

_RANK = {Band.BELOW: 0, Band.REVIEW: 1, Band.ALERT: 2}

_SAYS: Final = {
    (Modality.FACE, Doubt.WEAK): "The face is small, blurred or turned away.",
    (
        Modality.FACE,
        Doubt.COVERED,
    ): "The lower half of the face seems to be covered, so only the rest could be compared.",
    (Modality.FACE, Doubt.TIE): "Another enrolled person's face is nearly as similar.",
    (Modality.FACE, Doubt.FEW_SAMPLES): "Most of the frames do not resemble the enrolled face by themselves.",
    (Modality.FACE, Doubt.LOOKALIKE): "The face is nearly as similar to somebody who was said not to be you.",
    (Modality.VOICE, Doubt.WEAK): "The voice is hard to make out.",
    (Modality.VOICE, Doubt.TIE): "Another enrolled person's voice is nearly as similar.",
    (
        Modality.VOICE,
        Doubt.FEW_SAMPLES,
    ): "Most of what it says does not resemble the enrolled voice by itself.",
    (
        Modality.VOICE,
        Doubt.LOOKALIKE,
    ): "The voice is nearly as similar to somebody who was said not to be you.",
    (Modality.VOICE, Doubt.OTHER_SPEAKER): "Another voice in the same recording is nearly as similar.",
}
"""What each doubt means, for the person."""


def score(matched: Matched, synthetic: SyntheticAssessment, book: Book) -> tuple[Verdict, ...]:
    """Give one verdict per subject, the surest first. Candidates below review are left out."""
    by_subject: dict[SubjectId, list[Candidate]] = {}
    for candidate in sorted(matched.candidates, key=lambda c: (-_RANK[c.band], -c.score)):
        if candidate.band is not Band.BELOW:
            by_subject.setdefault(candidate.subject_id, []).append(candidate)
    verdicts = [
        _verdict(own, [c for c in matched.counterparts if c.subject_id == subject], synthetic, book)
        for subject, own in by_subject.items()
    ]
    return tuple(sorted(verdicts, key=lambda v: -_RANK[v.band]))


def _verdict(
    own: Sequence[Candidate], others: Sequence[Counterpart], synthetic: SyntheticAssessment, book: Book
) -> Verdict:
    face = tuple(c for c in own if c.modality is Modality.FACE)
    voice = tuple(c for c in own if c.modality is Modality.VOICE)
    reasons = [*map(_face_reason, face[:1]), *map(_voice_reason, voice[:1])]
    against = [*_against(face), *_against(voice)]
    band, llr = max((c.band for c in own), key=_RANK.__getitem__), max(c.llr for c in own)
    agreement = Agreement.ALONE
    pairs = [(f, v) for f, v in product(face, voice) if _apart_s(f, v) <= ONE_SCENE_S]
    if pairs:
        agreement, llr = Agreement.BOTH, max(llr, *(_together(f, v) for f, v in pairs))
        if band is Band.REVIEW and any(_carries(f, v, book) for f, v in pairs):
            band = Band.ALERT
            reasons.append("Face and voice point to the same person independently of each other.")
    elif said := _disagreement(face, voice, others, book):
        agreement = Agreement.FACE_NOT_VOICE if face and _sure(face) else Agreement.VOICE_NOT_FACE
        against.append(said)
    return Verdict(
        own[0].subject_id, band, face, voice, synthetic, tuple(reasons), tuple(against), agreement, llr
    )


def _together(face: Candidate, voice: Candidate) -> float:
    """Add what both say. That the two are independent for strangers was not measured, so it is cut off."""
    return min(MOST_LLR, face.llr + voice.llr)


def _carries(face: Candidate, voice: Candidate, book: Book) -> bool:
    """Say whether a face and a voice, neither sure by itself, are sure together.

    Both are at review at least and each must speak for the subject; together they must reach what the
    stricter of the two alert thresholds demands. None counts for more than its own alert threshold would, so
    that one that is held back for its quality does not carry the other. Without calibration nothing is added.
    """
    if WHO_IS_IT.intersection((*face.doubts, *voice.doubts)) or min(face.llr, voice.llr) <= 0:
        return False
    asked = [book.llr(c.modality, book.of(c.modality, c.subject_id).alert) for c in (face, voice)]
    parts = [min(c.llr, most) for c, most in zip((face, voice), asked, strict=True)]
    return sum(parts) >= max(asked)


def _disagreement(
    face: Sequence[Candidate], voice: Sequence[Candidate], others: Sequence[Counterpart], book: Book
) -> str:
    """Say in a sentence that face and voice do not go together, or give "" where they may."""
    if face and _sure(face):
        heard = [c for c in others if c.modality is Modality.VOICE and _overlap_s(face[0], c) >= TOGETHER_S]
        if heard and all(_is_far(c, book) for c in heard):
            nearest = max(heard, key=lambda c: c.score)
            return (
                f"Your face, not your voice: the voice that speaks {_when(nearest)}, while the face is on "
                f"screen, does not resemble the enrolled one ({nearest.score:.2f} of 1). Somebody else may "
                "be speaking, or the sound may have been changed."
            )
    elif voice and _sure(voice) and not face:
        faces = [c for c in others if c.modality is Modality.FACE]
        shown = [c for c in faces if _overlap_s(c, voice[0]) >= TOGETHER_S]
        if shown and all(_is_far(c, book) for c in shown):
            nearest = max(shown, key=lambda c: c.score)
            return (
                "Your voice, not your face: the face on screen while the voice speaks does not resemble the "
                f"enrolled one ({nearest.score:.2f} of 1). The voice may have been put over other pictures."
            )
        if faces and not shown:
            return "Your voice, not your face: no face is on screen for long while the voice speaks."
    return ""


def _sure(candidates: Sequence[Candidate]) -> bool:
    return candidates[0].band is Band.ALERT


def _is_far(other: Counterpart, book: Book) -> bool:
    review = book.of(other.modality, other.subject_id).review
    return other.sure and other.llr <= 0 and other.score <= FAR_BELOW * review


def _overlap_s(a: Candidate | Counterpart, b: Candidate | Counterpart) -> float:
    """Seconds in which both are there."""
    pairs = product(pieces_of(a.appearance), pieces_of(b.appearance))
    return sum(max(0.0, min(x.end_s, y.end_s) - max(x.start_s, y.start_s)) for x, y in pairs)


def _apart_s(a: Candidate, b: Candidate) -> float:
    """Seconds between the two where they are nearest; 0 where they overlap."""
    pairs = product(pieces_of(a.appearance), pieces_of(b.appearance))
    return min(max(0.0, max(x.start_s, y.start_s) - min(x.end_s, y.end_s)) for x, y in pairs)


def _when(one: Candidate | Counterpart) -> str:
    span = one.appearance.span
    return f"from second {span.start_s:.0f} to {span.end_s:.0f}"


def _face_reason(best: Candidate) -> str:
    looked = len(best.appearance.samples) if isinstance(best.appearance, FaceTrack) else 1
    where = "one picture" if looked == 1 else f"{looked} frames"
    return f"A face resembles the enrolled one with {best.score:.2f} of 1, judged by {where}."


def _voice_reason(best: Candidate) -> str:
    return f"A voice {_when(best)} resembles the enrolled one with {best.score:.2f} of 1."


def _against(candidates: Sequence[Candidate]) -> list[str]:
    """Say what speaks against the best candidate of one modality."""
    if not candidates:
        return []
    best = candidates[0]
    said = [_SAYS[best.modality, doubt] for doubt in best.doubts]
    if isinstance(best.appearance, SpeechTurn) and best.appearance.net_speech_s < SHORT_SPEECH_S:
        said.append("The voice is heard for less than three seconds.")
    if best.band is Band.REVIEW:
        said.append(f"The likeness of the {best.modality} alone is not enough to be sure.")
    return said
