"""What the operator reads: /metrics as Prometheus understands it, and a page that everybody can read."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from monitor.budget import halves_at_rest
from monitor.db import utc_now, writing
from monitor.live_scores import ALL, Place, add, day_of
from monitor.tables import MediaItem
from monitor.values import TALLY_BINS, Modality
from tests.alerts.mailhost import free_port
from tests.alerts.test_page_in_browser import CONTRAST
from tests.alerts.visitor import Visitor, settings
from tests.assets import scores
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "an-operators-token-of-the-tests-0123456789"
BEARER = {"authorization": f"Bearer {TOKEN}"}
N = 4_000_000


def _watched(home: Path, **how: object) -> Visitor:
    return Visitor.at(home, operator_token=SecretStr(TOKEN), **how)


def _compared(visitor: Visitor, home: Path, mean: float) -> str:
    """Write down what strangers scored of the faces' model, and give its name."""
    half = next(half for half in halves_at_rest(settings(home)) if half.modality is Modality.FACE)
    counts = scores.counted(N, mean, 0.1, below=half.thresholds.review)
    day = day_of(utc_now())
    places = {
        Place(day, "face", half.model_id, number): count for number, count in enumerate(counts) if count
    }
    add(visitor.engine, {**places, Place(day, "face", half.model_id, ALL): N})
    return half.model_id


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Visitor]:
    visitor = _watched(tmp_path / "home")
    yield visitor
    visitor.browser.close()
    visitor.engine.dispose()


def _metrics(visitor: Visitor) -> dict[tuple[str, ...], float]:
    answer = visitor.browser.get("/metrics", headers=BEARER)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *(str(value) for value in sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_the_numbers_are_those_of_the_ledger(watched: Visitor, tmp_path: Path) -> None:
    model = _compared(watched, tmp_path / "home", mean=0.0)
    with writing(watched.engine) as session:
        for number, state in enumerate(["done", "done", "failed"]):
            session.add(
                MediaItem(
                    id=f"m{number}", sha256=f"{number}", kind="image", size_bytes=1, state=state,
                    faces_seen=2, turns_seen=number,
                )
            )  # fmt: skip

    found = _metrics(watched)

    assert found["likeness_items", "done"] == 2
    assert found["likeness_items", "failed"] == 1
    assert found["likeness_appearances", "face"] == 6
    assert found["likeness_appearances", "turn"] == 3
    assert found["likeness_comparisons_30d", "face", model] == N
    assert found["likeness_budget_false_alerts_per_month",] == 1
    assert found["likeness_false_dismissed_30d", "alert"] == 0
    assert found["likeness_false_expected_30d", "alert"] == pytest.approx(N / 300_000, rel=0.05)
    alert, review = (found["likeness_threshold", band, "face", model] for band in ("alert", "review"))
    assert alert > review > 0
    assert found["likeness_drift", "face"] == 0
    assert len([key for key in found if key[0] == "likeness_scores_30d" and key[2] == "face"]) == TALLY_BINS


def test_a_drift_is_seen_by_whoever_scrapes(watched: Visitor, tmp_path: Path) -> None:
    model = _compared(watched, tmp_path / "home", mean=0.15)
    found = _metrics(watched)
    assert found["likeness_drift", "face"] == 2
    assert found["likeness_threshold_raised", "face", model] > 0.01


def test_who_asks_often_does_not_keep_the_ledger_busy(watched: Visitor, tmp_path: Path) -> None:
    before = _metrics(watched)
    _compared(watched, tmp_path / "home", mean=0.15)
    assert _metrics(watched) == before


def test_the_picture_and_the_table_say_the_same(watched: Visitor, tmp_path: Path) -> None:
    _compared(watched, tmp_path / "home", mean=0.0)
    page = watched.browser.get("/operator/budget", headers=BEARER).text
    face = page[page.index('id="of-face"') :]
    face = face[: face.index("</section>")]
    rows = re.findall(
        r'<tr><th scope="row">([\d.]+)</th><td>([\d,]+)</td><td>([\d,]+)</td><td>(.*?)</td>', face
    )
    bars = re.findall(r'class="live"', face)
    assert len(bars) == len([row for row in rows if row[1] != "0"])
    assert [mark for *_, mark in rows if mark] == ["human look", "alert"]
    assert "script" not in page
    assert " style=" not in page, "the page's own rules forbid it"
    assert "strangers" in html.unescape(face)


def test_before_anything_was_compared_there_is_no_picture(watched: Visitor) -> None:
    page = watched.browser.get("/operator/budget", headers=BEARER).text
    assert "<svg" not in page
    assert "Nothing stands out" in page


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    home, port = tmp_path_factory.mktemp("operator"), free_port()
    visitor = _watched(home, public_url=f"http://127.0.0.1:{port}")
    _compared(visitor, home, mean=0.15)
    with serving(visitor.app, port):
        yield visitor
    visitor.browser.close()
    visitor.engine.dispose()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1200])
def test_the_page_is_readable_in_every_light_and_on_every_screen(
    served: Visitor, chromium: Any, scheme: str, width: int
) -> None:
    context = chromium.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        http_credentials={"username": "me", "password": TOKEN},
        java_script_enabled=True,
    )
    page = context.new_page()
    page.set_default_timeout(10_000)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))

    page.goto(f"{served.links.public_url}/operator/budget")
    page.locator("summary").first.click()

    assert page.locator("h1").inner_text() == "The budget of false alerts"
    assert page.locator("h1").count() == 1
    assert page.evaluate(CONTRAST) == []
    assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    assert page.locator("table").first.is_visible()
    assert page.locator(".state.alarm").first.inner_text() == "alarm", "said by a word, not by a colour alone"
    named = page.locator("svg").first
    assert named.get_attribute("role") == "img"
    for part in (named.get_attribute("aria-labelledby") or "").split():
        assert page.locator(f"#{part}").count() == 1
    assert [one for one in said if "401" not in one] == [], "nothing that the page asks for is refused"
    context.close()
