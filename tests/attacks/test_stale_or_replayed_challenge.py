"""A clip that comes too late, was given before, or answers another challenge never lets anybody in."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from enrollment.given import State as Sample
from enrollment.identity import challenges
from enrollment.identity.check import _replay, check_due
from enrollment.identity.draw import FRESH_FOR, draw
from enrollment.identity.turns import Turn
from enrollment.identity.verdict import GOES_ON, State
from enrollment.proofs import is_fresh
from enrollment.samples import Reader
from enrollment.tables import GivenSample, SeenClip
from monitor.db import reading, writing
from monitor.errors import ChallengeOver
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.values import Modality
from tests.assets.remembering import Memory, memory_of_the_run, remembering
from tests.enrollment.identity.sitter import ASKED, Room, Sitter, sitter
from tests.enrollment.newcomer import begun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.ml.interfaces import Pack


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    """Open what the tests of this run remember together."""
    found = memory_of_the_run(tmp_path_factory)
    yield found
    found.close()


@pytest.fixture(scope="module")
def pack(pack: Pack, memory: Memory) -> Pack:
    """Give the real default models, each asked once in a run about each frame and each sound."""
    return remembering(pack, memory)


@pytest.fixture(scope="module")
def victim(data: Path, pack: Pack) -> Sitter:
    """Seat the one whose genuine clip, which answers what stands in ASKED, fell into wrong hands."""
    return sitter(data, pack)


@pytest.fixture
def room(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore, pack: Pack, victim: Sitter
) -> Iterator[Room]:
    """Give a room in which somebody gave the victim's pictures and recordings as samples."""
    with Decoder(DecodeLimits()) as decoder:
        room = Room(sqlite_engine, keys, blobs, Reader(pack, decoder, 2**26))
        room.give_samples(pack, victim)
        yield room


def test_a_clip_that_begins_to_come_after_a_minute_is_not_taken(room: Room, blobs: BlobStore) -> None:
    view = room.begin()
    before = set(blobs.ids())
    room.clock += FRESH_FOR + timedelta(seconds=1)
    with pytest.raises(ChallengeOver):
        room.hand_in(b"made at leisure", view)
    assert set(blobs.ids()) == before
    assert room.row.state == State.DRAWN
    assert challenges.view_of(room.row, room.now()).state is State.EXPIRED


def test_the_worker_may_be_late(room: Room) -> None:
    room.answer(b"no video")
    room.clock += timedelta(minutes=30)
    assert check_due(room.desk) == 1
    assert room.row.state == State.REFUSED


def test_the_same_bytes_are_known_again_by_whomever_they_are_given(
    room: Room, memory: Memory, pack: Pack, victim: Sitter
) -> None:
    # Given a genuine clip that was judged
    clip = victim.clip(memory)
    room.answer(clip)
    check_due(room.desk)
    assert room.row.state in GOES_ON
    # When it comes again, even in answer to the same digits, from somebody else
    room.who = begun(room.engine, room.keys, "stalker@example.org")
    room.give_samples(pack, victim)
    room.answer(clip)
    check_due(room.desk)
    # Then it is refused, and only a keyed digest of it was kept
    assert room.row.state == State.REFUSED
    assert "replayed" in room.report()["codes"]
    with reading(room.engine) as session:
        [seen] = session.exec(select(SeenClip))
    assert seen.lookup == room.takers.lookups.clip(clip)
    room.clock += timedelta(seconds=5)
    # And encoded anew, in answer to what was drawn for them, it says the wrong things
    room.answer(victim.clip(memory, bits=600_000), draw("en", ("en",), lambda values: values[-1]))
    check_due(room.desk)
    assert room.row.state == State.REFUSED
    assert {"digits_other", "turns_wrong"} & set(room.report()["codes"])


def test_a_clip_that_was_given_as_a_sample_is_a_replay(room: Room) -> None:
    lookup = room.takers.lookups.clip(b"the sample itself")
    with writing(room.engine) as session:
        session.add(
            GivenSample(
                id="s", subject_id=room.who, modality=Modality.FACE, clip_lookup=lookup, state=Sample.REFUSED
            )
        )
    with writing(room.engine) as session:
        assert _replay(session, room.desk, lookup).code == "replayed"


def test_a_proof_does_not_cover_samples_that_came_after_it(room: Room) -> None:
    # Given somebody who was proved with their own face
    challenges.attest(room.engine, room.keys, room.who, "operator:ada", "met", room.now())
    with reading(room.engine) as session:
        assert is_fresh(session, room.who, room.now())
    # When a picture of another person comes afterwards
    with writing(room.engine) as session:
        session.add(
            GivenSample(
                id="later",
                subject_id=room.who,
                modality=Modality.FACE,
                clip_lookup="other",
                state=Sample.USABLE,
                created_at=room.now() + timedelta(seconds=1),
            )
        )
    # Then the proof holds no more
    with reading(room.engine) as session:
        assert not is_fresh(session, room.who, room.now() + timedelta(seconds=2))


def test_guessing_what_will_be_drawn_is_hopeless() -> None:
    asked = {(drawn.turns, drawn.digits) for drawn in (draw("en", ("en",)) for _ in range(2000))}
    assert len(asked) > 1990
    assert (ASKED.turns, ASKED.digits) not in asked
    assert set(Turn) == {turn for turns, _ in asked for turn in turns}
