"""Somebody who is no partner pushes, or pushes again what a partner pushed; or signs with a revoked key.

The answer: Standard Webhooks signatures over the body, five minutes, ids that are remembered with the items
they brought, keys that stop counting in the same transaction in which they are revoked.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import col, func, select
from standardwebhooks import Webhook

from monitor.crypto import new_signing_pair
from monitor.db import reading, utc_now, writing
from monitor.partners import entering, feeds
from monitor.partners.entering import Given, Push
from monitor.partners.feeds import KeyWish, NewFeed
from monitor.partners.signatures import WINDOW_S
from monitor.partners.tables import FeedItem
from tests.monitor.partners.partner import ACTOR, TAKEDOWNS, Partner, is_problem, item, png

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

BODY = json.dumps(item("a", png())).encode()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Partner]:
    with Partner.at(tmp_path_factory.mktemp("partners")) as partner:
        yield partner


_numbers = iter(range(10**6))


@pytest.fixture
def partner(process: Partner) -> Partner:
    return process.add(f"agency-{next(_numbers)}")


def _nothing_came(partner: Partner) -> bool:
    with reading(partner.engine) as session:
        feed = feeds.find(session, partner.name)
        return session.exec(select(func.count()).where(FeedItem.feed_id == feed.id)).one() == 0


def test_what_the_reference_signs_is_taken(partner: Partner) -> None:
    signed = Webhook(partner.secret).sign("msg_1", utc_now().replace(tzinfo=None), BODY.decode())
    headers = partner.signed(BODY, message_id="msg_1") | {"webhook-signature": signed}
    answer = partner.browser.post(
        f"/v1/feeds/{partner.name}/items",
        content=BODY,
        headers={"content-type": "application/json", **headers},
    )
    assert answer.status_code == 202


def test_what_is_taken_the_reference_takes(partner: Partner) -> None:
    assert Webhook(partner.secret).verify(BODY, partner.signed(BODY)) == json.loads(BODY)


def _ed25519(partner: Partner) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    public, private = new_signing_pair()
    partner.new_key(KeyWish("whpk_" + base64.b64encode(public).decode()))
    time.sleep(1.05)  # what the process remembers of a feed is a second old at most
    return Ed25519PrivateKey.from_private_bytes(private)


def test_an_ed25519_signature_is_taken_and_a_changed_one_is_not(partner: Partner) -> None:
    key = _ed25519(partner)
    headers = partner.signed(BODY)
    raw = key.sign(f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + BODY)
    for signature, status in ((raw[:-1] + bytes([raw[-1] ^ 1]), 401), (raw, 202)):
        signed = "v1,AAAA v1a," + base64.b64encode(signature).decode()
        answer = partner.send(BODY, headers={**headers, "webhook-signature": signed})
        assert answer.status_code == status


FORGED: dict[str, dict[str, Any]] = {
    "another secret": {"secret": b"x" * 32},
    "another body": {"signed": BODY.replace(b'"a"', b'"b"')},
    "no signature": {"headers": {"webhook-signature": ""}},
    "a signature of another version": {"headers": {"webhook-signature": "v2,AAAA"}},
    "a signature that is no base64": {"headers": {"webhook-signature": "v1,***"}},
    "an empty signature": {"headers": {"webhook-signature": "v1,"}},
    "another id": {"headers": {"webhook-id": "msg_other"}},
    "no id": {"headers": {"webhook-id": ""}},
    "an id with a full stop": {"message_id": "a.b"},
    "a long id": {"message_id": "a" * 129},
    "another time": {"headers": {"webhook-timestamp": "1798761600"}},
    "no time": {"headers": {"webhook-timestamp": ""}},
    "a time that is none": {"headers": {"webhook-timestamp": "now"}},
    "a time with a fraction": {"headers": {"webhook-timestamp": f"{time.time()}"}},
    "a time without end": {"headers": {"webhook-timestamp": "9" * 400}},
    "too old": {"late": -WINDOW_S - 60},
    "of the future": {"late": WINDOW_S + 60},
    "before 1970": {"headers": {"webhook-timestamp": "-1"}},
}


@pytest.mark.parametrize("how", FORGED.values(), ids=FORGED)
def test_a_forged_message_changes_nothing(partner: Partner, how: dict[str, Any]) -> None:
    answer = partner.send(BODY, **how)
    assert answer.status_code == 401
    assert answer.json()["code"] in {"signature_missing", "signature_wrong", "timestamp_outside"}
    assert answer.headers["www-authenticate"] == "Standard-Webhooks"
    assert _nothing_came(partner)


@pytest.mark.parametrize("seconds", [-WINDOW_S + 20, WINDOW_S - 20])
def test_a_clock_may_be_off_by_less_than_five_minutes(partner: Partner, seconds: int) -> None:
    assert partner.send(BODY, late=seconds).status_code == 202


def test_a_message_counts_once_however_often_it_is_sent(partner: Partner) -> None:
    headers = partner.signed(BODY)
    assert partner.send(BODY, headers=headers).status_code == 202
    is_problem(partner.send(BODY, headers=headers), 409, "message_replayed")
    later = partner.signed(BODY, message_id=headers["webhook-id"], at=time.time() + 1)
    is_problem(partner.send(BODY, headers=later), 409, "message_replayed")


def test_an_id_counts_once_on_all_routes_together(partner: Partner) -> None:
    partner.push("a", message_id="once")
    body = b'{"key":"a","status":"removed"}'
    is_problem(partner.send(body, path=TAKEDOWNS, message_id="once"), 409, "message_replayed")
    assert partner.send(body, path=TAKEDOWNS, message_id="twice").status_code == 202
    is_problem(partner.send(body, path=TAKEDOWNS, message_id="twice"), 409, "message_replayed")


def test_a_batch_cannot_be_replayed(partner: Partner) -> None:
    lines = [item(str(n), url=f"https://img.example.org/{n}") for n in range(70)]
    assert partner.batch(*lines, message_id="batch").json()["accepted"] == 70
    is_problem(partner.batch(*lines, message_id="batch"), 409, "message_replayed")


def test_of_the_same_message_sent_at_once_one_is_taken(partner: Partner) -> None:
    headers = partner.signed(BODY)
    answers: list[httpx.Response] = []
    senders = [
        threading.Thread(target=lambda: answers.append(partner.send(BODY, headers=headers))) for _ in range(8)
    ]
    for one in senders:
        one.start()
    for one in senders:
        one.join()
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7


def test_a_message_of_one_feed_is_none_of_another(partner: Partner) -> None:
    headers, first = partner.signed(BODY), partner.name
    partner.add(f"{first}-other")
    is_problem(partner.send(BODY, headers=headers), 401, "signature_wrong")


def test_a_refused_message_may_come_again(partner: Partner) -> None:
    is_problem(partner.push("a", b"no media", message_id="m"), 415, "not_media")
    assert partner.push("a", message_id="m").status_code == 202


def test_a_feed_that_is_not_there_looks_like_a_wrong_signature(partner: Partner) -> None:
    wrong, absent = partner.send(BODY, secret=b"x" * 32), partner.send(BODY, feed="nobody")
    assert (wrong.status_code, wrong.content) == (absent.status_code, absent.content)
    for feed in ("a" * 300, "..", "%2e%2e", "a%00b", "AGENCY"):
        assert partner.send(BODY, feed=feed).status_code in {401, 404}


def test_a_key_that_was_revoked_says_so_and_a_newer_one_goes_on(partner: Partner) -> None:
    old, old_id = partner.secret, partner.key_id
    _, new = partner.new_key()
    time.sleep(1.05)
    assert partner.push("a", png(1)).status_code == 202
    assert partner.send(json.dumps(item("b", png(2))).encode(), secret=new).status_code == 202
    feeds.revoke_key(partner.engine, partner.name, old_id, ACTOR)
    at_once = partner.push("c", png(3))
    time.sleep(1.05)
    for answer in (at_once, partner.send(BODY, secret=old)):
        is_problem(answer, 401, "key_revoked")
    assert partner.send(json.dumps(item("c", png(3))).encode(), secret=new).status_code == 202


def test_a_message_with_an_old_and_a_new_signature_passes_while_either_counts(partner: Partner) -> None:
    _, new = partner.new_key()
    feeds.revoke_key(partner.engine, partner.name, partner.key_id, ACTOR)
    time.sleep(1.05)
    headers = partner.signed(BODY)
    both = headers["webhook-signature"] + " " + partner.signed(
        BODY, secret=new, message_id=headers["webhook-id"], at=int(headers["webhook-timestamp"])
    )["webhook-signature"]  # fmt: skip
    assert partner.send(BODY, headers={**headers, "webhook-signature": both}).status_code == 202


def test_the_time_of_a_key_ends(partner: Partner) -> None:
    _, ended = partner.new_key(KeyWish(expires_at=utc_now() - timedelta(seconds=1)))
    time.sleep(1.05)
    is_problem(partner.send(BODY, secret=ended), 401, "key_expired")


def test_in_the_transaction_itself_a_revoked_key_writes_nothing(
    engine: Engine, keys: KeyEncryptionKeys
) -> None:
    feed = feeds.add(engine, NewFeed("agency", "An Agency", "desk@example.org"), ACTOR)
    key = feeds.add_key(engine, keys, "agency", ACTOR)
    given = Given("a", "0" * 64, None, "https://img.example.org/a")

    def enter(message_id: str, *items: Given) -> list[entering.Entered]:
        with writing(engine) as session:
            return entering.enter(session, [Push(feed.id, key.id, message_id, items)], utc_now())

    [first], [replay] = enter("1", given), enter("1", given)
    feeds.revoke_key(engine, "agency", key.id, ACTOR)
    [revoked] = enter("2", Given("b", "0" * 64, None, "https://img.example.org/b"))

    assert first.error is None
    assert replay.error is not None
    assert revoked.error is not None
    assert (replay.error.code, revoked.error.code) == ("message_replayed", "key_revoked")
    with reading(engine) as session:
        assert session.exec(select(FeedItem.item_key).order_by(col(FeedItem.seq))).all() == ["a"]
