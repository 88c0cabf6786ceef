"""Who may share a decoder's child: only what one hand could have changed anyway."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from monitor import claims, neighbours
from monitor.db import utc_now, writing
from monitor.tables import MediaItem, MediaOrigin
from monitor.values import MediaId, MediaKind, OriginKind

if TYPE_CHECKING:
    from sqlalchemy import Engine

PAGE = {
    "kind": "crawl",
    "source_id": "s",
    "page_url": "https://a.example/1",
    "url": "https://a.example/x.jpg",
}


SMALL = 1000


def put(
    engine: Engine, *places: dict[str, str], kind: MediaKind = MediaKind.IMAGE, size_bytes: int = 3
) -> MediaId:
    media_id = uuid.uuid4().hex
    with writing(engine) as session:
        session.add(MediaItem(id=media_id, sha256=media_id, kind=kind, size_bytes=size_bytes, blob_id="b"))
        session.flush()
        for place in places:
            session.add(MediaOrigin.model_validate({"media_id": media_id, "seen_at": utc_now(), **place}))
    return MediaId(media_id)


def grouped(engine: Engine, most: int = 8) -> list[list[MediaId]]:
    works = claims.claim(engine, "me", 60, 20)
    return [[work.media_id for work in group] for group in neighbours.groups(works, most, SMALL)]


def test_pictures_of_one_page_and_host_share(engine: Engine) -> None:
    first = put(engine, PAGE)
    second = put(engine, PAGE | {"url": "https://a.example/y.jpg"})
    assert grouped(engine) == [[first, second]]


@pytest.mark.parametrize(
    "other",
    [
        {"source_id": "t"},
        {"page_url": "https://a.example/2"},
        {"url": "https://b.example/x.jpg"},
        {"kind": "scan"},
        {"kind": "push"},
    ],
)
def test_another_source_page_or_host_is_another_hand(engine: Engine, other: dict[str, str]) -> None:
    first, second = put(engine, PAGE), put(engine, PAGE | other)
    assert grouped(engine) == [[first], [second]]


@pytest.mark.parametrize(
    "place",
    [
        {"kind": "push", "source_id": "partner", "url": "https://a.example/x.jpg"},
        {"kind": "scan", "url": "file:///x.jpg"},
        {"kind": "crawl", "source_id": "s", "url": "https://a.example/x.jpg"},
    ],
)
def test_a_place_that_is_not_known_to_be_one_hand_shares_with_nobody(
    engine: Engine, place: dict[str, str]
) -> None:
    ids = [put(engine, place | {"url": f"{place['url']}{n}"}) for n in range(2)]
    assert grouped(engine) == [[one] for one in ids]


def test_files_of_one_named_folder_share(engine: Engine) -> None:
    folder = {"kind": OriginKind.SCAN.value, "source_id": "file:///a"}
    ids = [put(engine, folder | {"url": f"file:///a/{n}/x.jpg"}) for n in range(3)]
    other = put(engine, folder | {"source_id": "file:///b", "url": "file:///b/x.jpg"})
    assert grouped(engine) == [ids, [other]]


def test_what_was_seen_in_two_places_shares_only_with_the_same_two(engine: Engine) -> None:
    there = PAGE | {"page_url": "https://c.example/", "url": "https://c.example/x.jpg"}
    one, both, again = put(engine, PAGE), put(engine, PAGE, there), put(engine, PAGE, there)
    pushed = put(engine, PAGE, {"kind": "push", "url": "https://c.example/x"})
    assert grouped(engine) == [[one], [both, again], [pushed]]


def test_only_still_pictures_share_and_not_too_many(engine: Engine) -> None:
    pictures = [put(engine, PAGE) for _ in range(3)]
    film, sound = put(engine, PAGE, kind=MediaKind.VIDEO), put(engine, PAGE, kind=MediaKind.AUDIO)
    assert grouped(engine, most=2) == [pictures[:2], pictures[2:], [film], [sound]]


def test_an_item_without_a_place_shares_with_nobody(engine: Engine) -> None:
    ids = [put(engine), put(engine)]
    assert grouped(engine) == [[one] for one in ids]


def test_a_large_picture_comes_alone(engine: Engine) -> None:
    first, large = put(engine, PAGE), put(engine, PAGE, size_bytes=SMALL + 1)
    third = put(engine, PAGE)
    assert grouped(engine) == [[first, third], [large]]
