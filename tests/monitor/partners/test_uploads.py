"""Large files in pieces: tuspy's client against the routes, kills between the steps, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import os
import signal
import threading
import tracemalloc
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from sqlmodel import select
from tusclient.client import TusClient
from tusclient.exceptions import TusUploadFailed

from monitor import intake, jobs, subject_keys
from monitor.blobs import BlobStore
from monitor.db import open_engine, reading, utc_now, writing
from monitor.partners import arriving, tus, uploads
from monitor.partners.admission import Admitted, OpenFeeds
from monitor.partners.sandbox import Sandbox
from monitor.partners.tables import FeedItem, FeedUpload
from monitor.partners.uploads import Uploads
from monitor.values import BlobId
from tests.alerts.mailhost import free_port
from tests.monitor.partners.partner import Partner, is_problem, png
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from monitor.tables import MediaItem

MIB = 2**20


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Partner]:
    port = free_port()
    watch = {"public_url": f"http://127.0.0.1:{port}", "max_bytes": 100 * MIB}
    with Partner.at(tmp_path_factory.mktemp("uploads"), watch=watch) as partner, serving(partner.app, port):
        yield partner


_seeds = iter(range(10**6))


def film(size: int) -> bytes:
    """Make bytes that begin as a film, other ones each time."""
    head = b"\x00\x00\x00\x18ftypmp42" + next(_seeds).to_bytes(8, "big")
    return (head + hashlib.sha256(head).digest() * (size // 32 + 1))[:size]


def _signed(partner: Partner, method: str, path: str, headers: dict[str, str], **how: Any) -> dict[str, str]:
    low = {name.lower(): value for name, value in headers.items()}
    return {**headers, **partner.signed(tus.statement(method, path, low), **how)}


def _send(
    partner: Partner, method: str, upload: str = "", content: bytes = b"", **how: Any
) -> httpx.Response:
    """Sign and send one request of tus; `headers` come on top of those that it needs."""
    path = f"/v1/feeds/{how.get('feed', partner.name)}/uploads" + (f"/{upload}" if upload else "")
    headers = {"tus-resumable": "1.0.0", **how.get("headers", {})}
    headers = _signed(partner, method, path, headers, message_id=how.get("message_id"))
    return partner.browser.request(method, path, content=content, headers=headers | how.get("unsigned", {}))


def _metadata(**said: str) -> str:
    return ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in said.items())


def _begin(partner: Partner, content: bytes, key: str = "film", **how: Any) -> httpx.Response:
    said = {"key": key, "sha256": hashlib.sha256(content).hexdigest(), **how.pop("said", {})}
    headers = {
        "upload-length": str(len(content)),
        "upload-metadata": _metadata(**said),
        **how.pop("headers", {}),
    }
    return _send(partner, "POST", headers=headers, **how)


def _begun(partner: Partner, content: bytes, key: str = "film", **said: str) -> str:
    answer = _begin(partner, content, key, said=said)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"].rpartition("/")[2]


def _patch(partner: Partner, upload: str, offset: int, piece: bytes, **how: Any) -> httpx.Response:
    headers = {
        "content-type": tus.PIECE,
        "upload-offset": str(offset),
        "upload-checksum": f"sha256 {base64.b64encode(hashlib.sha256(piece).digest()).decode()}",
        **how.pop("headers", {}),
    }
    return _send(partner, "PATCH", upload, how.pop("content", piece), headers=headers, **how)


def _take_over(partner: Partner) -> int:
    opener = subject_keys.intake_opener(partner.engine, partner.keks)
    return arriving.enter_due(partner.engine, BlobStore(partner.settings.blobs), opener)


def _media(partner: Partner, content: bytes) -> list[MediaItem]:
    """Give the rows of this file, each opened and found to be it."""
    digest = hashlib.sha256(content).hexdigest()
    rows = [row for row in partner.media() if row.sha256 == digest]
    opener = subject_keys.intake_opener(partner.engine, partner.keks)
    for row in rows:
        blobs = BlobStore(partner.settings.blobs)
        assert b"".join(intake.opened(BlobId(row.blob_id or ""), row.sha256, blobs, opener)) == content
    return rows


def _item(partner: Partner, key: str = "film") -> FeedItem:
    [row] = [row for row in partner.rows() if row.item_key == key and row.feed_id == _who(partner).feed.id]
    return row


def _who(partner: Partner, message_id: str = "m") -> Admitted:
    feed = OpenFeeds(partner.engine, partner.keks).get(partner.name)
    assert feed is not None
    return Admitted(feed, partner.key_id, message_id)


def _uploads(partner: Partner) -> Uploads:
    return Uploads(partner.engine, BlobStore(partner.settings.blobs), Sandbox(), 100 * MIB)


@pytest.fixture(autouse=True)
def _nothing_waits(partner: Partner) -> None:
    """Take over what other tests left."""
    _take_over(partner)


@pytest.fixture
def tuspy(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> TusClient:
    """Give tuspy's client; what it sends is signed on its way out, as a proxy of the partner's would do."""
    send = requests.Session.send

    def signing(
        session: requests.Session, request: requests.PreparedRequest, **how: Any
    ) -> requests.Response:
        body = request.body if isinstance(request.body, bytes) else b""
        if request.method == "PATCH":
            checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
            request.headers["upload-checksum"] = f"sha256 {checksum}"
        headers = dict(request.headers)
        request.headers.update(_signed(partner, str(request.method), request.path_url, headers))
        return send(session, request, **how)

    monkeypatch.setattr(requests.Session, "send", signing)
    return TusClient(f"{partner.settings.public_url}/v1/feeds/{partner.name}/uploads")


def test_tuspy_sends_a_film_in_pieces_and_it_goes_in_once(partner: Partner, tuspy: TusClient) -> None:
    content = film(700_001)
    said = {"key": "film", "sha256": hashlib.sha256(content).hexdigest(), "title": "Größe"}
    sender = tuspy.uploader(file_stream=io.BytesIO(content), chunk_size=300_000, metadata=said)
    sender.upload_chunk()
    again = tuspy.uploader(file_stream=io.BytesIO(content), url=sender.url, chunk_size=300_000)
    assert again.offset == 300_000, "another run of the client goes on where the first one ended"
    again.upload()
    assert again.offset == len(content)
    with pytest.raises(TusUploadFailed):
        sender.upload_chunk()

    assert (_item(partner).state, _item(partner).title, _media(partner, content)) == ("arrived", "Größe", [])
    assert (_take_over(partner), _take_over(partner)) == (1, 0)
    [row] = _media(partner, content)
    assert (_item(partner).state, _item(partner).media_id, row.state) == ("taken", row.id, "received")
    assert partner.push("film", content, title="Größe").status_code == 202, "pushed, it is the same item"
    assert partner.status()["days"][0]["accepted"] == 1
    assert not any(content[:64] in path.read_bytes() for path in partner.settings.blobs.glob("??/*"))


def test_what_is_spoken_here(partner: Partner) -> None:
    answer = partner.browser.options(f"/v1/feeds/{partner.name}/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == answer.headers["tus-resumable"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,termination,expiration,checksum"
    assert answer.headers["tus-max-size"] == str(100 * MIB)
    assert answer.headers["tus-checksum-algorithm"] == "sha256"


def test_how_far_it_is_and_until_when(partner: Partner) -> None:
    upload = _begun(partner, film(1000))
    assert _patch(partner, upload, 0, film(400)).headers["upload-offset"] == "400"
    answer = _send(partner, "HEAD", upload)
    assert (answer.status_code, answer.content) == (200, b"")
    assert (answer.headers["upload-offset"], answer.headers["upload-length"]) == ("400", "1000")
    assert answer.headers["upload-expires"].endswith("GMT")
    assert answer.headers["cache-control"] == "no-store"


def test_it_is_ended(partner: Partner) -> None:
    content = film(1000)
    upload = _begun(partner, content)
    _patch(partner, upload, 0, content[:500])
    blobs = set(BlobStore(partner.settings.blobs).ids())
    assert _send(partner, "DELETE", upload).status_code == 204
    assert len(set(BlobStore(partner.settings.blobs).ids())) == len(blobs) - 1
    assert _send(partner, "HEAD", upload).status_code == 404
    is_problem(_patch(partner, upload, 500, content[500:]), 404, "upload_unknown")
    done = _begun(partner, content)
    _patch(partner, done, 0, content)
    is_problem(_send(partner, "DELETE", done), 404, "upload_unknown")


def test_a_piece_that_does_not_fit_changes_nothing(partner: Partner) -> None:
    content = film(1000)
    upload = _begun(partner, content)
    assert _patch(partner, upload, 0, content[:500], message_id="first").status_code == 204
    is_problem(_patch(partner, upload, 0, content[:500]), 409, "offset_wrong")
    is_problem(_patch(partner, upload, 600, content[600:]), 409, "offset_wrong")
    is_problem(_patch(partner, upload, 500, content[500:], message_id="first"), 409, "message_replayed")
    is_problem(_patch(partner, upload, 500, content[500:] + b"x"), 413, "too_large")
    is_problem(_patch(partner, upload, 500, content[500:], content=b"y" * 500), 460, "checksum_wrong")
    sha1 = {"upload-checksum": "sha1 " + base64.b64encode(bytes(20)).decode()}
    is_problem(_patch(partner, upload, 500, content[500:], headers=sha1), 400, "body_broken")
    kind = {"content-type": "application/json"}
    is_problem(_patch(partner, upload, 500, content[500:], headers=kind), 415, "body_type_unknown")
    is_problem(
        _patch(partner, upload, 500, content[500:], headers={"tus-resumable": "0.2"}),
        412,
        "tus_version_unknown",
    )
    is_problem(_patch(partner, upload, 500, content[500:], feed="other"), 401, "signature_wrong")
    for name, value in (("upload-offset", "0"), ("upload-checksum", "sha256 " + "A" * 43 + "=")):
        answer = _patch(partner, upload, 500, content[500:], unsigned={name: value})
        is_problem(answer, 401, "signature_wrong")
    assert _patch(partner, upload, 500, content[500:]).status_code == 204
    assert _take_over(partner) == 1
    assert len(_media(partner, content)) == 1


def test_another_feed_has_no_such_upload(partner: Partner) -> None:
    upload = _begun(partner, film(1000))
    partner.add(f"{partner.name}-other")
    assert _send(partner, "HEAD", upload).status_code == 404
    is_problem(_patch(partner, upload, 0, film(1000)), 404, "upload_unknown")
    partner.add(f"{partner.name}-less", scopes=("items",))
    is_problem(_begin(partner, film(1000)), 403, "scope_missing")


@pytest.mark.parametrize(
    ("headers", "said", "status", "code"),
    [
        ({"upload-length": "0"}, {}, 422, "empty"),
        ({"upload-length": str(101 * MIB)}, {}, 413, "too_large"),
        ({"upload-length": "-1"}, {}, 400, "body_broken"),
        ({"upload-metadata": "key *"}, {}, 400, "body_broken"),
        ({"upload-metadata": "key YQ==,key YQ=="}, {}, 400, "body_broken"),
        ({"upload-metadata": "key YQ=="}, {}, 422, "item_broken"),
        ({}, {"sha256": "A" * 64}, 422, "item_broken"),
        ({}, {"key": "a key"}, 422, "item_broken"),
        ({}, {"filename": "a.mp4"}, 422, "item_broken"),
        ({}, {"page_url": "file:///etc/passwd"}, 422, "address_refused"),
        ({"tus-resumable": ""}, {}, 412, "tus_version_unknown"),
    ],
)  # fmt: skip
def test_a_beginning_that_is_refused(
    partner: Partner, headers: dict[str, str], said: dict[str, str], status: int, code: str
) -> None:
    is_problem(_begin(partner, film(100), headers=headers, said=said), status, code)


def test_what_is_no_media_is_refused_with_the_first_piece_or_when_it_is_whole(partner: Partner) -> None:
    text = b"These are words, and nothing that anybody could look at." * 20
    upload = _begun(partner, text)
    is_problem(_patch(partner, upload, 0, text), 415, "not_media")
    _patch(partner, upload, 0, text[:10])
    assert _patch(partner, upload, 10, text[10:]).status_code == 204
    assert _take_over(partner) == 1
    assert (_item(partner).state, _item(partner).code) == ("refused", "not_media")
    assert partner.status()["days"][0]["refused"]["not_media"] >= 1


def test_a_wrong_digest_puts_nothing_in_the_place_of_another_file(partner: Partner) -> None:
    content, other = film(1000), film(1000)
    upload = _begun(partner, content, sha256=hashlib.sha256(other).hexdigest())
    before = len(list(BlobStore(partner.settings.blobs).ids()))
    assert _patch(partner, upload, 0, content).status_code == 204
    assert _take_over(partner) == 1
    assert (_item(partner).state, _item(partner).code) == ("refused", "digest_differs")
    assert _media(partner, content) == _media(partner, other) == []
    assert len(list(BlobStore(partner.settings.blobs).ids())) == before


def test_the_same_key_again(partner: Partner) -> None:
    content = film(1000)
    first = _begun(partner, content)
    second = _begun(partner, content)
    assert _send(partner, "HEAD", first).status_code == 404, "its sender began anew"
    assert _patch(partner, second, 0, content).status_code == 204
    is_problem(_begin(partner, film(1000)), 409, "item_key_taken")
    third = _begun(partner, content)
    assert _patch(partner, third, 0, content).status_code == 204
    assert _take_over(partner) == 2
    assert len(_media(partner, content)) == 1
    today = partner.status()["days"][0]
    assert (today["accepted"], today["duplicate"]) == (1, 1)


def test_the_number_a_day_holds(partner: Partner) -> None:
    partner.add(f"{partner.name}-few", per_day=1)
    partner.push("a", png(1))
    content = film(100)
    upload = _begun(partner, content)
    answer = _patch(partner, upload, 0, content)
    is_problem(answer, 429, "quota_spent")
    assert _send(partner, "HEAD", upload).headers["upload-offset"] == "0"


def test_too_many_unfinished_ones(partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_UNFINISHED", 1)
    _begun(partner, film(100), "a")
    is_problem(_begin(partner, film(100), "b"), 503, "uploads_busy")


def test_a_sandbox_checks_and_keeps_nothing(partner: Partner) -> None:
    partner.add(f"{partner.name}-trial", sandbox=True)
    before = set(BlobStore(partner.settings.blobs).ids())
    content = film(1000)
    upload = _begun(partner, content)
    _patch(partner, upload, 0, content[:500])
    is_problem(_patch(partner, upload, 0, content[500:]), 409, "offset_wrong")
    assert _patch(partner, upload, 500, content[500:]).status_code == 204
    assert set(BlobStore(partner.settings.blobs).ids()) == before
    assert _take_over(partner) == 0


def test_two_pieces_at_once(partner: Partner) -> None:
    content = film(1000)
    upload = _begun(partner, content)
    sealer = subject_keys.intake_sealer(partner.engine)
    piece = _uploads(partner).piece(_who(partner), upload, 0, sealer)  # another process, at its work
    piece.take(content[:300])
    is_problem(_patch(partner, upload, 0, content), 409, "upload_in_use")
    piece.close()
    assert _patch(partner, upload, 0, content).status_code == 204


def test_many_senders_of_one_piece(partner: Partner) -> None:
    content = film(300_000)
    upload = _begun(partner, content)
    ends: list[int] = []

    def send() -> None:
        ends.append(_patch(partner, upload, 0, content).status_code)

    senders = [threading.Thread(target=send) for _ in range(6)]
    for one in senders:
        one.start()
    for one in senders:
        one.join()
    assert sorted(ends) == [204, 409, 409, 409, 409, 409]
    assert _take_over(partner) == 1
    assert len(_media(partner, content)) == 1


@pytest.mark.parametrize("point", ["taken", "written", "committed"])
def test_a_kill_loses_at_most_the_piece_that_was_not_answered(partner: Partner, point: str) -> None:
    content = film(900_000)
    upload = _begun(partner, content)
    assert _patch(partner, upload, 0, content[:400_000]).status_code == 204
    url, sealer, who = (
        str(partner.engine.url),
        subject_keys.intake_sealer(partner.engine),
        _who(partner, point),
    )
    blobs = BlobStore(partner.settings.blobs)
    child = os.fork()
    if child == 0:
        killed = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731 - for the child's few lines
        try:
            own = Uploads(open_engine(url), blobs, Sandbox(), 100 * MIB)
            piece = own.piece(who, upload, 400_000, sealer)
            piece.take(content[400_000:800_000])
            if point == "written":
                uploads.Uploads._commit = killed  # type: ignore[method-assign,assignment]
            if point != "taken":
                piece.finish(hashlib.sha256(content[400_000:800_000]).digest())
            killed()
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    there = int(_send(partner, "HEAD", upload).headers["upload-offset"])
    assert there == (800_000 if point == "committed" else 400_000)
    assert _patch(partner, upload, there, content[there:]).status_code == 204
    assert _take_over(partner) == 1
    assert len(_media(partner, content)) == 1


def test_a_worker_killed_while_it_takes_over_does_it_once(
    partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = film(1000)
    _patch(partner, _begun(partner, content), 0, content)
    with monkeypatch.context() as patched:
        patched.setattr(arriving, "enter_many", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            _take_over(partner)
    assert (_item(partner).state, _take_over(partner), _take_over(partner)) == ("arrived", 1, 0)
    assert len(_media(partner, content)) == 1


def test_unfinished_ones_are_spared_until_their_time_is_over(partner: Partner) -> None:
    content, blobs = film(1000), BlobStore(partner.settings.blobs)
    half, whole = _begun(partner, content, "half"), _begun(partner, content, "whole")
    _patch(partner, half, 0, content[:500])
    _patch(partner, whole, 0, content)
    with reading(partner.engine) as session:
        mine = {one: session.get_one(FeedUpload, one).blob_id for one in (half, whole)}

    def swept() -> set[str]:
        jobs.sweep(partner.engine, blobs, jobs.sweep(partner.engine, blobs, set()))
        there = set(blobs.ids())
        return {name for name, blob_id in mine.items() if blob_id in there}

    assert swept() == {half, whole}
    with writing(partner.engine) as session:
        for row in session.exec(select(FeedUpload)):
            row.expires_at = utc_now() - timedelta(seconds=1)
    assert _send(partner, "HEAD", half).status_code == 404
    assert swept() == {whole}, "what came whole waits for the worker"
    assert _take_over(partner) == 1
    assert len(_media(partner, content)) == 1


def _peak(partner: Partner, size: int) -> int:
    """Give how much memory the process took at most while a piece of this size came in."""
    content = film(size)
    upload = _begun(partner, content, str(size))
    path = f"/v1/feeds/{partner.name}/uploads/{upload}"
    checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
    said = {
        "tus-resumable": "1.0.0", "content-type": tus.PIECE, "upload-offset": "0",
        "upload-checksum": f"sha256 {checksum}",
    }  # fmt: skip
    headers = [(n.encode(), v.encode()) for n, v in _signed(partner, "PATCH", path, said).items()]
    scope = {
        "type": "http", "method": "PATCH", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": headers, "http_version": "1.1", "scheme": "http", "server": ("x", 80), "root_path": "",
    }  # fmt: skip
    came = iter(range(0, size, 65536))
    answered: list[int] = []

    async def receive() -> dict[str, Any]:
        place = next(came, None)
        body = b"" if place is None else content[place : place + 65536]
        return {"type": "http.request", "body": body, "more_body": place is not None}

    async def send(message: Any) -> None:
        answered.append(message.get("status", 0))

    tracemalloc.start()
    try:
        asyncio.run(partner.app(scope, receive, send))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answered[0] == 204
    return peak


def test_memory_does_not_grow_with_the_file(partner: Partner) -> None:
    small, large = _peak(partner, 3 * MIB), _peak(partner, 24 * MIB)
    assert large < 8 * MIB
    assert large - small < 2 * MIB, "one block more may be on its way to the disk, and no part of the file"
