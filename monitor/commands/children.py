"""The processes beside the pages of `likeness serve --dev`: started, watched, started again, ended."""

from __future__ import annotations

import subprocess
import threading
import time
from typing import TYPE_CHECKING, Self

from monitor import log as logs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

LOOK_S = 0.5
"""How often it is looked whether a child has ended, seconds."""

AGAIN_S = 1.0
"""Seconds until a child that ended is started again the first time; the wait doubles each time."""

LONGEST_S = 60.0
"""Longest wait, seconds. A child that lived longer than this begins with the shortest wait again."""

STOP_S = 20.0
"""Seconds that the children get to finish what they have begun."""

log = logs.get(__name__)


class Child:
    """One process, started again with a growing wait when it ends by itself."""

    def __init__(self, name: str, command: list[str]) -> None:
        """Start it."""
        self._name, self._command, self._wait_s = name, command, AGAIN_S / 2
        self._due: float | None = None
        self._start()

    def _start(self) -> None:
        self._due, self._began = None, time.monotonic()
        self._process = subprocess.Popen(self._command)

    def look(self) -> None:
        """Say that it ended, if it did, and start it again when its wait is over."""
        now = time.monotonic()
        if self._due is not None:
            if now >= self._due:
                self._start()
        elif (code := self._process.poll()) is not None:
            self._wait_s = AGAIN_S if now - self._began > LONGEST_S else min(2 * self._wait_s, LONGEST_S)
            self._due = now + self._wait_s
            log.error("child_ended", process=self._name, code=code, again_in_s=self._wait_s)

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def end(self) -> None:
        """Wait for it, and kill it when it takes too long."""
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Children:
    """A block in which the named commands run; leaving it ends all of them."""

    def __init__(self, commands: Mapping[str, list[str]]) -> None:
        """Take the commands by name."""
        self._commands = commands
        self._children: list[Child] = []
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._keep_looking, name="children", daemon=True)

    def __enter__(self) -> Self:
        """Start all."""
        self._children = [Child(name, command) for name, command in self._commands.items()]
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all, none of them started again."""
        self._stop.set()
        self._watch.join()
        for child in self._children:
            child.ask_to_end()
        for child in self._children:
            child.end()

    def _keep_looking(self) -> None:
        while not self._stop.wait(LOOK_S):
            for child in self._children:
                try:
                    child.look()
                except OSError as exc:  # no memory or no process number is left: tried at the next look
                    log.warning("child_not_started", error=type(exc).__name__)
