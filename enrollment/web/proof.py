"""The page on which people show that it is them: directions and digits, one recording, one answer.

    GET  /enrol/proof               what happens, and the way to begin
    POST /enrol/proof               draws a challenge; an older open one is over
    POST /enrol/proof/clip/ID       takes its recording in (multipart), sealed before the answer
    GET  /enrol/proof/state.json    what became of the newest one, for the page's own script

The same under /account/proof, for the proof that is given again each year. Whoever asks by `Accept:
application/json` gets JSON. The answers never say which check was passed or failed; see verdict.py.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from enrollment.identity import challenges
from enrollment.identity.challenges import ProofView, Takers
from enrollment.identity.digits import LANGUAGES
from enrollment.identity.draw import FRESH_FOR
from enrollment.identity.turns import Turn
from enrollment.identity.verdict import GOES_ON, State, Words, words_of
from enrollment.proofs import needs_proof
from enrollment.standing import Standing
from enrollment.steps import Step
from enrollment.tables import Account
from enrollment.web.receiving import STATUS, UNBOUNDED, Limits, Receiver
from monitor.db import reading
from monitor.errors import ChallengeError, LikenessError, MediaError, TooOften, UploadError

if TYPE_CHECKING:
    from enrollment.sessions import Person
    from enrollment.steps import Progress
    from enrollment.web.frame import Frame

CLIP_BYTES: Final = 48 * 2**20
"""Twenty seconds of a phone's own recorder at full HD have 40 MB; the page's own recorder makes 4."""

UPLOADS_IN_MEMORY: Final = 4
UPLOAD_S: Final = 90.0
"""Seconds in which a recording must be here. Who answers a challenge with a machine must not get a quarter of
an hour for it by sending slowly; 4 MB come in this time by 0.4 Mbit/s."""

ENROL, ACCOUNT = "/enrol/proof", "/account/proof"

ARROWS: Final = {Turn.LEFT: "←", Turn.RIGHT: "→", Turn.UP: "↑", Turn.DOWN: "↓"}
DIRECTIONS: Final = {
    Turn.LEFT: "Turn your head to your left",
    Turn.RIGHT: "Turn your head to your right",
    Turn.UP: "Lift your chin and look up",
    Turn.DOWN: "Lower your chin and look down",
}

OVER: Final = Words("The time was over", "Begin once more. You get new directions and other digits.")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the page shows of the newest challenge. `state` is none, open, looking, done or again."""

    state: str
    heading: str = ""
    text: str = ""


class ProofPages:
    """The routes, in one frame, with one receiver for all recordings."""

    def __init__(self, frame: Frame, receiver: Receiver | None = None) -> None:
        most = min(CLIP_BYTES, frame.settings.sample_max_bytes)
        limits = Limits(most, UPLOADS_IN_MEMORY * most, total_s=UPLOAD_S)
        self._frame = frame
        self._receiver = receiver or Receiver(limits)
        self._takers = Takers(frame.engine, frame.blobs, frame.lookups)

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        for base in (ENROL, ACCOUNT):
            router.get(base, response_model=None)(self.page)
            router.post(base, response_model=None)(self.begin)
            router.get(f"{base}/state.json", response_model=None)(self.state)
            router.post(f"{base}/clip/{{challenge_id}}", response_model=None, max_body_size=UNBOUNDED)(
                self.clip
            )
        return router

    def page(self, request: Request) -> Response:
        """Show where the person is with it."""
        person = self._frame.signed_in(request)
        progress = self._frame.progress(person)
        if not self._may(request, person, progress):
            return self._frame.go(progress.path)
        return self._page(request, person, progress)

    async def begin(self, request: Request) -> Response:
        """Draw a challenge."""
        person, progress = await run_in_threadpool(self._who, request)
        if not await run_in_threadpool(self._may, request, person, progress):
            return self._frame.go(progress.path)
        form = await request.form()
        wanted = str(form.get("language", ""))
        return await run_in_threadpool(self._begin, request, person, progress, wanted)

    async def clip(self, challenge_id: str, request: Request) -> Response:
        """Take a recording in."""
        began_at = self._frame.now()
        # 1. who is it, and is it in time? nothing is read of anybody else's body
        person, progress = await run_in_threadpool(self._who, request)
        which = (person.subject_id, challenge_id)
        try:
            await run_in_threadpool(challenges.check_fresh, self._takers, *which, began_at)
            # 2. read it into memory, within bounds
            form = await self._receiver.form(request, person.subject_id)
            clip = form.files[0].data if form.files else b""
            # 3. seal it at once
            await run_in_threadpool(challenges.hand_in, self._takers, *which, clip, began_at)
        except (ChallengeError, UploadError, MediaError) as exc:
            return await run_in_threadpool(self._problem, request, person, progress, exc)
        if _wants_json(request):
            return JSONResponse(asdict(await run_in_threadpool(self._outcome, person)))
        return self._frame.go(f"{_base(request)}#outcome")

    def state(self, request: Request) -> Response:
        """Say what became of the newest challenge."""
        return JSONResponse(asdict(self._outcome(self._frame.signed_in(request))))

    def _who(self, request: Request) -> tuple[Person, Progress]:
        person = self._frame.changing(request)
        return person, self._frame.progress(person)

    def _may(self, request: Request, person: Person, progress: Progress) -> bool:
        """Say whether this person shows now that it is them: on the way in, or when it is due again."""
        if _base(request) == ENROL:
            return progress.standing is Standing.NEW and progress.may(Step.PROOF)
        with reading(self._frame.engine) as session:
            account, now = session.get(Account, person.subject_id), self._frame.now()
            known = progress.standing in {Standing.ACTIVE, Standing.LAPSED} and account is not None
            asked = account is not None and account.proved_until is not None
            return known and (asked or needs_proof(session, person.subject_id, now))

    def _begin(self, request: Request, person: Person, progress: Progress, wanted: str) -> Response:
        heard = tuple(LANGUAGES)
        language = wanted if wanted in heard else self._language(person)
        try:
            drawn = challenges.begin(self._takers, person.subject_id, language, heard, self._frame.now())
        except (ChallengeError, TooOften) as exc:
            return self._problem(request, person, progress, exc)
        if _wants_json(request):
            return JSONResponse(_challenge(_base(request), drawn))
        return self._frame.go(f"{_base(request)}#challenge")

    def _language(self, person: Person) -> str:
        with reading(self._frame.engine) as session:
            account = session.get(Account, person.subject_id)
        return account.language if account is not None else ""

    def _problem(
        self, request: Request, person: Person, progress: Progress, error: LikenessError
    ) -> Response:
        said = f"{error.message[:1].upper()}{error.message[1:]}. {error.hint}"
        status = STATUS.get(type(error), HTTPStatus.CONFLICT)
        if isinstance(error, TooOften):
            status = HTTPStatus.TOO_MANY_REQUESTS
        if _wants_json(request):
            answer: Response = JSONResponse({"code": error.code, "problem": said}, status)
        else:
            answer = self._page(request, person, progress, said, status)
        answer.headers["Connection"] = "close"  # the rest of a body may not have been read
        return answer

    def _page(
        self,
        request: Request,
        person: Person,
        progress: Progress,
        problem: str = "",
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        base, view = _base(request), self._newest(person)
        opened = _challenge(base, view) if view is not None and view.state is State.DRAWN else None
        settings = self._frame.settings
        enrolling = base == ENROL
        return self._frame.page(
            "proof.html",
            status=status,
            progress=progress if enrolling else None,
            step=Step.PROOF,
            here=base,
            onward=f"/enrol/{Step.SAFETY}" if enrolling else "/account",
            problem=problem,
            challenge=opened,
            outcome=_outcome(view),
            languages=list(LANGUAGES.values()),
            language=self._language(person),
            seconds=int(FRESH_FOR.total_seconds()),
            contact=settings.mail_from or settings.crawl_contact,
        )

    def _newest(self, person: Person) -> ProofView | None:
        with reading(self._frame.engine) as session:
            row = challenges.newest(session, person.subject_id)
            return challenges.view_of(row, self._frame.now()) if row is not None else None

    def _outcome(self, person: Person) -> Outcome:
        return _outcome(self._newest(person))


def _outcome(view: ProofView | None) -> Outcome:
    """Say what the person may know: never whether a person will look, nor what was in doubt."""
    if view is None:
        return Outcome("none")
    if view.state is State.DRAWN:
        return Outcome("open")
    if view.state in {State.WAITING, State.JUDGING}:
        return Outcome("looking")
    words = OVER if view.state is State.EXPIRED else words_of(view.state)
    return Outcome("done" if view.state in GOES_ON else "again", words.heading, words.text)


def _challenge(base: str, view: ProofView) -> dict[str, Any]:
    """Give what is shown of a challenge."""
    language = LANGUAGES[view.drawn.language]
    return {
        "path": f"{base}/clip/{view.challenge_id}",
        "turns": [{"arrow": ARROWS[turn], "text": DIRECTIONS[turn]} for turn in view.drawn.turns],
        "digits": [{"digit": digit, "word": language.word(digit)} for digit in view.drawn.digits],
        "language": {"code": language.code, "name": language.name},
    }


def _base(request: Request) -> str:
    return ACCOUNT if request.url.path.startswith(ACCOUNT) else ENROL


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")
