"""The home page of somebody who is enrolled, or on the way: where they stand, and everything they can do.

GET  /account            where I stand, what I gave, where things are
GET  /account/looks      who did what with my data
GET  /account/pause      asks; POST /account/pause and POST /account/resume do it
GET  /account/export     the copy of everything; POST orders it, or takes it once
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import StreamingResponse
from sqlmodel import col, func, select

from enrollment import audit_words, consent, delegates, export, pausing, reproof
from enrollment.sets import in_words
from enrollment.standing import WATCHED, Standing, is_cooling_off, shown_standing
from enrollment.steps import TITLES
from enrollment.subjects import profile_of
from enrollment.tables import Account, GivenSample, Reference, Subject
from monitor.db import reading, writing
from monitor.tables import Template
from monitor.values import Modality

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

    from enrollment.web.frame import Frame
    from monitor.values import SubjectId

SHOWN = 100
"""Events on the page; the copy of everything has all of them."""


class AccountPages:
    """The routes of the account."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get("/account", response_model=None)(self.home)
        router.get("/account/looks", response_model=None)(self.looks)
        router.get("/account/pause", response_model=None)(self.pause_page)
        router.post("/account/pause", response_model=None)(self.pause)
        router.post("/account/resume", response_model=None)(self.resume)
        router.get("/account/export", response_model=None)(self.export_page)
        router.post("/account/export", response_model=None)(self.export)
        return router

    def home(self, request: Request) -> Response:
        """Say where the person stands, in one sentence, and lead to all the rest."""
        frame, person = self._frame, self._frame.signed_in(request)
        progress, now = frame.progress(person), frame.now()
        with reading(frame.engine) as session:
            account = session.get(Account, person.subject_id)
            standing = shown_standing(progress.standing, account, now)
            due = account is not None and reproof.is_due(account, frame.settings.proof_days, now)
            return frame.page(
                "account.html",
                person_name=profile_of(session, frame.keks, person.subject_id).name,
                standing=standing,
                ahead=progress.ahead if standing is Standing.NEW else None,
                titles=TITLES,
                since=_since(session, person.subject_id, account, now),
                told_from=_told_from(account, now),
                proved_until=account.proved_until if account is not None else None,
                proof_due=due and standing in WATCHED,
                asked=_is_asked(session, person.subject_id) and standing in WATCHED,
                given=_given(session, person.subject_id),
                kept=_count(session, Reference, person.subject_id),
                to_ask=consent.to_ask(session, person.subject_id),
                entrusted=delegates.entrusted(session, person.subject_id),
                may_pause=pausing.may_pause(session, person.subject_id, now),
                others=[
                    (one.at, audit_words.in_words(one))
                    for one in audit_words.looks(session, person.subject_id, now)
                    if one.by_others
                ][:3],
            )

    def looks(self, request: Request) -> Response:
        """List who did what with the person's data, in words."""
        person = self._frame.signed_in(request)
        with reading(self._frame.engine) as session:
            found = audit_words.looks(session, person.subject_id, self._frame.now(), SHOWN)
        said = [(one.at, audit_words.in_words(one), one.by_others) for one in found]
        return self._frame.page("looks.html", looks=said, most=SHOWN)

    def pause_page(self, request: Request) -> Response:
        """Say what a pause is, and ask. Changes nothing."""
        person = self._frame.signed_in(request)
        now = self._frame.now()
        with reading(self._frame.engine) as session:
            account = session.get(Account, person.subject_id)
            standing = shown_standing(self._frame.progress(person).standing, account, now)
        return self._frame.page("pause.html", standing=standing)

    def pause(self, request: Request) -> Response:
        """Begin a pause."""
        person = self._frame.changing(request)
        with writing(self._frame.engine) as session:
            pausing.pause(session, person.subject_id, self._frame.now())
        return self._frame.go("/account/pause")

    def resume(self, request: Request) -> Response:
        """End a pause."""
        person = self._frame.changing(request)
        with writing(self._frame.engine) as session:
            pausing.resume(session, person.subject_id, self._frame.now())
        return self._frame.go("/account/pause")

    def export_page(self, request: Request) -> Response:
        """Say what the copy is and how far it came."""
        person = self._frame.careful(request)
        with reading(self._frame.engine) as session:
            view = export.newest(session, person.subject_id, self._frame.now())
        return self._frame.page("exports.html", export=view, hours=int(export.LASTS.total_seconds() // 3600))

    def export(
        self, request: Request, what: Annotated[str, Form()] = "order", which: Annotated[str, Form()] = ""
    ) -> Response:
        """Order a copy, or take the one that is ready, once."""
        frame = self._frame
        frame.refuse_other_sites(request)
        person, now = frame.careful(request), frame.now()
        if what != "take":
            with writing(frame.engine) as session:
                export.order(session, person.subject_id, now)
            return frame.go("/account/export")
        parts = export.take(frame.engine, frame.keks, frame.blobs, (person.subject_id, which), now)
        headers = {"Content-Disposition": 'attachment; filename="everything-about-you.zip"'}
        return StreamingResponse(parts, media_type="application/zip", headers=headers)


def _given(session: Session, subject_id: SubjectId) -> list[tuple[str, list[str]]]:
    """Say what was given: of each kind, how good each sample is in a word."""
    query = select(GivenSample.modality, GivenSample.quality).where(
        GivenSample.subject_id == subject_id, col(GivenSample.state).in_(("usable", "enrolled"))
    )
    found = list(session.exec(query.order_by(col(GivenSample.created_at), col(GivenSample.id))))
    if not found:  # enrolled by an operator
        own = select(Template.modality, Template.quality).where(Template.subject_id == subject_id)
        found = list(session.exec(own.order_by(col(Template.created_at), col(Template.id))))
    names = ((Modality.FACE, "face"), (Modality.VOICE, "voice"))
    return [(name, [in_words(quality) for kind, quality in found if kind == one]) for one, name in names]


def _is_asked(session: Session, subject_id: SubjectId) -> bool:
    """Say whether new pictures are needed, since the models changed and none were kept."""
    row = session.get(Subject, subject_id)
    return row is not None and row.asked_for_pack is not None


def _count(session: Session, table: type[Reference], subject_id: SubjectId) -> int:
    return session.exec(select(func.count()).where(col(table.subject_id) == subject_id)).one()


def _since(
    session: Session, subject_id: SubjectId, account: Account | None, now: datetime
) -> datetime | None:
    """Give the moment from which the person is watched for, once that may be shown."""
    if is_cooling_off(account, now):
        return None
    query = select(func.min(Template.created_at)).where(Template.subject_id == subject_id)
    return session.exec(query).one()


def _told_from(account: Account | None, now: datetime) -> datetime | None:
    """Give the moment of the first message, while it lies ahead."""
    if account is None or account.told_from is None or account.told_from <= now:
        return None
    return account.told_from
