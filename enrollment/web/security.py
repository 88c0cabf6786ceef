"""The pages on which people keep their account theirs: a second factor, and the browsers that are signed in.

    GET  /enrol/safety                the step: make a passkey, or give a phone number
    GET  /account/security            passkeys, phone and browsers; what can be taken back
    POST /account/passkeys            keeps a passkey; .../options gives what the browser makes it from
    POST /account/passkeys/remove     forgets one
    POST /account/phone               sends a code to a new number; /account/phone/code takes it
    POST /account/phone/remove        forgets the number
    POST /account/sessions/end        signs one browser out; /end-others every other one; /account/sign-out

Whoever has a second factor shows it before the ways in are changed: a mailbox alone changes nothing.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request, Response

from enrollment import letter_words, letters, passkeys, phone, sessions
from enrollment.codes import Answer
from enrollment.steps import Step
from enrollment.subjects import profile_of
from enrollment.web.begin import network_of
from enrollment.web.ways import FAULTS, OF_ANSWER, SECURITY, WaysIn, second_path
from monitor import audit
from monitor.db import reading, writing
from monitor.errors import ContactInvalid, PasskeyInvalid, SignInNeeded, TooOften
from monitor.same_site import local_path

if TYPE_CHECKING:
    from fastapi.responses import HTMLResponse

    from enrollment.sessions import Person
    from enrollment.web.frame import Frame

HERE, SAFETY = SECURITY, "/enrol/safety"


class SecurityPages:
    """The routes of safety."""

    def __init__(self, frame: Frame) -> None:
        self._frame, self._ways = frame, WaysIn.of(frame)

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        for path, page in (
            (SAFETY, self.safety),
            (HERE, self.security),
            ("/account/phone/code", self.code_page),
        ):
            router.get(path, response_model=None)(page)
        for path, deed in (
            ("/account/passkeys/options", self.make_options),
            ("/account/passkeys", self.make_passkey),
            ("/account/passkeys/remove", self.remove_passkey),
            ("/account/phone", self.ask_code),
            ("/account/phone/code", self.take_code),
            ("/account/phone/remove", self.remove_phone),
            ("/account/sessions/end", self.end_session),
            ("/account/sessions/end-others", self.end_others),
            ("/account/sign-out", self.sign_out),
        ):
            router.post(path, response_model=None)(deed)
        return router

    def safety(self, request: Request, fault: str = "") -> Response:
        """Offer both second factors as a step of the enrolment."""
        person = self._frame.signed_in(request)
        progress = self._frame.progress(person)
        if not progress.may(Step.SAFETY):
            return self._frame.go(progress.path)
        return self._ways_page(person, SAFETY, FAULTS.get(fault, ""))

    def security(self, request: Request, fault: str = "") -> Response:
        """Show the ways in, and the browsers that are signed in."""
        return self._ways_page(self._frame.signed_in(request), HERE, FAULTS.get(fault, ""))

    def make_options(self, request: Request) -> Response:
        """Give what the browser makes a passkey from."""
        person, now = self._owner(request, HERE), self._frame.now()
        with writing(self._frame.engine) as session:
            shown = profile_of(session, self._frame.keks, person.subject_id).email
            options = self._ways.passkeys_here().ask_to_make(session, person.subject_id, shown, now)
        return Response(options, media_type="application/json")

    def make_passkey(
        self,
        request: Request,
        answer: Annotated[str, Form()] = "",
        then: Annotated[str, Form()] = HERE,
    ) -> Response:
        """Keep the passkey that the browser made."""
        then = local_path(then, HERE)
        person, now = self._owner(request, then), self._frame.now()
        name = sessions.browser_name(request.headers.get("user-agent", ""))
        try:
            with writing(self._frame.engine) as session:
                self._ways.passkeys_here().make(session, person.subject_id, answer, name, now)
                sessions.show_second(session, person, now)
        except PasskeyInvalid:
            return self._frame.go(f"{then}?fault=passkey")
        self._tell(person, "A passkey was added to your page.")
        return self._frame.go(then)

    def remove_passkey(self, request: Request, passkey: Annotated[str, Form()] = "") -> Response:
        """Forget one passkey, unless it is the last second way in."""
        person = self._owner(request, HERE)
        with writing(self._frame.engine) as session:
            if self._ways.of_person(session, person.subject_id).count <= 1:
                return self._frame.go(f"{HERE}?fault=last")
            passkeys.remove(session, person.subject_id, passkey)
        self._tell(person, "A passkey was removed from your page.")
        return self._frame.go(HERE)

    def ask_code(
        self,
        request: Request,
        number: Annotated[str, Form()] = "",
        country: Annotated[str, Form()] = "",
        then: Annotated[str, Form()] = HERE,
    ) -> Response:
        """Send a code to a new number."""
        then = local_path(then, HERE)
        person = self._owner(request, then)
        try:
            self._ways.phones.ask(person, number, country, network_of(request))
        except ContactInvalid as exc:
            said = f"{exc.message[:1].upper()}{exc.message[1:]}. {exc.hint}"
            return self._ways_page(person, then, said, typed=(number[: phone.LONGEST], country))
        except TooOften:
            return self._ways_page(person, then, FAULTS["often"], typed=(number[: phone.LONGEST], country))
        return self._frame.go(f"/account/phone/code?then={quote(then)}")

    def code_page(self, request: Request, then: str = HERE, fault: str = "") -> Response:
        """Ask for the code that was sent."""
        person, then = self._frame.signed_in(request), local_path(then, HERE)
        number = self._ways.phones.awaited(person)
        if not number:
            return self._frame.go(then)
        said = FAULTS.get(fault, "")
        return self._frame.page("phone_code.html", number=number, then=then, fault=said)

    def take_code(
        self, request: Request, code: Annotated[str, Form()] = "", then: Annotated[str, Form()] = HERE
    ) -> Response:
        """Take the code of a new number."""
        then = local_path(then, HERE)
        person = self._owner(request, then)
        answer = self._ways.phones.confirm(person, code)
        if answer is Answer.TOO_LATE:
            return self._frame.go(f"{then}?fault=too_late")
        if answer is not Answer.RIGHT:
            return self._frame.go(f"/account/phone/code?then={quote(then)}&fault={OF_ANSWER[answer]}")
        self._ways.show_second(person)
        self._tell(person, "A telephone number was added to your page.")
        return self._frame.go(then)

    def remove_phone(self, request: Request) -> Response:
        """Forget the number, unless it is the last second way in."""
        person = self._owner(request, HERE)
        with writing(self._frame.engine) as session:
            ways = self._ways.of_person(session, person.subject_id)
            if ways.phone and ways.count <= 1:
                return self._frame.go(f"{HERE}?fault=last")
            if ways.phone:
                self._ways.phones.remove(session, person.subject_id)
        self._tell(person, "The telephone number was removed from your page.")
        return self._frame.go(HERE)

    def end_session(self, request: Request, which: Annotated[str, Form()] = "") -> Response:
        """Sign one browser out."""
        person = self._frame.changing(request)
        if which == person.session_id:
            return self.sign_out(request)
        with writing(self._frame.engine) as session:
            sessions.end(session, person, which)
            audit.record(session, "subject", "session.end", person.subject_id)
        return self._frame.go(HERE)

    def end_others(self, request: Request) -> Response:
        """Sign every other browser out."""
        person = self._frame.changing(request)
        with writing(self._frame.engine) as session:
            sessions.end_others(session, person)
            audit.record(session, "subject", "session.end_others", person.subject_id)
        return self._frame.go(HERE)

    def sign_out(self, request: Request) -> Response:
        """Sign this browser out. Nothing happens where nobody is signed in."""
        self._frame.refuse_other_sites(request)
        person = self._frame.person(request)
        if person is not None:
            with writing(self._frame.engine) as session:
                sessions.end(session, person, person.session_id)
                audit.record(session, "subject", "account.sign_out", person.subject_id)
        answer = self._frame.go("/")
        self._frame.sign_out(answer)
        return answer

    def _owner(self, request: Request, then: str) -> Person:
        """Say who changes their ways in: by a second factor where they have one. Raises SignInNeeded."""
        person = self._frame.changing(request)
        with reading(self._frame.engine) as session:
            has_one = self._ways.of_person(session, person.subject_id).count > 0
        if has_one and not person.second:
            raise SignInNeeded(second_path(then))
        return person

    def _ways_page(
        self, person: Person, here: str, fault: str, *, typed: tuple[str, str] = ("", "")
    ) -> HTMLResponse:
        frame, step = self._frame, here == SAFETY
        with reading(frame.engine) as session:
            ways = self._ways.of_person(session, person.subject_id)
            browsers = sessions.listing(session, person, frame.now())
        return frame.page(
            "safety.html" if step else "security.html",
            status=HTTPStatus.UNPROCESSABLE_ENTITY if typed[0] else HTTPStatus.OK,
            progress=frame.progress(person) if step else None,
            step=Step.SAFETY,
            ways=ways,
            first=not step and frame.is_unopened(person),
            may_change=person.second or not ways.count,
            passkeys=self._ways.passkeys is not None,
            countries=phone.country_names(self._ways.phones.countries),
            browsers=browsers,
            here=here,
            fault=fault,
            number=typed[0],
            country=typed[1],
        )

    def _tell(self, person: Person, what: str) -> None:
        """Write to the person that a way in has changed: if it was not them, they must know."""
        frame = self._frame
        sealer = letters.sealer_of(frame.engine, frame.keks)
        with writing(frame.engine) as session:
            to = profile_of(session, frame.keks, person.subject_id).email
            letters.write(
                session,
                sealer,
                to,
                letter_words.way_changed(what),
                kind="way_in",
                now=frame.now(),
                subject_id=person.subject_id,
            )
