"""How an operator's own detector is asked: an ONNX graph here, or an HTTP service."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import httpx
import numpy as np
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

from monitor.errors import DetectorInvalid, WeightsDiffer
from monitor.ml.sessions import open_session
from monitor.ml.synthetic.own_inputs import blank, png, tensor, wav

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.ml.sessions import Device
    from monitor.ml.synthetic.own_manifest import Graph, Input, Manifest, Service

MOST_ANSWER: Final = 64 * 1024
"""Bytes of a service's answer: it is one number."""

REST_S: Final = 60.0
"""Seconds for which a service that did not answer is not asked again: a worker has other items."""


class Away(Exception):
    """The service did not answer, or not with a score. `late`: it took too long."""

    def __init__(self, why: str, *, late: bool = False) -> None:
        super().__init__(why)
        self.late = late


class Runner(Protocol):
    """Gives the detector's own score of one piece. Safe for threads. Raises Away."""

    def score(self, piece: NDArray[np.generic]) -> float:
        """Ask it about a (side, side, 3) uint8 RGB picture or (samples,) float32 sound."""


@dataclass(frozen=True, slots=True)
class GraphRunner:
    """A graph in this process."""

    session: Any
    graph: Graph
    wanted: Input

    def score(self, piece: NDArray[np.generic]) -> float:
        """See Runner."""
        (entry,) = self.session.get_inputs()
        try:
            outputs = self.session.run(None, {entry.name: tensor(piece, self.wanted)})
            return float(np.asarray(outputs[self.graph.output]).reshape(-1)[self.graph.column])
        except (Fail, InvalidArgument, RuntimeException, IndexError, ValueError, TypeError) as exc:
            raise Away(str(exc).splitlines()[0][:200]) from exc


def open_graph(manifest: Manifest, graph: Graph, device: Device) -> GraphRunner:
    """Check the file, load it and try it on an empty input. Raises DetectorInvalid, DeviceMissing."""
    if _sha256(graph) != graph.sha256:
        msg = f"{manifest.path.name}: {graph.path.name} is not the file whose sha256 the manifest names"
        raise DetectorInvalid(msg, hint="If you changed it on purpose, write what `sha256sum` prints.")
    try:
        runner = GraphRunner(open_session(graph.path, device), graph, manifest.input)
        runner.score(blank(manifest.input))
    except WeightsDiffer as exc:
        msg = f"{manifest.path.name}: {graph.path.name} is no ONNX graph that this program can load"
        raise DetectorInvalid(msg, hint="Export it again, for the opset of this onnxruntime.") from exc
    except (Away, ValueError) as exc:
        msg = f"{manifest.path.name}: {graph.path.name} does not take or give what the manifest says: {exc}"
        hint = "It must have one input; see side, layout and samples of [input], output and column of [onnx]."
        raise DetectorInvalid(msg, hint=hint) from exc
    return runner


def _sha256(graph: Graph) -> str:
    with graph.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(slots=True)
class ServiceRunner:
    """A service elsewhere. Each piece is one POST of multipart/form-data, answered by JSON with a `score`."""

    manifest: Manifest
    service: Service
    client: httpx.Client
    token: str
    _away_until: float = field(default=0.0, init=False)

    def score(self, piece: NDArray[np.generic]) -> float:
        """See Runner. One that failed is left in peace for REST_S."""
        if time.monotonic() < self._away_until:
            why = "it failed a moment ago and is not asked again yet"
            raise Away(why)
        try:
            return self._asked(piece)
        except Away:
            self._away_until = time.monotonic() + REST_S
            raise

    def _asked(self, piece: NDArray[np.generic]) -> float:
        """Ask in a thread of its own: a service that drips would outlast any limit between two bytes."""
        told: list[float | Away] = []

        def ask() -> None:
            try:
                told.append(self._answer(piece))
            except Away as exc:
                told.append(exc)

        asking = threading.Thread(target=ask, daemon=True, name=f"own:{self.manifest.name}")
        asking.start()
        asking.join(self.service.timeout_s)
        if not told:
            why = f"no answer within {self.service.timeout_s:g} s"
            raise Away(why, late=True)
        (answer,) = told
        if isinstance(answer, Away):
            raise answer
        return answer

    def _answer(self, piece: NDArray[np.generic]) -> float:
        sound = self.manifest.input.what == "sound"
        media = ("sound.wav", wav(piece), "audio/wav") if sound else ("face.png", png(piece), "image/png")
        about = json.dumps({"detector": self.manifest.name, "what": self.manifest.input.what})
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            with self.client.stream(
                "POST", self.service.url, data={"about": about}, files={"media": media}, headers=headers
            ) as answer:
                return _score(answer)
        except httpx.TimeoutException as exc:
            why = f"no answer within {self.service.timeout_s:g} s"
            raise Away(why, late=True) from exc
        except httpx.HTTPError as exc:
            raise Away(type(exc).__name__) from exc


def _score(answer: httpx.Response) -> float:
    if answer.status_code != httpx.codes.OK:
        why = f"it answered {answer.status_code}"
        raise Away(why)
    if answer.headers.get("content-encoding", "identity") != "identity":
        why = "its answer is compressed, which was not asked for"
        raise Away(why)
    body = b""
    for piece in answer.iter_raw(4096):
        body += piece
        if len(body) > MOST_ANSWER:
            why = "its answer is far too long for one number"
            raise Away(why)
    try:
        said = json.loads(body)
        score = said["score"]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        why = 'its answer is no JSON object with a "score"'
        raise Away(why) from exc
    if isinstance(score, bool) or not isinstance(score, int | float) or abs(score) > 1e9:
        why = "its score is no number"
        raise Away(why)
    return float(score)


def open_service(manifest: Manifest, service: Service) -> ServiceRunner:
    """Make ready to ask a service. It is not asked yet: one that is away must not keep us from starting.

    Raises DetectorInvalid for a token that cannot be read.
    """
    token = ""
    if service.token_path is not None:
        try:
            token = service.token_path.read_text("ascii").strip()
        except (OSError, ValueError) as exc:
            msg = f"{manifest.path.name}: {service.token_path.name} cannot be read"
            raise DetectorInvalid(msg, hint="It must hold the token alone, in plain letters.") from exc
    client = httpx.Client(
        timeout=service.timeout_s,
        follow_redirects=False,  # a crop goes to the address that the operator named, and to no other
        trust_env=False,
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )
    return ServiceRunner(manifest, service, client, token)
