"""Where we look for somebody, how fresh that is, and what we cannot see.

GET  /account/coverage           the map, in plain words
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from sqlmodel import func, select

from enrollment.interfaces import Seeing
from enrollment.standing import WATCHED, shown_standing
from enrollment.tables import Account, SearchTerm
from monitor.db import reading
from monitor.tables import Template
from monitor.values import Modality

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

    from enrollment.interfaces import Place
    from enrollment.web.frame import Frame
    from monitor.values import SubjectId


class CoveragePage:
    """The route of the map."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def router(self) -> APIRouter:
        """Give the route for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get("/account/coverage", response_model=None)(self.show)
        return router

    def show(self, request: Request) -> Response:
        """Say what is watched, how fresh, and what we cannot see."""
        frame, person = self._frame, self._frame.signed_in(request)
        now = frame.now()
        places = [] if frame.coverage is None else frame.coverage.places(now)
        standing = frame.progress(person).standing
        with reading(frame.engine) as session:
            account = session.get(Account, person.subject_id)
            watched = shown_standing(standing, account, now) in WATCHED
            known = _known_by(session, person.subject_id) if watched else set()
            terms = session.exec(
                select(func.count()).select_from(SearchTerm).where(SearchTerm.subject_id == person.subject_id)
            ).one()
        return frame.page(
            "coverage.html",
            watched=watched,
            face=Modality.FACE in known,
            voice=Modality.VOICE in known,
            terms=terms,
            seen=[(one, ago(one, now)) for one in places if one.seeing is Seeing.SEEN],
            unseen=[(one, ago(one, now)) for one in places if one.seeing is not Seeing.SEEN],
            often=often,
        )


def _known_by(session: Session, subject_id: SubjectId) -> set[str]:
    return set(session.exec(select(Template.modality).where(Template.subject_id == subject_id).distinct()))


def ago(place: Place, now: datetime) -> str:
    """Say how long ago we looked there, in words; empty where we never did."""
    if place.looked_at is None:
        return ""
    return f"{often((now - place.looked_at).total_seconds())} ago"


def often(seconds: float) -> str:
    """Say how long something lasts, in words."""
    for name, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * size or (name != "minute" and seconds >= size):
            count = round(seconds / size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "a minute" if seconds >= 30 else "a moment"
