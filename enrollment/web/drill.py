"""A fire drill that somebody asks for: a test picture of them, to see whether they would be told.

GET  /account/drill              what it is, a button, and the times of the last ones
POST /account/drill              asks for one
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from sqlmodel import col, select

from enrollment import limits
from enrollment.drills import check_possible
from monitor import drills
from monitor.db import reading, writing
from monitor.errors import DrillNotPossible
from monitor.tables import Drill

if TYPE_CHECKING:
    from enrollment.sessions import Person
    from enrollment.web.frame import Frame

ACTOR = "subject"

A_DAY = 1
"""Drills of one person a day: each costs a message, and shows nothing new."""

SHOWN = 5
"""The last drills of a person on the page."""


class DrillPages:
    """The routes of the button."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get("/account/drill", response_model=None)(self.show)
        router.post("/account/drill", response_model=None)(self.ask)
        return router

    def show(self, request: Request) -> Response:
        """Show the button and what came of the last drills."""
        return self._page(self._frame.signed_in(request, second=True))

    def ask(self, request: Request) -> Response:
        """Ask for one; the worker holds it."""
        frame = self._frame
        person = frame.changing(request, second=True)
        try:
            with reading(frame.engine) as session:
                check_possible(session, person.subject_id)
            with writing(frame.engine) as session:
                now = frame.now()
                free = limits.take(
                    session, frame.lookups, "drill", person.subject_id, per=limits.DAY, most=A_DAY, now=now
                )
                if free:
                    drills.ask(session, person.subject_id, drills.DOOR, ACTOR, now)
        except DrillNotPossible:
            return self._page(person, HTTPStatus.UNPROCESSABLE_ENTITY)
        if not free:
            return self._page(person, HTTPStatus.TOO_MANY_REQUESTS)
        return frame.go("/account/drill")

    def _page(self, person: Person, status: HTTPStatus = HTTPStatus.OK) -> Response:
        query = select(Drill).where(Drill.subject_id == person.subject_id)
        with reading(self._frame.engine) as session:
            own = session.exec(query.order_by(col(Drill.asked_at).desc()).limit(SHOWN)).all()
            fault = None
            try:
                check_possible(session, person.subject_id)
            except DrillNotPossible as exc:
                fault = exc
        too_often = status is HTTPStatus.TOO_MANY_REQUESTS
        return self._frame.page("drill.html", status=status, own=own, fault=fault, too_often=too_often)
