"""The demo site: everything expected is linked and served, and the ground truth is consistent."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import av
import pytest
from PIL import Image

from monitor.demo.pages import add_address
from monitor.demo.site import PODCAST_S, TYPES, Site, build_site
from tests.monitor.demo.made_sources import MadeSources

if TYPE_CHECKING:
    from pathlib import Path

INSIDE = "http://127.0.0.1:9"
BASE = "http://127.0.0.1:8"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder: Path = tmp_path_factory.mktemp("sources")
    return build_site(MadeSources(folder), INSIDE)


def test_everything_expected_is_served_and_linked(site: Site) -> None:
    answers = add_address(site.answers, BASE)
    text = "".join(a.body.decode() for p, a in answers.items() if p.endswith((".html", ".xml")) or p == "/")
    expected = site.expected
    for entry in (*expected.planted, *expected.decoys, *expected.broken, *expected.forbidden):
        assert entry.path in answers
        assert re.search(rf'("|{BASE}){re.escape(entry.path)}[" ]', text), entry.path


def test_each_path_is_expected_once_for_a_person(site: Site) -> None:
    expected = site.expected
    planted = [(entry.path, entry.person) for entry in expected.planted]
    others = [entry.path for entry in (*expected.decoys, *expected.broken, *expected.forbidden)]
    assert len(planted) == len(set(planted))
    assert len(others) == len(set(others))
    assert not {path for path, _ in planted} & set(others)


def test_the_ways_to_repost_a_picture_are_all_planted(site: Site) -> None:
    ways = " ".join(entry.how for entry in site.expected.planted)
    for way in (
        "whole",
        "resized",
        "JPEG quality",
        "cropped",
        "mirrored",
        "collage",
        "video",
        "half",
        "podcast",
    ):
        assert way in ways


def test_pictures_and_clips_can_be_decoded(site: Site) -> None:
    for entry in (*site.expected.planted, *site.expected.decoys):
        body = site.answers[entry.path].body
        if entry.path.startswith(("/photos", "/archive", "/odd")):
            Image.open(io.BytesIO(body)).load()
        else:
            with av.open(io.BytesIO(body)) as box:
                assert sum(1 for _ in box.decode(box.streams[0])) > 10


def test_the_podcast_is_as_long_as_promised_and_she_speaks_within_it(site: Site) -> None:
    podcast = next(e for e in site.expected.planted if e.incident == "podcast")
    with av.open(io.BytesIO(site.answers[podcast.path].body)) as box:
        assert box.duration is not None
        assert box.duration / av.time_base == pytest.approx(PODCAST_S, abs=0.5)
    assert all(0 < span.start_s < span.end_s < PODCAST_S for span in podcast.spans)


def test_files_are_served_under_the_type_that_their_name_promises(site: Site) -> None:
    for entry in (*site.expected.planted, *site.expected.decoys):
        assert site.answers[entry.path].content_type == TYPES[entry.path.rsplit(".", 1)[1]]


def test_robots_disallows_the_folder_of_what_is_forbidden(site: Site) -> None:
    robots = add_address(site.answers, BASE)["/robots.txt"].body.decode()
    assert "Disallow: /members/" in robots
    assert all(entry.path.startswith("/members/") for entry in site.expected.forbidden)
    assert f"Sitemap: {BASE}/sitemap.xml" in robots


def test_redirects_lead_inside_and_are_expected_to_be_refused(site: Site) -> None:
    leading = {p: a.location for p, a in site.answers.items() if a.location}
    assert any(place.startswith(INSIDE) for place in leading.values())
    refused = {e.path for e in site.expected.broken if "fetch_refused" in e.codes}
    assert set(leading) == refused
