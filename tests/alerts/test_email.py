"""E-mail over a real SMTP conversation: what arrives, and what each way of failing means."""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from alerts.channels import channels_from
from alerts.channels.email import SmtpEmail
from alerts.interfaces import Message
from monitor.errors import ChannelDown, ChannelRefused, ChannelUncertain, ConfigError
from monitor.settings import Settings
from tests.alerts.mailhost import HANG_UP, SILENCE, bad_server, free_port, mail_server
from tests.alerts.scene import ANA

if TYPE_CHECKING:
    from pathlib import Path

MESSAGE = Message(
    idempotency_key="incident-1.email",
    to="ana@example.org",
    subject="A notice is waiting for you",
    text="Hello Ana,\n\n.a line that starts with a full stop\nGrüße\n",
    html="<p>Hello Ana</p>",
    headers=(("List-Unsubscribe", "<https://watch.example/stop/x>"),),
)


def _to(port: int, **how: object) -> SmtpEmail:
    return SmtpEmail(
        **{"host": "127.0.0.1", "port": port, "sender": "notices@example.net", "tls": "none", **how}
    )


def test_a_mail_arrives_whole_in_text_and_html_with_nothing_attached() -> None:
    with mail_server() as (port, kept):
        reference = _to(port).send(MESSAGE)

    [mail] = kept.mails
    parts = [part.get_content_type() for part in mail.walk()]
    assert parts == ["multipart/alternative", "text/plain", "text/html"]
    assert mail.get_body(("plain",)).get_content().replace("\r\n", "\n") == MESSAGE.text
    assert mail["Message-ID"] == reference == "<incident-1.email@example.net>"
    assert (mail["From"], mail["To"]) == ("notices@example.net", "ana@example.org")
    assert mail["Subject"] == MESSAGE.subject
    assert mail["List-Unsubscribe"] == "<https://watch.example/stop/x>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert (kept.senders, kept.recipients) == (["notices@example.net"], ["ana@example.org"])


def test_a_long_link_in_a_header_stays_a_link() -> None:
    link = f"<https://watch.example/stop/{'x' * 150}>"
    with mail_server() as (port, kept):
        _to(port).send(replace(MESSAGE, headers=(("List-Unsubscribe", link),)))

    [mail] = kept.mails
    raw = dict(mail.raw_items())
    assert raw["List-Unsubscribe"].strip() == link


def test_trying_again_carries_the_same_message_id() -> None:
    with mail_server() as (port, kept):
        _to(port).send(MESSAGE)
        _to(port).send(MESSAGE)

    assert kept.mails[0]["Message-ID"] == kept.mails[1]["Message-ID"]


@pytest.mark.parametrize(
    ("step", "reply", "error"),
    [
        ("greeting", HANG_UP, ChannelDown),
        ("greeting", b"421 too busy", ChannelDown),
        ("greeting", b"554 not for you", ChannelDown),
        ("greeting", SILENCE, ChannelDown),
        ("ehlo", HANG_UP, ChannelDown),
        ("mail", b"451 later", ChannelDown),
        ("mail", b"550 who are you", ChannelRefused),
        ("rcpt", b"450 greylisted", ChannelDown),
        ("rcpt", b"550 no such user", ChannelRefused),
        ("rcpt", HANG_UP, ChannelDown),
        ("data", b"451 later", ChannelDown),
        ("data", b"554 no", ChannelRefused),
        ("data", HANG_UP, ChannelDown),
        ("data", SILENCE, ChannelDown),
        ("end", b"451 disk full", ChannelDown),
        ("end", b"554 looks like spam", ChannelRefused),
        ("end", HANG_UP, ChannelUncertain),
        ("end", SILENCE, ChannelUncertain),
    ],
)
def test_each_way_of_failing_says_whether_it_may_have_been_sent(
    step: str, reply: bytes, error: type[Exception]
) -> None:
    with bad_server(**{step: reply}) as (port, arrived), pytest.raises(error) as raised:
        _to(port, timeout_s=0.3).send(MESSAGE)

    assert type(raised.value) is error
    assert len(arrived) == (1 if step == "end" else 0)
    assert "ana" not in str(raised.value), "an error is stored and logged, an address is not"


def test_after_the_servers_yes_a_bad_goodbye_changes_nothing() -> None:
    with bad_server(quit=HANG_UP) as (port, arrived):
        assert _to(port).send(MESSAGE)

    assert len(arrived) == 1


def test_nobody_listening_means_not_sent() -> None:
    with pytest.raises(ChannelDown):
        _to(free_port()).send(MESSAGE)


def test_with_starttls_nothing_goes_out_in_the_clear(certificate: Path) -> None:
    with mail_server(tls=_server_side(certificate)) as (port, kept):
        trusting = ssl.create_default_context(cafile=str(certificate))
        _to(port, host="localhost", tls="starttls", tls_context=trusting).send(MESSAGE)

    assert kept.secure == [True]


def test_a_server_without_starttls_gets_nothing() -> None:
    with mail_server() as (port, kept), pytest.raises(ChannelDown):
        _to(port, tls="starttls").send(MESSAGE)

    assert kept.mails == []


def test_a_server_with_a_certificate_of_nobody_gets_nothing(certificate: Path) -> None:
    with mail_server(tls=_server_side(certificate)) as (port, kept), pytest.raises(ChannelDown):
        _to(port, host="localhost", tls="starttls").send(MESSAGE)

    assert kept.mails == []


def test_user_and_password_are_given_and_a_wrong_one_can_be_put_right_later(certificate: Path) -> None:
    how = {"host": "localhost", "tls": "starttls", "user": "watch"}
    trusting = ssl.create_default_context(cafile=str(certificate))
    with mail_server(tls=_server_side(certificate), login=("watch", "right")) as (port, kept):
        _to(port, password="right", tls_context=trusting, **how).send(MESSAGE)
        with pytest.raises(ChannelDown):
            _to(port, password="wrong", tls_context=trusting, **how).send(MESSAGE)

    assert len(kept.mails) == 1


def test_an_address_with_foreign_letters_in_its_domain_is_spelled_out() -> None:
    message = Message("k", "ana@bücher.example", "s", "t")
    with mail_server() as (port, kept):
        _to(port).send(message)

    assert kept.recipients == ["ana@xn--bcher-kva.example"]


def test_an_address_that_mail_servers_may_not_know_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ChannelRefused):
        _to(free_port()).send(Message("k", "añá@example.org", "s", "t"))


def test_the_password_is_not_in_what_python_prints() -> None:
    assert "hunter2" not in repr(_to(25, user="watch", password="hunter2"))


def test_settings_make_the_channel_and_refuse_what_does_not_go_together() -> None:
    [channel] = channels_from(Settings(smtp_host="mail.example", mail_from="Notices <n@example.net>"))
    assert channel.address_of(ANA) == "ana@example.org"
    assert channels_from(Settings()) == ()
    with pytest.raises(ConfigError, match="MAIL_FROM"):
        channels_from(Settings(smtp_host="mail.example"))
    with pytest.raises(ConfigError, match="this machine"):
        channels_from(Settings(smtp_host="mail.example", mail_from="n@example.net", smtp_tls="none"))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a self-signed certificate for localhost, key and all in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def _server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
