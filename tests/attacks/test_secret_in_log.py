"""Somebody logs what must never be in a log: by a slip, through a library, or inside an exception."""

from __future__ import annotations

import base64
import io
import json
import logging
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import structlog
from pydantic import SecretStr

from monitor import log
from monitor.crypto import new_key_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VECTOR = np.random.default_rng(7).normal(size=512).astype(np.float32)
KEY_LINE = new_key_line("k1")
SECRET = "correct horse battery staple"  # a canary: it must not appear
JPEG = b"\xff\xd8\xff\xe0" + os.urandom(60)


@contextmanager
def configured(*, json: bool) -> Iterator[io.StringIO]:
    """Log into memory for a while; pytest's own handlers come back afterwards."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    log.configure(json=json, stream=stream)
    yield stream
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = before


@pytest.fixture(params=[True, False], ids=["json", "text"])
def written(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    with configured(json=request.param) as stream:
        yield stream


def traces(written: str) -> list[str]:
    """List what of the canaries stands in the log, in any of the ways it could be printed."""
    numbers = [f"{abs(number):{form}}" for number in VECTOR[:8] for form in ("", ".4f", ".6f", ".8f")]
    texts = [
        SECRET,
        KEY_LINE.partition(":")[2],
        JPEG.hex(),
        repr(JPEG)[10:40],
        base64.b64encode(JPEG).decode(),
    ]
    return [text for text in numbers + texts if text in written]


OURS: dict[str, Callable[[structlog.stdlib.BoundLogger], object]] = {
    "array": lambda logger: logger.info("looked", what=VECTOR),
    "array as list": lambda logger: logger.info("looked", what=VECTOR.tolist()),
    "array as text": lambda logger: logger.info("looked", what=str(VECTOR.tolist())),
    "array in the event": lambda logger: logger.info(f"looked at {VECTOR}"),  # noqa: G004 - the slip that is tested
    "array as argument": lambda logger: logger.info("looked at %s", VECTOR),
    "array in a dict": lambda logger: logger.info("looked", what={"deep": [{"er": VECTOR}]}),
    "array bytes": lambda logger: logger.info("looked", what=VECTOR.tobytes()),
    "array bytes in hex": lambda logger: logger.info("looked", what=JPEG.hex() * 3),
    "bytes": lambda logger: logger.info("looked", what=JPEG),
    "bytes in the event": lambda logger: logger.info(f"looked at {JPEG!r}"),  # noqa: G004 - the slip that is tested
    "bytearray": lambda logger: logger.info("looked", what=[bytearray(JPEG), memoryview(JPEG)]),
    "secret": lambda logger: logger.info("set", what=SecretStr(SECRET)),
    "password": lambda logger: logger.info("set", smtp_password=SECRET),
    "token in a dict": lambda logger: logger.info("set", headers={"X-Auth-Token": SECRET}),
    "key": lambda logger: logger.info("made", what=KEY_LINE),
    "key in the event": lambda logger: logger.info("made " + KEY_LINE),  # noqa: G003 - the slip that is tested
    "bound": lambda logger: logger.bind(kek=SECRET).info("made"),
    "object": lambda logger: logger.info("looked", what=type("Probe", (), {"__repr__": lambda _: SECRET})()),
    "mapping argument": lambda logger: logger.info("set %(password)s", {"password": SECRET}),
}


@pytest.mark.parametrize("slip", OURS)
def test_a_slip_in_our_own_call_is_refused(written: io.StringIO, slip: str) -> None:
    OURS[slip](log.get("monitor.somewhere"))
    assert "refused" in written.getvalue()
    assert traces(written.getvalue()) == []


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("vector %s", (VECTOR,)),
        ("bytes %r and %s", (JPEG, 1)),
        ("%(token)s", ({"token": SECRET},)),
        (f"key {KEY_LINE}", ()),
        ("%s", ({"a": {"cookie": SECRET}},)),
    ],
    ids=["vector", "bytes", "token", "key", "cookie"],
)
def test_a_slip_in_a_library_is_refused(
    written: io.StringIO, message: str, arguments: tuple[object, ...]
) -> None:
    logging.getLogger("some.library").warning(message, *arguments)
    assert "refused" in written.getvalue()
    assert traces(written.getvalue()) == []


def test_an_exceptions_text_and_local_variables_stay_out(written: io.StringIO) -> None:
    def fail(password: str, vector: np.ndarray) -> None:
        data = JPEG + password.encode()
        msg = f"cannot use {vector} and {data!r}"
        raise ValueError(msg)

    for logger in (log.get("monitor.somewhere"), logging.getLogger("some.library")):
        try:
            fail(SECRET, VECTOR)
        except ValueError:
            logger.exception("it failed")
    assert written.getvalue().count("ValueError: cannot use") == 2
    assert "in fail" in written.getvalue()
    assert traces(written.getvalue()) == []


def test_an_error_given_as_a_value_is_cleaned(written: io.StringIO) -> None:
    log.get("m").warning("failed", error=ValueError(f"no {KEY_LINE} {VECTOR}"))
    assert "ValueError" in written.getvalue()
    assert traces(written.getvalue()) == []


def test_facts_pass_as_they_are() -> None:
    facts = {
        "media_id": "m1",
        "sha256": "ab" * 32,
        "box": [1.5, 2.5, 3.5, 4.5],
        "score": 0.5,
        "template_id": "t1",
        "none": None,
        "yes": True,
    }
    with configured(json=True) as stream:
        log.get("monitor.somewhere").info("looked at %s of %d", "m1", 7, **facts, path=Path("a/b"))
        log.get("monitor.somewhere").info("scored", score=np.float32(0.5))
        logging.getLogger("some.library").warning("took %.2f s", 1.5)
    ours, scored, library = map(json.loads, stream.getvalue().splitlines())
    assert {name: ours[name] for name in facts} == facts
    assert (ours["event"], ours["path"], ours["level"]) == ("looked at m1 of 7", "a/b", "info")
    assert scored["score"] == 0.5
    assert (library["event"], library["logger"]) == ("took 1.50 s", "some.library")


def test_other_handlers_do_not_see_it_either(written: io.StringIO) -> None:
    seen: list[object] = []
    spy = logging.Handler()
    spy.emit = lambda record: seen.append(record.msg)  # type: ignore[method-assign]
    logging.getLogger().addHandler(spy)
    log.get("monitor.somewhere").info("looked", what=VECTOR, password=SECRET)
    assert traces(str(seen) + written.getvalue()) == []
    assert len(seen) == 1


def test_libraries_that_talk_much_are_quiet(written: io.StringIO) -> None:
    logging.getLogger("httpx").info("GET https://example.org/secret-path")
    logging.getLogger("sqlalchemy.engine").info("INSERT")
    assert written.getvalue() == ""


UNCONFIGURED = """
import os
from monitor import log

def open_it(password, data_key):
    raise ValueError(f"no {data_key!r}")

try:
    open_it(os.environ["CANARY"], os.environ["CANARY"].encode())
except ValueError:
    log.get("monitor.somewhere").exception("it failed", smtp_password=os.environ["CANARY"])
"""


def test_a_program_that_never_set_up_the_log_leaks_nothing_either() -> None:
    environment = {**os.environ, "CANARY": SECRET}
    done = subprocess.run(
        [sys.executable, "-c", UNCONFIGURED], env=environment, capture_output=True, text=True, check=True
    )
    assert "it failed" in done.stderr
    assert SECRET not in done.stdout + done.stderr
