"""The first step: how somebody wants to be called, when they were born, in which language they will speak.

GET  /enrol/you    the form
POST /enrol/you    checks and seals; who is too young is told so, and nothing of it is kept
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Request, Response

from enrollment.age import declared_age
from enrollment.identity.digits import FALLBACK, LANGUAGES, preferred
from enrollment.names import LONGEST, checked_name
from enrollment.standing import Standing
from enrollment.steps import Step
from enrollment.subjects import profile_of, rewrite_profile
from enrollment.tables import Account
from monitor import audit
from monitor.db import reading, writing
from monitor.errors import AgeError, LikenessError, NameInvalid, TooYoung

if TYPE_CHECKING:
    from enrollment.sessions import Person
    from enrollment.web.frame import Frame

LONGEST_DAY = 10
"""Characters of a date, 1990-05-23."""


class YouPages:
    """The routes of the first step."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get("/enrol/you", response_model=None)(self.show)
        router.post("/enrol/you", response_model=None)(self.take)
        return router

    def show(self, request: Request) -> Response:
        """Show the form, with what is known already; who is through is led on."""
        person = self._frame.signed_in(request)
        if self._frame.progress(person).standing is not Standing.NEW:
            return self._frame.go("/account")
        with reading(self._frame.engine) as session:
            profile = profile_of(session, self._frame.keks, person.subject_id)
            account = session.get(Account, person.subject_id)
        known = account.language if account is not None else ""
        language = known or preferred(request.headers.get("accept-language", ""))
        return self._page(person, (profile.name, profile.born, language))

    def take(
        self,
        request: Request,
        name: Annotated[str, Form(max_length=4 * LONGEST)] = "",
        born: Annotated[str, Form(max_length=4 * LONGEST_DAY)] = "",
        language: Annotated[str, Form(max_length=8)] = "",
    ) -> Response:
        """Check and seal what was given, and lead to the next step."""
        person = self._frame.changing(request)
        if self._frame.progress(person).standing is not Standing.NEW:
            return self._frame.go("/account")
        faults: dict[str, LikenessError] = {}
        try:
            name = checked_name(name)
        except NameInvalid as exc:
            faults["name"] = exc
        try:
            age = declared_age(
                born,
                confirmed=False,
                minimum=self._frame.settings.minimum_age,
                today=self._frame.now().date(),
            )
        except TooYoung:
            return self._too_young()
        except AgeError as exc:
            faults["born"] = exc
        if faults:
            return self._page(person, (name, born, language), faults)
        known = language if language in LANGUAGES else ""
        self._keep(person, name, age.born, known)
        return self._frame.go(self._frame.progress(person).path)

    def _keep(self, person: Person, name: str, born: str, language: str) -> None:
        with writing(self._frame.engine) as session:
            profile = profile_of(session, self._frame.keks, person.subject_id)
            changed = replace(profile, name=name, born=born)
            rewrite_profile(session, self._frame.keks, person.subject_id, changed)
            account = session.get(Account, person.subject_id)
            if account is not None and language:
                account.language = language
            audit.record(session, "subject", "profile.change", person.subject_id)

    def _too_young(self) -> Response:
        minimum = self._frame.settings.minimum_age
        return self._frame.page("too_young.html", status=HTTPStatus.UNPROCESSABLE_ENTITY, minimum=minimum)

    def _page(
        self, person: Person, given: tuple[str, str, str], faults: dict[str, LikenessError] | None = None
    ) -> Response:
        name, born, language = given
        return self._frame.page(
            "you.html",
            status=HTTPStatus.UNPROCESSABLE_ENTITY if faults else HTTPStatus.OK,
            progress=self._frame.progress(person),
            step=Step.YOU,
            typed_name=name,
            born=born,
            language=language if language in LANGUAGES else FALLBACK,
            languages=[(code, one.name) for code, one in LANGUAGES.items()],
            faults={"name": None, "born": None} | (faults or {}),
            minimum=self._frame.settings.minimum_age,
            today=self._frame.now().date().isoformat(),
            longest=LONGEST,
        )
