"""Where a person stands: what a subject's status means, and who may change it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from enrollment.tables import Account


class Standing(StrEnum):
    """The status of a subject.

        new ──> starting ──┬─> active <──> paused        the person's own switch
                           │     └───────> lapsed ──> active       a new proof is overdue, then given
                           └─> held ──┬─> active         two operators said yes
                                      └─> new            an operator said no: samples are given anew

    `new` has an account and gives samples; `starting` pressed the last button, and the worker has not
    come to it yet. Only of `active` and `lapsed` ones are there templates in the gallery. Whoever an
    operator enrols is `active` at once. Erasure leaves no row at all.
    """

    NEW = "new"
    STARTING = "starting"
    HELD = "held"
    ACTIVE = "active"
    PAUSED = "paused"
    LAPSED = "lapsed"


WATCHED = frozenset({Standing.ACTIVE, Standing.LAPSED})
"""Who has templates in the gallery."""

ON_THE_WAY = frozenset({Standing.STARTING, Standing.HELD, Standing.ACTIVE})
"""Who pressed the last button. Until the cooling-off is over nobody outside can tell these apart."""

UNTOLD = frozenset(
    {
        "enrolment.started",
        "enrolment.held",
        "enrolment.looked_at",
        "enrolment.vote",
        "enrolment.approved",
        "enrolment.rejected",
    }
)
"""Actions of the audit that would say whether somebody was held: shown after the cooling-off only."""


ENROLLED = frozenset({Standing.ACTIVE, Standing.PAUSED, Standing.LAPSED})
"""Who is let in: they proved who they are, or an operator checked it."""


def is_unopened(standing: str, account: Account | None) -> bool:
    """Say whether an operator enrolled somebody who then came by an invitation, with no second factor yet.

    Whoever came by the web form has pressed the last button, so that their account says from when on they
    are told. Until the first second factor an invited one's page stays shut, and messages and their links go
    on as they did before the invitation.
    """
    return account is not None and account.told_from is None and standing in ENROLLED


def is_cooling_off(account: Account | None, now: datetime) -> bool:
    """Say whether somebody pressed the last button, and their cooling-off is not over."""
    return account is not None and account.told_from is not None and now < account.told_from


def shown_standing(standing: Standing, account: Account | None, now: datetime) -> Standing:
    """Give the standing that may be shown to the person, or acted on where the person sees what comes of it.

    During the cooling-off it is `starting` for whoever was let in and whoever was held: else anybody could
    learn by a photograph whose face is enrolled. Every page, copy, message and button of theirs asks this.
    """
    if standing in ON_THE_WAY and is_cooling_off(account, now):
        return Standing.STARTING
    return standing


def is_shown(action: str, account: Account | None, now: datetime) -> bool:
    """Say whether an audited action may be shown to the person it is about. Operators see all of them."""
    return action not in UNTOLD or not is_cooling_off(account, now)
