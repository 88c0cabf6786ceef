"""Somebody steals everything we store and looks for the people we were not asked to watch.

A stranger's vectors and picture must be nowhere: not in the database or its log, not in blobs, not in logs,
not in temporary files. The same search finds what is planted, so that it can be believed.
"""

from __future__ import annotations

import io
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import structlog

from monitor import log
from monitor.blobs import BlobStore
from monitor.crypto import KeyEncryptionKeys, new_key
from monitor.db import reading
from monitor.ledger import open_ledger
from monitor.settings import Settings
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.stages.detect import detect
from monitor.stages.embed import embed
from monitor.stages.evidence import crop_of
from tests.assets import people
from tests.story.conftest import Watch, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitor.ml.interfaces import Pack

    Vectors = NDArray[np.float32]

CHUNK = 16
"""Numbers in a row that are looked for: enough to be no accident, few enough to catch a piece."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep everything that is written below one folder, temporary files too."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path


@pytest.fixture
def watch(home: Path, pack: Pack) -> Iterator[Watch]:
    """Run a watch whose whole home is below one folder."""
    engine = open_ledger(Settings(home=home))
    keks = KeyEncryptionKeys({"k1": new_key()})
    with Decoder(DecodeLimits()) as decoder:
        yield from running(engine, keks, BlobStore(home / "blobs"), pack, decoder)
    engine.dispose()


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Catch all that is logged, the chattiest level included."""
    out = io.StringIO()
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    log.configure(json=True, stream=out, level=logging.DEBUG)
    yield out
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = before


def written(home: Path) -> dict[str, bytes]:
    """Read every file below a folder."""
    return {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()}


def traces(vectors: Vectors) -> list[bytes]:
    """Give what a vector may look like in a file: pieces of it in several layouts, and as digits."""
    found: list[bytes] = []
    for vector in vectors:
        for start in range(0, len(vector) - CHUNK, CHUNK):
            piece = vector[start : start + CHUNK]
            found += [piece.astype(kind).tobytes() for kind in ("<f4", ">f4", "<f2", "<f8")]
        found.append(",".join(f"{v:.4f}" for v in vector[:3]).encode())
        found.append(", ".join(str(float(v)) for v in vector[:2]).encode())
    return found


def vectors_of(watch: Watch, data: bytes) -> Vectors:
    """Compute the vectors of a picture or sound, as the pipeline does."""
    with watch.tools.decoder.start(data) as clip:
        probes = embed(detect(clip, watch.tools.pack), watch.tools.pack)
    return np.concatenate([p.vectors for p in probes])


def test_a_strangers_face_and_voice_are_nowhere(
    watch: Watch, home: Path, data: Path, logged: io.StringIO
) -> None:
    hers = people.pictures(data, "Gloria_Macapagal_Arroyo")
    watch.enrol("s1", people.jpeg(hers[0]))
    stranger = people.jpeg(people.pictures(data, "Angelina_Jolie")[0])
    clip = people.speech(next((data / people.VOICES).rglob("*.flac")))
    voice = people.wav(np.concatenate([clip, clip, clip]))
    for item in (stranger, voice):
        assert watch.look(item).findings == ()
    wanted = [*traces(vectors_of(watch, stranger)), *traces(vectors_of(watch, voice)), stranger[100:200]]
    files = written(home) | {"the log": logged.getvalue().encode()}
    assert [name for name, held in files.items() for trace in wanted if trace in held] == []
    assert list(watch.tools.blobs.ids()) == []


def test_a_stranger_beside_her_is_unrecognisable_in_her_evidence(watch: Watch, data: Path) -> None:
    hers = people.pictures(data, "Gloria_Macapagal_Arroyo")
    stranger = people.pictures(data, "Angelina_Jolie")[0]
    watch.enrol("s1", people.jpeg(hers[0]))
    close = np.concatenate([hers[1][:, 60:190], stranger[:, 60:190]], axis=1)
    outcome = watch.look(people.jpeg(close))
    with reading(watch.tools.engine) as session:
        crop = crop_of(session, watch.tools.keks, outcome.findings[0])
    assert crop is not None
    faces_in_crop = vectors_of(watch, crop)
    likeness = faces_in_crop @ vectors_of(watch, people.jpeg(stranger)).T
    assert outcome.faces_seen == 2
    assert float(likeness.max()) < 0.3


def test_the_search_finds_what_is_planted(watch: Watch, home: Path, data: Path) -> None:
    picture = people.jpeg(people.pictures(data, "Angelina_Jolie")[0])
    vectors = vectors_of(watch, picture)
    (home / "leak").write_bytes(b"x" * 7 + vectors[0].astype("<f2").tobytes())
    files = written(home)
    assert [n for n, held in files.items() for trace in traces(vectors) if trace in held]
