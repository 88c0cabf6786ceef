"""The open-set decision: one bad frame convicts nobody, one face is one person, doubt goes to a human."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.errors import BadVector
from monitor.gallery_sets import Entry, FlatSets
from monitor.ml.interfaces import Thresholds
from monitor.stages.match import FixedBook, Matched, match
from monitor.values import (
    TALLY_BINS,
    Band,
    Candidate,
    Doubt,
    FaceTrack,
    Modality,
    ModelId,
    Probe,
    Span,
    SubjectId,
    TemplateId,
)
from tests.monitor.stages.scene import LIMITS, MODEL, SIZE, Enrolled, Sheet, axis, heard, near, seen

Vector = NDArray[np.float32]


def found(probes: list[Probe], gallery: Enrolled, alive: set[str] | None = None) -> list[Candidate]:
    """Match against a gallery; everybody is alive unless said."""
    return list(matched(probes, gallery, alive).candidates)


def matched(probes: list[Probe], gallery: Enrolled, alive: set[str] | None = None) -> Matched:
    return match(probes, gallery, Sheet(), lambda ids: ids if alive is None else alive & set(ids))


def test_the_nearest_is_nobody_below_the_threshold() -> None:
    assert found([seen(near(0, 0.39))], Enrolled(a=axis(0))) == []


def test_no_probes_are_nobody_and_no_trouble() -> None:
    assert matched([], Enrolled(a=axis(0))) == Matched((), (), ())


def test_bands() -> None:
    gallery = Enrolled(a=axis(0), b=axis(1))
    assert [c.band for c in found([seen(near(0, 0.45))], gallery)] == [Band.REVIEW]
    (sure,) = found([seen(near(0, 0.7))], gallery)
    assert (sure.band, sure.margin, sure.doubts) == (Band.ALERT, pytest.approx(0.7, abs=1e-6), ())
    assert sure.llr == pytest.approx(Sheet().llr(Modality.FACE, 0.7))


def test_in_a_gallery_of_one_the_margin_is_to_minus_one() -> None:
    (alone,) = found([seen(near(0, 0.7))], Enrolled(a=axis(0)))
    assert (alone.band, alone.margin) == (Band.ALERT, pytest.approx(1.7, abs=1e-6))
    assert found([seen(near(0, 0.3))], Enrolled(a=axis(0))) == []


def test_nobody_matches_in_an_empty_gallery() -> None:
    nobody = matched([seen(axis(0))], Enrolled())
    assert nobody.candidates == ()
    assert [(t.comparisons, sum(t.counts)) for t in nobody.tallies] == [(0, 0)]


def test_a_subject_with_a_tighter_budget_has_thresholds_of_their_own() -> None:
    strict = Sheet(a=Thresholds(0.9, 0.4, MODEL, "made up"))
    (held,) = match([seen(near(0, 0.7))], Enrolled(a=axis(0)), strict, set).candidates
    assert (held.band, held.doubts) == (Band.REVIEW, ())
    (told,) = match([seen(near(0, 0.7))], Enrolled(b=axis(0)), strict, set).candidates
    assert told.band is Band.ALERT


def test_a_subject_whose_review_is_higher_than_the_least_is_not_found_between_the_two() -> None:
    strict = Sheet(a=Thresholds(0.9, 0.8, MODEL, "made up"))
    assert match([seen(near(0, 0.7))], Enrolled(a=axis(0)), strict, set).candidates == ()


def test_one_bad_frame_convicts_nobody() -> None:
    """One frame is her, three are of three strangers: together near enough for an alert, and not told."""
    frames = (near(0, 0.95), near(0, 0.25, 2), near(0, 0.25, 3), near(0, 0.25, 4))
    (held,) = found([seen(*frames)], Enrolled(a=axis(0)))
    assert held.score >= LIMITS[Modality.FACE].alert
    assert (held.band, held.doubts) == (Band.REVIEW, (Doubt.FEW_SAMPLES,))


def test_a_track_of_somebody_else_with_one_frame_like_her_is_nobody() -> None:
    other = near(0, 0.1, 2)
    assert found([seen(near(0, 0.9), other, other, other)], Enrolled(a=axis(0))) == []


def test_two_good_frames_of_three_are_told() -> None:
    (told,) = found([seen(near(0, 0.8, 2), near(0, 0.8, 3), near(0, 0.2, 4))], Enrolled(a=axis(0)))
    assert (told.band, told.doubts) == (Band.ALERT, ())


def test_frames_count_by_their_quality() -> None:
    good, poor = near(0, 0.8), near(0, 0.0, 2)
    probe = seen(good, poor)
    probe.qualities[:] = [0.9, 0.1]
    (candidate,) = found([probe], Enrolled(a=axis(0)))
    mean = 0.9 * good + 0.1 * poor
    assert candidate.score == pytest.approx(mean[0] / np.linalg.norm(mean))
    probe.qualities[:] = [0.1, 0.9]
    assert found([probe], Enrolled(a=axis(0))) == []


def test_frames_that_cancel_each_other_out_are_decided_by_the_best() -> None:
    probe = seen(axis(0), -axis(0))
    (held,) = found([probe], Enrolled(a=axis(0)))
    assert held.score == pytest.approx(1.0)


def test_of_two_faces_in_one_frame_the_better_keeps_the_name() -> None:
    (candidate,) = found([seen(near(0, 0.65)), seen(near(0, 0.9))], Enrolled(a=axis(0)))
    assert candidate.score == pytest.approx(0.9)


def test_one_person_may_appear_twice_in_a_video() -> None:
    probes = [seen(near(0, 0.8), start=0, end=2), seen(near(0, 0.9), start=5, end=7)]
    assert len(found(probes, Enrolled(a=axis(0)))) == 2


def test_twins_both_go_to_a_human() -> None:
    probe = near(0, 0.8)
    both = found([seen(probe)], Enrolled(a=axis(0), b=near(0, 0.95, 2)))  # 0.80 and 0.76
    assert {c.subject_id: (c.band, c.doubts) for c in both} == {
        "a": (Band.REVIEW, (Doubt.TIE,)),
        "b": (Band.REVIEW, (Doubt.TIE,)),
    }


def test_a_poor_face_goes_to_a_human_however_high_it_scores() -> None:
    (candidate,) = found([seen(near(0, 0.95), quality=0.25)], Enrolled(a=axis(0)))
    assert (candidate.band, candidate.doubts) == (Band.REVIEW, (Doubt.WEAK,))


def test_a_covered_face_goes_to_a_human_however_high_it_scores() -> None:
    def again(probe: Probe) -> Probe:
        return replace(probe, covered=True)

    (held,) = match([seen(near(0, 0.95))], Enrolled(a=axis(0)), Sheet(), set, again).candidates
    assert (held.band, held.doubts) == (Band.REVIEW, (Doubt.COVERED,))


def test_the_erased_do_not_match() -> None:
    assert found([seen(axis(0))], Enrolled(a=axis(0)), alive=set()) == []


def test_somebody_erased_between_two_questions_is_not_told_about() -> None:
    class Erasing(Enrolled):
        def against(self, *_: object) -> dict[SubjectId, tuple[()]]:
            return {}

    assert [c.band for c in found([seen(axis(0), axis(0))], Erasing(a=axis(0)))] == [Band.REVIEW]


def test_a_known_lookalike_is_below_and_near_one_a_human_looks() -> None:
    gallery = Enrolled(a=axis(0))
    gallery.learn("a", near(0, 0.5, 1))
    assert found([seen(near(0, 0.5, 1))], gallery) == []  # the dismissed face itself
    (clear,) = found([seen(near(0, 0.7, 2))], gallery)  # her, who is nothing like it
    assert (clear.band, clear.lookalike) == (Band.ALERT, pytest.approx(0.35, abs=1e-6))
    # 0.9 to her and 0.8642 to the lookalike
    gallery.learn("a", (near(0, 0.9, 1) + 0.6 * axis(3)) / np.float32(math.sqrt(1.36)))
    (doubtful,) = found([seen(near(0, 0.9, 1))], gallery)
    assert doubtful.lookalike == pytest.approx(1 / math.sqrt(1.36), abs=1e-6)
    assert (doubtful.band, doubtful.doubts) == (Band.REVIEW, (Doubt.LOOKALIKE,))


def test_a_lookalike_never_hides_what_is_clearly_the_subject() -> None:
    gallery = Enrolled(a=axis(0))
    gallery.learn("a", near(0, 0.9, 1))  # her own face, called "not me"
    (held,) = found([seen(near(0, 0.9, 1))], gallery)
    assert (held.band, held.doubts) == (Band.REVIEW, (Doubt.LOOKALIKE,))


def test_all_turns_of_a_speaker_are_scored_together_by_their_seconds() -> None:
    probes = [heard(near(0, 0.9, 2), 0, 8), heard(near(0, 0.5, 3), 10, 12)]
    (candidate,) = found(probes, Enrolled(a=axis(0)))
    mean = 8 * near(0, 0.9, 2) + 2 * near(0, 0.5, 3)
    assert candidate.score == pytest.approx(mean[0] / np.linalg.norm(mean))
    assert candidate.appearance.span == Span(0, 12)
    assert candidate.appearance.pieces == (Span(0, 8), Span(10, 12))
    assert candidate.appearance.net_speech_s == pytest.approx(10)


def test_short_turns_of_one_speaker_are_enough_together_and_less_than_two_seconds_are_nobody() -> None:
    gallery = Enrolled(a=axis(0))
    assert found([heard(axis(0), 0, 1.5)], gallery) == []
    (candidate,) = found([heard(axis(0), 0, 1.2), heard(axis(0), 5, 6.2)], gallery)
    assert candidate.band is Band.ALERT


def test_pauses_are_joined_unless_somebody_else_speaks_in_them() -> None:
    hers = [heard(axis(0), 0, 4), heard(axis(0), 4.5, 6), heard(axis(0), 6.9, 9)]
    other = heard(axis(1), 6.1, 6.8, speaker=1)
    (candidate,) = found([*hers, other], Enrolled(a=axis(0)))
    assert candidate.appearance.pieces == (Span(0, 6), Span(6.9, 9))


def test_turns_of_two_speakers_are_two_people() -> None:
    (candidate,) = found([heard(axis(0), 0, 4), heard(axis(1), 4, 9, speaker=1)], Enrolled(a=axis(0)))
    assert candidate.appearance.pieces == (Span(0, 4),)


def test_another_voice_of_the_recording_that_is_nearly_as_like_her_holds_the_alert() -> None:
    gallery = Enrolled(a=axis(0))
    hers, stranger = heard(near(0, 0.65, 2), 0, 5), heard(near(0, 0.58, 3), 5, 9, speaker=1)
    assert found([hers], gallery)[0].band is Band.ALERT
    both = found([hers, stranger], gallery)
    assert {(c.appearance.speaker, c.band, c.doubts) for c in both} == {
        (0, Band.REVIEW, (Doubt.OTHER_SPEAKER,)),
        (1, Band.REVIEW, (Doubt.OTHER_SPEAKER,)),
    }


def test_nobody_speaks_with_two_voices() -> None:
    gallery = Enrolled(a=axis(0))
    hers, stranger = heard(near(0, 0.8, 2), 0, 5), heard(near(0, 0.45, 3), 5, 9, speaker=1)
    (candidate,) = found([hers, stranger], gallery)
    assert (candidate.appearance.speaker, candidate.band) == (0, Band.ALERT)


def test_one_voice_taken_for_two_is_no_rival_of_itself() -> None:
    gallery = Enrolled(a=axis(0))
    probes = [heard(near(0, 0.85, 2), 0, 5), heard(near(0, 0.80, 3), 5, 9, speaker=1)]
    assert [c.band for c in found(probes, gallery)] == [Band.ALERT, Band.ALERT]


def test_what_else_is_in_the_item_is_compared_with_those_found() -> None:
    gallery = Enrolled(a=axis(0))
    result = matched([seen(near(0, 0.9)), heard(near(0, 0.1), 0, 5)], gallery)
    assert [c.modality for c in result.candidates] == [Modality.FACE]
    (other,) = result.counterparts
    assert (other.modality, other.score) == (Modality.VOICE, pytest.approx(0.1))
    assert matched([heard(near(0, 0.1), 0, 5)], gallery).counterparts == ()


def test_a_subject_without_a_voice_is_not_compared_by_voice() -> None:
    faces_only = Enrolled(a=axis(0), modalities=[Modality.FACE])
    assert matched([seen(near(0, 0.9)), heard(near(0, 0.1), 0, 5)], faces_only).counterparts == ()


def test_scores_of_strangers_are_counted_and_those_of_the_found_are_not() -> None:
    gallery = Enrolled(a=axis(0), b=axis(1), c=near(2, 0.0, 5))
    probe = 0.9 * axis(0) + 0.35 * axis(1) + math.sqrt(1 - 0.81 - 0.1225) * axis(7)
    result = matched([seen(probe.astype(np.float32)), seen(axis(6), start=9, end=9)], gallery)
    assert [c.subject_id for c in result.candidates] == ["a"]
    (tally,) = result.tallies
    assert (tally.modality, tally.model_id, tally.comparisons) == (Modality.FACE, MODEL, 6)
    expected = [0] * TALLY_BINS
    expected[17] = 1  # 0.35 to b
    expected[0] = 3  # 0 to c, and the other face's to b and c; what a scored there is not a stranger's
    assert list(tally.counts) == expected


def test_a_score_of_one_falls_into_the_last_bin() -> None:
    (tally,) = matched([seen(axis(0))], Enrolled(a=axis(0)), alive=set()).tallies
    assert tally.counts[-1] == 1


@pytest.mark.parametrize("broken", [np.nan, np.inf, 0.0])
def test_a_broken_sample_stops_the_item_and_is_not_hidden_by_the_mean(broken: float) -> None:
    vector = np.full(SIZE, broken, np.float32)
    for probe in (seen(axis(0), axis(0), axis(0), vector), seen(vector), heard(vector, 0, 5)):
        with pytest.raises(BadVector):
            matched([probe], Enrolled(a=axis(0)))


def test_the_book_of_a_pack_says_what_the_pack_says() -> None:
    class Half:
        thresholds = LIMITS[Modality.FACE]
        calibration = None

    class Pack:
        faces, voices = Half(), None

    book = FixedBook(Pack())  # type: ignore[arg-type]
    assert book.of(Modality.FACE, SubjectId("anybody")) is LIMITS[Modality.FACE]
    assert book.least(Modality.FACE) == LIMITS[Modality.FACE].review
    assert book.llr(Modality.FACE, 0.9) == 0.0


def test_the_fake_gallery_is_made_of_the_real_sets() -> None:
    sets = FlatSets(SIZE)
    sets.add([Entry(SubjectId("a"), TemplateId("a"), axis(0))])
    (told,) = Enrolled(a=axis(0)).compare(Modality.FACE, ModelId(MODEL), axis(0)[None], 1).nearest
    assert told == sets.compare(axis(0)[None], 1).nearest[0]
    assert isinstance(seen(axis(0)).appearance, FaceTrack)
