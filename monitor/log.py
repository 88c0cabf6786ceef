"""Structured logs on standard error that refuse what must never be in a log.

Bytes, arrays, secrets, keys in base64 and long rows of fractions are dropped where they stand, and the
record says `refused: TYPE` in their place: a slip in one log call must not become a leaked face. This
holds for our own records, for the arguments of every library's records, for nested values and for the
text of exceptions. Objects of unknown types are refused too: their repr may hold anything. Tracebacks
carry no local variables.

A library that sets up handlers of its own goes around this: uvicorn is run with `log_config=None`, and
Scrapy with `install_root_handler=False`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import PurePath
from typing import TYPE_CHECKING, TextIO
from uuid import UUID

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

SECRET_NAME = re.compile(
    r"(?i)secret|passw|token|api_?key|authorization|cookie|credential|private|signature|phone|e?mail$"
    r"|^keks?$|^key$|data_key|wrapped|sealed|plaintext|vector|embedding|landmark|^aligned$|^portrait$"
)
"""Names under which a secret, an address or a piece of a body would stand. `template_id` passes."""

KEY_LIKE = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=(?!=)")
"""32 bytes in base64: how a key is written. A SHA-256 in hex has no `=` and passes."""

BYTES_LIKE = re.compile(r"""\b(?:b|bytearray\(b)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
"""What Python writes for bytes: they get into the text of exceptions."""

NUMBERS_LIKE = re.compile(r"(?:[-+]?\d*\.\d*(?:e[-+]?\d+)?[\s,;\[\]()]+){8,}(?:[-+]?\d*\.\d*(?:e[-+]?\d+)?)?")
"""Eight fractions in a row or more: a vector or part of one, however it was printed."""

DUMP_LIKE = re.compile(r"[0-9a-fA-F]{129,}|[A-Za-z0-9+/_-]{300,}")
"""Hex longer than a SHA-512, or base64 longer than any id: content, whatever it is."""

LONGEST_NUMBERS = 8
"""A box has 4 numbers and a span 2. More fractions in a row than this are a vector or part of one."""

LONGEST_LIST = 64
"""Things in one list; more are content."""

LONGEST_TEXT = 20_000
"""Letters of one value; a long traceback fits. More is content."""

DEEPEST = 6
"""Values nested deeper than this are content, not a fact for a log."""

QUIET = (
    "PIL", "alembic", "apscheduler", "asyncio", "c2pa", "filelock", "httpcore", "httpx", "insightface",
    "matplotlib", "multipart", "numba", "onnxruntime", "scrapy", "sqlalchemy", "twisted", "uvicorn.access",
)  # fmt: skip
"""Libraries that tell at INFO what only their makers want to know, or addresses that are ours to log once."""


def configure(*, json: bool, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send our records and those of every library through the same refusal to one stream.

    `json`: one JSON object per line, for machines; otherwise one readable line. `stream` is standard
    error unless given. Calling it again replaces what the last call set up.
    """
    _set_up_structlog()
    _take_over_root(_handler(json=json, stream=stream or sys.stderr), level)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Make the logger of a module; every module gets its logger here, never from structlog itself."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


class _Logger(structlog.stdlib.BoundLogger):
    """Writes the traceback itself; the library's own would reach other handlers a second time, uncleaned."""

    def exception(self, event: str | None = None, *args: object, **facts: object) -> object:
        """Write an error with the traceback of the exception that is being handled."""
        return self.error(event, *args, **{"exc_info": True, **facts})


def _set_up_structlog() -> None:
    structlog.configure(
        processors=[
            _refuse_arguments,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=_Logger,
        cache_logger_on_first_use=False,  # a later configure() must reach loggers that are in use
    )


def _handler(*, json: bool, stream: TextIO) -> logging.Handler:
    renderer: Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    if not json:
        plain = structlog.dev.plain_traceback  # the rich one prints local variables
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)
    handler = logging.StreamHandler(stream)
    handler.addFilter(_refuse_record_arguments)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    return handler


def _take_over_root(handler: logging.Handler, level: int) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def refuse(_logger: object, _method: str, record: EventDict) -> EventDict:
    """Replace every value of a record that must not be in a log, before any handler sees it."""
    return {name: value if name in _BOOKKEEPING else clean(value, name) for name, value in record.items()}


_BOOKKEEPING = frozenset({"_record", "_from_structlog"})
"""What structlog keeps in a library's record for itself and takes out before it is written."""


def _refuse_arguments(_logger: object, _method: str, record: EventDict) -> EventDict:
    """Do it before `%s` turns an argument into text."""
    if record.get("positional_args"):
        record["positional_args"] = _clean_arguments(record["positional_args"])
    return record


def _refuse_record_arguments(record: logging.LogRecord) -> bool:
    """Do the same for the records of libraries."""
    if record.args:
        record.args = _clean_arguments(record.args)
    return True


def _clean_arguments(arguments: object) -> tuple[object, ...] | dict[str, object]:
    if isinstance(arguments, Mapping):
        return {str(name): clean(value, str(name)) for name, value in arguments.items()}
    return tuple(map(clean, arguments)) if isinstance(arguments, tuple) else (clean(arguments),)


def clean(value: object, name: str = "", depth: int = 0) -> object:
    """Give a value as it may stand in a log: plain, or `refused: TYPE`."""
    if value is None or isinstance(value, bool):
        return value
    if SECRET_NAME.search(name):
        return "refused: secret"
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()  # one number of an array library
    if isinstance(value, Mapping | list | tuple | set | frozenset) and depth < DEEPEST:
        return _clean_nested(value, name, depth)
    return _clean_single(value)


def _clean_single(value: object) -> object:
    if isinstance(value, int | float):
        return value
    if isinstance(value, BaseException):
        return _clean_text(f"{type(value).__name__}: {value}")
    if isinstance(value, str | date | timedelta | PurePath | UUID):
        return _clean_text(str(value))
    return f"refused: {type(value).__name__}"


def _clean_nested(
    value: Mapping[object, object] | list[object] | tuple[object, ...] | set[object] | frozenset[object],
    name: str,
    depth: int,
) -> object:
    if isinstance(value, Mapping):
        return {_clean_text(str(key)): clean(inner, str(key), depth + 1) for key, inner in value.items()}
    if sum(isinstance(one, float) for one in value) > LONGEST_NUMBERS:
        return "refused: numbers"
    if len(value) > LONGEST_LIST:
        return f"refused: {type(value).__name__} of {len(value)}"
    return [clean(inner, name, depth + 1) for inner in value]


def _clean_text(text: str) -> str:
    text = BYTES_LIKE.sub("refused: bytes", text)
    text = NUMBERS_LIKE.sub(" refused: numbers ", text)
    text = DUMP_LIKE.sub("refused: dump", text)
    text = KEY_LIKE.sub("refused: key", text)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}... refused: the rest"


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    refuse,
]

if not structlog.is_configured():
    # Before an entry file sets up the log, and in programs that never do, structlog would print local
    # variables of every traceback. From the first import on, records pass the refusal.
    _set_up_structlog()
