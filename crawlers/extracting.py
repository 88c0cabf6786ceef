"""`python -m crawlers.extracting NAME...`: yt-dlp reads pages into addresses of files. A process of its own.

It reaches nothing: every request is a line on standard output, answered by the crawl on standard input
(spiders/media_site.py), and an audit hook refuses sockets, programs and files. Strangers' pages can
keep it busy for ever, so the crawl ends it where it takes too long. It knows no secret and no database.

A line in: {"url", "flat"}. Lines out: {"ask": {url, method, headers, body}}, answered by {"status", "url",
"headers", "body"} or {"failed"}; at last {"info"} or {"error", "kind"}.
"""

from __future__ import annotations

import base64
import io
import json
import os
import sys
from typing import Any, Final

MOST_ENTRIES: Final = 200
"""Entries of a list that are handed on."""

GENERIC, HTML5 = "generic", "html5"
"""yt-dlp's extractor for any page, and the part of it that reads <video> and <audio>."""

REFUSED: Final = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn",
                  "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod",
                  "shutil.", "ctypes.", "urllib.Request", "http.client.", "ftplib.", "smtplib.")  # fmt: skip
"""Audit events (docs.python.org/3/library/audit_events.html) that reading a page never needs."""

WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

SAID: Final = ("id", "title", "url", "webpage_url", "thumbnail", "timestamp", "is_live", "live_status",
               "_type", "ie_key", "availability")  # fmt: skip
SAID_OF_A_FORMAT: Final = (
    "url", "protocol", "vcodec", "acodec", "height", "tbr", "has_drm", "ext", "fragments",
)  # fmt: skip


class Line:
    """The only way out."""

    def __init__(self) -> None:
        """Keep both ends; what else is printed goes nowhere."""
        self._in, self._out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for ever

    def read(self) -> dict[str, Any] | None:
        """Give the next line, or None at the end."""
        text = self._in.readline()
        found: dict[str, Any] | None = json.loads(text) if text else None
        return found

    def write(self, said: dict[str, Any]) -> None:
        """Say one thing."""
        self._out.write(json.dumps(said).encode() + b"\n")
        self._out.flush()


def main() -> int:
    """Answer until the input ends."""
    line = Line()
    dl = _downloader(sys.argv[1:], line)
    sys.addaudithook(_refuse)
    while (asked := line.read()) is not None:
        line.write(_answer(dl, asked))
    return 0


def _answer(dl: Any, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - yt-dlp has no types
    """Read one page. A list gives its entries, each to be asked for by itself."""
    try:
        found = dl.extract_info(asked["url"], download=False, process=True)
    except Exception as exc:  # noqa: BLE001 - edge: whatever a page did to yt-dlp, it is said in one line
        inner = getattr(exc, "exc_info", None)
        cause = (inner and inner[1]) or exc
        return {"error": str(cause)[:500], "kind": type(cause).__name__}
    return {"info": _plain(found)}


def _plain(found: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    if not isinstance(found, dict):
        return {}
    said: dict[str, Any] = {name: found.get(name) for name in SAID}
    formats = found.get("formats") or ([found] if found.get("url") else [])
    said["formats"] = [
        {name: one.get(name) for name in SAID_OF_A_FORMAT} | {"fragments": bool(one.get("fragments"))}
        for one in formats
    ]
    entries = found.get("entries")
    if entries is not None:
        said["entries"] = [_plain(one) for one, _ in zip(entries, range(MOST_ENTRIES), strict=False)]
    return json.loads(json.dumps(said, default=str))  # type: ignore[no-any-return]  # a dict again


def _downloader(names: list[str], line: Line) -> Any:  # noqa: ANN401 - as above
    from yt_dlp import YoutubeDL, globals  # noqa: A004, PLC0415 - heavy, and its own name
    from yt_dlp.networking.common import RequestDirector  # noqa: PLC0415 - as above

    globals.plugin_dirs.value = []
    globals.all_plugins_loaded.value = True  # so that none is loaded
    made = YoutubeDL(
        {
            "quiet": True,
            "no_warnings": True,
            "logger": Silence(),
            "skip_download": True,
            "simulate": True,
            "extract_flat": "in_playlist",
            "lazy_playlist": False,
            "playlistend": MOST_ENTRIES,
            "cachedir": False,
            "js_runtimes": {},
            "remote_components": [],
            "geo_bypass": False,
            "check_formats": False,
            "ignoreerrors": False,
            "ignore_no_formats_error": True,
            "extractor_retries": 0,
            "allow_unplayable_formats": True,  # so that what is locked is said to be, and not just absent
            "noprogress": True,
            "proxy": "",
            "enable_file_urls": False,
            "usenetrc": False,
            "allowed_extractors": [],
        },
        auto_init=False,
    )
    for one in known(names).values():
        made.add_info_extractor(one)
    director = RequestDirector(logger=Silence())
    director.add_handler(handler_of(line))
    made.__dict__["_request_director"] = director
    return made


def known(names: list[str]) -> dict[str, Any]:
    """Give the extractors of these names. Raises KeyError for one that there is not."""
    from yt_dlp.extractor import gen_extractor_classes  # noqa: PLC0415 - heavy

    every = {one.IE_NAME.lower(): one for one in gen_extractor_classes()}
    if GENERIC in names and HTML5 not in names:
        names = [*names, HTML5]
    return {name: every[name] for name in names}


class Silence:
    """Takes what yt-dlp says and says nothing: it may name what was asked for."""

    def debug(self, *_: object, **__: object) -> None:
        """Say nothing."""

    info = warning = error = stdout = stderr = to_stderr = debug


def handler_of(line: Line) -> Any:  # noqa: ANN401 - as above
    """Make what yt-dlp sends requests through."""
    from yt_dlp.networking.common import RequestHandler, Response  # noqa: PLC0415 - as above
    from yt_dlp.networking.exceptions import HTTPError, TransportError  # noqa: PLC0415 - as above

    class GuardedRH(RequestHandler):  # type: ignore[misc]  # no types
        """Asks the crawl."""

        _SUPPORTED_URL_SCHEMES = ("http", "https")

        def _check_extensions(self, extensions: dict[str, Any]) -> None:
            extensions.clear()  # cookies, time limits and the like: there are none, or ours

        def _send(self, request: Any) -> Any:  # noqa: ANN401 - as above
            body = request.data
            if body is not None and not isinstance(body, bytes):
                body = body.read() if hasattr(body, "read") else b"".join(body)
            said = {
                "url": request.url,
                "method": request.method,
                "headers": dict(request.headers),
                "body": None if body is None else base64.b64encode(body).decode(),
            }
            line.write({"ask": said})
            got = line.read()
            if got is None or "failed" in got:
                raise TransportError("" if got is None else str(got["failed"]))
            answer = Response(
                io.BytesIO(base64.b64decode(got["body"])), got["url"], got["headers"], got["status"]
            )
            if got["status"] >= 400:
                raise HTTPError(answer)
            return answer

    return GuardedRH(logger=Silence())


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    """Refuse what reading a page never needs. An audit hook cannot be taken away again."""
    if event == "open":
        path, _, flags = (*args, 0, 0, 0)[:3]
        writes = isinstance(flags, int) and flags & WRITES
        if writes or not (isinstance(path, str) and path.startswith(_FOLDERS)):
            msg = "files are not opened here"
            raise PermissionError(msg)
    elif event.startswith(REFUSED):
        msg = f"{event} is refused here"
        raise PermissionError(msg)


_FOLDERS: Final = tuple({*map(os.path.realpath, (sys.prefix, sys.base_prefix)), sys.prefix, sys.base_prefix})
"""Where modules of Python lie: some are only imported when an extractor is used."""


if __name__ == "__main__":
    sys.exit(main())
