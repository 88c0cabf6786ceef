"""Media sealed in chunks: nothing can be dropped, swapped, cut off or changed, and memory stays small."""

from __future__ import annotations

import io
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import sealed_media
from monitor.crypto import IntakeOpener, IntakeSealer, new_intake_pair
from monitor.errors import Tampered
from monitor.sealed_media import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PUBLIC, PRIVATE = new_intake_pair()
SEALER, OPENER = IntakeSealer(PUBLIC), IntakeOpener(PRIVATE)
HEADER = 81


def seal(*parts: Iterable[bytes]) -> bytes:
    return b"".join(
        piece for number, part in enumerate(parts) for piece in sealed_media.sealed(part, SEALER, number)
    )


def unseal(blob: bytes, opener: IntakeOpener = OPENER) -> bytes:
    stream = io.BytesIO(blob)
    assert stream.read(1) == sealed_media.VERSION
    return b"".join(sealed_media.opened(stream, opener))


def chunks_of(blob: bytes) -> list[bytes]:
    """Cut a blob of one part into its sealed chunks."""
    rest, found = blob[1 + HEADER :], []
    while rest:
        length = (int.from_bytes(rest[:4], "big") & ~(1 << 31)) + 4 + 16
        found.append(rest[:length])
        rest = rest[length:]
    return found


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 3))
def test_what_goes_in_comes_out(pieces: list[bytes], times: int) -> None:
    assert unseal(seal(*[pieces] * times)) == b"".join(pieces) * times


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_every_length_comes_out(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    assert unseal(seal([data[:size]])) == data[:size]


def test_chunks_cannot_be_swapped_dropped_or_cut_off() -> None:
    blob = seal([bytes(3 * CHUNK)])
    head, chunks = blob[: 1 + HEADER], chunks_of(blob)
    assert len(chunks) == 3
    for wrong in ([1, 0, 2], [0, 2], [0, 1], [0, 0, 1, 2], [2]):
        with pytest.raises(Tampered):
            unseal(head + b"".join(chunks[number] for number in wrong))


def test_a_chunk_of_another_part_or_blob_does_not_open() -> None:
    one, other = seal([b"one"]), seal([b"two"])
    with pytest.raises(Tampered):
        unseal(one[: 1 + HEADER] + other[1 + HEADER :])
    both = seal([b"one"], [b"two"])
    half = len(one)
    with pytest.raises(Tampered):
        unseal(both[:1] + both[half:] + both[1:half])


def test_no_bit_may_change() -> None:
    blob = seal([b"a picture"])
    for place in range(1, len(blob), 7):
        with pytest.raises(Tampered):
            unseal(blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :])


def test_who_put_it_in_cannot_open_it() -> None:
    with pytest.raises(Tampered):
        unseal(seal([b"a picture"]), IntakeOpener(new_intake_pair()[1]))


def test_memory_does_not_grow_with_the_file() -> None:
    def long_file() -> Iterator[bytes]:
        piece = bytes(64 * 1024)
        for _ in range(1024):
            yield piece

    tracemalloc.start()
    try:
        length = sum(len(piece) for piece in sealed_media.sealed(long_file(), SEALER))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert length > 64 * 2**20
    assert most < 2 * 2**20
