"""A page that names addresses inside our own network gets nothing fetched from there."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import httpcore
import pytest

from crawlers.fetch import Fetcher, Limits
from crawlers.fetch_guard import Rules, resolve
from crawlers.resolver import REFUSED_HOSTS, GuardedResolver
from crawlers.tables import Source
from monitor.db import writing
from monitor.errors import FetchFailed, FetchRefused
from tests.crawlers.conftest import Crawls, crawls, web, zygote  # noqa: F401 - fixtures of the crawler's tests
from tests.crawlers.pictures import picture
from tests.crawlers.web import Site, site

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLIC = "93.184.216.34"


@pytest.fixture
def inside() -> Iterator[Site]:
    """Run what must not be reached: another server on this machine."""
    with site() as running:
        for path in ("/secret.png", "/"):
            running.page(path, picture(1), "image/png")
        yield running


def test_links_and_redirects_into_our_network_are_refused(crawls: Crawls, web: Site, inside: Site) -> None:  # noqa: F811
    hosts = [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "127.1",
        "0x7f.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",  # noqa: S104 - nothing is bound to it
    ]
    evil = [f"http://{host}:{inside.port}/secret.png" for host in hosts]
    evil += ["http://169.254.169.254/latest/a.png", "http://10.0.0.1/a.png", "http://[fd00::1]/a.png"]
    evil += ["http://2130706433/a.png", "http://0177.0.0.1/a.png", "http://user@127.0.0.1/a.png"]
    evil += [f"http://localhost:{web.port}/a.png"]  # even our own site, under a name it was not allowed by
    moved = [f"/moved{number}.png" for number in range(3)]
    for path, to in zip(moved, [evil[0], evil[8], "file:///etc/passwd"], strict=True):
        web.redirect(path, to)
    web.redirect("/page", f"http://127.0.0.1:{inside.port}/")
    shown = "".join(f'<img src="{url}">' for url in [*evil, *moved, "file:///etc/passwd"])
    web.page("/", shown + '<a href="/page">page</a>')
    crawls.add()
    report = crawls.run()
    assert report["state"] == "finished"
    assert inside.asked == []
    assert crawls.items() == []
    assert sorted(web.paths()) == ["/", *moved, "/page"]
    looks = crawls.seen()
    assert {row.code for path, row in looks.items() if path != "/"} == {"fetch_refused"}
    assert len(looks) == 1 + len(evil) + len(moved) + 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433"])
def test_a_source_on_this_machine_is_not_read_without_the_knowing_flag(
    crawls: Crawls,  # noqa: F811 - fixtures
    web: Site,  # noqa: F811 - as above
    host: str,
) -> None:
    row = Source(id="1", name="local", url=f"http://{host}:{web.port}/", allow_http=True, allow_private=False)
    with writing(crawls.engine) as session:
        session.add(row)
    report = crawls.run()
    assert report["failed_code"] == "fetch_refused"
    assert "not a public address" in report["failed_reason"]
    assert web.asked == []  # not even for robots.txt


class Names:
    """A name server that gives another answer each time it is asked."""

    def __init__(self, *answers: list[str]) -> None:
        """Keep the answers."""
        self.answers, self.asked = list(answers), 0

    def __call__(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        """Answer like socket.getaddrinfo, which asks nobody about an address."""
        if host.replace(".", "").isdigit():
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
        self.asked += 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in self.answers.pop(0)]


def test_a_name_that_changes_its_mind_is_connected_to_where_it_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = Names([PUBLIC], ["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", names)
    fetcher = Fetcher(Rules(allow_http=True), Limits(1000, 1.0), "test", bytes, b"".join)
    reached: list[str] = []

    def connect(address: str, *_: Any, **__: Any) -> Any:
        reached.append(address)
        raise httpcore.ConnectError

    monkeypatch.setattr(fetcher._backend._inner, "connect_tcp", connect)
    with pytest.raises(FetchFailed):
        fetcher.get("http://rebinding.example/a.png")
    assert reached == [PUBLIC]
    assert names.asked == 1  # one look-up, so there is no second one to lie in
    fetcher.close()


def test_a_name_with_one_private_address_is_not_connected_to_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", Names([PUBLIC, "127.0.0.1"], ["127.0.0.1"]))
    with pytest.raises(FetchRefused):
        resolve("both.example", 443, Rules())
    with pytest.raises(FetchRefused):
        resolve("inside.example", 443, Rules())


class Reactor:
    """As much of a reactor as a resolver needs; its inner resolver answers with fixed addresses."""

    def __init__(self, addresses: list[str]) -> None:
        """Keep the addresses."""
        self.addresses, self.nameResolver = addresses, self

    def resolveHostName(self, receiver: Any, _host: str, port: int, *_: Any) -> None:  # noqa: N802 - Twisted's name
        """Answer at once."""
        from twisted.internet.address import IPv4Address  # noqa: PLC0415 - installs nothing, costs time

        receiver.resolutionBegan(None)
        for one in self.addresses:
            receiver.addressResolved(IPv4Address("TCP", one, port))
        receiver.resolutionComplete()


class Receiver:
    """Collects what Twisted would connect to."""

    def __init__(self) -> None:
        """Begin empty."""
        self.addresses: list[str] = []
        self.done = False

    def resolutionBegan(self, _resolution: object) -> None:  # noqa: N802 - Twisted's name
        """Nothing to do."""

    def addressResolved(self, address: Any) -> None:  # noqa: N802 - Twisted's name
        """Keep it."""
        self.addresses.append(address.host)

    def resolutionComplete(self) -> None:  # noqa: N802 - Twisted's name
        """Note the end."""
        self.done = True


@pytest.mark.parametrize(
    ("addresses", "let_through"),
    [([PUBLIC, "1.1.1.1"], [PUBLIC, "1.1.1.1"]), (["10.0.0.1"], []), ([PUBLIC, "127.0.0.1"], []), ([], [])],
)
def test_pages_go_through_a_resolver_that_gives_all_addresses_or_none(
    addresses: list[str], let_through: list[str]
) -> None:
    receiver = Receiver()
    GuardedResolver(Reactor(addresses), Rules()).resolveHostName(receiver, "A.example", 443)
    assert (receiver.addresses, receiver.done) == (let_through, True)
    assert (("a.example", 443) in REFUSED_HOSTS) == (bool(addresses) and not let_through)
    REFUSED_HOSTS.clear()
