"""The list of what was found of somebody who is signed in: one line an incident, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import Session, col, select

from alerts import drills
from alerts.incidents import State, findings_of
from alerts.render import main_sighting
from alerts.tables import Incident

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from alerts.interfaces import Watched
    from monitor.crypto import KeyEncryptionKeys

SHOWN = (State.OPEN, State.NOT_ME)
"""What its person may see: what is held waits for an operator, who then says whose it is."""

ON_A_PAGE = 20
"""Incidents on one page. Each is opened with its key for one line: about a millisecond."""

OPENED = 10
"""Findings of an incident that are opened for its line. The surest of the first ones gives the words."""


@dataclass(frozen=True, slots=True)
class Line:
    """One incident in the list. `name` is whose it is, empty for the viewer's own."""

    incident_id: str
    name: str
    what: str
    sites: tuple[str, ...]
    opened_at: datetime
    dismissed: bool


@dataclass(frozen=True, slots=True)
class Found:
    """One page of the list. `more`: there is another page after it."""

    lines: tuple[Line, ...]
    more: bool
    watched: int


def page_of(session: Session, keks: KeyEncryptionKeys, watched: Sequence[Watched], page: int) -> Found:
    """Open one page of the incidents of these people, counted from 1. Raises KeysError."""
    names: dict[str, str] = {one.subject_id: one.name for one in watched}
    query = select(Incident).where(col(Incident.subject_id).in_(names), col(Incident.state).in_(SHOWN))
    query = query.where(col(Incident.id).not_in(drills.incidents()))  # a fire drill found nothing
    newest = query.order_by(col(Incident.opened_at).desc(), col(Incident.id))
    rows = session.exec(newest.offset((page - 1) * ON_A_PAGE).limit(ON_A_PAGE + 1)).all()
    lines = tuple(_line(session, keks, row, names[row.subject_id]) for row in rows[:ON_A_PAGE])
    return Found(lines, len(rows) > ON_A_PAGE, len(watched))


def _line(session: Session, keks: KeyEncryptionKeys, incident: Incident, name: str) -> Line:
    looked_at = incident.looked_at is not None
    sighting = main_sighting(findings_of(session, keks, incident.id, OPENED), looked_at=looked_at)
    sites = tuple(dict.fromkeys(place.site for place in sighting.places))
    dismissed = incident.state == State.NOT_ME
    return Line(incident.id, name, sighting.what, sites, incident.opened_at, dismissed)
