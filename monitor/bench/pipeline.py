"""How fast the whole path is, beside the models alone and beside a naive loop over the same models.

Three ways to look at the same files, taken in turns so that a busy machine disturbs all alike:

* the pipeline: a worker in a process of its own, from a full queue to the end of every item;
* the models alone: the very calls that the pipeline makes, replayed from memory by as many threads;
* the naive loop: one file after the other, one frame after the other, one face after the other.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from monitor import subject_keys
from monitor.assembly import build_tools
from monitor.bench.frame import Figure, Result
from monitor.bench.replay import Record, naive, recording, replay
from monitor.crew import Crew
from monitor.crypto import KeyEncryptionKeys, new_key_line
from monitor.errors import ConfigError, EmptyMedia, NotMedia
from monitor.intake import HEAD_BYTES, Door, kind_of, submit
from monitor.ledger import open_ledger
from monitor.scanning import files_of, origin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from monitor.bench.frame import Request
    from monitor.ml.interfaces import Pack
    from monitor.settings import Settings

ROUNDS: Final = 5
"""Times that each way is measured. A figure is the median; low and high are the extremes."""

WORKER_S: Final = 3600.0
"""Longest round of the worker."""


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds of wall time of each way in one round, and what the worker said of itself."""

    pipeline_s: float
    models_s: float
    naive_s: float
    peak_mb: float
    stages: dict[str, float]


def run(request: Request) -> Result:
    """Measure on the media files of `request.data`.

    Raises ConfigError where there are none, or more than fit into memory.
    """
    files = _media(request)
    with tempfile.TemporaryDirectory() as folder:
        settings = _own(request.settings, Path(folder), new_key_line("bench"))
        threads = settings.threads or os.cpu_count() or 1
        engine = open_ledger(settings)
        with build_tools(settings, engine) as tools:
            _fill(files, request.data, settings)
            record = Record()
            recorded = replace(tools, pack=recording(tools.pack, record))
            Crew(recorded, threads=threads, lease_s=60.0, seen=_ignore).run(threading.Event(), once=True)
            rounds = []
            for number in range(ROUNDS):
                request.progress("rounds", number, ROUNDS)
                said = _pipeline(files, request, Path(folder) / str(number))
                models_s, naive_s = replay(record.calls, threads), naive(files, tools)
                rounds.append(Round(said["seconds"], models_s, naive_s, said["peak_mb"], said["stages"]))
            request.progress("rounds", ROUNDS, ROUNDS)
            figures, ids = _figures(rounds, len(files)), _model_ids(tools.pack)
            provider = tools.pack.provider
        engine.dispose()
    return Result.today("pipeline", figures, request, provider, ids)


def _media(request: Request) -> list[Path]:
    files = [path for path in files_of([request.data]) if _is_media(path)] if request.data else []
    if not files:
        msg = "there is no media to look at"
        raise ConfigError(msg, hint="Name a folder with pictures, videos or sounds: --media DIR.")
    return files[: request.limit or None]


def _is_media(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            kind_of(file.read(HEAD_BYTES))
        except (EmptyMedia, NotMedia):
            return False
    return True


def _own(settings: Settings, home: Path, key: str) -> Settings:
    """Give settings with a home, a database and a key of their own: no bench touches the real watch."""
    own = {"home": home, "database_url": "", "blob_dir": None, "kek_file": None}
    return settings.model_copy(update={**own, "kek": SecretStr(key)})


def _fill(files: Sequence[Path], folder: Path | None, settings: Settings) -> None:
    engine = open_ledger(settings)
    door = Door.of(settings, engine)
    for path in files:
        submit(path.read_bytes(), origin_of(path, [folder] if folder else []), door)
    engine.dispose()


def _pipeline(files: Sequence[Path], request: Request, home: Path) -> dict[str, Any]:
    """Fill the queue of a new home and let a worker process empty it."""
    base, key = request.settings, new_key_line("bench")
    settings = _own(base, home, key)
    engine = open_ledger(settings)
    subject_keys.ensure_service_keys(engine, KeyEncryptionKeys.from_settings(settings))
    engine.dispose()
    _fill(files, request.data, settings)
    given = {
        "LIKENESS_HOME": str(home),
        "LIKENESS_KEK": key,
        "LIKENESS_DATABASE_URL": "",
        "LIKENESS_MODELS_DIR": str(base.models_dir),
        "LIKENESS_PACK": base.pack,
        "LIKENESS_DEVICE": base.device,
        "LIKENESS_THREADS": str(base.threads),
        "LIKENESS_FRAMES_PER_SECOND": str(base.frames_per_second),
    }
    report = home / "report.json"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LIKENESS_")}
    subprocess.run(
        [sys.executable, "-m", "monitor.bench.pipeline_worker", str(report)],
        check=True,
        env=inherited | given,
        timeout=WORKER_S,
    )
    said: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return said


def _figures(rounds: Sequence[Round], items: int) -> dict[str, Figure]:
    stages = {stage for one in rounds for stage in one.stages}
    return {
        "pipeline.items_per_s": _of(rounds, lambda r: items / r.pipeline_s, "items/s", items),
        "pipeline.ratio_to_model_time": _of(rounds, lambda r: r.pipeline_s / r.models_s, "ratio", items),
        "pipeline.speedup_vs_naive_loop": _of(rounds, lambda r: r.naive_s / r.pipeline_s, "ratio", items),
        "pipeline.worker_peak_mb": _of(rounds, lambda r: r.peak_mb, "MiB", items),
        **{f"pipeline.{stage}_ms": _stage(rounds, stage, items) for stage in sorted(stages)},
    }


def _stage(rounds: Sequence[Round], stage: str, items: int) -> Figure:
    return _of(rounds, lambda r: 1000 * r.stages.get(stage, 0.0) / items, "ms/item", items)


def _of(rounds: Sequence[Round], read: Callable[[Round], float], unit: str, items: int) -> Figure:
    values = [read(one) for one in rounds]
    return Figure(statistics.median(values), min(values), max(values), items, unit)


def _model_ids(pack: Pack) -> tuple[str, ...]:
    halves = [half for half in (pack.faces, pack.voices) if half is not None]
    return tuple(str(part.model_id) for half in halves for part in (half.detector, half.recogniser))


def _ignore(_: object) -> None:
    return
