"""The pages on which somebody changes where our letters go.

GET  /account/contact       the address in force, and a field for another one
POST /account/contact       sends a link to the new one; the answer is the same for any address
GET  /enrol/contact/TOKEN   the door behind the link: the same page for every token
POST /enrol/contact/TOKEN   changes the address
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Request, Response

from enrollment.contact_change import LASTS, Contacts
from monitor.errors import ContactInvalid, LinkInvalid, SubjectErased, TooOften

if TYPE_CHECKING:
    from enrollment.web.frame import Frame
    from monitor.errors import LikenessError

LONGEST_ADDRESS = 254
"""Characters (RFC 5321, 4.5.3.1.3, less the brackets)."""


class ContactPages:
    """The routes of a change of address."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._contacts = Contacts(
            frame.engine, frame.keks, frame.lookups, frame.secret, frame.settings.public_url, frame.now
        )

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get("/account/contact", response_model=None)(self.show)
        router.post("/account/contact", response_model=None)(self.ask)
        router.get("/enrol/contact/{token}", response_model=None)(self.door)
        router.post("/enrol/contact/{token}", response_model=None)(self.confirm)
        return router

    def show(self, request: Request) -> Response:
        """Show the address in force and ask for another one."""
        person = self._frame.careful(request)
        return self._page(self._contacts.address_of(person.subject_id))

    def ask(self, request: Request, email: Annotated[str, Form(max_length=LONGEST_ADDRESS)] = "") -> Response:
        """Send a link to the new address."""
        self._frame.refuse_other_sites(request)
        person = self._frame.careful(request)
        try:
            self._contacts.ask(person.subject_id, email)
        except (ContactInvalid, TooOften) as exc:
            now = self._contacts.address_of(person.subject_id)
            return self._page(now, typed=email, fault=exc, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        return self._page(self._contacts.address_of(person.subject_id), sent=True)

    def door(self, token: str) -> Response:  # noqa: ARG002 - looking at it would already tell something
        """Ask before anything changes: mail programs open links before people do."""
        return self._frame.page("contact_door.html", state="asking")

    def confirm(self, token: str, request: Request) -> Response:
        """Change the address."""
        self._frame.refuse_other_sites(request)
        try:
            self._contacts.confirm(token)
        except ContactInvalid:
            return self._frame.page("contact_door.html", state="taken", status=HTTPStatus.CONFLICT)
        except (LinkInvalid, SubjectErased):
            return self._frame.page("contact_door.html", state="gone", status=HTTPStatus.GONE)
        return self._frame.page("contact_door.html", state="changed")

    def _page(
        self,
        email: str,
        *,
        typed: str = "",
        sent: bool = False,
        fault: LikenessError | None = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        hours = int(LASTS.total_seconds() // 3600)
        return self._frame.page(
            "contact.html", status=status, email=email, typed=typed, sent=sent, fault=fault, hours=hours
        )
