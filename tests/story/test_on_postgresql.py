"""The same story on PostgreSQL, with several threads at the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor import findings
from monitor.db import reading
from tests.assets import people
from tests.story.conftest import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.ml.interfaces import Pack
    from monitor.stages.decode import Decoder
    from tests.story.conftest import Watch


@pytest.fixture
def watch(
    postgres_engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore, pack: Pack, decoder: Decoder
) -> Iterator[Watch]:
    """Give a whole watch on PostgreSQL."""
    yield from running(postgres_engine, keys, blobs, pack, decoder)


def test_several_threads_find_her_once_in_each_picture(watch: Watch, data: Path) -> None:
    hers, other = people.pictures(data, "Gloria_Macapagal_Arroyo"), people.pictures(data, "Angelina_Jolie")
    watch.enrol("s1", people.jpeg(hers[0]))
    for number, picture in enumerate([*hers[1:6], *other[:6]]):
        watch.submit(people.jpeg(picture), f"https://example.org/{number}")
    outcomes = watch.work(threads=3)
    assert [o.state for o in outcomes] == ["done"] * 11
    with reading(watch.tools.engine) as session:
        found = findings.due(session)
        assert len({f.media_id for f in found}) == len(found) == 5
        assert findings.verify_chain(session) == 5
    assert len(list(watch.tools.blobs.ids())) == 5
