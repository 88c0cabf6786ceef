"""Originals of somebody's own: authentic pictures, videos and recordings, by which changed copies are known.

GET  /account/originals             what there is, and a form for more
POST /account/originals             takes files in (multipart); each is sealed before the answer
POST /account/originals/ID/remove   takes one away, bytes and all

Behind a second factor, where the person has one: an original is a private picture as a rule.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from enrollment import originals
from enrollment.given import Givers
from enrollment.originals import MOST, SUBJECT, UNREAD
from enrollment.standing import Standing
from enrollment.web.receiving import STATUS, UNBOUNDED, File, Limits, Receiver
from enrollment.web.samples import UPLOADS_IN_MEMORY, Problem
from monitor.db import reading
from monitor.errors import LikenessError, MediaError, SampleError, UploadError

if TYPE_CHECKING:
    from enrollment.sessions import Person
    from enrollment.web.frame import Frame

PATH: Final = "/account/originals"


class OriginalPages:
    """The routes about originals."""

    def __init__(self, frame: Frame, receiver: Receiver | None = None) -> None:
        most = frame.settings.sample_max_bytes
        self._frame = frame
        self._receiver = receiver or Receiver(Limits(most, UPLOADS_IN_MEMORY * most))
        self._givers = Givers(frame.engine, frame.blobs, frame.lookups, most)

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get(PATH, response_model=None)(self.show)
        router.post(PATH, response_model=None, max_body_size=UNBOUNDED)(self.give)
        router.post(f"{PATH}/{{original_id}}/remove", response_model=None)(self.remove)
        return router

    def show(self, request: Request) -> Response:
        """Show what there is."""
        person = self._frame.careful(request)
        return self._page(person) if self._is_enrolled(person) else self._frame.go("/account")

    async def give(self, request: Request) -> Response:
        """Take originals in."""
        # 1. who is it? nothing is read of anybody else's body
        person = await run_in_threadpool(self._who, request)
        if person is None:
            return self._frame.go("/account")
        # 2. read it into memory, within bounds
        try:
            form = await self._receiver.form(request, person.subject_id)
        except (UploadError, MediaError) as exc:
            answer = await run_in_threadpool(self._page, person, [_problem("", exc)], STATUS[type(exc)])
            answer.headers["Connection"] = "close"  # the rest of the body is not read
            return answer
        # 3. seal each file at once
        problems = await run_in_threadpool(self._take, person, form.files)
        if problems:
            return await run_in_threadpool(self._page, person, problems, HTTPStatus.UNPROCESSABLE_ENTITY)
        return self._frame.go(f"{PATH}#given")

    def remove(self, original_id: str, request: Request) -> Response:
        """Take one away. Raises NotFound."""
        self._frame.refuse_other_sites(request)
        person = self._frame.careful(request)
        originals.remove(self._givers, person.subject_id, original_id, SUBJECT)
        return self._frame.go(f"{PATH}#given")

    def _who(self, request: Request) -> Person | None:
        self._frame.refuse_other_sites(request)
        person = self._frame.careful(request)
        return person if self._is_enrolled(person) else None

    def _is_enrolled(self, person: Person) -> bool:
        """Say whether this person is past the enrolment: of anybody else there are no sightings."""
        return self._frame.progress(person).standing is not Standing.NEW

    def _take(self, person: Person, files: tuple[File, ...]) -> list[Problem]:
        if not files:
            return [Problem("", "nothing_chosen", "No file was chosen.", "Choose one or more files first.")]
        frame, problems = self._frame, []
        for file in files:
            try:
                originals.give(
                    self._givers, frame.keks, person.subject_id, file.name, file.data, SUBJECT, frame.now()
                )
            except (SampleError, MediaError) as exc:
                problems.append(_problem(file.name, exc))
        return problems

    def _page(
        self, person: Person, problems: list[Problem] | None = None, status: HTTPStatus = HTTPStatus.OK
    ) -> Response:
        with reading(self._frame.engine) as session:
            own = originals.listing(session, self._frame.keks, person.subject_id)
        return self._frame.page(
            "originals.html",
            status=status,
            own=own,
            most=MOST,
            waiting=any(one.state in UNREAD for one in own),
            problems=problems or [],
            max_mb=self._frame.settings.sample_max_bytes // 2**20,
        )


def _problem(name: str, error: LikenessError) -> Problem:
    return Problem(name, error.code, f"{error.message[:1].upper()}{error.message[1:]}.", error.hint)
