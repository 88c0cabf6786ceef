"""A partner pushes: what is written down, what is answered, and what is refused with which code."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from monitor import subject_keys
from monitor.blobs import BlobStore
from monitor.db import reading, utc_now, writing
from monitor.intake import opened
from monitor.partners import entering, feeds, takedowns
from monitor.partners.tables import Feed, FeedCount, FeedItem, FeedMessage, Takedown
from monitor.tables import MediaItem, MediaOrigin
from monitor.values import BlobId
from tests.monitor.partners.partner import ACTOR, TAKEDOWNS, is_problem, item, png

if TYPE_CHECKING:
    from typing import Any

    from tests.monitor.partners.partner import Partner


def _row(partner: Partner, key: str) -> FeedItem:
    with reading(partner.engine) as session:
        feed = feeds.find(session, partner.name)
        return session.exec(
            select(FeedItem).where(FeedItem.feed_id == feed.id, FeedItem.item_key == key)
        ).one()


def _feed_id(partner: Partner) -> str:
    with reading(partner.engine) as session:
        return feeds.find(session, partner.name).id


def test_a_picture_is_sealed_and_written_down_with_its_place(partner: Partner) -> None:
    content, url = png(1), "https://img.example.org/1.png"
    answer = partner.push("one", content, url=url, page_url="https://example.org/1", title="A post")

    row = _row(partner, "one")
    assert (answer.status_code, answer.json()) == (202, {"key": "one", "id": row.id, "status": "accepted"})
    with reading(partner.engine) as session:
        media = session.get_one(MediaItem, row.media_id)
        origin = session.exec(select(MediaOrigin).where(MediaOrigin.media_id == media.id)).one()
    assert (media.state, media.kind, media.size_bytes, row.state) == (
        "received",
        "image",
        len(content),
        "taken",
    )
    assert (origin.kind, origin.url, origin.page_url, origin.title) == (
        "push", url, "https://example.org/1", "A post",
    )  # fmt: skip
    blobs, opener = (
        BlobStore(partner.settings.blobs),
        subject_keys.intake_opener(partner.engine, partner.keks),
    )
    assert content not in (partner.settings.blobs / str(media.blob_id)[:2] / str(media.blob_id)).read_bytes()
    assert b"".join(opened(BlobId(str(media.blob_id)), media.sha256, blobs, opener)) == content


def test_the_same_key_with_the_same_item_gets_the_same_answer(partner: Partner) -> None:
    first, again = partner.push("one", png(2)), partner.push("one", png(2))
    assert first.content == again.content
    assert partner.status()["days"][0]["accepted"] == 1
    assert partner.status()["days"][0]["duplicate"] == 1


@pytest.mark.parametrize(
    "change", [{"content": png(4)}, {"title": "Another"}, {"url": "https://a.example.org/"}]
)
def test_the_same_key_with_another_item_is_refused(partner: Partner, change: dict[str, Any]) -> None:
    partner.push("one", png(3))
    before = _row(partner, "one")
    is_problem(partner.push("one", **{"content": png(3), **change}), 409, "item_key_taken")
    assert _row(partner, "one") == before


def test_keys_of_two_feeds_do_not_meet(partner: Partner) -> None:
    partner.push("one", png(5))
    other = partner.add(f"{partner.name}-b")
    assert other.push("one", png(6)).status_code == 202


def test_a_form_carries_the_file_as_it_is(partner: Partner) -> None:
    body = _form(json.dumps({"key": "form"}).encode(), png(7))
    answer = partner.send(body, "multipart/form-data; boundary=x")
    assert answer.status_code == 202
    assert partner.push("form", png(7)).json() == answer.json(), "the same item, whichever way it came"


def _form(told: bytes, content: bytes) -> bytes:
    parts = (b'name="item"', told), (b'name="content"; filename="a"', content)
    head = b"--x\r\nContent-Disposition: form-data; "
    return b"".join(head + name + b"\r\n\r\n" + part + b"\r\n" for name, part in parts) + b"--x--\r\n"


def test_an_address_is_due_for_the_eyes_and_nothing_is_fetched_here(partner: Partner) -> None:
    answer = partner.send(json.dumps(item("far", url="https://img.example.org/a.jpg")).encode())
    row = _row(partner, "far")
    assert answer.status_code == 202
    assert (row.state, row.url, row.media_id) == ("fetch_due", "https://img.example.org/a.jpg", None)
    assert row.next_try_at is not None


def test_a_batch_says_the_end_of_each_line(partner: Partner) -> None:
    partner.push("known", png(8))
    partner.push("taken", png(9))
    answer = partner.batch(
        item("new", png(10)),
        item("known", png(8)),
        item("taken", png(11)),
        b"{broken",
        item("text", b"only text, long enough to be looked at"),
        item("far", url="https://elsewhere.example/a.jpg"),
        b"",
        item("new", png(10)),
        {"key": "empty", "content": ""},
    )
    said = answer.json()
    assert answer.status_code == 202
    assert {name: said[name] for name in ("accepted", "duplicates", "refused")} == {
        "accepted": 1, "duplicates": 2, "refused": 5,
    }  # fmt: skip
    assert [(line["line"], line["key"], line["status"], line.get("code")) for line in said["items"]] == [
        (1, "new", "accepted", None),
        (2, "known", "duplicate", None),
        (3, "taken", "refused", "item_key_taken"),
        (4, None, "refused", "body_broken"),
        (5, "text", "refused", "not_media"),
        (6, "far", "refused", "address_refused"),
        (8, "new", "duplicate", None),
        (9, "empty", "refused", "empty"),
    ]
    assert said["items"][0]["id"] == said["items"][6]["id"] == _row(partner, "new").id


def test_a_batch_of_hundreds_of_lines_is_written_down_whole(partner: Partner) -> None:
    lines = [item(f"{n}", url=f"https://img.example.org/{n}") for n in range(200)]
    said = partner.batch(*lines).json()
    assert (said["accepted"], [line["key"] for line in said["items"]]) == (200, [str(n) for n in range(200)])


def test_the_same_picture_under_two_keys_is_one_media_item_with_two_places(partner: Partner) -> None:
    same = png(12)
    partner.batch(
        item("a", same, url="https://img.example.org/a"), item("b", same, url="https://img.example.org/b")
    )
    one, two = _row(partner, "a"), _row(partner, "b")
    assert one.media_id == two.media_id
    with reading(partner.engine) as session:
        places = session.exec(select(MediaOrigin.url).where(MediaOrigin.media_id == one.media_id)).all()
    assert sorted(filter(None, places)) == ["https://img.example.org/a", "https://img.example.org/b"]
    kept = set(BlobStore(partner.settings.blobs).ids())
    assert {media.blob_id for media in partner.media()} == kept, "bytes that came twice are deleted"


BROKEN = {
    "no key": {"content": "aaaa"},
    "an empty key": {"key": "", "content": "aaaa"},
    "a key with a blank": {"key": "a b", "content": "aaaa"},
    "a long key": {"key": "k" * 201, "content": "aaaa"},
    "a key that is a number": {"key": 7, "content": "aaaa"},
    "nothing to look at": {"key": "a"},
    "what is not asked for": {"key": "a", "content": "aaaa", "match": True},
    "no base64": {"key": "a", "content": "a*b"},
    "base64 in lines": {"key": "a", "content": "aaaa\naaaa"},
    "content that is a list": {"key": "a", "content": ["aaaa"]},
    "a title with a control letter": {"key": "a", "content": "aaaa", "title": "a\x00b"},
    "a title with half a letter": {"key": "a", "content": "aaaa", "title": "\ud800"},
    "a long title": {"key": "a", "content": "aaaa", "title": "t" * 501},
}


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN)
def test_an_item_that_is_not_as_described_is_refused(partner: Partner, said: dict[str, Any]) -> None:
    is_problem(partner.send(json.dumps(said).encode()), 422, "item_broken")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"a"',
        b"{",
        b"\xff\xfe",
        b'{"key":"a","key":"b"}',
        b'{"key":NaN}',
        b"[" * 100_000,
    ],
)
def test_garbage_is_refused(partner: Partner, body: bytes) -> None:
    is_problem(partner.send(body), 400, "body_broken")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"no form", "multipart/form-data; boundary=x"),
        (_form(b'{"key":"a"}', png())[:-6], "multipart/form-data; boundary=x"),
        (_form(b'{"key":"a"}', png()).replace(b'"content"', b'"item"'), "multipart/form-data; boundary=x"),
        (_form(b'{"key":"a"}', png()).replace(b'"content"', b'"other"'), "multipart/form-data; boundary=x"),
    ],
)
def test_a_form_that_is_none_is_refused(partner: Partner, body: bytes, kind: str) -> None:
    is_problem(partner.send(body, kind), 400, "body_broken")


@pytest.mark.parametrize("kind", ["text/plain", "", "application/xml", "image/png"])
def test_a_body_of_another_kind_is_refused(partner: Partner, kind: str) -> None:
    is_problem(partner.send(b"{}", kind), 415, "body_type_unknown")


def test_a_compressed_body_is_never_blown_up(partner: Partner) -> None:
    answer = partner.send(b"\x1f\x8b", headers={"content-encoding": "gzip"})
    is_problem(answer, 415, "body_type_unknown")


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "empty"),
        (b"<html><script>alert(1)</script></html>", 415, "not_media"),
        (b"PK\x03\x04 an archive of something", 415, "not_media"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "not_media"),
    ],
)
def test_what_is_no_media_is_refused(partner: Partner, content: bytes, status: int, code: str) -> None:
    is_problem(partner.push("a", content), status, code)


DISGUISES = [
    "http://img.example.org/a",
    "https://img.example.org:8443/a",
    "https://user@img.example.org/a",
    "https://img.example.org@127.0.0.1/a",
    "https://img.example.org%00.evil.example/a",
    "https://img.example.org\\@evil.example/a",
    "https://127.0.0.1/a",
    "https://[::1]/a",
    "https://[::ffff:127.0.0.1]/a",
    "https://2130706433/a",
    "https://0x7f.1/a",
    "https://localhost/a",
    "https://169.254.169.254/latest/meta-data",
    "https://evil.example/img.example.org",
    "https://img.example.org.evil.example/a",
    "https://notimg.example.org/a",
    "https://img.example.org./a",
    "https://\u24d8mg.example.org/a",
    "https://img.example.org /a",
    "file:///etc/passwd",
    "gopher://img.example.org/",
    "//img.example.org/a",
    "https://",
    "https://[",
    "https://img.example.org:99999/a",
    "https://img.example.org/" + "a" * 2083,
]


@pytest.mark.parametrize("url", DISGUISES)
def test_no_address_in_disguise_is_written_down(partner: Partner, url: str) -> None:
    answer = partner.send(json.dumps({"key": "a", "url": url}).encode())
    assert answer.json()["code"] in {"address_refused", "item_broken"}
    assert answer.status_code == 422


def test_a_host_may_be_named_with_all_below_it(partner: Partner) -> None:
    wide = partner.add(f"{partner.name}-wide", hosts=("*.example.net",))
    for url, status in (("https://a.b.example.net/", 202), ("https://example.net/", 422)):
        assert wide.send(json.dumps({"key": url[:20], "url": url}).encode()).status_code == status


@pytest.mark.parametrize(
    ("scopes", "said", "path"),
    [
        (("urls",), item("a", png()), "/items"),
        (("items",), item("a", url="https://img.example.org/a"), "/items"),
        (("items",), {"key": "a", "status": "removed"}, "/takedowns"),
    ],
)
def test_a_feed_does_only_what_it_may(
    partner: Partner, scopes: tuple[str, ...], said: dict[str, Any], path: str
) -> None:
    narrow = partner.add(f"{partner.name}-n", scopes=scopes)
    is_problem(narrow.send(json.dumps(said).encode(), path=path), 403, "scope_missing")


def test_faster_than_agreed_is_told_how_long_to_wait(partner: Partner) -> None:
    slow = partner.add(f"{partner.name}-slow", per_second=0.01, burst=2)
    assert [slow.push(str(n), png(n)).status_code for n in range(2)] == [202, 202]
    answer = slow.push("3", png(3))
    is_problem(answer, 429, "too_fast")
    assert 90 <= int(answer.headers["retry-after"]) <= 100


def test_more_than_a_days_number_waits_until_tomorrow(partner: Partner) -> None:
    few = partner.add(f"{partner.name}-few", per_day=2)
    said = few.batch(*(item(str(n), png(20 + n)) for n in range(4))).json()["items"]
    assert [line.get("code") for line in said] == [None, None, "quota_spent", "quota_spent"]
    answer = few.push("5", png(25))
    is_problem(answer, 429, "quota_spent")
    midnight = (utc_now() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert abs(int(answer.headers["retry-after"]) - (midnight - utc_now()).total_seconds()) < 5
    assert few.push("0", png(20)).status_code == 202, "what is written down already is no new item"
    assert few.status()["limits"]["left_today"] == 0


def test_a_batch_too_long_is_refused_whole(partner: Partner) -> None:
    is_problem(partner.send(b"{}\n" * 1001, "application/x-ndjson"), 413, "too_large")


def test_a_body_too_large_is_refused_before_it_is_read(partner: Partner) -> None:
    answer = partner.send(b"x", headers={"content-length": str(2**34)})
    is_problem(answer, 413, "too_large")


def test_a_paused_feed_says_so(partner: Partner) -> None:
    feeds.set_enabled(partner.engine, partner.name, ACTOR, enabled=False)
    time.sleep(1.05)
    is_problem(partner.push(), 403, "feed_paused")
    feeds.set_enabled(partner.engine, partner.name, ACTOR, enabled=True)


def test_a_sandbox_checks_all_and_keeps_nothing(partner: Partner) -> None:
    before = (len(partner.rows()), len(partner.media()), set(BlobStore(partner.settings.blobs).ids()))
    trial = partner.add(f"{partner.name}-trial", sandbox=True)
    first, again = trial.push("one", png(30), message_id="x"), trial.push("one", png(30))

    assert first.status_code == 202
    assert first.content == again.content
    is_problem(trial.push("one", png(31)), 409, "item_key_taken")
    is_problem(trial.push("two", b"text that is no media"), 415, "not_media")
    assert trial.batch(item("one", png(30)), item("three", png(32))).json()["accepted"] == 1
    body = json.dumps({"key": "one", "status": "removed"}).encode()
    assert trial.send(body, path=TAKEDOWNS).status_code == 202
    is_problem(trial.send(body.replace(b"one", b"none"), path=TAKEDOWNS), 404, "item_unknown")
    after = (len(partner.rows()), len(partner.media()), set(BlobStore(partner.settings.blobs).ids()))
    assert after == before
    with reading(partner.engine) as session:
        feed = feeds.find(session, trial.name)
        assert session.exec(select(FeedMessage).where(FeedMessage.feed_id == feed.id)).all() == []


def test_a_takedown_is_written_beside_its_item(partner: Partner) -> None:
    partner.push("one", png(40))
    said = {"key": "one", "status": "removed", "note": "After your notice."}
    answer = partner.send(json.dumps(said).encode(), path=TAKEDOWNS)
    assert (answer.status_code, answer.json()) == (202, {"key": "one", "status": "removed"})
    with reading(partner.engine) as session:
        found = takedowns.of_media(session, str(_row(partner, "one").media_id))
    assert [(one.partner, one.status, one.note) for one in found] == [
        ("An Agency", "removed", "After your notice.")
    ]
    is_problem(partner.send(b'{"key":"two","status":"removed"}', path=TAKEDOWNS), 404, "item_unknown")
    is_problem(partner.send(b'{"key":"one","status":"gone"}', path=TAKEDOWNS), 422, "item_broken")
    is_problem(partner.send(b'{"key":"one","status":"removed","who":1}', path=TAKEDOWNS), 422, "item_broken")


def test_what_is_removed_is_not_fetched_any_more(partner: Partner) -> None:
    partner.send(json.dumps(item("far", url="https://img.example.org/f")).encode())
    partner.send(b'{"key":"far","status":"removed"}', path=TAKEDOWNS)
    assert _row(partner, "far").state == "withdrawn"


def test_refusals_are_counted_by_their_codes(partner: Partner) -> None:
    partner.push("a", b"no media at all")
    partner.send(b"{", secret=b"x" * 32)
    partner.send(b"{")
    deadline = time.monotonic() + 10
    while sum(partner.status()["days"][0]["refused"].values()) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert partner.status()["days"][0]["refused"] == {"not_media": 1, "signature_wrong": 1, "body_broken": 1}


def test_the_ids_of_old_messages_are_forgotten(partner: Partner) -> None:
    partner.push("a", png(50), message_id="old")
    feed_id = _feed_id(partner)
    with writing(partner.engine) as session:
        entering.prune(session, utc_now() + entering.REMEMBERED - timedelta(seconds=5))
    with reading(partner.engine) as session:
        assert session.get(FeedMessage, (feed_id, "old")) is not None
    with writing(partner.engine) as session:
        entering.prune(session, utc_now() + entering.REMEMBERED + timedelta(seconds=5))
    with reading(partner.engine) as session:
        assert session.get(FeedMessage, (feed_id, "old")) is None


def test_a_feed_that_is_removed_leaves_nothing_of_itself(partner: Partner) -> None:
    partner.push("a", png(60))
    partner.send(b'{"key":"a","status":"removed"}', path=TAKEDOWNS)
    feed_id, media_id = _feed_id(partner), _row(partner, "a").media_id
    feeds.remove(partner.engine, partner.name, ACTOR)
    with reading(partner.engine) as session:
        for table in (Feed, FeedItem, FeedMessage, FeedCount, Takedown):
            column = table.id if table is Feed else table.feed_id
            assert session.exec(select(table).where(column == feed_id)).all() == []
        assert session.get(MediaItem, media_id) is not None, "what was taken is looked at"
