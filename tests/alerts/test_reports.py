"""What partners told us of removing something stands with the finding, in words, for her alone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from alerts.reports import reports_of
from monitor.db import reading, utc_now, writing
from monitor.partners import feeds, takedowns
from monitor.partners.feeds import NewFeed
from monitor.partners.tables import Feed, FeedItem, Takedown
from monitor.tables import Finding
from tests.alerts.visitor import link_in

if TYPE_CHECKING:
    from tests.alerts.visitor import Visitor

ACTOR = "operator:test"


def pushed(visitor: Visitor, feed: str, media_id: str, *statuses: str, note: str = "", **how: str) -> None:
    new = NewFeed(feed, f"{feed.title()} Ltd", "desk@example.org", **how)  # type: ignore[arg-type]
    row = feeds.add(visitor.engine, new, ACTOR)
    now = utc_now()
    with writing(visitor.engine) as session:
        session.add(
            FeedItem(id=feed, feed_id=row.id, item_key="1", body_sha256="", state="taken", media_id=media_id)
        )
        for number, status in enumerate(statuses):
            at = now + timedelta(seconds=number)
            session.add(
                Takedown(id=f"{feed}{number}", feed_id=row.id, item_key="1", status=status, note=note, at=at)
            )


def test_the_page_says_what_each_partner_did_and_what_is_not_known(visitor: Visitor) -> None:
    message = visitor.message()
    with reading(visitor.engine) as session:
        media_id = session.exec(select(Finding.media_id)).one()
    pushed(visitor, "alpha", media_id, "removed", note="Gone <b>for good</b>.")
    pushed(visitor, "beta", media_id)
    pushed(visitor, "gamma", media_id, "removed", "restored")
    pushed(visitor, "delta", media_id, "refused")
    pushed(visitor, "silent", media_id, scopes=("items",))  # type: ignore[arg-type]
    pushed(visitor, "fetched", media_id, way="s3")
    pushed(visitor, "other", "another-item", "removed")
    leads = visitor.browser.post(link_in(message))
    page = visitor.browser.get(leads.headers["location"]).text
    assert "Is it still there?" in page
    assert "Alpha Ltd told us on" in page
    assert "that it has removed this from its own pages" in page
    assert "Gone &lt;b&gt;for good&lt;/b&gt;." in page
    assert "We have not heard whether Beta Ltd has removed it" in page
    assert page.count("Gamma Ltd told us") == 2
    assert page.index("Gamma Ltd told us") < page.index("that it shows this again")
    assert "that it will not remove this" in page
    for name in ("Silent", "Fetched", "Other"):
        assert f"{name} Ltd" not in page


def test_without_a_partner_nothing_is_said(visitor: Visitor) -> None:
    message = visitor.message()
    leads = visitor.browser.post(link_in(message))
    assert "Is it still there?" not in visitor.browser.get(leads.headers["location"]).text


@pytest.mark.parametrize("status", [*takedowns.STATUSES, takedowns.PENDING])
def test_every_status_has_words(visitor: Visitor, status: str) -> None:
    pushed(visitor, "alpha", "m", *([status] if status != takedowns.PENDING else []))
    with reading(visitor.engine) as session:
        assert session.exec(select(Feed.name)).one() == "alpha"
        [report] = reports_of(session, "m")
    assert "Alpha Ltd" in report.said
