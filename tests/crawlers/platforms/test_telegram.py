"""Telegram's previews of public channels, on pages in the shape that t.me gives them."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from crawlers.platforms.interfaces import Ask, Step
from crawlers.platforms.telegram import FIRST_PAGES, Telegram
from monitor.errors import ConfigError, FetchWrongType
from tests.crawlers.platforms.reading import answer, watch

HOME = "https://t.me/s/example_channel"
PAGE = "https://t.me/example_channel/"
TAG = "channel example_channel"
T = Telegram()


def photo(number: int) -> str:
    url = f"https://cdn4.telesco.pe/file/{number}.jpg"
    return f"""<a class="tgme_widget_message_photo_wrap x" href="{PAGE}{number}"
      style="width:800px;background-image:url('{url}')"><div class="tgme_widget_message_photo"></div></a>"""


def message(
    number: int,
    shown: str | None = None,
    at: str = "2026-11-19T10:00:00+00:00",
    name: str = "example_channel",
) -> str:
    return f"""<div class="tgme_widget_message_wrap js-widget_message_wrap">
      <div class="tgme_widget_message js-widget_message" data-post="{name}/{number}" data-view="x">
       <div class="tgme_widget_message_user"><a href="{PAGE}"><i class="tgme_widget_message_user_photo">
        <img src="https://cdn4.telesco.pe/file/avatar.jpg"></i></a></div>
       {photo(number) if shown is None else shown}
       <div class="tgme_widget_message_text js-message_text" dir="auto">Ada<br/>on <b>stage</b></div>
       <a class="tgme_widget_message_date" href="{PAGE}{number}"><time datetime="{at}">10:00</time></a>
      </div></div>"""


def page(*messages: str) -> bytes:
    section = '<section class="tgme_channel_history js-message_history">'
    return f"<!DOCTYPE html><html><body>{section}{''.join(messages)}</section></body></html>".encode()


def first_ask(cursor: str = "") -> Ask:
    return next(iter(T.begin(watch(HOME, None, {TAG: cursor} if cursor else {}))))


def read(ask: Ask, body: bytes, cursor: str = "") -> Step:
    return T.read(answer(ask, body), watch(HOME, None, {TAG: cursor} if cursor else {}))


def parameters(ask: Ask) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(ask.url).query))


def test_the_first_run_reads_backwards_and_the_next_goes_on_from_the_newest() -> None:
    ask = first_ask()
    assert (ask.url, ask.tag) == (HOME, TAG)
    step = read(ask, page(message(40), message(52), message(53, shown="")))
    assert [post.url for post in step.posts] == [f"{PAGE}40", f"{PAGE}52"]
    assert parameters(step.asks[0]) == {"before": "40"}
    assert (step.cursor, step.cursor_at_end) == (None, "53 52")
    later = first_ask("53 52")
    assert parameters(later) == {"after": "51"}
    step = read(later, page(message(52), message(53, shown=""), message(54), message(56)), "53 52")
    assert [post.url for post in step.posts] == [f"{PAGE}54", f"{PAGE}56"]
    assert (step.gone, step.cursor) == ((), "56 54 53 52")
    assert parameters(step.asks[0]) == {"after": "56"}
    end = read(step.asks[0], page(), "53 52")
    assert (end.posts, end.asks) == ((), ())
    assert (end.cursor or "").startswith("56")


def test_a_message_that_is_not_between_its_neighbours_any_more_is_gone() -> None:
    ask = first_ask("56 54 52")
    assert parameters(ask) == {"after": "51"}
    step = read(ask, page(message(52), message(56), message(57)), "56 54 52")
    assert step.gone == (f"{PAGE}54",)
    assert step.cursor == "57 56 52"
    quiet = read(ask, page(message(52), message(56)), "56 54 52")
    assert (quiet.gone, quiet.asks, quiet.cursor) == ((f"{PAGE}54",), (), "56 52")
    assert read(ask, page(), "56 54 52").gone == ()
    assert T.read(answer(ask, b"", 404), watch(HOME)) == Step()


def test_all_that_a_message_shows_is_taken_and_no_profile_picture() -> None:
    shown = """
      <a class="tgme_widget_message_video_player" href="#">
       <i class="tgme_widget_message_video_thumb" style="background-image:url('https://c.example/v.jpg')"></i>
       <video src="https://c.example/v.mp4?token=a&amp;b=1" class="tgme_widget_message_video js"></video></a>
      <audio class="tgme_widget_message_voice js" src="https://c.example/voice.oga"></audio>
      <i class="link_preview_image" style="background-image: url(//c.example/link.jpg);padding-top:5%"></i>
      <i class="emoji" style="background-image:url('//telegram.org/img/emoji/1.png')"></i>"""
    post = read(first_ask(), page(message(7, shown))).posts[0]
    assert [link.url for link in post.media] == [
        "https://c.example/v.jpg",
        "https://c.example/v.mp4?token=a&b=1",
        "https://c.example/voice.oga",
        "https://c.example/link.jpg",
    ]
    assert (post.url, post.title) == (f"{PAGE}7", "Ada on stage")
    assert post.posted_at is not None
    assert post.posted_at.isoformat() == "2026-11-19T10:00:00+00:00"


def test_wrong_dates_and_messages_of_others_move_no_cursor() -> None:
    wrong = page(
        message(5, at="2999-01-01T00:00:00+00:00"),
        message(6, at="noon"),
        message(900, name="other_channel"),
        message(0).replace("example_channel/0", "example_channel/x"),
    )
    step = read(first_ask(), wrong)
    assert [post.url for post in step.posts] == [f"{PAGE}5", f"{PAGE}6"]
    assert step.cursor_at_end == "6"
    assert read(first_ask("4"), page(message(9, at="2999-01-01T00:00:00+00:00")), "4").cursor == "4"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b"{}",
        b"<html><body><div class='tgme_page_title'>Join</div></body></html>",
        b"<html><body><div class='tgme_channel_history_unavailable'></div></body></html>",
    ],
)
def test_what_is_no_preview_has_a_code(body: bytes) -> None:
    with pytest.raises(FetchWrongType):
        read(first_ask(), body)


def test_broken_html_shows_what_can_be_read() -> None:
    body = page(message(3), message(4))
    assert [post.url for post in read(first_ask(), body[: body.rindex(b"<time")]).posts] == [
        f"{PAGE}3",
        f"{PAGE}4",
    ]
    deep = page(message(3) + "<div>" * 50_000)
    assert read(first_ask(), deep).posts[0].url == f"{PAGE}3"


def test_a_channel_without_end_ends() -> None:
    ask, pages = first_ask(), 0
    while True:
        pages += 1
        step = read(ask, page(message(10**6 - pages)))
        if not step.asks:
            break
        ask = step.asks[0]
    assert pages == FIRST_PAGES
    same = first_ask("53 52")
    assert read(same, page(message(52), message(53)), "53 52").asks == ()


def test_telegram_says_itself_how_long_to_wait_by_retry_after_alone() -> None:
    busy = answer(first_ask(), b"", 429, retry_after="30")
    assert T.wait_s(busy, watch(HOME)) is None


def test_channels_are_named_by_the_address_or_by_the_options() -> None:
    T.check(HOME, {})
    T.check("https://t.me/", {"channels": "one_channel|Another"})
    asks = list(T.begin(watch("https://t.me/", channels="one_channel| Another")))
    assert [one.url for one in asks] == ["https://t.me/s/one_channel", "https://t.me/s/Another"]
    for url, options in (
        ("https://t.me/", {}),
        (HOME, {"token": "x"}),
        (HOME, {"channels": "a/b"}),
        ("https://t.me/s/+secret", {}),
    ):
        with pytest.raises(ConfigError):
            T.check(url, options)
