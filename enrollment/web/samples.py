"""The two pages on which people give their face and their voice: by upload, by camera, by microphone.

    GET  /enrol/face, /enrol/voice     what was given and what became of it, and ways to give more
    POST /enrol/face, /enrol/voice     takes files in (multipart); each is sealed before the answer
    GET  /enrol/samples.json           what became of them, for the page's own script
    POST /enrol/samples/ID/remove      takes one back, bytes and all

The same under /account/face and /account/voice for somebody who is watched for already, behind a second
factor: a mailbox alone adds nothing to anybody. What becomes of those is decided in growing.py.

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
from enrollment.consent_texts import current
from enrollment.given import GOOD, UNJUDGED, GivenView, Givers
from enrollment.guidance import SENTENCES, SIDE
from enrollment.proofs import needs_proof
from enrollment.spoken import passages
from enrollment.standing import Standing, shown_standing
from enrollment.steps import BIOMETRICS, Progress, Step, is_given
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
    path: str
    onward: str
    accept: str
    later: bool = False


PICTURES: Final = "image/jpeg,image/png,image/webp,video/mp4,video/webm"
SOUNDS: Final = "audio/*,video/mp4,video/webm"

FACE = Page(Step.FACE, Modality.FACE, "/enrol/face", "/enrol/voice", PICTURES)
VOICE = Page(Step.VOICE, Modality.VOICE, "/enrol/voice", "/enrol/proof", SOUNDS)
MORE_FACE = Page(Step.FACE, Modality.FACE, "/account/face", "/account", PICTURES, later=True)
MORE_VOICE = Page(Step.VOICE, Modality.VOICE, "/account/voice", "/account", SOUNDS, later=True)

GIVE_LATER: Final = frozenset({Standing.ACTIVE, Standing.LAPSED})
"""Who can give more later. Nobody during the cooling-off: who was let in cannot be told from who was held."""


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
        self._enrols = frame.settings.enrolment == "open"
        most = frame.settings.sample_max_bytes
        self._frame = frame
        self._receiver = receiver or Receiver(Limits(most, UPLOADS_IN_MEMORY * most))
        self._givers = Givers(frame.engine, frame.blobs, frame.lookups, most)

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        shown = [("/account/face", self.more_face), ("/account/voice", self.more_voice)]
        given_to = [("/account/face", self.give_more_face), ("/account/voice", self.give_more_voice)]
        if self._enrols:
            shown += [("/enrol/face", self.face), ("/enrol/voice", self.voice)]
            given_to += [("/enrol/face", self.give_face), ("/enrol/voice", self.give_voice)]
        for path, show in shown:
            router.get(path, response_model=None)(show)
        for path, take in given_to:
            router.post(path, response_model=None, max_body_size=UNBOUNDED)(take)
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

    def more_face(self, request: Request) -> Response:
        """Show the page for more of the face of somebody who is watched for."""
        return self._show(request, MORE_FACE)

    def more_voice(self, request: Request) -> Response:
        """Show the page for more of the voice of somebody who is watched for."""
        return self._show(request, MORE_VOICE)

    async def give_more_face(self, request: Request) -> Response:
        """Take more pictures in."""
        return await self._give(request, MORE_FACE)

    async def give_more_voice(self, request: Request) -> Response:
        """Take more recordings in."""
        return await self._give(request, MORE_VOICE)

    def samples(self, request: Request) -> Response:
        """Say what became of what was given, for the page's own script."""
        return JSONResponse({"samples": [_plain(one) for one in self._given(self._frame.signed_in(request))]})

    def remove(self, sample_id: str, request: Request) -> Response:
        """Take one sample back, and lead to the page it was on."""
        person = self._frame.changing(request)
        later = self._frame.progress(person).standing is not Standing.NEW
        views = {one.sample_id: one for one in self._given(person)}
        there = sample_id in views and not (later and views[sample_id].state in GOOD)
        if not there or not given.remove(self._givers, person.subject_id, sample_id):
            msg = "there is no such sample"
            raise NotFound(msg)
        return self._frame.go(f"/{'account' if later else 'enrol'}/{views[sample_id].modality}#given")

    def _show(self, request: Request, page: Page) -> Response:
        person = self._frame.signed_in(request, second=page.later)
        progress = self._frame.progress(person)
        elsewhere = self._elsewhere(person, progress, page)
        return self._frame.go(elsewhere) if elsewhere else self._page(person, progress, page)

    async def _give(self, request: Request, page: Page) -> Response:
        # 1. who is it, and is it their turn? nothing is read of anybody else's body
        person, elsewhere = await run_in_threadpool(self._who, request, page)
        json = "application/json" in request.headers.get("accept", "")
        if elsewhere:
            if json:
                return JSONResponse({"samples": [], "problems": [], "path": elsewhere}, HTTPStatus.CONFLICT)
            return self._frame.go(elsewhere)
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

    def _who(self, request: Request, page: Page) -> tuple[Person, str]:
        person = self._frame.changing(request, second=page.later)
        return person, self._elsewhere(person, self._frame.progress(person), page)

    def _elsewhere(self, person: Person, progress: Progress, page: Page) -> str:
        """Give the page that comes first; empty where this person gives samples now.

        At the enrolment: not before they agreed, and not after the last button. Later: only who is watched
        for, and agrees to the words in force.
        """
        if not page.later:
            may = progress.standing is Standing.NEW and progress.may(page.step)
            return "" if may else progress.path
        with reading(self._frame.engine) as session:
            account = session.get(Account, person.subject_id)
            standing = shown_standing(progress.standing, account, self._frame.now())
            if standing not in GIVE_LATER:
                return "/account"
            version = current(BIOMETRICS).version
            return "" if is_given(session, person.subject_id, BIOMETRICS, version) else "/account/consents"

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
            answer = self._frame.go(f"{page.path}#given")
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
            prove = page.later and needs_proof(session, person.subject_id, self._frame.now())
        return self._frame.page(
            f"{page.step}.html",
            status=status,
            progress=None if page.later else progress,
            step=page.step,
            here=page.path,
            onward=page.onward,
            later=page.later,
            prove=prove,
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
