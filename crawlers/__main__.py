"""`python -m crawlers NAME`: one crawl in a process of its own, the way the scheduler starts it.

Reads its settings from the environment, needs no key that opens anything, prints its report as one line
of JSON, and ends with 0, or with 1 and one line on standard error.
"""

from __future__ import annotations

import argparse
import json
import sys

from crawlers.run import crawl
from monitor import log
from monitor.errors import LikenessError
from monitor.settings import load_settings


def main() -> int:
    """Crawl once. Gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m crawlers", description="Crawl one source once.")
    parser.add_argument("name", help="name of the source")
    parser.add_argument("--scheduled", action="store_true", help="look again for new people once a day only")
    asked = parser.parse_args()
    try:
        settings = load_settings()
        log.configure(json=settings.log_json)
        report = crawl(settings, asked.name, by_hand=not asked.scheduled)
    except LikenessError as exc:
        sys.stderr.write(f"error[{exc.code}]: {exc.message}\n")
        return 1
    sys.stdout.write(json.dumps(report.as_dict()) + "\n")
    return 0 if report.failed_code is None else 1


if __name__ == "__main__":
    sys.exit(main())
