"""Step 7: one verdict per subject: is it me (face, voice), is it synthetic, and what speaks against.

The words are for people: whole, calm sentences that claim no more than was measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.stages.match import NEAR_TIE
from monitor.stages.quality import WEAK
from monitor.values import Band, FaceTrack, Modality, SpeechTurn, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.values import Candidate, SubjectId, SyntheticAssessment

SHORT_SPEECH_S = 3.0
"""A voice heard for less is named as a reason for doubt."""

_RANK = {Band.BELOW: 0, Band.REVIEW: 1, Band.ALERT: 2}


def score(candidates: Sequence[Candidate], synthetic: SyntheticAssessment) -> tuple[Verdict, ...]:
    """Give one verdict per subject, the surest first. Candidates below review are left out."""
    by_subject: dict[SubjectId, list[Candidate]] = {}
    for candidate in sorted(candidates, key=lambda c: (-_RANK[c.band], -c.score)):
        if candidate.band is not Band.BELOW:
            by_subject.setdefault(candidate.subject_id, []).append(candidate)
    verdicts = [_verdict(subject, own, synthetic) for subject, own in by_subject.items()]
    return tuple(sorted(verdicts, key=lambda v: -_RANK[v.band]))


def _verdict(
    subject_id: SubjectId, candidates: Sequence[Candidate], synthetic: SyntheticAssessment
) -> Verdict:
    face = tuple(c for c in candidates if c.modality is Modality.FACE)
    voice = tuple(c for c in candidates if c.modality is Modality.VOICE)
    reasons = [*map(_face_reason, face[:1]), *map(_voice_reason, voice[:1])]
    against = [*_against_face(face), *_against_voice(voice)]
    band = max((c.band for c in candidates), key=_RANK.__getitem__)
    if face and voice and band is Band.REVIEW and not _tied(candidates):
        # Two kinds of likeness that have nothing to do with each other agree. At the registry pack's review
        # thresholds (ml/packs.py) a stranger's face passes once in 1e4, a stranger's voice four times. As far
        # as the two are independent, which was not measured, both pass 4 times in 1e8.
        band = Band.ALERT
        reasons.append("Face and voice point to the same person independently of each other.")
    return Verdict(subject_id, band, face, voice, synthetic, tuple(reasons), tuple(against))


def _face_reason(best: Candidate) -> str:
    looked = len(best.appearance.samples) if isinstance(best.appearance, FaceTrack) else 1
    where = "one picture" if looked == 1 else f"{looked} frames"
    return f"A face resembles the enrolled one with {best.score:.2f} of 1, judged by {where}."


def _voice_reason(best: Candidate) -> str:
    span = best.appearance.span
    return (
        f"A voice from second {span.start_s:.0f} to {span.end_s:.0f} resembles the enrolled one "
        f"with {best.score:.2f} of 1."
    )


def _against_face(face: Sequence[Candidate]) -> list[str]:
    if not face or not isinstance(face[0].appearance, FaceTrack):
        return []
    said = []
    if max(s.quality for s in face[0].appearance.samples) < WEAK:
        said.append("The face is small, blurred or turned away.")
    if _tied(face[:1]):
        said.append("Another enrolled person's face is nearly as similar.")
    if face[0].band is Band.REVIEW:
        said.append("The likeness of the face alone is not enough to be sure.")
    return said


def _against_voice(voice: Sequence[Candidate]) -> list[str]:
    if not voice or not isinstance(voice[0].appearance, SpeechTurn):
        return []
    said = []
    if voice[0].appearance.span.end_s - voice[0].appearance.span.start_s < SHORT_SPEECH_S:
        said.append("The voice is heard for less than three seconds.")
    if _tied(voice[:1]):
        said.append("Another enrolled person's voice is nearly as similar.")
    if voice[0].band is Band.REVIEW:
        said.append("The likeness of the voice alone is not enough to be sure.")
    return said


def _tied(candidates: Sequence[Candidate]) -> bool:
    return any(c.margin < NEAR_TIE for c in candidates)
