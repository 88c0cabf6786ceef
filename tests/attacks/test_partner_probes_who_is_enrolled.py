"""A partner pushes pictures of people to find out who is enrolled: by the answer, its headers, or its time.

The answer is made before anybody looks, from rows that know nothing of a match; and the same bytes are
sealed and stored for what was seen before, so that time says nothing either.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sqlmodel import select

from monitor.db import reading, writing
from monitor.tables import Finding, MediaItem
from tests.alerts import scene
from tests.monitor.partners.partner import Partner, item, png

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

ROUNDS = 60
"""Pushes of each kind, in turns, so that a busy machine disturbs both alike."""

CHANCE = 1e-4
"""Of a difference by chance alone. A match that cost 0.1 of a deviation more would show in thousands of
pushes; one that was looked up, or that spared the sealing, shows in these."""


@pytest.fixture(scope="module")
def partner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Partner]:
    with Partner.at(tmp_path_factory.mktemp("partners")) as partner:
        yield partner


def _shape(answer: httpx.Response) -> tuple[object, ...]:
    said = answer.json()
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return (
        answer.status_code,
        headers,
        {name: type(value) for name, value in said.items()},
        len(answer.content),
    )


def _looked_at(partner: Partner, contents: list[bytes], *, found: bool) -> None:
    """Make the pictures known and done, of somebody enrolled or of nobody."""
    for number, content in enumerate(contents):
        partner.push(f"{'found' if found else 'plain'}-{number:03}", content)
    subject = scene.subject(partner.engine, partner.keks) if found else None
    with writing(partner.engine) as session:
        for row in session.exec(select(MediaItem).where(MediaItem.state == "received")).all():
            row.state, row.gallery_seq = "done", 10**9
            if subject is not None:
                session.add(
                    Finding(
                        id=row.id,
                        subject_id=subject,
                        media_id=row.id,
                        model_id="m",
                        band="alert",
                        sealed=b"x",
                    )
                )


def test_what_is_answered_does_not_say_whether_somebody_was_found(partner: Partner) -> None:
    _looked_at(partner, [png(1000)], found=True)
    _looked_at(partner, [png(2000)], found=False)
    with reading(partner.engine) as session:
        assert len(session.exec(select(Finding)).all()) == 1
    answers = [partner.push(f"probe-{n}", png(n)) for n in (1000, 2000, 3000)]
    lines = [partner.batch(item(f"lines-{n}", png(n))).json()["items"][0] for n in (1000, 2000, 3000)]

    assert _shape(answers[0]) == _shape(answers[1]) == _shape(answers[2])
    assert len({tuple(line) for line in lines}) == len({line["status"] for line in lines}) == 1
    said = json.dumps([answer.json() for answer in answers] + lines + [partner.status()])
    for word in ("match", "finding", "subject", "seen", "score", "media_id", "sha256"):
        assert word not in said


def _seconds(partner: Partner, key: str, content: bytes) -> float:
    body = json.dumps(item(key, content)).encode()
    headers = {"content-type": "application/json", **partner.signed(body)}
    began = time.perf_counter()
    answer = partner.browser.post(f"/v1/feeds/{partner.name}/items", content=body, headers=headers)
    took = time.perf_counter() - began
    assert answer.status_code == 202
    return took


def test_how_long_it_takes_does_not_say_so_either(partner: Partner) -> None:
    """A known match, a known stranger and something new, in random turns: no pair can be told apart."""
    partner.add("clock")
    found = [png(10_000 + n) for n in range(ROUNDS)]
    plain = [png(20_000 + n) for n in range(ROUNDS)]
    fresh = [png(30_000 + n) for n in range(ROUNDS)]
    partner.batch(*(item(f"known-{n}", content) for n, content in enumerate(found + plain)))
    subject = scene.subject(partner.engine, partner.keks)
    by_digest = {hashlib.sha256(content).hexdigest() for content in found}
    with writing(partner.engine) as session:
        for row in session.exec(select(MediaItem).where(MediaItem.state == "received")).all():
            row.state, row.gallery_seq = "done", 10**9
            if row.sha256 in by_digest:
                finding = {"subject_id": subject, "media_id": row.id, "model_id": "m", "band": "alert"}
                session.add(Finding(id=row.id, sealed=b"x", **finding))
    times: dict[str, list[float]] = {"found": [], "plain": [], "fresh": []}
    chance = np.random.default_rng(7)
    for number in range(ROUNDS):
        kinds = list(zip(times, (found[number], plain[number], fresh[number]), strict=True))
        for place in chance.permutation(3):
            name, content = kinds[place]
            times[name].append(_seconds(partner, f"again-{name}-{number}", content))
    for one, other in (("found", "plain"), ("found", "fresh"), ("plain", "fresh")):
        assert mannwhitneyu(times[one], times[other]).pvalue > CHANCE, (one, other)
