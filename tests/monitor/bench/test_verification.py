"""All against all, counted in bins and pair by pair, and the caps and shares that are made of it."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.bench.verification import PER_ONE, Embedded, all_pairs, capped, count_pairs, tar_at_far
from tests.monitor.bench.embedded import some_people


def test_all_pairs_agree_with_one_pair_at_a_time() -> None:
    embedded = some_people(20, 3, 15, noise=0.8)
    pairs = all_pairs(embedded)
    genuine, impostor = [], []
    for i in range(len(embedded.persons)):
        for j in range(i + 1, len(embedded.persons)):
            score = embedded.vectors[i] @ embedded.vectors[j]
            same = embedded.persons[i] == embedded.persons[j]
            (genuine if same else impostor).append(score)
    np.testing.assert_allclose(np.sort(pairs.genuine), np.sort(genuine), atol=1e-6)
    np.testing.assert_allclose(np.sort(pairs.impostor), np.sort(impostor), atol=1e-6)


def test_counted_pairs_agree_with_kept_ones_to_a_bin() -> None:
    embedded = some_people(40, 3, 600, noise=0.8)  # more rows than are compared at once
    kept, counted = all_pairs(embedded), count_pairs(embedded)
    assert counted.impostors == kept.impostors
    np.testing.assert_array_equal(counted.genuine, kept.genuine)
    for far in (1e-1, 1e-3, 1e-4):
        assert kept.threshold_at(far) <= counted.threshold_at(far) + 0.1 / PER_ONE
        assert counted.threshold_at(far) - kept.threshold_at(far) < 2 / PER_ONE
        assert counted.far_at(np.array([counted.threshold_at(far)]))[0] <= far
    assert counted.far_at(np.array([-1.0, 2.0])).tolist() == [1.0, 0.0]


def test_strangers_with_one_and_the_same_picture_never_pass() -> None:
    same = Embedded(np.eye(4, dtype=np.float32)[np.zeros(50, int)], np.arange(50))
    assert count_pairs(same).threshold_at(0.5) > 1


def test_too_few_counted_impostors_for_a_rate_are_refused() -> None:
    with pytest.raises(ValueError, match="impostor scores cannot show"):
        count_pairs(some_people(3, 2, 0, noise=0.1)).threshold_at(1e-4)


def test_a_face_that_was_not_found_is_a_miss_and_no_impostor() -> None:
    embedded = some_people(4, 2, 0, noise=0.1)
    embedded.vectors[0] = np.nan
    for pairs in (all_pairs(embedded), count_pairs(embedded)):
        assert (pairs.genuine == -1).sum() == 1
        assert pairs.impostors == 24 - 6  # of four people with two pictures, less the pairs of the lost one


def test_recognition_without_errors_gives_ones_and_by_chance_gives_little() -> None:
    sharp = tar_at_far(count_pairs(some_people(30, 3, 60, noise=0.05)), 1e-3, seed=0)
    assert sharp.of_pairs.value == sharp.of_people.value == 1.0
    blurred = tar_at_far(count_pairs(some_people(30, 3, 60, noise=50.0)), 1e-3, seed=0)
    assert blurred.of_pairs.value < 0.1


def test_a_cap_keeps_so_many_pictures_of_each_person_and_the_same_ones_again() -> None:
    embedded = some_people(5, 20, 3, noise=0.1)
    few = capped(embedded, 10, seed=1)
    assert np.bincount(few.persons).tolist() == [10] * 5 + [1] * 3
    np.testing.assert_array_equal(few.vectors, capped(embedded, 10, seed=1).vectors)
    assert not np.array_equal(few.vectors, capped(embedded, 10, seed=2).vectors)
