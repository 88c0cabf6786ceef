"""Sets of templates: the rule against its twin, what moves a centroid, lookalikes, and broken vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor import gallery_shelves
from monitor.errors import BadVector, ModelMismatch
from monitor.gallery_sets import CENTRED, HANDICAP, Compared, Entry, FlatSets
from monitor.values import SubjectId, TemplateId
from tests.enrollment.people import SIZE, TwinGallery, unit_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHE, OTHER = SubjectId("she"), SubjectId("other")
AXES = np.eye(SIZE, dtype=np.float32)


def entry(subject_id: SubjectId, name: str, vector: NDArray[np.float32], quality: float = 1.0) -> Entry:
    return Entry(subject_id, TemplateId(name), vector, quality)


def between(cosine: float) -> NDArray[np.float32]:
    """Point so far away from the first axis."""
    return np.asarray(cosine * AXES[0] + math.sqrt(1 - cosine**2) * AXES[1], np.float32)


def test_a_dropped_template_leaves_the_set_as_if_it_had_never_been(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_shelves, "SHELF_ROWS", 8)
    vectors, probes = np.split(unit_vectors(np.random.default_rng(5), 12), 2)
    sets, without = FlatSets(SIZE), FlatSets(SIZE)
    for number, vector in enumerate(vectors):
        one = entry((SHE, OTHER)[number % 2], f"t{number}", vector, 0.2 + 0.1 * number)
        sets.add([one])
        if number not in {0, 1, 3, 5}:
            without.add([one])
    for number in (0, 1, 3, 5):
        assert sets.drop((SHE, OTHER)[number % 2], f"t{number}")
        assert not sets.drop((SHE, OTHER)[number % 2], f"t{number}")
    found, right = sets.compare(probes, 5), without.compare(probes, 5)
    assert (len(sets), found.subjects) == (2, 1)
    for line, expected in zip(found.nearest, right.nearest, strict=True):
        assert [one.subject_id for one in line] == [one.subject_id for one in expected] == [SHE]
        np.testing.assert_allclose([one.score for one in line], [one.score for one in expected], atol=1e-6)
    sets.add([entry(OTHER, "t9", vectors[1])])
    assert sets.compare(vectors[1:2], 1).nearest[0][0].score == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("handicap", [math.inf, HANDICAP])
def test_sets_agree_with_the_brute_force_twin(handicap: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery_shelves, "SHELF_ROWS", 8)
    rng = np.random.default_rng(1)
    sets, twin = FlatSets(SIZE, handicap), TwinGallery(handicap)
    people = [SubjectId(f"s{number}") for number in range(30)]
    for number, person in enumerate(people):
        for shot, vector in enumerate(unit_vectors(rng, 1 + number % 6)):
            quality = float(rng.uniform(0.1, 1.0))
            assert sets.add([entry(person, f"{person}.{shot}", vector, quality)]) == 1
            twin.add(person, f"{person}.{shot}", vector, quality)
        for shot, vector in enumerate(unit_vectors(rng, number % 3)):
            assert sets.learn(entry(person, f"{person}-{shot}", vector))
            twin.learn(person, vector)
    probes = unit_vectors(rng, 20)
    for gone in (None, people[0], people[7], people[29]):
        if gone is not None:
            sets.remove(gone)
            twin.remove(gone)
        for k in (1, 3, 100):
            twin.must_agree(sets.compare(probes, k), probes, k)
        alone = sets.against(probes, [*people, SubjectId("nobody")])
        assert alone.keys() == twin.sets.keys()
        for person, line in alone.items():
            for probe, one in zip(probes.astype(np.float64), line, strict=True):
                _, score, lookalike = twin.score(person, probe)
                assert (one.score, one.lookalike) == pytest.approx((score, lookalike), abs=1e-6)


def test_a_better_sample_weighs_more_in_the_centroid() -> None:
    sets = FlatSets(SIZE, handicap=2.0)  # the centroid alone
    sets.add([entry(SHE, "good", AXES[0], 0.9), entry(SHE, "poor", AXES[1], 0.3)])
    ((good,), (poor,)) = sets.compare(AXES[:2], 1).nearest
    expected = 3 / math.sqrt(10) - CENTRED, 1 / math.sqrt(10) - CENTRED
    assert (good.score, poor.score) == pytest.approx(expected)


def test_one_more_sample_moves_the_centroid_at_once() -> None:
    sets = FlatSets(SIZE, handicap=2.0)  # the centroid alone
    sets.add([entry(SHE, "a", AXES[0])])
    assert sets.compare(AXES[:1], 1).nearest[0][0].score == pytest.approx(1.0)
    sets.add([entry(SHE, "b", AXES[1])])
    assert sets.compare(AXES[:1], 1).nearest[0][0].score == pytest.approx(math.sqrt(0.5) - CENTRED)
    assert (len(sets), sets.subjects) == (2, 1)


def test_an_exemplar_counts_less_its_handicap() -> None:
    sets = FlatSets(SIZE, handicap=0.1)
    sets.add([entry(SHE, "a", AXES[0]), entry(SHE, "b", AXES[1])])
    assert sets.compare(AXES[:1], 1).nearest[0][0].score == pytest.approx(0.9)


def test_samples_that_cancel_each_other_out_have_the_best_one_for_a_centroid() -> None:
    sets = FlatSets(SIZE)
    sets.add([entry(SHE, "a", AXES[0], 0.5), entry(SHE, "b", -AXES[0], 0.5)])
    assert sets.compare(AXES[:1], 1).nearest[0][0].score == pytest.approx(1.0 - CENTRED)


def test_a_sample_of_no_quality_still_makes_a_set() -> None:
    sets = FlatSets(SIZE)
    sets.add([entry(SHE, "a", AXES[0], 0.0)])
    assert sets.compare(AXES[:1], 1).nearest[0][0].score == pytest.approx(1.0)


def test_what_is_known_is_passed_over() -> None:
    sets = FlatSets(SIZE)
    assert sets.add([entry(SHE, "a", AXES[0])]) == 1
    assert sets.add([entry(SHE, "a", AXES[1])]) == 0
    assert sets.learn(entry(SHE, "x", AXES[2]))
    assert not sets.learn(entry(SHE, "x", AXES[2]))
    sets.remove(SHE)
    assert sets.add([entry(SHE, "b", AXES[0])]) == 0
    assert not sets.learn(entry(SHE, "y", AXES[0]))
    assert sets.remove(SHE) == 0


def test_a_lookalike_is_compared_until_it_is_unlearnt() -> None:
    sets = FlatSets(SIZE)
    sets.learn(entry(SHE, "x", between(0.6)))  # known before her first template: no set, and no error
    assert sets.compare(AXES[:1], 1) == Compared(0, ((),))
    assert sets.against(AXES[:1], [SHE]) == {}
    sets.add([entry(SHE, "a", AXES[0]), entry(OTHER, "b", AXES[0])])
    told = {one.subject_id: one.lookalike for one in sets.compare(AXES[:1], 2).nearest[0]}
    assert told == {SHE: pytest.approx(0.6), OTHER: -1.0}
    assert sets.unlearn("x")
    assert not sets.unlearn("x")
    assert [one.lookalike for one in sets.compare(AXES[:1], 2).nearest[0]] == [-1.0, -1.0]


BROKEN = {
    "not a number": np.full(SIZE, np.nan, np.float32),
    "infinite": np.full(SIZE, np.inf, np.float32),
    "so large that its length overflows": np.full(SIZE, 3e38, np.float32),
    "zero": np.zeros(SIZE, np.float32),
    "twice as long": 2 * AXES[0],
    "one number of it is not": np.where(np.arange(SIZE) == 3, np.nan, AXES[0]).astype(np.float32),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_broken_vectors_neither_get_in_nor_are_compared(broken: NDArray[np.float32]) -> None:
    sets = FlatSets(SIZE)
    sets.add([entry(OTHER, "b", AXES[0])])
    with pytest.raises(BadVector):
        sets.add([entry(SHE, "a", AXES[1]), entry(SHE, "bad", broken)])
    with pytest.raises(BadVector):
        sets.learn(entry(OTHER, "bad", broken))
    probes = np.stack([AXES[0], broken])
    for refuses in (lambda: sets.compare(probes, 1), lambda: sets.against(probes, [OTHER])):
        with pytest.raises(BadVector) as caught:
            refuses()
        assert caught.value.code == "bad_vector"
    assert (len(sets), sets.subjects) == (1, 1)
    assert [one.subject_id for one in sets.compare(AXES[:1], 5).nearest[0]] == [OTHER]


def test_a_vector_of_another_size_does_not_get_in() -> None:
    sets = FlatSets(SIZE)
    for refuses in (sets.add, lambda entries: sets.learn(entries[0])):
        with pytest.raises(ModelMismatch):
            refuses([entry(SHE, "a", np.eye(1, SIZE + 1, dtype=np.float32)[0])])


def test_what_is_erased_unlearnt_or_outgrown_is_overwritten() -> None:
    """Look into every block that ever held a vector, as a core dump would, while it is still held here."""
    rng = np.random.default_rng(2)
    sets = FlatSets(SIZE)
    templates, lookalikes = unit_vectors(rng, 9), unit_vectors(rng, 9)
    blocks: list[NDArray[np.float32]] = []
    for number in range(9):
        sets.add([entry(SHE, f"a{number}", templates[number], 0.5)])
        sets.learn(entry(SHE, f"x{number}", lookalikes[number]))
        own = sets._sets[SHE]
        blocks += [own.exemplars._held, own.lookalikes._held]
    sets.add([entry(OTHER, "b", AXES[0])])
    centroids = sets._centroids._shelves[0]
    centroid = centroids[0].copy()
    sets.unlearn("x0")
    assert not holds(blocks, lookalikes[0])
    assert holds(blocks, lookalikes[1])
    assert sets.remove(SHE) == 9
    assert all(not block.any() for block in blocks)
    assert not holds([centroids], centroid)
    assert not centroids[1:].any()
    assert not sets._scratch.any()
    assert sets.compare(AXES[:1], 5).nearest[0][0].subject_id == OTHER


def test_clearing_overwrites_everything() -> None:
    sets = FlatSets(SIZE)
    sets.add([entry(SHE, "a", AXES[0])])
    sets.learn(entry(SHE, "x", AXES[1]))
    own, shelf = sets._sets[SHE], sets._centroids._shelves[0]
    sets.clear()
    assert not own.exemplars._held.any()
    assert not own.lookalikes._held.any()
    assert not shelf.any()
    assert (len(sets), sets.subjects) == (0, 0)
    assert sets.add([entry(SHE, "a", AXES[0])]) == 1  # cleared is not erased: it is loaded again


def test_sets_do_not_travel() -> None:
    with pytest.raises(TypeError, match="never pickled"):
        FlatSets(SIZE).__reduce__()
    with pytest.raises(TypeError, match="never pickled"):
        gallery_shelves.Shelves(SIZE).__reduce__()


def holds(blocks: list[NDArray[np.float32]], vector: NDArray[np.float32]) -> bool:
    """Say whether a quarter of the vector stands in one of the blocks."""
    part = vector[: SIZE // 4].tobytes()
    return any(part in block.tobytes() for block in blocks)
