"""Somebody registers a picture of somebody else, or a forged one, as an original of their own.

They could hope to learn what is found of the other, to have a genuine picture of the other called a forgery,
or their own forgery called genuine. An original is asked about sightings of the one who registered it, and
of nobody else; and it answers only how a sighting differs from what was registered.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlmodel import select

from enrollment import originals, registering
from enrollment.samples import Reader
from monitor.db import reading
from monitor.originals.known import Shelf
from monitor.originals.outcomes import SAME_LLR
from monitor.originals.scorer import KnownOriginals
from monitor.originals.tables import KnownOriginal
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.values import Abstention
from tests.enrollment.applicant import ANA
from tests.enrollment.residents import Residents, residents
from tests.monitor.originals.conftest import SOMEWHERE, Bench, jpeg, scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.values import Signal, SubjectId

MALLORY = "mallory@example.org"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Residents]:
    """Give a town whose worker can decode."""
    with Decoder(DecodeLimits()) as decoder:
        for there in residents(tmp_path / "home"):
            there.desk = replace(there.desk, reader=Reader(_no_models(), decoder, 2**24))
            yield there


def _no_models() -> object:
    """Stand for models: an original is looked at without any."""
    return None


def register(town: Residents, email: str, picture: bytes) -> None:
    answer = town.browsers[email].post("/account/originals", files={"original": ("a.jpg", picture)})
    assert answer.status_code == 303
    assert registering.register_due(town.desk) == 1


def assessed(town: Residents, who: SubjectId, picture: bytes) -> Signal:
    decoder = town.desk.reader.decoder
    shelf = Shelf(town.town.engine, town.town.keys, town.blobs)
    return KnownOriginals(shelf, decoder).assess(Bench(decoder).sighting(picture, SOMEWHERE, who))


def test_it_says_nothing_of_sightings_of_anybody_else(town: Residents) -> None:
    ana, mallory = town.watched(), town.watched(MALLORY)
    genuine = scene(1)
    forged = genuine.copy()
    forged[100:180, 150:250] = scene(2)[100:180, 150:250]
    # 1  a forgery as "original": ana's genuine picture is not called changed
    register(town, MALLORY, jpeg(forged))
    assert assessed(town, ana, jpeg(genuine, 80)).abstains is Abstention.NO_ORIGINAL
    # 2  nor is the forgery called genuine, in a sighting of her
    found = assessed(town, ana, jpeg(forged, 80))
    assert (found.llr, found.abstains, found.reasons) == (None, Abstention.NO_ORIGINAL, ())
    # 3  what it does say, it says of sightings of the one who registered it
    assert assessed(town, mallory, jpeg(forged, 80)).llr == SAME_LLR
    # 4  and ana's own original tells her of the forgery, whatever mallory registered
    register(town, ANA, jpeg(genuine))
    own = assessed(town, ana, jpeg(forged, 80))
    assert own.llr is not None
    assert own.llr > 0


def test_neither_page_nor_row_tells_that_two_people_registered_one_picture(town: Residents) -> None:
    town.watched()
    town.watched(MALLORY)
    picture = jpeg(scene(1))
    register(town, ANA, picture)
    register(town, MALLORY, picture)
    pages = [town.browsers[one].get("/account/originals").text for one in (ANA, MALLORY)]
    with reading(town.town.engine) as session:
        rows = session.exec(select(KnownOriginal)).all()
    assert len(rows) == 2
    for column in ("lookup", "blob_id", "sealed_said", "sealed_marks", "sealed_key"):
        assert getattr(rows[0], column) != getattr(rows[1], column)
    for row, page in zip(rows, reversed(pages), strict=True):
        other = next(one for one in rows if one is not row)
        assert (row.id in page) != (other.id in page)


def test_a_row_put_into_another_persons_list_is_not_compared(town: Residents) -> None:
    """Somebody who can write to the database moves or copies their original over to their victim's."""
    ana, mallory = town.watched(), town.watched(MALLORY)
    picture = jpeg(scene(1))
    register(town, MALLORY, picture)
    shelf = Shelf(town.town.engine, town.town.keys, town.blobs)
    assert len(shelf.known(mallory)) == 1
    with town.town.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE known_original SET subject_id = ?", (ana,))
    assert shelf.known(ana) == ()
    assert assessed(town, ana, picture).abstains is Abstention.NO_ORIGINAL


def test_the_disk_of_the_service_shows_no_original_and_nothing_to_recognise_it_by(town: Residents) -> None:
    ana = town.watched()
    picture = jpeg(scene(1))
    register(town, ANA, picture)
    shelf = Shelf(town.town.engine, town.town.keys, town.blobs)
    [known] = shelf.known(ana)
    disk = b"".join(one.read_bytes() for one in town.desk.settings.home.rglob("*") if one.is_file())
    assert ana.encode() in disk, "else this says nothing"
    points = known.marks.points[0]
    for secret in (picture[300:316], known.marks.hashes[0].tobytes(), points.looks[3].tobytes()[:32]):
        assert len(np.unique(np.frombuffer(secret, np.uint8))) > 3
        assert secret not in disk
        assert secret.hex().encode() not in disk
        assert base64.b64encode(secret)[:-4] not in disk
    with reading(town.town.engine) as session:
        view = originals.listing(session, town.town.keys, ana)
    assert [one.name for one in view] == ["a.jpg"]
    assert b"a.jpg" not in disk
