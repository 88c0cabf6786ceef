"""What every page of enrolment stands in: who asks, whether the form is ours, and how a page is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from enrollment import sessions
from enrollment.standing import is_unopened
from enrollment.steps import TITLES, Progress, progress_of
from enrollment.tables import Account, Subject
from monitor import subject_keys
from monitor.crypto import Context, seal, unseal
from monitor.db import reading, utc_now, writing
from monitor.errors import SignInNeeded
from monitor.same_site import refuse_other_sites

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Engine
    from sqlmodel import Session

    from enrollment.interfaces import CoverageBook
    from enrollment.lookups import Lookups
    from enrollment.sessions import Person
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.settings import Settings
    from monitor.values import SubjectId

COOKIE = "session"
SECURE_COOKIE = "__Host-session"
"""The prefix makes browsers refuse it without HTTPS, with a domain, or from a sibling host."""

SIGN_IN = "/enrol"
"""Where somebody without a session begins."""

OPENING = ("/account/security", "/account/passkeys", "/account/phone", "/account/second", "/account/sessions")
"""Where somebody who was invited gets their first second factor; the first one is where they are led."""


def nothing_elsewhere(_session: Session, _now: datetime) -> int:
    """Count no text messages but our own."""
    return 0


@dataclass(frozen=True, slots=True)
class Frame:
    """What the pages work with. `secret` seals links; `now` is the clock.

    `sms_elsewhere` counts the text messages of 24 hours that others sent: all share one spend cap.
    `coverage` says where we look.
    """

    engine: Engine
    keks: KeyEncryptionKeys
    blobs: BlobStore
    settings: Settings
    lookups: Lookups
    secret: str = field(repr=False)
    now: Callable[[], datetime] = utc_now
    sms_elsewhere: Callable[[Session, datetime], int] = nothing_elsewhere
    coverage: CoverageBook | None = None

    @property
    def secure(self) -> bool:
        """Whether people reach the pages by HTTPS."""
        return self.settings.public_url.startswith("https:")

    def person(self, request: Request) -> Person | None:
        """Say who asks, and note the visit; None where nobody is signed in."""
        now = self.now()
        with reading(self.engine) as session:
            person = sessions.person_of(session, request.cookies.get(self._cookie, ""), now)
            due = person is not None and sessions.is_note_due(session, person, now)
        if person is not None and due:
            with writing(self.engine) as session:
                sessions.note(session, person, now)
        return person

    def signed_in(self, request: Request, *, second: bool = False) -> Person:
        """Say who asks. Raises SignInNeeded, which leads to where one signs in or shows a second factor."""
        person = self.person(request)
        if person is None:
            raise SignInNeeded(SIGN_IN)
        if not request.url.path.startswith(OPENING) and self.is_unopened(person):
            raise SignInNeeded(OPENING[0])
        if second and not person.second:
            second_factor = f"/account/second?then={quote(request.url.path)}"
            raise SignInNeeded(second_factor)
        return person

    def is_unopened(self, person: Person) -> bool:
        """Say whether this is somebody invited who has shown no second factor yet: their page is shut."""
        with reading(self.engine) as session:
            row, account = session.get(Subject, person.subject_id), session.get(Account, person.subject_id)
            return row is not None and is_unopened(row.status, account)

    def changing(self, request: Request, *, second: bool = False) -> Person:
        """Say who asks for a change by a form of ours. Raises SignInNeeded, LinkInvalid."""
        self.refuse_other_sites(request)
        return self.signed_in(request, second=second)

    def careful(self, request: Request) -> Person:
        """Say who asks for something dangerous: with a second factor, where they have one at all.

        Somebody who never came so far as to add one must be able to leave, too. Raises SignInNeeded.
        """
        person = self.signed_in(request)
        with reading(self.engine) as session:
            second = sessions.has_second(session, person.subject_id)
        return self.signed_in(request, second=True) if second else person

    def refuse_other_sites(self, request: Request) -> None:
        """Refuse a form that another site sent. Raises LinkInvalid."""
        refuse_other_sites(request, self.settings.public_url)

    def progress(self, person: Person) -> Progress:
        """Say how far the person came."""
        with reading(self.engine) as session:
            return progress_of(session, self.keks, person.subject_id)

    def sign_in(self, answer: Response, cookie: str) -> None:
        """Give the browser its cookie."""
        seconds = int(sessions.LONGEST.total_seconds())
        answer.set_cookie(
            self._cookie, cookie, max_age=seconds, secure=self.secure, httponly=True, samesite="strict"
        )

    def sign_out(self, answer: Response) -> None:
        """Take the cookie back."""
        answer.delete_cookie(self._cookie, secure=self.secure, httponly=True, samesite="strict")

    def page(self, name: str, *, status: HTTPStatus = HTTPStatus.OK, **words: object) -> HTMLResponse:
        """Make a page of enrollment/templates."""
        words["exit_url"] = self.settings.safe_exit_url
        return HTMLResponse(_templates().get_template(name).render(words), status)

    def go(self, path: str) -> RedirectResponse:
        """Lead on after a form: the browser's back and reload do not send it again."""
        return RedirectResponse(path, HTTPStatus.SEE_OTHER)

    def seal(self, session: Session, subject_id: SubjectId, plain: bytes, what: tuple[str, str]) -> bytes:
        """Seal something with the subject's key. `what` is the record's id and kind."""
        key = subject_keys.key_of(session, self.keks, subject_id)
        return seal(key, plain, Context(subject_id, *what))

    def unseal(self, session: Session, subject_id: SubjectId, sealed: bytes, what: tuple[str, str]) -> bytes:
        """Open what `seal` made. Raises Tampered, SubjectErased."""
        key = subject_keys.key_of(session, self.keks, subject_id)
        return unseal(key, sealed, Context(subject_id, *what))

    @property
    def _cookie(self) -> str:
        return SECURE_COOKIE if self.secure else COOKIE


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("enrollment"), PackageLoader("monitor", "web")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["steps"] = TITLES
    return environment
