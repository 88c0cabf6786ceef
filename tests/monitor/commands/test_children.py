"""The processes beside `likeness serve --dev`: one that dies is named and started again, none outlives it."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from monitor import log
from monitor.commands import children, serve
from monitor.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

LIVES = """
import os, sys, time
from pathlib import Path
Path(sys.argv[1], str(os.getpid())).touch()
time.sleep(60)
"""


def test_a_child_that_was_killed_is_named_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(children, "LOOK_S", 0.05)
    log.configure(json=True)

    with children.Children({"worker": [sys.executable, "-c", LIVES, str(tmp_path)]}):
        (first,) = _pids(tmp_path, 1)
        os.kill(first, signal.SIGKILL)
        both = _pids(tmp_path, 2)
    said = capsys.readouterr().err

    assert "child_ended" in said
    assert "worker" in said
    assert not any(_lives(pid) for pid in both)


def test_the_wait_doubles_for_a_child_that_cannot_live(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(children, "LOOK_S", 0.05)
    monkeypatch.setattr(children, "AGAIN_S", 0.1)
    log.configure(json=True)

    with children.Children({"worker": [sys.executable, "-c", "raise SystemExit(1)"]}):
        time.sleep(1.5)
    said = capsys.readouterr().err

    assert '"again_in_s": 0.1' in said
    assert '"again_in_s": 0.2' in said
    assert said.count("child_ended") <= 5


def test_without_a_contact_nothing_is_crawled_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without = serve._wanted(Settings(home=tmp_path))
    said = capsys.readouterr().err
    named = serve._wanted(Settings(home=tmp_path, crawl_contact="ops@example.org"))

    assert without == ("worker",)
    assert "LIKENESS_CRAWL_CONTACT" in said
    assert named == ("worker", "scheduler")


def _pids(folder: Path, count: int) -> list[int]:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if len(found := [int(path.name) for path in folder.iterdir()]) >= count:
            return found
        time.sleep(0.05)
    pytest.fail(f"{count} children did not start")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
