"""Every kind of bad file through the real path: its code, its mark, its retry, and a batch that goes on."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from monitor import claims
from monitor.errors import EmptyMedia, NotMedia
from monitor.stages.decode import DecodeLimits, Decoder
from tests.assets import media, people

if TYPE_CHECKING:
    from pathlib import Path

    from tests.story.conftest import Watch

SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!DOCTYPE html><html><img src=x></html>"

FAILED = {
    "a truncated picture": (media.jpeg(400, 300)[:4000], "unreadable"),
    "a corrupt picture": (media.jpeg()[:3] + bytes(2000), "unreadable"),
    "a truncated video": (media.mp4()[:-2000], "unreadable"),
    "a corrupt video": (b"\x1aE\xdf\xa3" + bytes(4000), "unreadable"),
    "a truncated sound": (media.wav()[:20], "unreadable"),
    "a page that begins like a picture": (b"GIF89a" + HTML * 20, "unreadable"),
    "a picture of 50,000 x 50,000": (media.huge_png(), "too_many_pixels"),
}
"""What -> its bytes and its code. All of them fail in decode, and are kept."""


def test_bad_files_are_marked_and_kept_and_the_batch_goes_on(watch: Watch, data: Path) -> None:
    hers = people.pictures(data, "Gloria_Macapagal_Arroyo")
    watch.enrol("s1", people.jpeg(hers[0]))
    bad = {what: watch.submit(content) for what, (content, _) in FAILED.items()}
    good = watch.submit(people.jpeg(hers[1]))
    outcomes = {one.media_id: one for one in watch.work(threads=2)}
    assert len(outcomes[good].findings) == 1
    for what, media_id in bad.items():
        row = watch.item(media_id)
        assert (row.state, row.failed_stage, row.failed_code) == ("failed", "decode", FAILED[what][1]), what
        assert row.failed_reason
        assert row.blob_id is not None
        claims.retry(watch.tools.engine, media_id)
    again = {one.media_id: one.code for one in watch.work()}
    assert again == {bad[what]: code for what, (_, code) in FAILED.items()}


@pytest.mark.parametrize("content", [SVG, HTML, b"\xef\xbb\xbf" + SVG, b"%PDF-1.7\n"])
def test_what_poses_as_a_picture_is_refused_at_the_door(watch: Watch, content: bytes) -> None:
    with pytest.raises(NotMedia):
        watch.submit(content, "https://example.org/picture.jpg")
    with pytest.raises(EmptyMedia):
        watch.submit(b"", "https://example.org/picture.jpg")
    assert watch.work() == []
    assert list(watch.tools.blobs.ids()) == []


@pytest.mark.parametrize("name", ["film.mp4", "sound.wav", "page.html", "picture"])
def test_a_wrong_extension_changes_nothing(watch: Watch, data: Path, name: str) -> None:
    hers = people.pictures(data, "Gloria_Macapagal_Arroyo")
    watch.enrol("s1", people.jpeg(hers[0]))
    assert len(watch.look(people.jpeg(hers[1]), f"https://example.org/{name}").findings) == 1


def test_a_gif_of_a_hundred_thousand_frames_is_looked_at_and_says_what_was_left_out(watch: Watch) -> None:
    outcome = watch.look(media.endless_gif())
    assert (outcome.state, outcome.faces_seen) == ("done", 0)
    assert outcome.seconds < 60


def test_a_ten_hour_silent_video_is_looked_at_up_to_the_limit(watch: Watch) -> None:
    ten_hours = media.video(36_000, fps=1, size=(64, 48), codec="mpeg4", container="matroska")
    with Decoder(DecodeLimits(max_seconds=30)) as decoder:
        watch.tools = dataclasses.replace(watch.tools, decoder=decoder)
        outcome = watch.look(ten_hours)
    assert (outcome.state, outcome.turns_seen) == ("done", 0)
    left_out = watch.item(outcome.media_id).not_looked or ""
    assert "partly_decoded" in left_out
    assert "of 36000 s" in left_out


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (DecodeLimits(max_pixels=1000), "too_many_pixels"),
        (DecodeLimits(memory_mb=1), "decoder_killed"),
        (DecodeLimits(wall_seconds=0.0), "decoder_killed"),
    ],
)
def test_once_the_cause_is_gone_a_retry_finds_her(
    watch: Watch, data: Path, limits: DecodeLimits, code: str
) -> None:
    hers = people.pictures(data, "Gloria_Macapagal_Arroyo")
    watch.enrol("s1", people.jpeg(hers[0]))
    tools = watch.tools
    with Decoder(limits) as tight:
        watch.tools = dataclasses.replace(tools, decoder=tight)
        failed = watch.look(people.jpeg(hers[1]))
    assert (failed.state, failed.stage, failed.code) == ("failed", "decode", code)
    watch.tools = tools
    claims.retry(tools.engine, failed.media_id)
    (again,) = watch.work()
    assert len(again.findings) == 1


def test_bytes_that_were_changed_or_lost_are_told_apart(watch: Watch) -> None:
    changed, lost = watch.submit(media.jpeg(seed=1)), watch.submit(media.jpeg(seed=2))
    good = watch.submit(media.jpeg(seed=3))
    blobs = watch.tools.blobs
    blob_id = watch.item(changed).blob_id
    path = blobs.folder / str(blob_id)[:2] / str(blob_id)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    gone = blobs.folder / str(watch.item(lost).blob_id)[:2] / str(watch.item(lost).blob_id)
    gone.unlink()
    outcomes = {one.media_id: (one.state, one.code) for one in watch.work()}
    assert outcomes == {changed: ("failed", "tampered"), lost: ("failed", "blob_missing"), good: ("done", "")}
    path.write_bytes(whole)
    assert claims.retry_all(watch.tools.engine, "tampered") == 1
    assert [(one.media_id, one.state) for one in watch.work()] == [(changed, "done")]
    watch.submit(media.jpeg(seed=2))  # the same bytes again mend the loss
    assert [(one.media_id, one.state) for one in watch.work()] == [(lost, "done")]


def test_a_machine_without_a_descriptor_to_spare_fails_one_item_and_not_the_worker(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = watch.submit(media.jpeg(seed=1)), watch.submit(media.jpeg(seed=2))

    def none_left(*_: object) -> int:
        monkeypatch.undo()
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("monitor.stages.decode.os.memfd_create", none_left)
    outcomes = {one.media_id: (one.state, one.stage, one.code) for one in watch.work()}
    assert outcomes == {first: ("failed", "decode", "decoder_killed"), second: ("done", "", "")}
