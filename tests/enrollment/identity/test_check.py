"""The desk judges clips: real pictures, a real voice, a real recording; and one bad clip stops nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlmodel import select

from enrollment import erasure
from enrollment.desk import JUDGING_STALE_S, MOST_TRIES, Desk
from enrollment.given import State as Sample
from enrollment.identity import challenges, check
from enrollment.identity.challenges import PER_HOUR
from enrollment.identity.check import check_due
from enrollment.identity.draw import FRESH_FOR
from enrollment.identity.synthetic import open_scorer
from enrollment.identity.turns import Turn
from enrollment.identity.verdict import State
from enrollment.samples import Reader
from enrollment.tables import Challenge, GivenSample
from monitor import audit
from monitor.db import reading, writing
from monitor.errors import ChallengeOver, ChallengeTooEarly, EmptyMedia, ModelError, TooOften
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.tables import AuditEvent
from monitor.values import SubjectId
from tests.enrollment.identity.sitter import ASKED, HEARD, Room, Sitter, newest, sitter, voice_of
from tests.enrollment.newcomer import begun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.ml.interfaces import Pack
    from tests.assets.remembering import Memory


@pytest.fixture(scope="module")
def person(data: Path, pack: Pack) -> Sitter:
    """Seat somebody."""
    return sitter(data, pack)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    """Give the real decoder."""
    with Decoder(DecodeLimits()) as one:
        yield one


@pytest.fixture(scope="module")
def clip(person: Sitter, memory: Memory) -> bytes:
    """Give the one clip that is filmed here: they do what is asked in ASKED."""
    return person.clip(memory)


@pytest.fixture
def room(  # noqa: PLR0917 - fixtures
    sqlite_engine: Engine,
    keys: KeyEncryptionKeys,
    blobs: BlobStore,
    pack: Pack,
    decoder: Decoder,
    person: Sitter,
) -> Room:
    """Give a room with somebody who gave samples."""
    room = Room(sqlite_engine, keys, blobs, Reader(pack, decoder, 2**26))
    room.give_samples(pack, person)
    return room


def test_a_genuine_person_is_never_refused(room: Room, clip: bytes) -> None:
    # Given somebody who does what was drawn
    room.answer(clip)
    # When the worker comes to it
    assert check_due(room.desk) == 1
    # Then nothing speaks against them, and the sound side is content
    report = room.report()
    assert room.row.state in {State.PASSED, State.HELD}, report["codes"]
    by_check = {one["check"]: one["outcome"] for one in report["signs"]}
    assert by_check["digits"] == by_check["speech"] == by_check["speakers"] == "pass"
    assert by_check["turns"] == by_check["replay"] == "pass"
    asked = open_scorer(room.desk.settings) is not None  # its weights are in no registry
    assert report["not assessed"] == ([] if asked else ["synthetic_voice"])
    assert ("synthetic_voice" in {sign["check"] for sign in report["signs"]}) is asked
    assert room.row.ended_at is not None
    # And the record does not say how it ended
    with reading(room.engine) as session:
        events = session.exec(select(AuditEvent).where(AuditEvent.action == "challenge.judged")).all()
        assert len(events) == 1
        assert not {"passed", "held", "refused"} & set(str(events[0].detail).split('"'))
        audit.verify(session)


def test_wrong_digits_are_refused(room: Room, clip: bytes) -> None:
    room.answer(clip, replace(ASKED, digits="968254"))
    check_due(room.desk)
    assert room.row.state == State.REFUSED
    assert "digits_other" in room.report()["codes"]


def test_turns_in_another_order_are_refused(room: Room, clip: bytes) -> None:
    room.answer(clip, replace(ASKED, turns=(Turn.UP, Turn.LEFT, Turn.DOWN)))
    check_due(room.desk)
    assert room.row.state == State.REFUSED
    assert "turns_wrong" in room.report()["codes"]


def test_another_persons_voice_does_not_pass(room: Room, clip: bytes, pack: Pack, person: Sitter) -> None:
    # Given somebody whose voice samples are another speaker's
    room.who = begun(room.engine, room.keys, "other@example.org")
    room.give_samples(pack, replace(person, voices=voice_of("carlo", pack)))
    # When the clip comes
    room.answer(clip)
    check_due(room.desk)
    assert room.row.state in {State.REFUSED, State.HELD}
    assert {"voice_other", "voice_unsure"} & set(room.report()["codes"])


def test_what_is_no_video_is_refused_and_stops_nobody(room: Room) -> None:
    room.answer(b"RIFF....this is no video at all")
    assert check_due(room.desk) == 1
    assert room.row.state == State.REFUSED
    assert check_due(room.desk) == 0


def test_one_bad_clip_does_not_stop_the_next(
    room: Room, monkeypatch: pytest.MonkeyPatch, pack: Pack, person: Sitter
) -> None:
    # Given two people who wait, and a judge that breaks at the first
    first = room.who
    room.answer(b"breaks")
    room.who = begun(room.engine, room.keys, "other@example.org")
    room.give_samples(pack, person)
    room.answer(b"no video")
    real = check.judge

    def breaking(judges: Any, clip: bytes, *more: Any) -> Any:
        if clip == b"breaks":
            msg = "a fault of ours"
            raise ZeroDivisionError(msg)
        return real(judges, clip, *more)

    monkeypatch.setattr(check, "judge", breaking)
    # When the desk works on
    for _ in range(MOST_TRIES + 1):
        check_due(room.desk)
    # Then the one is over, as nobody's fault, and the other was judged
    assert room.row.state == State.REFUSED
    failed = newest(room.engine, first)
    assert (failed.state, failed.tries) == (State.FAILED, MOST_TRIES)


def test_models_that_are_missing_are_tried_again_and_then_nobody_could_look(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        msg = "the weights are away"
        raise ModelError(msg)

    monkeypatch.setattr(check, "judge", missing)
    room.answer(b"any")
    check_due(room.desk)
    assert room.row.state in {State.WAITING, State.FAILED}
    for _ in range(MOST_TRIES):
        check_due(room.desk)
    assert room.row.state == State.FAILED


def test_a_worker_that_died_loses_its_clip_and_one_that_kills_is_left_alone(room: Room) -> None:
    room.answer(b"kills whoever looks")
    for tries in range(1, MOST_TRIES + 1):
        assert check._claim(room.desk) is not None
        assert check._claim(room.desk) is None
        assert room.row.tries == tries
        room.clock += timedelta(seconds=JUDGING_STALE_S + 1)
    assert check_due(room.desk) == 0
    assert room.row.state == State.FAILED
    assert room.report()["codes"] == ["worker_died"]


def test_a_clip_waits_for_samples_that_are_being_judged(room: Room) -> None:
    with writing(room.engine) as session:
        sample = session.exec(select(GivenSample)).first()
        assert sample is not None
        sample.state = Sample.WAITING
        session.add(
            GivenSample(
                id="more", subject_id=room.who, modality=sample.modality, clip_lookup="x", state="usable"
            )
        )
    room.answer(b"no video")
    assert check_due(room.desk) == 0
    assert room.row.state == State.WAITING
    room.clock += check.AS_LONG_AS_SAMPLES + timedelta(seconds=1)
    assert check_due(room.desk) == 1


def test_an_erasure_in_the_middle_leaves_nothing_and_stops_nobody(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.answer(b"soon gone")
    real = check._own

    def erased(desk: Desk, who: SubjectId) -> Any:
        erasure.erase(desk.engine, desk.keks, desk.blobs, who, "operator:test")
        return real(desk, who)

    monkeypatch.setattr(check, "_own", erased)
    assert check_due(room.desk) == 1
    with reading(room.engine) as session:
        assert session.exec(select(Challenge)).all() == []


def test_an_older_one_expires(room: Room) -> None:
    first = room.begin()
    second = room.begin()
    assert first.challenge_id != second.challenge_id
    with pytest.raises(ChallengeOver):
        room.hand_in(b"clip", first)
    room.hand_in(b"clip", second)


def test_no_second_one_while_a_clip_is_looked_at(room: Room) -> None:
    room.answer(b"clip")
    with pytest.raises(ChallengeOver):
        room.begin()


def test_it_is_drawn_so_often_and_no_more(room: Room) -> None:
    for _ in range(PER_HOUR):
        room.begin()
    with pytest.raises(TooOften):
        room.begin()


def test_nobody_without_samples(room: Room) -> None:
    other = begun(room.engine, room.keys, "other@example.org")
    with pytest.raises(ChallengeTooEarly):
        challenges.begin(room.takers, other, "en", HEARD, room.now())


def test_an_empty_recording_is_not_taken(room: Room) -> None:
    view = room.begin()
    with pytest.raises(EmptyMedia):
        room.hand_in(b"", view)
    assert room.row.state == State.DRAWN


def test_nobody_answers_for_somebody_else(room: Room) -> None:
    view = room.begin()
    other = begun(room.engine, room.keys, "other@example.org")
    with pytest.raises(ChallengeOver):
        challenges.hand_in(room.takers, other, view.challenge_id, b"clip", room.now())


def test_the_bytes_rest_sealed_and_none_is_left_of_what_was_refused(room: Room, blobs: BlobStore) -> None:
    before = set(blobs.ids())
    view = room.begin()
    clip = b"a clip that nobody shall read " * 50
    room.hand_in(clip, view)
    [new] = set(blobs.ids()) - before
    assert clip[:20] not in blobs.get(new)
    with pytest.raises(ChallengeOver):
        room.hand_in(clip, view)
    assert set(blobs.ids()) == before | {new}


def test_it_is_fresh_for_a_minute(room: Room) -> None:
    view = room.begin()
    assert view.expires_at - room.row.drawn_at == FRESH_FOR


def test_it_is_a_proof_and_on_record(room: Room) -> None:
    challenges.attest(room.engine, room.keys, room.who, "operator:ada", "met in person", room.now())
    assert room.row.state == State.PASSED
    assert room.report()["how"] == "met in person"
    with reading(room.engine) as session:
        [event] = session.exec(select(AuditEvent).where(AuditEvent.action == "challenge.attested"))
        assert (event.actor, event.subject_id) == ("operator:ada", room.who)
        assert "met in person" not in str(event.detail)


def test_not_without_samples_nor_without_words(room: Room) -> None:
    other = begun(room.engine, room.keys, "other@example.org")
    with pytest.raises(ChallengeTooEarly):
        challenges.attest(room.engine, room.keys, other, "operator:ada", "met", room.now())
    with pytest.raises(ChallengeTooEarly):
        challenges.attest(room.engine, room.keys, room.who, "operator:ada", "  ", room.now())


def test_every_engine_keeps_a_challenge(  # noqa: PLR0917 - fixtures
    engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore, pack: Pack, decoder: Decoder, person: Sitter
) -> None:
    room = Room(engine, keys, blobs, Reader(pack, decoder, 2**26))
    room.give_samples(pack, person)
    room.answer(b"no video")
    assert check_due(room.desk) == 1
    assert room.row.state == State.REFUSED
    assert np.isfinite(room.report()["signs"][0]["score"])
