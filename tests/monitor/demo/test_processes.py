"""What the demo starts surely ends, with everything that it started in turn."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from monitor.demo import processes
from monitor.demo.processes import Children
from monitor.errors import DemoFailed
from monitor.memory import peak_memory_mb

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = (sys.executable, "-c")
STUBBORN = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(str(grandchild.pid))
time.sleep(600)
"""


@pytest.fixture
def children(tmp_path: Path) -> Children:
    return Children(tmp_path, PYTHON)


def is_gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if _is_zombie(pid):
            return True
        time.sleep(0.05)
    return False


def _is_zombie(pid: int) -> bool:
    """Say whether nobody has collected it yet: in a container there may be no init that does."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123 - a file of the kernel
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def test_a_verb_runs_to_its_end_and_gives_what_it_said(children: Children) -> None:
    with children:
        assert children.run("hello", ["print('hello')"], os.environ) == "hello\n"


def test_a_verb_gets_the_environment_that_it_is_given_and_no_other(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIKENESS_HOME", "/somebody/elses")
    with children:
        assert children.run("env", ["import os; print(os.environ.get('LIKENESS_HOME'))"], {}) == "None\n"


def test_a_verb_that_fails_shows_the_end_of_its_log(children: Children) -> None:
    with children, pytest.raises(DemoFailed, match="`likeness worse` ended with 3") as caught:
        children.run("worse", ["import sys; print('no such luck'); sys.exit(3)"], os.environ)
    assert "no such luck" in caught.value.hint


def test_a_verb_that_hangs_is_given_up(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "COMMAND_SECONDS", 0.2)
    with children, pytest.raises(DemoFailed, match="took more than"):
        children.run("hang", ["import time; time.sleep(600)"], os.environ)


def test_a_process_that_ended_early_is_noticed(children: Children) -> None:
    with children:
        child = children.start("gone", ["pass"], os.environ)
        child.popen.wait(30)
        with pytest.raises(DemoFailed, match="`likeness gone` ended with 0"):
            children.check()


def test_leaving_the_block_ends_children_and_grandchildren_also_the_stubborn_ones(
    children: Children, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "POLITE_SECONDS", 0.5)
    noted = tmp_path / "grandchild"

    def interrupted() -> int:
        with children:
            child = children.start("stubborn", [STUBBORN, str(noted)], os.environ)
            while not (noted.exists() and noted.read_text()):
                time.sleep(0.02)
            started.append(child.popen.pid)
            raise KeyboardInterrupt

    started: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert is_gone(started[0])
    assert is_gone(int(noted.read_text()))


def test_peak_memory_is_read_where_the_system_tells_it() -> None:
    own = peak_memory_mb(os.getpid())
    assert own is None or 5 < own < 100_000
    assert peak_memory_mb(2**22 + 1) is None
