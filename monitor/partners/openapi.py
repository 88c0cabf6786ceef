"""The partners' routes for programs: an OpenAPI 3.1 document, written by hand.

Written, not generated: bodies are read by partners/items.py and not by the web framework, so only a
hand knows their shape. tests/monitor/partners try the running routes against every word of it.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any, Final

from monitor.partners import addresses, items, openapi_uploads, signatures, takedowns

Schema = dict[str, Any]

SIGNED: Final = """Every request is signed by Standard Webhooks: three headers and nothing else are needed.

`webhook-signature` is `v1,` and the base64 of HMAC-SHA256 with your secret, or `v1a,` and the base64 of an \
Ed25519 signature, over `{webhook-id}.{webhook-timestamp}.{body}`. Several signatures, separated by blanks, \
may stand there while you change a key. `webhook-id` names the message and is accepted once; \
`webhook-timestamp` is in seconds and at most five minutes away from now."""

ABOUT: Final = f"""You push media; we look whether people who asked us to watch for them are in it. \
You learn nothing about them: an answer says that an item is written down, and is the same whatever was in it.

{SIGNED}

Send the same item under the same `key` as often as you like: it counts once. After a time-out, send it \
again. Refusals are `application/problem+json` with a stable `code`."""

PIXEL: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel, as an example of content."""

KEY: Final[Schema] = {
    "type": "string",
    "pattern": "^[\\x21-\\x7e]{1,200}$",
    "description": "Your own name of the item. The same key is the same item for ever.",
    "examples": ["post-81733/1"],
}
URL: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": addresses.LONGEST_URL}
PLAIN: Final = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"
TITLE: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": items.LONGEST_TITLE,
    "pattern": PLAIN,
}

PROBLEMS: Final[dict[int, str]] = {
    400: "The body is not what its Content-Type says.",
    401: "The signature is missing, wrong, too old, or by a key that no longer counts.",
    403: "The feed is paused, or may not do this.",
    404: "The feed gave no item under this key, or has no such upload.",
    408: "The body came too slowly.",
    409: "The message was accepted before, its key belongs to another item, or a piece does not fit.",
    412: "The version of tus is missing, or is another one.",
    413: "More bytes or lines than are taken at once.",
    415: "The body, or the file in it, is of a kind that is not taken.",
    422: "A member is missing, wrong or not known here.",
    429: "More than was agreed: wait as long as Retry-After says.",
    460: "The bytes of the piece are not those of its checksum.",
    503: "Not at this moment: wait as long as Retry-After says.",
}

CODES: Final = (
    *("signature_missing", "signature_wrong", "timestamp_outside", "key_revoked", "key_expired"),
    *("feed_paused", "scope_missing", "message_replayed", "item_key_taken", "item_unknown"),
    *("body_broken", "body_type_unknown", "item_broken", "address_refused", "too_fast", "quota_spent"),
    *("empty", "not_media", "too_large", "upload_broken", "upload_too_slow", "uploads_busy"),
    *("upload_unknown", "upload_in_use", "offset_wrong", "checksum_wrong", "tus_version_unknown"),
    *("storage", "storage_full", "internal"),
)
"""Every code that a partner can meet."""


def document(server: str, content_bytes: int) -> Schema:
    """Give the document. `content_bytes` is the largest file in one body."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Likeness Watch: partner feeds",
            "version": importlib.metadata.version("likeness-watch"),
            "description": ABOUT,
        },
        "servers": [{"url": server}],
        "paths": {
            "/v1/feeds/{feed}/items": {"parameters": [FEED], "post": _items(content_bytes)},
            **{
                path: {"parameters": [FEED], **routes}
                for path, routes in openapi_uploads.paths(_signed(), _problems).items()
            },
            "/v1/feeds/{feed}/takedowns": {"parameters": [FEED], "post": _takedowns()},
            "/v1/feeds/{feed}": {"parameters": [FEED], "get": _status()},
        },
        "components": {"schemas": _schemas(), "parameters": _headers(), "headers": _answer_headers()},
    }


FEED: Final[Schema] = {
    "name": "feed",
    "in": "path",
    "required": True,
    "description": "The name of your feed.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-z0-9-]+$"},
    "example": "example-agency",
}


def _signed() -> list[Schema]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in _headers()]


def _headers() -> dict[str, Schema]:
    def header(name: str, pattern: str, said: str, example: str) -> Schema:
        schema = {"type": "string", "pattern": pattern}
        named = {"name": name, "in": "header", "required": True}
        return {**named, "description": said, "schema": schema, "example": example}

    return {
        "WebhookId": header(
            "webhook-id",
            f"^{signatures.MESSAGE_ID.pattern}$",
            "Names this message. Accepted once.",
            "msg_2fUe6Yq",
        ),
        "WebhookTimestamp": header(
            "webhook-timestamp", "^[1-9][0-9]{0,11}$", "Seconds since 1970, of now.", "1798761600"
        ),
        "WebhookSignature": header(
            "webhook-signature",
            "^(v1|v1a),[A-Za-z0-9+/]+={0,2}( (v1|v1a),[A-Za-z0-9+/]+={0,2}){0,7}$",
            "One or several signatures.",
            "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        ),
    }


def _answer_headers() -> dict[str, Schema]:
    return {
        "RetryAfter": {
            "description": "Seconds to wait before sending the same again.",
            "required": True,
            "schema": {"type": "string", "pattern": "^[0-9]+$"},
        },
        "WwwAuthenticate": {"required": True, "schema": {"type": "string"}},
    }


def _problems(*statuses: int) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for status in statuses:
        answer: Schema = {
            "description": PROBLEMS[status],
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if status in {429, 503}:
            answer["headers"] = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
        if status == 401:
            answer["headers"] = {"WWW-Authenticate": {"$ref": "#/components/headers/WwwAuthenticate"}}
        found[str(status)] = answer
    return found


def _ref(name: str) -> Schema:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


def _items(content_bytes: int) -> Schema:
    by_value = {
        "key": "post-81733/1",
        "content": PIXEL,
        "url": "https://img.example.org/81733.png",
        "page_url": "https://example.org/post/81733",
        "title": "A post",
    }
    by_url = {"key": "post-81734/1", "url": "https://img.example.org/81734.jpg"}
    line = '{"key":"post-81735/1","url":"https://img.example.org/81735.jpg"}\n'
    accepted = {"key": "post-81733/1", "id": "3f1c0d2e4b5a69788796a5b4c3d2e1f0", "status": "accepted"}
    one = {
        **_ref("Item"),
        "examples": {
            "by value": {"summary": "The file itself, in base64", "value": by_value},
            "by address": {"summary": "An address that we fetch", "value": by_url},
        },
    }
    form = {**_ref("Form"), "encoding": {"item": {"contentType": "application/json"}}}
    batch = {
        "schema": {
            "type": "string",
            "description": f"At most {items.MOST_LINES} lines, each an Item as JSON. Each has its own end.",
            "examples": [line],
        },
        "example": line,
    }
    taken = {
        "description": "Written down. The same shape whatever is in it, and whoever is on it.",
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [{"$ref": "#/components/schemas/Taken"}, {"$ref": "#/components/schemas/Batch"}]
                },
                "examples": {"one": {"value": accepted}, "batch": {"value": _batch_example(accepted)}},
            }
        },
    }
    return {
        "operationId": "pushItems",
        "summary": "Push one item, or a batch of them",
        "description": f"A file has at most {content_bytes} bytes here; larger ones come in pieces.",
        "parameters": _signed(),
        "requestBody": {
            "required": True,
            "content": {"application/json": one, "application/x-ndjson": batch, "multipart/form-data": form},
        },
        "responses": {"202": taken, **_problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503)},
    }


def _batch_example(accepted: Schema) -> Schema:
    refused = {"line": 2, "key": "post-81736/1", "status": "refused", "code": "not_media", "detail": "..."}
    lines = [{"line": 1, **accepted}, refused]
    return {"accepted": 1, "duplicates": 0, "refused": 1, "items": lines}


def _takedowns() -> Schema:
    said = {"key": "post-81733/1", "status": "removed", "note": "Removed after your notice."}
    answer = {"key": "post-81733/1", "status": "removed"}
    return {
        "operationId": "reportTakedown",
        "summary": "Report what became of an item of yours",
        "parameters": _signed(),
        "requestBody": {
            "required": True,
            "content": {"application/json": {**_ref("Takedown"), "example": said}},
        },
        "responses": {
            "202": {
                "description": "Written down.",
                "content": {"application/json": {**_ref("TakedownTaken"), "example": answer}},
            },
            **_problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503),
        },
    }


def _status() -> Schema:
    return {
        "operationId": "feedStatus",
        "summary": "See the limits and counts of your feed",
        "description": "Signed over an empty body.",
        "parameters": _signed(),
        "responses": {
            "200": {"description": "Your feed.", "content": {"application/json": _ref("Feed")}},
            **_problems(400, 401, 403, 408, 413, 415, 503),
        },
    }


def _schemas() -> dict[str, Schema]:
    text, count = {"type": "string"}, {"type": "integer", "minimum": 0}
    return {
        "Item": {
            **_object({"key": KEY, "content": _content(), **_told()}, "key"),
            "description": "With `content`, `url` is where it stands; without, it is fetched from there: "
            "https, of a host that your feed may name.",
            "anyOf": [{"required": ["content"]}, {"required": ["url"]}],
        },
        "Form": _object(
            {
                "item": _object({"key": KEY, **_told()}, "key"),
                "content": {"type": "string", "format": "binary"},
            },
            "item",
            "content",
        ),
        "Taken": _object({"key": KEY, "id": text, "status": {"const": "accepted"}}, "key", "id", "status"),
        "Line": {
            **_object(
                {
                    "line": count,
                    "key": {"type": ["string", "null"]},
                    "status": {"enum": ["accepted", "duplicate", "refused"]},
                    "id": text,
                    "code": {"enum": list(CODES)},
                    "detail": text,
                },
                *("line", "key", "status"),
            ),
            "anyOf": [{"required": ["id"]}, {"required": ["code", "detail"]}],
        },
        "Batch": _object(
            {
                "accepted": count,
                "duplicates": count,
                "refused": count,
                "items": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
            },
            *("accepted", "duplicates", "refused", "items"),
        ),
        "Takedown": _object(
            {
                "key": KEY,
                "status": {"enum": list(takedowns.STATUSES)},
                "note": {**TITLE, "maxLength": takedowns.LONGEST_NOTE},
            },
            *("key", "status"),
        ),
        "TakedownTaken": _object({"key": KEY, "status": {"enum": list(takedowns.STATUSES)}}, "key", "status"),
        "Feed": _feed(count),
        "Problem": _object(
            {
                "type": text,
                "title": text,
                "status": {"type": "integer"},
                "detail": text,
                "code": {"enum": list(CODES)},
                "id": text,
            },
            *("type", "title", "status", "detail", "code"),
        ),
    }


def _told() -> dict[str, Schema]:
    return {"url": URL, "page_url": URL, "title": TITLE}


def _content() -> Schema:
    return {
        "type": "string",
        "contentEncoding": "base64",
        "description": "The file: a picture, video or sound, by its own bytes.",
    }


def _feed(count: Schema) -> Schema:
    text = {"type": "string"}
    some = {"type": "array", "items": text}
    limits = ("burst", "per_day", "left_today", "content_bytes", "upload_bytes", "batch_lines")
    day = {"day": {"type": "string", "format": "date"}, "accepted": count, "duplicate": count}
    day |= {"takedown": count, "refused": {"type": "object", "additionalProperties": count}}
    members: dict[str, Schema] = {
        "feed": text,
        "sandbox": {"type": "boolean"},
        "scopes": some,
        "hosts": some,
        "limits": _object(
            {"per_second": {"type": "number"}, **dict.fromkeys(limits, count)}, "per_second", *limits
        ),
        "days": {"type": "array", "items": _object(day, *day)},
    }
    return _object(members, *members)


def _object(members: dict[str, Schema], *required: str) -> Schema:
    return {
        "type": "object",
        "properties": members,
        "required": list(required),
        "additionalProperties": False,
    }
