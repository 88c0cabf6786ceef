"""Where a person stands: what a subject's status means, and who may change it."""

from __future__ import annotations

from enum import StrEnum


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
