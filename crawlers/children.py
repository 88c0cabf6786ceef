"""The processes in which the scheduler's crawls run: started, listened to, ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Final

from monitor import log
from monitor.errors import LikenessError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawlers import retro
    from crawlers.interfaces import TermBook
    from monitor.partners.pull_times import Places
    from monitor.settings import Settings
    from monitor.values import SourceId

GRACE_S: Final = 30.0
"""Seconds that crawls get to write down what they did when the scheduler is told to end."""

FEEDS: Final = "feeds:addresses"
"""Name of the child that fetches what partners pushed by address (feeds.py)."""

PULL: Final = "pull:"
"""Begins the name of a child that fetches from a partner's bucket or folder (pulls.py)."""

HANDED_DOWN: Final = (
    "crawl_contact",
    "fetch_max_bytes",
    "fetch_seconds",
    "max_bytes",
    "log_json",
    "chromium",
)
"""Settings that a crawl needs beside database and folders. No key and no password is among them."""


class Crawls:
    """The crawl processes that are running."""

    def __init__(
        self, settings: Settings, book: TermBook | None = None, places: Places | None = None
    ) -> None:
        """Keep what a crawl process is told. Without `places` no feed is fetched."""
        self._environment, self._book, self._places = child_environment(settings), book, places
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._lock, self._closed = threading.Lock(), False

    def crawl(self, source_id: SourceId, name: str) -> bool:
        """Crawl one source in a process of its own and wait for it. False when it gave no report."""
        said = self._said(source_id)
        asked = ["--scheduled"] if said is None else ["--scheduled", "--terms-on-stdin"]
        return self._run(name, ["crawlers", name, *asked], said)

    def again(self, found: retro.Slice) -> bool:
        """Do one slice of a second look in a process of its own. False when it gave no report."""
        if found.is_place:
            place = None if self._places is None else self._places.handed_down(found.name)
            asked = ["crawlers.pulls", found.name, "--again", found.scan_id]
            return place is not None and self._run(PULL + found.name, asked, place)
        return self._run(found.name, ["crawlers.again", found.scan_id, found.key], None)

    def fetch(self) -> bool:
        """Fetch a slice of what partners pushed by address. False when it gave no report."""
        return self._run(FEEDS, ["crawlers", "--feeds"], None)

    @property
    def can_pull(self) -> bool:
        """Say whether the places of feeds can be opened here."""
        return self._places is not None

    def pull(self, name: str) -> bool:
        """Fetch what is new of one feed from its place. False when it gave no report, nor wrote one down."""
        place = None if self._places is None else self._places.handed_down(name)
        return place is None or self._run(PULL + name, ["crawlers.pulls", name], place)

    def _run(self, name: str, module: Sequence[str], said: str | None) -> bool:
        with self._lock:
            if self._closed:
                return True
            child = subprocess.Popen(
                [sys.executable, "-m", *module],
                env=self._environment,
                stdin=subprocess.DEVNULL if said is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._running[name] = child
        report, _ = child.communicate(said)
        with self._lock:
            self._running.pop(name, None)
        log.get(__name__).info("crawled", source=name, status=child.returncode, report=report.strip()[:2000])
        return bool(report.strip())

    def _said(self, source_id: SourceId) -> str | None:
        """Give what a crawl is told on its standard input: what people asked us to look for, or nothing."""
        if self._book is None:
            return None
        try:
            terms = self._book.terms(source_id)
        except LikenessError as exc:  # the rest of the source is looked at all the same
            log.get(__name__).warning("search terms could not be read", error=exc.code)
            return None
        return None if terms is None else terms.to_json()

    def end(self, name: str) -> None:
        """Tell the crawl of one source to end, if it runs."""
        with self._lock:
            child = self._running.get(name)
        if child is not None:
            child.terminate()

    def close(self) -> None:
        """Tell all crawls to end, and end those that do not."""
        with self._lock:
            self._closed = True
            running = list(self._running.values())
        for child in running:
            child.terminate()
        for child in running:
            try:
                child.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                child.kill()


def child_environment(settings: Settings) -> dict[str, str]:
    """Give a crawl the settings that it needs and none of our secrets: it opens nothing and tells nobody."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("LIKENESS_")}
    told = {name: str(getattr(settings, name)) for name in HANDED_DOWN}
    told |= {"home": str(settings.home), "database_url": settings.database, "blob_dir": str(settings.blobs)}
    return kept | {f"LIKENESS_{name.upper()}": value for name, value in told.items()}
