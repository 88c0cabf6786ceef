"""README says what the program does: its commands exist, its tables and figures come from the program."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
import typer

from monitor.bench.page import readme
from monitor.cli import app
from monitor.commands.settings import as_markdown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def text(request: pytest.FixtureRequest) -> str:
    return (request.config.rootpath / "README.md").read_text(encoding="utf-8")


def commands(text: str) -> Iterator[list[str]]:
    for block in re.findall(r"```\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "likeness":
                yield words[1:]


def test_every_command_in_readme_exists_with_its_options(text: str) -> None:
    shown = list(commands(text))
    assert shown, "README shows no command"
    for words in shown:
        command: Any = typer.main.get_command(app)
        rest = list(words)
        while rest and hasattr(command, "commands") and rest[0] in command.commands:
            command = command.commands[rest.pop(0)]
        assert not hasattr(command, "commands"), f"`likeness {' '.join(words)}` is not a whole command"
        known = {
            name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)
        }
        used = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert used <= known, f"`likeness {' '.join(words)}` uses {used - known}"


def test_the_generated_parts_are_what_the_program_says(text: str) -> None:
    assert text == readme(text, as_markdown()), "run `make readme`"


def test_every_make_target_in_readme_exists(text: str, request: pytest.FixtureRequest) -> None:
    makefile: Path = request.config.rootpath / "Makefile"
    targets = set(re.findall(r"^([a-z]+):", makefile.read_text(encoding="utf-8"), re.MULTILINE))
    for line in re.findall(r"^make ([a-z ]+)", text, re.MULTILINE):
        assert set(line.split()) <= targets


def test_every_file_that_readme_links_to_is_there(text: str, request: pytest.FixtureRequest) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (request.config.rootpath / target).exists(), target
