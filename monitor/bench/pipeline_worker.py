"""The worker of one round of the pipeline bench, in a process of its own so that its memory is its own.

`python -m monitor.bench.pipeline_worker REPORT`, with the settings of a prepared home in the environment.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.assembly import build_tools
from monitor.crew import Crew
from monitor.ledger import open_ledger
from monitor.memory import peak_memory_mb
from monitor.ml.warm import warm
from monitor.settings import load_settings

if TYPE_CHECKING:
    from monitor.progress import Outcome


def main(report: Path) -> None:
    """Empty the queue once and write seconds, stage seconds and peak memory to `report`."""
    settings = load_settings()
    engine = open_ledger(settings)
    outcomes: list[Outcome] = []
    with build_tools(settings, engine) as tools:
        crew = Crew(tools, threads=settings.threads, lease_s=settings.lease_seconds, seen=outcomes.append)
        warm(tools.pack, settings.threads)  # as a worker does before it begins
        began = time.perf_counter()
        crew.run(threading.Event(), once=True)
        seconds = time.perf_counter() - began
    stages: Counter[str] = Counter()
    for outcome in outcomes:
        for timing in outcome.timings:
            stages[timing.stage] += timing.seconds  # type: ignore[assignment]  # a Counter of seconds
    peak_mb = peak_memory_mb(os.getpid())
    told = {"seconds": seconds, "items": len(outcomes), "stages": stages, "peak_mb": peak_mb}
    report.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
