"""Somebody with a photograph asks the service whether that face is enrolled, by enrolling it themselves.

Two newcomers do exactly the same; the face (or voice) of one is enrolled already. Until the cooling-off is
over no page, status, header or time may tell them apart, before and after the worker has looked.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydantic import SecretStr
from scipy.stats import mannwhitneyu
from sqlmodel import select

from enrollment.standing import Standing
from enrollment.tables import Account
from monitor.blobs import BlobStore
from monitor.crypto import new_key_line
from monitor.db import writing
from monitor.values import Modality
from tests.enrollment.applicant import URL, Town
from tests.enrollment.newcomers import Door, door_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import httpx
    from fastapi.testclient import TestClient

    from monitor.ml.interfaces import Pack

FREE, TAKEN = "free1@example.org", "taken@example.org"
"""Addresses of one length: pages that show them are as long."""

ROUNDS = 60
"""Requests of each of the two, in turn."""

PATHS = ("/enrol/done", "/enrol/start", "/enrol", "/account", "/account/looks", "/enrol/face", "/enrol/proof")


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town.at(tmp_path / "home", kek=SecretStr(new_key_line("k1")))
    yield town
    town.close()


@pytest.fixture
def door(town: Town, tmp_path: Path, pack: Pack) -> Iterator[Door]:
    with door_of(
        town.engine, town.keys, BlobStore(tmp_path / "home" / "blobs"), pack, public_url=URL
    ) as door:
        yield door


def differ(one: Sequence[float], other: Sequence[float]) -> bool:
    """Say whether two rows of times are of two kinds: a rank test, and medians further apart than noise.

    The rank test alone finds differences of microseconds that no network carries, and a burst of load on
    the machine; the medians alone find chance.
    """
    low, high = sorted((float(np.median(one)), float(np.median(other))))
    far = high - low > max(0.001, 0.2 * low)
    return far and float(mannwhitneyu(one, other).pvalue) < 1e-6


def two(town: Town, door: Door, modality: Modality) -> tuple[TestClient, TestClient]:
    """Bring two newcomers to the last button: one with a free face and voice, one with one that is taken."""
    mine = door.vectors(modality)
    own = {Modality.FACE: "face", Modality.VOICE: "voice"}[modality]
    door.enrolled("owner@example.org", **{own: mine})
    browsers = []
    for email, vectors in ((FREE, door.vectors(modality)), (TAKEN, door.again(mine))):
        browsers.append(town.signed_in(email))
        door.newcomer(email, subject_id=town.subject(email), **{own: vectors})
    return browsers[0], browsers[1]


def same_dates(town: Town) -> None:
    """Give both the same dates: they pressed in the same moment."""
    with writing(town.engine) as session:
        free, taken = (session.get_one(Account, town.subject(one)) for one in (FREE, TAKEN))
        for name in ("told_from", "proved_until", "seen_at", "created_at"):
            setattr(taken, name, getattr(free, name))


def bare(answer: httpx.Response) -> tuple[int, str, list[tuple[str, str]]]:
    """Give all that can be told of an answer, but for what is anybody's own: address, ids and times."""
    text = answer.text.replace(TAKEN, FREE)
    text = re.sub(r"[0-9a-f]{32}", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[:.\d]*|\d\d:\d\d(:\d\d)?", "TIME", text)
    headers = sorted((name, value) for name, value in answer.headers.items() if name != "set-cookie")
    return answer.status_code, text, headers


def times(ask: Callable[[TestClient], object], pair: Sequence[TestClient]) -> list[list[float]]:
    """Ask both in turn, and in the other order every second time; give the seconds of each."""
    taken: list[list[float]] = [[], []]
    for number in range(ROUNDS):
        for place in (0, 1) if number % 2 else (1, 0):
            began = time.perf_counter()
            ask(pair[place])
            taken[place].append(time.perf_counter() - began)
    return taken


@pytest.mark.parametrize("modality", list(Modality))
def test_no_page_tells_them_apart(town: Town, door: Door, modality: Modality) -> None:
    pair = two(town, door, modality)
    answers = [one.post("/enrol/start") for one in pair]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert bare(answers[0]) == bare(answers[1])
    for worked in (False, True):
        if worked:
            assert door.work() == 2
        same_dates(town)
        for path in PATHS:
            got = [bare(one.get(path)) for one in pair]
            assert got[0] == got[1], path
        again = [bare(one.post("/enrol/start")) for one in pair]
        assert again[0] == again[1]
    assert door.standing(town.subject(FREE)) is Standing.ACTIVE
    assert door.standing(town.subject(TAKEN)) is Standing.HELD
    assert {letter.to for letter in town.delivered()} <= {"owner@example.org"}


@pytest.mark.parametrize("modality", list(Modality))
def test_no_time_tells_them_apart(town: Town, door: Door, modality: Modality) -> None:
    pair = two(town, door, modality)
    clicks = times(lambda one: one.post("/enrol/start"), pair)
    assert not differ(*clicks)
    assert door.work() == 2
    for path in ("/enrol/done", "/account"):
        asked = times(lambda one, path=path: one.get(path), pair)  # type: ignore[misc]  # bound at once
        assert not differ(*asked), path


def test_after_the_cooling_off_the_held_one_reads_that_a_person_looks(town: Town, door: Door) -> None:
    """What can be learnt then: that something was in doubt, and not what."""
    pair = two(town, door, Modality.FACE)
    for one in pair:
        one.post("/enrol/start")
    assert door.work() == 2
    with writing(town.engine) as session:
        for account in session.exec(select(Account)):
            account.told_from = account.created_at
    free, taken = (one.get("/enrol/done").text for one in pair)
    assert "A person still has to look at it" in taken
    assert "A person still has to look at it" not in free
    for word in ("already", "is enrolled", "like yours", "a face", "a voice"):
        assert word not in taken


def test_the_statistic_finds_a_difference_where_there_is_one() -> None:
    rng = np.random.default_rng(1)
    quiet = list(0.01 + 0.002 * rng.random(ROUNDS))
    slow = list(0.014 + 0.002 * rng.random(ROUNDS))
    alike = list(0.01 + 0.002 * rng.random(ROUNDS))
    assert differ(quiet, slow)
    assert differ(slow, quiet)
    assert not differ(quiet, alike)
