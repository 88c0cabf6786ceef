"""`likeness settings`: every setting is there, every secret is masked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from monitor.commands import settings as command
from monitor.crypto import new_key_line
from monitor.errors import ConfigError
from monitor.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "correct horse battery staple and more"


@pytest.fixture
def likeness() -> typer.Typer:
    app = typer.Typer()
    command.register(app)
    app.command("other")(lambda: None)
    return app


def run(app: typer.Typer, *arguments: str) -> str:
    done = CliRunner().invoke(app, ["settings", *arguments], catch_exceptions=False, env={"COLUMNS": "250"})
    assert done.exit_code == 0, done.output
    return done.output


def test_every_setting_has_a_line_and_a_meaning(likeness: typer.Typer) -> None:
    said = run(likeness, "--markdown")
    for name, field in Settings.model_fields.items():
        assert f"`LIKENESS_{name.upper()}`" in said
        assert field.description
    assert len(said.strip().splitlines()) == len(Settings.model_fields) + 2


def test_secrets_are_masked_wherever_they_stand(
    likeness: typer.Typer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key_line("k1")
    monkeypatch.setenv("LIKENESS_KEK", key)
    monkeypatch.setenv("LIKENESS_SMTP_PASSWORD", SECRET)
    monkeypatch.setenv("LIKENESS_DATABASE_URL", f"postgresql+psycopg://me:{SECRET.replace(' ', '')}@db/x")
    said = run(likeness) + run(likeness, "--markdown")
    assert "(set)" in said
    for secret in (key.partition(":")[2], SECRET, SECRET.replace(" ", "")):
        assert secret not in said
    assert "me:***@db" in said


def test_the_table_for_readme_is_the_same_on_every_machine(
    likeness: typer.Typer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = run(likeness, "--markdown")
    monkeypatch.setenv("LIKENESS_MAX_BYTES", "1000")
    monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / "elsewhere"))
    assert run(likeness, "--markdown") == before
    assert "1000" in run(likeness)
    assert str(Settings().home) not in before


def test_a_wrong_setting_is_named(likeness: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIKENESS_THREADS", "many")
    with pytest.raises(ConfigError, match="LIKENESS_THREADS"):
        run(likeness)
