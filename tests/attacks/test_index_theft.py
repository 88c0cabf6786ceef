"""Somebody takes the disk: database, its log, blobs, logs, temporary files. No template is in them.

A template is searched for as it could be written: float64, float32, float16, both byte orders, as text,
base64 and hex, whole and in part, beside the picture and the name it came with.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.crypto import KeyEncryptionKeys, new_key_line, parse_keys
from monitor.db import open_engine
from monitor.gallery import Gallery, models_of
from monitor.values import Modality

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from monitor.ml.interfaces import Pack

NAME, MAIL = "Ada Wanderer-Example", "ada.wanderer@example.org"


def likeness_subject(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the verbs of `likeness subject` in a process of its own, as an operator does."""
    code = "from enrollment.cli import app; app()"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def forms(vector: NDArray[np.float32]) -> Iterator[tuple[str, bytes]]:
    """Give every way a vector could lie on a disk. Sixteen numbers of it are enough to be it."""
    part = vector[64:80]
    for kind in ("<f8", ">f8", "<f4", ">f4", "<f2", ">f2"):
        raw = part.astype(kind).tobytes()
        yield kind, raw
        yield f"{kind} as hex", raw.hex().encode()
        for shift in range(3):  # base64 begins at any of three places
            yield f"{kind} as base64", base64.b64encode(bytes(shift) + raw)[8:-8]
    scaled = np.clip(np.rint(part * 127), -128, 127).astype(np.int8)
    yield "int8", scaled.tobytes()
    for digits in (4, 6):
        yield f"{digits} digits", ", ".join(f"{one:.{digits}f}" for one in part[:6]).encode()
    yield "json", json.dumps(part.astype(float).tolist())[1:-1].encode()
    yield "repr", b", ".join(str(one).encode() for one in part.tolist())


@pytest.fixture
def stolen(tmp_path: Path, data: Path, pack: Pack) -> tuple[Path, list[NDArray[np.float32]], dict[str, str]]:
    """Enrol a real person with kept references; give the whole folder, and what must not be in it."""
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    temporary.mkdir()
    key = new_key_line("k1")
    env = os.environ | {"LIKENESS_HOME": str(home), "LIKENESS_KEK": key, "TMPDIR": str(temporary)}
    face = data / "faces/lfw-dev/Adrien_Brody/Adrien_Brody_0001.jpg"
    voice = data / "voices/real/librispeech-test-other/1688/1688-142285-0000.flac"
    samples = ("--face", str(face), "--voice", str(voice), "--keep-references")
    done = likeness_subject(
        "add",
        NAME,
        *samples,
        "--email",
        MAIL,
        "--attest",
        "seen in person",
        "--born",
        "1990-05-23",
        "--json",
        env=env,
    )
    (tmp_path / "output.log").write_text(done.stdout.replace(str(face), "") + done.stderr)
    engine = open_engine(f"sqlite:///{home / 'likeness.db'}")
    gallery = Gallery(engine, KeyEncryptionKeys(parse_keys([key])), models_of(pack))
    gallery.follow()
    vectors = [held._centroids.row(0).copy() for held in gallery._sets.values()]
    (tmp_path / "gallery.log").write_text(f"{gallery!r} {gallery.sizes}")
    assert gallery.sizes == {Modality.FACE: 1, Modality.VOICE: 1}
    engine.dispose()
    return tmp_path, vectors, env | {"SUBJECT": json.loads(done.stdout)["subject_id"]}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def must_hold_nothing(folder: Path, vectors: list[NDArray[np.float32]], data: Path) -> None:
    picture = (data / "faces/lfw-dev/Adrien_Brody/Adrien_Brody_0001.jpg").read_bytes()
    secrets = [("name", NAME.encode()), ("mail", MAIL.encode()), ("picture", picture[2000:2032])]
    secrets += [form for vector in vectors for form in forms(vector)]
    for name, held in contents(folder).items():
        for what, secret in secrets:
            assert secret not in held, f"{what} in {name}"


def test_the_search_itself_would_find_a_template() -> None:
    """The thief's tool works: a test that cannot fail proves nothing."""
    vector = np.random.default_rng(1).standard_normal(512).astype(np.float32)
    for kind in ("<f8", "<f4", "<f2", ">f4"):
        raw = vector.astype(kind).tobytes()
        found = {what for what, secret in forms(vector) if secret in raw + b"|" + base64.b64encode(raw)}
        assert {kind, f"{kind} as base64"} <= found


def test_nothing_on_the_disk_is_a_template_a_picture_or_a_name(
    stolen: tuple[Path, list[NDArray[np.float32]], dict[str, str]], data: Path
) -> None:
    folder, vectors, _ = stolen
    assert {"home/likeness.db"} <= set(contents(folder))
    assert sum(name.startswith("home/blobs/") for name in contents(folder)) == 2
    must_hold_nothing(folder, vectors, data)


def test_after_the_erasure_not_even_the_sealed_bytes_are_left(
    stolen: tuple[Path, list[NDArray[np.float32]], dict[str, str]], data: Path
) -> None:
    folder, vectors, env = stolen
    blobs = [held for name, held in contents(folder).items() if name.startswith("home/blobs/")]
    receipt = folder / "receipt.json"
    likeness_subject("erase", env["SUBJECT"], "--yes", "--receipt", str(receipt), env=env)
    must_hold_nothing(folder, vectors, data)
    for held in contents(folder).values():
        assert not any(blob[40:72] in held for blob in blobs)
