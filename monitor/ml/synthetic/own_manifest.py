"""The manifest by which an operator adds a detector of their own: one TOML file, every word of it checked.

monitor/README.md tells how to write one. A manifest that is wrong is refused when the service starts, with
the name of the file and of the entry: a detector that is quietly left out would look like one that found
nothing.
"""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn
from urllib.parse import urlsplit

from monitor.errors import DetectorInvalid
from monitor.values import Aspect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

What = Literal["face", "picture", "sound"]

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
"""A detector's name: it becomes part of the signal's, `own:NAME`."""

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
"""Hosts to which http is taken: nothing leaves this machine."""

LARGEST_SIDE: Final = 2048
MOST_SAMPLES: Final = 16_000 * 60
LONGEST_S: Final = 60.0
LARGEST_MANIFEST: Final = 64 * 1024

ASPECTS: Final = {"face": Aspect.FACE, "picture": Aspect.WHOLE, "sound": Aspect.VOICE}
"""What a detector looks at -> what its answer speaks about."""


@dataclass(frozen=True, slots=True)
class Input:
    """What the detector is given. A pixel is divided by `scale`, less `mean`, and then divided by `std`."""

    what: What
    side: int
    widen: float
    samples: int
    layout: Literal["nchw", "nhwc"]
    colour: Literal["rgb", "bgr"]
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Graph:
    """An ONNX file beside the manifest, which of its outputs is the score, and which column of that."""

    path: Path
    sha256: str
    output: int
    column: int


@dataclass(frozen=True, slots=True)
class Service:
    """An HTTP service that the operator runs or has chosen. `token_path` holds a bearer token, or is None."""

    url: str
    timeout_s: float
    token_path: Path | None


@dataclass(frozen=True, slots=True)
class Scale:
    """From score to llr: slope * score + offset, at most `cap` either way. `counted`: slope was given."""

    sign: int
    logit: bool
    slope: float
    offset: float
    cap: float
    counted: bool

    def llr(self, score: float) -> float:
        """Give the llr of one score. Raises ValueError for a score that is no number."""
        if not math.isfinite(score):
            msg = "the score is no number"
            raise ValueError(msg)
        if self.logit:
            near = min(max(score, 1e-6), 1 - 1e-6)
            score = math.log(near / (1 - near))
        return min(self.cap, max(-self.cap, self.slope * self.sign * score + self.offset))


@dataclass(frozen=True, slots=True)
class Manifest:
    """One detector of the operator's own."""

    path: Path
    name: str
    version: str
    limits: str
    input: Input
    runs: Graph | Service
    scale: Scale

    @property
    def aspect(self) -> Aspect:
        """What its answer speaks about."""
        return ASPECTS[self.input.what]


def read_manifest(path: Path) -> Manifest:
    """Read and check one manifest. Raises DetectorInvalid, which says what to change."""
    try:
        if path.stat().st_size > LARGEST_MANIFEST:
            raise _Wrong(path.name, "A manifest is a few lines of text", "this file is far too large")
        said = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise _Wrong(path.name, "It must be a TOML file in UTF-8 that can be read", str(exc)) from exc
    return _Reading(path, said).manifest()


class _Wrong(DetectorInvalid):
    def __init__(self, where: str, must: str, but: str) -> None:
        super().__init__(f"{where}: {but}", hint=f"{must}. See “Your own detector” in monitor/README.md.")


class _Reading:
    """Takes a manifest apart, table by table. Raises DetectorInvalid."""

    def __init__(self, path: Path, said: dict[str, Any]) -> None:
        self._path = path
        self._top = _Table(path.name, "", said)

    def manifest(self) -> Manifest:
        top = self._top
        name = top.text("name")
        if not NAME.fullmatch(name):
            top.refuse("name", "small letters, digits and hyphens, at most 40")
        found = Manifest(
            path=self._path,
            name=name,
            version=top.text("version"),
            limits=top.text("limits"),
            input=self._input(top.table("input")),
            runs=self._runs(top),
            scale=self._scale(top.table("score")),
        )
        top.must_be_empty()
        return found

    def _input(self, table: _Table) -> Input:
        what: Any = table.choice("what", ("face", "picture", "sound"))
        sound = what == "sound"
        found = Input(
            what=what,
            side=0 if sound else table.whole("side", 16, LARGEST_SIDE),
            widen=table.number("widen", 0.5, 4.0, 1.3) if what == "face" else 1.0,
            samples=table.whole("samples", 1600, MOST_SAMPLES) if sound else 0,
            layout="nchw" if sound else table.choice("layout", ("nchw", "nhwc"), "nchw"),
            colour="rgb" if sound else table.choice("colour", ("rgb", "bgr"), "rgb"),
            scale=1.0 if sound else table.number("scale", 1e-6, 1e6, 255.0),
            mean=(0.0, 0.0, 0.0) if sound else table.three("mean", 0.0),
            std=(1.0, 1.0, 1.0) if sound else table.three("std", 1.0),
        )
        if 0.0 in found.std:
            table.refuse("std", "three numbers that are not 0")
        table.must_be_empty()
        return found

    def _runs(self, top: _Table) -> Graph | Service:
        graph, service = "onnx" in top.said, "service" in top.said
        if graph == service:
            top.refuse("onnx", "either a table [onnx] or a table [service], and not both")
        return self._graph(top.table("onnx")) if graph else self._service(top.table("service"))

    def _graph(self, table: _Table) -> Graph:
        digest = table.text("sha256").lower()
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            table.refuse("sha256", "the 64 hex digits that `sha256sum FILE` prints")
        path = self._beside(table, "file")
        found = Graph(path, digest, table.whole("output", 0, 99, 0), table.whole("column", -1, 9999, -1))
        table.must_be_empty()
        return found

    def _service(self, table: _Table) -> Service:
        if table.said.pop("sends_biometrics", None) is not True:
            table.refuse(
                "sends_biometrics",
                "true: faces or voices of the people you watch for go to that address, and you must have the "
                "right to send them there",
            )
        url = table.text("url")
        parts = urlsplit(url)
        local = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not parts.hostname or parts.username or not (parts.scheme == "https" or local):
            table.refuse("url", "an https address without a password in it (http only to this machine)")
        token = self._beside(table, "token_file") if "token_file" in table.said else None
        found = Service(url, table.number("timeout_s", 0.1, LONGEST_S, 10.0), token)
        table.must_be_empty()
        return found

    def _beside(self, table: _Table, key: str) -> Path:
        """Give a file in the manifest's own folder."""
        name = table.text(key)
        path = self._path.parent / name
        if name != path.name or not path.is_file():
            table.refuse(key, "the name of a file that lies beside the manifest, without a folder")
        return path

    def _scale(self, table: _Table) -> Scale:
        higher = table.choice("higher", ("made", "genuine"))
        counted = "slope" in table.said
        found = Scale(
            sign=1 if higher == "made" else -1,
            logit=table.choice("form", ("any", "probability"), "any") == "probability",
            slope=table.number("slope", 1e-9, 1e9, 1.0),
            offset=table.number("offset", -1e9, 1e9, 0.0),
            cap=table.number("cap", 0.01, 20.0, 2.0),
            counted=counted,
        )
        table.must_be_empty()
        return found


class _Table:
    """One table of a manifest; what is read is taken out, so that what is left was misspelt."""

    def __init__(self, file: str, name: str, said: dict[str, Any]) -> None:
        self._file, self._name, self.said = file, name, dict(said)

    def refuse(self, key: str, must: str) -> NoReturn:
        where = f"[{self._name}] {key}" if self._name else key
        raise _Wrong(self._file, f"{where} must be {must}", f"{where} is missing or wrong")

    def must_be_empty(self) -> None:
        for key in self.said:
            where = f"[{self._name}] {key}" if self._name else key
            raise _Wrong(self._file, "Take it out, or look at how it is spelt", f"{where} is not known")

    def table(self, key: str) -> _Table:
        found = self.said.pop(key, None)
        if not isinstance(found, dict):
            self.refuse(key, "a table")
        return _Table(self._file, key, found)

    def text(self, key: str) -> str:
        found = self.said.pop(key, None)
        if not isinstance(found, str) or not found.strip() or len(found) > 500 or not found.isprintable():
            self.refuse(key, "a line of text")
        return found.strip()

    def choice(self, key: str, known: Sequence[str], usual: str | None = None) -> Any:  # noqa: ANN401 - a Literal
        found = self.said.pop(key, usual)
        if found not in known:
            self.refuse(key, "one of: " + ", ".join(known))
        return found

    def number(self, key: str, least: float, most: float, usual: float | None = None) -> float:
        found = self.said.pop(key, usual)
        number = float(found) if isinstance(found, int | float) and not isinstance(found, bool) else math.nan
        if not least <= number <= most:
            self.refuse(key, f"a number from {least:g} to {most:g}")
        return number

    def whole(self, key: str, least: int, most: int, usual: int | None = None) -> int:
        found = self.number(key, least, most, usual)
        if found != int(found):
            self.refuse(key, "a whole number")
        return int(found)

    def three(self, key: str, usual: float) -> tuple[float, float, float]:
        found = self.said.pop(key, [usual] * 3)
        numbers = [v for v in found if isinstance(v, int | float)] if isinstance(found, list) else []
        if len(numbers) != 3 or not all(math.isfinite(v) for v in numbers):
            self.refuse(key, "three numbers, one a colour")
        return float(numbers[0]), float(numbers[1]), float(numbers[2])
