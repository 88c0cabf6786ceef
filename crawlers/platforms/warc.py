"""WARC files: what somebody archived of the web, read by crawlers/spiders/archive.py."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from crawlers.platforms.fields import check_options
from crawlers.platforms.interfaces import Basis
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Warc:
    """One file. `file` is a path on the operator's machine, instead of the address."""

    kind = "warc"
    basis = Basis.ROBOTS
    sees = "The pictures, films and sounds that somebody kept in one archive of web pages."
    blind_to = "What the archive does not hold, and what has changed on the web since it was made."

    def check(self, url: str, options: Mapping[str, str]) -> None:
        """Raise ConfigError for an option that there is not, or a path that leads to no file."""
        del url
        check_options(options, frozenset({"follow", "file"}))
        if options.get("follow", "no") not in {"yes", "no"}:
            msg = "follow is 'no' (only what is in the archive) or 'yes' (also what its pages link to)"
            raise ConfigError(msg)
        path = options.get("file")
        if path is not None and not (Path(path).is_absolute() and Path(path).is_file()):
            msg = "file is the whole path of a WARC file on this machine, and there is none"
            raise ConfigError(msg)
