"""Looks at files and folders of this machine: `scan` gives one Scanned for each file, in the files' order.

Files go in at the same door as everything else, a few ahead of the crew that looks at them, so a folder
of any size needs little room. What was looked at before is not looked at again unless somebody was
enrolled since.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlmodel import col, select

from monitor import findings
from monitor.crew import Crew
from monitor.db import reading, utc_now
from monitor.errors import EmptyMedia, LikenessError, NotMedia, TooLarge
from monitor.explaining import brief
from monitor.intake import HEAD_BYTES, Door, kind_of, submit
from monitor.tables import Finding, MediaItem
from monitor.values import FindingId, MediaId, Origin, OriginKind, SourceId

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.findings import FindingView
    from monitor.tools import Tools

AHEAD = 64
"""Files put in before the first of them is looked at: enough to keep every thread busy."""

NO_MEDIA = frozenset({NotMedia.code, EmptyMedia.code})
"""Codes of files that a folder of media may well hold: passed over, not failed."""

POLL_S = 0.2
"""How often the ledger is asked what became of files that another worker may have taken."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """What became of one file.

    `state` is done, failed (an item that could not be looked at; see `likeness item retry`) or refused (not
    taken in at all). `seen_before`: nothing new to look for, the answer is that of the last look.
    """

    path: Path
    state: str
    media_id: MediaId | None = None
    seen_before: bool = False
    stage: str = ""
    code: str = ""
    reason: str = ""
    faces_seen: int = 0
    turns_seen: int = 0
    not_looked: tuple[dict[str, str], ...] = ()
    findings: tuple[FindingView, ...] = ()

    def told(self) -> dict[str, Any]:
        """Say it as JSON values; scores and seconds are rounded."""
        return {
            "path": str(self.path),
            "state": self.state,
            "media_id": self.media_id,
            "seen_before": self.seen_before,
            "stage": self.stage,
            "code": self.code,
            "reason": self.reason,
            "faces_seen": self.faces_seen,
            "turns_seen": self.turns_seen,
            "not_looked": list(self.not_looked),
            "findings": [_told(view) for view in self.findings],
        }


def files_of(paths: Iterable[Path]) -> list[Path]:
    """List the files that are meant: those named, and all in the folders named, hidden ones left out."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = (p for p in sorted(path.rglob("*")) if p.is_file())
            found += [
                p for p in inside if not any(part.startswith(".") for part in p.relative_to(path).parts)
            ]
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def scan(  # noqa: PLR0913 - what to look at, what with, and how
    files: Sequence[Path],
    tools: Tools,
    door: Door,
    *,
    threads: int,
    lease_s: float,
    named: Sequence[Path] = (),
) -> Iterator[Scanned]:
    """Look at files and give what became of each, as soon as those before it are through.

    `named` are the folders that the operator named: each is taken to be one hand's (neighbours.py).
    """
    stop, ended = threading.Event(), threading.Event()
    crew = Crew(tools, threads=threads, lease_s=lease_s, seen=lambda _: ended.set())
    driver = threading.Thread(target=crew.run, args=(stop,), kwargs={"once": False}, name="crew")
    driver.start()
    try:
        waiting: deque[Scanned] = deque()
        for path in files:
            waiting.append(_enter(path, named, door))
            while len(waiting) >= AHEAD:
                yield _await(waiting.popleft(), tools, ended, driver)
        while waiting:
            yield _await(waiting.popleft(), tools, ended, driver)
    finally:
        stop.set()
        driver.join()


def _enter(path: Path, named: Sequence[Path], door: Door) -> Scanned:
    """Put one file in at the door; what the door refuses is refused here."""
    try:
        taken = submit(_read(path, door.max_bytes), origin_of(path, named), door)
    except LikenessError as exc:
        return Scanned(path, "refused", code=exc.code, reason=exc.message)
    except OSError as exc:
        return Scanned(path, "refused", code="unreadable", reason=exc.strerror or "it cannot be read")
    return Scanned(path, "waiting", taken.media_id, seen_before=taken.seen_before and not taken.due)


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        size = path.stat().st_size
        if size > most:
            msg = f"{size} bytes are more than the {most} that are taken"
            raise TooLarge(msg, hint="LIKENESS_MAX_BYTES sets the limit.")
        head = file.read(HEAD_BYTES)
        kind_of(head)  # a folder holds other things too: those are not read to the end
        return head + file.read()


def origin_of(path: Path, named: Sequence[Path] = ()) -> Origin:
    """Say where a file was seen; its source is the named folder that it lies in, if any."""
    folder = next((one for one in named if one != path and path.is_relative_to(one)), None)
    source_id = SourceId(folder.resolve().as_uri()) if folder is not None else None
    return Origin(OriginKind.SCAN, utc_now(), url=path.resolve().as_uri(), source_id=source_id)


def _await(entered: Scanned, tools: Tools, ended: threading.Event, driver: threading.Thread) -> Scanned:
    """Wait until the item of a file has ended, here or with another worker, and read what was found."""
    if entered.media_id is None:
        return entered
    while True:
        ended.clear()
        row = _row(tools.engine, entered.media_id)
        if row is None or row.state in {"done", "failed"}:
            return _read_back(entered, row, tools)
        if not driver.is_alive():
            msg = "the crew that looks at the files ended before they were through"
            raise LikenessError(msg)
        ended.wait(POLL_S)


def _row(engine: Engine, media_id: MediaId) -> MediaItem | None:
    with reading(engine) as session:
        return session.get(MediaItem, media_id)


def _read_back(entered: Scanned, row: MediaItem | None, tools: Tools) -> Scanned:
    if row is None:
        return Scanned(entered.path, "refused", code="not_found", reason="the item was removed meanwhile")
    with reading(tools.engine) as session:
        ids = session.exec(
            select(Finding.id).where(Finding.media_id == row.id).order_by(col(Finding.created_at))
        ).all()
        views = tuple(findings.read(session, tools.keks, FindingId(one)) for one in ids)
    return Scanned(
        path=entered.path,
        state=row.state,
        media_id=entered.media_id,
        seen_before=entered.seen_before,
        stage=row.failed_stage or "",
        code=row.failed_code or "",
        reason=row.failed_reason or "",
        faces_seen=row.faces_seen or 0,
        turns_seen=row.turns_seen or 0,
        not_looked=tuple(json.loads(row.not_looked)) if row.not_looked else (),
        findings=views,
    )


def _told(view: FindingView) -> dict[str, Any]:
    detail, assessed = view.detail, view.detail.synthetic.assessed
    return {
        "finding_id": view.finding_id,
        "subject_id": view.subject_id,
        "band": view.band.value,
        "face_score": _rounded(detail.face_score),
        "voice_score": _rounded(detail.voice_score),
        "face_margin": _rounded(detail.face_margin),
        "voice_margin": _rounded(detail.voice_margin),
        "llr": _rounded(detail.llr),
        "agreement": detail.agreement.value,
        "face_seconds": [[round(s.start_s, 2), round(s.end_s, 2)] for s in detail.face_spans],
        "voice_seconds": [[round(s.start_s, 2), round(s.end_s, 2)] for s in detail.voice_spans],
        "synthetic": detail.synthetic.status.value,
        "made": brief(assessed) if assessed else None,
        "reasons": list(detail.reasons),
        "against": list(detail.against),
    }


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)
