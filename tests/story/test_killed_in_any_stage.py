"""The worker is killed in the middle of each step; another one takes the item up and ends it the same."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from sqlmodel import select

from monitor import findings
from monitor.blobs import BlobStore
from monitor.crypto import KeyEncryptionKeys, new_key_line
from monitor.db import reading
from monitor.jobs import sweep
from monitor.ledger import open_ledger
from monitor.settings import Settings
from monitor.tables import Evidence, Finding, MediaItem
from tests.assets import people
from tests.story.conftest import Watch, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.ml.interfaces import Pack
    from monitor.stages.decode import Decoder

PLACES = {
    "claim": "monitor.crew:begin",
    "decode": "monitor.progress:TimedClip",
    "detect": "monitor.pipeline:detect",
    "embed": "monitor.pipeline:embed",
    "match": "monitor.pipeline:match",
    "score": "monitor.pipeline:score",
    "evidence": "monitor.drafting:evidence",
    "finding": "monitor.findings:_append_link",
    "end": "monitor.claims:finish",
    "forget": "monitor.pipeline:forget",
}
"""Step -> what is called in the middle of it."""


@dataclass(frozen=True)
class Readers:
    """What it takes to run a watch in this process."""

    kek: str
    pack: Pack
    decoder: Decoder


@pytest.fixture(scope="module")
def readers(pack: Pack, decoder: Decoder) -> Readers:
    """Give the models, a decoder and one key for the watch of this module."""
    return Readers(new_key_line("k1"), pack, decoder)


@pytest.fixture(scope="module")
def prepared(readers: Readers, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a home in which somebody is enrolled and a picture of hers waits."""
    home = tmp_path_factory.mktemp("prepared")
    hers = people.pictures(data, "Gloria_Macapagal_Arroyo")
    for watch in opened(home, readers):
        watch.enrol("s1", people.jpeg(hers[0]))
        watch.submit(people.jpeg(hers[1]))
    return home


def opened(home: Path, readers: Readers) -> Iterator[Watch]:
    """Run the watch of a home in this process."""
    settings = Settings(home=home, kek=SecretStr(readers.kek))
    engine = open_ledger(settings)
    keys = KeyEncryptionKeys.from_settings(settings)
    yield from running(engine, keys, BlobStore(settings.blobs), readers.pack, readers.decoder)
    engine.dispose()


@pytest.fixture(scope="module")
def homes(prepared: Path, readers: Readers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Give, of each step, the home of a watch whose worker was killed in it."""
    folder = tmp_path_factory.mktemp("killed")
    found = {step: shutil.copytree(prepared, folder / step) for step in PLACES}
    script = Path(__file__).with_name("dying_workers.py")
    known = {"LIKENESS_KEK": readers.kek, "LIKENESS_LEASE_SECONDS": "1"}
    here = os.environ | known | {"PYTHONPATH": str(script.parents[2])}
    words = [f"{home}={PLACES[step]}" for step, home in found.items()]
    ended = subprocess.run(
        [sys.executable, str(script), *words], check=True, timeout=150, env=here, stdout=subprocess.PIPE
    )
    assert ended.stdout.split() == [str(-signal.SIGKILL).encode()] * len(PLACES)
    return found


@pytest.mark.parametrize("step", PLACES)
def test_the_item_is_taken_up_again_and_ends_the_same(
    step: str, homes: dict[str, Path], readers: Readers
) -> None:
    for watch in opened(homes[step], readers):
        watch.work()
        with reading(watch.tools.engine) as session:
            row = session.exec(select(MediaItem)).one()
            assert (row.state, row.blob_id, row.faces_seen) == ("done", None, 1)
            found = session.exec(select(Finding)).one()
            assert (found.subject_id, found.band) == ("s1", "alert")
            assert session.exec(select(Evidence)).one().finding_id == found.id
            assert findings.verify_chain(session) == 1
        seen_once = sweep(watch.tools.engine, watch.tools.blobs, set())
        sweep(watch.tools.engine, watch.tools.blobs, seen_once)
        kept = list(watch.tools.blobs.ids())
        assert len(kept) == 1  # her original, and nothing that the dead worker left
