"""The open-set decision: one bad frame convicts nobody, one face is one person, doubt goes to a human."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.gallery_index import Hit
from monitor.ml.interfaces import Thresholds
from monitor.stages.match import match
from monitor.stages.score import score
from monitor.values import (
    Band,
    Box,
    Candidate,
    FaceSample,
    FaceTrack,
    Modality,
    ModelId,
    Probe,
    Sound,
    Span,
    SpeechTurn,
    SubjectId,
    SyntheticAssessment,
    SyntheticStatus,
    TemplateId,
)

MODEL = ModelId("fake")
LIMITS = {m: Thresholds(alert=0.6, review=0.4, source="test") for m in Modality}
NOT_ASSESSED = SyntheticAssessment(SyntheticStatus.NOT_ASSESSED, (), "no scorer")


class Scores:
    """A gallery that answers as it was told: the k-th vector's first number picks the k-th answer. A fake."""

    def __init__(self, *answers: dict[str, float]) -> None:
        """Take the cosine of each subject for each vector."""
        self.answers = answers

    def search(self, _: Modality, model_id: ModelId, vectors: np.ndarray, k: int) -> list[list[Hit]]:
        """Answer."""
        assert model_id == MODEL
        found = []
        for vector in vectors:
            ranked = sorted(self.answers[int(vector[0])].items(), key=lambda one: -one[1])
            found.append([Hit(SubjectId(s), TemplateId(s), c) for s, c in ranked[:k]])
        return found


def seen(*numbers: int, start: float = 0.0, end: float = 0.0, quality: float = 0.9) -> Probe:
    """Make a face with one sample per number."""
    blank = np.zeros((112, 112, 3), np.uint8)
    samples = tuple(
        FaceSample(start, Box(0, 0, 9, 9), np.zeros((5, 2), np.float32), blank, quality) for _ in numbers
    )
    track = FaceTrack(0, Span(start, end), samples, lambda: blank, lambda: blank)
    vectors = np.array([[n] for n in numbers], np.float32)
    return Probe(track, Modality.FACE, MODEL, vectors, np.full(len(numbers), quality, np.float32))


def heard(number: int, start: float, end: float) -> Probe:
    """Make a turn."""
    turn = SpeechTurn(number, Span(start, end), Sound(np.zeros(9, np.float32)), end - start)
    return Probe(turn, Modality.VOICE, MODEL, np.array([[number]], np.float32), np.ones(1, np.float32))


def found(probes: list[Probe], *answers: dict[str, float], alive: set[str] | None = None) -> list[Candidate]:
    """Match against told answers; everybody is alive unless said."""
    return list(
        match(probes, Scores(*answers), LIMITS, lambda ids: ids if alive is None else alive & set(ids))
    )


def test_the_nearest_is_nobody_below_the_threshold() -> None:
    assert found([seen(0)], {"a": 0.39}) == []


def test_bands() -> None:
    assert [c.band for c in found([seen(0)], {"a": 0.45})] == [Band.REVIEW]
    (sure,) = found([seen(0)], {"a": 0.7, "b": 0.1})
    assert (sure.band, sure.margin) == (Band.ALERT, pytest.approx(0.6))


def test_one_bad_frame_convicts_nobody() -> None:
    assert found([seen(0, 1, 2, 3)], {"a": 0.9}, {"a": 0.1}, {"a": 0.1}, {"a": 0.1}) == []


def test_frames_count_by_their_quality() -> None:
    probe = seen(0, 1)
    probe.qualities[:] = [0.9, 0.1]
    (candidate,) = found([probe], {"a": 0.8}, {"a": 0.0})
    assert candidate.score == pytest.approx(0.72)


def test_of_two_faces_in_one_frame_the_better_keeps_the_name() -> None:
    (candidate,) = found([seen(0), seen(1)], {"a": 0.65}, {"a": 0.9})
    assert candidate.score == pytest.approx(0.9)


def test_one_person_may_appear_twice_in_a_video() -> None:
    probes = [seen(0, start=0, end=2), seen(1, start=5, end=7)]
    assert len(found(probes, {"a": 0.8}, {"a": 0.9})) == 2


def test_twins_both_go_to_a_human() -> None:
    both = found([seen(0)], {"a": 0.80, "b": 0.78})
    assert {c.subject_id: c.band for c in both} == {"a": Band.REVIEW, "b": Band.REVIEW}
    (verdict, _) = score(both, NOT_ASSESSED)
    assert any("nearly as similar" in said for said in verdict.against)


def test_a_poor_face_goes_to_a_human_however_high_it_scores() -> None:
    (candidate,) = found([seen(0, quality=0.25)], {"a": 0.95})
    assert candidate.band is Band.REVIEW


def test_the_erased_do_not_match() -> None:
    assert found([seen(0)], {"a": 0.9}, alive=set()) == []


def test_neighbouring_turns_are_one_stretch_and_edges_of_others_are_cut_off() -> None:
    turns = [heard(0, 0, 3), heard(1, 1.5, 4.5), heard(2, 3, 6), heard(3, 20, 23)]
    answers = [{"a": 0.45}, {"a": 0.9}, {"a": 0.8}, {"a": 0.7}]
    stretch, later = found(turns, *answers)
    assert stretch.appearance.span == Span(1.5, 6.0)
    assert stretch.score == pytest.approx(0.85)
    assert later.appearance.span == Span(20, 23)


def test_face_and_voice_that_agree_are_sure_together() -> None:
    both = found([seen(0), heard(0, 0, 3)], {"a": 0.5})
    assert {c.band for c in both} == {Band.REVIEW}
    (verdict,) = score(both, NOT_ASSESSED)
    assert verdict.band is Band.ALERT
    assert (len(verdict.face), len(verdict.voice)) == (1, 1)
    assert score(found([seen(0)], {"a": 0.5}), NOT_ASSESSED)[0].band is Band.REVIEW
