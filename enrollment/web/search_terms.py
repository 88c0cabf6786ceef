"""Names, handles and hashtags that we are to look for.

GET  /account/search             what there is, and a form for more
POST /account/search             adds one
POST /account/search/ID          takes one away
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Request, Response

from enrollment import search_terms
from enrollment.search_terms import LONGEST, MOST, TermKind
from monitor.db import reading, writing
from monitor.errors import LikenessError, TermInvalid

if TYPE_CHECKING:
    from enrollment.sessions import Person
    from enrollment.web.frame import Frame

ACTOR = "subject"


class SearchTermPages:
    """The routes about what is looked for."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get("/account/search", response_model=None)(self.show)
        router.post("/account/search", response_model=None)(self.add)
        router.post("/account/search/{term_id}", response_model=None)(self.remove)
        return router

    def show(self, request: Request) -> Response:
        """Show what we look for."""
        return self._page(self._frame.careful(request))

    def add(
        self,
        request: Request,
        kind: Annotated[str, Form(max_length=16)] = "",
        text: Annotated[str, Form(max_length=4 * LONGEST)] = "",
    ) -> Response:
        """Add one."""
        frame = self._frame
        frame.refuse_other_sites(request)
        person = frame.careful(request)
        try:
            term = (search_terms.kind_of(kind), text)
            with writing(frame.engine) as session:
                search_terms.add(
                    session, frame.keks, frame.lookups, person.subject_id, term, ACTOR, frame.now()
                )
        except TermInvalid as exc:
            return self._page(person, (kind, text), exc)
        return frame.go("/account/search")

    def remove(self, term_id: str, request: Request) -> Response:
        """Take one away. Raises NotFound."""
        frame = self._frame
        frame.refuse_other_sites(request)
        person = frame.careful(request)
        with writing(frame.engine) as session:
            search_terms.remove(session, person.subject_id, term_id, ACTOR)
        return frame.go("/account/search")

    def _page(
        self, person: Person, typed: tuple[str, str] = ("", ""), fault: LikenessError | None = None
    ) -> Response:
        with reading(self._frame.engine) as session:
            own = search_terms.listing(session, self._frame.keks, person.subject_id)
        return self._frame.page(
            "search_terms.html",
            status=HTTPStatus.OK if fault is None else HTTPStatus.UNPROCESSABLE_ENTITY,
            own=own,
            kinds=list(TermKind),
            most=MOST,
            longest=LONGEST,
            kind=typed[0],
            text=typed[1],
            fault=fault,
        )
