"""The pages of the way in. Nothing acts on GET: mail programs open links before people do.

GET  /enrol              where one begins or comes in again: an address, or a passkey
POST /enrol              puts a letter into the outbox; the answer is the same for any address
GET  /enrol/sent         says so
POST /enrol/passkey      signs in by a passkey; POST .../options gives what the browser asks it for
GET  /enter/TOKEN        the door: the same page for every token, right or wrong
POST /enter/TOKEN        uses the link up, signs the browser in, leads to where the person was
POST /enter/TOKEN/again  a fresh link to the same address, for a link that is old or used
"""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse

from enrollment import limits, passkeys, sessions
from enrollment.accounts import LINK_LASTS, Accounts
from enrollment.codes import Codes
from enrollment.steps import progress_of
from monitor import audit
from monitor.db import reading, writing
from monitor.errors import (
    ContactInvalid,
    EnrolmentClosed,
    LinkInvalid,
    LinkTooOld,
    LinkUsed,
    NotFound,
    PasskeyInvalid,
)

if TYPE_CHECKING:
    from enrollment.web.frame import Frame
    from monitor.values import SubjectId

MINUTES = int(LINK_LASTS.total_seconds() // 60)

CHALLENGE = "passkey"
"""The cookie that carries the challenge of a sign-in by passkey, sealed: nobody is signed in yet."""

LONGEST_ADDRESS = 254
"""Characters (RFC 5321, 4.5.3.1.3, less the brackets)."""


class BeginPages:
    """The routes of the way in."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._is_open = frame.settings.enrolment == "open"
        self._accounts = Accounts(
            frame.engine,
            frame.keks,
            frame.lookups,
            frame.secret,
            frame.settings.public_url,
            self._is_open,
            frame.now,
        )
        self._passkeys = passkeys_of(frame)

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
        router.get("/enrol", response_model=None)(self.begin)
        router.post("/enrol", response_model=None)(self.ask)
        router.get("/enrol/sent")(self.sent)
        router.post("/enrol/passkey/options", response_model=None)(self.passkey_options)
        router.post("/enrol/passkey", response_model=None)(self.passkey)
        router.get("/enter/{token}")(self.door)
        router.post("/enter/{token}", response_model=None)(self.enter)
        router.post("/enter/{token}/again", response_model=None)(self.again)
        return router

    def begin(self, request: Request) -> Response:
        """Ask for an address or a passkey; lead on who is signed in."""
        person = self._frame.person(request)
        if person is not None:
            return self._frame.go(self._frame.progress(person).path)
        return self._begin_page()

    def ask(self, request: Request, email: Annotated[str, Form(max_length=LONGEST_ADDRESS)] = "") -> Response:
        """Have a letter written to the address."""
        self._frame.refuse_other_sites(request)
        try:
            self._accounts.ask(email, network_of(request))
        except ContactInvalid:
            return self._begin_page(HTTPStatus.UNPROCESSABLE_ENTITY, fault="address", email=email)
        return self._frame.go("/enrol/sent")

    def sent(self) -> HTMLResponse:
        """Say that a letter is on its way, whoever asked."""
        return self._frame.page("sent.html", minutes=MINUTES)

    def passkey_options(self, request: Request) -> Response:
        """Give what the browser asks a passkey for; the challenge goes along in a sealed cookie."""
        self._frame.refuse_other_sites(request)
        options, cookie = self._passkeys_here().ask_anyone(self._frame.now())
        answer = Response(options, media_type="application/json")
        answer.set_cookie(
            self._challenge_cookie,
            cookie,
            max_age=int(passkeys.CHALLENGE_LASTS.total_seconds()),
            secure=self._frame.secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    def passkey(self, request: Request, answer: Annotated[str, Form()] = "") -> Response:
        """Sign in whoever shows a passkey of theirs."""
        self._frame.refuse_other_sites(request)
        frame, now = self._frame, self._frame.now()
        cookie = request.cookies.get(self._challenge_cookie, "")
        try:
            with writing(frame.engine) as session:
                subject_id = self._passkeys_here().sign_in(session, cookie, answer, now)
                signed_in = sessions.begin(session, subject_id, _browser(request), now)
                session.flush()
                person = sessions.person_of(session, signed_in, now)
                if person is not None:  # it is somebody's device, and they unlocked it: two factors in one
                    sessions.show_second(session, person, now)
                audit.record(session, "subject", "account.sign_in", subject_id, how="passkey")
        except PasskeyInvalid:
            return self._begin_page(HTTPStatus.FORBIDDEN, fault="passkey")
        return self._signed_in(request, signed_in, subject_id, "")

    def door(self, token: str) -> HTMLResponse:  # noqa: ARG002 - looking at it would already tell something
        """Show the door. It knows nothing of the token and changes nothing."""
        return self._frame.page("door.html")

    def enter(self, token: str, request: Request) -> Response:
        """Use the link up and lead to where the person was; say it where the link opens nothing."""
        self._frame.refuse_other_sites(request)
        try:
            entered = self._accounts.enter(token, _browser(request))
        except EnrolmentClosed:
            return self._frame.page("closed.html", status=HTTPStatus.FORBIDDEN)
        except LinkUsed:
            person = self._frame.person(request)
            if person is not None and self._accounts.is_whose(token, person):
                return self._frame.go(self._frame.progress(person).path)  # pressed twice, and in already
            return self._gone(request, "used")
        except LinkTooOld:
            return self._gone(request, "old")
        except LinkInvalid:
            return self._gone(request, "wrong")
        return self._signed_in(request, entered.cookie, entered.subject_id, entered.then)

    def again(self, token: str, request: Request) -> Response:
        """Have a fresh link sent to the address of an old one. The answer is the same for any token."""
        self._frame.refuse_other_sites(request)
        with suppress(LinkInvalid):
            self._accounts.ask_again(token, network_of(request))
        return self._frame.go("/enrol/sent")

    def _gone(self, request: Request, why: str) -> HTMLResponse:
        again = f"{request.url.path}/again"
        return self._frame.page(
            "link_gone.html", status=HTTPStatus.GONE, why=why, again=again, minutes=MINUTES
        )

    def _signed_in(self, request: Request, cookie: str, subject_id: SubjectId, then: str) -> Response:
        frame, before = self._frame, self._frame.person(request)
        if before is not None:
            with writing(frame.engine) as session:  # one browser, one session
                sessions.end(session, before, before.session_id)
        with reading(frame.engine) as session:
            path = progress_of(session, frame.keks, subject_id).path
        answer = frame.go(then or path)
        frame.sign_in(answer, cookie)
        return answer

    def _begin_page(
        self, status: HTTPStatus = HTTPStatus.OK, *, fault: str = "", email: str = ""
    ) -> HTMLResponse:
        return self._frame.page(
            "begin.html",
            status=status,
            fault=fault,
            email=email,
            is_open=self._is_open,
            passkeys=self._passkeys is not None,
        )

    def _passkeys_here(self) -> passkeys.Passkeys:
        if self._passkeys is None:
            msg = "passkeys need a name in LIKENESS_PUBLIC_URL, not a number"
            raise NotFound(msg)
        return self._passkeys

    @property
    def _challenge_cookie(self) -> str:
        return f"__Host-{CHALLENGE}" if self._frame.secure else CHALLENGE


def passkeys_of(frame: Frame) -> passkeys.Passkeys | None:
    """Make what handles passkeys; None where the address of the pages is a number."""
    party = passkeys.party_of(frame.settings)
    return None if party is None else passkeys.Passkeys(party, Codes(frame.keks, frame.lookups), frame.secret)


def network_of(request: Request) -> str:
    """Give the network that a request comes from, as limits count it."""
    return limits.network_of(request.client.host if request.client else "")


def _browser(request: Request) -> str:
    return sessions.browser_name(request.headers.get("user-agent", ""))
