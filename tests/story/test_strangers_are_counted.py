"""What strangers score comes into the ledger as counts; who was found is not among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import select

from monitor.db import reading
from monitor.live_scores import ALL
from monitor.tables import MediaItem, ScoreCount
from tests.assets import people

if TYPE_CHECKING:
    from pathlib import Path

    from tests.story.conftest import Watch


def test_each_face_is_counted_once_and_hers_only_as_a_comparison(watch: Watch, data: Path) -> None:
    hers, other = people.pictures(data, "Gloria_Macapagal_Arroyo"), people.pictures(data, "Angelina_Jolie")
    watch.enrol("s1", people.jpeg(hers[0]))
    strangers = [watch.look(people.jpeg(one), f"https://example.org/{n}") for n, one in enumerate(other[:4])]
    found = watch.look(people.jpeg(hers[1]), "https://example.org/hers")
    assert [len(one.findings) for one in (*strangers, found)] == [0, 0, 0, 0, 1]

    watch.tools.dial.close()

    with reading(watch.tools.engine) as session:
        rows = session.exec(select(ScoreCount)).all()
        faces = sum(item.faces_seen or 0 for item in session.exec(select(MediaItem)))
    assert sum(row.count for row in rows if row.bin == ALL) == faces
    low, high = 0, watch.tools.dial.standing.least(rows[0].modality) * 50
    assert all(low <= row.bin < high for row in rows if row.bin != ALL)
    assert sum(row.count for row in rows if row.bin != ALL) < faces
    assert {row.model_id for row in rows} == {watch.tools.pack.faces.recogniser.model_id}
