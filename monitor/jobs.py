"""The worker's entry: assembles the watch, and joins it with enrolment's address book and the alerts."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from monitor import live_scores
from monitor import log as logs
from monitor.assembly import build_tools
from monitor.balance import balance_of
from monitor.budget import halves_of
from monitor.crew import Crew
from monitor.db import reading, utc_now, writing
from monitor.drift import Alarm
from monitor.errors import LikenessError, StorageError
from monitor.learning import learn_due
from monitor.ledger import open_ledger
from monitor.ml.warm import warm
from monitor.tables import BlobRow, MediaItem
from monitor.values import BlobId

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from alerts.outbox import Told
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.pipeline import Tools
    from monitor.progress import Outcome
    from monitor.settings import Settings

    Tell = Callable[[], Told]

TELL_EVERY_S = 2.0
"""How long a finding waits at most before somebody is told, beside the look that found it."""

SWEEP_EVERY_S = 600.0
"""How often bytes without a row are looked for. What was there without a row twice is nobody's: whoever
stores bytes writes their row within seconds."""

log = logs.get(__name__)


def run_worker(
    settings: Settings,
    *,
    once: bool = False,
    stop: threading.Event | None = None,
    seen: Callable[[Outcome], None] | None = None,
) -> None:
    """Look at what waits and tell what was found, until `stop` is set or, with `once`, the queue is empty.

    Raises ConfigError, KeysError and ModelError at the start, and nothing for one item or one message.
    """
    stop = stop or threading.Event()
    engine = open_ledger(settings)
    try:
        with build_tools(settings, engine) as tools:
            warm(tools.pack, settings.threads)
            keep_for = timedelta(days=settings.lookalike_days)
            rounds = _Rounds(tools, teller(settings, engine, tools.keks), keep_for)
            side = threading.Thread(target=rounds.keep_going, name="rounds")
            side.start()
            try:
                crew = Crew(
                    tools, threads=settings.threads, lease_s=settings.lease_seconds, seen=seen or _ignore
                )
                crew.run(stop, once=once)
            finally:
                rounds.stop()
                side.join()
    finally:
        engine.dispose()


def teller(settings: Settings, engine: Engine, keks: KeyEncryptionKeys) -> Tell | None:
    """Join alerts and enrolment: give what tells all that is due, or None where no channel is set up."""
    from alerts.channels import channels_from  # noqa: PLC0415 - a scan needs none of this
    from alerts.interfaces import Contact  # noqa: PLC0415
    from alerts.links import Links  # noqa: PLC0415
    from alerts.outbox import tell_due  # noqa: PLC0415
    from alerts.policy import Policy  # noqa: PLC0415
    from enrollment.contacts import EnrolledContacts  # noqa: PLC0415

    channels = channels_from(settings)
    if not channels:
        log.warning("nobody_is_told", why="neither LIKENESS_SMTP_HOST nor LIKENESS_TWILIO_ACCOUNT is set")
        return None
    links, contacts = Links.from_settings(settings), EnrolledContacts(engine, keks, Contact)
    limits = Policy(sms_per_day=settings.sms_per_day)
    return lambda: tell_due(engine, keks, contacts, channels, links, utc_now(), limits=limits)


class _Rounds:
    """What goes on beside the looks: telling, learning who is not meant, sweeping up bytes without a row."""

    def __init__(self, tools: Tools, tell: Tell | None, keep_for: timedelta) -> None:
        self._tools = tools
        self._tell = tell
        self._keep_for = keep_for
        self._stopping = threading.Event()
        self._ownerless: set[BlobId] = set()
        self._alarm = Alarm()

    def keep_going(self) -> None:
        """Tell and learn every few seconds, sweep every few minutes, and tell once more at the end."""
        rounds = 0
        self._draw_balance()
        while not self._stopping.wait(TELL_EVERY_S):
            self._tell_now()
            self._learn_now()
            self._tools.dial.tick()
            rounds += 1
            if rounds % int(SWEEP_EVERY_S / TELL_EVERY_S) == 0:
                self._ownerless = _sweep(self._tools.engine, self._tools.blobs, self._ownerless)
                self._draw_balance()
        self._learn_now()
        self._tell_now()

    def stop(self) -> None:
        """End after one last round."""
        self._stopping.set()

    def _tell_now(self) -> None:
        if self._tell is None:
            return
        try:
            self._tell()
        except (LikenessError, SQLAlchemyError) as exc:
            log.warning("could_not_tell", error=getattr(exc, "code", type(exc).__name__))
        except Exception:  # edge: telling must never end the watching, and is tried again
            log.exception("telling_failed")

    def _learn_now(self) -> None:
        try:
            learn_due(self._tools, self._keep_for, utc_now())
        except (LikenessError, SQLAlchemyError) as exc:
            log.warning("could_not_learn", error=getattr(exc, "code", type(exc).__name__))
        except Exception:  # edge: nor must learning
            log.exception("learning_failed")

    def _draw_balance(self) -> None:
        """Let the drift alarm look, and drop counts that are too old. Doing it twice changes nothing."""
        now, engine = utc_now(), self._tools.engine
        try:
            with reading(engine) as session:
                self._alarm.hear(balance_of(session, halves_of(self._tools.pack), now).drifts)
            with writing(engine) as session:
                live_scores.prune(session, now)
        except (StorageError, SQLAlchemyError) as exc:
            log.warning("balance_not_drawn", error=type(exc).__name__)
        except Exception:  # edge: nor must the alarm
            log.exception("balance_failed")


def sweep(engine: Engine, blobs: BlobStore, ownerless: set[BlobId]) -> set[BlobId]:
    """Delete the bytes that no row names now nor did the last time; give those seen for the first time.

    Bytes are stored before their row and deleted after it, so a crash between the two leaves some behind.
    """
    there = set(blobs.ids())
    with reading(engine) as session:
        connection = session.connection()
        named = {one for (one,) in connection.execute(select(col(MediaItem.blob_id)))}
        named |= {one for (one,) in connection.execute(select(col(BlobRow.id)))}
    lost = there - named
    for blob_id in lost & ownerless:
        blobs.delete(blob_id)
    return lost - ownerless


def _sweep(engine: Engine, blobs: BlobStore, ownerless: set[BlobId]) -> set[BlobId]:
    try:
        return sweep(engine, blobs, ownerless)
    except (StorageError, SQLAlchemyError) as exc:
        log.warning("not_swept", error=type(exc).__name__)
        return ownerless


def _ignore(_: Outcome) -> None:
    return
