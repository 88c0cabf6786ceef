"""A fire drill with a real push, crawl, worker and mail server: measured, told as a test, and gone."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import typer
from sqlmodel import select
from typer.testing import CliRunner

from alerts.tables import Alert, Incident
from crawlers import sources
from crawlers.schedule import run_scheduler
from crawlers.sources import NewSource
from enrollment import subjects
from enrollment.profiles import checked_profile
from enrollment.samples import Reader
from enrollment.subjects import Ledger
from monitor import drills
from monitor.blobs import BlobStore
from monitor.commands import drill
from monitor.db import reading, utc_now, writing
from monitor.errors import DrillNotPossible
from monitor.partners import feeds
from monitor.partners.feeds import NewFeed
from monitor.partners.tables import FeedKey
from monitor.tables import BlobRow, Drill, Finding, MediaOrigin
from tests.assets import people
from tests.enrollment import service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.ml.interfaces import Pack
    from monitor.stages.decode import Decoder

ACTOR = "operator:test"


class Quiet(SimpleHTTPRequestHandler):
    """A web server of the operator's own, which serves a folder."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name of it
        """Say nothing."""


@contextmanager
def serves(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/drills/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def scheduler(town: service.Service) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=run_scheduler, args=(town.settings, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _on_a_page_of_our_own(town: service.Service, served: Path) -> None:
    """Plant it where a real scheduler starts a real crawl; then where the source does not lead."""
    folder, elsewhere = served / "drills", served / "elsewhere"
    folder.mkdir(parents=True)
    elsewhere.mkdir()
    with serves(served) as url:
        sources.add(
            town.engine, NewSource("own", url, allow_http=True, allow_private=True, cadence_s=3600), ACTOR
        )
        asked = ["--plant", "own", "--yes", "--json", "--wait", "100", "--folder"]
        with pytest.raises(DrillNotPossible, match="does not show the page"):
            CliRunner().invoke(verbs, [*asked, str(elsewhere)], catch_exceptions=False)
        assert list(elsewhere.iterdir()) == []
        with reading(town.engine) as session:
            failed = session.exec(select(Drill).where(Drill.state == "failed")).one()
            assert failed.code == "drill_not_possible"
        with scheduler(town):
            done = CliRunner().invoke(verbs, [*asked, str(folder)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["path"] == "crawl:own"
    assert 0 <= said["seconds"]["taken"] <= said["seconds"]["found"] <= said["seconds"]["told"] < 100
    assert list(folder.iterdir()) == []
    assert len(town.mail.mails) == 2
    assert "THIS IS A TEST. Nothing was found of you" in service.text_of(town.mail.mails[1])
    with reading(town.engine) as session:
        for table in (Finding, Incident, Alert):
            assert session.exec(select(table)).all() == []
        pages = [one.page_url for one in session.exec(select(MediaOrigin))]
    assert url in pages


verbs = typer.Typer()
drill.register(verbs)

pytestmark = pytest.mark.usefixtures("log_as_before")


def test_by_each_path_it_is_measured_told_as_a_test_and_leaves_only_its_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Pack, decoder: Decoder, data: Path
) -> None:
    monkeypatch.setattr("monitor.ml.packs.load_pack", lambda _: pack)
    with service.running(tmp_path / "home", crawl_contact="tests@example.org") as town:
        monkeypatch.setattr("monitor.settings.load_settings", lambda: town.settings)
        ledger = Ledger(town.engine, town.keys, BlobStore(town.settings.blobs), ACTOR)
        her = people.jpeg(people.pictures(data, "Gloria_Macapagal_Arroyo")[0])
        sample = Reader(pack, decoder, 2**24).face("hers", her)
        profile = checked_profile("Gloria", "gloria@example.org", "", "in person")
        who = subjects.add(ledger, profile, [sample], keep=True)
        feeds.add(town.engine, NewFeed("agency", "An Agency", "desk@example.org"), ACTOR)
        done = CliRunner().invoke(
            verbs, ["--feed", "agency", "--yes", "--json", "--wait", "60"], catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        said = json.loads(done.stdout)
        assert said["path"] == "feed:agency"
        assert 0 <= said["seconds"]["taken"] <= said["seconds"]["found"] <= said["seconds"]["told"] < 60
        (mail,) = town.mail.mails
        assert mail["Subject"] == "The test message that was asked for"
        assert "THIS IS A TEST. Nothing was found of you" in service.text_of(mail)
        with reading(town.engine) as session:
            row = session.exec(select(Drill)).one()
            assert (row.subject_id, row.state, row.asked_by.split(":")[0]) == (who, "ended", "operator")
            for table in (Finding, Incident, Alert):
                assert session.exec(select(table)).all() == []
            assert [one.kind for one in session.exec(select(BlobRow))] == ["reference"]
            assert [one.revoked_at is None for one in session.exec(select(FeedKey))] == [False]
            assert (
                session.exec(select(MediaOrigin)).one().title
                == "Fire drill: a test picture that was asked for"
            )
        _on_a_page_of_our_own(town, tmp_path / "served")
        # and the button: the worker makes the picture and puts it in itself
        with writing(town.engine) as session:
            asked = drills.ask(session, who, drills.DOOR, "subject", utc_now()).id

        def told() -> Drill | None:
            with reading(town.engine) as session:
                row = session.get_one(Drill, asked)
            return row if row.told_at is not None else None

        assert service.until(told, "a message").state == "running"
        assert "THIS IS A TEST" in service.text_of(town.mail.mails[-1])
