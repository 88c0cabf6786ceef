"""The routes of uploads for programs: the part of the OpenAPI document about tus."""

from __future__ import annotations

from typing import Any, Final

from monitor.partners import tus, uploads

Schema = dict[str, Any]

SIGNED: Final = """Large files come in pieces by [tus 1.0](https://tus.io/protocols/resumable-upload), with \
the extensions creation, termination, expiration and checksum. A piece is not signed over its bytes but over \
a statement that holds their digest: where any other request signs its body, these sign seven lines, joined \
by line feeds, without one at the end:

    METHOD
    /v1/feeds/FEED/uploads or /v1/feeds/FEED/uploads/ID
    Upload-Length
    Upload-Metadata
    Upload-Offset
    Upload-Checksum
    Tus-Resumable

A header stands there as it is sent; a line is empty where the request does not have it."""

UPLOAD: Final[Schema] = {
    "name": "upload",
    "in": "path",
    "required": True,
    "description": "The last part of Location.",
    "schema": {"type": "string", "pattern": f"^{tus.ID.pattern}$"},
    "example": "3f1c0d2e4b5a69788796a5b4c3d2e1f0",
}

METADATA: Final = (
    "key cG9zdC04MTczMy8x,sha256 "
    "NmUzNDBiOWNmZmIzN2E5ODljYTU0NGU2YmI3ODBhMmM3ODkwMWQzZmIzMzczODc2ODUxMWEzMDYxN2FmYTAxZA=="
)


def paths(signed: list[Schema], problems: Any) -> dict[str, Schema]:  # noqa: ANN401 - a function of openapi.py
    """Give the routes. `signed` are the three headers; `problems` describes refusals by their statuses."""
    ours = [*signed, _header("Tus-Resumable", {"const": tus.VERSION}, "The version of tus.", tus.VERSION)]
    refused = (401, 403, 412, 503)
    return {
        "/v1/feeds/{feed}/uploads": {
            "options": _options(),
            "post": _begin(ours, problems(400, 409, 413, 422, 429, *refused)),
        },
        "/v1/feeds/{feed}/uploads/{upload}": {
            "head": _offset(ours, _silent(problems(404, *refused))),
            "patch": _piece(ours, problems(400, 404, 408, 409, 413, 415, 429, 460, *refused)),
            "delete": _end(ours, problems(404, 409, *refused)),
        },
    }


def _options() -> Schema:
    return {
        "operationId": "uploadOptions",
        "summary": "What of tus is spoken here",
        "description": "The one request of a feed that is not signed. Its answer is always the same.",
        "responses": {
            "204": {
                "description": "Version, extensions, largest file.",
                "headers": _said("Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size"),
            }
        },
    }


def _begin(signed: list[Schema], problems: Schema) -> Schema:
    length = _header("Upload-Length", _number(), "Bytes of the whole file.", "734003200")
    metadata = _header(
        "Upload-Metadata",
        {"type": "string", "maxLength": tus.MOST_METADATA},
        "Names with base64 of UTF-8 after them, separated by commas: `key` and `sha256` (the digest of the "
        "whole file, in hex), and, as with an item, `url`, `page_url` and `title`.",
        METADATA,
    )
    return {
        "operationId": "beginUpload",
        "summary": "Begin to send a large file in pieces",
        "description": SIGNED,
        "parameters": [*signed, length, metadata],
        "responses": {
            "201": {
                "description": "Send pieces to Location. An unfinished upload of the same key is forgotten.",
                "headers": _said("Location", "Upload-Expires", "Tus-Resumable"),
            },
            **problems,
        },
    }


def _offset(signed: list[Schema], problems: Schema) -> Schema:
    return {
        "operationId": "uploadOffset",
        "summary": "Ask how far an upload is",
        "parameters": [UPLOAD, *signed],
        "responses": {
            "200": {
                "description": "The next piece begins at Upload-Offset.",
                "headers": _said("Upload-Offset", "Upload-Length", "Upload-Expires", "Tus-Resumable"),
            },
            **problems,
        },
    }


def _piece(signed: list[Schema], problems: Schema) -> Schema:
    offset = _header("Upload-Offset", _number(), "Where this piece begins.", "0")
    checksum = _header(
        "Upload-Checksum",
        {"type": "string", "pattern": "^sha256 [A-Za-z0-9+/]{43}=$"},
        "`sha256`, a blank, and the digest of this piece in base64.",
        "sha256 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    )
    return {
        "operationId": "sendPiece",
        "summary": "Send the next piece",
        "description": f"At most {uploads.MOST_PIECE} bytes; 8 MiB are a good size. The answer to the last "
        "piece says that the item is written down, and is the same whatever is in it.",
        "parameters": [UPLOAD, *signed, offset, checksum],
        "requestBody": {
            "required": True,
            "content": {tus.PIECE: {"schema": {"type": "string", "format": "binary"}}},
        },
        "responses": {
            "204": {
                "description": "The piece is on disk.",
                "headers": _said("Upload-Offset", "Upload-Expires", "Tus-Resumable"),
            },
            **problems,
        },
    }


def _end(signed: list[Schema], problems: Schema) -> Schema:
    return {
        "operationId": "endUpload",
        "summary": "Forget an unfinished upload",
        "parameters": [UPLOAD, *signed],
        "responses": {
            "204": {"description": "Forgotten.", "headers": _said("Tus-Resumable")},
            **problems,
        },
    }


def _header(name: str, schema: Schema, said: str, example: str) -> Schema:
    named = {"name": name, "in": "header", "required": True}
    return {**named, "description": said, "schema": schema, "example": example}


def _number() -> Schema:
    return {"type": "string", "pattern": f"^({tus.NUMBER.pattern})$"}


def _said(*names: str) -> Schema:
    return {name: {"required": True, "schema": {"type": "string"}} for name in names}


def _silent(problems: Schema) -> Schema:
    """Take the bodies out: an answer to HEAD has none."""
    return {
        status: {name: said for name, said in answer.items() if name != "content"}
        for status, answer in problems.items()
    }
