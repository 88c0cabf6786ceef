"""What somebody asks us to look for: their own, sealed, each once, and handed on as everybody's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from sqlmodel import select

from crawlers.platforms.interfaces import Terms
from enrollment import erasure, pausing, search_terms
from enrollment.export_contents import gathered
from enrollment.search_terms import LONGEST, MOST, EnrolledTerms, TermKind, checked
from enrollment.tables import SearchTerm
from monitor.db import reading, writing
from monitor.errors import NotFound, TermInvalid
from monitor.tables import AuditEvent
from tests.enrollment.applicant import ANA

if TYPE_CHECKING:
    from monitor.values import SubjectId
    from tests.enrollment.residents import Residents

BEA = "bea@example.org"
NAME = "Ana Zwölfer-Quandt"


def add(town: Residents, who: SubjectId, kind: TermKind, text: str) -> None:
    with writing(town.town.engine) as session:
        parts = (session, town.town.keys, town.town.lookups, who, (kind, text), "subject", town.clock())
        search_terms.add(*parts)


def listed(town: Residents, who: SubjectId) -> list[tuple[str, str]]:
    with reading(town.town.engine) as session:
        return [(one.kind, one.text) for one in search_terms.listing(session, town.town.keys, who)]


def book(town: Residents) -> EnrolledTerms[Terms]:
    return EnrolledTerms(town.town.engine, town.town.keys, town.town.lookups, Terms)


def test_the_page_takes_shows_and_gives_up_what_is_looked_for(town: Residents) -> None:
    ana = town.watched()
    browser = town.browsers[ANA]
    for kind, text in (("name", NAME), ("handle", "@ana.example"), ("hashtag", "#AnaQuandt")):
        answer = browser.post("/account/search", data={"kind": kind, "text": text})
        assert answer.status_code == 303, answer.text
    browser.post(
        "/account/search", data={"kind": "hashtag", "text": "anaquandt"}
    )  # the same, in small letters
    page = browser.get("/account/search").text
    assert NAME in page
    assert "@ana.example" in page
    assert listed(town, ana) == [("name", NAME), ("handle", "ana.example"), ("hashtag", "AnaQuandt")]
    first = re.findall(r'action="/account/search/([0-9a-f]{32})"', page)[0]
    assert browser.post(f"/account/search/{first}").status_code == 303
    assert len(listed(town, ana)) == 2
    wrong = browser.post("/account/search", data={"kind": "handle", "text": "https://x.example/ana"})
    assert wrong.status_code == 422
    assert "https://x.example/ana" in wrong.text
    assert browser.post("/account/search", data={"kind": "colour", "text": "red"}).status_code == 422


def test_nobody_takes_away_what_is_another_persons(town: Residents) -> None:
    ana = town.watched()
    town.watched(BEA)
    add(town, ana, TermKind.NAME, NAME)
    with reading(town.town.engine) as session:
        term_id = session.exec(select(SearchTerm.id)).one()
    answer = town.browsers[BEA].post(f"/account/search/{term_id}")
    assert answer.status_code == 404
    assert NAME not in town.browsers[BEA].get("/account/search").text
    with pytest.raises(NotFound), writing(town.town.engine) as session:
        search_terms.remove(session, ana, "0" * 32, "subject")
    assert listed(town, ana) == [("name", NAME)]


def test_there_are_twenty_at_most(town: Residents) -> None:
    ana = town.watched()
    for number in range(MOST):
        add(town, ana, TermKind.NAME, f"Ana {number}")
    with pytest.raises(TermInvalid, match="20"):
        add(town, ana, TermKind.NAME, "one more")
    assert "Take one away to add another" in town.browsers[ANA].get("/account/search").text


@pytest.mark.parametrize(
    ("kind", "text", "kept"),
    [
        (TermKind.NAME, "  Ana   Quandt ", "Ana Quandt"), (TermKind.HANDLE, "@ana@a.test", "ana@a.test"),
        (TermKind.HASHTAG, "#Ána", "Ána"), (TermKind.NAME, "李娜", "李娜"),
        (TermKind.HANDLE, "ana quandt", None),
        (TermKind.HASHTAG, "a/b", None), (TermKind.NAME, "", None), (TermKind.NAME, "A", None),
        (TermKind.NAME, "!!!", None), (TermKind.NAME, "Ana\x00Q", None), (TermKind.NAME, "Ana\u202eQ", None),
        (TermKind.NAME, "x" * (LONGEST + 1), None), (TermKind.NAME, "😀" * LONGEST + "a", None),
    ],
)  # fmt: skip
def test_a_term_has_one_spelling_or_is_refused(kind: TermKind, text: str, kept: str | None) -> None:
    if kept is None:
        with pytest.raises(TermInvalid):
            checked(kind, text)
    else:
        assert checked(kind, text) == kept


def test_rows_and_record_say_nothing_of_a_term_not_even_its_length(town: Residents) -> None:
    ana, bea = town.watched(), town.watched(BEA)
    add(town, ana, TermKind.NAME, NAME)
    add(town, ana, TermKind.NAME, "Li")
    add(town, ana, TermKind.NAME, "😀" * (LONGEST - 1) + "a")
    add(town, bea, TermKind.NAME, NAME)
    with reading(town.town.engine) as session:
        rows = session.exec(select(SearchTerm)).all()
        assert len({len(row.sealed) for row in rows}) == 1
        assert len({row.lookup for row in rows}) == 4  # the same name of two people is not the same digest
        details = " ".join(event.detail for event in session.exec(select(AuditEvent)))
    assert "Zw" not in details


def test_a_crawl_gets_everybodys_each_once_and_of_nobody(town: Residents) -> None:
    ana, bea = town.watched(), town.watched(BEA)
    new = town.begun("new@example.org", "New")
    assert book(town).terms("s") is None
    for who, kind, text in (
        (ana, TermKind.NAME, "Zoë"), (bea, TermKind.NAME, "Ada"), (bea, TermKind.NAME, "zoë"),
        (ana, TermKind.HASHTAG, "zoe"), (new, TermKind.NAME, "not watched for"),
    ):  # fmt: skip
        add(town, who, kind, text)
    terms = book(town).terms("s")
    assert terms is not None
    assert (len(terms.names), terms.names[0], terms.hashtags, terms.handles) == (2, "Ada", ("zoe",), ())
    assert str(ana) not in terms.to_json()
    assert terms.tag_key == getattr(book(town).terms("s"), "tag_key", None)
    assert terms.tag_key != getattr(book(town).terms("another"), "tag_key", None)
    with writing(town.town.engine) as session:
        pausing.pause(session, bea, town.clock())
    after = book(town).terms("s")
    assert after is not None
    assert after.names == ("Zoë",)


def test_a_damaged_term_of_one_person_keeps_nobody_elses(town: Residents) -> None:
    ana, bea = town.watched(), town.watched(BEA)
    add(town, ana, TermKind.NAME, "Zoë")
    add(town, bea, TermKind.NAME, "Ada")
    with writing(town.town.engine) as session:
        row = session.exec(select(SearchTerm).where(SearchTerm.subject_id == ana)).one()
        row.sealed = bytes(len(row.sealed))
    terms = book(town).terms("s")
    assert terms is not None
    assert terms.names == ("Ada",)


def test_an_erasure_takes_them_all(town: Residents) -> None:
    ana = town.watched()
    add(town, ana, TermKind.NAME, NAME)
    erasure.erase(town.town.engine, town.town.keys, town.blobs, ana, "subject")
    with reading(town.town.engine) as session:
        assert session.exec(select(SearchTerm)).all() == []


def test_the_copy_of_everything_has_them(town: Residents) -> None:
    ana = town.watched()
    add(town, ana, TermKind.NAME, NAME)
    assert [one["text"] for one in gathered(town.desk, ana)["search_terms"]] == [NAME]
