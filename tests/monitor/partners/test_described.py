"""The OpenAPI document is true: schemathesis tries the running routes against every word of it.

SCHEMATHESIS_EXAMPLES sets how many requests are made of each route: a few dozen by default, thousands
for an evening.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from requests.auth import AuthBase
from schemathesis.specs.openapi.checks import positive_data_acceptance

from monitor.api import STATUS
from monitor.partners import tus
from monitor.partners.openapi import CODES
from tests.alerts.mailhost import free_port
from tests.monitor.partners.partner import Partner
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from monitor.errors import LikenessError

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "25"))


schemathesis.serializer.alias(tus.PIECE, "application/octet-stream")

JUDGED = [positive_data_acceptance]
"""No schema can say whether bytes are a picture, or which hosts a feed may name: an item that is as described
may still be refused, with a described code."""


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Partner]:
    port = free_port()
    watch = {"public_url": f"http://127.0.0.1:{port}"}
    with (
        Partner.at(tmp_path_factory.mktemp("described"), watch=watch) as partner,
        serving(partner.app, port),
    ):
        yield partner


class Signed(AuthBase):
    """Signs the body that is really sent, so that what is tried gets past the door."""

    def __init__(self, partner: Partner) -> None:
        self._partner = partner

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the three headers on."""
        body = request.body or b""
        raw = body.encode() if isinstance(body, str) else bytes(body)
        if "/uploads" in request.path_url:
            if request.method == "PATCH":
                checksum = base64.b64encode(hashlib.sha256(raw).digest()).decode()
                request.headers["upload-checksum"] = f"sha256 {checksum}"
            said = {name.lower(): str(value) for name, value in request.headers.items()}
            raw = tus.statement(str(request.method), request.path_url, said)
        request.headers.update(self._partner.signed(raw))
        return request


def _tried(partner: Partner, *, signed: bool) -> set[int]:
    """Try every route; give the statuses that came. What is found is raised."""
    schema = schemathesis.openapi.from_dict(partner.browser.get("/v1/openapi.json").json())
    schema.config.update(base_url=partner.settings.public_url)
    came: set[int] = set()
    upload = _upload(partner)
    for found in schema.get_all_operations():

        @given(case=found.ok().as_strategy())
        @settings(
            max_examples=EXAMPLES if signed else EXAMPLES // 3, deadline=None, derandomize=True,
            database=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def trial(case: schemathesis.Case) -> None:
            if signed:
                case.path_parameters = {**case.path_parameters, "feed": partner.name}
                if "upload" in case.path_parameters:
                    case.path_parameters["upload"] = upload
                answer = case.call(auth=Signed(partner))
            else:
                answer = case.call()
            came.add(answer.status_code)
            case.validate_response(answer, excluded_checks=JUDGED if "takedowns" not in case.path else [])

        trial()
    return came


def _upload(partner: Partner) -> str:
    """Begin an upload that pieces can be sent to."""
    said = {"key": b"film", "sha256": b"0" * 64}
    metadata = ",".join(f"{name} {base64.b64encode(text).decode()}" for name, text in said.items())
    path = f"/v1/feeds/{partner.name}/uploads"
    headers = {"tus-resumable": tus.VERSION, "upload-length": "1000000", "upload-metadata": metadata}
    signed = partner.signed(tus.statement("POST", path, headers))
    answer = partner.browser.post(path, headers=headers | signed)
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"]).rpartition("/")[2]


def test_no_signed_request_is_answered_other_than_described(partner: Partner) -> None:
    came = _tried(partner, signed=True)
    assert {200, 202, 422} <= came
    assert max(came) < 500


def test_no_unsigned_request_is_answered_other_than_described(partner: Partner) -> None:
    assert _tried(partner, signed=False) == {204, 401}, "OPTIONS alone is not signed"


def test_every_example_of_the_document_is_taken(partner: Partner) -> None:
    document = partner.browser.get("/v1/openapi.json").json()
    content = document["paths"]["/v1/feeds/{feed}/items"]["post"]["requestBody"]["content"]
    for example in content["application/json"]["examples"].values():
        assert partner.send(json.dumps(example["value"]).encode()).status_code == 202
    lines = content["application/x-ndjson"]["example"]
    assert partner.send(lines.encode(), "application/x-ndjson").json()["accepted"] == 1
    report = document["paths"]["/v1/feeds/{feed}/takedowns"]["post"]["requestBody"]["content"]
    example = report["application/json"]["example"]
    assert partner.send(json.dumps(example).encode(), path="/takedowns").status_code == 202


def test_every_code_of_the_document_is_one_of_ours() -> None:
    ours = {kind.code for kind in STATUS} | {one.code for kind in STATUS for one in _below(kind)}
    assert set(CODES) - {"internal"} <= ours
    assert {kind.code for kind in STATUS} - {"signature"} <= set(CODES)


def test_the_rest_of_the_app_is_not_described(partner: Partner) -> None:
    document = partner.browser.get("/v1/openapi.json").json()
    assert all(path.startswith("/v1/") for path in document["paths"])
    assert document["openapi"].startswith("3.1")
    assert partner.browser.get("/openapi.json").status_code == 404


def _below(kind: type[LikenessError]) -> Iterator[type[LikenessError]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)
