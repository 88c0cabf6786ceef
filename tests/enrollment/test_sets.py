"""Whether samples are one person's: the odd one out, the double, the set that is there already."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from enrollment.samples import Looked, Sample
from enrollment.sets import advice, agreeing, different, in_words
from monitor.errors import NoFace, OtherPerson
from monitor.values import Modality
from tests.enrollment.people import MODEL, unit_vectors

ADA, EVE = unit_vectors(np.random.default_rng(5), 2)


class Limits:
    """Thresholds of a pack of random vectors. A fake, for unit tests only."""

    review = 0.4


LIMITS = {Modality.FACE: Limits(), Modality.VOICE: Limits()}


def near(vector: np.ndarray, seed: int, share: float = 0.6) -> np.ndarray:
    """Make another vector of the same person."""
    other = unit_vectors(np.random.default_rng(seed), 1)[0]
    mixed = share * vector + (1 - share) * other
    return (mixed / np.linalg.norm(mixed)).astype(np.float32)


def looked(name: str, vector: np.ndarray, modality: Modality = Modality.FACE) -> Looked:
    return Looked(Path(name), modality, Sample(name, modality, MODEL, vector, 0.9, b""))


def refused(found: list[Looked]) -> list[str]:
    return [one.path.name for one in found if isinstance(one.error, OtherPerson)]


def test_the_odd_one_out_is_named_and_the_others_stay() -> None:
    found = agreeing(
        [looked("a", near(ADA, 1)), looked("eve", near(EVE, 2)), looked("b", near(ADA, 3))], LIMITS, {}
    )
    assert refused(found) == ["eve"]
    assert found[1].sample is None
    assert "person in" in str(found[1].error)


def test_of_two_that_disagree_nobody_says_which_one_is_right() -> None:
    found = agreeing([looked("a", ADA), looked("eve", EVE)], LIMITS, {})
    assert refused(found) == ["a", "eve"]
    assert "eve" in str(found[0].error)
    pairs = [looked("a", ADA), looked("b", near(ADA, 2, 0.9))]
    pairs += [looked("c", EVE), looked("d", near(EVE, 4, 0.9))]
    assert len(refused(agreeing(pairs, LIMITS, {}))) == 4


def test_faces_are_never_held_against_voices() -> None:
    found = agreeing([looked("a", ADA), looked("v", EVE, Modality.VOICE)], LIMITS, {})
    assert refused(found) == []


def test_the_enrolled_set_says_who_the_person_is() -> None:
    known = {Modality.FACE: np.stack([near(ADA, 1), near(ADA, 2)])}
    files = [looked("e1", near(EVE, 3)), looked("e2", near(EVE, 4)), looked("a", near(ADA, 5))]
    found = agreeing(files, LIMITS, known)
    assert refused(found) == ["e1", "e2"]
    assert "--attest" in found[0].error.hint  # type: ignore[union-attr]


def test_the_same_picture_again_is_taken_and_noted() -> None:
    again = near(ADA, 8, share=0.97)
    found = agreeing([looked("a", ADA), looked("again", again), looked("b", near(ADA, 3))], LIMITS, {})
    notes = [one.sample.notes for one in found if one.sample]
    assert [bool(one) for one in notes] == [False, True, False]
    assert "adds nothing" in notes[1][0]
    enrolled = agreeing([looked("again", again)], LIMITS, {Modality.FACE: ADA[None]})
    assert "enrolled" in enrolled[0].sample.notes[0]  # type: ignore[union-attr]


def test_what_was_refused_before_stays_as_it_is() -> None:
    poor = Looked(Path("x"), Modality.FACE, error=NoFace("no face was found"))
    assert agreeing([poor, looked("a", ADA)], LIMITS, {})[0] is poor


def test_three_different_ones_are_recommended() -> None:
    three = [looked(str(i), near(ADA, i)) for i in range(3)]
    assert advice(three, {}) == []
    assert "2 of 3" in advice(three[:2], {})[0]
    assert advice(three[:2], {Modality.FACE: near(ADA, 9)[None]}) == []
    assert "1 of 3" in advice([three[0], three[0], three[0]], {})[0]
    assert different([ADA, ADA, EVE]) == 2


@pytest.mark.parametrize(("quality", "word"), [(0.9, "good"), (0.6, "fair"), (0.36, "weak"), (0.0, "weak")])
def test_quality_has_a_word(quality: float, word: str) -> None:
    assert in_words(quality) == word
