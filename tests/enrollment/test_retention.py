"""Every line of the public schedule is enforced: each one is tried by moving the clock."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import select

from enrollment import accounts, delegates, erasure, export, letters, limits, retention, sessions
from enrollment.letter_words import letter
from enrollment.retention import SCHEDULE, enforce, enforce_due
from enrollment.standing import Standing
from enrollment.tables import (
    Account,
    Challenge,
    Delegate,
    Export,
    GivenSample,
    Letter,
    LoginUse,
    OneTimeCode,
    RateCount,
    SeenClip,
    Subject,
    WebSession,
)
from monitor.db import reading, writing
from monitor.tables import BlobRow, Lease
from tests.enrollment.applicant import ANA

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.enrollment.residents import Residents

BEA = "bea@example.org"
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def rows(town: Residents, table: Any, *which: Any) -> int:
    with reading(town.town.engine) as session:
        return len(session.exec(select(table).where(*which)).all())


def put(town: Residents, row: Any) -> None:
    with writing(town.town.engine) as session:
        session.add(row)


def unfinished(town: Residents) -> Callable[[], int]:
    who = town.begun(name="Ana")
    return lambda: rows(town, Subject, Subject.id == who)


def refused_samples(town: Residents) -> Callable[[], int]:
    who = town.watched()
    put(
        town,
        GivenSample(
            id="refused",
            subject_id=who,
            modality="face",
            clip_lookup="x",
            state="refused",
            created_at=town.clock(),
        ),
    )
    return lambda: rows(town, GivenSample, GivenSample.id == "refused")


def samples(town: Residents) -> Callable[[], int]:
    who = town.watched(keep=False)
    return lambda: rows(town, BlobRow, BlobRow.subject_id == who, BlobRow.kind == "given")


def later_samples(town: Residents) -> Callable[[], int]:
    who = town.watched()
    put(
        town,
        GivenSample(
            id="later",
            subject_id=who,
            modality="face",
            clip_lookup="x",
            state="usable",
            created_at=town.clock(),
        ),
    )
    return lambda: rows(town, GivenSample, GivenSample.id == "later")


def clips(town: Residents) -> Callable[[], int]:
    who = town.watched()
    return lambda: rows(town, BlobRow, BlobRow.subject_id == who, BlobRow.kind == "challenge-clip")


def held_clips(town: Residents) -> Callable[[], int]:
    who = town.begun(name="Ana")
    town.clip(who, "held")
    with writing(town.town.engine) as session:  # not to be erased as unfinished
        session.get_one(Subject, who).status = Standing.HELD
    return lambda: rows(town, BlobRow, BlobRow.subject_id == who, BlobRow.kind == "challenge-clip")


def an_unsent_letter(town: Residents) -> Callable[[], int]:
    sealer = letters.sealer_of(town.town.engine, town.town.keys)
    with writing(town.town.engine) as session:
        letters.write(session, sealer, ANA, letter(("Words.",)), kind="link", now=town.clock())
    return lambda: rows(town, Letter)


def a_sent_letter(town: Residents) -> Callable[[], int]:
    left = an_unsent_letter(town)
    assert len(town.town.delivered(town.clock())) == 1
    return left


def signed_in(town: Residents) -> Callable[[], int]:
    who = town.watched()
    return lambda: rows(town, WebSession, WebSession.subject_id == who)


def codes(town: Residents) -> Callable[[], int]:
    who = town.watched()
    until = town.clock() + timedelta(minutes=10)
    put(town, OneTimeCode(subject_id=who, purpose="phone", lookup="x", sealed=b"x", expires_at=until))
    return lambda: rows(town, OneTimeCode)


def links(town: Residents) -> Callable[[], int]:
    town.watched()
    return lambda: rows(town, LoginUse)


def counts(town: Residents) -> Callable[[], int]:
    town.watched()
    return lambda: rows(town, RateCount)


def seen_clips(town: Residents) -> Callable[[], int]:
    put(town, SeenClip(lookup="x", expires_at=town.clock() + timedelta(days=400)))
    return lambda: rows(town, SeenClip)


def exports(town: Residents) -> Callable[[], int]:
    who = town.watched()
    with writing(town.town.engine) as session:
        export.order(session, who, town.clock())
    export.make_due(town.desk)
    with reading(town.town.engine) as session:
        parts = set(session.exec(select(BlobRow.id).where(BlobRow.kind == "export")))
    assert parts

    def left() -> int:
        return rows(town, Export) + len(parts & set(town.blobs.ids()))

    return left


def invitations(town: Residents) -> Callable[[], int]:
    who = town.watched()
    with writing(town.town.engine) as session:
        bea = ("Bea", BEA)
        delegates.invite(session, town.town.keys, town.town.lookups, who, bea, town.clock())
    return lambda: rows(town, Delegate)


def leases(town: Residents) -> Callable[[], int]:
    put(town, Lease(name="worker:gone", owner="gone", until=town.clock()))
    return lambda: rows(town, Lease, Lease.name == "worker:gone")


TRIED: list[tuple[str, Callable[[Residents], Callable[[], int]], timedelta]] = [
    ("unfinished", unfinished, retention.UNFINISHED),
    ("refused_samples", refused_samples, retention.JUDGED),
    ("samples", samples, timedelta()),
    ("later_samples", later_samples, timedelta(days=7)),
    ("clips", clips, retention.CLIPS),
    ("clips", held_clips, retention.HELD_CLIPS),
    ("letters", a_sent_letter, letters.KEPT),
    ("letters", an_unsent_letter, retention.UNSENT),
    ("sessions", signed_in, sessions.IDLE),
    ("codes", codes, timedelta(minutes=10)),
    ("links", links, accounts.LINK_LASTS + accounts.AGAIN_FOR),
    ("counts", counts, 2 * limits.LONGEST + DAY),
    ("seen_clips", seen_clips, timedelta(days=400)),
    ("exports", exports, export.LASTS),
    ("invitations", invitations, retention.INVITATIONS),
    ("leases", leases, DAY),
]


@pytest.mark.parametrize(("key", "make", "kept"), TRIED, ids=[f"{k}-{m.__name__}" for k, m, _ in TRIED])
def test_it_is_there_until_its_time_is_over_and_not_after(
    town: Residents, key: str, make: Callable[[Residents], Callable[[], int]], kept: timedelta
) -> None:
    left = make(town)
    if kept:
        assert left() >= 1
        town.clock.ahead = kept - timedelta(hours=2) if kept > DAY else kept / 2
        if key != "counts":  # a count's window began before it
            enforce(town.desk)
            assert left() >= 1
    town.clock.ahead = kept + MINUTE
    enforce(town.desk)
    assert left() == 0


def test_every_line_that_is_enforced_is_tried_here_and_stands_on_the_page(town: Residents) -> None:
    enforced = {rule.key for rule in SCHEDULE if rule.enforce is not None}
    assert enforced == {key for key, _, _ in TRIED}
    page = town.town.browser().get("/enrol/retention")  # nobody is signed in
    assert page.status_code == 200
    for rule in SCHEDULE:
        assert f'data-rule="{rule.key}"' in page.text
        assert rule.how_long in page.text.replace("&#39;", "'")


def test_every_line_without_a_job_ends_with_the_erasure_or_outlives_it_namelessly(town: Residents) -> None:
    """What the page says goes with the account does so: nothing of the tables that it speaks of is left."""
    who = town.watched()
    by_erasure = {rule.key for rule in SCHEDULE if rule.enforce is None} - {"audit"}
    assert by_erasure == {"templates", "profile", "findings", "consents", "search_terms", "originals"}
    erasure.erase(town.town.engine, town.town.keys, town.blobs, who, "subject")
    assert erasure.is_erased(town.town.engine, who)
    assert set(town.blobs.ids()) == set()


def test_the_page_is_linked_from_every_page_of_enrolment(town: Residents) -> None:
    town.watched()
    for path in ("/enrol/sent", "/account", "/account/consents", "/enrol/retention"):
        assert 'href="/enrol/retention"' in town.browsers[ANA].get(path).text


def test_a_delegate_who_never_enrolled_is_not_unfinished(town: Residents) -> None:
    who = town.watched()
    bea = town.begun(BEA)
    with writing(town.town.engine) as session:
        delegates.invite(session, town.town.keys, town.town.lookups, who, ("Bea", BEA), town.clock())
        invitation = session.exec(select(Delegate)).one()
        delegates.answer(session, bea, invitation.id, town.clock(), accept=True)
    town.clock.ahead = 2 * retention.UNFINISHED
    enforce(town.desk)
    assert rows(town, Subject, Subject.id == bea) == 1
    with writing(town.town.engine) as session:
        delegates.end(session, bea, session.exec(select(Delegate)).one().id, town.clock())
    enforce(town.desk)
    assert rows(town, Subject, Subject.id == bea) == 0
    assert rows(town, Subject, Subject.id == who) == 1


def test_a_visit_keeps_an_unfinished_account(town: Residents) -> None:
    who = town.begun(name="Ana")
    town.clock.ahead = retention.UNFINISHED + MINUTE
    with writing(town.town.engine) as session:
        session.get_one(Account, who).seen_at = town.clock()
    enforce(town.desk)
    assert rows(town, Subject, Subject.id == who) == 1


def test_samples_that_are_still_judged_or_kept_stay(town: Residents) -> None:
    who = town.watched(keep=True)
    town.clock.ahead = 3 * DAY
    enforce(town.desk)
    assert town.references(who) == 2
    assert rows(town, BlobRow, BlobRow.subject_id == who, BlobRow.kind == "reference") == 2


def test_it_goes_through_the_schedule_every_few_minutes_and_not_in_two_workers(town: Residents) -> None:
    put(town, SeenClip(lookup="x", expires_at=town.clock()))
    assert enforce_due(town.desk) == 1
    put(town, SeenClip(lookup=uuid.uuid4().hex, expires_at=town.clock()))
    assert enforce_due(town.desk) == 0
    town.clock.ahead = retention.EVERY + MINUTE
    assert enforce_due(town.desk) == 1


def test_a_challenge_that_was_answered_stays_as_a_fact_without_its_clip(town: Residents) -> None:
    who = town.watched()
    town.clock.ahead = retention.CLIPS + MINUTE
    enforce(town.desk)
    with reading(town.town.engine) as session:
        [row] = session.exec(select(Challenge).where(Challenge.subject_id == who))
    assert (row.state, row.blob_id, row.sealed_report) == ("passed", None, None)
