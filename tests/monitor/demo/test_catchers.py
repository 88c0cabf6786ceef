"""The catchers take real SMTP and real Twilio requests and keep what they got."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from typing import TYPE_CHECKING

import httpx
import pytest

from monitor.demo.catchers import MailCatcher, TextCatcher
from monitor.demo.local_server import Answer, LocalServer

if TYPE_CHECKING:
    from pathlib import Path

URL = "/2010-04-01/Accounts/AC1/Messages.json"


def test_a_mail_is_kept_as_a_file_with_its_subject_and_text(tmp_path: Path) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "Seen: größer"
    message.set_content("She speaks from 41 s.")
    message.add_alternative("<p>She speaks</p>", subtype="html")
    with MailCatcher(tmp_path / "mail").running() as catcher:
        with smtplib.SMTP("127.0.0.1", catcher.port, timeout=10) as client:
            client.send_message(message)
        (mail,) = catcher.caught
    assert (mail.to, mail.subject, mail.text.strip()) == (
        "b@example.org",
        "Seen: größer",
        "She speaks from 41 s.",
    )
    assert mail.path.name == "001.eml"
    assert b"She speaks" in mail.path.read_bytes()


def test_an_sms_is_accepted_with_the_right_token_only(tmp_path: Path) -> None:
    form = {"To": "+12025550123", "From": "+12025550100", "Body": "You were seen."}
    with TextCatcher(tmp_path / "sms", "AC1", "token").running() as catcher:
        wrong = httpx.post(catcher.url + URL, data=form, auth=("AC1", "other"))
        right = httpx.post(catcher.url + URL, data=form, auth=("AC1", "token"))
        empty = httpx.post(catcher.url + URL, data={"To": "+1"}, auth=("AC1", "token"))
        other = httpx.post(catcher.url + "/elsewhere", data=form, auth=("AC1", "token"))
        assert [(text.to, text.body) for text in catcher.caught] == [("+12025550123", "You were seen.")]
    assert [answer.status_code for answer in (wrong, right, empty, other)] == [401, 201, 400, 404]
    assert right.json()["sid"].startswith("SM")
    assert "You were seen." in (tmp_path / "sms" / "001.txt").read_text()


def test_the_server_notes_every_request_and_answers_404_for_the_rest() -> None:
    answers = {"/": Answer(b"home"), "/go": Answer(status=302, location="http://10.0.0.1/")}
    with LocalServer(answers).running() as server, httpx.Client(base_url=server.url) as client:
        assert client.get("/").text == "home"
        assert client.get("/go").headers["location"] == "http://10.0.0.1/"
        assert client.get("/gone?x=1").status_code == 404
        assert client.head("/").content == b""
        assert client.post("/").status_code == 405
        assert server.requested == ("/", "/go", "/gone", "/", "/")


def test_an_endless_body_goes_on_until_the_client_hangs_up() -> None:
    answers = {"/endless": Answer(bytes(2**16), "image/jpeg", endless=True)}
    with (
        LocalServer(answers).running() as server,
        httpx.stream("GET", server.url + "/endless") as answer,
    ):
        size = 0
        for chunk in answer.iter_raw():
            size += len(chunk)
            if size > 2**21:
                break
    assert size > 2**21


def test_a_stopped_server_is_gone() -> None:
    with LocalServer({"/": Answer(b"home")}).running() as server:
        url = server.url
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
