"""A site, a source that names it, and a way to crawl it in a process of its own."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import col, select

from crawlers import sources
from crawlers.sources import NewSource
from crawlers.tables import SeenUrl
from monitor.db import reading
from monitor.subject_keys import ensure_service_keys
from monitor.tables import MediaItem, MediaOrigin
from tests.crawlers.web import Site, site
from tests.crawlers.zygote import Crawl, Zygote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from crawlers.tables import Source
    from monitor.crypto import KeyEncryptionKeys


@pytest.fixture
def web() -> Iterator[Site]:
    with site() as running:
        running.page("/robots.txt", "User-agent: *\nAllow: /\n", "text/plain")
        yield running


@dataclass
class Crawls:
    """Crawls the source `local` as the scheduler does: a process of its own, without any key that opens."""

    engine: Engine
    home: Path
    web: Site
    zygote: Zygote

    def environment(self, **more: str) -> dict[str, str]:
        """Give what the scheduler gives its children: no key that opens anything."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LIKENESS_")}
        return kept | {
            "LIKENESS_HOME": str(self.home),
            "LIKENESS_DATABASE_URL": self.engine.url.render_as_string(hide_password=False),
            "LIKENESS_CRAWL_CONTACT": "tests@example.org",
            "LIKENESS_FETCH_SECONDS": "3",
            "LIKENESS_FETCH_MAX_BYTES": "1000000",
            "PYTHONWARNINGS": "error",
            **more,
        }

    def add(self, path: str = "/", **options: Any) -> Source:
        """Add the source, knowingly on this machine."""
        url = options.pop("url", self.web.url + path)
        new = NewSource("local", url, allow_http=True, allow_private=True, **options)
        return sources.add(self.engine, new, "test")

    def start(self, *arguments: str, stdin: str = "", **environment: str) -> Crawl:
        """Start a crawl."""
        return self.zygote.start(["local", *arguments], self.environment(**environment), self.home, stdin)

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> dict[str, Any]:
        """Crawl and give the report, with what stood on standard error."""
        child = self.start(*arguments, stdin=stdin, **environment)
        out, err = child.communicate(timeout=60)
        assert out, err
        report: dict[str, Any] = json.loads(out)
        report["stderr"] = err
        return report

    def seen(self) -> dict[str, SeenUrl]:
        """Give what is remembered, by path."""
        with reading(self.engine) as session:
            return {row.url.removeprefix(self.web.url): row for row in session.exec(select(SeenUrl))}

    def items(self) -> list[MediaItem]:
        """Give the media items in order of arrival."""
        with reading(self.engine) as session:
            return list(session.exec(select(MediaItem).order_by(col(MediaItem.received_at))))

    def origins(self) -> list[MediaOrigin]:
        """Give the places where items were seen."""
        with reading(self.engine) as session:
            return list(session.exec(select(MediaOrigin).order_by(col(MediaOrigin.url))))


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    started = Zygote()
    yield started
    started.close()


@pytest.fixture
def crawls(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, tmp_path: Path, web: Site, zygote: Zygote
) -> Crawls:
    ensure_service_keys(sqlite_engine, keys)
    return Crawls(sqlite_engine, tmp_path, web, zygote)
