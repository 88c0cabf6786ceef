"""`likeness serve`: a real process that answers, logs no addresses, and ends its children."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from monitor.commands import serve
from monitor.settings import Settings
from tests.alerts.mailhost import free_port

if TYPE_CHECKING:
    from pathlib import Path

CHILD = """
import os, sys, time
from pathlib import Path
Path(sys.argv[1], "child-" + str(os.getpid())).touch()
time.sleep(60)
"""
"""Stands in for the worker and the scheduler: it only says that it is there."""

SERVE = f"""
import sys
from monitor.commands import serve
serve.CHILD = [sys.executable, "-c", {CHILD!r}, {{folder!r}}]
serve.serve("127.0.0.1", {{port}}, dev=True)
"""


def test_dev_makes_what_is_missing_once_and_for_its_owner_only(tmp_path: Path) -> None:
    chosen = Settings(home=tmp_path / "home")

    first = serve.dev_environment(chosen, "127.0.0.1", 8801)
    second = serve.dev_environment(chosen, "127.0.0.1", 8801)

    assert first == second
    assert first["LIKENESS_PUBLIC_URL"] == "http://localhost:8801"
    assert first["LIKENESS_ENROLMENT"] == "open"
    assert len(first["LIKENESS_LINK_SECRET"]) >= 32
    for name in ("dev-keys", "dev-link-secret"):
        assert (chosen.home / name).stat().st_mode & 0o077 == 0


def test_dev_leaves_alone_what_is_set(tmp_path: Path) -> None:
    chosen = Settings(
        home=tmp_path,
        kek=SecretStr("k1:x"),
        link_secret=SecretStr("y" * 40),
        public_url="https://watch.example",
        enrolment="closed",
    )

    assert serve.dev_environment(chosen, "127.0.0.1", 8801) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_real_process_serves_and_takes_its_children_with_it(tmp_path: Path, number: signal.Signals) -> None:
    port, script = free_port(), tmp_path / "serve.py"
    script.write_text(SERVE.format(folder=str(tmp_path), port=port))
    with (tmp_path / "said").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, script],
            env={
                **os.environ,
                "LIKENESS_HOME": str(tmp_path / "home"),
                "LIKENESS_CRAWL_CONTACT": "ops@example.org",
            },
            stderr=out,
        )
    try:
        health = _get(f"http://127.0.0.1:{port}/health")
        _get(f"http://127.0.0.1:{port}/m/a-token-that-is-a-secret")
        pids = _pids(tmp_path)
        process.send_signal(number)
        process.wait(30)
    finally:
        process.kill()
        process.wait()
    said = (tmp_path / "said").read_text()

    assert json.loads(health)["status"] == "alive"
    assert "Serving on" in said
    assert "a-token-that-is-a-secret" not in said
    assert len(pids) == 2
    assert not any(_lives(pid) for pid in pids)


def _get(url: str) -> str:
    for _ in range(300):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own process
                return str(answer.read().decode())
        except urllib.error.URLError:
            time.sleep(0.1)
    pytest.fail("the process did not answer within half a minute")


def _pids(folder: Path) -> list[int]:
    for _ in range(100):
        pids = [int(path.name.removeprefix("child-")) for path in folder.glob("child-*")]
        if len(pids) == 2:
            return pids
        time.sleep(0.1)
    pytest.fail("the children did not start")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
