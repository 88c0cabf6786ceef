"""The demo from start to end, with the same commands that an operator types.

    1  the pictures and the speech are there
    2  the site, the mail server and the SMS service run on this machine
    3  two people are enrolled
    4  worker, web pages and scheduler run; the site is a source
    5  wait until everything is looked at and told
    6  what was found is compared with what was planted

Everything that was started has ended when `run_demo` returns or raises.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from monitor.crypto import KeyEncryptionKeys
from monitor.db import open_engine
from monitor.demo import surroundings, watching
from monitor.demo.catchers import Mail, MailCatcher, Text, TextCatcher
from monitor.demo.expectations import Judgement, Observed, judge
from monitor.demo.local_server import Answer, LocalServer
from monitor.demo.pages import add_address
from monitor.demo.processes import Child, Children
from monitor.demo.site import PRESIDENT, READER, Site, build_site
from monitor.demo.sources import Sources, read_lock
from monitor.demo.visiting import fault_of_link, link_in
from monitor.errors import DemoFailed
from monitor.memory import peak_memory_mb
from monitor.ml.weights import Pull, entries
from monitor.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.demo.expectations import Expected, Person
    from monitor.demo.surroundings import Surroundings
    from monitor.demo.watching import CrawlFigures, Progress, StageTime
    from monitor.ml.archives import Progress as Fetching

SOURCE = "the-commons"
ATTEST = "Demo: public pictures and recordings of named origin; nobody's identity was checked."

LONGEST_S = 300.0
"""When the demo gives up waiting and judges what there is; on two cores it takes a sixth of that."""

POLL_S = 0.3
"""How often the ledger is read."""

CALM_S = 1.5
"""How long nothing may be waiting before it counts as finished: a crawl hands in its last batch late."""

READY_S = 60.0
"""How long the web pages may take to answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asked for. `environ` is the environment that children inherit."""

    home: Path
    sources: Sources
    settings: Settings
    environ: Mapping[str, str]
    given: Path | None = None


@dataclass(frozen=True, slots=True)
class Screen:
    """How the demo says where it is: one call per step, one per look at the ledger, one per download."""

    step: Callable[[str], None]
    progress: Callable[[Progress], None]
    fetching: Fetching


@dataclass(frozen=True, slots=True)
class Result:
    """Everything for the report."""

    expected: Expected
    observed: Observed
    judgement: Judgement
    phases: tuple[tuple[str, float], ...]
    stages: tuple[StageTime, ...]
    crawl: CrawlFigures
    mails: tuple[Mail, ...]
    texts: tuple[Text, ...]
    made: Surroundings
    env_file: Path
    worker_peak_mb: float | None
    model_ids: tuple[str, ...]
    seconds: float


def request_of(
    settings: Settings, home: Path, environ: Mapping[str, str], given: Path | None = None
) -> Request:
    """Say what to run: the demo's files are cached beside the models."""
    cache = settings.models_dir.parent / "demo"
    return Request(home, Sources(read_lock(), cache), settings, environ, given)


class _Clock:
    """Notes how long each phase took and says which one begins."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.began = self._last = time.monotonic()
        self.phases: list[tuple[str, float]] = []

    def begin(self, step: str) -> None:
        self._say(step)

    def end(self, name: str) -> None:
        now = time.monotonic()
        self.phases.append((name, now - self._last))
        self._last = now


@dataclass(frozen=True, slots=True)
class _Stage:
    """What runs on this machine for the time of the demo. `people` fills as they are enrolled: id -> key."""

    made: Surroundings
    env: dict[str, str]
    settings: dict[str, str]
    site: Site
    server: LocalServer
    inside: LocalServer
    mail: MailCatcher
    texts: TextCatcher
    children: Children
    people: dict[str, str]
    ledger: Settings
    engine: Engine


def run_demo(request: Request, screen: Screen) -> Result:
    """Run the whole demo and judge it.

    Raises WeightsMissing and WeightsDiffer for its sources, ConfigError for an unfit home folder and
    DemoFailed when one of the processes ends early.
    """
    clock = _Clock(screen.step)
    with ExitStack() as stack:
        clock.begin("Looking for the models, pictures and recordings")
        _fetch(request, screen)
        clock.end("models, pictures, recordings")
        clock.begin("Building the site and enrolling a person by a photograph")
        stage = _set_up(request, stack)
        clock.end("site, keys, first enrolment")
        clock.begin("Starting worker, web pages and scheduler, and enrolling a person by voice")
        worker = _start(stage, request.sources)
        clock.end("processes, second enrolment")
        clock.begin("Crawling, looking and telling")
        finished = _wait(stage, screen)
        clock.end("crawl, look, tell")
        clock.begin("Comparing what was found with what was planted")
        peak = peak_memory_mb(worker.popen.pid)
        result = _judged(stage, clock, peak, finished=finished)
        clock.begin("Ending the processes")
    return replace(result, seconds=time.monotonic() - clock.began)


def serve_pages(result: Result, environ: Mapping[str, str]) -> None:
    """Serve the web pages of an ended demo until Ctrl-C. Raises DemoFailed when they end by themselves."""
    env = surroundings.environment(environ, surroundings.read_env_file(result.env_file))
    with Children(result.made.logs) as children, suppress(KeyboardInterrupt):
        children.start("serve", ["serve", "--port", str(result.made.port)], env)
        while True:
            children.check()
            time.sleep(POLL_S)


def _fetch(request: Request, screen: Screen) -> None:
    request.sources.fill(screen.fetching, request.given)
    wanted = entries(request.settings.pack)
    if not any(entry.must_acknowledge for entry in wanted):
        Pull(request.settings.models_dir, None, screen.fetching).run(wanted)


def _set_up(request: Request, stack: ExitStack) -> _Stage:
    made = surroundings.fresh_home(request.home)
    mail = stack.enter_context(MailCatcher(made.home / "mail").running())
    catcher = TextCatcher(made.home / "sms", surroundings.ACCOUNT, made.twilio_token)
    texts = stack.enter_context(catcher.running())
    inside = stack.enter_context(LocalServer({"/admin.jpg": Answer(b"secret", "image/jpeg")}).running())
    settings = surroundings.settings_of(made, mail.port, texts.url)
    env = surroundings.environment(request.environ, settings)
    children = stack.enter_context(Children(made.logs))
    children.run("keys", ["keys", "new", str(made.key_file)], env)
    enrolling = _enrolling(PRESIDENT, request.sources, children, env)
    site = build_site(request.sources, inside.url)  # here, while another core enrols
    people = {_subject_id(children.finish(enrolling)): PRESIDENT.key}
    server = LocalServer(site.answers)
    server.answers = add_address(site.answers, server.url)
    stack.enter_context(server.running())
    ledger = Settings(home=made.home, kek_file=made.key_file, kek=None, database_url="")
    engine = open_engine(ledger.database)
    stack.callback(engine.dispose)
    return _Stage(made, env, settings, site, server, inside, mail, texts, children, people, ledger, engine)


def _enrolling(person: Person, sources: Sources, children: Children, env: Mapping[str, str]) -> Child:
    samples = [("--face", name) for name in person.faces] + [("--voice", name) for name in person.voices]
    files = [part for option, name in samples for part in (option, str(sources.path(name)))]
    contact = ["--email", person.email, "--phone", person.phone]
    add = ["subject", "add", person.name, *files, *contact, "--attest", ATTEST, "--age-confirmed", "--json"]
    return children.start(f"enrol-{person.key}", add, env)


def _subject_id(said: str) -> str:
    answer = next(line for line in reversed(said.splitlines()) if line.startswith("{"))
    return str(json.loads(answer)["subject_id"])


def _start(stage: _Stage, sources: Sources) -> Child:
    children, env = stage.children, stage.env
    worker = children.start("worker", ["worker"], env)
    children.start("serve", ["serve", "--port", str(stage.made.port)], env)
    enrolling = _enrolling(READER, sources, children, env)
    # The crawler gets no key and no secret: it can put in and open nothing.
    bare = surroundings.without_keys(env)
    add = ["source", "add", SOURCE, stage.server.url + "/", "--allow-http", "--allow-private"]
    children.run("source", add, bare)
    stage.people[_subject_id(children.finish(enrolling))] = READER.key
    children.start("scheduler", ["scheduler"], bare)
    _until_ready(stage)
    return worker


def _until_ready(stage: _Stage) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        stage.children.check()
        try:
            if httpx.get(f"{stage.made.public_url}/health").status_code == HTTPStatus.OK:
                return
        except httpx.TransportError:
            time.sleep(POLL_S)
    msg = f"the web pages did not answer within {READY_S:.0f} s"
    raise DemoFailed(msg, hint=f"See {stage.made.logs / 'serve.log'}.")


def _wait(stage: _Stage, screen: Screen) -> bool:
    """Wait until nothing is left to do; False when the time is up before."""
    deadline, calm_since = time.monotonic() + LONGEST_S, None
    while time.monotonic() < deadline:
        stage.children.check()
        now = watching.progress(stage.engine)
        screen.progress(now)
        if not now.finished:
            calm_since = None
        elif calm_since is None:
            calm_since = time.monotonic()
        elif time.monotonic() - calm_since >= CALM_S:
            return True
        time.sleep(POLL_S)
    return False


def _judged(stage: _Stage, clock: _Clock, peak: float | None, *, finished: bool) -> Result:
    observed = _observed(stage)
    judgement = judge(stage.site.expected, observed)
    more = [] if finished else [f"Not everything was looked at within {LONGEST_S:.0f} s."]
    more.append(fault_of_link(link_in(_a_text_to(PRESIDENT, stage), stage.made.public_url)))
    judgement = replace(judgement, faults=(*judgement.faults, *filter(None, more)))
    env_file = surroundings.write_env_file(stage.made, stage.settings)
    return Result(
        expected=stage.site.expected,
        observed=observed,
        judgement=judgement,
        phases=tuple(clock.phases),
        stages=tuple(watching.stage_times(stage.engine)),
        crawl=watching.crawl_figures(stage.engine),
        mails=stage.mail.caught,
        texts=stage.texts.caught,
        made=stage.made,
        env_file=env_file,
        worker_peak_mb=peak,
        model_ids=watching.model_ids(stage.engine),
        seconds=0.0,
    )


def _observed(stage: _Stage) -> Observed:
    keks = KeyEncryptionKeys.from_settings(stage.ledger)
    return Observed(
        sightings=tuple(watching.sightings(stage.engine, keks, stage.people, stage.server.url)),
        outcomes=watching.outcomes(stage.engine, stage.server.url),
        requested=frozenset(stage.server.requested),
        messages=_messages(stage),
        inside_requests=len(stage.inside.requested),
    )


def _a_text_to(person: Person, stage: _Stage) -> str:
    return next((text.body for text in stage.texts.caught if text.to == person.phone), "")


def _messages(stage: _Stage) -> dict[tuple[str, str], int]:
    mails = Counter(mail.to for mail in stage.mail.caught)
    texts = Counter(text.to for text in stage.texts.caught)
    people = stage.site.expected.people
    return {(p.key, "email"): mails[p.email] for p in people} | {
        (p.key, "sms"): texts[p.phone] for p in people
    }
