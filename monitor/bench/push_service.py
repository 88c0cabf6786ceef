"""What the push bench runs: a home of its own, the web pages, the worker and a mail server.

The processes are `likeness serve` and `likeness worker`; each can be killed and started again.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httpx
from aiosmtpd.controller import Controller
from pydantic import SecretStr

from monitor import subject_keys
from monitor.bench.push_load import Plan
from monitor.crypto import KeyEncryptionKeys, new_key_line
from monitor.errors import ConfigError
from monitor.ledger import open_ledger
from monitor.partners import feeds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.settings import Settings

FEED: Final = "bench"
READY_S: Final = 60.0
LOAD_S: Final = 1800.0
"""Longest start of a process, and longest run of the partners."""

POLL_S: Final = 0.1


class MailCounter:
    """A mail server that takes everything and notes when."""

    def __init__(self) -> None:
        self.came: list[tuple[float, str]] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802, ANN401 - aiosmtpd's names
        """Note one message: seconds since 1970, and to whom."""
        self.came.append((time.time(), envelope.rcpt_tos[0]))
        return "250 kept"


@dataclass
class Service:
    """One watch of the bench. `env` is what its processes are started with."""

    settings: Settings
    engine: Engine
    keks: KeyEncryptionKeys
    env: dict[str, str]
    port: int
    secret: str
    home: Path
    mail: MailCounter
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, verb: str) -> None:
        """Start `likeness serve` or `likeness worker`; of the first, wait until it answers."""
        more = ["--port", str(self.port)] if verb == "serve" else []
        with (self.home / f"{verb}.log").open("ab") as log:
            self._running[verb] = subprocess.Popen(
                [sys.executable, "-m", "monitor.cli", verb, *more],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if verb == "serve":
            self._until_ready()

    def kill(self, verb: str) -> None:
        """End a process and its children at once, in the middle of whatever it does."""
        running = self._running.pop(verb)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()

    def stop(self, verb: str) -> None:
        """End a process as an operator does."""
        running = self._running.pop(verb, None)
        if running is not None:
            running.terminate()
            running.wait(READY_S)

    @contextmanager
    def load(
        self, pictures: list[Path], items: int, first: int, rate: float, connections: int
    ) -> Iterator[Load]:
        """Let partners push in a process of their own while the block runs."""
        plan = Plan(
            self.port, FEED, self.secret, [str(one) for one in pictures], items, first, rate, connections
        )
        files = self.home / f"plan-{first}.json", self.home / f"report-{first}.json"
        files[0].write_text(json.dumps(asdict(plan)), encoding="utf-8")
        command = [sys.executable, "-m", "monitor.bench.push_load", *map(str, files)]
        load = Load(subprocess.Popen(command, env=self.env), files[1])
        try:
            yield load
        finally:
            load.popen.kill()
            load.popen.wait()

    def _until_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/health").status_code == HTTPStatus.OK:
                    return
            except httpx.TransportError:
                time.sleep(POLL_S)
        msg = "the pages of the bench did not come up"
        raise ConfigError(msg, hint=f"See {self.home / 'serve.log'}.")


@dataclass(frozen=True, slots=True)
class Load:
    """Partners that push."""

    popen: subprocess.Popen[bytes]
    report: Path

    @property
    def is_over(self) -> bool:
        """Whether everything was pushed."""
        return self.popen.poll() is not None

    def result(self) -> dict[str, Any]:
        """Wait for the end and give the report (push_load.Report)."""
        self.popen.wait(LOAD_S)
        found: dict[str, Any] = json.loads(self.report.read_text(encoding="utf-8"))
        return found


@contextmanager
def running(base: Settings, home: Path) -> Iterator[Service]:
    """Set a watch up with one feed and nobody enrolled; whatever was started has ended afterwards."""
    port, mail, counter = free_port(), free_port(), MailCounter()
    given = {
        "LIKENESS_HOME": str(home),
        "LIKENESS_DATABASE_URL": "",
        "LIKENESS_KEK": new_key_line("bench"),
        "LIKENESS_LINK_SECRET": secrets.token_urlsafe(48),
        "LIKENESS_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "LIKENESS_SMTP_HOST": "127.0.0.1",
        "LIKENESS_SMTP_PORT": str(mail),
        "LIKENESS_SMTP_TLS": "none",
        "LIKENESS_MAIL_FROM": "watch@example.org",
        "LIKENESS_MODELS_DIR": str(base.models_dir),
        "LIKENESS_PACK": base.pack,
        "LIKENESS_DEVICE": base.device,
        "LIKENESS_THREADS": str(base.threads),
    }
    own = {"home": home, "database_url": "", "blob_dir": None, "kek_file": None}
    settings = base.model_copy(update={**own, "kek": SecretStr(given["LIKENESS_KEK"])})
    env = {name: value for name, value in os.environ.items() if not name.startswith("LIKENESS_")} | given
    home.mkdir(parents=True, exist_ok=True)
    engine, keks = open_ledger(settings), KeyEncryptionKeys.from_settings(settings)
    subject_keys.ensure_service_keys(engine, keks)
    new = feeds.NewFeed(
        FEED, "Bench", "bench@example.org", per_second=1e6, burst=10**6, per_day=10**9
    )  # the limits of a feed are not what is measured
    feeds.add(engine, new, "bench")
    secret = feeds.add_key(engine, keks, FEED, "bench").secret
    controller = Controller(counter, hostname="127.0.0.1", port=mail)
    controller.start()
    service = Service(settings, engine, keks, env, port, secret, home, counter)
    try:
        yield service
    finally:
        for verb in ("worker", "serve"):
            service.stop(verb)
        controller.stop()
        engine.dispose()


def free_port() -> int:
    """Find a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
