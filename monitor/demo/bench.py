"""The demo as a bench: its figures in the form that every bench gives."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.bench.frame import Figure, Result
from monitor.demo import run as demo
from monitor.demo.report import figures
from monitor.demo.watching import Progress

if TYPE_CHECKING:
    from monitor.bench.frame import Request

HOME = Path("demo-output")


def run(request: Request) -> Result:
    """Run the demo in `demo-output` of the current folder and give its figures.

    `data` may be a folder with the archives that `deploy/demo.lock` names. There is no chance in it: seed and
    limit change nothing.
    """

    def tell(now: Progress) -> None:
        request.progress("files looked at", now.looked_at, max(now.items, 1))

    screen = demo.Screen(step=lambda _: None, progress=tell, fetching=request.progress)
    asked = demo.request_of(request.settings, HOME.resolve(), os.environ, request.data)
    return as_result(demo.run_demo(asked, screen), request.settings.device)


def as_result(ended: demo.Result, device: str) -> Result:
    """Put the figures of an ended demo into the form of a bench."""
    return Result(
        name="demo",
        figures={name: Figure.exact(value, unit, n) for name, (value, n, unit) in figures(ended).items()},
        data_set="deploy/demo.lock",
        seed=0,
        device=device,
        model_ids=ended.model_ids,
        date=datetime.now(UTC).date().isoformat(),
    )
