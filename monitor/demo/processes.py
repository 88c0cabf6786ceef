"""Starts `likeness` commands as processes of their own, and surely ends them.

Each one leads a process group, so that Ctrl-C in the terminal reaches only the demo, which then ends
its children in order: a polite SIGTERM, and after a while SIGKILL for the whole group.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from monitor.errors import DemoFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

LIKENESS = (sys.executable, "-m", "monitor.cli")
"""The `likeness` command of this very installation, whatever PATH says."""

POLITE_SECONDS = 10.0
"""How long a child may take to finish what it is at; an item takes about a second."""

COMMAND_SECONDS = 120.0
"""Longest time of one verb such as `subject add`, with the models read from a cold disk."""

TAIL = 15
"""Lines of a log that are shown when its process failed."""


@dataclass(frozen=True, slots=True)
class Child:
    """One started process and the file it writes to."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path


class Children:
    """The processes of one demo. Leaving the block ends all of them."""

    def __init__(self, logs: Path, command: Sequence[str] = LIKENESS) -> None:
        self._logs = logs
        self._command = tuple(command)
        self._all: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, arguments: list[str], env: Mapping[str, str]) -> Child:
        """Start `likeness ARGUMENTS` in the background; its output goes to `logs/NAME.log`."""
        log = self._logs / f"{name}.log"
        with log.open("ab") as out:
            popen = subprocess.Popen(
                [*self._command, *arguments],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child = Child(name, popen, log)
        self._all.append(child)
        return child

    def run(self, name: str, arguments: list[str], env: Mapping[str, str]) -> str:
        """Run one verb to its end and give what it said. Raises DemoFailed with the end of its log."""
        return self.finish(self.start(name, arguments, env))

    def finish(self, child: Child) -> str:
        """Wait for a verb that was started and give what it said. Raises DemoFailed likewise."""
        try:
            code = child.popen.wait(COMMAND_SECONDS)
        except subprocess.TimeoutExpired as exc:
            raise _failed(child, f"took more than {COMMAND_SECONDS:.0f} s") from exc
        self._bury(child)
        if code:
            raise _failed(child, f"ended with {code}")
        return child.log.read_text("utf-8", "replace")

    def check(self) -> None:
        """Raise DemoFailed when a process that should be running has ended."""
        for child in self._all:
            if child.popen.poll() is not None:
                raise _failed(child, f"ended with {child.popen.returncode}")

    def stop(self) -> None:
        """End everything that still runs: politely, last started first, then for good."""
        running = [child for child in reversed(self._all) if child.popen.poll() is None]
        for child in running:
            child.popen.terminate()
        deadline = time.monotonic() + POLITE_SECONDS
        for child in running:
            with suppress(subprocess.TimeoutExpired):
                child.popen.wait(max(0.0, deadline - time.monotonic()))
        for child in list(self._all):
            self._bury(child)

    def _bury(self, child: Child) -> None:
        # At once after its end, and once: later its number may be somebody else's.
        _kill_group(child.popen.pid)
        child.popen.wait()
        self._all.remove(child)


def _kill_group(pid: int) -> None:
    # The leader's children may outlive it; the group's number stays taken until the last one is gone.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _failed(child: Child, how: str) -> DemoFailed:
    said = "\n".join(child.log.read_text("utf-8", "replace").splitlines()[-TAIL:])
    return DemoFailed(f"`likeness {child.name}` {how}", hint=f"The end of {child.log}:\n{said}")
