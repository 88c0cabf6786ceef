"""“This is not me”: asked before it acts, done once, said in words, undone on the same page."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlmodel import col, select
from typer.testing import CliRunner

from alerts import incidents
from alerts.cli import app
from alerts.tables import Incident
from monitor import dismissals, lookalikes
from monitor.db import reading, utc_now, writing
from monitor.dismissals import Reason, State
from monitor.errors import NotFound
from monitor.lookalikes import Learnt
from monitor.tables import AuditEvent, Dismissal, Finding, Lookalike
from monitor.values import Band, FindingId, MediaKind, Modality
from tests.alerts import scene
from tests.alerts.visitor import Visitor, link_in, settings
from tests.enrollment.people import unit_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SAME = (scene.mark(1),)


@pytest.fixture
def visitor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visitor]:
    """Give a visitor whose database the verbs work on too."""
    chosen = settings(tmp_path / "home")
    assert chosen.kek is not None
    monkeypatch.setenv("LIKENESS_KEK", chosen.kek.get_secret_value())
    visitor = Visitor.at(chosen.home, kek=chosen.kek)
    yield visitor
    visitor.browser.close()
    visitor.engine.dispose()


def words(visitor: Visitor, path: str) -> str:
    answer = visitor.browser.get(path)
    assert answer.status_code == 200, answer.text
    return " ".join(answer.text.split())


def standing_of(visitor: Visitor) -> dict[str, tuple[str, str]]:
    with reading(visitor.engine) as session:
        rows = session.exec(select(Dismissal, Finding).join(Finding, col(Finding.id) == Dismissal.finding_id))
        return {row.finding_id: (row.state, finding.state) for row, finding in rows}


def learn(visitor: Visitor, finding_id: FindingId, seed: int = 1) -> None:
    """Do what the worker does with a dismissal."""
    rng = np.random.default_rng(seed)
    with writing(visitor.engine) as session:
        learnt = Learnt(
            visitor.ana,
            finding_id,
            Modality.FACE,
            scene.MODEL,
            unit_vectors(rng, 1)[0],
            utc_now() + timedelta(days=365),
        )
        lookalikes.keep(session, visitor.keys, learnt)
        session.get_one(Dismissal, finding_id).state = State.LEARNT


def settle(visitor: Visitor, reason: Reason) -> None:
    with writing(visitor.engine) as session:
        for row in session.exec(select(Dismissal)):
            row.state, row.reason = State.NOTHING, reason


def actions(visitor: Visitor) -> list[tuple[str, str]]:
    with reading(visitor.engine) as session:
        events = session.exec(select(AuditEvent).order_by(col(AuditEvent.seq))).all()
    return [(one.actor, one.action) for one in events]


def test_it_is_asked_first_and_says_what_is_kept_for_how_long_and_how_to_undo_it(visitor: Visitor) -> None:
    path = visitor.opened()
    assert f'href="{path}/not-me"' in visitor.browser.get(path).text

    page = words(visitor, f"{path}/not-me")

    for part in (
        "Nothing has changed yet",
        "sealed, under a key of their own, for 365 days",
        "You can undo this on this page",
        "We do not learn a face that is too close",
    ):
        assert part in page
    assert standing_of(visitor) == {}
    assert visitor.browser.get(path).text.count("This is not me") == 1


def test_a_person_says_it_once_for_all_copies(visitor: Visitor) -> None:
    found = {visitor.found(marks=SAME), visitor.found(marks=SAME)}
    path = visitor.open(link_in(visitor.told()[0]))

    for _ in range(2):
        answer = visitor.browser.post(f"{path}/not-me")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{path}/not-me")

    assert standing_of(visitor) == dict.fromkeys(found, ("due", "dismissed"))
    assert actions(visitor).count(("subject", "finding.dismiss")) == 2
    assert "You said that this is not you" in words(visitor, path)
    page = words(visitor, f"{path}/not-me")
    assert "Our program will look at the face once more" in page
    assert "Undo: it may be me" in page


def test_nobody_is_told_of_its_copies_and_they_teach_nothing(visitor: Visitor) -> None:
    path = visitor.opened(marks=SAME)
    visitor.browser.post(f"{path}/not-me")

    copies = [visitor.found(marks=SAME, band=band) for band in (Band.ALERT, Band.REVIEW)]

    assert visitor.told() == []
    with reading(visitor.engine) as session:
        assert {session.get_one(Finding, one).state for one in copies} == {"dismissed"}
        assert session.exec(select(Incident)).one().state == incidents.State.NOT_ME
    assert not set(copies) & set(standing_of(visitor)), "nobody looked at them"
    visitor.found(marks=(scene.mark(2),))
    assert len(visitor.told()) == 1, "another picture is told"


def test_undone_it_is_as_before(visitor: Visitor) -> None:
    found = visitor.found(marks=SAME)
    path = visitor.open(link_in(visitor.told()[0]))
    visitor.browser.post(f"{path}/not-me")
    learn(visitor, found)
    later = visitor.found(marks=SAME)
    visitor.told()

    for _ in range(2):
        answer = visitor.browser.post(f"{path}/not-me/undo")
        assert (answer.status_code, answer.headers["location"]) == (303, path)

    assert standing_of(visitor) == {found: ("undone", "told")}
    with reading(visitor.engine) as session:
        assert session.get_one(Finding, later).state == "told"
        assert session.exec(select(Lookalike)).all() == []
        assert session.exec(select(Incident)).one().state == incidents.State.OPEN
    assert "This is not me" in words(visitor, path)
    assert visitor.told() == [], "it was told before"
    assert actions(visitor).count(("subject", "finding.undismiss")) == 1


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (Reason.TOO_CLOSE, "we keep watching for it"),
        (Reason.KNOWN, "We know this face already"),
        (Reason.NOTHING_SEEN, "could not make out the face"),
        (Reason.UNREADABLE, "could not make out the face"),
        (Reason.NOT_KEPT, "too large to be kept"),
        (Reason.EXPIRED, "The time is over"),
        (Reason.CROWDED_OUT, "only the newest"),
    ],
)
def test_why_nothing_was_learnt_is_said_in_words(visitor: Visitor, reason: Reason, said: str) -> None:
    path = visitor.opened()
    visitor.browser.post(f"{path}/not-me")
    settle(visitor, reason)

    assert said in words(visitor, f"{path}/not-me")


def test_what_was_learnt_is_said_with_its_end(visitor: Visitor) -> None:
    found = visitor.found(kind=MediaKind.VIDEO, voice=0.7)
    path = visitor.open(link_in(visitor.told()[0]))
    visitor.browser.post(f"{path}/not-me")
    learn(visitor, found)
    until = utc_now() + timedelta(days=365)

    assert f"until {until.day} {until:%B %Y}" in words(visitor, f"{path}/not-me")
    assert "We know this face and voice now" in words(visitor, f"{path}/not-me")


def test_a_fresh_link_leads_back_to_what_was_dismissed(visitor: Visitor) -> None:
    link = link_in(visitor.message())
    path = visitor.open(link)
    visitor.browser.post(f"{path}/not-me")
    visitor.browser.cookies.clear()
    assert visitor.browser.get(f"{path}/not-me").status_code == 403

    visitor.browser.post(f"{link}/again")
    [message] = visitor.told()

    assert "here is the fresh link" in message.text
    assert "Undo: it may be me" in words(visitor, f"{visitor.open(link_in(message))}/not-me")


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def held(visitor: Visitor, **how: object) -> str:
    visitor.found(band=Band.REVIEW, **how)
    visitor.told()
    [row] = run("review")
    return str(row["incident_id"])


def test_an_operators_dismissal_teaches_too_and_is_listed_and_undone(visitor: Visitor) -> None:
    incident_id = held(visitor)
    run("review", incident_id, "--dismiss")
    [finding_id] = standing_of(visitor)
    learn(visitor, FindingId(finding_id))

    [row] = run("lookalikes", visitor.ana)
    assert row["expires_at"] > row["since"]
    del row["expires_at"], row["since"]
    assert row == {
        "incident_id": incident_id,
        "finding_id": finding_id,
        "state": "learnt",
        "reason": None,
        "lookalikes": 1,
        "models": [scene.MODEL],
    }
    said = CliRunner().invoke(app, ["lookalikes", visitor.ana]).output
    assert f"{finding_id}\n  incident_id: {incident_id}\n  state: learnt\n" in said

    assert run("undo", visitor.ana, incident_id) == {"incident_id": incident_id, "state": "held"}
    assert run("undo", visitor.ana, incident_id)["state"] == "held", "a second time changes nothing"

    assert standing_of(visitor) == {finding_id: ("undone", "held")}
    assert [row["incident_id"] for row in run("review")] == [incident_id]
    assert [name for _, name in actions(visitor)].count("finding.undismiss") == 1
    assert "alert.dismiss" in [name for _, name in actions(visitor)]
    assert all(actor.startswith("operator:") for actor, _ in actions(visitor))


def test_nothing_dismissed_nothing_listed(visitor: Visitor) -> None:
    assert run("lookalikes", visitor.ana) == []
    assert "Nothing was called" in CliRunner().invoke(app, ["lookalikes", visitor.ana]).output
    assert actions(visitor)[-1][1] == "lookalike.list"
    with pytest.raises(NotFound):
        run("undo", visitor.ana, "nonsense")
    incident_id = held(visitor)
    with pytest.raises(NotFound):
        run("undo", scene.subject(visitor.engine, visitor.keys), incident_id)


def test_what_an_operator_dismissed_and_then_approved_is_unlearnt(visitor: Visitor) -> None:
    incident_id = held(visitor, marks=SAME)
    run("review", incident_id, "--dismiss")
    [finding_id] = standing_of(visitor)
    learn(visitor, FindingId(finding_id))
    visitor.found(marks=SAME, band=Band.ALERT)
    assert visitor.told() == [], "a copy that scores as an alert is held once more"

    run("review", incident_id, "--approve")

    assert standing_of(visitor) == {finding_id: ("undone", "told")}
    with reading(visitor.engine) as session:
        assert lookalikes.of_subject(session, visitor.ana) == []
        assert dismissals.standing(session, [finding_id]) is None
    assert len(visitor.told()) == 1
