"""Content Credentials (C2PA): the signed manifest of a file, read by the C2PA project's own library.

Nothing is fetched: a manifest that is kept elsewhere is not read. No signer is trusted unless the operator
names it; without that a manifest is a claim like any other.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import c2pa

from monitor.ml.synthetic.sources import EDITED, from_software, from_source_type, quoted
from monitor.values import SyntheticSignal

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKS = (b"jumb", b"c2pa")
"""Every manifest is a JUMBF box labelled c2pa: without both there is none."""

MOST_JSON = 4 * 2**20
"""Longest report of the library that is looked at."""

ODD = "Its Content Credential has a form that no known program writes, and was not read."
PARENT = "The Content Credential of the file that it was made from"
PART = "The Content Credential of a part of it"

UNTRUSTED_ONLY = "signingCredential.untrusted"
"""Code of a manifest that is whole but signed by somebody whom the operator does not trust."""


def may_have(data: bytes) -> bool:
    """Say whether it is worth asking the library, which costs some milliseconds."""
    return all(mark in data for mark in MARKS)


def read(stream: BinaryIO, trust_pem: str) -> Iterator[SyntheticSignal]:
    """Read the manifest of a file. Gives nothing where there is none, or none that can be read."""
    try:
        with c2pa.Context(settings=_settings(trust_pem)) as context, _reader(stream, context) as reader:
            said = reader.json()
    except c2pa.C2paError:
        return
    if len(said) > MOST_JSON:
        return
    try:
        found = list(_signals(json.loads(said)))
    except (AttributeError, TypeError, ValueError, RecursionError):
        found = [SyntheticSignal("c2pa", ODD, EDITED)]  # a hostile form must not hide the picture
    yield from found


def _reader(stream: BinaryIO, context: c2pa.Context) -> c2pa.Reader:
    return c2pa.Reader(None, stream, context=context)


def _settings(trust_pem: str) -> c2pa.Settings:
    verify = {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": bool(trust_pem)}
    words: dict[str, Any] = {"verify": verify}
    if trust_pem:
        words["trust"] = {"trust_anchors": trust_pem}
    return c2pa.Settings.from_dict(words)


def _signals(store: dict[str, Any]) -> Iterator[SyntheticSignal]:
    manifests = store.get("manifests") or {}
    active = store.get("active_manifest")
    state = store.get("validation_state")
    whole, trusted = state in {"Valid", "Trusted"}, state == "Trusted"
    if not whole:
        yield SyntheticSignal("c2pa", _broken(store), EDITED)
    line = _line(manifests, active)
    for label, manifest in manifests.items():
        own = label == active
        where = "Its Content Credential" if own else PARENT if label in line else PART
        where += _signer(manifest, trusted=trusted and own) if whole else " (broken)"
        for signal in _of_manifest(manifest, where, trusted=trusted and own):
            yield signal if whole and label in line else replace(signal, weak=True)


def _line(manifests: dict[str, Any], active: object) -> list[object]:
    """Give the labels of the file's own manifest, and of those that it was made from as a whole."""
    line: list[object] = []
    label: object = active
    while isinstance(label, str) and label in manifests and label not in line:
        line.append(label)
        ingredients = manifests[label].get("ingredients") or []
        parents = (one.get("active_manifest") for one in ingredients if one.get("relationship") == "parentOf")
        label = next(parents, None)
    return line


def _signer(manifest: dict[str, Any], *, trusted: bool) -> str:
    """Name the signer in the certificate's own words, which are only as good as who issued it."""
    name = (manifest.get("signature_info") or {}).get("issuer")
    if not isinstance(name, str) or not name.strip():
        return ""
    return f", signed by {quoted(name)}," if trusted else f", signed by an unknown {quoted(name)},"


def _of_manifest(manifest: dict[str, Any], where: str, *, trusted: bool) -> Iterator[SyntheticSignal]:
    for action in _actions(manifest):
        kind = action.get("digitalSourceType")
        if isinstance(kind, str):
            yield from _known(from_source_type("c2pa", kind, where=where, trusted=trusted))
        agent = action.get("softwareAgent")
        name = agent.get("name") if isinstance(agent, dict) else agent
        if isinstance(name, str):
            yield from _known(from_software("c2pa", name, where=where))
    names = [str(info.get("name", "")) for info in manifest.get("claim_generator_info") or []]
    for name in names or [str(manifest.get("claim_generator", ""))]:
        yield from _known(from_software("c2pa", name, where=where))


def _actions(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for assertion in manifest.get("assertions") or []:
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            yield from (assertion.get("data") or {}).get("actions") or []


def _known(signal: SyntheticSignal | None) -> Iterator[SyntheticSignal]:
    if signal is not None:
        yield signal


def _broken(store: dict[str, Any]) -> str:
    codes = [str(status.get("code")) for status in store.get("validation_status") or []]
    codes = [code for code in codes if code != UNTRUSTED_ONLY]
    why = f" ({quoted(codes[0])})" if codes else ""
    return f"Its Content Credential does not verify{why}: file or credential was changed after the signing."
