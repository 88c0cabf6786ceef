"""The client in one file and the curl examples, against a running server and the description of the API."""

from __future__ import annotations

import base64
import importlib.util
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from monitor.db import reading
from monitor.partners import feeds
from monitor.partners.feeds import KeyWish
from tests.alerts.mailhost import free_port
from tests.monitor.partners.partner import Partner, png
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

DEPLOY = Path(__file__).parents[3] / "deploy" / "partner"
CLIENT = DEPLOY / "likeness_feed.py"


@pytest.fixture(scope="module")
def client() -> ModuleType:
    """Give the client as a partner has it: a copied file."""
    spec = importlib.util.spec_from_file_location("likeness_feed", CLIENT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Partner]:
    port = free_port()
    home = tmp_path_factory.mktemp("client")
    with (
        Partner.at(home, watch={"public_url": f"http://127.0.0.1:{port}"}) as partner,
        serving(partner.app, port),
    ):
        yield partner


class Described:
    """Sends requests on, and holds each request and answer against the OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.paths = document["paths"]
        self.seen: set[tuple[str, str]] = set()

    def check(self, request: httpx.Request, answer: httpx.Response) -> None:
        """Assert that the document knows all of this."""
        parts = request.url.path.split("/")
        after = [*parts[4:5], "{upload}"] if parts[4:5] == ["uploads"] and parts[5:] else parts[4:]
        path = "/".join(["", "v1", "feeds", "{feed}", *after])
        operation = self.paths[path][request.method.lower()]
        kind = request.headers.get("content-type", "").partition(";")[0]
        if kind:
            assert kind in operation["requestBody"]["content"]
        described = operation["responses"][str(answer.status_code)]
        if request.method != "HEAD":
            assert answer.headers.get("content-type", "none") in described.get("content", {"none": {}})
        self.seen.add((path, kind))


_opened: list[httpx.Client] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Close every connection that a test opened."""
    yield
    while _opened:
        _opened.pop().close()


def _feed(client: ModuleType, partner: Partner, described: Described, *signers: Any) -> Any:
    def check(answer: httpx.Response) -> None:
        described.check(answer.request, answer)

    session = httpx.Client(event_hooks={"response": [check]})
    _opened.append(session)
    mine = signers or (client.Hmac(_secret(partner)),)
    return client.Feed(partner.settings.public_url, partner.name, *mine, client=session)


def _secret(partner: Partner) -> str:
    return "whsec_" + base64.b64encode(partner.secret).decode()


@pytest.fixture
def described(process: Partner) -> Described:
    return Described(httpx.get(f"{process.settings.public_url}/v1/openapi.json").json())


def test_everything_that_the_client_can_do(
    client: ModuleType, partner: Partner, described: Described, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = _feed(client, partner, described)
    assert feed.push("small", png(1))["status"] == "accepted"
    monkeypatch.setattr(client, "LARGEST_JSON", 10)
    assert feed.push("form", png(2), page_url="https://example.org/2", title="Two")["status"] == "accepted"
    monkeypatch.setattr(client, "LARGEST_JSON", 10**6)
    monkeypatch.setattr(client, "MOST_LINES", 2)
    ends = list(
        feed.push_all(
            [
                {"key": "a", "content": png(3)},
                {"key": "b", "url": "https://img.example.org/b"},
                {"key": "c", "content": b"no media"},
                {"key": "form", "content": png(2), "page_url": "https://example.org/2", "title": "Two"},
            ]
        )
    )
    assert [(end["key"], end["status"]) for end in ends] == [
        ("a", "accepted"), ("b", "accepted"), ("c", "refused"), ("form", "duplicate"),
    ]  # fmt: skip
    assert feed.report_takedown("a", "removed", "Gone.") == {"key": "a", "status": "removed"}
    assert feed.status()["days"][0]["accepted"] == 4
    assert described.seen == {
        ("/v1/feeds/{feed}/items", "application/json"),
        ("/v1/feeds/{feed}/items", "multipart/form-data"),
        ("/v1/feeds/{feed}/items", "application/x-ndjson"),
        ("/v1/feeds/{feed}/takedowns", "application/json"),
        ("/v1/feeds/{feed}", ""),
    }
    with pytest.raises(client.Refused, match="item_key_taken"):
        feed.push("a", png(9))


def test_a_large_file_goes_on_where_a_cut_line_left_it(
    client: ModuleType,
    partner: Partner,
    described: Described,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(client.time, "sleep", lambda _: None)
    monkeypatch.setattr(client, "PIECE_BYTES", 1000)
    feed = _feed(client, partner, described)
    file = tmp_path / "film"
    file.write_bytes(png(50) + bytes(3500))
    cutting = Cutting(5)
    feed._client = httpx.Client(transport=cutting)
    _opened.append(feed._client)
    location = feed.upload_large("film", file, title="A film")
    feed = _feed(client, partner, described)
    assert feed.upload_large("film", file, location=location) == location
    (path,) = {path for path, kind in described.seen}
    assert path == "/v1/feeds/{feed}/uploads/{upload}"
    assert feed.status()["days"][0]["accepted"] == 1
    with pytest.raises(client.Refused, match="item_key_taken"):
        feed.upload_large("film", tmp_path / "film", title="Another film")
    with pytest.raises(client.Refused, match="404") as refused:
        feed.upload_large("film", file, location=location[:-4] + "0000")
    assert refused.value.location.endswith("0000")


def test_it_signs_with_a_key_of_its_own_and_with_two(
    client: ModuleType, partner: Partner, described: Described
) -> None:
    private = client.Ed25519.new()
    mine = client.Ed25519(private)
    partner.add(f"{partner.name}-own")
    partner.new_key(KeyWish(mine.public))
    assert _feed(client, partner, described, mine).push("a", png(1))["status"] == "accepted"
    other = client.Hmac("whsec_" + "A" * 44)
    assert _feed(client, partner, described, other, mine).push("b", png(2))["status"] == "accepted"
    with pytest.raises(client.Refused, match="signature_wrong"):
        _feed(client, partner, described, other).push("c", png(3))


class Cutting(httpx.BaseTransport):
    """A line that is cut after the request, before the answer, as often as told."""

    def close(self) -> None:
        """Close what is under it."""
        self._inner.close()

    def __init__(self, cuts: int) -> None:
        self._inner, self.cuts, self.ids = httpx.HTTPTransport(), cuts, []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on; lose its answer."""
        self.ids.append(request.headers["webhook-id"])
        answer = self._inner.handle_request(request)
        if len(self.ids) <= self.cuts:
            answer.read()
            msg = "cut"
            raise httpx.ReadError(msg)
        return answer


def test_what_is_cut_off_is_asked_for_again_and_counts_once(
    client: ModuleType, partner: Partner, described: Described, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.time, "sleep", lambda _: None)
    feed = _feed(client, partner, described)
    cutting = Cutting(2)
    feed._client = httpx.Client(transport=cutting)
    _opened.append(feed._client)
    said = list(feed.push_all([{"key": "a", "content": png(5)}, {"key": "b", "content": png(6)}]))
    assert [line["status"] for line in said] == ["duplicate", "duplicate"], "it came through the first time"
    assert cutting.ids[0] == cutting.ids[1] == cutting.ids[2] != cutting.ids[3]
    with reading(partner.engine) as session:
        feed_id = feeds.find(session, partner.name).id
    assert len([row for row in partner.rows() if row.feed_id == feed_id]) == 2


def test_it_waits_as_long_as_it_is_told(
    client: ModuleType, partner: Partner, described: Described, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(client.time, "sleep", waited.append)
    monkeypatch.setattr(client, "ATTEMPTS", 2)
    partner.add(f"{partner.name}-slow", per_second=0.01, burst=1)
    feed = _feed(client, partner, described)
    feed.push("a", png(1))
    with pytest.raises(client.Refused, match="too_fast"):
        feed.push("b", png(2))
    assert 90 <= waited[0] <= 101


def test_the_file_is_a_command_too(partner: Partner, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(_secret(partner))
    (tmp_path / "a.png").write_bytes(png(7))
    done = subprocess.run(
        [sys.executable, CLIENT, partner.settings.public_url, partner.name, "secret", "a.png"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "a.png accepted \n"


@contextmanager
def _shell(partner: Partner, folder: Path) -> Iterator[dict[str, str]]:
    (folder / "picture.jpg").write_bytes(png(8))
    yield {
        "PATH": os.environ["PATH"],
        "WATCH": partner.settings.public_url,
        "FEED": partner.name,
        "SECRET": _secret(partner),
    }


def test_every_curl_example_of_the_readme_runs(partner: Partner, tmp_path: Path) -> None:
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    with _shell(partner, tmp_path) as env:
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", "\n".join(examples)],
            cwd=tmp_path, env=env, check=False, capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answers = done.stdout.strip().splitlines()
    assert [answer.count('"accepted"') for answer in answers] == [1, 1, 1, 4, 0, 0, 0, 7]
    assert answers[4:6] == ["201", "204"]
    assert '"status":"removed"' in answers[6]
    assert f'"feed":"{partner.name}"' in answers[7]


def test_the_readme_names_every_code(client: ModuleType) -> None:
    from monitor.partners.openapi import CODES  # noqa: PLC0415

    assert client.__doc__
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    assert [code for code in CODES if f"`{code}`" not in text] == []


def test_many_partners_at_once_lose_and_double_nothing(
    client: ModuleType, partner: Partner, described: Described
) -> None:
    """Eight senders push the same forty items at the same time, one by one and in batches."""
    items = [{"key": str(n), "content": png(100 + n)} for n in range(40)]

    def send(number: int) -> None:
        feed = _feed(client, partner, described)
        if number % 2:
            list(feed.push_all(items))
        else:
            for one in items[number * 5 : number * 5 + 10]:
                feed.push(**one)

    senders = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for one in senders:
        one.start()
    for one in senders:
        one.join()
    with reading(partner.engine) as session:
        feed_id = feeds.find(session, partner.name).id
    rows = [row for row in partner.rows() if row.feed_id == feed_id]
    assert sorted(row.item_key for row in rows) == sorted(str(n) for n in range(40))
    assert partner.status()["days"][0]["accepted"] == 40
