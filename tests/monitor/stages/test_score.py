"""Verdicts: face and voice together, face against voice, and sentences that claim no more than is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.ml.calibration import MOST_LLR
from monitor.ml.interfaces import Thresholds
from monitor.stages.match import Book, match
from monitor.stages.score import score
from monitor.values import (
    Agreement,
    Band,
    Modality,
    Probe,
    SubjectId,
    SyntheticAssessment,
    SyntheticStatus,
    Verdict,
)
from tests.monitor.stages.scene import LIMITS, MODEL, Enrolled, Sheet, axis, heard, near, seen

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_ASSESSED = SyntheticAssessment(SyntheticStatus.NOT_ASSESSED, (), "no scorer")


class Uncalibrated(Sheet):
    """A book of a pack that nobody has measured."""

    def llr(self, modality: Modality, score: float) -> float:  # noqa: ARG002 - it says nothing
        """Say nothing."""
        return 0.0


def verdicts(
    probes: Sequence[Probe], gallery: Enrolled | None = None, book: Book | None = None
) -> tuple[Verdict, ...]:
    book = book or Sheet()
    return score(match(probes, gallery or Enrolled(a=axis(0)), book, set), NOT_ASSESSED, book)


def test_face_and_voice_that_agree_are_sure_together() -> None:
    """At 0.5 each has a ratio of 4 and an alert asks for 6: together they have 8."""
    (verdict,) = verdicts([seen(near(0, 0.5), end=4), heard(near(0, 0.5), 1, 4)])
    assert (verdict.band, verdict.agreement) == (Band.ALERT, Agreement.BOTH)
    assert verdict.llr == pytest.approx(8.0, abs=1e-4)
    assert (len(verdict.face), len(verdict.voice)) == (1, 1)
    assert any("independently" in said for said in verdict.reasons)
    (alone,) = verdicts([seen(near(0, 0.5), end=4)])
    assert (alone.band, alone.agreement) == (Band.REVIEW, Agreement.ALONE)
    assert any("face alone is not enough" in said for said in alone.against)


def test_two_that_are_barely_alike_are_not_sure_together() -> None:
    """At 0.42 each has a ratio of 2.4: 4.8 are less than the 6 that an alert asks for."""
    (verdict,) = verdicts([seen(near(0, 0.42), end=4), heard(near(0, 0.42), 1, 4)])
    assert (verdict.band, verdict.agreement) == (Band.REVIEW, Agreement.BOTH)


def test_the_stricter_of_the_two_thresholds_is_asked_for() -> None:
    class Strict(Sheet):
        def of(self, modality: Modality, subject_id: SubjectId) -> Thresholds:  # noqa: ARG002
            return Thresholds(0.6 if modality is Modality.FACE else 0.8, 0.4, MODEL, "made up")

    probes = [seen(near(0, 0.5), end=4), heard(near(0, 0.5), 1, 4)]
    assert verdicts(probes, book=Strict())[0].band is Band.REVIEW
    surer = [seen(near(0, 0.58), end=4), heard(near(0, 0.55), 1, 4)]
    assert verdicts(surer, book=Strict())[0].band is Band.ALERT


def test_far_apart_they_are_not_counted_together() -> None:
    (verdict,) = verdicts([seen(near(0, 0.5), end=4), heard(near(0, 0.5), 1000, 1004)])
    assert (verdict.band, verdict.agreement) == (Band.REVIEW, Agreement.ALONE)
    (near_by,) = verdicts([seen(near(0, 0.5), end=4), heard(near(0, 0.5), 8, 12)])
    assert near_by.band is Band.ALERT


def test_without_calibration_nothing_is_added_up() -> None:
    (verdict,) = verdicts([seen(near(0, 0.59), end=4), heard(near(0, 0.59), 1, 4)], book=Uncalibrated())
    assert (verdict.band, verdict.llr) == (Band.REVIEW, 0.0)


def test_what_names_somebody_else_is_not_taken_away_by_the_other_likeness() -> None:
    gallery = Enrolled(a=axis(0))
    gallery.learn("a", near(0, 0.98, 7))
    (verdict,) = verdicts([seen(near(0, 0.55, 6), end=4), heard(near(0, 0.55, 6), 1, 4)], gallery)
    assert verdict.band is Band.REVIEW
    assert any("was said not to be you" in said for said in verdict.against)
    (verdict, _) = verdicts(
        [seen(near(0, 0.55), end=4), heard(near(0, 0.55), 1, 4)], Enrolled(a=axis(0), b=near(0, 0.97, 3))
    )
    assert verdict.band is Band.REVIEW


def test_a_poor_face_is_made_good_by_a_voice_and_counts_no_more_than_an_alert() -> None:
    (verdict,) = verdicts([seen(near(0, 0.95), end=4, quality=0.25), heard(near(0, 0.5), 1, 4)])
    assert verdict.band is Band.ALERT
    assert verdict.llr <= MOST_LLR


def test_a_voice_that_speaks_against_it_adds_nothing() -> None:
    class Doubtful(Sheet):
        def llr(self, modality: Modality, score: float) -> float:
            return -1.0 if modality is Modality.VOICE else super().llr(modality, score)

    probes = [seen(near(0, 0.95), end=4, quality=0.25), heard(near(0, 0.5), 1, 4)]
    assert verdicts(probes, book=Doubtful())[0].band is Band.REVIEW


def test_her_face_with_another_voice_is_said() -> None:
    (verdict,) = verdicts([seen(near(0, 0.9), end=8), heard(near(0, 0.1), 2, 7)])
    assert (verdict.band, verdict.agreement) == (Band.ALERT, Agreement.FACE_NOT_VOICE)
    (said,) = [s for s in verdict.against if "not your voice" in s]
    assert "from second 2 to 7" in said
    assert said.endswith(".")


@pytest.mark.parametrize(
    ("probes", "why"),
    [
        ([heard(near(0, 0.1), 20, 30)], "it speaks elsewhere"),
        ([heard(near(0, 0.1), 6.5, 9.5)], "it speaks for a second while the face is seen"),
        ([heard(near(0, 0.35, 5), 2, 7)], "it is not far below"),
        ([heard(near(0, 0.1), 2, 5), heard(near(0, 0.35, 5), 5, 8, speaker=1)], "one of two may be hers"),
        ([], "nobody speaks"),
    ],
    ids=lambda value: value.replace(" ", "_") if isinstance(value, str) else "",
)
def test_no_disagreement_is_claimed_where_there_is_none(probes: list[Probe], why: str) -> None:
    (verdict,) = verdicts([seen(near(0, 0.9), end=8), *probes])
    assert (verdict.band, verdict.agreement) == (Band.ALERT, Agreement.ALONE), why
    assert not any("not your" in said for said in verdict.against)


def test_her_own_voice_beside_another_s_is_no_disagreement() -> None:
    probes = [heard(near(0, 0.9), 0, 3), heard(axis(4), 3, 8, speaker=1)]
    (verdict,) = verdicts([seen(near(0, 0.9), end=8), *probes])
    assert (verdict.band, verdict.agreement) == (Band.ALERT, Agreement.BOTH)


def test_without_an_enrolled_voice_no_voice_is_anothers() -> None:
    faces_only = Enrolled(a=axis(0), modalities=[Modality.FACE])
    (verdict,) = verdicts([seen(near(0, 0.9), end=8), heard(near(0, 0.1), 2, 7)], faces_only)
    assert verdict.agreement is Agreement.ALONE


def test_her_voice_over_another_face_is_said() -> None:
    (verdict,) = verdicts([seen(near(0, 0.1), end=8), heard(near(0, 0.9), 2, 7)])
    assert (verdict.band, verdict.agreement) == (Band.ALERT, Agreement.VOICE_NOT_FACE)
    assert any("put over other pictures" in said for said in verdict.against)


def test_her_voice_while_other_faces_are_gone_is_said() -> None:
    (verdict,) = verdicts([seen(near(0, 0.1), start=30, end=38), heard(near(0, 0.9), 2, 7)])
    assert verdict.agreement is Agreement.VOICE_NOT_FACE
    assert any("no face is on screen for long" in said for said in verdict.against)


def test_a_face_too_poor_to_tell_is_no_other_face() -> None:
    (verdict,) = verdicts([seen(near(0, 0.1), end=8, quality=0.25), heard(near(0, 0.9), 2, 7)])
    assert verdict.agreement is Agreement.ALONE


def test_a_doubtful_face_makes_no_disagreement() -> None:
    (verdict,) = verdicts([seen(near(0, 0.5), end=8), heard(near(0, 0.1), 2, 7)])
    assert (verdict.band, verdict.agreement) == (Band.REVIEW, Agreement.ALONE)


def test_every_doubt_has_its_sentence() -> None:
    gallery = Enrolled(a=axis(0), b=near(0, 0.97, 3))
    said = [s for v in verdicts([seen(near(0, 0.9), quality=0.25)], gallery) for s in v.against]
    assert any("nearly as similar" in s for s in said)
    assert any("small, blurred or turned away" in s for s in said)
    frames = [near(0, 0.95), near(0, 0.25, 2), near(0, 0.25, 3), near(0, 0.25, 4)]
    (few,) = verdicts([seen(*frames)])
    assert any("Most of the frames" in s for s in few.against)
    both = verdicts([heard(near(0, 0.65, 2), 0, 5), heard(near(0, 0.58, 3), 5, 7.5, speaker=1)])
    assert any("Another voice in the same recording" in s for s in both[0].against)
    (short,) = verdicts([heard(near(0, 0.9), 0, 2.5)])
    assert any("less than three seconds" in s for s in short.against)
    assert LIMITS[Modality.FACE].review < 0.5


def test_the_surest_comes_first() -> None:
    found = verdicts(
        [seen(near(0, 0.5), start=0, end=1), seen(near(1, 0.9), start=5, end=6)],
        Enrolled(a=axis(0), b=axis(1)),
    )
    assert [(v.subject_id, v.band) for v in found] == [("b", Band.ALERT), ("a", Band.REVIEW)]
