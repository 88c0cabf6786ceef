"""Whom I let see what was found of me, and who lets me see.

GET  /account/delegates           both lists, and a form to invite
POST /account/delegates           invites somebody by e-mail
POST /account/delegates/ID        accept, decline or end: what the reader may of these
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Request, Response

from enrollment import delegates, letters, limits
from enrollment.accounts import Accounts
from enrollment.delegates import LONGEST_NAME
from enrollment.letter_words import Button, letter
from enrollment.names import checked_name
from enrollment.profiles import checked_email
from enrollment.subjects import profile_of
from monitor.db import reading, writing
from monitor.errors import ContactInvalid, DelegateRefused, LikenessError, NameInvalid, NotFound, TooOften

if TYPE_CHECKING:
    from enrollment.sessions import Person
    from enrollment.web.frame import Frame

LINK_LASTS = timedelta(days=7)
"""How long the link of an invitation lets its reader in. Later they come in by a fresh one of their own."""

PER_DAY = 10
"""Invitations of one person in a day."""

PER_ADDRESS_DAY = 3
"""Invitations to one address in a day, whoever sends them."""

LONGEST_ADDRESS = 254


class DelegatePages:
    """The routes about delegates."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._accounts = Accounts(
            frame.engine,
            frame.keks,
            frame.lookups,
            frame.secret,
            frame.settings.public_url,
            frame.settings.enrolment == "open",
            frame.now,
        )

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get("/account/delegates", response_model=None)(self.show)
        router.post("/account/delegates", response_model=None)(self.invite)
        router.post("/account/delegates/{invitation_id}", response_model=None)(self.change)
        return router

    def show(self, request: Request) -> Response:
        """Show both lists."""
        return self._page(self._frame.signed_in(request))

    def invite(
        self,
        request: Request,
        name: Annotated[str, Form(max_length=4 * LONGEST_NAME)] = "",
        email: Annotated[str, Form(max_length=LONGEST_ADDRESS)] = "",
    ) -> Response:
        """Invite somebody by e-mail."""
        self._frame.refuse_other_sites(request)
        person = self._frame.careful(request)
        try:
            self._invite(person, checked_name(name), checked_email(email.strip()))
        except (NameInvalid, ContactInvalid, DelegateRefused, TooOften) as exc:
            return self._page(person, (name, email), exc)
        return self._frame.go("/account/delegates")

    def change(self, invitation_id: str, request: Request, what: Annotated[str, Form()] = "") -> Response:
        """Accept or decline an invitation to oneself, or end one as either side."""
        person, now = self._frame.changing(request), self._frame.now()
        if what not in {"accept", "decline", "end"}:
            msg = "there is no such answer"
            raise NotFound(msg)
        with writing(self._frame.engine) as session:
            if what == "end":
                delegates.end(session, person.subject_id, invitation_id, now)
            else:
                delegates.answer(session, person.subject_id, invitation_id, now, accept=what == "accept")
        return self._frame.go("/account/delegates")

    def _invite(self, person: Person, name: str, email: str) -> None:
        frame, now = self._frame, self._frame.now()
        if not email:
            msg = "no address was given"
            raise ContactInvalid(msg, hint="It looks like name@example.org.")
        sealer = letters.sealer_of(frame.engine, frame.keks)
        url = self._accounts.url(email, lasts=LINK_LASTS, invited=True, then="/account/delegates")
        words = letter(
            (
                (
                    "somebody who trusts you asks for your help on our page. They would like you to be able "
                    "to see what is found about them there. Who it is stands on the page behind the link."
                ),
                "You can accept or decline. You can end it at any time, and so can they.",
            ),
            button=Button("See who asks", url),
            after=("Do you know nothing of this? Then leave it. Nothing happens without the link.",),
        )
        with writing(frame.engine) as session:
            kinds = (("invite", str(person.subject_id), PER_DAY), ("invite-to", email, PER_ADDRESS_DAY))
            allowed = [
                limits.take(session, frame.lookups, kind, value, per=limits.DAY, most=most, now=now)
                for kind, value, most in kinds
            ]
            invited = all(allowed) and delegates.invite(
                session, frame.keks, frame.lookups, person.subject_id, (name, email), now
            )
            if invited:
                letters.write(
                    session,
                    sealer,
                    email,
                    words,
                    kind="invitation",
                    now=now,
                    subject_id=person.subject_id,
                    until=now + LINK_LASTS,
                )
        if not all(allowed):
            msg = "too many invitations were sent today"
            raise TooOften(msg, hint="Try again tomorrow.")

    def _page(
        self, person: Person, typed: tuple[str, str] = ("", ""), fault: LikenessError | None = None
    ) -> Response:
        with reading(self._frame.engine) as session:
            own = delegates.listing(session, self._frame.keks, person.subject_id)
            entrusted = [
                (one, profile_of(session, self._frame.keks, one.subject_id).name)
                for one in delegates.entrusted(session, person.subject_id)
            ]
        return self._frame.page(
            "delegates.html",
            status=HTTPStatus.OK if fault is None else HTTPStatus.UNPROCESSABLE_ENTITY,
            own=own,
            entrusted=entrusted,
            most=delegates.MOST,
            full=sum(one.state in delegates.OPEN for one in own) >= delegates.MOST,
            typed_name=typed[0],
            email=typed[1],
            fault=fault,
            longest=LONGEST_NAME,
        )
