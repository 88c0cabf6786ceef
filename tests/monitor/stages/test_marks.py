"""Copies of one picture are known again, on real pictures; other pictures of the same person are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.findings import same_picture
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.stages.detect import detect
from monitor.stages.marks import mark
from tests.assets import people

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.ml.interfaces import Pack

    Picture = NDArray[np.uint8]

SHE = "Gloria_Macapagal_Arroyo"
WITH_A_SECOND_FACE = 2

COPIES: dict[str, Callable[[Picture], bytes]] = {
    "larger": lambda p: people.jpeg(people.resized(p, 1.5)),
    "smaller": lambda p: people.jpeg(people.resized(p, 0.6)),
    "q20": lambda p: people.jpeg(p, 20),
    "q50": lambda p: people.jpeg(p, 50),
    "q90": lambda p: people.jpeg(p, 90),
    "mirrored": lambda p: people.jpeg(p[:, ::-1]),
    "cropped": lambda p: people.jpeg(p[25:225, 25:225]),
    "collage": lambda p: people.jpeg(people.collage([p, np.full_like(p, 128)]), 70),
    "mpeg4": lambda p: people.video([p]),
    "h264": lambda p: people.video([p], codec="libx264"),
}


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(DecodeLimits()) as running:
        yield running


@pytest.fixture(scope="module")
def hers(data: Path) -> list[Picture]:
    pictures = people.pictures(data, SHE)[:8]
    return [p for number, p in enumerate(pictures) if number != WITH_A_SECOND_FACE]


def marks_of(media: bytes, pack: Pack, decoder: Decoder) -> tuple[str, ...]:
    """Mark the one face."""
    with decoder.start(media) as clip:
        (track,) = detect(clip, pack).faces
    return mark(track.upright()), mark(track.upright()[:, ::-1])


@pytest.mark.parametrize("how", COPIES)
def test_copies_are_the_same_picture(how: str, hers: list[Picture], pack: Pack, decoder: Decoder) -> None:
    for picture in hers[:4]:
        original = marks_of(people.jpeg(picture), pack, decoder)
        assert same_picture(original, marks_of(COPIES[how](picture), pack, decoder))


def test_other_pictures_of_her_are_not(hers: list[Picture], pack: Pack, decoder: Decoder) -> None:
    marks = [marks_of(people.jpeg(p), pack, decoder) for p in hers]
    for number, one in enumerate(marks):
        assert [same_picture(one, other) for other in marks] == [n == number for n in range(len(marks))]


def test_a_voice_is_no_picture() -> None:
    assert not same_picture((), ())
    assert not same_picture(("00" * 36,), ())
