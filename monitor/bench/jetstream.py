"""Whether Bluesky's stream is kept up with, beside receiving and parsing alone, and what a cut costs.

The stream is one of this machine (jetstream_server.py), in the documented shape, sent as fast as it is taken:
posts with text, one in ten with an image, one in MATCHING of an account that is looked for; no likes,
which a server leaves out on our asking. All of them come over the socket and are told apart by us.

* ours is `python -m crawlers`, a process of its own with guard, cursor, journal and database, and the images
  that match are fetched and put in. It is timed from the first event sent until the image
  of the last event that matches was asked for;
* the floor receives each message with the same library and gives it to `json.loads`, in a process of its own;
* the cut: a third of the events are read, the connection is cut, and the rest, in which the events are dated
  CUT_S seconds and more later, come when it is opened again. `jetstream.missed` are images that match and
  were not taken. WINDOW events stand for the 1.2 million of ten minutes at 2,000 a second.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr
from sqlmodel import select

from crawlers import sources
from crawlers.sources import NewSource
from crawlers.tables import SeenUrl
from monitor import subject_keys
from monitor.bench.frame import Figure, Result
from monitor.bench.jetstream_server import Server, cid_of, commit, post, serving
from monitor.bench.push import small_image
from monitor.crypto import KeyEncryptionKeys, new_key_line
from monitor.db import reading
from monitor.ledger import open_ledger

if TYPE_CHECKING:
    from monitor.bench.frame import Request
    from monitor.settings import Settings

ROUNDS: Final = 3
EVENTS: Final = 60_000
WINDOW: Final = 30_000
MATCHING: Final = 1000
SHOWN: Final = 10
CUT_S: Final = 600
RUN_S: Final = 600.0
WATCHED: Final = "did:plc:watchedwatchedwatchedwat"


def run(request: Request) -> Result:
    """Measure. `request.limit` is how many events a round has; 0: EVENTS."""
    events = request.limit or EVENTS
    ours, floor = [], []
    for number in range(ROUNDS):
        request.progress("reading a stream, and its floor", number, ROUNDS)
        rate, missed, _ = _ours(request.settings, events, 60, None, request.seed + number)
        ours.append(rate)
        floor.append(_floor(events, request.seed + number))
    window = min(WINDOW, events)
    request.progress("after a cut", 0, 1)
    _, missed, cuts = _ours(request.settings, window, 2 * CUT_S, window // 3, request.seed)
    rate, least = statistics.median(ours), statistics.median(floor)
    figures = {
        "jetstream.events_per_s": Figure(rate, min(ours), max(ours), ROUNDS, "events/s"),
        "jetstream.floor_events_per_s": Figure(least, min(floor), max(floor), ROUNDS, "events/s"),
        "jetstream.ratio_to_floor": Figure.exact(rate / least, "ratio", ROUNDS),
        "jetstream.missed": Figure.exact(missed, "images", window // MATCHING),
        "jetstream.cuts": Figure.exact(cuts, "cuts"),
    }
    return Result.today("jetstream", figures, request, "cpu", ())


def _stream(events: int, window_s: int, seed: int) -> Server:
    """Make a stream whose events end now. The window is so long, in seconds."""
    draw, end = random.Random(seed), time.time_ns() // 1000  # noqa: S311 - made-up posts
    picture, server = small_image(seed), Server()
    words = ["sea", "wide", "boat", "small", "row", "stars", "nobody", "named", "the", "and", "is", "we"]
    for number in range(events):
        when = end - (events - 1 - number) * window_s * 1_000_000 // events
        said = " ".join(draw.choices(words, k=draw.randint(3, 40)))
        is_wanted = number % MATCHING == MATCHING // 2
        did = WATCHED if is_wanted else f"did:plc:{draw.getrandbits(60):024d}".replace("0", "a")[:32]
        did = did.translate(str.maketrans("0189", "abcd"))
        shown = is_wanted or number % SHOWN == 0
        cid = cid_of(number)
        record = post(said, *([cid] if shown else []))
        server.log.append((when, commit(when, did, f"3l{number}", record)))
        if is_wanted:
            # trailing bytes after a JPEG's end are no part of the picture, but make another file of it
            path = f"/img/feed_fullsize/plain/{did}/{cid}@jpeg"
            server.media[path] = picture + number.to_bytes(8, "big")
    return server


def _ours(
    base: Settings, events: int, window_s: int, cut_after: int | None, seed: int
) -> tuple[float, int, int]:
    """Read a stream with a crawl. Gives events a second, matching images that were missed, and cuts."""
    server = _stream(events, window_s, seed)
    server.cut_after = cut_after
    with tempfile.TemporaryDirectory() as folder, serving(server):
        home = Path(folder)
        said = _crawl(base, server, home)
        taken = said.pop("urls")
    wanted = {server.host + path for path in server.media}
    read = events - MATCHING + MATCHING // 2
    return (
        read / max(1e-9, server.last_fetch - server.began),
        len(wanted - taken),
        said["dropped"].get("stream_cut", 0),
    )


def _crawl(base: Settings, server: Server, home: Path) -> dict[str, Any]:
    key = SecretStr(new_key_line("bench"))
    own = {"home": home, "database_url": "", "blob_dir": None, "kek_file": None, "kek": key}
    settings = base.model_copy(update=own)
    engine = open_ledger(settings)
    subject_keys.ensure_service_keys(engine, KeyEncryptionKeys.from_settings(settings))
    options = {
        "wanted_dids": WATCHED,
        "look": "terms",
        "stream_s": "0",
        "cdn": server.host,
        "blobs": server.host,
    }
    new = NewSource(
        "bench", server.url, kind="jetstream", options=options, allow_http=True, allow_private=True
    )
    sources.add(engine, new, "bench")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIKENESS_")}
    env = kept | {
        "LIKENESS_HOME": str(home),
        "LIKENESS_DATABASE_URL": "",
        "LIKENESS_CRAWL_CONTACT": f"bench-{secrets.token_hex(4)}@example.org",
    }
    terms = json.dumps({"names": [f"nobody {secrets.token_hex(8)}"], "tag_key": secrets.token_hex(32)})
    command = [sys.executable, "-m", "crawlers", "bench", "--terms-on-stdin"]
    done = subprocess.run(
        command, env=env, input=terms, capture_output=True, text=True, timeout=RUN_S, check=False
    )
    said: dict[str, Any] = json.loads(done.stdout)
    with reading(engine) as session:
        said["urls"] = {row.url for row in session.exec(select(SeenUrl)) if row.code == "taken"}
    engine.dispose()
    return said


def _floor(events: int, seed: int) -> float:
    """Receive and parse the same stream and do nothing else. Gives events a second."""
    with serving(_stream(events, 60, seed)) as server:
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            seconds: float = pool.apply(_receive, (server.url, events))
    return events / seconds


def _receive(url: str, events: int) -> float:
    import asyncio  # noqa: PLC0415 - in a process of its own

    from websockets.asyncio.client import connect  # noqa: PLC0415 - as above

    async def receive() -> float:
        async with connect(url, compression=None, proxy=None, max_queue=32) as socket:
            began = time.perf_counter()
            for _ in range(events):
                json.loads(await socket.recv())
            return time.perf_counter() - began

    return asyncio.run(receive())
