"""Copies of one picture, and everything found in one item, are one incident: told once.

A band of `alert` is told. A band of `review` is held until an operator has looked, unless it is a copy
of something that was told already. What an operator dismissed stays dismissed for its copies; a copy
that scores as an alert is shown to the operator once more, never told by itself. What the subject called
"not me" stays so for its copies. Either decision teaches the watch (monitor/dismissals.py), from what was
there when it was made and not from copies that nobody has looked at; `take_back` undoes it.

A fire drill is an incident of its own: it takes no real finding in, and no real one takes it in (drills.py).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlmodel import Session, col, select

from alerts import drills
from alerts.tables import Alert, Incident, IncidentFinding
from monitor import audit, dismissals, findings
from monitor.drills import media_of
from monitor.errors import NotFound
from monitor.tables import Finding, SubjectKey
from monitor.values import Band, FindingId, SubjectId

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from monitor.crypto import KeyEncryptionKeys

REMEMBERED = 500
"""Latest findings of a subject that a new one is compared with. Copies spread within days, and opening
a sealed finding takes about 50 microseconds, so this bounds one round to a few hundredths of a second."""


class State(StrEnum):
    """What becomes of an incident."""

    OPEN = "open"
    HELD = "held"
    DISMISSED = "dismissed"
    NOT_ME = "not_me"


FINDING_STATE = {
    State.OPEN: "told",
    State.HELD: "held",
    State.DISMISSED: dismissals.DISMISSED,
    State.NOT_ME: dismissals.DISMISSED,
}
"""What a finding is called in its incident. `told` means that the outbox answers for it now."""


@dataclass(slots=True)
class Known:
    """One incident of a subject, with what a copy is recognised by."""

    incident: Incident
    media: set[str] = field(default_factory=set)
    marks: list[str] = field(default_factory=list)

    def has(self, view: findings.FindingView) -> bool:
        """Say whether a finding is part of this incident: the same item, or the same picture."""
        return view.media_id in self.media or findings.same_picture(view.detail.copy_marks, self.marks)

    def is_drill(self, drilled: Collection[str]) -> bool:
        """Say whether this is a fire drill. `drilled` are the items of such."""
        return not self.media.isdisjoint(drilled)

    def take(self, view: findings.FindingView) -> None:
        """Remember what a finding looks like."""
        self.media.add(view.media_id)
        self.marks.extend(view.detail.copy_marks)


@dataclass(frozen=True, slots=True)
class Grouped:
    """What became of some findings: incidents that now want telling, and how the rest was sorted."""

    opened: tuple[str, ...]
    merged: int
    held: int


def group(
    session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId, due: Iterable[str], now: datetime
) -> Grouped:
    """Sort a subject's due findings into incidents, in the caller's transaction.

    Idempotent: a finding that is no longer due is left alone. Raises Tampered, KeyWrong or SubjectErased
    where the subject's findings do not open.
    """
    if not _hold_subject(session, subject_id):
        return Grouped((), 0, 0)
    known = _known(session, keks, subject_id)
    drilled = media_of(session, subject_id)
    opened: list[str] = []
    merged = held = 0
    for finding_id in due:
        row = session.get(Finding, finding_id)
        if row is None or row.state != "due":
            continue
        view = findings.read(session, keks, FindingId(finding_id))
        alike = {
            key: each for key, each in known.items() if each.is_drill(drilled) == (view.media_id in drilled)
        }
        one, before = _place(session, alike, view, now)
        known |= alike
        row.state = FINDING_STATE[State(one.incident.state)]
        held += one.incident.state == State.HELD
        merged += before == one.incident.state == State.OPEN
        if one.incident.state == State.OPEN and before != State.OPEN:
            opened.append(one.incident.id)
            _tell_the_held(session, one.incident)
    return Grouped(tuple(opened), merged, held)


def ask_for_alerts(session: Session, incident_id: str, channels: Iterable[str], now: datetime) -> int:
    """Put one alert per channel into the outbox, unless it is there already. Gives how many are new."""
    incident = session.get(Incident, incident_id)
    if incident is None:
        return 0
    kind = drills.KIND if drills.is_drill(session, incident_id) else "incident"
    asked = 0
    for channel in channels:
        key = f"{incident_id}.{channel}"
        if session.exec(select(Alert.id).where(Alert.idempotency_key == key)).first() is None:
            session.add(new_alert(incident, channel, key, now, kind=kind))
            asked += 1
    session.flush()
    return asked


def new_alert(
    incident: Incident, channel: str, idempotency_key: str, now: datetime, *, kind: str = "incident"
) -> Alert:
    """Make a row of the outbox, due at once."""
    return Alert(
        id=secrets.token_hex(10),
        incident_id=incident.id,
        subject_id=incident.subject_id,
        channel=channel,
        kind=kind,
        idempotency_key=idempotency_key,
        next_at=now,
        created_at=now,
    )


def findings_of(
    session: Session, keks: KeyEncryptionKeys, incident_id: str, limit: int = REMEMBERED
) -> list[findings.FindingView]:
    """Open what belongs to an incident, first found first, at most `limit`."""
    ids = session.exec(
        select(IncidentFinding.finding_id)
        .join(Finding, col(Finding.id) == col(IncidentFinding.finding_id))
        .where(IncidentFinding.incident_id == incident_id)
        .order_by(col(Finding.created_at), col(Finding.id))
        .limit(limit)
    ).all()
    return [findings.read(session, keks, FindingId(one)) for one in ids]


def held(session: Session) -> list[Incident]:
    """List the incidents that wait for an operator, oldest first."""
    return list(
        session.exec(select(Incident).where(Incident.state == State.HELD).order_by(col(Incident.opened_at)))
    )


def decide(session: Session, incident_id: str, *, approve: bool, actor: str, now: datetime) -> Incident:
    """Tell a held incident, or dismiss it. Audited. The next round of the outbox does the telling.

    Raises NotFound where no such incident is held.
    """
    incident = _take(session, incident_id)
    if incident is None or incident.state != State.HELD:
        msg = "no such incident is held"
        raise NotFound(msg, hint="`likeness alerts review` lists those that are.")
    incident.looked_at = now
    if approve:
        _turn_back(session, incident, State.OPEN, actor)
    else:
        _dismiss(session, incident, State.DISMISSED, actor)
    action = "alert.approve" if approve else "alert.dismiss"
    audit.record(session, actor, action, incident.subject_id, incident=incident.id)
    return incident


def not_me(session: Session, incident_id: str, subject_id: SubjectId) -> None:
    """Note that the subject says: this is not me. Audited and idempotent.

    Raises NotFound where this subject was never told of such an incident.
    """
    incident = _take(session, incident_id)
    if incident is None or incident.subject_id != subject_id or incident.state == State.HELD:
        msg = "there is no such incident"
        raise NotFound(msg)
    if incident.state == State.OPEN:
        _dismiss(session, incident, State.NOT_ME, "subject")


def take_back(session: Session, incident_id: str, subject_id: SubjectId, actor: str) -> Incident:
    """Undo a dismissal: what was learnt from it is forgotten. Audited; a second time it does nothing.

    What the subject dismissed counts as told again, what an operator dismissed is held once more. Raises
    NotFound where the subject has no such incident.
    """
    incident = _take(session, incident_id)
    if incident is None or incident.subject_id != subject_id:
        msg = "there is no such incident"
        raise NotFound(msg)
    if incident.state == State.NOT_ME:
        _turn_back(session, incident, State.OPEN, actor)
    elif incident.state == State.DISMISSED:
        incident.looked_at = None
        _turn_back(session, incident, State.HELD, actor)
    return incident


def untold(session: Session, subject_id: SubjectId | None = None) -> list[Incident]:
    """List open incidents that have no alert yet: just approved, or the person could not be reached."""
    query = (
        select(Incident)
        .outerjoin(Alert, col(Alert.incident_id) == col(Incident.id))
        .where(Incident.state == State.OPEN, col(Alert.id).is_(None))
        .order_by(col(Incident.opened_at))
    )
    if subject_id is not None:
        query = query.where(Incident.subject_id == subject_id)
    return list(session.exec(query))


def _hold_subject(session: Session, subject_id: SubjectId) -> bool:
    """Keep other processes from grouping for this subject until the caller's commit; False: erased.

    On SQLite `db.writing` holds the only write lock already, and this is a plain look.
    """
    row = session.exec(
        select(SubjectKey.subject_id)
        .where(SubjectKey.subject_id == subject_id)
        .with_for_update(key_share=True)
    ).first()
    return row is not None


def _take(session: Session, incident_id: str) -> Incident | None:
    """Take an incident for the caller's transaction, after its subject: an erasure goes in this order."""
    incident = session.get(Incident, incident_id)
    if incident is None or not _hold_subject(session, SubjectId(incident.subject_id)):
        return None
    return session.get(Incident, incident_id, with_for_update=True)


def _dismiss(session: Session, incident: Incident, state: State, actor: str) -> None:
    incident.state = state
    for row in _rows(session, incident.id):
        dismissals.record(session, FindingId(row.id), SubjectId(row.subject_id), actor)


def _turn_back(session: Session, incident: Incident, state: State, actor: str) -> None:
    incident.state = state
    for row in _rows(session, incident.id):
        back_to = FINDING_STATE[state]
        dismissals.undo(session, FindingId(row.id), SubjectId(row.subject_id), actor, back_to=back_to)
        row.state = back_to


def _known(session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId) -> dict[str, Known]:
    rows = session.exec(
        select(Incident, Finding.id)
        .join(IncidentFinding, col(IncidentFinding.incident_id) == col(Incident.id))
        .join(Finding, col(Finding.id) == col(IncidentFinding.finding_id))
        .where(Incident.subject_id == subject_id)
        .order_by(col(Finding.created_at).desc())
        .limit(REMEMBERED)
    ).all()
    known: dict[str, Known] = {}
    for incident, finding_id in sorted(rows, key=lambda row: row[0].opened_at):
        one = known.setdefault(incident.id, Known(incident))
        one.take(findings.read(session, keks, FindingId(finding_id)))
    return known


def _place(
    session: Session, known: dict[str, Known], view: findings.FindingView, now: datetime
) -> tuple[Known, State | None]:
    """Put a finding into its incident; gives the incident and the state it had before, None if new."""
    one = next((each for each in known.values() if each.has(view)), None)
    before = State(one.incident.state) if one is not None else None
    if one is None:
        one = known[view.finding_id] = Known(_new_incident(session, view, now))
    else:
        one.incident.state = _state_with(State(one.incident.state), view.band)
    one.take(view)
    session.add(IncidentFinding(finding_id=view.finding_id, incident_id=one.incident.id, joined_at=now))
    session.flush()
    return one, before


def _new_incident(session: Session, view: findings.FindingView, now: datetime) -> Incident:
    state = State.OPEN if view.band is Band.ALERT else State.HELD
    incident = Incident(id=secrets.token_hex(10), subject_id=view.subject_id, state=state, opened_at=now)
    session.add(incident)
    session.flush()
    return incident


def _state_with(state: State, band: Band) -> State:
    if band is not Band.ALERT or state in {State.OPEN, State.NOT_ME}:
        return state
    return State.OPEN if state is State.HELD else State.HELD


def _tell_the_held(session: Session, incident: Incident) -> None:
    for row in _rows(session, incident.id):
        row.state = FINDING_STATE[State.OPEN]


def _rows(session: Session, incident_id: str) -> list[Finding]:
    return list(
        session.exec(
            select(Finding)
            .join(IncidentFinding, col(IncidentFinding.finding_id) == col(Finding.id))
            .where(IncidentFinding.incident_id == incident_id)
        )
    )
