"""How soon somebody is told, from a partner's push to the message at the mail server."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import numpy as np
from sqlmodel import select

from alerts.tables import Alert, IncidentFinding
from enrollment.samples import Reader
from monitor.assembly import build_tools
from monitor.bench.frame import Figure
from monitor.db import reading
from monitor.errors import ConfigError, MediaError, SampleError
from monitor.partners.tables import FeedItem
from monitor.tables import Finding, MediaItem

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.bench.frame import Request
    from monitor.bench.push_service import Service

PEOPLE: Final = 3
SAMPLES: Final = 5
"""Pictures that a person is enrolled with."""

PUSHED: Final = 15
"""Pictures of each person that are pushed: fewer than the messages that anybody gets at once."""

RATE: Final = 0.5
"""Pushes a second: a worker on two cores is done with one before the next comes."""

LONGEST_S: Final = 60.0
WARM_S: Final = 20.0
"""How long a worker may take to load its models, and how long the last message is waited for."""

ATTEST: Final = "Bench: public pictures of named origin; nobody's identity was checked."


def told_after(service: Service, request: Request) -> dict[str, Figure]:
    """Enrol people of the data, push other pictures of them, and measure.

    Raises ConfigError where there are not enough pictures of enough people.
    """
    people = _people(request.data)
    with build_tools(service.settings, service.engine) as tools:
        reader = Reader(tools.pack, tools.decoder, service.settings.max_bytes)
        samples = [_usable(reader, pictures) for pictures in people]
    for number, usable in enumerate(samples):
        _enrol(service, f"person-{number}", usable)
    for verb in ("serve", "worker"):
        service.start(verb)
    time.sleep(WARM_S)
    others = [
        [one for one in pictures if one not in usable]
        for pictures, usable in zip(people, samples, strict=True)
    ]
    pushed = [pictures[turn] for turn in range(PUSHED) for pictures in others]
    request.progress("from push to alert", 0, len(pushed))
    with service.load(pushed, len(pushed), 0, RATE, 2) as load:
        said = load.result()
    _until_quiet(service)
    request.progress("from push to alert", len(pushed), len(pushed))
    took = _seconds(service, said["due"])
    if not took:
        msg = "nobody was told anything"
        raise ConfigError(msg, hint="Name a folder with a folder of pictures per person: --data DIR.")
    return {
        "push.to_alert_p95_s": Figure.exact(float(np.percentile(took, 95)), "s", len(took)),
        "push.to_alert_p50_s": Figure.exact(float(np.percentile(took, 50)), "s", len(took)),
        "push.alerts": Figure.exact(len(service.mail.came), "messages", len(pushed)),
    }


def _people(folder: Path | None) -> list[list[Path]]:
    """Choose the people with the most pictures."""
    found = [sorted(one.glob("*.jpg")) for one in folder.iterdir() if one.is_dir()] if folder else []
    found = [pictures for pictures in found if len(pictures) >= SAMPLES + PUSHED]
    if len(found) < PEOPLE:
        msg = f"there are not {PEOPLE} people with {SAMPLES + PUSHED} pictures each"
        raise ConfigError(msg, hint="Name a folder with a folder of pictures per person: --data DIR.")
    return sorted(found, key=lambda pictures: (-len(pictures), pictures))[:PEOPLE]


def _usable(reader: Reader, pictures: list[Path]) -> list[Path]:
    """Choose the first pictures that an enrolment takes."""
    found: list[Path] = []
    for picture in pictures:
        if len(found) == SAMPLES or len(pictures) - len(found) <= PUSHED:
            break
        try:
            reader.face(picture.name, picture.read_bytes())
        except (SampleError, MediaError):
            continue
        found.append(picture)
    return found


def _enrol(service: Service, name: str, pictures: list[Path]) -> None:
    faces = [part for picture in pictures for part in ("--face", str(picture))]
    add = ["subject", "add", name, *faces, "--email", f"{name}@example.org"]
    subprocess.run(
        [sys.executable, "-m", "monitor.cli", *add, "--attest", ATTEST, "--age-confirmed"],
        env=service.env,
        check=True,
        capture_output=True,
    )


def _until_quiet(service: Service) -> None:
    """Wait until every item was looked at and every alert was sent."""
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        with reading(service.engine) as session:
            open_items = session.exec(select(MediaItem.id).where(MediaItem.state == "received")).first()
            due = session.exec(select(Finding.id).where(Finding.state == "due")).first()
            waiting = session.exec(select(Alert.id).where(Alert.state == "due")).first()
        if open_items is None and due is None and waiting is None:
            return
        time.sleep(0.5)


def _seconds(service: Service, due: dict[str, float]) -> list[float]:
    """Give the seconds from each push to the moment when the mail server had taken its message."""
    query = (
        select(FeedItem.item_key, Alert.sent_at)
        .where(FeedItem.media_id == Finding.media_id, Finding.id == IncidentFinding.finding_id)
        .where(IncidentFinding.incident_id == Alert.incident_id, Alert.state == "sent")
    )
    first: dict[str, float] = {}
    with reading(service.engine) as session:
        for key, sent_at in session.exec(query):
            if sent_at is not None:
                first[key] = min(first.get(key, sent_at.timestamp()), sent_at.timestamp())
    return [sent - due[key] for key, sent in first.items() if sent >= due[key]]
