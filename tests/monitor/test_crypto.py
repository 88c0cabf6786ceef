"""Sealing, wrapping, HPKE and signatures: what opens, and everything that must not."""

from __future__ import annotations

import base64
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from monitor import crypto
from monitor.crypto import Context, KeyEncryptionKeys, new_key
from monitor.errors import ConfigError, KeyMissing, KeyWrong, Tampered
from monitor.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT = Context("subject-1", "record-1", "template", "model@1/x")
ONE_BIT = [0, 1, 12, 13, 20, -1]
"""Places in an envelope: version, nonce (first and last byte), ciphertext, tag."""


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


def test_what_is_sealed_opens_again_and_shows_nothing() -> None:
    key = new_key()
    envelope = crypto.seal(key, b"a face" * 50, CONTEXT)
    assert b"a face" not in envelope
    assert crypto.unseal(key, envelope, CONTEXT) == b"a face" * 50
    assert crypto.seal(key, b"a face" * 50, CONTEXT) != envelope


@pytest.mark.parametrize("field", ["subject_id", "record_id", "kind", "model_id"])
def test_every_part_of_the_context_is_bound(field: str) -> None:
    key = new_key()
    envelope = crypto.seal(key, b"x", CONTEXT)
    with pytest.raises(Tampered):
        crypto.unseal(key, envelope, replace(CONTEXT, **{field: "other"}))


@pytest.mark.parametrize("place", ONE_BIT)
def test_one_changed_bit_of_an_envelope_is_noticed(place: int) -> None:
    key = new_key()
    envelope = crypto.seal(key, b"some plaintext", CONTEXT)
    with pytest.raises(Tampered):
        crypto.unseal(key, flipped(envelope, place), CONTEXT)


@pytest.mark.parametrize("envelope", [b"", b"\x01", b"\x01" * 28, b"\x02" + bytes(40)])
def test_what_is_no_envelope_is_refused(envelope: bytes) -> None:
    with pytest.raises(Tampered):
        crypto.unseal(new_key(), envelope, CONTEXT)


def test_another_key_does_not_open() -> None:
    with pytest.raises(Tampered):
        crypto.unseal(new_key(), crypto.seal(new_key(), b"x", CONTEXT), CONTEXT)


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_two_lists_of_parts_never_bind_to_the_same_bytes(one: list[str], other: list[str]) -> None:
    assert (crypto.bind(b"l", *one) == crypto.bind(b"l", *other)) == (one == other)


def test_a_key_wrapped_by_the_active_key_unwraps_with_it_as_a_second_one() -> None:
    first, second, data_key = new_key(), new_key(), new_key()
    wrapped, kek_id = KeyEncryptionKeys({"old": first}).wrap(data_key, b"c")
    rotated = KeyEncryptionKeys({"new": second, "old": first})
    assert (kek_id, rotated.active_id, rotated.ids) == ("old", "new", ("new", "old"))
    assert rotated.unwrap(wrapped, kek_id, b"c") == data_key
    assert data_key not in wrapped


def test_a_key_that_was_not_given_is_missing() -> None:
    wrapped, kek_id = KeyEncryptionKeys({"old": new_key()}).wrap(new_key(), b"c")
    with pytest.raises(KeyMissing, match="old"):
        KeyEncryptionKeys({"new": new_key()}).unwrap(wrapped, kek_id, b"c")


def test_another_key_under_the_same_id_is_wrong_and_a_changed_row_is_tampered() -> None:
    keks = KeyEncryptionKeys({"k": new_key()})
    wrapped, kek_id = keks.wrap(new_key(), b"c")
    with pytest.raises(KeyWrong, match="'k'"):
        KeyEncryptionKeys({"k": new_key()}).unwrap(wrapped, kek_id, b"c")
    with pytest.raises(Tampered):
        keks.unwrap(flipped(wrapped, -1), kek_id, b"c")
    with pytest.raises(Tampered):
        keks.unwrap(wrapped, kek_id, b"another row")


@pytest.mark.parametrize("wrapped", [b"", b"\x01", b"\x01" * 20])
def test_what_is_no_wrapped_key_is_refused(wrapped: bytes) -> None:
    with pytest.raises((Tampered, KeyWrong)):
        KeyEncryptionKeys({"k": new_key()}).unwrap(wrapped, "k", b"c")


def test_no_keys_are_refused() -> None:
    with pytest.raises(KeyMissing, match="no key"):
        KeyEncryptionKeys({})
    with pytest.raises(KeyMissing) as refused:
        KeyEncryptionKeys.from_settings(Settings())
    assert "LIKENESS_KEK_FILE" in refused.value.hint


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("k1:not base64!", "number 1"),
        ("k1:" + base64.b64encode(b"short").decode(), "needs 32"),
        ("k1:" + base64.b64encode(bytes(32)).decode(), "placeholder"),
        ("k 1:" + base64.b64encode(bytes(range(32))).decode(), "the id"),
        (base64.b64encode(bytes(range(32))).decode(), "the id"),
    ],
)
def test_a_wrong_line_of_keys_is_refused_without_being_repeated(line: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        KeyEncryptionKeys.from_settings(Settings(kek=SecretStr(line)))
    assert line.partition(":")[2] not in str(refused.value) or not line.partition(":")[2]


def test_keys_come_from_setting_and_file_the_setting_first(tmp_path: Path) -> None:
    lines = [crypto.new_key_line("a"), crypto.new_key_line("b")]
    file = tmp_path / "keys"
    file.write_text(f"# the old ones\n\n{lines[1]}\n{lines[0]}\n")
    keks = KeyEncryptionKeys.from_settings(Settings(kek=SecretStr(lines[0]), kek_file=file))
    assert keks.ids == ("a", "b")


def test_two_keys_under_one_id_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(crypto.new_key_line("a") + "\n" + crypto.new_key_line("a"))
    with pytest.raises(ConfigError, match="two different"):
        KeyEncryptionKeys.from_settings(Settings(kek_file=file))


def test_a_key_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(KeyMissing, match="nowhere"):
        KeyEncryptionKeys.from_settings(Settings(kek_file=tmp_path / "nowhere"))


def test_keys_neither_print_nor_pickle(keys: KeyEncryptionKeys) -> None:
    assert repr(keys) == "KeyEncryptionKeys(k1)"
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(keys)


def test_the_intake_key_puts_in_and_the_other_one_opens() -> None:
    public, private = crypto.new_intake_pair()
    sealed = crypto.IntakeSealer(public).seal(b"a picture" * 1000, b"media 1")
    assert b"a picture" not in sealed
    assert crypto.IntakeOpener(private).open(sealed, b"media 1") == b"a picture" * 1000
    with pytest.raises(Tampered):
        crypto.IntakeOpener(public).open(sealed, b"media 1")


@pytest.mark.parametrize("sealed", ["truncated", "other info", "bit", "version", "empty"])
def test_sealed_media_that_was_changed_does_not_open(sealed: str) -> None:
    public, private = crypto.new_intake_pair()
    whole = crypto.IntakeSealer(public).seal(b"a picture", b"media 1")
    other = crypto.IntakeSealer(public).seal(b"a picture", b"media 2")
    changed = {
        "truncated": whole[:-1],
        "other info": other,
        "bit": flipped(whole, 40),
        "version": b"\x02" + whole[1:],
        "empty": b"",
    }[sealed]
    with pytest.raises(Tampered):
        crypto.IntakeOpener(private).open(changed, b"media 1")


def test_what_is_no_key_pair_is_refused() -> None:
    for make in (crypto.IntakeSealer, crypto.IntakeOpener, crypto.Signer):
        with pytest.raises(KeyWrong):
            make(b"too short")


def test_a_signature_fits_its_message_alone() -> None:
    public, private = crypto.new_signing_pair()
    signer = crypto.Signer(private)
    signature = signer.sign(b"a receipt")
    assert signer.public == public
    crypto.verify(public, signature, b"a receipt")
    other_public, _ = crypto.new_signing_pair()
    for wrong in (
        (public, signature, b"another"),
        (public, b"", b"a receipt"),
        (other_public, signature, b"a receipt"),
    ):
        with pytest.raises(Tampered):
            crypto.verify(*wrong)


def test_a_wiped_key_is_zeros() -> None:
    key = bytearray(new_key())
    crypto.wipe(key)
    assert key == bytes(32)
