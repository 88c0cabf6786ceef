"""An operator's own detectors: real graphs built here, and a real HTTP server."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from monitor.commands.detector import app
from monitor.errors import DetectorInvalid
from monitor.ml.align import TEMPLATE, align
from monitor.ml.synthetic import own_runners
from monitor.ml.synthetic.interfaces import Look
from monitor.ml.synthetic.own_detectors import open_own_detectors
from monitor.ml.synthetic.own_inputs import cut
from monitor.ml.synthetic.own_manifest import read_manifest
from monitor.values import Abstention, Aspect, Box, FaceSample, MediaKind, Sound, Span
from tests.assets import media
from tests.assets.sightings import sighting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from monitor.ml.synthetic.interfaces import Sighting

SIDE = 16


def face_at(level: int, quality: float = 0.9) -> Look:
    """A face (bright or dark) on a black picture."""
    rgb = np.zeros((200, 200, 3), np.uint8)
    rgb[50:150, 50:150] = level
    points = (TEMPLATE + 44).astype(np.float32)
    return Look(0.0, rgb, FaceSample(0.0, Box(60, 60, 140, 140), points, align(rgb, points), quality))


def seen(*levels: int) -> Sighting:
    return sighting(kind=MediaKind.IMAGE, looks=[face_at(level) for level in levels])


def graph(path: Path, shape: list[int]) -> str:
    """Write a graph whose two numbers are minus the mean and the mean of its input; give its sha256."""
    axes = list(range(1, len(shape)))
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=axes, keepdims=0),
        helper.make_node("Neg", ["mean"], ["less"]),
        helper.make_node("Concat", ["less", "mean"], ["scores"], axis=0),
    ]
    made = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [2])],
    )
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(folder: Path, runs: str, **changed: str) -> Path:
    tables = {
        "top": 'name = "mine"\nversion = "7"\nlimits = "It knows no hats."\n',
        "input": f'what = "face"\nside = {SIDE}\nwiden = 1.0\n',
        "score": 'higher = "made"\nslope = 2.0\noffset = -1.0\n',
    } | changed
    path = folder / "mine.toml"
    path.write_text(f"{tables['top']}\n[input]\n{tables['input']}\n{runs}\n[score]\n{tables['score']}\n")
    return path


@pytest.fixture
def with_graph(tmp_path: Path) -> Callable[..., Path]:
    digest = graph(tmp_path / "m.onnx", [1, 3, SIDE, SIDE])
    return lambda **changed: write(tmp_path, f'[onnx]\nfile = "m.onnx"\nsha256 = "{digest}"\n', **changed)


def test_a_graph_is_asked_about_the_faces_and_its_middle_answer_counts(
    with_graph: Callable[..., Path],
) -> None:
    with_graph()

    (mine,) = open_own_detectors(with_graph().parent, "cpu")
    said = mine.assess(seen(255, 255, 0))

    assert mine.name == said.name == "own:mine"
    assert (said.aspect, said.version, said.shown_only, said.strong) == (Aspect.FACE, "7", False, False)
    assert said.llr == pytest.approx(1.0)  # the mean of white is 1: 2 * 1 - 1
    assert said.limits == "It knows no hats."
    assert "own detector" in said.reasons[0]


@pytest.mark.parametrize(
    ("score", "level", "llr"),
    [
        ('higher = "genuine"\nslope = 2.0\n', 255, -2.0),
        ('higher = "made"\nslope = 99.0\ncap = 1.5\n', 255, 1.5),
        ('higher = "made"\nform = "probability"\nslope = 1.0\ncap = 9\n', 128, 0.00784),
    ],
)
def test_what_higher_means_is_what_the_manifest_says(
    with_graph: Callable[..., Path], score: str, level: int, llr: float
) -> None:
    (mine,) = open_own_detectors(with_graph(score=score).parent, "cpu")

    assert mine.assess(seen(level)).llr == pytest.approx(llr, abs=1e-4)


def test_colours_mean_and_layout_are_as_the_manifest_says(tmp_path: Path) -> None:
    digest = graph(tmp_path / "m.onnx", [1, SIDE, SIDE, 3])
    write(
        tmp_path,
        f'[onnx]\nfile = "m.onnx"\nsha256 = "{digest}"\ncolumn = 0\n',
        input='what = "picture"\nside = 16\nlayout = "nhwc"\nscale = 1\nmean = [1, 2, 3]\nstd = [2, 2, 2]\n',
        score='higher = "made"\nslope = 1\ncap = 19\n',
    )
    (mine,) = open_own_detectors(tmp_path, "cpu")
    black = replace(face_at(0), rgb=np.zeros((90, 120, 3), np.uint8))

    said = mine.assess(sighting(kind=MediaKind.IMAGE, looks=[black]))

    assert said.llr == pytest.approx(1.0)  # minus the mean of -1/2, -2/2, -3/2
    assert said.aspect is Aspect.WHOLE


def test_without_a_slope_a_score_is_shown_and_never_counted(with_graph: Callable[..., Path]) -> None:
    (mine,) = open_own_detectors(with_graph(score='higher = "made"\n').parent, "cpu")

    said = mine.assess(seen(255))

    assert (said.llr, said.shown_only) == (0.0, True)
    assert "not counted" in said.reasons[0]


def test_a_face_at_the_edge_goes_on_as_the_edge() -> None:
    look = replace(face_at(9), rgb=np.full((50, 50, 3), 9, np.uint8))

    assert cut(look, SIDE, 4.0).shape == (SIDE, SIDE, 3)
    assert int(np.asarray(cut(look, SIDE, 4.0)).min()) == 9


def test_sound_is_given_in_windows_and_too_little_is_named(tmp_path: Path) -> None:
    digest = graph(tmp_path / "m.onnx", [1, 16_000])
    write(
        tmp_path,
        f'[onnx]\nfile = "m.onnx"\nsha256 = "{digest}"\n',
        input='what = "sound"\nsamples = 16000\n',
        score='higher = "made"\nslope = 1\n',
    )
    (mine,) = open_own_detectors(tmp_path, "cpu")
    spoken = sighting(speech=[Span(0, 3)], own=[Span(0, 3)])
    (turn,) = spoken.turns

    def given(seconds: float) -> Sighting:
        sound = Sound(np.full(round(16_000 * seconds), 0.5, np.float32))
        return replace(spoken, turns=(replace(turn, sound=sound),))

    assert mine.assess(given(2.5)).llr == pytest.approx(0.5)
    assert mine.assess(given(0.7)).llr == pytest.approx(0.5)  # repeated
    assert mine.assess(given(0.4)).abstains is Abstention.TOO_LITTLE_SPEECH
    assert mine.assess(seen(1)).abstains is Abstention.NO_SPEECH
    assert mine.assess(given(2.5)).aspect is Aspect.VOICE


WRONG = {
    "no TOML": {"top": "name = \n"},
    "name": {"top": 'name = "../x"\nversion = "1"\nlimits = "x"\n'},
    "limits": {"top": 'name = "mine"\nversion = "1"\n'},
    "side": {"input": 'what = "face"\nside = 99999\n'},
    "what": {"input": 'what = "everybody"\nside = 16\n'},
    "std": {"input": 'what = "face"\nside = 16\nstd = [1, 0, 1]\n'},
    "mean": {"input": 'what = "face"\nside = 16\nmean = [1, nan, 1]\n'},
    "widden": {"input": 'what = "face"\nside = 16\nwidden = 1.3\n'},
    "higher": {"score": "slope = 1\n"},
    "slope": {"score": 'higher = "made"\nslope = nan\n'},
}


@pytest.mark.parametrize("entry", WRONG)
def test_a_wrong_manifest_is_refused_by_the_name_of_the_entry(
    with_graph: Callable[..., Path], entry: str
) -> None:
    path = with_graph(**WRONG[entry])

    with pytest.raises(DetectorInvalid) as refused:
        open_own_detectors(path.parent, "cpu")

    assert refused.value.code == "detector_invalid"
    assert "mine.toml" in refused.value.message
    assert entry in refused.value.message or entry == "no TOML"
    assert refused.value.hint


def test_another_file_and_a_graph_that_does_not_fit_are_refused(tmp_path: Path) -> None:
    digest = graph(tmp_path / "m.onnx", [1, 3, 32, 32])
    (tmp_path / "none.onnx").write_bytes(b"none")
    none = hashlib.sha256(b"none").hexdigest()
    faults = {
        f'file = "m.onnx"\nsha256 = "{none}"': "is not the file",
        f'file = "m.onnx"\nsha256 = "{digest}"': "does not take or give",
        f'file = "none.onnx"\nsha256 = "{none}"': "no ONNX graph",
        f'file = "../m.onnx"\nsha256 = "{none}"': "file is missing or wrong",
        'file = "m.onnx"\nsha256 = "abc"': "sha256 is missing or wrong",
    }
    for table, said in faults.items():
        with pytest.raises(DetectorInvalid, match=said):
            open_own_detectors(write(tmp_path, f"[onnx]\n{table}\n").parent, "cpu")


def test_two_of_one_name_and_a_folder_that_is_none_are_refused(with_graph: Callable[..., Path]) -> None:
    path = with_graph()
    path.with_name("other.toml").write_bytes(path.read_bytes())

    with pytest.raises(DetectorInvalid, match="two manifests have the name 'mine'"):
        open_own_detectors(path.parent, "cpu")
    with pytest.raises(DetectorInvalid, match="is no folder"):
        open_own_detectors(path, "cpu")
    assert open_own_detectors(None, "cpu") == ()


class Answers(BaseHTTPRequestHandler):
    """A detector elsewhere: what it answers is in the server's `answer`, what it got in `got`."""

    server: Any

    def do_POST(self) -> None:
        """Answer as the test wants."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.server.answer(self)

    def log_message(self, *args: object) -> None:  # noqa: D102 - quiet
        pass


def answers(body: bytes, status: int = 200, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.fixture
def server() -> Iterator[Any]:
    made: Any = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    made.daemon_threads = True
    made.got, made.answer = [], answers(b'{"score": 0.75}')
    running = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    running.start()
    yield made
    made.shutdown()
    made.server_close()
    running.join()


def service(server: Any, more: str = "") -> str:
    url = f"http://127.0.0.1:{server.server_port}/score"
    return f'[service]\nurl = "{url}"\nsends_biometrics = true\n{more}'


def test_a_service_gets_the_face_as_a_png_and_its_score_counts(tmp_path: Path, server: Any) -> None:
    (tmp_path / "token").write_text("s3cret-token\n")
    write(tmp_path, service(server, 'token_file = "token"\n'))
    (mine,) = open_own_detectors(tmp_path, "cpu")

    said = mine.assess(seen(200))

    assert said.llr == pytest.approx(0.5)
    ((headers, body),) = server.got
    assert headers["Content-Type"].startswith("multipart/form-data")
    assert headers["Authorization"] == "Bearer s3cret-token"
    assert b"\x89PNG" in body
    assert b'{"detector": "mine", "what": "face"}' in body


FAULTS = {
    "refused": answers(b"", 503),
    "moved": answers(b"", 302, Location="http://127.0.0.1:1/elsewhere"),
    "no JSON": answers(b"<p>hello</p>"),
    "no score": answers(b"[1]"),
    "a word": answers(b'{"score": "high"}'),
    "no number": answers(b'{"score": NaN}'),
    "yes": answers(b'{"score": true}'),
    "too long": answers(b" " * 200_000 + b'{"score": 1}'),
    "deep": answers(b"[" * 60_000),
    "compressed": answers(b"\x1f\x8b", Content_Encoding="gzip"),
    "hung up": lambda handler: handler.connection.close(),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_service_that_talks_nonsense_says_nothing(tmp_path: Path, server: Any, fault: str) -> None:
    write(tmp_path, service(server))
    (mine,) = open_own_detectors(tmp_path, "cpu")
    server.answer = FAULTS[fault]

    said = mine.assess(seen(200))

    assert (said.llr, said.abstains) == (None, Abstention.FAILED)
    assert len(server.got) == 1


def test_a_service_that_drips_is_late_and_left_alone_and_asked_again_after_a_rest(
    tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not done.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    write(tmp_path, service(server, "timeout_s = 0.4\n"))
    (mine,) = open_own_detectors(tmp_path, "cpu")
    server.answer = drip
    try:
        late, left_alone = mine.assess(seen(200, 200)), mine.assess(seen(200))
    finally:
        done.set()
    assert [late.abstains, left_alone.abstains] == [Abstention.TOO_LATE, Abstention.FAILED]
    assert len(server.got) <= 1

    server.answer = answers(b'{"score": 0.75}')
    monkeypatch.setattr(own_runners, "REST_S", 0.0)
    write(tmp_path, service(server))
    (mine,) = open_own_detectors(tmp_path, "cpu")
    assert mine.assess(seen(200)).llr == pytest.approx(0.5)


def test_a_service_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    write(tmp_path, '[service]\nurl = "http://127.0.0.1:9/"\nsends_biometrics = true\n')
    (mine,) = open_own_detectors(tmp_path, "cpu")

    assert mine.assess(seen(200)).abstains is Abstention.FAILED


@pytest.mark.parametrize(
    "table",
    [
        'url = "https://detector.example/"',
        'url = "https://detector.example/"\nsends_biometrics = false',
        'url = "http://detector.example/"\nsends_biometrics = true',
        'url = "https://user:pass@detector.example/"\nsends_biometrics = true',
        'url = "file:///etc/passwd"\nsends_biometrics = true',
    ],
)
def test_faces_leave_only_over_tls_and_only_when_the_operator_says_so(tmp_path: Path, table: str) -> None:
    with pytest.raises(DetectorInvalid):
        read_manifest(write(tmp_path, f"[service]\n{table}\n"))


def likeness(*words: str) -> Any:
    return CliRunner().invoke(app, words)


def test_the_command_lists_and_tries(
    with_graph: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = with_graph(input=f'what = "picture"\nside = {SIDE}\n')
    picture = tmp_path / "white.png"
    picture.write_bytes(media.saved(media.pattern().point(lambda _: 255), "PNG"))

    assert "You have none" in likeness("list").output
    monkeypatch.setenv("LIKENESS_DETECTORS", str(tmp_path))
    (row,) = json.loads(likeness("list", "--json").output)
    tried = json.loads(likeness("test", str(manifest), "--on", str(picture), "--json").output)
    told = likeness("test", str(manifest)).output

    assert (row["signal"], row["counted"], row["leaves_this_machine"]) == ("own:mine", True, False)
    assert (tried["scores"], tried["llr"], tried["why"]) == ([1.0], 1.0, "")
    assert "towards" in told


def test_the_command_exits_with_1_where_a_service_is_away(tmp_path: Path) -> None:
    path = write(tmp_path, '[service]\nurl = "http://127.0.0.1:9/"\nsends_biometrics = true\n')

    tried = likeness("test", str(path))

    assert tried.exit_code == 1
    assert "No answer" in tried.output


def test_the_manifest_in_the_readme_works(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    page = (request.config.rootpath / "monitor" / "README.md").read_text("utf-8")
    whole, alone = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    digest = graph(tmp_path / "forgery-net.onnx", [1, 3, 224, 224])
    (tmp_path / "token").write_text("t")
    path = tmp_path / "forgery-net.toml"

    path.write_text(whole.replace("0" * 64, digest))
    (mine,) = open_own_detectors(tmp_path, "cpu")
    assert mine.assess(seen(200)).llr is not None

    before, rest = whole.split("[onnx]")
    path.write_text(f"{before}{alone}\n[score]{rest.split('[score]')[1]}")
    (elsewhere,) = open_own_detectors(tmp_path, "cpu")
    assert elsewhere.name == "own:forgery-net"
