"""The page that asks for a second factor before what was found is shown, or the ways in are changed.

GET  /account/second?then=PATH   asks; leads on whoever has shown one, not long ago
POST /account/second/passkey     takes a passkey; /account/second/options gives what to ask it for
POST /account/second/send        sends a code to the known number; /account/second/code takes it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Request, Response

from enrollment.codes import Answer
from enrollment.web.begin import network_of
from enrollment.web.ways import FAULTS, OF_ANSWER, SECURITY, WaysIn, second_path
from monitor.db import reading, writing
from monitor.errors import PasskeyInvalid, TooOften
from monitor.same_site import local_path

if TYPE_CHECKING:
    from enrollment.web.frame import Frame


class SecondPages:
    """The routes of the second factor."""

    def __init__(self, frame: Frame) -> None:
        self._frame, self._ways = frame, WaysIn.of(frame)

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get("/account/second", response_model=None)(self.page)
        router.post("/account/second/options", response_model=None)(self.options)
        router.post("/account/second/passkey", response_model=None)(self.passkey)
        router.post("/account/second/send", response_model=None)(self.send)
        router.post("/account/second/code", response_model=None)(self.code)
        return router

    def page(self, request: Request, then: str = "/account", fault: str = "", sent: str = "") -> Response:
        """Ask for a second factor; lead on whoever has shown it, or has none yet."""
        person, then = self._frame.signed_in(request), local_path(then)
        with reading(self._frame.engine) as session:
            ways = self._ways.of_person(session, person.subject_id)
        if person.second:
            return self._frame.go(then)
        if not ways.count:
            return self._frame.go(SECURITY)
        return self._frame.page(
            "second.html",
            ways=ways,
            passkeys=self._ways.passkeys is not None,
            then=then,
            sent=bool(sent),
            fault=FAULTS.get(fault, ""),
        )

    def options(self, request: Request) -> Response:
        """Give what the browser asks a passkey of this person for."""
        person, now = self._frame.changing(request), self._frame.now()
        with writing(self._frame.engine) as session:
            options = self._ways.passkeys_here().ask(session, person.subject_id, now)
        return Response(options, media_type="application/json")

    def passkey(
        self,
        request: Request,
        answer: Annotated[str, Form()] = "",
        then: Annotated[str, Form()] = "/account",
    ) -> Response:
        """Take a passkey as second factor."""
        person, then, now = self._frame.changing(request), local_path(then), self._frame.now()
        try:
            with writing(self._frame.engine) as session:
                self._ways.passkeys_here().show(session, person.subject_id, answer, now)
        except PasskeyInvalid:
            return self._frame.go(second_path(then, fault="passkey"))
        self._ways.show_second(person)
        return self._frame.go(then)

    def send(self, request: Request, then: Annotated[str, Form()] = "/account") -> Response:
        """Send a code to the number that is known."""
        person, then = self._frame.changing(request), local_path(then)
        try:
            self._ways.phones.ask_second(person, network_of(request))
        except TooOften:
            return self._frame.go(second_path(then, fault="often"))
        return self._frame.go(second_path(then, sent="1"))

    def code(
        self, request: Request, code: Annotated[str, Form()] = "", then: Annotated[str, Form()] = "/account"
    ) -> Response:
        """Take the code as second factor."""
        person, then = self._frame.changing(request), local_path(then)
        answer = self._ways.phones.confirm_second(person, code)
        if answer is not Answer.RIGHT:
            return self._frame.go(second_path(then, fault=OF_ANSWER[answer], sent="1"))
        self._ways.show_second(person)
        return self._frame.go(then)
