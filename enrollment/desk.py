"""The worker's side of the web form: what people gave is opened, judged and acted on here, never in the web.

Each step takes what is due, oldest first, and gives how many it dealt with; doing nothing is cheap. A
step never raises for one person's data: the row is marked, and can be tried again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from enrollment.identity.listen import Listener
from monitor.db import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Engine

    from enrollment.lookups import Lookups
    from enrollment.samples import Reader
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.settings import Settings
    from monitor.stages.match import Book, Compares

JUDGING_STALE_S = 120.0
"""From when on a worker that is still judging is dead, and another one may take its row."""

MOST_TRIES = 3
"""How often a row is taken up: what ends a worker each time is left alone then, marked as failed."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What the steps work with.

    `reader` reads samples, `gallery` and `book` tell who is there already, `listener` hears what is said.
    """

    engine: Engine
    keks: KeyEncryptionKeys
    blobs: BlobStore
    settings: Settings
    lookups: Lookups
    reader: Reader
    gallery: Compares
    book: Book
    now: Callable[[], datetime] = field(default=utc_now)
    listener: Listener = field(default_factory=Listener)
