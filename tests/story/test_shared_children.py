"""A crew decodes pictures of one hand together, and never those of two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.db import utc_now
from monitor.intake import submit
from monitor.stages.decode import Decoder
from monitor.values import Origin, OriginKind, SourceId
from tests.assets import media

if TYPE_CHECKING:
    import pytest

    from monitor.stages.decoding_clip import Line
    from monitor.stages.decoding_wire import Job
    from tests.story.conftest import Watch


def test_pictures_of_different_origins_never_share_a_child(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: dict[bytes, str] = {}
    for number in range(12):
        data, folder = media.jpeg(seed=number), "file:///hers" if number % 3 else "file:///theirs"
        folders[data] = folder
        origin = Origin(OriginKind.SCAN, utc_now(), url=f"{folder}/{number}.jpg", source_id=SourceId(folder))
        submit(data, origin, watch.door)
    children: list[set[str]] = []
    line = Decoder._line

    def spied(self: Decoder, pieces: tuple[bytes, ...], job: Job, first: bytes) -> Line:
        data = b"".join(pieces)
        children.append({folder for one, folder in folders.items() if one in data})
        return line(self, pieces, job, first)

    monkeypatch.setattr(Decoder, "_line", spied)

    outcomes = watch.work(threads=2)

    assert [one.state for one in outcomes] == ["done"] * 12
    assert len(children) < 12
    assert all(len(hands) == 1 for hands in children)
