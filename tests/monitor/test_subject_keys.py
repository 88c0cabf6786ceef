"""Keys in the database: made, opened, erased, rotated while the service runs and after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from sqlmodel import delete, select, update

from monitor import subject_keys
from monitor.crypto import KeyEncryptionKeys, new_key
from monitor.db import reading, writing
from monitor.errors import KeyMissing, KeyWrong, SubjectErased, Tampered
from monitor.tables import ServiceKey, SubjectKey
from monitor.values import SubjectId

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Engine

ANA, BEN = SubjectId("ana"), SubjectId("ben")


def make_subjects(engine: Engine, keks: KeyEncryptionKeys, number: int) -> dict[SubjectId, bytes]:
    with writing(engine) as session:
        names = [SubjectId(f"s{index:04}") for index in range(number)]
        return {name: subject_keys.create(session, keks, name) for name in names}


def keys_now(engine: Engine, keks: KeyEncryptionKeys, names: list[SubjectId]) -> dict[SubjectId, bytes]:
    with reading(engine) as session:
        return {name: subject_keys.key_of(session, keks, name) for name in names}


def test_a_subjects_key_comes_back_and_differs_from_the_next_subjects(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    made = make_subjects(engine, keys, 2)
    assert len(set(made.values())) == 2
    assert keys_now(engine, keys, list(made)) == made
    with reading(engine) as session:
        stored = b"".join(session.exec(select(SubjectKey.wrapped)).all())
    assert not any(key in stored for key in made.values())


def test_a_subject_without_a_key_is_erased(engine: Engine, keys: KeyEncryptionKeys) -> None:
    with writing(engine) as session:
        subject_keys.create(session, keys, ANA)
    with writing(engine) as session:
        session.exec(delete(SubjectKey))
    with reading(engine) as session, pytest.raises(SubjectErased):
        subject_keys.key_of(session, keys, ANA)


def test_a_held_key_is_wiped_afterwards(sqlite_engine: Engine, keys: KeyEncryptionKeys) -> None:
    made = make_subjects(sqlite_engine, keys, 1)
    name, key = next(iter(made.items()))
    with reading(sqlite_engine) as session, subject_keys.held_key(session, keys, name) as held:
        assert held == key
    assert held == bytes(32)


def test_the_services_pairs_are_made_once(engine: Engine, keys: KeyEncryptionKeys) -> None:
    with pytest.raises(KeyMissing):
        subject_keys.intake_sealer(engine)
    subject_keys.ensure_service_keys(engine, keys)
    sealed = subject_keys.intake_sealer(engine).seal(b"media", b"1")
    subject_keys.ensure_service_keys(engine, keys)
    assert subject_keys.intake_opener(engine, keys).open(sealed, b"1") == b"media"
    signer = subject_keys.receipt_signer(engine, keys)
    assert signer.public == subject_keys.receipt_public(engine)


def test_many_processes_that_make_the_pairs_at_once_agree(engine: Engine, keys: KeyEncryptionKeys) -> None:
    threads = [
        threading.Thread(target=subject_keys.ensure_service_keys, args=(engine, keys)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealed = subject_keys.intake_sealer(engine).seal(b"media", b"1")
    assert subject_keys.intake_opener(engine, keys).open(sealed, b"1") == b"media"


def test_rotation_changes_the_wrapping_and_no_key(engine: Engine) -> None:
    old, new = new_key(), new_key()
    before = KeyEncryptionKeys({"old": old})
    subject_keys.ensure_service_keys(engine, before)
    made = make_subjects(engine, before, 7)
    sealed = subject_keys.intake_sealer(engine).seal(b"media", b"1")

    seen = list(subject_keys.rotate(engine, KeyEncryptionKeys({"new": new, "old": old}), batch=3))

    assert (seen[0].done, seen[-1].done, seen[-1].total) == (0, 10, 10)
    after = KeyEncryptionKeys({"new": new})
    assert subject_keys.wrapped_under(engine) == {"new": 10}
    assert keys_now(engine, after, list(made)) == made
    assert subject_keys.intake_opener(engine, after).open(sealed, b"1") == b"media"
    assert [step.total for step in subject_keys.rotate(engine, after)] == [0]


def test_a_rotation_without_the_old_key_changes_nothing(engine: Engine, keys: KeyEncryptionKeys) -> None:
    make_subjects(engine, keys, 2)
    with pytest.raises(KeyMissing, match="'k1'"):
        list(subject_keys.rotate(engine, KeyEncryptionKeys({"new": new_key()})))
    assert subject_keys.wrapped_under(engine) == {"k1": 2}


def test_a_rotation_with_a_wrong_old_key_changes_nothing_it_cannot_open(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    made = make_subjects(engine, keys, 3)
    with pytest.raises(KeyWrong, match="3 keys were left"):
        list(subject_keys.rotate(engine, KeyEncryptionKeys({"new": new_key(), "k1": new_key()})))
    assert keys_now(engine, keys, list(made)) == made


def test_one_damaged_key_does_not_stop_the_others(engine: Engine) -> None:
    old, new = new_key(), new_key()
    make_subjects(engine, KeyEncryptionKeys({"old": old}), 5)
    with writing(engine) as session:
        row = session.get_one(SubjectKey, "s0001")
        row.wrapped = row.wrapped[:-1] + bytes([row.wrapped[-1] ^ 1])
    with pytest.raises(Tampered, match="s0001"):
        list(subject_keys.rotate(engine, KeyEncryptionKeys({"new": new, "old": old}), batch=2))
    assert subject_keys.wrapped_under(engine) == {"new": 4, "old": 1}


def test_keys_are_used_made_and_erased_while_a_rotation_runs(engine: Engine) -> None:
    old, new = new_key(), new_key()
    both = KeyEncryptionKeys({"new": new, "old": old})
    made = make_subjects(engine, KeyEncryptionKeys({"old": old}), 6)
    steps = subject_keys.rotate(engine, both, batch=2)
    next(steps)
    next(steps)
    with writing(engine) as session:
        made[ANA] = subject_keys.create(session, both, ANA)
        session.exec(delete(SubjectKey).where(SubjectKey.subject_id == "s0005"))  # type: ignore[arg-type]
    del made[SubjectId("s0005")]
    assert keys_now(engine, both, list(made)) == made
    list(steps)
    assert keys_now(engine, KeyEncryptionKeys({"new": new}), list(made)) == made


def test_two_rotations_at_once_do_each_other_no_harm(engine: Engine) -> None:
    old, new = new_key(), new_key()
    both = KeyEncryptionKeys({"new": new, "old": old})
    made = make_subjects(engine, KeyEncryptionKeys({"old": old}), 40)
    threads = [
        threading.Thread(target=lambda: list(subject_keys.rotate(engine, both, batch=4))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert keys_now(engine, KeyEncryptionKeys({"new": new}), list(made)) == made


KILLED = """
import sys
from pathlib import Path
from monitor import subject_keys
from monitor.crypto import KeyEncryptionKeys, parse_keys
from monitor.db import open_engine

keks = KeyEncryptionKeys(parse_keys(sys.stdin.read().splitlines()))
for step in subject_keys.rotate(open_engine(sys.argv[1]), keks, batch=1):
    Path(sys.argv[2]).write_text(str(step.done))
"""


def test_a_rotation_that_was_killed_half_way_is_finished_by_the_next(engine: Engine, tmp_path: Path) -> None:
    from monitor import crypto  # noqa: PLC0415 - for the two lines of keys below alone

    lines = [crypto.new_key_line("new"), crypto.new_key_line("old")]
    keys = crypto.parse_keys(lines)
    made = make_subjects(engine, KeyEncryptionKeys({"old": keys["old"]}), 200)
    url = engine.url.render_as_string(hide_password=False)
    told = tmp_path / "done"
    with subprocess.Popen([sys.executable, "-c", KILLED, url, str(told)], stdin=subprocess.PIPE) as child:
        child.stdin.write("\n".join(lines).encode())  # type: ignore[union-attr]
        child.stdin.close()  # type: ignore[union-attr]
        wait_until(lambda: told.exists() and told.read_text() not in {"", "0"})
        os.kill(child.pid, signal.SIGKILL)

    half = subject_keys.wrapped_under(engine)
    assert 0 < half["old"] < 200
    assert half["old"] + half["new"] == 200
    both = KeyEncryptionKeys(keys)
    assert keys_now(engine, both, list(made)) == made
    assert list(subject_keys.rotate(engine, both))[-1].done == half["old"]
    assert keys_now(engine, KeyEncryptionKeys({"new": keys["new"]}), list(made)) == made


def wait_until(happened, seconds: float = 30) -> None:  # noqa: ANN001 - any callable
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.001)


def test_a_public_key_put_in_place_of_the_services_is_noticed(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    from monitor.crypto import new_intake_pair  # noqa: PLC0415 - for this test alone

    subject_keys.ensure_service_keys(engine, keys)
    with writing(engine) as session:
        session.exec(update(ServiceKey).values(public=new_intake_pair()[0]))
    with pytest.raises(Tampered):
        subject_keys.intake_opener(engine, keys)
