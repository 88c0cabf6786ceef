"""What somebody agrees to: asked in three boxes, each by itself; taken back by one button each.

GET  /enrol/consent                  the texts in full, and the boxes, all empty
POST /enrol/consent                  keeps the answers; a box that is empty is a no
GET  /enrol/retention                how long we keep what: public, the same data as the job that enforces it
GET  /account/consents               what was answered, and the buttons
POST /account/consents/PURPOSE       a yes or a no to one question
GET  /account/consents/ID.json       the signed record of one answer
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Request, Response

from enrollment import consent, retention, withdrawing
from enrollment.consent_texts import Purpose, current
from enrollment.standing import Standing
from enrollment.steps import Step
from monitor import subject_keys
from monitor.db import reading, writing
from monitor.errors import NotFound

if TYPE_CHECKING:
    from enrollment.sessions import Person
    from enrollment.web.frame import Frame
    from monitor.crypto import Signer


class ConsentPages:
    """The routes about consent."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get("/enrol/consent", response_model=None)(self.ask)
        router.post("/enrol/consent", response_model=None)(self.answer)
        router.get("/enrol/retention", response_model=None)(self.schedule)
        router.get("/account/consents", response_model=None)(self.listing)
        router.get("/account/consents/{consent_id}.json", response_model=None)(self.record)
        router.post("/account/consents/{purpose}", response_model=None)(self.change)
        return router

    def ask(self, request: Request) -> Response:
        """Show the texts and the boxes. None is ticked, whatever was answered before."""
        person = self._frame.signed_in(request)
        progress = self._frame.progress(person)
        if progress.standing is not Standing.NEW:
            return self._frame.go("/account/consents")
        if not progress.may(Step.CONSENT):
            return self._frame.go(progress.path)
        return self._ask_page(person)

    def answer(
        self,
        request: Request,
        biometrics: Annotated[str, Form()] = "",
        references: Annotated[str, Form()] = "",
        scores: Annotated[str, Form()] = "",
    ) -> Response:
        """Keep three answers. Without a yes to the first nobody can go on, and the page says so."""
        person = self._frame.changing(request)
        progress = self._frame.progress(person)
        if progress.standing is not Standing.NEW or not progress.may(Step.CONSENT):
            return self._frame.go(progress.path)
        if biometrics != "yes":
            return self._ask_page(person, needed=True)
        boxes = {Purpose.BIOMETRICS: biometrics, Purpose.REFERENCES: references, Purpose.SCORES: scores}
        given = {purpose: box == "yes" for purpose, box in boxes.items()}
        with writing(self._frame.engine) as session:
            consent.answer(session, self._signer(), person.subject_id, given, self._frame.now())
        return self._frame.go(self._frame.progress(person).path)

    def schedule(self) -> Response:
        """Show how long what is kept, to anybody."""
        return self._frame.page("retention.html", rules=retention.SCHEDULE)

    def listing(self, request: Request) -> Response:
        """Show what was answered to each question, and let it be changed."""
        person = self._frame.signed_in(request)
        with reading(self._frame.engine) as session:
            answers = consent.in_force(session, person.subject_id)
            history = consent.history(session, person.subject_id)
        return self._frame.page(
            "consents.html",
            questions=[(one, current(one), answers.get(one)) for one in Purpose],
            history=history,
        )

    def record(self, consent_id: str, request: Request) -> Response:
        """Give the signed record of one answer of one's own, as a file."""
        person = self._frame.signed_in(request)
        with reading(self._frame.engine) as session:
            text = consent.record_of(session, person.subject_id, consent_id)
        headers = {"Content-Disposition": f'attachment; filename="consent-{consent_id}.json"'}
        return Response(text, media_type="application/json", headers=headers)

    def change(self, purpose: str, request: Request, answer: Annotated[str, Form()] = "") -> Response:
        """Give or take back one consent; what follows from a no is done at once."""
        person = self._frame.changing(request)
        if purpose not in {*Purpose} or answer not in {"yes", "no"}:
            msg = "there is no such consent"
            raise NotFound(msg)
        chosen, now = Purpose(purpose), self._frame.now()
        signer, frame, gone = self._signer(), self._frame, withdrawing.Gone()
        with writing(frame.engine) as session:
            if answer == "yes":
                consent.answer(session, signer, person.subject_id, {chosen: True}, now)
            else:
                keys = (signer, frame.keks)
                gone = withdrawing.withdraw(session, keys, person.subject_id, chosen, now)
        withdrawing.forget(frame.engine, frame.blobs, gone)
        return self._frame.go("/account/consents")

    def _ask_page(self, person: Person, *, needed: bool = False) -> Response:
        return self._frame.page(
            "consent.html",
            status=HTTPStatus.UNPROCESSABLE_ENTITY if needed else HTTPStatus.OK,
            progress=self._frame.progress(person),
            step=Step.CONSENT,
            texts=[(one, current(one)) for one in Purpose],
            needed=needed,
        )

    def _signer(self) -> Signer:
        subject_keys.ensure_service_keys(self._frame.engine, self._frame.keks)
        return subject_keys.receipt_signer(self._frame.engine, self._frame.keks)
