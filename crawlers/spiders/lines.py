"""When the cursor of a line of pages may be kept: pure bookkeeping, no request is made here.

A line is what one tag names: a page, the page after it, and so on. A step (one page) is settled when it
was read, when all media that it showed were taken or noted, and when all of its details, which are steps
of other lines, are settled. Cursors are kept in the order of the steps, so that one never runs ahead
of something that a killed crawl would have to look at again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(eq=False)
class OneStep:
    """One page of a line. `open` counts what is not settled: its own reading is the first."""

    line: Line
    parent: OneStep | None = None
    open: int = 1
    cursor: str | None = None
    failed: bool = False

    @property
    def depth(self) -> int:
        """How many steps wait for this one, one behind the other."""
        return 0 if self.parent is None else 1 + self.parent.depth

    def opened(self) -> None:
        """One more thing belongs to this step."""
        self.open += 1

    def settled(self) -> None:
        """One of its things is done: it was read, or a file was noted, or a detail is settled."""
        self.open -= 1
        if self.open == 0 and not self.failed:
            self.line.advance()
            if self.parent is not None:
                self.parent.settled()

    def fail(self) -> None:
        """Nobody knows what it would have shown. The line stands still here until the next run."""
        self.failed = True


@dataclass(eq=False)
class Line:
    """All steps of one tag that are not settled, in order. `keep` is called with each cursor that holds.

    `at_end` is the cursor, and `when_ended` what else is to be done, once the whole line is settled.
    """

    keep: Callable[[str], object]
    steps: deque[OneStep] = field(default_factory=deque)
    at_end: str | None = None
    when_ended: list[Callable[[], object]] = field(default_factory=list)

    def step(self, parent: OneStep | None = None) -> OneStep:
        """Begin another step at the end. `parent` is the step of another line that waits for this one."""
        if parent is not None:
            parent.opened()
        begun = OneStep(self, parent)
        self.steps.append(begun)
        return begun

    def advance(self) -> None:
        """Keep the cursors of all steps that are settled, up to the first that is not."""
        while self.steps and self.steps[0].open == 0 and not self.steps[0].failed:
            cursor = self.steps.popleft().cursor
            if cursor is not None:
                self.keep(cursor)
        if not self.steps:
            if self.at_end is not None:
                self.keep(self.at_end)
                self.at_end = None
            for call in self.when_ended:
                call()
            self.when_ended.clear()
