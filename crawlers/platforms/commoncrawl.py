"""Common Crawl: media of hosts that the operator names, out of its archive.

Written from index.commoncrawl.org and the CDX server API of pywb (github.com/webrecorder/pywb/wiki/
CDX-Server-API): one JSON object a line, `filename`, `offset` and `length` of a record each; collinfo.json
lists the crawls, the newest first. Read by crawlers/spiders/commoncrawl.py.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from crawlers.platforms.fields import address, at, check_options, root_of, text, whole
from crawlers.platforms.interfaces import Basis
from monitor.errors import ConfigError, FetchWrongType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

INDEX: Final = "https://index.commoncrawl.org"
DATA: Final = "https://data.commoncrawl.org"

CRAWL: Final = re.compile(r"CC-MAIN-\d{4}-\d{2}")
HOST: Final = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
FILENAME: Final = re.compile(r"crawl-data/[A-Za-z0-9._/-]{1,400}\.warc\.gz")

MOST_HOSTS: Final = 20

LARGEST_RECORD: Final = 64 * 2**20
"""Bytes. Common Crawl cuts off what it keeps at a few megabytes; a longer record is none of its."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one record lies."""

    url: str
    filename: str
    offset: int
    length: int


class CommonCrawl:
    """Some hosts in one crawl, the newest unless one is named."""

    kind = "commoncrawl"
    basis = Basis.PUBLIC_API
    sees = "Pictures, films and sounds of the named sites, as Common Crawl kept them some weeks ago."
    blind_to = (
        "Most media: Common Crawl keeps pages and few of their files, cuts long ones off, and takes weeks. "
        "All sites that were not named."
    )

    def check(self, url: str, options: Mapping[str, str]) -> None:
        """Raise ConfigError without hosts, or for one that is none."""
        del url
        check_options(options, frozenset({"hosts", "crawl"}))
        hosts = hosts_of(options)
        if not hosts or len(hosts) > MOST_HOSTS or not all(map(HOST.fullmatch, hosts)):
            msg = f"hosts are 1 to {MOST_HOSTS} names of sites, with commas"
            raise ConfigError(msg, hint="For instance --option hosts=example.org,example.net")
        if "crawl" in options and not CRAWL.fullmatch(options["crawl"]):
            msg = "crawl is the name of one, as CC-MAIN-2026-40"
            raise ConfigError(msg, hint="index.commoncrawl.org lists them; without, the newest is read.")


def hosts_of(options: Mapping[str, str]) -> list[str]:
    """Give the hosts that are named."""
    return [one.strip().lower() for one in options.get("hosts", "").split(",") if one.strip()]


def data_of(url: str) -> str:
    """Give where the records lie: Common Crawl's own place, or beside an index that is a mirror."""
    root = root_of(url)
    return DATA if root == INDEX else root


def newest(body: bytes) -> str:
    """Give the newest crawl of collinfo.json. Raises FetchWrongType."""
    try:
        name = text(json.loads(body), 0, "id")
    except (ValueError, RecursionError):
        name = ""
    if not CRAWL.fullmatch(name):
        msg = "the list of crawls is not the JSON that was asked for"
        raise FetchWrongType(msg)
    return name


def pages_of(body: bytes) -> int:
    """Give the number of pages that the index says it has. Raises FetchWrongType."""
    try:
        count = whole(json.loads(body), "pages")
    except (ValueError, RecursionError):
        count = None
    if count is None:
        msg = "the index does not say how many pages it has"
        raise FetchWrongType(msg)
    return count


def query(url: str, crawl: str, host: str, page: int | None) -> str:
    """Give the address of a page of the index; of the number of pages for None."""
    asked: dict[str, str | int] = {"url": f"{host}/*", "output": "json", "pageSize": 1}
    asked |= {"showNumPages": "true"} if page is None else {"page": page}
    base = address(f"{root_of(url)}/{crawl}-index", asked)
    if page is None:
        return base
    return base + "&filter=~mime:(image|video|audio)/.*&filter==status:200".replace("|", "%7C")


def places(body: bytes) -> Iterator[Place | None]:
    """Give where the records of a page lie, one for each line; None for a line that is none."""
    for line in body.splitlines():
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            yield None
            continue
        filename, offset, length = text(found, "filename"), whole(found, "offset"), whole(found, "length")
        fits = FILENAME.fullmatch(filename) and ".." not in filename and at(found, "url")
        if not fits or offset is None or length is None or not 0 < length <= LARGEST_RECORD:
            yield None
        else:
            yield Place(text(found, "url"), filename, offset, length)
