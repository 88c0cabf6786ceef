"""Somebody steals the database, the logs or a list of processes to learn whom we look for.

A real scheduler with its key, a real crawl of a platform that is searched, real rows. The name reaches the
platform, for it is searched there; it stands nowhere else.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

from sqlmodel import select

from crawlers.tables import CrawlRun
from enrollment import search_terms
from enrollment.lookups import Lookups
from enrollment.search_terms import TermKind
from enrollment.tables import SearchTerm, Subject
from monitor import subject_keys
from monitor.crypto import KeyEncryptionKeys, new_key_line
from monitor.db import reading, utc_now, writing
from monitor.settings import Settings
from monitor.values import SubjectId
from tests.crawlers.test_schedule import wait_for
from tests.crawlers.web import send, site

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from sqlalchemy import Engine

    from tests.crawlers.web import Site

NAME, HANDLE = "Zoë Quilliam-Fox", "zqf_99"
SUBJECT = SubjectId("5" * 32)
SPELLINGS = [
    spelled.encode()
    for plain in (NAME, HANDLE, "Quilliam")
    for spelled in (
        plain,
        quote(plain),
        quote(plain, safe="").lower(),
        json.dumps(plain)[1:-1],
        plain.upper(),
    )
] + [
    base64.b64encode(NAME.encode()).rstrip(b"=")[:-1],
    NAME.encode("utf-16-le"),
    NAME.encode().hex().encode(),
]

WATCH = (
    "import signal, threading; from monitor.watching import run_watch; from monitor import log; "
    "from monitor.settings import load_settings; stop = threading.Event(); "
    "signal.signal(signal.SIGTERM, lambda *_: stop.set()); s = load_settings(); "
    "log.configure(json=s.log_json); run_watch(s, stop)"
)


def blog(web: Site, searched: list[str], during: threading.Event) -> None:
    """Answer every search of a WordPress with nothing, once somebody has looked at the processes."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        searched.extend(parse_qs(urlsplit(handler.path).query).get("search", []))
        during.wait(20)
        send(handler, b"[]", "application/json", {})

    web.pages = _Always(web.pages, answer)  # type: ignore[assignment]  # the site asks it as a dict


class _Always:
    def __init__(self, pages: dict[str, object], otherwise: object) -> None:
        self._pages, self._otherwise = pages, otherwise

    def get(self, path: str) -> object:
        """Give the page, or the answer to everything else."""
        return self._pages.get(path, self._otherwise)


def of_processes(pid: int) -> bytes:
    """Give command lines and environments of a process and all that it started."""
    found, waiting = b"", [pid]
    while waiting:
        one = waiting.pop()
        for name in ("cmdline", "environ"):
            found += Path(f"/proc/{one}/{name}").read_bytes()
        for task in Path(f"/proc/{one}/task").iterdir():
            waiting += map(int, (task / "children").read_text().split())
    return found


def person(who: SubjectId) -> Subject:
    """Make the row of somebody who is watched for."""
    return Subject(id=who, sealed_profile=b"p", reference_public=b"r", sealed_reference_private=b"s")


def enrolled(engine: Engine, keys: KeyEncryptionKeys) -> None:
    """Have somebody who is watched for and asks for a name and a handle."""
    subject_keys.ensure_service_keys(engine, keys)
    lookups = Lookups(engine, keys)
    lookups.digest("search", "")
    with writing(engine) as session:
        subject_keys.create(session, keys, SUBJECT)
        session.add(person(SUBJECT))
        session.flush()
        for kind, text in ((TermKind.NAME, NAME), (TermKind.HANDLE, HANDLE)):
            search_terms.add(session, keys, lookups, SUBJECT, (kind, text), "subject", utc_now())


def test_what_is_looked_for_stands_in_no_row_file_log_argument_or_environment(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    from crawlers import sources  # noqa: PLC0415 - beside its use
    from crawlers.sources import NewSource  # noqa: PLC0415 - as above

    key_line = new_key_line("k1")
    enrolled(sqlite_engine, KeyEncryptionKeys.from_settings(Settings(kek=key_line)))
    searched: list[str] = []
    looked = threading.Event()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIKENESS_")} | {
        "LIKENESS_HOME": str(tmp_path),
        "LIKENESS_DATABASE_URL": sqlite_engine.url.render_as_string(hide_password=False),
        "LIKENESS_CRAWL_CONTACT": "tests@example.org",
        "LIKENESS_KEK": key_line,
    }
    log = tmp_path / "scheduler.log"
    with site() as web:
        web.page("/robots.txt", "User-agent: *\nAllow: /\n", "text/plain")
        blog(web, searched, looked)
        new = NewSource(
            "blog",
            web.url,
            kind="wordpress",
            options={"look": "terms"},
            allow_http=True,
            allow_private=True,
        )
        sources.add(sqlite_engine, new, "test")
        with log.open("wb") as out:
            scheduler = subprocess.Popen(
                [sys.executable, "-c", WATCH], env=environment, stdout=out, stderr=out
            )
        try:
            wait_for(lambda: bool(searched), 90)
            running = of_processes(scheduler.pid)
            looked.set()
            wait_for(lambda: _ended(sqlite_engine), 60)
        finally:
            looked.set()
            scheduler.terminate()
            assert scheduler.wait(60) == 0
    assert set(searched) == {NAME, HANDLE}  # it was searched for: the rest of this test means something
    assert b"--terms-on-stdin" in running
    everything = running + b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"crawled" in log.read_bytes()
    for spelled in SPELLINGS:
        assert spelled not in everything, spelled


def _ended(engine: Engine) -> bool:
    with reading(engine) as session:
        return any(run.finished_at is not None for run in session.exec(select(CrawlRun)))


def test_a_term_that_is_moved_to_another_person_does_not_open(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    enrolled(sqlite_engine, keys)
    other = SubjectId("6" * 32)
    with writing(sqlite_engine) as session:
        subject_keys.create(session, keys, other)
        session.add(person(other))
        session.flush()
        for row in session.exec(select(SearchTerm)):
            row.subject_id = other
    book = search_terms.EnrolledTerms(sqlite_engine, keys, Lookups(sqlite_engine, keys), dict)
    assert book.terms("s") is None


def test_an_erasure_takes_every_term_with_it(sqlite_engine: Engine, keys: KeyEncryptionKeys) -> None:
    from monitor.tables import SubjectKey  # noqa: PLC0415 - beside its use

    enrolled(sqlite_engine, keys)
    with writing(sqlite_engine) as session:
        session.delete(session.get_one(SubjectKey, SUBJECT))
    with reading(sqlite_engine) as session:
        assert session.exec(select(SearchTerm)).all() == []
