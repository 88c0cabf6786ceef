"""The worker judges what was given, with the real models, and the person reads what became of it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlmodel import select

from enrollment import given, judging, sample_words
from enrollment.desk import JUDGING_STALE_S, MOST_TRIES, Desk
from enrollment.given import State
from enrollment.judging import judge_due, vector_of
from enrollment.samples import Reader
from enrollment.steps import Step, progress_of
from enrollment.tables import GivenSample
from monitor import errors, subject_keys
from monitor.db import reading, utc_now, writing
from monitor.errors import DecoderKilled, ModelError
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.tables import BlobRow
from monitor.values import Modality
from tests.assets import people
from tests.enrollment.newcomer import MOST, Newcomer, desk_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.ml.interfaces import Pack

ADRIEN = "Adrien_Brody"


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(DecodeLimits(memory_mb=1024)) as started:
        yield started


@pytest.fixture
def desk(eva: Newcomer, pack: Pack, decoder: Decoder) -> Desk:
    return eva.desk(pack, decoder)


def face(data: Path, person: str = ADRIEN, number: int = 0) -> bytes:
    return people.jpeg(people.pictures(data, person)[number])


def voice(data: Path, number: int = 0) -> bytes:
    first = min((data / people.VOICES).iterdir())
    clips = [people.speech(one) for one in sorted(first.iterdir())[number : number + 2]]
    return people.wav(np.concatenate(clips)[: 12 * 16_000])


def give(eva: Newcomer, data: bytes, modality: Modality = Modality.FACE) -> str:
    return given.give(eva.givers, eva.eva, modality, data, utc_now())


def judged(eva: Newcomer, desk: Desk) -> list[given.GivenView]:
    while judge_due(desk):
        pass
    return eva.views()


def files_of(eva: Newcomer) -> tuple[int, int]:
    with reading(eva.engine) as session:
        return len(list(eva.blobs.ids())), len(session.exec(select(BlobRow)).all())


def test_a_good_face_and_voice_are_usable_and_the_next_step_opens(
    eva: Newcomer, desk: Desk, data: Path
) -> None:
    give(eva, face(data))
    give(eva, voice(data), Modality.VOICE)
    first, second = judged(eva, desk)
    assert (first.state, second.state) == (State.USABLE, State.USABLE)
    assert first.said.sentence in sample_words.QUALITY.values()
    rows = eva.rows()
    with reading(eva.engine) as session:
        key = subject_keys.key_of(session, eva.keys, eva.eva)
        progress = progress_of(session, eva.keys, eva.eva)
    vectors = [vector_of(key, row) for row in rows]
    assert [len(one) for one in vectors] == [512, 192]
    np.testing.assert_allclose([np.linalg.norm(one) for one in vectors], 1.0, atol=1e-5)
    assert {Step.FACE, Step.VOICE} <= progress.done
    assert files_of(eva) == (2, 2)
    raw = vectors[0].tobytes()
    assert all(raw not in (row.sealed_vector or b"") for row in rows)


def test_what_cannot_be_used_says_why_and_its_bytes_are_gone(eva: Newcomer, desk: Desk, data: Path) -> None:
    dark = (people.pictures(data, ADRIEN)[0] // 12).astype(np.uint8)
    give(eva, people.jpeg(dark))
    give(eva, people.jpeg(np.full((200, 200, 3), 128, np.uint8)))
    give(eva, people.wav(np.zeros(5 * 16_000, np.float32)), Modality.VOICE)
    give(eva, b"\xff\xd8\xff\xe0" + bytes(500))
    views = judged(eva, desk)
    assert [one.code for one in views] == ["face_too_dark", "no_face", "no_sound", "unreadable"]
    assert {one.state for one in views} == {State.REFUSED}
    assert all(one.said.hint for one in views)
    assert files_of(eva) == (0, 0)
    assert all(row.sealed_vector is None for row in eva.rows())


def test_somebody_else_beside_her_own_pictures_is_refused(eva: Newcomer, desk: Desk, data: Path) -> None:
    give(eva, face(data))
    give(eva, face(data, "Aaron_Peirsol"))
    give(eva, face(data, number=1))
    first, other, second = judged(eva, desk)
    assert (first.state, other.state, second.state) == (State.USABLE, State.REFUSED, State.USABLE)
    assert other.code == "other_person"
    assert "Remove the one" in other.said.hint
    assert given.remove(eva.givers, eva.eva, other.sample_id)
    assert files_of(eva) == (2, 2)


def test_the_same_picture_saved_again_is_taken_with_a_word(eva: Newcomer, desk: Desk, data: Path) -> None:
    picture = people.pictures(data, ADRIEN)[0]
    give(eva, people.jpeg(picture))
    give(eva, people.jpeg(picture, 80))
    assert judged(eva, desk)[1].said.notes[-1] == sample_words.TWIN


class Broken(Reader):
    """A reader that fails as it is told."""

    error: BaseException

    def face(self, name: str, data: bytes) -> Any:
        """Fail."""
        del name, data
        raise self.error


def failing(eva: Newcomer, pack: Pack, decoder: Decoder, error: BaseException, **how: Any) -> Desk:
    reader = Broken(pack, decoder, MOST)
    object.__setattr__(reader, "error", error)
    return desk_for(eva.engine, eva.keys, eva.blobs, reader, **how)


def test_what_may_pass_is_tried_again_and_then_left(eva: Newcomer, pack: Pack, decoder: Decoder) -> None:
    give(eva, b"\xff\xd8\xff\xe0 killed")
    desk = failing(eva, pack, decoder, DecoderKilled("it ran out of memory"))
    [view] = judged(eva, desk)
    assert (view.state, view.code, eva.rows()[0].tries) == (State.REFUSED, "decoder_killed", MOST_TRIES)
    give(eva, b"\xff\xd8\xff\xe0 ours")
    view = judged(eva, failing(eva, pack, decoder, ModelError("no model")))[1]
    assert (view.state, view.said) == (State.FAILED, sample_words.NOT_ABLE)
    assert files_of(eva) == (0, 0)


def test_what_ends_the_worker_each_time_is_left_alone(eva: Newcomer, pack: Pack, decoder: Decoder) -> None:
    sample_id = give(eva, b"\xff\xd8\xff\xe0 deadly")
    now = [utc_now()]
    desk = failing(eva, pack, decoder, KeyboardInterrupt(), now=lambda: now[0])
    for tries in range(1, MOST_TRIES + 1):
        with pytest.raises(KeyboardInterrupt):
            judge_due(desk)
        assert judge_due(desk) == 0  # somebody else may still be at it
        with reading(eva.engine) as session:
            row = session.get_one(GivenSample, sample_id)
            assert (row.state, row.tries) == (State.JUDGING, tries)
        now[0] += timedelta(seconds=JUDGING_STALE_S + 1)
    assert judge_due(desk) == 0
    [view] = eva.views()
    assert (view.state, view.code) == (State.FAILED, "worker_died")
    assert files_of(eva) == (0, 0)


def test_what_was_taken_back_while_it_was_looked_at_stays_away(
    eva: Newcomer, desk: Desk, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample_id = give(eva, face(data))
    read = judging._read

    def removed(desk: Desk, claimed: judging.Claimed) -> Any:
        sample = read(desk, claimed)
        assert given.remove(eva.givers, eva.eva, sample_id)
        return sample

    monkeypatch.setattr(judging, "_read", removed)
    assert judge_due(desk) == 1
    assert eva.views() == []
    assert files_of(eva) == (0, 0)


def test_an_erased_person_s_sample_is_let_go(eva: Newcomer, desk: Desk, data: Path) -> None:
    from enrollment.erasure import _destroy  # noqa: PLC0415 - the first half of an erasure

    sample_id = give(eva, face(data))
    claimed = judging._claim(desk)
    assert claimed is not None
    assert claimed.sample_id == sample_id
    _destroy(eva.engine, eva.eva, "subject")
    with pytest.raises(errors.SubjectErased):
        judging._judge(desk, claimed)
    assert judge_due(desk) == 0


def test_two_workers_never_hold_the_same_sample(eva: Newcomer, desk: Desk) -> None:
    give(eva, b"\xff\xd8\xff\xe0 one")
    give(eva, b"\xff\xd8\xff\xe0 two")
    first, second = judging._claim(desk), judging._claim(desk)
    assert first is not None
    assert second is not None
    assert first.sample_id != second.sample_id
    assert judging._claim(desk) is None


def test_every_fault_has_words_for_the_person_and_none_of_the_command_line() -> None:
    raised = [kind for kind in below(errors.SampleError) if kind.code not in NOT_BY_THE_WORKER]
    raised += [errors.TooManyPixels, errors.Unreadable, errors.DecoderKilled, errors.NotMedia]
    for kind in raised:
        for modality in Modality:
            said = sample_words.of_error(kind("what an operator reads"), modality)
            assert said is not sample_words.NOT_ABLE, kind
            assert said.sentence.endswith(".")
            assert said.hint.endswith(".")
            assert not re.search(r"--|LIKENESS|subject|operator", said.sentence + said.hint)


NOT_BY_THE_WORKER = {"heic", "given_before", "too_many_samples", "sample"}
"""Codes that the web process alone gives, with words of its own."""


def below(root: type[errors.LikenessError]) -> Iterator[type[errors.LikenessError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from below(kind)


def test_states_of_a_page_that_is_looked_at(eva: Newcomer, desk: Desk, data: Path) -> None:
    give(eva, face(data))
    give(eva, people.jpeg(np.full((200, 200, 3), 128, np.uint8)))
    judged(eva, desk)
    page = eva.browser.get("/enrol/face").text
    assert "http-equiv" not in page
    assert "✓" in page
    assert "✗" in page
    assert 'href="/enrol/voice"' in page
    assert "Two more would help" in page
    with writing(eva.engine) as session:
        for row in session.exec(select(GivenSample)):
            session.delete(row)
    assert "Nothing yet." in eva.browser.get("/enrol/face").text
