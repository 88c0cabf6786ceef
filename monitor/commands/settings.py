"""`likeness settings`: every setting, what it means and what is in force, with secrets masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from monitor.settings import Settings

HEADINGS = ("Environment", "Default", "Meaning")


def register(app: typer.Typer) -> None:
    """Add the verb to the top level."""
    app.command("settings")(show)


def show(
    markdown: Annotated[bool, typer.Option("--markdown", help="A Markdown table, as in README.")] = False,
) -> None:
    """Show every setting: its name, where it comes from, its default, its meaning, what is in force."""
    from monitor.settings import load_settings

    settings = load_settings()
    if markdown:
        typer.echo(as_markdown())
        return
    _print_table(rows(settings))


def rows(settings: Settings) -> list[tuple[str, str, str, str, str]]:
    """List (name, environment name, default, meaning, value in force) of each; secrets are masked."""
    return [
        (
            name,
            environment_name(name),
            default_of(name),
            field.description or "",
            _shown(getattr(settings, name)),
        )
        for name, field in type(settings).model_fields.items()
    ]


def as_markdown() -> str:
    """Make the table of README: the same on every machine, so without what is in force."""
    from monitor.settings import Settings

    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        meaning = (field.description or "").replace("|", "\\|")
        lines.append(f"| `{environment_name(name)}` | {_code(default_of(name))} | {meaning} |")
    return "\n".join(lines)


def environment_name(name: str) -> str:
    """Give `LIKENESS_<NAME>`."""
    return f"LIKENESS_{name.upper()}"


def default_of(name: str) -> str:
    """Give the default as an operator would write it; folders of this user start with ~."""
    from pathlib import Path

    from monitor.settings import Settings

    default: Any = Settings.model_fields[name].default
    if isinstance(default, Path) and default.is_relative_to(Path.home()):
        return f"~/{default.relative_to(Path.home())}"
    return _shown(default)


def _shown(value: object) -> str:
    from pydantic import SecretStr

    if value is None or value == "":
        return ""
    if isinstance(value, SecretStr):
        return "(set)"
    if isinstance(value, str) and "://" in value:
        return _without_password(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _without_password(url: str) -> str:
    before, at, after = url.rpartition("@")
    scheme, slashes, user = before.partition("://")
    return f"{scheme}{slashes}{user.partition(':')[0]}:***@{after}" if at and ":" in user else url


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _print_table(lines: list[tuple[str, str, str, str, str]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_lines=False)
    table.add_column("Environment", no_wrap=True)  # a name cut short cannot be copied
    table.add_column("In force", overflow="fold")
    table.add_column("Meaning")
    for _name, environment, default, meaning, now in lines:
        same = now == default or (default.startswith("~") and now.endswith(default[1:]))
        shown = (
            escape(now)
            if same
            else f"[bold]{escape(now)}[/bold]\n[dim]default: {escape(default) or '-'}[/dim]"
        )
        table.add_row(environment, shown, escape(meaning))
    Console().print(table)
