"""SMS by a local HTTP server that speaks Twilio's API."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from alerts.channels import channels_from
from alerts.channels.sms import TwilioSms
from alerts.interfaces import Message
from monitor.errors import ChannelDown, ChannelRefused, ChannelUncertain, ConfigError
from monitor.settings import Settings
from tests.alerts.mailhost import free_port
from tests.alerts.scene import ANA

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGE = Message("k", "+491701234567", "ignored", "You have a new private message: https://w.example/m/x")


class _Twilio(BaseHTTPRequestHandler):
    """Answers as the server it belongs to was told: a status, or closing the connection."""

    server: Any

    def do_POST(self) -> None:
        """Take one message."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.taken.append((self.path, self.headers["Authorization"], parse_qs(body)))
        status = self.server.status
        if status == 0:
            self.close_connection = True
            return
        if status < 0:
            time.sleep(-status)
            return
        self.send_response(status)
        if status in {301, 307}:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        content = json.dumps({"sid": "SM0123", "message": "about +491701234567"}).encode()
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@contextlib.contextmanager
def _twilio(status: int = 201) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Twilio)
    server.status, server.taken = status, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _to(port: int, **how: Any) -> TwilioSms:
    return TwilioSms(
        **{
            "account": "AC1",
            "token": "s3cret",
            "sender": "+15005550006",
            "countries": frozenset({"DE"}),
            "base_url": f"http://127.0.0.1:{port}",
            **how,
        }
    )


def test_one_request_in_twilios_own_words() -> None:
    with _twilio() as server:
        assert _to(server.server_port).send(MESSAGE) == "SM0123"

    [(path, authorization, form)] = server.taken
    assert path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert base64.b64decode(authorization.removeprefix("Basic ")) == b"AC1:s3cret"
    assert form == {"To": [MESSAGE.to], "From": ["+15005550006"], "Body": [MESSAGE.text]}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ChannelRefused),
        (401, ChannelDown),
        (403, ChannelDown),
        (404, ChannelDown),
        (429, ChannelDown),
        (500, ChannelUncertain),
        (503, ChannelUncertain),
        (307, ChannelRefused),
        (0, ChannelUncertain),
        (-1, ChannelUncertain),
    ],
)
def test_each_answer_says_whether_it_may_have_been_sent(status: int, error: type[Exception]) -> None:
    with _twilio(status) as server, pytest.raises(error) as raised:
        _to(server.server_port, timeout_s=0.3).send(MESSAGE)

    assert type(raised.value) is error
    assert len(server.taken) == 1, "asked once, and no redirect is followed with the token"
    assert "170123" not in str(raised.value)


def test_nobody_listening_means_not_sent() -> None:
    with pytest.raises(ChannelDown):
        _to(free_port()).send(MESSAGE)


@pytest.mark.parametrize("number", ["+15005550006", "+23276123456", "+88213123456", "0170 1234567", "x"])
def test_a_country_that_is_not_on_the_list_is_never_asked_for(number: str) -> None:
    with _twilio() as server, pytest.raises(ChannelRefused):
        _to(server.server_port).send(Message("k", number, "", "text"))

    assert server.taken == []


def test_an_empty_list_of_countries_allows_none() -> None:
    with pytest.raises(ChannelRefused):
        _to(free_port(), countries=frozenset()).send(MESSAGE)


def test_the_token_is_not_in_what_python_prints() -> None:
    assert "s3cret" not in repr(_to(1))


def test_settings_make_the_channel_and_refuse_what_does_not_go_together() -> None:
    whole = {"twilio_account": "AC1", "twilio_token": "s3cret", "twilio_from": "+15005550006"}
    [channel] = channels_from(Settings(**whole, sms_countries="de, fr"))
    assert channel.address_of(ANA) == "+491701234567"
    assert channel.countries == {"DE", "FR"}
    with pytest.raises(ConfigError, match="XX"):
        channels_from(Settings(**whole, sms_countries="XX"))
    with pytest.raises(ConfigError, match="TWILIO"):
        channels_from(Settings(twilio_account="AC1"))
