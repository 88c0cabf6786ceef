"""The disk under the database is full: nothing is lost, and nothing is half-written."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from monitor import claims
from monitor.crew import Crew
from monitor.errors import StorageFull
from tests.assets import media, people
from tests.assets.disks import full

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monitor.progress import Outcome
    from tests.story.conftest import Watch


def test_nothing_comes_in_and_no_bytes_stay_behind(watch: Watch) -> None:
    long = "https://example.org/" + "long" * 4000  # the last page has room for little
    with full(watch.tools.engine), pytest.raises(StorageFull):
        watch.submit(media.jpeg(), long)
    assert list(watch.tools.blobs.ids()) == []
    watch.submit(media.jpeg(), long)
    assert [one.state for one in watch.work()] == ["done"]


def test_a_finding_that_finds_no_room_is_found_once_there_is_some(watch: Watch, data: Path) -> None:
    hers = people.pictures(data, "Gloria_Macapagal_Arroyo")
    watch.enrol("s1", people.jpeg(hers[0]))
    media_id = watch.submit(people.jpeg(hers[1]))
    stop, ended = threading.Event(), threading.Event()
    with full(watch.tools.engine):
        crew = Crew(watch.tools, threads=1, lease_s=30.0, seen=lambda _: ended.set())
        driver = threading.Thread(target=crew.run, args=(stop,), kwargs={"once": False})
        driver.start()
        ended.wait(4)
        stop.set()
        driver.join()
    row = watch.item(media_id)
    assert (row.state, row.failed_code) in {("failed", "storage_full"), ("received", None)}
    assert watch.findings_of(media_id) == []
    assert [str(one) for one in watch.tools.blobs.ids()] == [row.blob_id]  # no original without its finding
    claims.retry_all(watch.tools.engine, "storage_full")
    (again,) = watch.work()
    assert len(again.findings) == 1


@pytest.mark.parametrize("found", [True, False], ids=["a finding", "nobody"])
def test_an_end_that_was_not_written_is_made_up_for_after_any_time(
    watch: Watch, data: Path, monkeypatch: pytest.MonkeyPatch, *, found: bool
) -> None:
    hers = people.pictures(data, "Gloria_Macapagal_Arroyo")
    if found:
        watch.enrol("s1", people.jpeg(hers[0]))
    media_id = watch.submit(people.jpeg(hers[1]))
    away = threading.Event()
    away.set()

    def unless_away(real: Callable[..., Any]) -> Callable[..., Any]:
        def tried(*args: Any, **kwargs: Any) -> Any:
            if away.is_set():
                msg = "no room left for the database"
                raise StorageFull(msg)
            return real(*args, **kwargs)

        return tried

    for name in ("finish", "fail", "end", "release"):
        monkeypatch.setattr(claims, name, unless_away(getattr(claims, name)))
    monkeypatch.setattr("monitor.crew.LEDGER_DOWN_S", 0.05)
    outcomes: list[Outcome] = []
    crew = Crew(watch.tools, threads=1, lease_s=0.4, seen=outcomes.append)
    driver = threading.Thread(target=crew.run, args=(threading.Event(),), kwargs={"once": True})
    driver.start()
    time.sleep(2)  # several leases long: the living worker keeps the item, and owes its end
    assert watch.item(media_id).state == "received"
    away.clear()
    driver.join(30)
    assert not driver.is_alive()
    assert [one.state for one in outcomes] == ["done"]
    row = watch.item(media_id)
    assert (row.state, row.blob_id, len(watch.findings_of(media_id))) == ("done", None, int(found))
