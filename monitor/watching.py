"""The scheduler's entry: joins the crawls with what people look for, and with the places of feeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawlers.platforms.interfaces import Terms
from crawlers.schedule import run_scheduler
from enrollment.lookups import Lookups
from enrollment.search_terms import EnrolledTerms
from monitor import log as logs
from monitor.crypto import KeyEncryptionKeys
from monitor.ledger import open_ledger
from monitor.partners.pull_times import Places

if TYPE_CHECKING:
    import threading

    from monitor.settings import Settings

log = logs.get(__name__)


def run_watch(settings: Settings, stop: threading.Event) -> None:
    """Start crawls as they fall due, until `stop` is set.

    Without a key-encryption key it runs all the same, hands on no names, handles or hashtags, and fetches
    nothing from partners' buckets and folders. Raises ConfigError and LeaseLost as `run_scheduler`, and
    KeysError for a key that is there and wrong.
    """
    engine = open_ledger(settings)
    try:
        if settings.kek is None and settings.kek_file is None:
            log.info("no_search_terms_and_no_pulls", why="neither LIKENESS_KEK nor LIKENESS_KEK_FILE is set")
            run_scheduler(settings, stop)
            return
        keks = KeyEncryptionKeys.from_settings(settings)
        book = EnrolledTerms(engine, keks, Lookups(engine, keks), Terms)
        run_scheduler(settings, stop, book, Places(engine, keks))
    finally:
        engine.dispose()
