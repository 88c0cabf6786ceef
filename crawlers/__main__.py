"""`python -m crawlers NAME`: one crawl in a process of its own, the way the scheduler starts it.

With `--terms-on-stdin`, what people asked us to look for comes as one JSON text on standard input
(platforms/interfaces.Terms): never as an argument, in the environment or in a file.

`python -m crawlers --feeds` fetches a slice of what partners pushed by address instead (feeds.py).

Reads its settings from the environment, needs no key that opens anything, prints its report as one line
of JSON, and ends with 0, or with 1 and one line on standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Final

from crawlers import feeds
from crawlers.platforms.interfaces import Terms
from crawlers.run import crawl
from monitor import log
from monitor.errors import LikenessError
from monitor.settings import load_settings

MOST_TERMS: Final = 16 * 2**20
"""Characters of terms that are read: those of some hundred thousand people."""


def main() -> int:
    """Crawl once. Gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m crawlers", description="Crawl one source once.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("name", nargs="?", help="name of the source")
    what.add_argument("--feeds", action="store_true", help="fetch what partners pushed by address")
    parser.add_argument("--local", default="", help="with --feeds: an address of this machine to try it on")
    parser.add_argument("--scheduled", action="store_true", help="look again for new people once a day only")
    parser.add_argument("--terms-on-stdin", action="store_true", help="what to look for, as JSON")
    asked = parser.parse_args()
    try:
        settings = load_settings()
        log.configure(json=settings.log_json)
        if asked.feeds:
            sys.stdout.write(json.dumps(feeds.fetch(settings, asked.local)) + "\n")
            return 0
        terms = Terms.from_json(sys.stdin.read(MOST_TERMS)) if asked.terms_on_stdin else None
        report = crawl(settings, asked.name, by_hand=not asked.scheduled, terms=terms)
    except LikenessError as exc:
        sys.stderr.write(f"error[{exc.code}]: {exc.message}\n")
        return 1
    sys.stdout.write(json.dumps(report.as_dict()) + "\n")
    return 0 if report.failed_code is None else 1


if __name__ == "__main__":
    sys.exit(main())
