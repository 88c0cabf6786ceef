"""A real PostgreSQL for the tests: started in a temporary folder, reached by a Unix socket only."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER_USER = "postgres"
"""PostgreSQL refuses to run as root; Debian's package makes this user."""

OPTIONS = (
    "-c listen_addresses='' -c fsync=off -c full_page_writes=off -c synchronous_commit=off "
    "-c shared_buffers=32MB -c max_connections=60"
)
"""Speed over safety: the folder is thrown away. No TCP at all."""


@dataclass
class PostgresServer:
    """One server for a whole session of tests; a database of its own for each test."""

    folder: Path
    user: str
    _numbers: Iterator[int] = field(default_factory=count)

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[PostgresServer]:
        """Start a server and stop it at the end. Fails with what to install when there is none."""
        binaries = find_binaries()
        folder = Path(tempfile.mkdtemp(prefix="likeness-pg-"))
        as_root = os.geteuid() == 0
        if as_root:
            shutil.chown(folder, SERVER_USER)
        user = SERVER_USER if as_root else getpass.getuser()
        run_as = {"user": SERVER_USER, "cwd": folder} if as_root else {"cwd": folder}
        log = folder / "log"
        try:
            _run(
                [
                    binaries / "initdb",
                    "-D",
                    folder / "db",
                    "-U",
                    user,
                    "-A",
                    "trust",
                    "-E",
                    "UTF8",
                    "--no-sync",
                ],
                run_as,
            )
            options = f"-k {folder} {OPTIONS}"
            _run([binaries / "pg_ctl", "-D", folder / "db", "-l", log, "-w", "-o", options, "start"], run_as)
            yield cls(folder, user)
        finally:
            if (folder / "db" / "postmaster.pid").exists():
                _run([binaries / "pg_ctl", "-D", folder / "db", "-m", "immediate", "stop"], run_as)
            shutil.rmtree(folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """Give the SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://{self.user}@/{database}?host={self.folder}"

    def create(self, database: str) -> None:
        """Make an empty database."""
        self._execute(f'CREATE DATABASE "{database}"')

    def create_from(self, template: str) -> str:
        """Make a copy of a database and give its name; file by file, in half a logged copy's time."""
        name = f"test_{next(self._numbers)}"
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        return name

    def drop(self, database: str) -> None:
        """Remove a database, whoever is still connected."""
        self._execute(f'DROP DATABASE "{database}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        conninfo = psycopg.conninfo.make_conninfo(host=str(self.folder), user=self.user, dbname="postgres")
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(statement.encode())


def find_binaries() -> Path:
    """Find the folder of `initdb`: the newest one of Debian's folders, or where PATH points."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    on_path = shutil.which("initdb")
    if candidates:
        return candidates[-1].parent
    if on_path:
        return Path(on_path).resolve().parent
    msg = (
        "the tests run on PostgreSQL too and found none: `apt-get install postgresql` (or put initdb on PATH)"
    )
    raise RuntimeError(msg)


def _run(command: list[str | Path], run_as: dict[str, str | Path]) -> None:
    """Run a server's tool. Its output goes nowhere: a daemon that inherits a pipe would keep it open."""
    done = subprocess.run(  # noqa: PLW1510 - the message below says more than the exception would
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=60,
        **run_as,
    )
    if done.returncode:
        msg = f"{Path(command[0]).name} failed with {done.returncode}; run it by hand to see why"
        raise RuntimeError(msg)
