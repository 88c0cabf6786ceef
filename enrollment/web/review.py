"""The operators' page of held enrolments: what was held and why, and the vote of two.

    GET  /operator/enrolments            what waits: since when and why; nobody's name
    GET  /operator/enrolments/ID         one of them, opened: on record
    GET  /operator/enrolments/ID/face    the small picture of the newcomer's face: on record
    POST /operator/enrolments/ID         a yes or a no, with a reason

They open for an operator's own name and token (enrollment/operators.py) by HTTP Basic. Where there is no
operator there are no such pages. Of whoever is like the newcomer no name and no picture is shown.
"""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from enrollment import holds, operators
from enrollment.holds import LONGEST_WHY, WORDS, YES_NEEDED, State, Vote
from enrollment.web.start import day_of
from monitor import audit
from monitor.db import reading, writing
from monitor.errors import LinkInvalid, OperatorRefused, VoteRefused

if TYPE_CHECKING:
    from enrollment.web.frame import Frame

CHALLENGE = 'Basic realm="held enrolments", charset="UTF-8"'

LONGEST_HEADER = 4096
"""Letters of an Authorization header that are looked at."""


class ReviewPages:
    """The routes for operators."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
        router.get("/operator/enrolments", response_model=None)(self.listing)
        router.get("/operator/enrolments/{hold_id}", response_model=None)(self.show)
        router.get("/operator/enrolments/{hold_id}/face", response_model=None)(self.face)
        router.post("/operator/enrolments/{hold_id}", response_model=None)(self.vote)
        return router

    def listing(self, request: Request) -> Response:
        """List what waits. It opens nothing, and says nothing of anybody."""
        operator = self._operator(request)
        with writing(self._frame.engine) as session:
            audit.record(session, f"operator:{operator}", "enrolment.list")
            views = holds.listing(session)
        return self._frame.page("review.html", views=views, words=WORDS, needed=YES_NEEDED, day_of=day_of)

    def show(self, hold_id: str, request: Request) -> Response:
        """Show one of them."""
        return self._detail(hold_id, self._operator(request))

    def face(self, hold_id: str, request: Request) -> Response:
        """Show the newcomer's face."""
        operator = self._operator(request)
        with writing(self._frame.engine) as session:
            jpeg = holds.picture(session, self._frame.keks, hold_id, operator)
        return Response(jpeg, media_type="image/jpeg")

    def vote(
        self,
        hold_id: str,
        request: Request,
        answer: Annotated[str, Form(max_length=20)] = "",
        why: Annotated[str, Form(max_length=2 * LONGEST_WHY)] = "",
    ) -> Response:
        """Take a yes or a no."""
        operator = self._operator(request)
        self._refuse_other_sites(request)
        if answer not in {"approve", "reject"}:
            return self._detail(hold_id, operator, problem="Choose one of the two answers.")
        said = Vote(operator, approve=answer == "approve", why=why)
        try:
            with writing(self._frame.engine) as session:
                holds.vote(session, self._frame.keks, hold_id, said, self._frame.now())
        except VoteRefused as exc:
            problem = f"{exc.message[:1].upper()}{exc.message[1:]}. {exc.hint}"
            return self._detail(hold_id, operator, problem=problem.strip(), why=why)
        return self._frame.go(f"/operator/enrolments/{hold_id}")

    def _detail(self, hold_id: str, operator: str, *, problem: str = "", why: str = "") -> Response:
        frame = self._frame
        with writing(frame.engine) as session:
            detail = holds.show(session, frame.keks, hold_id, operator)
        voted = any(name == operator for name, _, _, _ in detail.votes)
        return frame.page(
            "hold.html",
            status=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
            detail=detail,
            words=WORDS,
            needed=YES_NEEDED,
            longest=LONGEST_WHY,
            may_vote=detail.state is State.OPEN and not voted,
            problem=problem,
            why=why,
            day_of=day_of,
        )

    def _operator(self, request: Request) -> str:
        """Say which operator asks. 404 where there is none at all, 401 without a name and token of one."""
        with reading(self._frame.engine) as session:
            if not operators.is_anybody(session):
                raise HTTPException(HTTPStatus.NOT_FOUND)
            try:
                return operators.authenticated(session, *_basic(request.headers.get("authorization", "")))
            except OperatorRefused as exc:
                headers = {"WWW-Authenticate": CHALLENGE}
                said = "An operator's name and token are needed here."
                raise HTTPException(HTTPStatus.UNAUTHORIZED, said, headers=headers) from exc

    def _refuse_other_sites(self, request: Request) -> None:
        """Refuse a form of another site, and one that does not say where it comes from.

        A browser sends name and token along by itself, whoever made the form. Programs have the command line.
        """
        if "sec-fetch-site" not in request.headers and "origin" not in request.headers:
            msg = "this form does not say which site it comes from"
            raise LinkInvalid(msg)
        self._frame.refuse_other_sites(request)


def _basic(header: str) -> tuple[str, str]:
    """Give name and token of an Authorization header; empty ones where it holds none."""
    scheme, _, rest = header[:LONGEST_HEADER].partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, token = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return name, token
