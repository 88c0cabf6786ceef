"""The last step: what was given, in one page; the button; and what happens next.

    GET  /enrol/start      what we have of the person, what is missing, and what the button does
    POST /enrol/start      the last click: it changes the standing, and the worker does the rest
    GET  /enrol/done       what happens now; the same page in the same time, whatever the worker found
    GET  /enrol/impact     whom the service could harm; for anybody

Nobody can learn here whether a face is enrolled already: what is shown goes by standing.shown_standing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from sqlmodel import col, func, select

from enrollment import proofs
from enrollment.consent import is_agreed
from enrollment.consent_texts import Purpose
from enrollment.given import GOOD
from enrollment.standing import Standing, shown_standing
from enrollment.steps import TITLES, Step
from enrollment.tables import Account, GivenSample
from monitor.db import reading, writing
from monitor.values import Modality

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

    from enrollment.web.frame import Frame
    from monitor.values import SubjectId

HOURS_OF_A_DAY = 24


class StartPages:
    """The routes of the last step."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
        router.get("/enrol/start", response_model=None)(self.summary)
        router.post("/enrol/start", response_model=None)(self.start)
        router.get("/enrol/done", response_model=None)(self.done)
        router.get("/enrol/impact")(self.impact)
        return router

    def summary(self, request: Request) -> Response:
        """Show what was given and what is missing. Changes nothing."""
        frame, person = self._frame, self._frame.signed_in(request)
        progress = frame.progress(person)
        if progress.standing is not Standing.NEW:
            return frame.go("/enrol/done")
        with reading(frame.engine) as session:
            missing = proofs.ahead(session, frame.keks, person.subject_id, frame.now())
            counts = _counts(session, person.subject_id)
            keeps = is_agreed(session, person.subject_id, Purpose.REFERENCES)
        return frame.page(
            "start.html",
            progress=progress,
            step=Step.START,
            missing=missing,
            missing_title=TITLES[missing] if missing is not None else "",
            is_old=missing is Step.PROOF and Step.PROOF in progress.done,
            faces=counts[Modality.FACE],
            voices=counts[Modality.VOICE],
            keeps=keeps,
            wait=in_words(frame.settings.cooling_off_hours),
            years=frame.settings.proof_days,
        )

    def start(self, request: Request) -> Response:
        """Take the last click, and lead on."""
        frame, person = self._frame, self._frame.changing(request)
        with writing(frame.engine) as session:
            missing = proofs.start(session, frame.keks, frame.settings, person.subject_id, frame.now())
        return frame.go("/enrol/done" if missing is None else "/enrol/start")

    def done(self, request: Request) -> Response:
        """Say what happens now."""
        frame, person = self._frame, self._frame.signed_in(request)
        progress, now = frame.progress(person), frame.now()
        if progress.standing is Standing.NEW:
            return frame.go(progress.path)
        with reading(frame.engine) as session:
            account = session.get(Account, person.subject_id)
        told_from = account.told_from if account is not None else None
        return frame.page(
            "done.html",
            progress=progress,
            standing=shown_standing(progress.standing, account, now),
            told_from=day_of(told_from) if told_from is not None and told_from > now else "",
        )

    def impact(self) -> HTMLResponse:
        """Say whom the service could harm."""
        return self._frame.page("impact.html")


def in_words(hours: float) -> str:
    """Say how long a cooling-off is; empty where there is none."""
    if hours <= 0:
        return ""
    days, left = divmod(hours, HOURS_OF_A_DAY)
    if left == 0:
        return "one day" if days == 1 else f"{days:.0f} days"
    return "one hour" if hours == 1 else f"{hours:g} hours"


def day_of(at: datetime) -> str:
    """Write a moment out, such as "3 May 2026, 14:05 (UTC)"."""
    return f"{at.day} {at:%B %Y, %H:%M} (UTC)"


def _counts(session: Session, subject_id: SubjectId) -> dict[Modality, int]:
    query = (
        select(GivenSample.modality, func.count())
        .where(GivenSample.subject_id == subject_id, col(GivenSample.state).in_(tuple(GOOD)))
        .group_by(GivenSample.modality)
    )
    found = dict(session.exec(query).all())
    return {modality: found.get(modality, 0) for modality in Modality}
