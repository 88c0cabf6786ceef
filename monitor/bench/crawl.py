"""How fast a site is crawled with every guard on, beside Scrapy's own benchmark, and what memory that takes.

Both read a whole site (crawl_pages.py), in turns, so that a busy machine disturbs both. Every page links
to twenty others by chance, so each address is met twenty times and asked for once:

* ours is `python -m crawlers`: robots.txt, the guard at every request, the pinned resolver, all caps, the
  book of what was seen, the record in the database. The site is one of this machine's own, added with
  `--allow-private`, and its delay is 0, as it is for such sites unless the operator says otherwise; no other
  pace is switched off;
* the other is the spider of `scrapy bench`, which obeys nothing and keeps nothing.

Then ours alone reads GROWTH_TO pages, and its memory is taken after GROWTH_FROM of them and at the end.
"""

from __future__ import annotations

import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
from pydantic import SecretStr
from sqlmodel import select

from crawlers import sources
from crawlers.sources import NewSource
from crawlers.tables import CrawlRun
from monitor import subject_keys
from monitor.bench.frame import Figure, Result
from monitor.crypto import KeyEncryptionKeys, new_key_line
from monitor.db import reading
from monitor.errors import ConfigError
from monitor.ledger import open_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Engine

    from monitor.bench.frame import Request

ROUNDS: Final = 5
"""Times that each is measured. A figure is the median; low and high are the extremes."""

PAGES: Final = 4000
"""Pages of one round: some seconds."""

GROWTH_FROM: Final = 10_000
GROWTH_TO: Final = 50_000
"""Pages between which memory may not grow."""

LINKS: Final = 20
"""Links of a page, as in `scrapy bench`, each to any page of the site."""

LOOK_S: Final = 0.5
CRAWL_S: Final = 3600.0
"""Seconds between two looks at the memory, and longest crawl."""

MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Crawled:
    """One crawl: pages that the site served, seconds between the first and the last, CPU seconds in all.

    `memory` is (pages recorded so far, resident bytes) every LOOK_S.
    """

    pages: int
    seconds: float
    cpu_s: float
    memory: tuple[tuple[int, int], ...] = ()

    @property
    def pages_per_s(self) -> float:
        """Give the rate."""
        return self.pages / max(self.seconds, 1e-9)

    def cpu_ms(self, start_s: float) -> float:
        """Give CPU milliseconds a page, without those that it takes to start."""
        return 1000 * max(0.0, self.cpu_s - start_s) / max(self.pages, 1)


def run(request: Request) -> Result:
    """Measure. `request.limit` is how many pages are read for the memory; 0: GROWTH_TO."""
    most = request.limit or GROWTH_TO
    pages, rounds = min(PAGES, most), ROUNDS if most >= GROWTH_TO else 2
    with tempfile.TemporaryDirectory() as folder, serving(request.seed) as site:
        eyes = Eyes(request, Path(folder), site)
        starts = eyes.crawl(1).cpu_s, scrapy(site, 1).cpu_s
        ours, theirs = [], []
        for number in range(rounds):
            request.progress("rounds", number, rounds)
            ours.append(eyes.crawl(pages))
            theirs.append(scrapy(site, pages))
        request.progress("rounds", rounds, rounds)
        figures = _rates(ours, theirs, starts)
        figures |= _growth(eyes.crawl(most, lambda done: request.progress("memory", done, most)))
    return Result.today("crawl", figures, request, "cpu", ())


def _rates(
    ours: Sequence[Crawled], theirs: Sequence[Crawled], starts: tuple[float, float]
) -> dict[str, Figure]:
    ratios = [one.pages_per_s / other.pages_per_s for one, other in zip(ours, theirs, strict=True)]
    return {
        "crawl.pages_per_s": _spread([one.pages_per_s for one in ours], "pages/s"),
        "crawl.scrapy_pages_per_s": _spread([one.pages_per_s for one in theirs], "pages/s"),
        "crawl.ratio_to_scrapy_bench": _spread(ratios, "ratio"),
        "crawl.cpu_ms_per_page": _spread([one.cpu_ms(starts[0]) for one in ours], "ms"),
        "crawl.scrapy_cpu_ms_per_page": _spread([one.cpu_ms(starts[1]) for one in theirs], "ms"),
    }


def _growth(crawled: Crawled) -> dict[str, Figure]:
    """Compare the memory at the end with that after a fifth of the pages: medians of the last tenth."""
    begin = crawled.pages * GROWTH_FROM // GROWTH_TO
    early, late = _around(crawled, begin), _around(crawled, crawled.pages)
    return {
        "crawl.rss_growth": Figure.exact(late / early - 1, "ratio", crawled.pages),
        "crawl.rss_mb": Figure.exact(late / MIB, "MiB", crawled.pages),
        "crawl.pages_for_memory": Figure.exact(crawled.pages, "pages"),
    }


def _around(crawled: Crawled, pages: int) -> float:
    """Give the resident bytes when so many pages were recorded, and a little before."""
    near = [size for done, size in crawled.memory if 0.9 * pages <= done <= pages]
    return statistics.median(near or [min(crawled.memory, key=lambda one: abs(one[0] - pages))[1]])


def _spread(values: Sequence[float], unit: str) -> Figure:
    return Figure(statistics.median(values), min(values), max(values), len(values), unit)


@contextmanager
def serving(seed: int) -> Iterator[str]:
    """Run the site in a process of its own. Gives its address."""
    command = [sys.executable, "-m", "monitor.bench.crawl_pages", str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = server.stdout.readline().strip() if server.stdout is not None else ""
            yield f"http://127.0.0.1:{int(port)}"
        finally:
            server.kill()


def counted(site: str) -> dict[str, Any]:
    """Give what the site counted since it was last asked."""
    said: dict[str, Any] = httpx.get(f"{site}/_count").json()
    return said


def scrapy(site: str, pages: int) -> Crawled:
    """Let Scrapy's own spider read a site of so many pages."""
    command = [sys.executable, "-m", "monitor.bench.crawl_scrapy", _front(site, pages)]
    return _measured(site, command, dict(os.environ), None)


def _front(site: str, pages: int) -> str:
    """Give the address where a site of so many pages begins."""
    return f"{site}/?total={pages}&show={LINKS}"


def _measured(site: str, command: list[str], env: dict[str, str], look: Callable[[], int] | None) -> Crawled:
    """Run a crawl to its end. `look` gives how many pages it has recorded. Raises ConfigError."""
    counted(site)
    memory: list[tuple[int, int]] = []
    deadline = time.monotonic() + CRAWL_S
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, env=env, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
        while not (ended := os.wait4(child.pid, os.WNOHANG))[0]:
            if look is not None and (resident := _resident(child.pid)):
                memory.append((look(), resident))
            if time.monotonic() > deadline:
                child.kill()
            time.sleep(LOOK_S if look is not None else LOOK_S / 10)
        child.returncode = os.waitstatus_to_exitcode(ended[1])
        found, used = counted(site), ended[2]
        if child.returncode != 0 or not found["pages"]:
            said.seek(0)
            msg = "a crawl of the bench failed"
            raise ConfigError(msg, hint=said.read()[-500:].decode(errors="replace") or "It said nothing.")
    return Crawled(found["pages"], found["seconds"], used.ru_utime + used.ru_stime, tuple(memory))


def _resident(pid: int) -> int:
    """Give the resident bytes of a process, 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


class Eyes:
    """A watch of its own with nobody in it, that crawls the site of the bench."""

    def __init__(self, request: Request, home: Path, site: str) -> None:
        """Make a home, a database and the keys of the service."""
        self._home, self._site, self._base, self._runs = home, site, request.settings, 0

    def crawl(self, pages: int, progress: Callable[[int], None] = lambda _: None) -> Crawled:
        """Crawl as the scheduler does, into a database in which nothing was seen so far."""
        self._runs += 1
        home, key = self._home / str(self._runs), new_key_line("bench")
        own = {"home": home, "database_url": "", "blob_dir": None, "kek_file": None, "kek": SecretStr(key)}
        settings = self._base.model_copy(update=own)
        engine = open_ledger(settings)
        subject_keys.ensure_service_keys(engine, KeyEncryptionKeys.from_settings(settings))
        new = NewSource(
            "bench",
            _front(self._site, pages),
            max_pages=2 * pages,
            depth=pages,
            delay_s=0.0,
            allow_http=True,
            allow_private=True,
        )
        sources.add(engine, new, "bench")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIKENESS_")}
        given = {
            "LIKENESS_HOME": str(home),
            "LIKENESS_DATABASE_URL": "",
            "LIKENESS_CRAWL_CONTACT": f"bench-{secrets.token_hex(4)}@example.org",
        }

        def look() -> int:
            done = _recorded(engine)
            progress(done)
            return done

        command = [sys.executable, "-m", "crawlers", "bench"]
        try:
            return _measured(self._site, command, inherited | given, look)
        finally:
            engine.dispose()


def _recorded(engine: Engine) -> int:
    with reading(engine) as session:
        return session.exec(select(CrawlRun.pages)).first() or 0
