"""Makes templates of a new model out of the samples that were kept: the worker's round of a switch.

    1 take      the lease of the switch: two workers do not read the same samples
    2 read      one kept sample after the other, with the new pack, by the rules of enrolment
    3 write     its template, or why there is none, in one transaction that looks first whether it is there
    4 end       when none waits any more: the new pack is in force, and who has no new template is asked

Whoever dies before 3 leaves the sample waiting, and whoever comes later goes on with it.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from sqlalchemy.exc import IntegrityError

from monitor import audit, switching
from monitor import log as logs
from monitor.db import reading, utc_now, writing
from monitor.errors import (
    BlobMissing,
    ConfigError,
    LikenessError,
    MediaError,
    NotFound,
    SampleError,
    SubjectErased,
    Tampered,
)
from monitor.gallery_rows import add_template
from monitor.tables import Lease, ModelSwitch, NotRenewed, SubjectKey
from monitor.values import Modality, ModelId, SubjectId

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Engine
    from sqlmodel import Session

    from monitor.crypto import KeyEncryptionKeys
    from monitor.ml.interfaces import Pack

LEASE = "model-switch"

LEASE_S = 20.0
"""Seconds until the switch of a process that went silent goes on elsewhere; it is renewed with each sample,
and the slowest one (a long clip) is read in about ten."""

AT_ONCE = 50
"""Kept samples asked for at once: finding the next ones reads the whole list of templates."""

ACTOR = "worker"

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Renewed:
    """A kept sample, read with a new model. `vector` is (d,) float32 of length 1, `quality` in [0, 1]."""

    model_id: ModelId
    vector: NDArray[np.float32]
    quality: float


class References(Protocol):
    """The samples that were kept. Enrolment has them; the entry files bring it here."""

    def read(self, reference_id: str, pack: Pack) -> Renewed:
        """Open one and read it with a pack.

        Raises SampleError or MediaError where the pack cannot use it, Tampered or BlobMissing where it
        does not open, NotFound or SubjectErased where it is gone.
        """

    def ask(self, session: Session, subject_ids: Collection[SubjectId], pack: str) -> None:
        """Note that these people, and nobody else, must give new samples for a pack."""


class Step(StrEnum):
    """What a round came to."""

    IDLE = "idle"
    HELD = "held"
    AT_WORK = "at_work"
    ENDED = "ended"


class Renewal:
    """The rounds of one process. `load` gives the pack of a name."""

    def __init__(
        self,
        engine: Engine,
        keks: KeyEncryptionKeys,
        references: References,
        load: Callable[[str], Pack],
    ) -> None:
        """Be ready; nothing is loaded before a switch is under way."""
        self._engine, self._keks, self._references, self._load = engine, keks, references, load
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._pack: Pack | None = None

    def step(self, seconds: float, stop: threading.Event | None = None) -> Step:
        """Read kept samples for about this long, or until `stop`; end the switch where none is left.

        Raises ConfigError or ModelError where the new pack cannot be loaded, KeysError for a wrong key;
        nothing for one sample.
        """
        until = time.monotonic() + seconds
        with reading(self._engine) as session:
            switch = switching.running(session)
        if switch is None:
            self._pack = None
            return Step.IDLE
        # 1  take
        if not _take(self._engine, self._owner):
            return Step.HELD
        pack = self._pack_of(switch)
        while True:
            with reading(self._engine) as session:
                due = switching.waiting(session, switch, AT_ONCE)
            if not due:
                return self._end(switch)
            # 2, 3  read and write
            for one in due:
                self._renew(switch, *one, pack)
                stopped = stop is not None and stop.is_set()
                if stopped or time.monotonic() >= until or not _take(self._engine, self._owner):
                    return Step.AT_WORK

    def close(self) -> None:
        """Give the lease back, so that another process need not wait for it."""
        with writing(self._engine) as session:
            row = session.get(Lease, LEASE, with_for_update=True)
            if row is not None and row.owner == self._owner:
                session.delete(row)

    def _pack_of(self, switch: ModelSwitch) -> Pack:
        if self._pack is None or self._pack.name != switch.to_pack:
            self._pack = self._load(switch.to_pack)
        if self._pack.faces is None or self._pack.faces.recogniser.model_id != switch.to_model:
            msg = f"the pack {switch.to_pack} is not the one that the switch was started with"
            raise ConfigError(
                msg, hint="Bring its weights back, or begin anew: `likeness models switch --cancel`."
            )
        return self._pack

    def _renew(self, switch: ModelSwitch, reference_id: str, subject_id: SubjectId, pack: Pack) -> None:
        try:
            renewed = self._references.read(reference_id, pack)
        except SubjectErased:
            return  # and the sample with it
        except (SampleError, MediaError, Tampered, BlobMissing, NotFound) as exc:
            self._refuse(switch, reference_id, subject_id, exc)
            return
        try:
            with writing(self._engine) as session:
                if _may_write(session, switch, reference_id, subject_id):
                    what = (Modality.FACE, renewed.model_id, renewed.vector, renewed.quality, reference_id)
                    add_template(session, self._keks, subject_id, *what)
        except SubjectErased:
            return
        finally:
            renewed.vector[:] = 0

    def _refuse(
        self, switch: ModelSwitch, reference_id: str, subject_id: SubjectId, error: LikenessError
    ) -> None:
        """Write down that a sample cannot be used; the others go on."""
        log.warning("sample_not_renewed", reference_id=reference_id, code=error.code)
        with writing(self._engine) as session:
            if not _may_write(session, switch, reference_id, subject_id):
                return
            row = (switch.id, reference_id)
            if session.get(NotRenewed, row) is None:
                session.add(
                    NotRenewed(
                        switch_id=switch.id,
                        reference_id=reference_id,
                        subject_id=subject_id,
                        code=error.code,
                    )
                )
                what = {"reference": reference_id, "code": error.code}
                audit.record(session, ACTOR, "models.switch.refuse", subject_id, **what)

    def _end(self, switch: ModelSwitch) -> Step:
        """Put the new pack in force, unless a sample was kept in the last moment."""
        with writing(self._engine) as session:
            row = session.get(ModelSwitch, switch.id, with_for_update=True)
            if row is None or row.state != switching.RUNNING:
                return Step.IDLE
            if switching.waiting(session, row, 1):
                return Step.AT_WORK
            asked = switching.to_be_asked(session, row)
            self._references.ask(session, asked, row.to_pack)
            row.state, row.ended_at = switching.DONE, utc_now()
            session.add(row)
            audit.record(session, ACTOR, "models.switch.done", to=row.to_pack, asked=len(asked))
        self.close()
        log.info("models_switched", pack=switch.to_pack, asked=len(asked))
        self._pack = None
        return Step.ENDED


def _may_write(session: Session, switch: ModelSwitch, reference_id: str, subject_id: SubjectId) -> bool:
    """Hold the subject, and say whether this sample still waits: the check and the write are one."""
    if session.get(SubjectKey, subject_id, with_for_update=True) is None:
        return False
    now = session.get(ModelSwitch, switch.id)
    still = now is not None and now.state == switching.RUNNING
    return still and not switching.is_renewed(session, switch, reference_id)


def _take(engine: Engine, owner: str) -> bool:
    """Take or extend the lease of the switch. False while another process holds it."""
    now = utc_now()
    until = now + timedelta(seconds=LEASE_S)
    try:
        with writing(engine) as session:
            row = session.get(Lease, LEASE, with_for_update=True)
            if row is None:
                session.add(Lease(name=LEASE, owner=owner, until=until))
                session.flush()
                return True
            if row.owner != owner and row.until > now:
                return False
            row.owner, row.until = owner, until
            session.add(row)
            return True
    except IntegrityError:
        return False  # somebody else made the row in the same moment
