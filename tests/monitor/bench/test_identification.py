"""Open set: the roles that people get, galleries of every size, and the service's rule for sets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.bench.identification import drawn, identified, open_set, roles
from tests.monitor.bench.embedded import some_people


def test_the_enrolled_are_found_and_strangers_kept_out() -> None:
    embedded = some_people(40, 4, 300, noise=0.1)
    looks = open_set(embedded, roles(embedded, 0), samples=1, size=0, seed=0)
    found = identified(looks, 0.01, seed=0)
    assert found.tpir.value == found.by_person.value == 1.0
    assert found.fnir.value == 0.0
    assert (found.tpir.n, found.threshold.n) == (40 * 3, 300)
    lost = some_people(40, 4, 300, noise=50.0)
    looks = open_set(lost, roles(lost, 0), samples=1, size=0, seed=0)
    assert identified(looks, 0.01, seed=0).tpir.value < 0.1


def test_more_samples_and_smaller_galleries_find_more() -> None:
    embedded = some_people(250, 6, 1000, noise=1.0)
    dealt = roles(embedded, 0)
    rates = [
        identified(open_set(embedded, dealt, samples, 0, 0), 0.01, 0).tpir.value for samples in (1, 2, 3, 5)
    ]
    assert rates == sorted(rates)
    small = open_set(embedded, dealt, 1, 100, 0)
    assert [gallery.enrolled for gallery in small] == [100, 100]
    assert identified(small, 0.01, 0).tpir.value > rates[0]


def test_several_draws_give_their_mean_and_are_steadier_than_one() -> None:
    embedded = some_people(60, 3, 300, noise=1.3)
    single = [
        identified(open_set(embedded, roles(embedded, s), 1, 0, s), 0.01, 0).tpir.value for s in range(12)
    ]
    of_four = [identified(drawn(embedded, 1, 0, s, 4), 0.01, 0, 4) for s in (0, 4, 8)]
    assert [one.tpir.value for one in of_four] == pytest.approx(np.reshape(single, (3, 4)).mean(axis=1))
    assert np.std([one.tpir.value for one in of_four]) < np.std(single)
    assert (of_four[0].tpir.n, of_four[0].threshold.n) == (60 * 2, 300)
    assert "mean of 4 draws" in of_four[0].tpir.unit
    assert of_four[0].tpir.low < of_four[0].tpir.value < of_four[0].tpir.high


def test_strangers_fill_up_a_gallery_that_is_too_large_and_are_strangers_no_more() -> None:
    embedded = some_people(50, 3, 400, noise=0.2)
    (gallery,) = open_set(embedded, roles(embedded, 0), 2, 200, 0)
    assert gallery.enrolled == 200
    assert len(gallery.strangers) == 400 - 150
    assert len(gallery.mated) == 50
    assert open_set(embedded, roles(embedded, 0), 2, 400, 0) == ()  # it would leave too few strangers


def test_where_everybody_has_several_pictures_some_are_strangers() -> None:
    embedded = some_people(60, 3, 0, noise=0.1)
    dealt = roles(embedded, 3)
    assert (len(dealt.known), len(dealt.strangers)) == (30, 30)
    assert not set(dealt.known) & set(dealt.strangers)


def test_the_enrolled_are_weighed_by_quality() -> None:
    embedded = some_people(30, 3, 200, noise=0.1)
    embedded.vectors[::3] = -embedded.vectors[::3]  # one bad picture of each person
    bad = np.ones(len(embedded.persons), np.float32)
    bad[::3] = 0.0
    rated = replace(embedded, qualities=bad)
    by_quality, plain = (
        identified(open_set(some, roles(some, 0), 2, 0, 0), 0.01, 0).tpir.value for some in (rated, embedded)
    )
    assert by_quality > plain


def test_a_look_that_found_no_face_is_a_miss() -> None:
    embedded = some_people(20, 3, 150, noise=0.05)
    embedded.vectors[:60:3] = np.nan
    looks = open_set(embedded, roles(embedded, 0), 1, 0, 0)
    assert identified(looks, 0.01, 0).fnir.value == pytest.approx(0.5)
    assert (looks[0].mated == -1).sum() == 20


def test_too_few_strangers_for_a_rate_are_refused() -> None:
    embedded = some_people(20, 3, 150, noise=0.05)
    with pytest.raises(ValueError, match="150 impostor scores"):
        identified(open_set(embedded, roles(embedded, 0), 1, 0, 0), 0.001, 0)
