"""How fast partners can push, what a kill loses or doubles, and how soon somebody is told.

* rate: pushes offered at OFFERED a second to `likeness serve` alone, each signed, sealed and recorded. A
  latency counts from when the push was due, so that waiting behind others is in it.
* kills: ITEMS items pushed as fast as they go, while worker and pages are killed KILLS times each. What was
  answered must be written down, once.
* to alert: people of `--data` (a folder per person) are enrolled, other pictures of them pushed one by one,
  and the time until the mail server has the message is taken. Without `--data` this is left out.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image
from sqlmodel import col, select

from monitor.assembly import build_tools
from monitor.bench.frame import Figure, Result
from monitor.bench.push_people import told_after
from monitor.bench.push_service import running
from monitor.db import reading
from monitor.partners.tables import FeedItem
from monitor.tables import MediaItem, MediaOrigin

if TYPE_CHECKING:
    from monitor.bench.frame import Request
    from monitor.bench.push_service import Service

OFFERED: Final = 220.0
"""Pushes a second: a tenth above what is promised."""

RATE_S: Final = 30.0
WARM_UP: Final = 200
"""Pushes before the measurement: the first ones read code and open connections."""

CONNECTIONS: Final = 64
ITEMS: Final = 10_000
KILLS: Final = 5

SIDE: Final = 320
"""Pixels of a small image; as JPEG it has some 10 kB."""


def run(request: Request) -> Result:
    """Measure. `request.limit` is how many items the kills are tried on; 0: ITEMS."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        picture = home / "small.jpg"
        picture.write_bytes(small_image(request.seed))
        with running(request.settings, home / "rate") as service:
            figures = _rate(service, picture, request)
        with running(request.settings, home / "kills") as service:
            figures |= _kills(service, picture, request.limit or ITEMS, request)
        if request.data is not None:
            with running(request.settings, home / "alerts") as service:
                figures |= told_after(service, request)
                with build_tools(service.settings, service.engine) as tools:
                    faces = tools.pack.faces
        models = () if request.data is None or faces is None else (str(faces.recogniser.model_id),)
    return Result.today("push", figures, request, request.settings.device, models)


def small_image(seed: int) -> bytes:
    """Make a JPEG of soft blobs: about as large as a thumbnail of a photograph."""
    noise = np.random.default_rng(seed).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    made = io.BytesIO()
    Image.fromarray(noise).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(made, "JPEG", quality=85)
    return made.getvalue()


def _rate(service: Service, picture: Path, request: Request) -> dict[str, Figure]:
    service.start("serve")
    with service.load([picture], WARM_UP, 1_000_000, 0.0, 8) as warm:
        warm.result()
    request.progress("pushing at a rate", 0, 2)
    offered = int(OFFERED * RATE_S)
    with service.load([picture], offered, 0, OFFERED, CONNECTIONS) as load:
        said = load.result()
    request.progress("pushing at a rate", 1, 2)
    with service.load([picture], offered // 3, 500_000, 0.0, 16) as load:
        most = load.result()
    request.progress("pushing at a rate", 2, 2)
    taken, times = len(said["keys"]), said["latencies"]
    return {
        "push.requests_per_s": Figure.exact(taken / said["seconds"], "requests/s", taken),
        "push.p50_ms": Figure.exact(1000 * statistics.median(times), "ms", taken),
        "push.p99_ms": Figure.exact(1000 * float(np.percentile(times, 99)), "ms", taken),
        "push.most_requests_per_s": Figure.exact(
            len(most["keys"]) / most["seconds"], "requests/s", len(most["keys"])
        ),
    }


def _kills(service: Service, picture: Path, items: int, request: Request) -> dict[str, Figure]:
    service.start("serve")
    service.start("worker")
    killed = 0
    with service.load([picture], items, 0, 0.0, 16) as load:
        while not load.is_over:
            time.sleep(0.2)
            done = _recorded(service)
            request.progress("pushing while processes are killed", done, items)
            if killed < KILLS and done >= (killed + 1) * items // (KILLS + 1):
                for verb in ("worker", "serve"):
                    service.kill(verb)
                    service.start(verb)
                killed += 1
        said = load.result()
    for verb in ("worker", "serve"):
        service.stop(verb)  # nothing is looked at, and forgotten, while it is counted
    lost, doubled = _faults(service, said["keys"])
    return {
        "push.lost": Figure.exact(lost, "items", items),
        "push.doubled": Figure.exact(doubled, "items", items),
        "push.recorded": Figure.exact(_recorded(service), "items", items),
        "push.kills": Figure.exact(2 * killed, "kills", killed),
        "push.sent_again": Figure.exact(said["again"], "requests", items),
    }


def _recorded(service: Service) -> int:
    with reading(service.engine) as session:
        return len(session.exec(select(FeedItem.seq)).all())


def _faults(service: Service, answered: list[str]) -> tuple[int, int]:
    """Count what was answered and is not there to be looked at, and what is there more than once."""
    with reading(service.engine) as session:
        rows = session.exec(select(FeedItem.item_key, FeedItem.media_id)).all()
        media = {row.id: row for row in session.exec(select(MediaItem))}
        places = Counter(session.exec(select(MediaOrigin.media_id).where(col(MediaOrigin.url).is_not(None))))
    by_key = dict(rows)
    names = {path.name for path in service.settings.blobs.glob("??/*")}
    lost = 0
    for key in answered:
        item = media.get(by_key.get(key) or "")
        waits = item is not None and item.state not in {"done", "failed"}
        lost += item is None or (waits and item.blob_id not in names)
    doubled = sum(number - 1 for number in Counter(key for key, _ in rows).values())
    doubled += sum(number - 1 for number in places.values())
    doubled += len(media) - len({row.sha256 for row in media.values()})
    return lost, doubled + max(0, len(media) - len(by_key))
