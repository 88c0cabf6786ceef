"""The worker's entry: assembles the watch, and joins it with enrolment's address book and the alerts."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from monitor import live_scores, switching
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
from monitor.partners import uploads
from monitor.partners.arriving import enter_due
from monitor.partners.tables import FeedUpload
from monitor.renewing import ACTOR, Renewal, Step
from monitor.tables import BlobRow, MediaItem
from monitor.values import BlobId

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from alerts.outbox import Told
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.ml.interfaces import Pack
    from monitor.progress import Outcome
    from monitor.settings import Settings
    from monitor.stages.decode import Decoder
    from monitor.tools import Tools

    Tell = Callable[[], Told]

TELL_EVERY_S = 2.0
"""How long a finding waits at most before somebody is told, beside the look that found it."""

SWEEP_EVERY_S = 600.0
"""How often bytes without a row are looked for. What was there without a row twice is nobody's: whoever
stores bytes writes their row within seconds."""

RENEW_S = 1.0
"""Seconds of a round spent on kept samples while the models change: half of one core, the rest looks on."""

LINE_UP_EVERY_S = 10.0
"""How often it is asked whether anybody is still known by an older pack alone."""

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
        now = switching.in_force(engine, settings)
        while _watch(now, engine, _Either(stop), once=once, seen=seen or _ignore) and not stop.is_set():
            now = switching.in_force(engine, settings, going_on=True)
            log.info("goes_over_to_another_pack", pack=now.pack)
    finally:
        engine.dispose()


def _watch(
    settings: Settings, engine: Engine, stop: _Either, *, once: bool, seen: Callable[[Outcome], None]
) -> bool:
    """Watch with the pack in force until told to stop; say whether another line-up of packs is due."""
    with build_tools(settings, engine) as tools:
        warm(tools.pack, settings.threads)
        keep_for = timedelta(days=settings.lookalike_days)
        renewal = renewal_of(settings, engine, tools.keks, tools.decoder)
        turn = _Turn(settings, engine, renewal, stop)
        rounds = _Rounds(tools, teller(settings, engine, tools.keks), keep_for, turn)
        side = threading.Thread(target=rounds.keep_going, name="rounds")
        closing = threading.Event()
        desk = threading.Thread(target=desk_of(settings, tools), args=(closing,), name="desk")
        rounds.take_over_now()
        side.start()
        desk.start()
        try:
            crew = Crew(tools, threads=settings.threads, lease_s=settings.lease_seconds, seen=seen)
            crew.run(stop, once=once)
        finally:
            rounds.stop()
            closing.set()
            side.join()
            desk.join()
            renewal.close()
    return turn.is_due


class _Either(threading.Event):
    """Set by itself, or by the event of whoever runs the worker."""

    def __init__(self, outer: threading.Event) -> None:
        super().__init__()
        self._outer = outer

    def is_set(self) -> bool:
        return super().is_set() or self._outer.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the outer one; that this one was set is seen when the time is up."""
        if not super().is_set():
            self._outer.wait(timeout)
        return self.is_set()


def renewal_of(settings: Settings, engine: Engine, keks: KeyEncryptionKeys, decoder: Decoder) -> Renewal:
    """Join a change of models and enrolment, which has the samples that were kept."""
    from enrollment.renewal import KeptReferences  # noqa: PLC0415 - a scan needs none of this
    from enrollment.subjects import Ledger  # noqa: PLC0415
    from monitor.blobs import BlobStore  # noqa: PLC0415
    from monitor.ml.packs import load_pack  # noqa: PLC0415

    def load(name: str) -> Pack:
        return load_pack(settings.model_copy(update={"pack": name}))

    ledger = Ledger(engine, keks, BlobStore(settings.blobs), ACTOR)
    return Renewal(engine, keks, KeptReferences(ledger, decoder, settings.max_bytes), load)


def desk_of(settings: Settings, tools: Tools) -> Callable[[threading.Event], None]:
    """Join enrolment and the watch's tools: give what judges what the web form took, until told to stop."""
    from enrollment.desk import Desk  # noqa: PLC0415 - a scan needs none of this
    from enrollment.desk_work import keep_working  # noqa: PLC0415
    from enrollment.lookups import Lookups  # noqa: PLC0415
    from enrollment.samples import Reader  # noqa: PLC0415

    desk = Desk(
        tools.engine,
        tools.keks,
        tools.blobs,
        settings,
        Lookups(tools.engine, tools.keks),
        Reader(tools.pack, tools.decoder, settings.sample_max_bytes),
        tools.gallery,
        tools.dial,
    )
    return lambda stop: keep_working(desk, stop)


class _Turn:
    """The rounds of a change of models: read kept samples, tidy up, and see when another pack is in force."""

    def __init__(self, settings: Settings, engine: Engine, renewal: Renewal, stop: _Either) -> None:
        self._settings, self._engine, self._renewal, self._stop = settings, engine, renewal, stop
        self._now = switching.line_up(engine, settings)
        self._looked_at = 0.0
        self.is_due = False

    def take(self) -> None:
        """Do one round; at the end of it, ask the crew to stop where another line-up of packs is due."""
        step = self._renewal.step(RENEW_S, self._stop)
        is_time = self._is_time()
        if is_time:
            switching.tidy(self._engine, utc_now(), ACTOR)
        in_force = switching.in_force(self._engine, self._settings, going_on=True)
        if step is Step.ENDED or in_force.pack != self._now.pack or is_time:
            line_up = switching.line_up(self._engine, in_force)
            if line_up != self._now:
                self.is_due = True
                self._stop.set()

    def _is_time(self) -> bool:
        """Whether to tidy, and to see who is still known by an older pack: nobody waits for it."""
        now = time.monotonic()
        if now - self._looked_at < LINE_UP_EVERY_S:
            return False
        self._looked_at = now
        return True


def teller(settings: Settings, engine: Engine, keks: KeyEncryptionKeys) -> Tell | None:
    """Join alerts and enrolment: give what sends all that is due, or None where no channel is set up."""
    from alerts import policy  # noqa: PLC0415 - a scan needs none of this
    from alerts.channels import channels_from  # noqa: PLC0415
    from alerts.interfaces import Contact, Message  # noqa: PLC0415
    from alerts.links import Links  # noqa: PLC0415
    from alerts.outbox import tell_due  # noqa: PLC0415
    from enrollment import letters  # noqa: PLC0415
    from enrollment.contacts import EnrolledContacts  # noqa: PLC0415

    channels = channels_from(settings)
    if not channels:
        log.warning("nobody_is_told", why="neither LIKENESS_SMTP_HOST nor LIKENESS_TWILIO_ACCOUNT is set")
        return None
    links, contacts = Links.from_settings(settings), EnrolledContacts(engine, keks, Contact)
    # SMS cost the same whatever they say: each side counts the other's too.
    limits = policy.Policy(sms_per_day=settings.sms_per_day, sms_elsewhere=letters.sms_of_a_day)
    carriers = letters.Carriers(channels, Message, settings.sms_per_day, policy.sms_of_a_day)

    def tell() -> Told:
        letters.send_due(engine, keks, carriers, utc_now())  # somebody sits there and waits for a link
        return tell_due(engine, keks, contacts, channels, links, utc_now(), limits=limits)

    return tell


class _Rounds:
    """What goes on beside the looks: telling, learning who is not meant, changing models, sweeping up."""

    def __init__(self, tools: Tools, tell: Tell | None, keep_for: timedelta, turn: _Turn) -> None:
        self._tools = tools
        self._tell = tell
        self._keep_for = keep_for
        self._turn = turn
        self._stopping = threading.Event()
        self._ownerless: set[BlobId] = set()
        self._alarm = Alarm()

    def keep_going(self) -> None:
        """Tell and learn every few seconds, sweep every few minutes, and tell once more at the end."""
        rounds = 0
        self._draw_balance()
        while not self._stopping.wait(TELL_EVERY_S):
            self._tell_now()
            self.take_over_now()
            self._learn_now()
            self._turn_now()
            self._tools.dial.tick()
            if self._tools.assessor is not None:
                self._tools.assessor.rest(utc_now())
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

    def take_over_now(self) -> None:
        """Take over large files that came whole, so that they are looked at like everything else."""
        try:
            enter_due(self._tools.engine, self._tools.blobs, self._tools.opener)
        except (LikenessError, SQLAlchemyError) as exc:
            log.warning("uploads_not_taken_over", error=getattr(exc, "code", type(exc).__name__))
        except Exception:  # edge: nor must taking over
            log.exception("taking_over_failed")

    def _learn_now(self) -> None:
        try:
            learn_due(self._tools, self._keep_for, utc_now())
        except (LikenessError, SQLAlchemyError) as exc:
            log.warning("could_not_learn", error=getattr(exc, "code", type(exc).__name__))
        except Exception:  # edge: nor must learning
            log.exception("learning_failed")

    def _turn_now(self) -> None:
        try:
            self._turn.take()
        except (LikenessError, SQLAlchemyError) as exc:
            code, hint = getattr(exc, "code", type(exc).__name__), getattr(exc, "hint", "")
            log.warning("models_not_changed", error=code, hint=hint)
        except Exception:  # edge: nor must a change of models
            log.exception("changing_models_failed")

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

    Bytes are stored before their row and deleted after it, so a crash between the two leaves some behind; and
    a crash while they are written leaves half of them.
    """
    uploads.expire(engine, utc_now())
    blobs.drop_half_written()
    there = set(blobs.ids())
    with reading(engine) as session:
        connection = session.connection()
        named = {one for (one,) in connection.execute(select(col(MediaItem.blob_id)))}
        named |= {one for (one,) in connection.execute(select(col(BlobRow.id)))}
        named |= {one for (one,) in connection.execute(select(col(FeedUpload.blob_id)))}
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
