"""The gallery in another process: fresh within 2 s, and after an erasure nothing in its memory."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.crypto import KeyEncryptionKeys, parse_keys
from tests.enrollment.people import SIZE, enrol, erase_row, unit_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

KEY = "k1:" + base64.b64encode(bytes(range(32))).decode()

WATCHER = """
import sys
import numpy as np
from monitor.crypto import KeyEncryptionKeys, parse_keys
from monitor.db import open_engine
from monitor.gallery import Gallery
from tests.enrollment.people import MODEL, MODELS
from monitor.values import Modality

gallery = Gallery(open_engine(sys.argv[1]), KeyEncryptionKeys(parse_keys([sys.argv[2]])), MODELS)
gallery.start()
print("ready", flush=True)
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "size":
        print(gallery.sizes[Modality.FACE], flush=True)
    elif word == "search":
        probe = np.array([float(one) for one in rest.split()], np.float32)[None]
        hits = gallery.compare(Modality.FACE, MODEL, probe, 1).nearest[0]
        print(hits[0].subject_id if hits else "nobody", flush=True)
"""


@pytest.fixture
def keys() -> KeyEncryptionKeys:
    return KeyEncryptionKeys(parse_keys([KEY]))


class Watcher:
    """A gallery in a process of its own, asked line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Talk to a running process."""
        self.process = process

    def ask(self, line: str) -> str:
        """Send one line and read one."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def sees(self, size: int, within_s: float) -> None:
        """Wait until the gallery there has so many templates."""
        until = time.monotonic() + within_s
        while self.ask("size") != str(size):
            assert time.monotonic() < until, f"not {size} within {within_s} s"
            time.sleep(0.02)


@pytest.fixture
def watcher(engine: Engine) -> Iterator[Watcher]:
    with watching(engine) as other:
        yield other


@contextmanager
def watching(engine: Engine) -> Iterator[Watcher]:
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", WATCHER, url, KEY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        other = Watcher(process)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        yield other
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


def words(vector: np.ndarray) -> str:
    return " ".join(str(one) for one in vector.tolist())


def test_enrolled_is_searchable_within_two_seconds_and_erased_is_not_within_one(
    engine: Engine, keys: KeyEncryptionKeys, watcher: Watcher
) -> None:
    vector = unit_vectors(np.random.default_rng(1), 1)
    assert watcher.ask(f"search {words(vector[0])}") == "nobody"
    subject_id = enrol(engine, keys, vector)
    watcher.sees(1, within_s=2.0)
    assert watcher.ask(f"search {words(vector[0])}") == subject_id
    erase_row(engine, subject_id)
    watcher.sees(0, within_s=1.0)
    assert watcher.ask(f"search {words(vector[0])}") == "nobody"


def test_an_erased_vector_is_not_in_the_memory_of_the_process(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    """Read the whole memory of a process that held, moved and searched the vector, as a core dump would."""
    rng = np.random.default_rng(2)
    erased, kept = unit_vectors(rng, 1), unit_vectors(rng, 1)
    with watching(sqlite_engine) as other:
        enrol(sqlite_engine, keys, unit_vectors(rng, 3))
        subject_id = enrol(sqlite_engine, keys, erased)
        enrol(sqlite_engine, keys, kept)
        other.sees(5, within_s=5.0)
        other.ask(f"search {words(unit_vectors(rng, 1)[0])}")
        assert copies_in(other.process.pid, erased[0]) > 0
        erase_row(sqlite_engine, subject_id)
        other.sees(4, within_s=5.0)
        assert copies_in(other.process.pid, erased[0]) == 0
        assert copies_in(other.process.pid, kept[0]) == 2  # the template, and the centroid of a set of one


def copies_in(pid: int, vector: np.ndarray) -> int:
    """Count the places in a process's memory where a quarter of the vector stands, in float32 or float64."""
    found = 0
    parts = [vector[: SIZE // 4].astype(kind).tobytes() for kind in ("<f4", "<f8")]
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb") as memory:  # noqa: PTH123 - not files
        for line in maps:
            where, rights, *_ = line.split()
            if not rights.startswith("rw") or line.rstrip().endswith("[vvar]"):
                continue
            start, end = (int(one, 16) for one in where.split("-"))
            memory.seek(start)
            held = memory.read(end - start)
            found += sum(held.count(part) for part in parts)
    return found
