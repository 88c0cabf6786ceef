"""The edge of the command: an error becomes one sentence, its code, and what to do."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from monitor import cli
from monitor.errors import StorageFull


def ended(raised: Exception, monkeypatch: pytest.MonkeyPatch) -> int:
    def app() -> None:
        raise raised

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(str(caught.value.code))


def test_an_error_of_ours_is_a_sentence_with_its_code_and_a_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(StorageFull("no room left", hint="Free some space."), monkeypatch) == 1
    assert capsys.readouterr().err == "error[storage_full]: no room left\n  Free some space.\n"


def test_a_database_that_goes_away_in_the_middle_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = OperationalError("SELECT secret", {"name": "Ana"}, sqlite3.OperationalError("disk I/O error"))
    assert ended(gone, monkeypatch) == 1
    said = capsys.readouterr().err
    assert said.startswith("error[storage]: the database does not answer")
    assert "secret" not in said
    assert "Ana" not in said


def test_a_fault_of_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def app() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(ZeroDivisionError):
        cli.main()
