"""A change of models: who is known by which, what is read again, and what a kill in the middle leaves."""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import update
from sqlmodel import col, select

from monitor import audit, renewing, subject_keys, switching
from monitor.crypto import KeyEncryptionKeys, new_key_line, parse_keys
from monitor.db import reading, utc_now, writing
from monitor.errors import BlobMissing, ConfigError, FaceTooBlurred, ModelMismatch, SubjectErased
from monitor.gallery import Gallery, add_template
from monitor.renewing import Renewal, Renewed, Step
from monitor.settings import Settings
from monitor.switching import Elder, LineUp
from monitor.tables import AuditEvent, Lease, ModelSwitch, NotRenewed, SubjectKey, Template
from monitor.values import Modality, ModelId, SubjectId
from tests.enrollment.people import SIZE, erase_row, unit_vectors

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray
    from sqlalchemy import Engine
    from sqlmodel import Session

OLD = Elder("registry", ModelId("old@1/none"))
NEW = Elder("edgeface", ModelId("new@2/none"))
VECTORS = unit_vectors(np.random.default_rng(3), 40)
PACK: Any = SimpleNamespace(
    name="edgeface", faces=SimpleNamespace(recogniser=SimpleNamespace(model_id=NEW.model_id))
)


class Kept:
    """Fake kept samples, which say loudly that they are fake: each is read as a vector of its name."""

    def __init__(self) -> None:
        self.read_ones: list[str] = []
        self.asked: set[SubjectId] = set()
        self.bad: dict[str, Exception] = {}

    def read(self, reference_id: str, pack: object) -> Renewed:
        """Give a vector, or the fault that was planted."""
        assert pack is PACK
        self.read_ones.append(reference_id)
        if reference_id in self.bad:
            raise self.bad[reference_id]
        return Renewed(NEW.model_id, vector_of(reference_id), 0.5)

    def ask(self, session: Session, subject_ids: Collection[SubjectId], pack: str) -> None:  # noqa: ARG002
        """Remember who was asked."""
        assert pack == "edgeface"
        self.asked = set(subject_ids)


def vector_of(reference_id: str) -> NDArray[np.float32]:
    row: NDArray[np.float32] = unit_vectors(np.random.default_rng(int(reference_id[:8], 16)), 1)[0]
    return row


def person(engine: Engine, keys: KeyEncryptionKeys, kept: int = 0, lost: int = 0) -> SubjectId:
    """Enrol somebody by the old model with this many samples kept, and this many not."""
    subject_id = SubjectId(uuid.uuid4().hex)
    with writing(engine) as session:
        subject_keys.create(session, keys, subject_id)
        for number in range(kept + lost):
            reference = uuid.uuid4().hex if number < kept else None
            what = (Modality.FACE, OLD.model_id, VECTORS[number], 1.0, reference)
            add_template(session, keys, subject_id, *what)
    return subject_id


def models_of(engine: Engine, subject_id: SubjectId) -> list[str]:
    with reading(engine) as session:
        query = select(Template.model_id).where(Template.subject_id == subject_id)
        return sorted(session.exec(query))


def renewal(engine: Engine, keys: KeyEncryptionKeys, kept: Kept) -> Renewal:
    return Renewal(engine, keys, kept, lambda _: PACK)


def begin(engine: Engine) -> ModelSwitch:
    return switching.start(engine, OLD, NEW, "operator:test")


def grow_older(engine: Engine) -> None:
    """Let the grace be over."""
    long_ago = utc_now() - timedelta(seconds=switching.GRACE_S + 1)
    with writing(engine) as session:
        session.execute(update(ModelSwitch).values(ended_at=long_ago))


def test_kept_samples_are_read_again_and_the_rest_must_give_new_ones(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    ana, ben = person(engine, keys, kept=2), person(engine, keys, lost=2)
    kept = Kept()
    begin(engine)
    before = switching.standing(engine)

    assert renewal(engine, keys, kept).step(60.0) is Step.ENDED

    after = switching.standing(engine)
    assert before is not None
    assert after is not None
    assert (before.people, before.moved, before.must_give, before.waiting) == (2, 0, 1, 2)
    assert (after.people, after.moved, after.must_give, after.waiting) == (2, 1, 1, 0)
    assert (len(kept.read_ones), kept.asked) == (2, {ben})
    assert models_of(engine, ana) == [NEW.model_id] * 2 + [OLD.model_id] * 2
    with reading(engine) as session:
        assert session.get(Lease, renewing.LEASE) is None
        assert audit.verify(session)


def test_the_pack_in_force_is_that_of_the_last_switch(engine: Engine, keys: KeyEncryptionKeys) -> None:
    person(engine, keys, lost=1)
    unset, chosen = Settings(), Settings(pack="registry")
    begin(engine)
    assert switching.in_force(engine, chosen) is chosen, "not before it is done"
    assert switching.line_up(engine, chosen) == LineUp("registry")

    renewal(engine, keys, Kept()).step(60.0)

    assert switching.in_force(engine, unset).pack == "edgeface"
    assert switching.in_force(engine, chosen, going_on=True).pack == "edgeface"
    with pytest.raises(ConfigError, match="switched to edgeface") as refused:
        switching.in_force(engine, chosen)
    assert "LIKENESS_PACK=edgeface" in refused.value.hint
    assert switching.line_up(engine, switching.in_force(engine, unset)) == LineUp("edgeface", (OLD,))


def test_only_who_has_no_new_template_is_left_behind(engine: Engine, keys: KeyEncryptionKeys) -> None:
    ana, ben = person(engine, keys, kept=1, lost=1), person(engine, keys, lost=1)
    begin(engine)
    renewal(engine, keys, Kept()).step(60.0)
    with reading(engine) as session:
        assert switching.left_behind(session, [ana, ben], NEW.model_id) == {ben}
        assert switching.not_watched(session, LineUp("edgeface", (OLD,)), NEW.model_id) == 0
        assert switching.not_watched(session, LineUp("edgeface"), NEW.model_id) == 1


def test_old_templates_go_from_the_ledger_and_from_memory(engine: Engine, keys: KeyEncryptionKeys) -> None:
    ana, ben = person(engine, keys, kept=2, lost=1), person(engine, keys, lost=1)
    begin(engine)
    renewal(engine, keys, Kept()).step(60.0)
    with Gallery(engine, keys, {Modality.FACE: (OLD.model_id, SIZE)}) as old:
        old.follow()
        assert old.sizes == {Modality.FACE: 4}
        assert switching.tidy(engine, utc_now(), "worker") == 0, "every worker has time to go over"
        grow_older(engine)

        assert switching.tidy(engine, utc_now(), "worker") == 1

        old.follow()
        assert old.sizes == {Modality.FACE: 1}
        found = old.compare(Modality.FACE, OLD.model_id, VECTORS[:1], 5)
        assert [one.subject_id for one in found.nearest[0]] == [ben]
    assert models_of(engine, ana) == [NEW.model_id] * 2
    assert models_of(engine, ben) == [OLD.model_id]
    assert switching.tidy(engine, utc_now(), "worker") == 0


def test_vectors_of_two_models_never_meet(engine: Engine, keys: KeyEncryptionKeys) -> None:
    person(engine, keys, kept=1)
    begin(engine)
    renewal(engine, keys, Kept()).step(60.0)
    with Gallery(engine, keys, {Modality.FACE: (NEW.model_id, SIZE)}) as new:
        new.follow()
        assert new.sizes == {Modality.FACE: 1}
        with pytest.raises(ModelMismatch, match="old@1"):
            new.compare(Modality.FACE, OLD.model_id, VECTORS[:1], 5)


@pytest.mark.parametrize("error", [FaceTooBlurred("blurred"), BlobMissing("gone")])
def test_a_sample_that_cannot_be_used_is_marked_and_stops_nothing(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, error: Exception
) -> None:
    engine = sqlite_engine
    ana, ben = person(engine, keys, kept=1), person(engine, keys, kept=1)
    kept = Kept()
    switch = begin(engine)
    with reading(engine) as session:
        waits = {who: what for what, who in switching.waiting(session, switch, 9)}
    kept.bad[waits[ana]] = error

    assert renewal(engine, keys, kept).step(60.0) is Step.ENDED

    now = switching.standing(engine)
    assert now is not None
    assert (now.refused, now.must_give, now.moved) == (1, 1, 1)
    assert now.reasons == {error.code: 1}  # type: ignore[attr-defined]
    assert kept.asked == {ana}
    assert NEW.model_id in models_of(engine, ben)
    with reading(engine) as session:
        assert session.exec(select(AuditEvent).where(AuditEvent.action == "models.switch.refuse")).one()


def test_somebody_who_is_erased_meanwhile_stays_erased(engine: Engine, keys: KeyEncryptionKeys) -> None:
    ana, ben = person(engine, keys, kept=1), person(engine, keys, kept=1)

    class Slow(Kept):
        def read(self, reference_id: str, pack: object) -> Renewed:
            read = super().read(reference_id, pack)
            if len(self.read_ones) == 1:
                for one in (ana, ben):
                    erase_row(engine, one)
            else:
                raise SubjectErased(reference_id)
            return read

    begin(engine)
    assert renewal(engine, keys, Slow()).step(60.0) is Step.ENDED
    with reading(engine) as session:
        assert session.exec(select(Template)).all() == []
        assert session.exec(select(NotRenewed)).all() == []
        assert session.exec(select(SubjectKey)).all() == []


def test_it_refuses_what_is_no_switch(engine: Engine) -> None:
    with pytest.raises(ConfigError, match="edgeface is the pack in force"):
        switching.start(engine, NEW, NEW, "operator:test")
    first = begin(engine)
    assert begin(engine).id == first.id, "again goes on"
    with pytest.raises(ConfigError, match="to edgeface is under way"):
        switching.start(engine, OLD, Elder("insightface", ModelId("x@3/none")), "operator:test")


def test_a_cancelled_switch_leaves_nothing(engine: Engine, keys: KeyEncryptionKeys) -> None:
    ana = person(engine, keys, kept=2)
    begin(engine)
    one_by_one = renewal(engine, keys, Kept())
    assert one_by_one.step(0.0) is Step.AT_WORK
    assert NEW.model_id in models_of(engine, ana)

    switching.cancel(engine, "operator:test")

    assert models_of(engine, ana) == [OLD.model_id] * 2
    assert one_by_one.step(60.0) is Step.IDLE
    with pytest.raises(ConfigError, match="no switch is under way"):
        switching.cancel(engine, "operator:test")


def test_old_templates_are_dropped_only_by_word_and_it_says_of_how_many(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    ana, ben = person(engine, keys, kept=1), person(engine, keys, lost=1)
    with pytest.raises(ConfigError, match="no switch has ended"):
        switching.drop_old(engine, "operator:test")
    begin(engine)
    renewal(engine, keys, Kept()).step(60.0)

    assert switching.drop_old(engine, "operator:test") == 1

    assert (models_of(engine, ana), models_of(engine, ben)) == ([NEW.model_id], [])
    assert switching.line_up(engine, Settings(pack="edgeface")) == LineUp("edgeface")
    with reading(engine) as session:
        done = session.exec(select(AuditEvent).where(AuditEvent.action == "subject.face_not_watched")).one()
        assert done.subject_id == ben


def test_two_workers_do_not_read_the_same(engine: Engine, keys: KeyEncryptionKeys) -> None:
    person(engine, keys, kept=3)
    begin(engine)
    one, two = renewal(engine, keys, Kept()), renewal(engine, keys, Kept())
    assert one.step(0.0) is Step.AT_WORK
    assert two.step(60.0) is Step.HELD
    one.close()
    assert two.step(60.0) is Step.ENDED


def test_weights_that_changed_since_the_start_are_refused(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    person(sqlite_engine, keys, kept=1)
    begin(sqlite_engine)
    with writing(sqlite_engine) as session:
        session.execute(update(ModelSwitch).values(to_model="newer@4/none"))
    with pytest.raises(ConfigError, match="not the one that the switch was started with"):
        renewal(sqlite_engine, keys, Kept()).step(60.0)


CHILD = """
import os, signal, sys
from monitor.crypto import KeyEncryptionKeys, parse_keys
from monitor.db import open_engine
from monitor import renewing
from tests.monitor.test_switching import Kept, renewal

url, key, place = sys.argv[1:]
keys, kept = KeyEncryptionKeys(parse_keys([key])), Kept()

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

write = renewing.add_template
def third(*what):
    if len(kept.read_ones) < 3:
        return write(*what)
    if place == "written":
        write(*what)
    die()

renewing.add_template = third
if place == "ending":
    renewing.add_template, kept.ask = write, die
renewal(open_engine(url), keys, kept).step(600.0)
"""


@pytest.mark.parametrize("place", ["writing", "written", "ending"])
def test_killed_half_way_it_goes_on_with_nothing_twice_and_nothing_lost(
    engine: Engine, place: str, request: pytest.FixtureRequest
) -> None:
    line = new_key_line("k1")
    keys = KeyEncryptionKeys(parse_keys([line]))
    people = [person(engine, keys, kept=2) for _ in range(3)]
    begin(engine)
    url = engine.url.render_as_string(hide_password=False)
    died = subprocess.run(
        [sys.executable, "-c", CHILD, url, line, place], check=False, timeout=120, cwd=request.config.rootpath
    )
    assert died.returncode == -signal.SIGKILL
    half = switching.standing(engine)
    assert half is not None
    assert (half.switch.state, half.waiting) == ("running", 0 if place == "ending" else 4)

    kept = Kept()
    next_one = renewal(engine, keys, kept)
    assert next_one.step(60.0) is Step.HELD, "the dead one's lease still runs"
    with writing(engine) as session:
        session.execute(update(Lease).where(col(Lease.name) == renewing.LEASE).values(until=utc_now()))
    assert next_one.step(60.0) is Step.ENDED

    assert len(kept.read_ones) == half.waiting
    for one in people:
        assert models_of(engine, one) == [NEW.model_id] * 2 + [OLD.model_id] * 2
    with reading(engine) as session:
        made = session.exec(select(Template.reference_id).where(Template.model_id == NEW.model_id)).all()
        assert len(set(made)) == len(made) == 6
