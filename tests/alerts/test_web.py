"""The pages: who may see what, for how long, and what a form may do."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from alerts.links import OPEN_FOR, Links, Purpose
from alerts.tables import Alert, FindingSession, LinkUse, MessageStop
from monitor.db import reading, utc_now, writing
from monitor.errors import ConfigError
from monitor.tables import AuditEvent, MediaOrigin
from monitor.values import (
    CouldNotLook,
    MediaKind,
    Span,
    SyntheticAssessment,
    SyntheticSignal,
    SyntheticStatus,
)
from tests.alerts import scene
from tests.alerts.visitor import Visitor, link_in, stop_link_in

if TYPE_CHECKING:
    from pathlib import Path


def test_the_page_tells_everything_that_is_known(visitor: Visitor) -> None:
    declared = SyntheticAssessment(
        SyntheticStatus.DECLARED, (SyntheticSignal("png", "Made with ImageMaker.", "synthetic"),), ""
    )
    path = visitor.opened(
        kind=MediaKind.VIDEO,
        voice=0.7,
        face_spans=(Span(12, 44.2),),
        voice_spans=(Span(62, 80),),
        synthetic=declared,
        not_looked=(CouldNotLook("the rest", "limit", "only the first hour was looked at"),),
    )

    answer = visitor.browser.get(path)

    assert answer.status_code == 200
    page = " ".join(answer.text.split())
    for part in (
        "A face that looks like yours is in it, from 0:12 to 0:45 (minutes:seconds).",
        "A voice that sounds like yours speaks in it, from 1:02 to 1:20 (minutes:seconds).",
        "https://pictures.example/a/1.jpg",
        "We are very sure",
        "For it: The face is close to the enrolled one.",
        "Against it: The picture is small.",
        "The file itself says that it was made or changed by a computer",
        "Made with ImageMaker. (not signed by anybody we know)",
        "the rest: only the first hour was looked at",
        "Show the face that we compared",
    ):
        assert part in page
    assert 'href="https://pictures' not in page


def test_the_face_comes_from_the_sealed_evidence(visitor: Visitor) -> None:
    found = visitor.found()
    [message] = visitor.told()
    path = visitor.open(link_in(message))

    answer = visitor.browser.get(f"{path}/faces/{found}")

    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content == scene.jpeg()
    assert answer.headers["cache-control"] == "no-store"


def test_a_finding_by_voice_alone_has_no_face(visitor: Visitor) -> None:
    found = visitor.found(kind=MediaKind.AUDIO, face=None, voice=0.7)
    path = visitor.open(link_in(visitor.told()[0]))

    assert "Show the face" not in visitor.browser.get(path).text
    assert visitor.browser.get(f"{path}/faces/{found}").status_code == 404


def test_the_door_is_the_same_for_every_token(visitor: Visitor) -> None:
    right = visitor.browser.get(link_in(visitor.message()))
    wrong = visitor.browser.get("/m/nonsense")

    assert (right.status_code, right.text) == (wrong.status_code, wrong.text) == (200, right.text)


def test_the_cookie_is_for_one_incident_only_and_out_of_reach(visitor: Visitor) -> None:
    answer = visitor.browser.post(link_in(visitor.message()))

    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=strict", f"Path={answer.headers['location']}", "Max-Age=1800"):
        assert part in cookie
    with reading(visitor.engine) as session:
        kept = session.exec(select(FindingSession)).one().cookie_sha256
    assert kept not in cookie, "a copy of the database opens no page"


def test_over_https_the_cookie_never_travels_in_the_clear(tmp_path: Path) -> None:
    visitor = Visitor.at(tmp_path / "home", public_url="https://testserver")
    answer = visitor.browser.post(link_in(visitor.message()))

    assert "; Secure" in answer.headers["set-cookie"]
    assert "strict-transport-security" in answer.headers
    assert visitor.browser.get(answer.headers["location"]).status_code == 200
    visitor.browser.close()
    visitor.engine.dispose()


def test_a_link_opens_once(visitor: Visitor) -> None:
    link = link_in(visitor.message())
    visitor.open(link)

    again = visitor.browser.post(link)

    assert again.status_code == 410
    assert "Send a fresh link" in again.text


def test_a_link_that_is_too_old_opens_nothing_and_asks_for_a_fresh_one(visitor: Visitor) -> None:
    visitor.message()
    with reading(visitor.engine) as session:
        alert = session.exec(select(Alert)).one()
    earlier = scene.Clock(utc_now() - OPEN_FOR - timedelta(minutes=1))
    old = f"/m/{Links(scene.SECRET, 'http://testserver', earlier).token(Purpose.OPEN, alert.id)}"

    assert visitor.browser.post(old).status_code == 410
    assert visitor.browser.post(f"{old}/again").status_code == 200
    [message] = visitor.told()
    assert "here is the fresh link" in message.text
    assert visitor.browser.get(visitor.open(link_in(message))).status_code == 200


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "%2E%2E", "%00", "ä", "x" * 2000])
def test_a_token_that_is_not_ours_opens_nothing_and_sends_nothing(visitor: Visitor, token: str) -> None:
    visitor.message()

    assert visitor.browser.post(f"/m/{token}").status_code in {404, 410}
    assert visitor.browser.post(f"/m/{token}/again").status_code in {200, 404}
    assert visitor.browser.post(f"/stop/{token}").status_code in {403, 404}
    assert visitor.told() == []


def test_a_token_to_stop_messages_does_not_open_the_page_nor_the_other_way_round(visitor: Visitor) -> None:
    message = visitor.message()

    assert visitor.browser.post(f"/m/{stop_link_in(message).split('/')[2]}").status_code == 410
    assert visitor.browser.post(f"/stop/{link_in(message).split('/')[2]}").status_code == 403


def test_one_incident_open_does_not_open_another(visitor: Visitor) -> None:
    first = visitor.found(marks=(scene.mark(1),))
    visitor.told()
    path = visitor.opened(marks=(scene.mark(2),))
    with reading(visitor.engine) as session:
        ids = {alert.incident_id for alert in session.exec(select(Alert))}
    [other] = ids - {path.rpartition("/")[2]}
    cookie = visitor.browser.cookies.get("page")

    assert visitor.browser.get(f"{path}/faces/{first}").status_code == 404
    theirs = visitor.browser.get(f"/sightings/{other}", headers={"cookie": f"page={cookie}"})
    assert theirs.status_code == 403
    assert "pictures.example" not in theirs.text


def test_without_a_cookie_there_is_nothing_to_see(visitor: Visitor) -> None:
    path = visitor.opened()
    visitor.browser.cookies.clear()

    assert visitor.browser.get(path).status_code == 403
    assert visitor.browser.get("/sightings/whatever").status_code == 403


def test_the_page_closes_by_itself_and_by_the_button(visitor: Visitor) -> None:
    path = visitor.opened()
    with writing(visitor.engine) as session:
        session.exec(select(FindingSession)).one().expires_at = utc_now() - timedelta(seconds=1)
    assert visitor.browser.get(path).status_code == 403

    path = visitor.opened(marks=(scene.mark(1),))
    assert visitor.browser.get(path).status_code == 200
    visitor.browser.post(f"{path}/close")
    assert visitor.browser.get(path).status_code == 403


def test_every_opening_of_the_page_is_on_record(visitor: Visitor) -> None:
    visitor.browser.get(visitor.opened())

    with reading(visitor.engine) as session:
        [event] = session.exec(select(AuditEvent).where(AuditEvent.action == "sighting.open"))
    assert (event.actor, event.subject_id) == ("subject", visitor.ana)


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}],
)
def test_a_form_from_another_site_does_nothing(visitor: Visitor, headers: dict[str, str]) -> None:
    link = link_in(visitor.message())

    assert visitor.browser.post(link, headers=headers).status_code == 403
    assert visitor.browser.post(f"{link}/again", headers=headers).status_code == 403
    with reading(visitor.engine) as session:
        assert session.exec(select(LinkUse)).all() == []
    path = visitor.open(link)
    assert visitor.browser.post(f"{path}/close", headers=headers).status_code == 403
    assert visitor.browser.get(path).status_code == 200


def test_a_browsers_own_form_is_taken(visitor: Visitor) -> None:
    link = link_in(visitor.message())

    answer = visitor.browser.post(
        link, headers={"sec-fetch-site": "same-origin", "origin": "http://testserver"}
    )

    assert answer.status_code == 303


def test_messages_stop_on_a_post_and_start_again_on_another(visitor: Visitor) -> None:
    stop = stop_link_in(visitor.message())
    asked = visitor.browser.get(stop)
    assert "Nothing is stopped yet" in asked.text

    visitor.browser.post(stop, data={"what": "this"})
    assert _stopped(visitor) == {"email"}
    visitor.browser.post(stop, data={"what": "all"})
    assert _stopped(visitor) == {"email", "sms"}
    visitor.found()
    assert visitor.told() == []

    visitor.browser.post(stop, data={"what": "resume"})
    assert _stopped(visitor) == set()
    visitor.found()
    assert len(visitor.told()) == 1


def test_a_mail_programs_one_click_stops_messages_without_any_cookie_or_origin(visitor: Visitor) -> None:
    message = visitor.message()
    address = dict(message.headers)["List-Unsubscribe"].strip("<>")

    answer = visitor.browser.post(
        address, data={"List-Unsubscribe": "One-Click"}, headers={"sec-fetch-site": "cross-site"}
    )

    assert answer.status_code == 200
    assert _stopped(visitor) == {"email"}


def _stopped(visitor: Visitor) -> set[str]:
    with reading(visitor.engine) as session:
        return {row.channel for row in session.exec(select(MessageStop))}


def test_after_an_erasure_every_link_and_page_is_dead(visitor: Visitor) -> None:
    message = visitor.message()
    path = visitor.opened(marks=(scene.mark(1),))
    scene.erase(visitor.engine, visitor.ana)

    assert visitor.browser.get(path).status_code == 403
    assert visitor.browser.post(link_in(message)).status_code == 410
    assert visitor.browser.post(f"{link_in(message)}/again").status_code == 200
    assert visitor.browser.post(stop_link_in(message)).status_code == 403


def test_what_a_hostile_site_wrote_is_never_markup(visitor: Visitor) -> None:
    path = visitor.opened(page_url="https://a.example/<script>alert(1)</script>\u202e")

    page = visitor.browser.get(path).text

    assert "<script>" not in page
    assert page.count("<script") == 1  # our own way out
    assert "\u202e" not in page


def test_every_place_of_every_copy_is_on_the_page(visitor: Visitor) -> None:
    visitor.found(marks=(scene.mark(1),), url="https://one.example/1.jpg", page_url=None)
    visitor.found(marks=(scene.mark(1),), url="https://two.example/2.jpg", page_url=None)
    path = visitor.open(link_in(visitor.told()[0]))
    with writing(visitor.engine) as session:
        media = session.exec(select(MediaOrigin.media_id)).first()
        session.add(
            MediaOrigin(media_id=media, kind="crawl", url="https://three.example/3.jpg", seen_at=scene.NOON)
        )

    page = visitor.browser.get(path).text

    for site in ("one.example", "two.example", "three.example"):
        assert site in page


def test_a_fresh_link_goes_out_at_most_once_an_hour(visitor: Visitor) -> None:
    link = link_in(visitor.message())
    for _ in range(5):
        assert visitor.browser.post(f"{link}/again").status_code == 200

    assert 1 <= len(visitor.told()) <= 2, "two where the hour struck in between"


@pytest.mark.parametrize("secret", [None, "short"])
def test_a_web_process_without_a_good_link_secret_does_not_start(tmp_path: Path, secret: str | None) -> None:
    with pytest.raises(ConfigError, match="LINK_SECRET"):
        Visitor.at(tmp_path, link_secret=secret)
