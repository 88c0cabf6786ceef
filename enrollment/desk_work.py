"""The desk at work: its steps in their order, one after the other, as long as the worker runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from enrollment.drills import drill_due
from enrollment.erasure import finish_due
from enrollment.export import make_due
from enrollment.growing import grow_due
from enrollment.identity.check import check_due
from enrollment.judging import judge_due
from enrollment.registering import register_due
from enrollment.reproof import remind_due
from enrollment.retention import enforce_due
from enrollment.starting import act_due, start_due
from monitor import log as logs
from monitor.errors import LikenessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from enrollment.desk import Desk

log = logs.get(__name__)

LOOK_EVERY_S = 0.2
"""How long what somebody gave waits at most before it is looked at, where nothing else is in the way."""

STEPS: tuple[Callable[[Desk], int], ...] = (
    judge_due,
    register_due,
    check_due,
    grow_due,
    make_due,
    drill_due,
    remind_due,
    enforce_due,
)
"""What is done, in this order. Each gives how many rows it dealt with."""


PROMPT: tuple[Callable[[Desk], int], ...] = (start_due, act_due, finish_due)
"""What somebody waits for and takes milliseconds: done beside STEPS, which may be busy with a video."""


def keep_working(desk: Desk, stop: threading.Event) -> None:
    """Do every step over and over until `stop` is set; rest where nothing was due."""
    prompt = threading.Thread(target=_keep_doing, args=(desk, PROMPT, stop), name="desk-prompt")
    prompt.start()
    _keep_doing(desk, STEPS, stop)
    prompt.join()


def work_once(desk: Desk) -> int:
    """Do every step once; give how many rows were dealt with. A step that fails is tried again next time."""
    return _do(desk, (*STEPS, *PROMPT))


def _keep_doing(desk: Desk, steps: Iterable[Callable[[Desk], int]], stop: threading.Event) -> None:
    while not stop.is_set():
        if not _do(desk, steps):
            stop.wait(LOOK_EVERY_S)


def _do(desk: Desk, steps: Iterable[Callable[[Desk], int]]) -> int:
    done = 0
    for step in steps:
        try:
            done += step(desk)
        except (LikenessError, SQLAlchemyError) as exc:
            log.warning(
                "desk_step_failed", step=step.__name__, error=getattr(exc, "code", type(exc).__name__)
            )
        except Exception:  # edge: what people gave must never end the watching
            log.exception("desk_step_failed", step=step.__name__)
    return done
