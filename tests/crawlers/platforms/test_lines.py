"""When a cursor may be kept: never before everything in front of it is settled."""

from __future__ import annotations

from crawlers.spiders.lines import Line


def test_a_cursor_waits_for_its_media_and_for_the_pages_before_it() -> None:
    kept: list[str] = []
    line = Line(kept.append)
    first, second = line.step(), line.step()
    first.cursor, second.cursor = "1", "2"
    first.opened()
    first.settled()
    second.settled()
    assert kept == []
    first.settled()
    assert kept == ["1", "2"]


def test_a_page_that_failed_stops_its_line_there() -> None:
    kept: list[str] = []
    line = Line(kept.append)
    line.at_end = "newest"
    first, second, third = line.step(), line.step(), line.step()
    first.cursor, second.cursor, third.cursor = "1", "2", "3"
    third.settled()
    second.fail()
    second.settled()
    first.settled()
    assert kept == ["1"]


def test_a_list_waits_for_the_details_of_its_pages_and_their_media() -> None:
    kept: list[str] = []
    line, details = Line(kept.append), Line(lambda _: None)
    page = line.step()
    line.at_end = "newest"
    one, other = details.step(page), details.step(page)
    page.settled()
    one.opened()
    one.settled()
    other.settled()
    assert kept == []
    one.settled()
    assert kept == ["newest"]


def test_details_that_failed_hold_the_list_where_it_was() -> None:
    kept: list[str] = []
    line, details = Line(kept.append), Line(lambda _: None)
    page = line.step()
    page.cursor = "1"
    one = details.step(page)
    page.settled()
    one.fail()
    one.settled()
    assert kept == []


def test_what_is_to_be_done_at_the_end_of_a_line_is_done_once() -> None:
    done: list[str] = []
    line = Line(lambda _: None)
    line.when_ended.append(lambda: done.append("once"))
    first = line.step()
    second = line.step()
    first.settled()
    assert done == []
    second.settled()
    line.step().settled()
    assert done == ["once"]
