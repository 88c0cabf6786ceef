"""A key that is wrong or missing, at the start of a worker and in the middle of its work."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from monitor import claims, subject_keys
from monitor.crypto import KeyEncryptionKeys, new_key, new_key_line
from monitor.db import reading, utc_now
from monitor.errors import KeyMissing, KeyWrong
from monitor.gallery import Gallery, models_of
from monitor.intake import Door, submit
from monitor.jobs import run_worker
from monitor.ledger import open_ledger
from monitor.settings import Settings
from monitor.tables import MediaItem
from monitor.values import Origin, OriginKind
from tests.assets import media, people

FIRST = new_key()

if TYPE_CHECKING:
    from pathlib import Path

    from tests.story.conftest import Watch


@pytest.fixture
def keys() -> KeyEncryptionKeys:
    """Give one key that the rotated ones can hold too."""
    return KeyEncryptionKeys({"k1": FIRST})


def test_a_worker_with_a_wrong_or_without_a_key_does_not_start_and_touches_nothing(tmp_path: Path) -> None:
    right = Settings(home=tmp_path / "home", kek=SecretStr(new_key_line("k1")))
    engine = open_ledger(right)
    subject_keys.ensure_service_keys(engine, KeyEncryptionKeys.from_settings(right))
    origin = Origin(OriginKind.PUSH, utc_now(), url="https://example.org/a")
    media_id = submit(media.jpeg(), origin, Door.of(right, engine)).media_id
    for line, error in ((None, KeyMissing), (new_key_line("k2"), KeyMissing), (new_key_line("k1"), KeyWrong)):
        kek = None if line is None else SecretStr(line)
        with pytest.raises(error):
            run_worker(right.model_copy(update={"kek": kek}), once=True)
        with reading(engine) as session:
            row = session.get_one(MediaItem, media_id)
        assert (row.state, row.attempts, row.lease_owner) == ("received", 0, None)
    engine.dispose()


def test_a_worker_that_was_not_given_the_new_key_fails_items_that_a_retry_finds(
    watch: Watch, data: Path
) -> None:
    hers = people.pictures(data, "Gloria_Macapagal_Arroyo")
    watch.enrol("s1", people.jpeg(hers[0]))
    old, both = watch.tools, _after_rotation(watch)
    hit, still = watch.submit(people.jpeg(hers[1])), watch.submit(media.jpeg())
    outcomes = {one.media_id: one for one in watch.work()}
    assert outcomes[still].state == "done"
    assert (outcomes[hit].state, outcomes[hit].stage, outcomes[hit].code) == (
        "failed",
        "evidence",
        "key_missing",
    )
    assert [str(one) for one in old.blobs.ids()] == [watch.item(hit).blob_id]
    watch.tools = dataclasses.replace(old, keks=both)
    assert claims.retry_all(old.engine, "unreadable") == 0
    assert claims.retry_all(old.engine, "key_missing") == 1
    (again,) = watch.work()
    assert len(again.findings) == 1


def test_a_gallery_that_cannot_open_a_new_template_does_not_say_nobody(
    watch: Watch, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hers = people.pictures(data, "Gloria_Macapagal_Arroyo")
    old, both = watch.tools, _after_rotation(watch)
    watch.tools = dataclasses.replace(old, keks=both, gallery=Gallery(old.engine, both, models_of(old.pack)))
    watch.enrol("s1", people.jpeg(hers[0]))
    new, watch.tools = watch.tools, old
    monkeypatch.setattr("monitor.gallery.STALE_AFTER_S", 0.0)  # what else takes a few seconds
    outcome = watch.look(people.jpeg(hers[1]))
    assert (outcome.state, outcome.stage, outcome.code) == ("failed", "match", "key_missing")
    monkeypatch.undo()
    watch.tools = new
    claims.retry_all(old.engine)
    with new.gallery:
        (again,) = watch.work()
    assert len(again.findings) == 1


def _after_rotation(watch: Watch) -> KeyEncryptionKeys:
    """Rotate to a key that the running worker does not have; give both keys."""
    new = KeyEncryptionKeys({"k2": new_key(), "k1": FIRST})
    for _ in subject_keys.rotate(watch.tools.engine, new):
        pass
    return new
