"""What holds when things go wrong: slow senders, a failing database, keys wrapped anew; and the pages."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError
from starlette.requests import Request
from typer.testing import CliRunner

from monitor import cli, subject_keys
from monitor.blobs import BlobStore
from monitor.commands.keys import write_new
from monitor.crypto import KeyEncryptionKeys, new_key, new_key_line
from monitor.db import reading, utc_now, writing
from monitor.errors import FeedInvalid, TooLarge, UploadBroken, UploadsBusy, UploadTooSlow
from monitor.partners import entering, feeds
from monitor.partners.admission import OpenFeeds
from monitor.partners.feeds import KeyWish, NewFeed
from monitor.partners.receiving import Limits, Receiver
from monitor.partners.tables import FeedKey, FeedUpload
from tests.monitor.partners.partner import ACTOR, Partner, is_problem, item, png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

TOKEN = "an-operators-token-of-the-tests-0123456789"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Partner]:
    watch = {"operator_token": SecretStr(TOKEN)}
    with Partner.at(tmp_path_factory.mktemp("keeping"), watch=watch) as partner:
        yield partner


def _body(receiver: Receiver, pieces: list[bytes], most: int, pause_s: float = 0.0, **headers: str) -> bytes:
    """Let a body come piece by piece, with a pause before each."""
    coming = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    coming.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause_s)
        return coming.pop(0)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    request = Request({"type": "http", "method": "POST", "headers": raw}, receive)
    return asyncio.run(receiver.body(request, most))


def test_a_body_comes_whole_and_leaves_its_room() -> None:
    receiver = Receiver(Limits(small_room=2**20, large_room=3 * 2**20))
    for _ in range(3):
        assert _body(receiver, [b"ab", b"cd"], 10) == b"abcd"
        assert len(_body(receiver, [b"x" * 2**19] * 4, 2**22)) == 2**21
    assert (receiver._small, receiver._large) == (0, 0)


def test_a_body_that_drips_is_given_up() -> None:
    stalled = Receiver(Limits(stall_s=0.02))
    with pytest.raises(UploadTooSlow):
        _body(stalled, [b"a"], 10, pause_s=0.2)
    dripping = Receiver(Limits(stall_s=1, grace_s=0.1, least_rate=1000))
    with pytest.raises(UploadTooSlow):
        _body(dripping, [b"a"] * 100, 1000, pause_s=0.02)
    assert (dripping._small, dripping._large) == (0, 0)


def test_more_than_there_is_room_for_waits() -> None:
    small = Receiver(Limits(small_room=3))
    with pytest.raises(UploadsBusy):
        _body(small, [b"ab", b"cd"], 10)
    large = Receiver(Limits(large_room=2**20))
    with pytest.raises(UploadsBusy):
        _body(large, [b"x" * 2**20, b"y"], 2**22)
    for receiver in (small, large):
        assert (receiver._small, receiver._large) == (0, 0)


def test_a_body_that_says_nothing_of_its_length_ends_at_the_cap() -> None:
    with pytest.raises(TooLarge):
        _body(Receiver(), [b"x" * 6, b"x" * 6], 10)
    with pytest.raises(UploadBroken):
        _body(Receiver(), [], 10, content_length="many")


def test_a_database_that_fails_answers_503_and_leaves_no_bytes(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = BlobStore(partner.settings.blobs)
    before = set(blobs.ids())

    def failing(*_: object) -> None:
        raise OperationalError("INSERT", {}, RuntimeError("disk"))  # noqa: EM101

    with monkeypatch.context() as patched:
        patched.setattr(entering, "_write", failing)
        answer = partner.push("a", png(1))
    is_problem(answer, 503, "storage")
    assert answer.headers["retry-after"] == "1"
    assert set(blobs.ids()) == before
    assert partner.push("a", png(1)).status_code == 202, "the writer goes on"


def test_a_fault_of_one_message_spoils_no_other(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    original = entering._row

    def spoilt(one: Any, *rest: Any) -> dict[str, object]:
        if one.given.key == "bad":
            raise ZeroDivisionError
        return original(one, *rest)

    monkeypatch.setattr(entering, "_row", spoilt)
    reception = next(
        route.endpoint.__self__.reception
        for route in _routes(partner)
        if getattr(route, "path", "").endswith("/items")
    )
    futures = []
    feed = reception.feeds.get(partner.name)
    for number, key in enumerate(["good", "bad", "fine"]):
        given = entering.Given(key, "0" * 64, None, "https://img.example.org/a")
        futures.append(
            reception.recorder.record(entering.Push(feed.id, partner.key_id, f"m{number}", (given,)))
        )
    assert futures[0].result(10).error is None
    with pytest.raises(Exception, match="did not take"):
        futures[1].result(10)
    assert futures[2].result(10).error is None


def _routes(partner: Partner) -> Iterator[Any]:
    waiting = list(partner.app.routes)
    while waiting:
        route = waiting.pop()
        waiting += getattr(route, "routes", None) or getattr(
            getattr(route, "original_router", None), "routes", []
        )
        yield route


def test_secrets_of_feeds_are_sealed_and_rotated_with_all_other_keys(engine: Engine) -> None:
    old, new = new_key(), new_key()
    before, after = KeyEncryptionKeys({"old": old}), KeyEncryptionKeys({"new": new, "old": old})
    feeds.add(engine, NewFeed("agency", "An Agency", "desk@example.org"), ACTOR)
    made = feeds.add_key(engine, before, "agency", ACTOR)
    feeds.add_key(engine, before, "agency", ACTOR, KeyWish("whpk_" + base64.b64encode(b"p" * 32).decode()))
    secret = base64.b64decode(made.secret.removeprefix("whsec_"))

    assert subject_keys.wrapped_under(engine) == {"old": 1}
    assert list(subject_keys.rotate(engine, after))[-1].done == 1
    assert subject_keys.wrapped_under(engine) == {"new": 1}
    feed = OpenFeeds(engine, KeyEncryptionKeys({"new": new})).get("agency")
    assert feed is not None
    assert {key.verifying.key for key in feed.keys} == {secret, b"p" * 32}
    with reading(engine) as session:
        row = session.get_one(FeedKey, made.id)
    assert secret not in (row.wrapped or b"")


def test_the_operators_page_says_what_came_and_what_was_refused(partner: Partner) -> None:
    partner.batch(item("a", png(70)), item("b", png(71)), item("a", png(72)))
    with writing(partner.engine) as session:
        feed_id, tomorrow = feeds.find(session, partner.name).id, utc_now() + timedelta(days=1)
        of_feed = {"feed_id": feed_id, "item_key": "a", "expires_at": tomorrow, "size_bytes": 9_000_000}
        session.add(FeedUpload(id="half", offset=2_500_000, **of_feed))
        session.add(FeedUpload(id="whole", offset=9_000_000, **of_feed))
    asker = {"authorization": f"Bearer {TOKEN}", "accept": "text/html"}
    page = partner.browser.get(f"/operator/feeds/{partner.name}", headers=asker).text
    assert "<code>item_key_taken</code>" in page
    assert '<rect class="live"' in page
    assert '<rect class="expected"' in page
    assert "33.3%" in page
    assert "1, of which 2.5 MB came" in page
    assert partner.key_id in page
    assert "<script" not in page
    assert (
        f'href="/operator/feeds/{partner.name}"' in partner.browser.get("/operator/feeds", headers=asker).text
    )
    assert partner.browser.get("/operator/feeds/nobody", headers=asker).status_code == 404
    assert partner.browser.get(f"/operator/feeds/{partner.name}").status_code == 401


def _likeness(*arguments: str) -> str:
    done = CliRunner().invoke(cli.app, ["feed", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_feed_from_its_setting_up_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_new(tmp_path / "kek", new_key_line("k1") + "\n")
    monkeypatch.setenv("LIKENESS_KEK_FILE", str(tmp_path / "kek"))
    added = json.loads(
        _likeness("add", "agency", "--partner", "An Agency", "--contact", "a@example.org", "--json")
    )
    assert added["url"].endswith("/v1/feeds/agency/items")
    key = json.loads(_likeness("key", "add", "agency", "--to", str(tmp_path / "secret"), "--json"))
    assert "secret" not in key
    assert (tmp_path / "secret").read_text().startswith("whsec_")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert "whsec_" in _likeness("key", "add", "agency", "--expires", "2040-01-31")
    _likeness("pause", "agency")
    assert json.loads(_likeness("list", "--json"))[0]["enabled"] is False
    _likeness("resume", "agency")
    _likeness("sandbox", "agency")
    assert "sandbox" in _likeness("list")
    _likeness("sandbox", "agency", "--off")
    _likeness("key", "revoke", "agency", key["id"])
    shown = json.loads(_likeness("show", "agency", "--json"))
    assert [one["revoked_at"] is not None for one in shown["keys"]] == [True, False]
    assert "whsec_" not in json.dumps(shown) + _likeness("show", "agency")
    _likeness("remove", "agency", "--yes")
    assert _likeness("list") == "No feeds. `likeness feed add` adds one.\n"


@pytest.mark.parametrize(
    "how",
    [
        {"name": "An Agency"}, {"name": "-a"}, {"contact": " "}, {"scopes": ("all",)}, {"scopes": ()},
        {"hosts": ("127.0.0.1",)}, {"hosts": ("*",)}, {"hosts": ("*.com",)}, {"burst": 0}, {"per_second": 0},
    ],
)  # fmt: skip
def test_a_feed_that_makes_no_sense_is_not_set_up(sqlite_engine: Engine, how: dict[str, Any]) -> None:
    with pytest.raises(FeedInvalid):
        feeds.add(
            sqlite_engine, NewFeed(**{"name": "a", "partner": "A", "contact": "a@b.example", **how}), ACTOR
        )
