"""A real MediaWiki from Debian's package: PHP's own web server, SQLite, a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.error import URLError
from urllib.request import urlopen

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM: Final = Path("/usr/share/mediawiki")
MISSING: Final = (
    "no MediaWiki here: "
    "`apt-get install --no-install-recommends mediawiki php-cli php-sqlite3 php-cgi micro-httpd`"
)
NOT_SHARED: Final = frozenset({"images", "LocalSettings.php", "config", "cache"})

SETTINGS: Final = """
$wgEnableUploads = true;
$wgUploadDirectory = "{folder}/www/images";
$wgUploadPath = "/images";
"""


@dataclass(frozen=True)
class Wiki:
    """One wiki that runs. `folder` holds its settings, database and uploads."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Its address without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def maintain(self, script: str, *arguments: str | Path) -> str:
        """Run one of the wiki's own maintenance scripts and give what it says."""
        command = ["php", PROGRAM / "maintenance" / script, *arguments]
        done = subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def upload(self, files: dict[str, bytes]) -> None:
        """Upload files the way an operator of a wiki does; one of a known name becomes its new version."""
        given = self.folder / "given"
        shutil.rmtree(given, ignore_errors=True)
        given.mkdir()
        for name, data in files.items():
            (given / name).write_bytes(data)
        self.maintain("importImages.php", "--user", "Admin", "--overwrite", given)

    def delete(self, title: str) -> None:
        """Delete a page, or a file, by its title."""
        names = self.folder / "titles"
        names.write_text(title + "\n")
        self.maintain("deleteBatch.php", "-u", "Admin", names)

    def environment(self) -> dict[str, str]:
        """Give what PHP is told."""
        settings = self.folder / "LocalSettings.php"
        told = {"MW_CONFIG_FILE": str(settings)} if settings.exists() else {}
        return dict(os.environ) | {"PHP_CLI_SERVER_WORKERS": "2"} | told


@contextmanager
def wiki(folder: Path) -> Iterator[Wiki]:
    """Set a wiki up and run it. Skips the test, and says what to install, where there is no MediaWiki."""
    if shutil.which("php") is None or not (PROGRAM / "maintenance" / "install.php").exists():
        pytest.skip(MISSING)
    running = Wiki(folder, _free_port())
    _install(running)
    command = ["php", "-S", f"127.0.0.1:{running.port}", "-t", folder / "www"]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, env=running.environment(), stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_for(running)
        yield running
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # PHP's own workers would outlive it
        server.wait(30)


def _install(new: Wiki) -> None:
    www = new.folder / "www"
    (www / "images").mkdir(parents=True)
    for one in PROGRAM.iterdir():
        if one.name not in NOT_SHARED:
            (www / one.name).symlink_to(one)
    (www / "robots.txt").write_text("User-agent: *\nDisallow: /api.php\nDisallow: /index.php?\n")
    options = {"dbtype": "sqlite", "dbname": "wiki", "server": new.url, "scriptpath": "", "lang": "en"}
    options |= {"dbpath": str(new.folder / "db"), "confpath": str(new.folder), "pass": "for-this-test-only-1"}
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    new.maintain("install.php", *flags, "A wiki", "Admin")
    with (new.folder / "LocalSettings.php").open("a") as settings:
        settings.write(SETTINGS.format(folder=new.folder))


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def _wait_for(started: Wiki) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            with urlopen(f"{started.url}/robots.txt", timeout=5):  # noqa: S310 - our own address, http
                return
        except (URLError, OSError):
            assert time.monotonic() < until, (started.folder / "server.log").read_text()
            time.sleep(0.05)
