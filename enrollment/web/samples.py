"""The two pages on which people give their face and their voice: by upload, by camera, by microphone.

    GET  /enrol/face, /enrol/voice     what was given and what became of it, and ways to give more
    POST /enrol/face, /enrol/voice     takes files in (multipart); each is sealed before the answer
    GET  /enrol/samples.json           what became of them, for the page's own script
    POST /enrol/samples/ID/remove      takes one back, bytes and all

Without a script the forms do all of it, and the page loads itself again while something is being looked
at. Whoever asks by `Accept: application/json` gets JSON in place of a page.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from enrollment import given
from enrollment.given import GOOD, UNJUDGED, GivenView, Givers
from enrollment.guidance import SENTENCES, SIDE
from enrollment.spoken import passages
from enrollment.standing import Standing
from enrollment.steps import Progress, Step
from enrollment.tables import Account
from enrollment.web.receiving import STATUS, UNBOUNDED, File, Limits, Receiver
from monitor.db import reading
from monitor.errors import LikenessError, MediaError, NotFound, SampleError, UploadError
from monitor.values import Modality

if TYPE_CHECKING:
    from enrollment.sessions import Person
    from enrollment.web.frame import Frame

UPLOADS_IN_MEMORY: Final = 2
"""Uploads of the largest size that fit into memory at once, all people together. Sealing takes as much
again."""

RECOMMENDED: Final = {Modality.FACE: 3, Modality.VOICE: 1}
"""Good samples from which the page stops asking for more. One face is enough to go on; three find more."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is different between the two pages. `accept` names no HEIC: an iPhone then sends JPEG."""

    step: Step
    modality: Modality
    following: Step
    accept: str


FACE = Page(Step.FACE, Modality.FACE, Step.VOICE, "image/jpeg,image/png,image/webp,video/mp4,video/webm")
VOICE = Page(Step.VOICE, Modality.VOICE, Step.PROOF, "audio/*,video/mp4,video/webm")


@dataclass(frozen=True, slots=True)
class Problem:
    """One file that was not taken, and why."""

    name: str
    code: str
    sentence: str
    hint: str


class SamplePages:
    """The routes, in one frame, with one receiver for all uploads."""

    def __init__(self, frame: Frame, receiver: Receiver | None = None) -> None:
        most = frame.settings.sample_max_bytes
        self._frame = frame
        self._receiver = receiver or Receiver(Limits(most, UPLOADS_IN_MEMORY * most))
        self._givers = Givers(frame.engine, frame.blobs, frame.lookups, most)

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get("/enrol/face", response_model=None)(self.face)
        router.get("/enrol/voice", response_model=None)(self.voice)
        router.post("/enrol/face", response_model=None, max_body_size=UNBOUNDED)(self.give_face)
        router.post("/enrol/voice", response_model=None, max_body_size=UNBOUNDED)(self.give_voice)
        router.get("/enrol/samples.json", response_model=None)(self.samples)
        router.post("/enrol/samples/{sample_id}/remove", response_model=None)(self.remove)
        return router

    def face(self, request: Request) -> Response:
        """Show the page for the face."""
        return self._show(request, FACE)

    def voice(self, request: Request) -> Response:
        """Show the page for the voice."""
        return self._show(request, VOICE)

    async def give_face(self, request: Request) -> Response:
        """Take pictures in."""
        return await self._give(request, FACE)

    async def give_voice(self, request: Request) -> Response:
        """Take recordings in."""
        return await self._give(request, VOICE)

    def samples(self, request: Request) -> Response:
        """Say what became of what was given, for the page's own script."""
        return JSONResponse({"samples": [_plain(one) for one in self._given(self._frame.signed_in(request))]})

    def remove(self, sample_id: str, request: Request) -> Response:
        """Take one sample back, and lead to the page it was on."""
        person = self._frame.changing(request)
        views = {one.sample_id: one for one in self._given(person)}
        if sample_id not in views or not given.remove(self._givers, person.subject_id, sample_id):
            msg = "there is no such sample"
            raise NotFound(msg)
        return self._frame.go(f"/enrol/{views[sample_id].modality}#given")

    def _show(self, request: Request, page: Page) -> Response:
        person = self._frame.signed_in(request)
        progress = self._frame.progress(person)
        if not _may(progress, page):
            return self._frame.go(progress.path)
        return self._page(person, progress, page)

    async def _give(self, request: Request, page: Page) -> Response:
        # 1. who is it, and is it their turn? nothing is read of anybody else's body
        person, progress = await run_in_threadpool(self._who, request)
        json = "application/json" in request.headers.get("accept", "")
        if not _may(progress, page):
            if json:
                return JSONResponse(
                    {"samples": [], "problems": [], "path": progress.path}, HTTPStatus.CONFLICT
                )
            return self._frame.go(progress.path)
        # 2. read it into memory, within bounds
        try:
            form = await self._receiver.form(request, person.subject_id)
        except (UploadError, MediaError) as exc:
            problems, status = [_problem("", exc)], STATUS[type(exc)]
        else:
            # 3. seal each file at once
            problems = await run_in_threadpool(self._take, person, page, form.files)
            status = HTTPStatus.UNPROCESSABLE_ENTITY if problems else HTTPStatus.OK
        # 4. say what became of them
        return await run_in_threadpool(self._answer, person, page, problems, status, json=json)

    def _who(self, request: Request) -> tuple[Person, Progress]:
        person = self._frame.changing(request)
        return person, self._frame.progress(person)

    def _take(self, person: Person, page: Page, files: tuple[File, ...]) -> list[Problem]:
        problems = []
        if not files:
            sentence, hint = "No file was chosen.", "Choose one or more files first, then press the button."
            problems.append(Problem("", "nothing_chosen", sentence, hint))
        for file in files:
            try:
                given.give(self._givers, person.subject_id, page.modality, file.data, self._frame.now())
            except (SampleError, MediaError) as exc:
                problems.append(_problem(file.name, exc))
        return problems

    def _answer(
        self, person: Person, page: Page, problems: list[Problem], status: HTTPStatus, *, json: bool
    ) -> Response:
        if json:
            samples = [_plain(one) for one in self._given(person)]
            answer: Response = JSONResponse(
                {"samples": samples, "problems": [asdict(one) for one in problems]}, status
            )
        elif problems:
            answer = self._page(person, self._frame.progress(person), page, problems, status)
        else:
            answer = self._frame.go(f"/enrol/{page.step}#given")
        if status >= HTTPStatus.BAD_REQUEST and status != HTTPStatus.UNPROCESSABLE_ENTITY:
            answer.headers["Connection"] = "close"  # the rest of the body is not read
        return answer

    def _page(
        self,
        person: Person,
        progress: Progress,
        page: Page,
        problems: list[Problem] | None = None,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        samples = [one for one in self._given(person) if one.modality is page.modality]
        good = sum(one.state in GOOD for one in samples)
        with reading(self._frame.engine) as session:
            account = session.get(Account, person.subject_id)
        return self._frame.page(
            f"{page.step}.html",
            status=status,
            progress=progress,
            step=page.step,
            here=f"/enrol/{page.step}",
            onward=f"/enrol/{page.following}",
            accept=page.accept,
            samples=samples,
            good=good,
            waiting=any(one.state in UNJUDGED for one in samples),
            more=max(0, RECOMMENDED[page.modality] - good),
            problems=problems or [],
            max_bytes=self._frame.settings.sample_max_bytes,
            sentences=SENTENCES,
            side=SIDE,
            passages=passages(account.language if account is not None else "en"),
        )

    def _given(self, person: Person) -> list[GivenView]:
        with reading(self._frame.engine) as session:
            return given.listing(session, self._frame.keks, person.subject_id)


def _may(progress: Progress, page: Page) -> bool:
    """Say whether this person gives samples now: not before they agreed, and not after the last button."""
    return progress.standing is Standing.NEW and progress.may(page.step)


def _problem(name: str, error: LikenessError) -> Problem:
    said = f"{error.message[:1].upper()}{error.message[1:]}."
    return Problem(name, error.code, said, error.hint)


def _plain(one: GivenView) -> dict[str, Any]:
    said = asdict(one.said)
    return {
        "id": one.sample_id,
        "kind": one.modality,
        "number": one.number,
        "state": one.state,
        "code": one.code,
        **said,
    }
