"""A stream on this machine in Jetstream's documented shape: cut, killed, garbage, and directed."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select

from crawlers import cadence, coverage
from crawlers.platforms.interfaces import Terms, Watch
from crawlers.platforms.jetstream import Garbage, Jetstream, Reader, subscription
from crawlers.tables import CrawlRun, Source, SourceCursor
from monitor.bench.jetstream_server import Server, blob, cid_of, commit, post, serving
from monitor.db import reading, utc_now, writing
from monitor.errors import ConfigError
from tests.crawlers.pictures import picture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crawlers.conftest import Crawls

ANNA, BERT = "did:plc:annaannaannaannaannaanna", "did:plc:bertbertbertbertbertbert"
NOBODY = Terms()
TERMS = Terms(names=("Ada Byron",), handles=("ada.example",), hashtags=("adabyron",), tag_key=b"k" * 16)


def watch(terms: Terms = NOBODY, **options: str) -> Watch:
    return Watch("https://stream.example/subscribe", options, terms, {}, utc_now())


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as running:
        yield running


def now_us() -> int:
    return time.time_ns() // 1000


def fill(server: Server, count: int, ago_s: float = 60.0, of: str = ANNA) -> list[str]:
    """Put posts with a picture each on the stream, the last one made now. Gives the pictures' paths."""
    end, paths = now_us(), []
    for number in range(count):
        cid = cid_of(number)
        when = end - int(ago_s * 1e6 * (count - 1 - number) / max(1, count - 1))
        path = f"/img/feed_fullsize/plain/{of}/{cid}@jpeg"
        server.media[path] = picture(number)
        server.log.append((when, commit(when, of, f"3k{number}", post(f"post {number}", cid))))
        paths.append(path)
    return paths


def add(crawls: Crawls, server: Server, **options: str) -> Source:
    said = {"stream_s": "0", "cdn": server.host, "blobs": server.host, "wanted_dids": ANNA, **options}
    return crawls.add(url=server.url, kind="jetstream", options={k: v for k, v in said.items() if v})


def cursor(crawls: Crawls) -> int | None:
    with reading(crawls.engine) as session:
        row = session.exec(select(SourceCursor)).first()
        return None if row is None else int(row.value)


def test_posts_of_an_account_are_taken_and_the_next_run_reads_on(crawls: Crawls, server: Server) -> None:
    paths = fill(server, 3)
    source = add(crawls, server)
    assert source.url == f"{server.host}/subscribe"
    said = crawls.run()
    assert (said["state"], said["media_taken"], said["failed_code"]) == ("finished", 3, None)
    assert sorted(server.fetched) == sorted(paths)
    assert {one.page_url for one in crawls.origins()} == {
        f"https://bsky.app/profile/{ANNA}/post/3k{number}" for number in range(3)
    }
    assert 0 <= said["lag_s"] < 60
    assert server.asked[0]["wantedDids"] == [ANNA]
    assert "compress" not in server.asked[0]
    assert "permessage-deflate" not in server.heads[0]
    last = server.log[-1][0]
    assert cursor(crawls) == last
    when = now_us()
    server.log.append((when, commit(when, ANNA, "3k0", None, operation="delete")))
    again = crawls.run()
    assert int(server.asked[1]["cursor"][0]) == last - 5_000_000
    assert (again["media_taken"], again["dropped"]) == (0, {"gone": 1})
    assert sorted(server.fetched) == sorted(paths)
    assert crawls.seen()[f"{server.host}{paths[0]}"].code == "gone"


def test_a_cut_stream_is_read_on_and_nothing_is_missed(crawls: Crawls, server: Server) -> None:
    paths = fill(server, 40, ago_s=600)
    server.cut_after = 10
    add(crawls, server)
    said = crawls.run()
    assert said["media_taken"] == 40
    assert said["dropped"] == {"stream_cut": 1}
    assert sorted(server.fetched) == sorted(paths)
    assert len(server.asked) == 2
    assert server.most_open == 1


def test_a_crawl_that_is_killed_misses_nothing_and_takes_nothing_twice(
    crawls: Crawls, server: Server
) -> None:
    paths = fill(server, 30, ago_s=300)
    add(crawls, server)
    child = crawls.start()
    deadline = time.monotonic() + 60
    while len(crawls.items()) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    server.hold_media.set()
    os.kill(child.pid, signal.SIGKILL)
    child.poll(30)
    server.hold_media.clear()
    said = crawls.run()
    assert said["state"] == "finished"
    assert len(crawls.items()) == 30
    assert {one.removeprefix(server.host) for one in crawls.seen()} == set(paths)
    assert len({one.url for one in crawls.origins()}) == 30


def test_garbage_is_counted_and_ends_nothing(crawls: Crawls, server: Server) -> None:
    first = now_us() - 3_000_000
    for message in (
        "",
        "[]",
        "nonsense",
        '{"did": 7}',
        "{" * 5000,
        '"$link"',
        '{"did":"\\ud800","x":"$link"}',
    ):
        server.log.append((first, message))
    server.log.append((first, commit(first, ANNA, "../..", post("x", cid_of(1)))))
    server.log.append((first, commit(first, "did:evil:x", "3k", post("x", cid_of(1)))))
    fill(server, 2, ago_s=1)
    add(crawls, server, wanted_dids="", everything="yes", everything_because="a test")
    said = crawls.run()
    assert said["media_taken"] == 2
    assert said["dropped"]["stream_garbage"] >= 8
    assert said["state"] == "finished"


def test_a_message_that_is_too_large_is_left_out(crawls: Crawls, server: Server) -> None:
    fill(server, 2, ago_s=30)
    large = server.log[0][0] + 1_000_000
    server.log.insert(1, (large, commit(large, ANNA, "3kl", post("x" * 1_100_000, cid_of(9)))))
    add(crawls, server)
    said = crawls.run()
    assert said["media_taken"] == 2
    assert said["dropped"]["fetch_too_large"] >= 1
    assert server.asked[0]["maxMessageSizeBytes"] == ["65536"]


def test_only_what_people_asked_for_is_taken_and_their_names_are_written_nowhere(
    crawls: Crawls, server: Server
) -> None:
    fill(server, 1, ago_s=20, of=BERT)
    when = now_us() - 1_000_000
    cid = cid_of(77)
    path = f"/img/feed_fullsize/plain/{BERT}/{cid}@jpeg"
    server.media[path] = picture(77)
    server.log.append((when, commit(when, BERT, "3kt", post("hello", cid, alt="with @ADA.example"))))
    add(crawls, server, wanted_dids="", look="terms")
    assert crawls.run()["pages"] == 0  # nobody asked for anything: nobody is connected to
    assert server.asked == []
    said = crawls.run("--terms-on-stdin", stdin=TERMS.to_json())
    assert said["media_taken"] == 1
    assert server.fetched == [path]
    everything = json.dumps(server.asked) + "".join(server.heads) + said["stderr"]
    assert "ada" not in everything.lower()
    with reading(crawls.engine) as session:
        rows = [*session.exec(select(CrawlRun)), *session.exec(select(SourceCursor))]
        assert "ada" not in "".join(str(row.model_dump()) for row in rows).lower()


def test_a_server_that_is_away_is_no_empty_stream(crawls: Crawls, server: Server) -> None:
    fill(server, 1)
    add(crawls, server)
    server.away = True
    child = crawls.start()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with reading(crawls.engine) as session:
            run = session.exec(select(CrawlRun)).first()
            if run is not None and "stream_cut" in run.dropped:
                break
        time.sleep(0.05)
    server.away = False
    out, _ = child.communicate(timeout=60)
    said = json.loads(out)
    assert said["dropped"]["stream_cut"] >= 1
    assert said["media_taken"] == 1


def test_a_cursor_that_is_too_old_is_said(crawls: Crawls, server: Server) -> None:
    add(crawls, server)
    fill(server, 1)
    with reading(crawls.engine) as session:
        source = session.exec(select(Source)).one()
    with writing(crawls.engine) as session:
        session.add(
            SourceCursor(source_id=source.id, tag="jetstream", value=str(now_us() - 2 * 86_400_000_000))
        )
    assert crawls.run()["dropped"] == {"stream_gap": 1}
    (place,) = coverage.Coverage(crawls.engine, dict).places(utc_now())
    assert "longer than it keeps" in place["blind_to"]
    assert place["seeing"] == "seen"
    with reading(crawls.engine) as session:
        run = session.exec(select(CrawlRun)).one()
    source.options = "{}"
    after = cadence.next_look(source, run, utc_now())
    assert (after.due_at - utc_now()).total_seconds() < 10


def test_a_stream_is_directed() -> None:
    kind = Jetstream()
    for options in (
        {},
        {"everything": "yes"},
        {"wanted_dids": "ada.example"},
        {"look": "terms", "stream_s": "x"},
        {"look": "terms", "cdn": "file:///etc"},
        {"look": "terms", "colour": "red"},
    ):
        with pytest.raises(ConfigError):
            kind.check("https://x.example/subscribe", options)
    kind.check("https://x.example/subscribe", {"wanted_dids": f"{ANNA}|{BERT}"})
    both = subscription(watch(TERMS, look="terms", wanted_dids=ANNA), 7)
    assert "wantedDids" not in both  # others may name somebody, too
    assert "cursor=7" in both


@pytest.mark.parametrize(
    ("record", "is_taken"),
    [
        (post("I met ADA  byron today", cid_of(1)), True),
        (post("I met Ada Byronson", cid_of(1)), False),
        (post("nobody", cid_of(1), alt="Ada Byron at sea"), True),
        (post("see @ada.example!", cid_of(1)), True),
        (post("#AdaByron", cid_of(1)), True),
        (post("#adabyronic", cid_of(1)), False),
        (post("x", cid_of(1), tags=["adabyron"]), True),
        (post("x", cid_of(1), facets=[{"features": [{"tag": "AdaByron"}]}]), True),
        (post("Ada Byron without a picture"), False),
        (post("x", cid_of(1), tags=7, facets=[None, {"features": "no"}]), False),
    ],
)
def test_names_are_compared_with_all_that_a_post_says(record: dict[str, Any], *, is_taken: bool) -> None:
    event = Reader(watch(TERMS, look="terms")).parsed(commit(5, ANNA, "3k", record))
    assert (event.post is not None) is is_taken


def test_films_links_and_profiles_are_shown() -> None:
    reader = Reader(watch(wanted_dids=ANNA))
    film = post("x") | {"embed": {"media": {"video": blob(cid_of(3), "video/mp4"), "alt": "sea"}}}
    event = reader.parsed(commit(5, ANNA, "3k", film))
    assert event.post is not None
    at = f"https://bsky.social/xrpc/com.atproto.sync.getBlob?did={ANNA}&cid={cid_of(3)}"
    assert [(one.url, one.title) for one in event.post.media] == [(at, "sea")]
    profile = {"displayName": "Anna", "avatar": blob(cid_of(4)), "banner": blob(cid_of(5))}
    event = reader.parsed(commit(5, ANNA, "self", profile, collection="app.bsky.actor.profile"))
    assert event.post is not None
    assert event.post.url == f"https://bsky.app/profile/{ANNA}"
    assert [one.url.split("/")[4] for one in event.post.media] == ["avatar", "banner"]


def test_what_is_not_parsed_would_have_given_nothing() -> None:
    reader = Reader(watch(everything="yes", everything_because="x"))
    shown = commit(5, ANNA, "3k", post("x", cid_of(1)))
    messages = [
        shown,
        commit(5, ANNA, "3k", post("no picture")),
        commit(5, ANNA, "3k", None, operation="delete"),
        shown.replace("$link", "\\u0024l\\u0069nk"),
        commit(5, ANNA, "3k", None, operation="x").replace('"x"', '"\\u0064elete"'),
        commit(5, ANNA, "3k", {"subject": "x"}, collection="app.bsky.feed.like"),
        json.dumps({"did": ANNA, "time_us": 5, "kind": "identity", "identity": {"handle": "a.example"}}),
        shown.replace('"', '" '),
    ]
    for message in messages:
        full = _of(reader.parsed, message)
        quick = _of(reader.read, message)
        nothing = full == "garbage" or (full.post is None and not full.gone)
        assert quick == full or (quick is None and nothing), message
    assert sum(reader.read(message) is None for message in messages) >= 3


def _of(read: Any, message: str) -> Any:
    try:
        return read(message)
    except Garbage:
        return "garbage"
