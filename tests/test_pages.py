"""Every page of the repository speaks of files, commands and settings that are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from monitor.cli import app
from monitor.commands.settings import environment_name
from monitor.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = sorted(page.relative_to(ROOT) for page in (*ROOT.glob("*.md"), *ROOT.glob("[a-z]*/*.md")))
SETTINGS = {environment_name(name) for name in Settings.model_fields}


@pytest.fixture(params=PAGES, ids=str)
def page(request: pytest.FixtureRequest) -> Path:
    return ROOT / request.param


def inline(page: Path) -> list[str]:
    """Give what stands between single backticks; blocks of code are left out."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)


def test_every_page_is_looked_at() -> None:
    assert {Path("README.md"), Path("SECURITY.md"), Path("deploy/runbook.md")} <= set(PAGES)


def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_file_that_is_named_is_there(page: Path) -> None:
    package = page.parent
    inner = (package / "stages", package / "identity")
    places = (ROOT, package, *inner, ROOT / "tests" / "attacks", ROOT / "monitor")
    for name in inline(page):
        if re.fullmatch(r"[a-z0-9_/]+\.(py|md|lock|example)", name):
            assert any((place / name).exists() for place in places), name


def test_every_test_that_is_named_exists(page: Path) -> None:
    for path, name in re.findall(r"`(tests/[a-z_/]+\.py)::(test_\w+)`", page.read_text(encoding="utf-8")):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^def {name}\(", text, re.MULTILINE), f"{path}::{name}"


def test_the_page_of_harms_names_tests() -> None:
    assert len(re.findall(r"\.py::test_", (ROOT / "deploy/impact.md").read_text(encoding="utf-8"))) > 20


def test_every_command_that_is_named_exists(page: Path) -> None:
    commands = typer.main.get_command(app)
    for said in inline(page):
        words = said.split()
        if words[0] != "likeness" or (len(words) > 1 and not words[1].islower()):
            continue
        command: Any = commands
        for word in words[1:]:
            if not hasattr(command, "commands"):
                break
            if word.startswith("-"):
                continue
            assert word.rstrip(",") in command.commands or word.isupper(), said
            command = command.commands.get(word.rstrip(","), command)


def test_every_setting_that_is_named_exists(page: Path) -> None:
    """`LIKENESS_SMTP_*` stands for all that begin so; two are the tests' own."""
    for name in re.findall(r"\bLIKENESS_[A-Z_0-9]+\*?", page.read_text(encoding="utf-8")):
        if name.endswith("*"):
            assert any(one.startswith(name[:-1]) for one in SETTINGS), name
        else:
            assert name in SETTINGS | {"LIKENESS_DATA", "LIKENESS_SCREENSHOTS"}, name
