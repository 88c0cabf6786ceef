"""Uploads that are made to do harm: huge, slow, many, disguised, swollen. The web process opens none."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from enrollment import given
from enrollment.given import State
from enrollment.judging import judge_due
from enrollment.web import receiving
from enrollment.web.receiving import Limits, Receiver
from enrollment.web.samples import SamplePages
from monitor.db import utc_now
from monitor.errors import UploadsBusy
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.values import Modality
from tests.assets import people
from tests.enrollment.newcomer import MOST, Newcomer, begun, signed_in
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.ml.interfaces import Pack

GIGABYTES = 2 * 2**30
STALL_S, TOTAL_S = 1.0, 3.0
HEAD = b'--x\r\nContent-Disposition: form-data; name="sample"; filename="a.jpg"\r\n\r\n'


@dataclass
class Server:
    """A real server with short patience, and what a client of the lowest kind says to it."""

    eva: Newcomer
    port: int

    @contextmanager
    def saying(self, length: int | None, *, cookie: str | None = None) -> Iterator[socket.socket]:
        """Begin a POST with this Content-Length; None: in chunks."""
        how = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        who = self.eva.cookie if cookie is None else cookie
        head = (
            f"POST /enrol/face HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\n"
            f"Cookie: session={who}\r\nContent-Type: multipart/form-data; boundary=x\r\n{how}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as line:
            line.sendall(head.encode())
            yield line


def answer_of(line: socket.socket) -> str:
    said = b""
    while True:
        try:
            more = line.recv(65536)
        except ConnectionError:
            break
        if not more:
            break
        said += more
        if b"</html>" in said or b"content-length: 0" in said:
            break
    return said.decode("utf-8", "replace")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    limits = Limits(MOST, 2 * MOST, stall_s=STALL_S, total_s=TOTAL_S)
    begin = SamplePages.__init__

    def patient(self: SamplePages, frame: Any, receiver: Receiver | None = None) -> None:
        begin(self, frame, receiver or Receiver(limits))

    monkeypatch.setattr(SamplePages, "__init__", patient)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    eva = Newcomer.at(tmp_path / "home", public_url=f"http://127.0.0.1:{port}")
    with serving(eva.app, port):
        yield Server(eva, port)
    eva.close()


def test_two_gigabytes_are_refused_before_they_are_sent(server: Server) -> None:
    began = time.monotonic()
    with server.saying(GIGABYTES) as line:
        said = answer_of(line)
    assert time.monotonic() - began < 5
    assert said.startswith("HTTP/1.1 413")
    assert "more than the 4 MB that are taken at once" in said
    assert server.eva.views() == []


def test_two_gigabytes_that_are_not_announced_end_where_the_bound_is(server: Server) -> None:
    chunk = b"%x\r\n" % 2**16 + bytes(2**16) + b"\r\n"
    sent = 0
    with server.saying(None) as line:
        line.sendall(b"%x\r\n" % len(HEAD) + HEAD + b"\r\n")
        try:
            while sent < GIGABYTES:
                line.sendall(chunk)
                sent += 2**16
        except ConnectionError:
            pass
        said = answer_of(line)
    assert sent < 16 * MOST  # what the kernel buffers on both sides counts, too
    assert "413" in said.partition("\r\n")[0] or not said  # the line may be cut before it is read
    assert server.eva.views() == []


def test_a_client_that_goes_silent_is_let_go(server: Server) -> None:
    began = time.monotonic()
    with server.saying(10_000) as line:
        line.sendall(HEAD)
        said = answer_of(line)
    assert STALL_S <= time.monotonic() - began < STALL_S + 5
    assert said.startswith("HTTP/1.1 408")
    assert "too slowly" in said


def test_a_client_that_drips_is_let_go_too(server: Server) -> None:
    began = time.monotonic()
    with server.saying(10_000) as line:
        line.sendall(HEAD)
        line.settimeout(STALL_S / 4)
        said = b""
        while time.monotonic() - began < 10 * TOTAL_S and b"</html>" not in said:
            try:
                line.sendall(b".")
                said += line.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
    assert TOTAL_S <= time.monotonic() - began < TOTAL_S + 5
    assert said.startswith(b"HTTP/1.1 408")


def test_nobody_without_a_session_is_listened_to(server: Server) -> None:
    began = time.monotonic()
    with server.saying(GIGABYTES, cookie="none") as line:
        said = answer_of(line)
    assert time.monotonic() - began < 5
    assert said.startswith(("HTTP/1.1 303", "HTTP/1.1 413"))


def test_one_person_holds_two_lines_and_no_more(server: Server) -> None:
    with server.saying(10_000) as first, server.saying(10_000) as second:
        for line in (first, second):
            line.sendall(HEAD)
        time.sleep(STALL_S / 2)
        with server.saying(10_000) as third:
            third.sendall(HEAD)
            said = answer_of(third)
        assert said.startswith("HTTP/1.1 503")
        assert "Another upload of yours" in said
        ann = begun(server.eva.engine, server.eva.keys, "ann@example.org")
        with server.saying(len(b"--x--\r\n"), cookie=signed_in(server.eva.engine, ann)) as other:
            other.sendall(b"--x--\r\n")
            assert "No file was chosen" in answer_of(other)  # nobody else is in the way


def test_all_people_together_have_a_bound() -> None:
    receiver = Receiver(Limits(100, 150))
    receiver._held = 151
    with pytest.raises(UploadsBusy), receiver.place("a"), receiver.place("a"), receiver.place("a"):
        pytest.fail("three at once")
    assert receiver._coming == {}


def test_what_is_on_its_way_never_touches_the_disk(server: Server, tmp_path: Path) -> None:
    """The framework's own parser would put files above 1 MiB into a temporary file, in the clear."""
    mark = b"a face that nobody may read " * 4
    body = HEAD + b"\xff\xd8\xff\xe0" + mark * (2 * 2**20 // len(mark))
    before = set(temporary_files())
    with server.saying(len(body) + 1000) as line:
        line.sendall(body)
        time.sleep(STALL_S / 2)
        assert set(temporary_files()) == before
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert mark not in path.read_bytes()


def temporary_files() -> Iterator[str]:
    """Name the temporary files that this process, in which the server runs, holds open; pytest has some."""
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            name = str(one.readlink())
            if name.startswith(f"{tempfile.gettempdir()}/") and name.endswith(" (deleted)"):
                yield name


def bomb() -> bytes:
    """Make a PNG of 30,000 x 30,000 pixels in some 100 KB."""

    def part(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    side = 30_000
    header = side.to_bytes(4, "big") * 2 + bytes((1, 0, 0, 0, 0))
    rows = zlib.compress(bytes(side * (side // 8 + 1)), 9)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", rows) + part(b"IEND", b"")


def test_a_swollen_picture_bursts_in_the_decoder_s_child_alone(server: Server, pack: Pack) -> None:
    given.give(server.eva.givers, server.eva.eva, Modality.FACE, bomb(), utc_now())
    with Decoder(DecodeLimits(memory_mb=512, max_pixels=50_000_000)) as decoder:
        judge_due(server.eva.desk(pack, decoder))
    [view] = server.eva.views()
    assert (view.state, view.code) == (State.REFUSED, "too_many_pixels")
    assert view.said.hint


@pytest.mark.parametrize(
    "tail", [b"PK\x03\x04 a zip", b"<script>alert(1)</script>", b"%PDF-1.7", b"#!/bin/sh\n"]
)
def test_a_polyglot_is_the_picture_it_begins_as_or_refused(
    server: Server, pack: Pack, data: Path, tail: bytes
) -> None:
    """What hangs behind a picture is never run, shown or given back; what stands before it makes it none."""
    picture = people.jpeg(people.pictures(data, "Adrien_Brody")[0])
    files = [("sample", ("a.jpg", one, "text/html")) for one in (picture + tail, tail + picture)]
    headers = {"sec-fetch-site": "same-origin", "accept": "application/json"}
    said = server.eva.browser.post("/enrol/face", files=files, headers=headers)
    assert [one["code"] for one in said.json()["problems"]] == ["not_media"]
    with Decoder(DecodeLimits(memory_mb=512)) as decoder:
        judge_due(server.eva.desk(pack, decoder))
    [view] = server.eva.views()
    assert view.state is State.USABLE
    page = server.eva.browser.get("/enrol/face").text
    assert tail.decode() not in page


def test_a_form_of_many_parts_is_refused(server: Server) -> None:
    body = b"".join(HEAD + b"x\r\n" for _ in range(receiving.MOST_FILES + 1)) + b"--x--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = server.eva.browser.post("/enrol/face", content=body, headers=headers)
    assert answer.status_code == 400
    assert "8 files or fewer" in answer.text
    many = b'--x\r\nContent-Disposition: form-data; name="%d"\r\n\r\n1\r\n'
    fields = b"".join(many % i for i in range(receiving.MOST_FIELDS + 1)) + b"--x--\r\n"
    assert server.eva.browser.post("/enrol/face", content=fields, headers=headers).status_code == 400
    long = HEAD.replace(b'; filename="a.jpg"', b"") + bytes(receiving.LONGEST_FIELD + 1) + b"\r\n--x--\r\n"
    assert server.eva.browser.post("/enrol/face", content=long, headers=headers).status_code == 400
    assert server.eva.views() == []


GIVING = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"PIL", "av", "faster_whisper"}:
            raise RuntimeError("the web process reached for a decoder: " + name)
sys.meta_path.insert(0, Refuse())
from enrollment.given import Givers, give
from enrollment.web import guide, receiving, samples
"""


def test_the_modules_of_the_web_side_reach_for_no_decoder() -> None:
    """What takes samples in works where Pillow and PyAV cannot even be imported."""
    subprocess.run([sys.executable, "-c", GIVING], check=True)
