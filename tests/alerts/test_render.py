"""What a mail and an SMS say, and what they must never say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from alerts.outbox import tell_due
from alerts.tables import Incident
from monitor.db import reading, writing
from monitor.tables import MediaOrigin
from monitor.values import Band, MediaKind, Span, SubjectId
from tests.alerts import scene

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from alerts.interfaces import Message
    from monitor.crypto import KeyEncryptionKeys


def _told(
    engine: Engine,
    keys: KeyEncryptionKeys,
    contact: object = scene.ANA,
    channel: str = "email",
    **how: object,
) -> Message:
    ana = scene.subject(engine, keys)
    scene.finding(engine, keys, ana, **how)
    return _tell(engine, keys, ana, contact, channel)


def _tell(
    engine: Engine,
    keys: KeyEncryptionKeys,
    ana: SubjectId,
    contact: object = scene.ANA,
    channel: str = "email",
) -> Message:
    spool = scene.spool(channel)
    tell_due(engine, keys, scene.book(ana, contact), [spool], scene.links(), scene.NOON)
    [message] = spool.sent
    return message


@pytest.fixture
def video(sqlite_engine: Engine, keys: KeyEncryptionKeys) -> Message:
    return _told(
        sqlite_engine,
        keys,
        kind=MediaKind.VIDEO,
        voice=0.7,
        face_spans=(Span(12.2, 44.2),),
        voice_spans=(Span(62.5, 80.1),),
    )


def test_the_mail_says_what_when_where_how_sure_and_what_next(video: Message) -> None:
    text = " ".join(video.text.split())
    for part in (
        "Hello Ana,",
        "We came across a video.",
        "A face that looks like yours is in it, from 0:12 to 0:45 (minutes:seconds).",
        "A voice that sounds like yours speaks in it, from 1:02 to 1:21 (minutes:seconds).",
        "pictures[.]example/a/ seen by us on 3 May 2026, 12:00 UTC",
        "We are very sure: the face and voice are close to what you gave us.",
        "it can be wrong",
        "We have not checked whether it is real or made by a computer",
        "nothing has to be decided today",
        "within 3 days",
        "call your local emergency number",
        "TO STOP THESE MESSAGES https://watch.example/stop/",
    ):
        assert part in text


def test_both_bodies_say_the_same(video: Message) -> None:
    for line in ("0:12 to 0:45", "1:02 to 1:21", "pictures[.]example/a/", "not checked whether it is real"):
        assert line in video.text
        assert line in video.html


def test_the_subject_line_and_the_first_lines_tell_a_bystander_nothing(video: Message) -> None:
    preview = video.subject + " ".join(video.text.split())[:160]
    preview += re.sub(r"<[^>]+>", " ", video.html.split("<main>")[1])[:200]
    for word in ("face", "voice", "video", "picture", "likeness", "fake", "alert", "watch"):
        assert word not in preview.lower()


def test_a_mail_holds_no_picture_nothing_remote_and_no_way_to_see_that_it_was_opened(video: Message) -> None:
    assert "<img" not in video.html
    assert "url(" not in video.html
    addresses = set(re.findall(r"https?://[^\s\"<>)]+", video.html + video.text))
    assert {address.split("/")[2] for address in addresses} == {"watch.example"}


def test_mail_programs_are_told_how_to_unsubscribe_with_a_post(video: Message) -> None:
    headers = dict(video.headers)
    assert headers["List-Unsubscribe"].startswith("<https://watch.example/stop/")
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_sound_recording_says_at_which_seconds_the_voice_speaks(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    message = _told(
        sqlite_engine, keys, kind=MediaKind.AUDIO, face=None, voice=0.7, voice_spans=(Span(30.0, 44.9),)
    )
    text = " ".join(message.text.split())

    assert (
        "We came across a sound recording. A voice that sounds like yours speaks in it, from 0:30 to 0:45"
        in text
    )
    assert "We are fairly sure: the voice is close" in text
    assert "face" not in text


def test_an_sms_is_one_neutral_sentence_that_fits_one_message(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    message = _told(sqlite_engine, keys, channel="sms")

    assert re.fullmatch(r"You have a new private message: https://watch\.example/m/[\w.-]+", message.text)
    assert len(message.text) <= 160
    assert message.html == ""


def test_what_a_hostile_site_or_name_holds_is_never_markup(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    contact = scene.Contact("<b>Ana</b>", "ana@example.org", "")
    message = _told(sqlite_engine, keys, contact, page_url="https://a.example/<script>alert(1)</script>")

    assert "<script" not in message.html
    assert "&lt;b&gt;Ana" in message.html
    assert "&lt;script&gt;" in message.html


def test_many_places_and_copies_are_counted_and_not_listed(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    ana = scene.subject(sqlite_engine, keys)
    for _ in range(3):
        scene.finding(sqlite_engine, keys, ana, marks=(scene.mark(1),))
    with writing(sqlite_engine) as session:
        media = session.exec(select(MediaOrigin.media_id)).all()
        for one in media:
            for number in range(9):
                session.add(
                    MediaOrigin(
                        media_id=one, kind="crawl", url=f"https://c.example/{number}", seen_at=scene.NOON
                    )
                )
    text = " ".join(_tell(sqlite_engine, keys, ana).text.split())

    assert "We found 2 more copies of it," in text
    assert "and 7 more, listed on your private page" in text


def test_a_doubtful_match_that_an_operator_let_through_is_called_doubtful(
    sqlite_engine: Engine, keys: KeyEncryptionKeys
) -> None:
    ana = scene.subject(sqlite_engine, keys)
    scene.finding(sqlite_engine, keys, ana, band=Band.REVIEW)
    spool = scene.spool()
    for _ in range(2):
        tell_due(sqlite_engine, keys, scene.book(ana), [spool], scene.links(), scene.NOON)
        with writing(sqlite_engine) as session:
            incident = session.exec(select(Incident)).one()
            incident.state, incident.looked_at = "open", scene.NOON

    [message] = spool.sent
    assert "We are not sure" in message.text
    assert "Somebody on our team has looked at it" in message.text
    with reading(sqlite_engine) as session:
        assert session.exec(select(Incident)).one().state == "open"
