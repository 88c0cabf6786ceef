"""Workers that are killed at a chosen place, as a power cut would: `dying_workers.py HOME=PLACE...`.

PLACE is module:name; whoever calls that dies. The models are loaded once and each worker is a fork, so
that killing ten of them takes no minute. Prints how each one ended.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path

import monitor.pipeline  # noqa: F401 - loaded before the forks, not in each
from monitor.jobs import run_worker
from monitor.ml import packs
from monitor.settings import Settings, load_settings


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _work(home: str, place: str) -> None:
    module, name = place.split(":")
    setattr(importlib.import_module(module), name, _die)
    run_worker(load_settings().model_copy(update={"home": Path(home)}), once=True)


LOADED = packs.load_pack(Settings())
packs.load_pack = lambda _: LOADED
for home, place in (word.split("=") for word in sys.argv[1:]):
    child = os.fork()
    if child == 0:
        _work(home, place)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))  # noqa: T201 - what the test reads
