"""Somebody who can write to the database moves sealed values between rows. Nothing of it opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor import crypto, subject_keys
from monitor.crypto import Context, KeyEncryptionKeys, new_key
from monitor.db import reading, writing
from monitor.errors import KeyMissing, KeyWrong, Tampered
from monitor.tables import SubjectKey, Template
from monitor.values import SubjectId

if TYPE_CHECKING:
    from sqlalchemy import Engine

ATTACKER, VICTIM = SubjectId("attacker"), SubjectId("victim")
MODEL = "model@1/x"


def enrol(engine: Engine, keks: KeyEncryptionKeys, subject_id: SubjectId, *templates: str) -> None:
    with writing(engine) as session:
        key = subject_keys.create(session, keks, subject_id)
        for template_id in templates:
            context = Context(subject_id, template_id, "template", MODEL)
            sealed = crypto.seal(key, f"vector of {subject_id}".encode(), context)
            session.add(
                Template(
                    id=template_id,
                    subject_id=subject_id,
                    modality="face",
                    model_id=MODEL,
                    sealed=sealed,
                    quality=1.0,
                )
            )


def open_template(engine: Engine, keks: KeyEncryptionKeys, template_id: str) -> bytes:
    with reading(engine) as session:
        row = session.get_one(Template, template_id)
        key = subject_keys.key_of(session, keks, SubjectId(row.subject_id))
        return crypto.unseal(key, row.sealed, Context(row.subject_id, row.id, "template", row.model_id))


def test_a_template_moved_under_another_subject_does_not_open(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    enrol(engine, keys, VICTIM, "t1")
    enrol(engine, keys, ATTACKER, "t2")
    assert open_template(engine, keys, "t1") == b"vector of victim"
    with writing(engine) as session:
        session.get_one(Template, "t1").subject_id = ATTACKER
    with pytest.raises(Tampered):
        open_template(engine, keys, "t1")


def test_sealed_bytes_swapped_between_two_rows_of_one_subject_do_not_open(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    enrol(engine, keys, VICTIM, "t1", "t2")
    with writing(engine) as session:
        one, other = session.get_one(Template, "t1"), session.get_one(Template, "t2")
        one.sealed, other.sealed = other.sealed, one.sealed
    for template_id in ("t1", "t2"):
        with pytest.raises(Tampered):
            open_template(engine, keys, template_id)


def test_a_template_passed_off_as_another_models_does_not_open(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    enrol(engine, keys, VICTIM, "t1")
    with writing(engine) as session:
        session.get_one(Template, "t1").model_id = "model@2/x"
    with pytest.raises(Tampered):
        open_template(engine, keys, "t1")


def test_a_wrapped_key_moved_under_another_subject_does_not_unwrap(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    enrol(engine, keys, VICTIM, "t1")
    enrol(engine, keys, ATTACKER)
    with writing(engine) as session:
        stolen = session.get_one(SubjectKey, VICTIM)
        session.get_one(SubjectKey, ATTACKER).wrapped = stolen.wrapped
    with reading(engine) as session, pytest.raises(Tampered):
        subject_keys.key_of(session, keys, ATTACKER)


def test_without_the_key_encryption_key_nothing_opens(engine: Engine, keys: KeyEncryptionKeys) -> None:
    enrol(engine, keys, VICTIM, "t1")
    with pytest.raises(KeyMissing):
        open_template(engine, KeyEncryptionKeys({"k2": new_key()}), "t1")
    with pytest.raises(KeyWrong):
        open_template(engine, KeyEncryptionKeys({"k1": new_key()}), "t1")
    assert open_template(engine, keys, "t1") == b"vector of victim"
