"""What every test may ask for: databases, keys, blobs, the real models, the data folder; and no network."""

from __future__ import annotations

import gc
import ipaddress
import os
import shutil
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from monitor import migrations
from monitor.blobs import BlobStore
from monitor.crypto import KeyEncryptionKeys, new_key
from monitor.db import open_engine
from tests.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.ml.interfaces import Pack
    from tests.alerts.visitor import Visitor

DATA = "../shared/data"
"""Where real faces and voices lie, from the root of the repository, unless LIKENESS_DATA says otherwise."""


def pytest_configure() -> None:
    """Let Python keep what it has compiled, even where the environment says not to.

    The tests start a hundred processes; each would compile every library again, for seconds. And whether
    a sighting was made by a computer is asked in the tests of just that: it takes longer than all the rest.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    os.environ.setdefault("LIKENESS_SYNTHETIC", "off")


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of every later search for garbage: half a million objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_xdist_auto_num_workers() -> int | None:
    """Give one worker more than there are cores: a quarter of the tests' time is waiting for somebody."""
    return None if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ else (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    """Fail any test that reaches for the network; an error of ours could be taken for a refused fetch."""
    guard = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        guard.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
    yield
    guard.undo()


def _guarded(connect):  # noqa: ANN001, ANN202 - the signature of socket's own method
    def guarded(self: socket.socket, address: object) -> object:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_loopback(address):
            msg = f"a test reached for the network: {address}"
            raise RuntimeError(msg)
        return connect(self, address)

    return guarded


def _is_loopback(address: object) -> bool:
    host = str(address[0]) if isinstance(address, tuple) else ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


KEPT_SETTINGS = {"LIKENESS_DATA", "LIKENESS_MODELS_DIR"}
"""Where big files lie is the tester's to say; every other setting is the test's own."""


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the tester's own settings and home folder out of every test and the processes it starts."""
    for name in os.environ:
        if name.startswith("LIKENESS_") and name not in KEPT_SETTINGS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def _postgres() -> Iterator[PostgresServer]:
    with PostgresServer.running() as server:
        server.create("template")
        engine = open_engine(server.url("template"))
        migrations.upgrade(engine)
        engine.dispose()
        yield server


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "likeness.db"
    engine = open_engine(f"sqlite:///{path}")
    migrations.upgrade(engine)
    with engine.connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    engine.dispose()
    return path


@pytest.fixture
def sqlite_engine(_sqlite_template: Path, tmp_path: Path) -> Iterator[Engine]:
    """Give a migrated, empty SQLite database in a file: for tests where the kind does not matter."""
    path = tmp_path / "likeness.db"
    shutil.copyfile(_sqlite_template, path)
    engine = open_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_engine(_postgres: PostgresServer) -> Iterator[Engine]:
    """Give a migrated, empty PostgreSQL database."""
    name = _postgres.create_from("template")
    engine = open_engine(_postgres.url(name))
    yield engine
    engine.dispose()
    _postgres.drop(name)


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Give a migrated, empty database, of each kind in turn."""
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return found


@pytest.fixture
def keys() -> KeyEncryptionKeys:
    """Give one random active key, `k1`."""
    return KeyEncryptionKeys({"k1": new_key()})


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    """Give an empty store of sealed bytes."""
    return BlobStore(tmp_path / "blobs")


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Visitor]:
    """Give a web process over a fresh database, and the browser of somebody who was told something."""
    from tests.alerts import visitor as visitors  # noqa: PLC0415 - tests without pages start faster

    visitor = visitors.Visitor.at(tmp_path / "home")
    yield visitor
    visitor.browser.close()
    visitor.engine.dispose()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Give a real browser."""
    from tests.serving import browsing  # noqa: PLC0415 - tests without a browser start faster

    with browsing() as browser:
        yield browser


@pytest.fixture(scope="session")
def pack() -> Pack:
    """Give the real default models; they come from the cache, never from the network."""
    from monitor.errors import WeightsMissing  # noqa: PLC0415 - tests without models start faster
    from monitor.ml.packs import load_pack  # noqa: PLC0415 - as above
    from monitor.settings import Settings  # noqa: PLC0415 - as above

    try:
        return load_pack(Settings(pack="registry", device="cpu"))
    except WeightsMissing as exc:
        pytest.fail(f"run `make models` first: {exc}")


@pytest.fixture(scope="session")
def data(request: pytest.FixtureRequest) -> Path:
    """Give the folder of real faces and voices; it is not part of the repository."""
    folder = (request.config.rootpath / os.environ.get("LIKENESS_DATA", DATA)).resolve()
    if not folder.is_dir():
        pytest.skip(f"the data folder {folder} is missing; set LIKENESS_DATA to run this test")
    return folder
