"""Scrapy's settings for one crawl.

Its defaults ignore robots.txt and certificates, load a gigabyte per page, and open two consoles that
run code. Each of these is turned round here.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from crawlers.fetch_guard import MAX_REDIRECTS
from crawlers.platforms.registry import SITE
from crawlers.resolver import RULES_SETTING
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from crawlers.fetch_guard import Rules
    from crawlers.tables import Source

JAVASCRIPT: Final = "javascript"
"""The option of a site whose pages are read after their scripts have run: yes or no."""

PAGE_BYTES: Final = 8 * 2**20
"""Largest page, feed or sitemap read, after decompression."""

PAGE_S: Final = 30.0
"""Longest download of one page, seconds."""

CRAWL_S: Final = 6 * 3600
"""Longest crawl of one source, seconds; the next run goes on where it ended."""


def user_agent(contact: str) -> str:
    """Say who we are and where to complain. Raises ConfigError without a contact."""
    if not contact.strip():
        msg = "LIKENESS_CRAWL_CONTACT is not set: a crawler that names nobody is not welcome anywhere"
        raise ConfigError(msg, hint="Set it to a page or an e-mail address that reaches the operator.")
    return f"LikenessWatch/{version('likeness-watch')} (+{contact.strip()})"


def scrapy_settings(source: Source, rules: Rules, agent: str) -> dict[str, Any]:
    """Give all settings that differ from Scrapy's own."""
    found = _manners(source, agent) | _caps() | _parts(rules) | _nothing_else()
    if runs_scripts(source):
        found["DOWNLOADER_MIDDLEWARES"]["crawlers.browser.Rendered"] = 580  # after a packed body was unpacked
    return found


def runs_scripts(source: Source) -> bool:
    """Say whether the pages of a source are read after their scripts have run."""
    return source.kind == SITE and json.loads(source.options).get(JAVASCRIPT) == "yes"


def _manners(source: Source, agent: str) -> dict[str, Any]:
    return {
        "USER_AGENT": agent,
        "ROBOTSTXT_OBEY": True,  # by middlewares.Manners, which also leaves hosts alone that cannot say
        "DOWNLOAD_DELAY": source.delay_s,
        "CONCURRENT_REQUESTS": 32,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 8,
        "AUTOTHROTTLE_ENABLED": True,
        "AUTOTHROTTLE_START_DELAY": max(source.delay_s, 0.05),
        "AUTOTHROTTLE_MAX_DELAY": 30.0,
        "AUTOTHROTTLE_TARGET_CONCURRENCY": 1.0 if source.delay_s > 0 else 4.0,
        "COOKIES_ENABLED": False,
        "REFERRER_POLICY": "no-referrer",
        "DEFAULT_REQUEST_HEADERS": {"Accept": "text/html,application/xml;q=0.9,*/*;q=0.8"},
    }


def _caps() -> dict[str, Any]:
    return {
        "DOWNLOAD_MAXSIZE": PAGE_BYTES,
        "DOWNLOAD_WARNSIZE": 0,
        "DOWNLOAD_TIMEOUT": PAGE_S,
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "REDIRECT_MAX_TIMES": MAX_REDIRECTS,
        "METAREFRESH_MAXDELAY": 5,
        "RETRY_TIMES": 1,
        "RETRY_HTTP_CODES": [500, 502, 504, 408],
        "RETRY_EXCEPTIONS": [
            "scrapy.exceptions.DownloadConnectionRefusedError",
            "scrapy.exceptions.DownloadFailedError",
            "scrapy.exceptions.ResponseDataLossError",
            "monitor.errors.FetchFailed",
        ],
        "RETRY_GIVE_UP_LOG_LEVEL": "INFO",
        "CLOSESPIDER_TIMEOUT": CRAWL_S,
        "SCRAPER_SLOT_MAX_ACTIVE_SIZE": 64 * 2**20,
    }


def _parts(rules: Rules) -> dict[str, Any]:
    handler = "crawlers.handler.GuardedHandler"
    return {
        RULES_SETTING: rules,
        "TWISTED_DNS_RESOLVER": "crawlers.resolver.GuardedResolver",
        "DOWNLOAD_HANDLERS": {
            "http": handler,
            "https": handler,
            "data": None,
            "file": None,
            "ftp": None,
            "s3": None,
        },
        "DOWNLOADER_MIDDLEWARES": {
            "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
            "crawlers.middlewares.Manners": 100,
        },
        "ITEM_PIPELINES": {"crawlers.pipelines.TakeMedia": 300},
        "LOG_FORMATTER": "crawlers.quiet.QuietLog",
        "DEFAULT_DROPITEM_LOG_LEVEL": "INFO",
    }


def _nothing_else() -> dict[str, Any]:
    """Turn off what listens, what runs code, and what reads proxies from the environment past the guard."""
    return {
        "REMOTE_CONTROL_ENABLED": False,
        "TELNETCONSOLE_ENABLED": False,
        "HTTPPROXY_ENABLED": False,
        "MEMUSAGE_ENABLED": False,
        "STATS_DUMP": False,
        "LOGSTATS_INTERVAL": 0,
        "LOG_INSTALL_ROOT_HANDLER": False,  # monitor.log has the root, and refuses what must not be logged
        "LOG_VERSIONS": [],
    }
