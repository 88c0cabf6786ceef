"""What a file's own words count for: a claim, a signature, or nothing. And the invisible mark in pixels."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import c2pa
import numpy as np
import pytest
from PIL import Image

from monitor.ml.synthetic.declared import in_bytes, in_picture
from monitor.ml.synthetic.fusing import fuse, shipped_fusion
from monitor.ml.synthetic.provenance import CLAIMED, CLAIMED_OF_A_PART, Provenance
from monitor.ml.synthetic.watermark import LEAST_AGREEING, MESSAGES, STEP, program_in, program_of
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.values import Abstention, Aspect, Made, MediaKind, Signal, SyntheticSignal
from tests.assets import media
from tests.assets.sightings import sighting
from tests.assets.signing import AI, CAMERA, Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(DecodeLimits(cpu_seconds=30, wall_seconds=30)) as running:
        yield running


def said(
    weight: str, *, trusted: bool = False, weak: bool = False, says: str = "It says so."
) -> SyntheticSignal:
    return SyntheticSignal("c2pa", says, weight, trusted, weak)


def weighed(*words: SyntheticSignal) -> Signal:
    return Provenance().assess(replace(sighting(kind=MediaKind.IMAGE), declared=words))


def test_a_silent_file_says_nothing_and_that_proves_nothing() -> None:
    found = weighed()

    assert (found.llr, found.abstains, found.aspect) == (None, Abstention.NO_DECLARATION, Aspect.FILE)
    assert "proves nothing" in found.limits


def test_words_count_in_the_order_of_what_stands_behind_them() -> None:
    vouched = weighed(said("synthetic", trusted=True))
    claimed = weighed(said("synthetic"))
    in_part = weighed(said("synthetic", weak=True))
    captured = weighed(said("captured", trusted=True))

    counted = [one.llr for one in (vouched, claimed, in_part, captured)]
    assert counted == sorted((v for v in counted if v is not None), reverse=True)
    assert captured.llr is not None
    assert captured.llr < 0 < (in_part.llr or 0)
    assert [one.strong for one in (vouched, claimed, in_part, captured)] == [True, False, False, True]


@pytest.mark.parametrize(
    "words",
    [
        [said("captured")],
        [said("captured", trusted=True, weak=True)],
        [said("captured"), said("edited")],
        [said("edited")],
        [said("edited", trusted=True)],
    ],
)
def test_a_camera_that_nobody_vouches_for_and_an_editor_count_nothing(words: list[SyntheticSignal]) -> None:
    found = weighed(*words)

    assert (found.llr, found.shown_only, found.strong) == (0.0, True, False)
    assert "not counted" in found.reasons[-1]
    assert fuse([found], [Aspect.FACE], shipped_fusion()).made is Made.CANNOT_TELL


def test_a_claim_of_being_made_outweighs_one_of_a_capture_and_no_claim_is_strong() -> None:
    found = weighed(said("captured", says="A camera took it."), said("synthetic", says="A computer made it."))

    assert (found.llr, found.strong) == (CLAIMED, False)
    assert found.reasons[0] == "A computer made it."
    assert "Anybody can write" in found.reasons[-1]


def test_many_words_are_told_in_a_few_sentences() -> None:
    found = weighed(*(said("synthetic", says=f"Sentence {number}.") for number in range(200)))

    assert len(found.reasons) < 12


def test_a_real_signature_counts_only_where_the_signer_is_trusted(decoder: Decoder) -> None:
    ours = Authority()
    with Decoder(DecodeLimits(), trust_pem=ours.pem) as trusting:
        for source_type in (AI, CAMERA):
            signed = ours.signed(media.jpeg(320, 240), source_type)
            with trusting.start(signed) as clip, decoder.start(signed) as stranger:
                trusted, lies = weighed(*clip.signals), weighed(*stranger.signals)

            assert trusted.strong
            assert trusted.reasons[0].startswith('Its Content Credential, signed by "Tests", says')
            assert "not that they are true" in trusted.reasons[-1]
            assert not lies.strong
            assert lies.reasons[0].startswith('Its Content Credential, signed by an unknown "Tests", says')
            assert lies.shown_only is (source_type == CAMERA)


@pytest.mark.parametrize(
    ("relationship", "counted", "words"),
    [
        ("parentOf", CLAIMED, "the file that it was made from"),
        ("componentOf", CLAIMED_OF_A_PART, "a part of it"),
    ],
)
def test_a_picture_saved_again_is_what_it_was_and_one_with_a_part_is_not(
    decoder: Decoder, relationship: str, counted: float, words: str
) -> None:
    ours = Authority()
    made = ours.signed(media.jpeg(320, 240), AI)
    with decoder.start(ours.signed(made, made_from=relationship)) as clip:
        found = weighed(*clip.signals)

    assert found.llr == counted
    assert words in found.reasons[0]


@pytest.mark.parametrize(
    "manifest",
    [
        {"assertions": [{"label": "c2pa.actions", "data": {"actions": ["x", 1]}}]},
        {"assertions": [{"label": "c2pa.actions", "data": []}]},
        {"assertions": ["x"]},
        {"ingredients": [1]},
        {"claim_generator_info": ["x"]},
        [],
    ],
)
def test_a_credential_of_a_form_that_nobody_writes_does_not_hide_the_picture(
    monkeypatch: pytest.MonkeyPatch, manifest: object
) -> None:
    store = {"active_manifest": "a", "manifests": {"a": manifest}, "validation_state": "Valid"}
    monkeypatch.setattr(c2pa.Reader, "json", lambda _: json.dumps(store))

    found = in_bytes(io.BytesIO(Authority().signed(media.jpeg(320, 240), AI)))

    assert {signal.weight for signal in found} <= {"edited"}


def marked(rgb: NDArray[np.uint8], bits: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Write a message into a picture as the published scheme says, block by block."""
    level = rgb.astype(np.float64)
    luma = level @ [0.299, 0.587, 0.114]
    u, v = 0.492 * (level[..., 2] - luma) + 128, 0.877 * (level[..., 0] - luma) + 128
    number = 0
    for top in range(0, rgb.shape[0] // 8 * 8, 8):
        for left in range(0, rgb.shape[1] // 8 * 8, 8):
            block = u[top : top + 8, left : left + 8]
            coarse = block.reshape(4, 2, 4, 2).sum(axis=(1, 3)) / 2
            place = int(np.argmax(np.abs(coarse.ravel()[1:]))) + 1
            value = coarse.ravel()[place]
            wanted = (value // STEP + (0.75 if bits[number % len(bits)] else 0.25)) * STEP
            row, column = divmod(place, 4)
            block[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] += (wanted - value) / 2
            number += 1
    blue, red = (u - 128) / 0.492 + luma, (v - 128) / 0.877 + luma
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    return np.clip(np.rint(np.stack([red, green, blue], axis=-1)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def photograph(data: Path) -> Image.Image:
    path = data / "synthetic-faces" / "splices-real" / "real_00002.jpg"
    return Image.open(path).convert("RGB").crop((0, 0, 520, 400))


@pytest.mark.parametrize("program", MESSAGES)
def test_the_mark_of_each_program_is_found_and_told_apart(photograph: Image.Image, program: str) -> None:
    assert program_of(marked(np.asarray(photograph), MESSAGES[program])) == program


def test_no_mark_is_found_where_there_is_none(data: Path, photograph: Image.Image) -> None:
    assert program_of(np.asarray(photograph)) is None
    for path in sorted((data / "synthetic-faces" / "portraits-real").glob("*.jpg"))[:40]:
        assert program_of(np.asarray(Image.open(path).convert("RGB"))) is None, path.name
    rng = np.random.default_rng(5)
    assert program_of(rng.integers(0, 256, (400, 400, 3), np.uint8)) is None
    assert LEAST_AGREEING > 0.6


@pytest.mark.parametrize("size", [(70_000, 1), (1, 70_000), (7, 10_000), (10_000, 9), (256, 256), (5, 5)])
def test_plain_and_odd_pictures_hold_no_mark(size: tuple[int, int]) -> None:
    picture = Image.new("RGB", size, "orange")
    picture.format = "PNG"

    assert program_in(picture) is None
    assert program_of(np.asarray(picture)) is None


def test_the_mark_is_looked_for_in_lossless_files_alone_and_told_as_a_claim(
    decoder: Decoder, photograph: Image.Image
) -> None:
    picture = Image.fromarray(marked(np.asarray(photograph), MESSAGES["Stable Diffusion XL"]))
    with decoder.start(media.saved(picture, "PNG")) as clip:
        found = clip.signals
    with decoder.start(media.saved(picture, "JPEG", quality=98)) as clip:
        assert clip.signals == ()

    assert [(one.source, one.weight, one.trusted) for one in found] == [("watermark", "synthetic", False)]
    assert "Stable Diffusion XL" in found[0].says
    assert weighed(*found).llr == CLAIMED
    assert in_picture(photograph) == ()
