"""The words of letters. Subject, sender and first line say nothing: somebody may look over a shoulder.

A text message holds as little as can be, since it shows on a locked screen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

if TYPE_CHECKING:
    from collections.abc import Sequence

SUBJECT = "A notice is waiting for you"
"""The same for everybody and everything, as alerts have it."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a letter says. `html` is empty for a text message."""

    subject: str
    text: str
    html: str = ""


@dataclass(frozen=True, slots=True)
class Button:
    """A link of a letter: what it says, and where it leads."""

    says: str
    url: str


def letter(paragraphs: Sequence[str], *, button: Button | None = None, after: Sequence[str] = ()) -> Words:
    """Write an e-mail: paragraphs of plain words, a link if there is one, and what comes after it."""
    given = {"subject": SUBJECT, "paragraphs": paragraphs, "button": button, "after": after}
    return Words(
        SUBJECT,
        _templates().get_template("letter.txt").render(given),
        _templates().get_template("letter.html").render(given),
    )


def way_in(url: str, minutes: int, *, new: bool) -> Words:
    """Write the letter with a one-time link: to begin, or to come in again."""
    first = (
        "somebody gave this address on our page to begin there. If that was you, go on with the link below."
        if new
        else "somebody gave this address on our page to come in. If that was you, the link below opens it."
    )
    return letter(
        (first,),
        button=Button("Go on", url),
        after=(
            (
                f"The link works once, within {minutes} minutes, in any browser. Please do not pass it on: "
                "whoever opens it comes in."
            ),
            "If that was not you, you need not do anything. Nothing happens without the link, and "
            "nothing about this address is kept."
            if new
            else "If that was not you, you need not do anything. Nobody comes in without the link.",
        ),
    )


def nothing_here() -> Words:
    """Write the letter to an address that can begin nothing here, since only the operator enrols."""
    return letter(
        (
            (
                "somebody gave this address on our page. Nothing can be started there: it is open only "
                "to people who are known here already, and this address belongs to none of them."
            ),
            (
                "If that was you and you have used the page before, try the address that you gave then. "
                "If that was not you, you need not do anything. Nothing about this address is kept."
            ),
        )
    )


def invitation(url: str, days: int) -> Words:
    """Write the letter to somebody whom an operator enrolled: there is a page for them, if they want it."""
    return letter(
        (
            "there is a page for you with us, if you want it. On it you see what we keep, and change it.",
            "To open it you make a passkey, or give a mobile number. After that only you come in.",
        ),
        button=Button("Go on", url),
        after=(
            (
                f"The link works once, within {days} days, in any browser. Please do not pass it on: "
                "whoever opens it comes in."
            ),
            "You need not do anything. Without the link all stays as it is.",
        ),
    )


def way_changed(what: str) -> Words:
    """Write the letter that says which way in was added or removed."""
    return letter(
        (
            what,
            (
                "If that was you, you need not do anything. If it was not, somebody else may have come in: "
                "open your page, sign out every other browser on the page “Safety”, and remove what is not "
                "yours."
            ),
        )
    )


def code(number: str, minutes: int) -> Words:
    """Write the text message with a code."""
    return Words("", f"Code: {number}. It works for {minutes} minutes. Give it to nobody.")


@cache
def _templates() -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader("enrollment"), PackageLoader("monitor", "web")]),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
