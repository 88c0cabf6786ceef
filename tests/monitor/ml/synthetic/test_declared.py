"""What a file says about its own making, through the real decoder: real manifests, and made ones."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image, PngImagePlugin

from monitor.ml.synthetic.declared import declared, in_bytes
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.values import SyntheticStatus
from tests.assets import media
from tests.assets.signing import AI, CAMERA, Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.values import SyntheticSignal


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(DecodeLimits(cpu_seconds=30, wall_seconds=30)) as running:
        yield running


def signals_of(decoder: Decoder, data: bytes) -> tuple[SyntheticSignal, ...]:
    with decoder.start(data) as clip:
        return clip.signals


def xmp(properties: str) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
        f" {properties}</rdf:RDF></x:xmpmeta>"
    ).encode()


@pytest.mark.parametrize(
    ("name", "status", "weights"),
    [
        ("C.jpg", SyntheticStatus.DECLARED, {"synthetic"}),
        ("C_with_CAWG_data.jpg", SyntheticStatus.DECLARED_CAPTURED, {"captured"}),
        ("reading/CACAE-uri-CA.jpg", SyntheticStatus.DECLARED, {"synthetic"}),
        ("reading/CA.jpg", SyntheticStatus.NOT_ASSESSED, set()),
        ("reading/CIE-sig-CA.jpg", SyntheticStatus.DECLARED, {"synthetic", "edited"}),
        ("reading/E-sig-CA.jpg", SyntheticStatus.NOT_ASSESSED, {"edited"}),
        ("reading/XCA.jpg", SyntheticStatus.NOT_ASSESSED, {"edited"}),
        ("reading/video1.mp4", SyntheticStatus.NOT_ASSESSED, set()),
    ],
)
def test_real_content_credentials(
    decoder: Decoder, data: Path, name: str, status: SyntheticStatus, weights: set[str]
) -> None:
    found = signals_of(decoder, (data / "provenance" / name).read_bytes())

    assert declared(found).status is status
    assert {signal.weight for signal in found} == weights
    assert {signal.source for signal in found} <= {"c2pa"}
    assert not any(signal.trusted for signal in found)


def test_a_broken_credential_is_named_as_broken(decoder: Decoder, data: Path) -> None:
    found = signals_of(decoder, (data / "provenance" / "reading" / "XCA.jpg").read_bytes())

    assert "does not verify" in found[0].says
    assert "assertion.dataHash.mismatch" in found[0].says


def test_a_credential_that_is_kept_elsewhere_is_not_fetched(decoder: Decoder, data: Path) -> None:
    found = signals_of(decoder, (data / "provenance" / "reading" / "cloud.jpg").read_bytes())

    assert {signal.source for signal in found} == {"xmp", "exif"}


@pytest.mark.parametrize(
    ("source_type", "status"),
    [(AI, SyntheticStatus.DECLARED), (CAMERA, SyntheticStatus.DECLARED_CAPTURED)],
)
def test_only_a_signer_whom_the_operator_names_is_trusted(
    decoder: Decoder, source_type: str, status: SyntheticStatus
) -> None:
    ours, theirs = Authority(), Authority()
    signed = ours.signed(media.jpeg(320, 240), source_type)

    plain = signals_of(decoder, signed)
    with Decoder(DecodeLimits(), trust_pem=ours.pem) as trusting:
        trusted = signals_of(trusting, signed)
        stranger = signals_of(trusting, theirs.signed(media.jpeg(320, 240), source_type))

    assert [declared(found).status for found in (plain, trusted, stranger)] == [status] * 3
    assert [found[0].trusted for found in (plain, trusted, stranger)] == [False, True, False]


@pytest.mark.parametrize(
    ("properties", "weight"),
    [
        (f'Iptc4xmpExt:DigitalSourceType="{AI}"/>', "synthetic"),
        (f'><Iptc4xmpExt:DigitalSourceType rdf:resource="{AI}"/></rdf:Description>', "synthetic"),
        (
            f"><Iptc4xmpExt:DigitalSourceType>{AI}</Iptc4xmpExt:DigitalSourceType></rdf:Description>",
            "synthetic",
        ),
        (f'Iptc4xmpExt:DigitalSourceType="{CAMERA}"/>', "captured"),
        ('Iptc4xmpExt:AISystemUsed="Somebody\'s model"/>', "synthetic"),
        ('photoshop:Credit="Made with Google AI"/>', "synthetic"),
        ('xmp:CreatorTool="Adobe Photoshop 26.0"/>', "edited"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_xmp_and_iptc_are_read_in_every_format(
    decoder: Decoder, kind: str, properties: str, weight: str
) -> None:
    packet = xmp(properties)
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", packet.decode())
        data = media.png(pnginfo=text)
    else:
        data = media.saved(media.pattern(), kind, xmp=packet)

    found = signals_of(decoder, data)

    assert [signal.weight for signal in found] == [weight]


def test_exif_and_png_text_name_their_program(decoder: Decoder) -> None:
    exif, text = Image.Exif(), PngImagePlugin.PngInfo()
    exif[0x0131] = "Stable Diffusion XL"
    text.add_text("parameters", "a portrait, Steps: 20, Sampler: Euler a")

    for data, source in ((media.jpeg(exif=exif), "exif"), (media.png(pnginfo=text), "png")):
        found = signals_of(decoder, data)
        assert [(signal.source, signal.weight) for signal in found] == [(source, "synthetic")]
        assert declared(found).status is SyntheticStatus.DECLARED


def test_ordinary_media_say_nothing_and_are_not_assessed(decoder: Decoder) -> None:
    for data in (media.jpeg(), media.png(), media.gif(), media.mp4(), media.wav()):
        said = declared(signals_of(decoder, data))

        assert said.status is SyntheticStatus.NOT_ASSESSED
        assert said.reasons == ()
        assert said.not_covered == "not assessed: no scorer installed"


def test_edits_alone_declare_nothing() -> None:
    exif = Image.Exif()
    exif[0x0131] = "GIMP 3.0"
    with Decoder(DecodeLimits()) as decoder:
        found = signals_of(decoder, media.jpeg(exif=exif))

    assert [signal.weight for signal in found] == ["edited"]
    assert declared(found).status is SyntheticStatus.NOT_ASSESSED


@pytest.mark.parametrize(
    "packet",
    [
        b'<x:xmpmeta><!DOCTYPE a [<!ENTITY b "c">]>&b;</x:xmpmeta>',
        b'<x:xmpmeta xmlns:x="a"><broken></x:xmpmeta>',
        b"<x:xmpmeta>" + b"\xff\xfe" * 50 + b"</x:xmpmeta>",
        b"<x:xmpmeta>" * 1000 + b"</x:xmpmeta>",
        b"<x:xmpmeta>" + b"x" * 400_000 + b"</x:xmpmeta>",
        b"<x:xmpmeta>" * 20_000,
        b"jumbc2pa" * 100,
    ],
)
@pytest.mark.timeout(30)  # milliseconds where the work grows with the bytes, minutes where it grows faster
def test_hostile_metadata_says_nothing_and_is_not_searched_for_ever(packet: bytes) -> None:
    assert in_bytes(io.BytesIO(media.jpeg() + packet)) == ()


SETTINGS = (
    "a portrait of somebody, detailed\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"
)
FLOW = '{"3": {"class_type": "KSampler", "inputs": {"seed": 1}}}'
JOB = "a portrait --v 6 Job ID: 0b7f1c2d-3e4f-4a5b-8c6d-7e8f9a0b1c2d"


def user_comment(words: str, code: bytes, letters: str) -> Image.Exif:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = code + words.encode(letters)
    return exif


def in_field(tag: int, words: str) -> Image.Exif:
    exif = Image.Exif()
    exif[tag] = words
    return exif


@pytest.mark.parametrize(
    "exif",
    [
        user_comment(SETTINGS, b"UNICODE\0", "utf-16-be"),
        user_comment(SETTINGS, b"UNICODE\0", "utf-16-le"),
        user_comment(SETTINGS, b"ASCII\0\0\0", "ascii"),
        user_comment("x " * 3000 + SETTINGS, b"UNICODE\0", "utf-16-be"),
        in_field(0x0110, f"prompt:{FLOW}"),
        in_field(0x010F, 'workflow:{"last_node_id": 9, "nodes": []}'),
        in_field(0x010E, JOB),
        in_field(0x010E, "Made with Google AI"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_generators_are_known_by_what_they_write_into_exif(
    decoder: Decoder, kind: str, exif: Image.Exif
) -> None:
    found = signals_of(decoder, media.saved(media.pattern(), kind, exif=exif))

    assert [(signal.source, signal.weight, signal.weak) for signal in found] == [("exif", "synthetic", False)]


@pytest.mark.parametrize(
    ("key", "words", "weights"),
    [
        ("Description", JOB, ["synthetic"]),
        ("prompt", FLOW, ["synthetic"]),
        ("Software", "NovelAI", ["synthetic"]),
        ("Software", "FaceApp 11", ["edited"]),
        ("Software", "meitu v9", ["edited"]),
        ("Title", "Sora und Flux in the garden, photographed by Runway", []),
        ("Comment", "My friend Sora. I do not like ChatGPT.", []),
        ("Description", "Steps: 20 to the church, then left", []),
    ],
)
def test_a_name_in_a_caption_accuses_nobody(
    decoder: Decoder, key: str, words: str, weights: list[str]
) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text(key, words)

    found = signals_of(decoder, media.png(pnginfo=text))

    assert [signal.weight for signal in found] == weights


def test_an_app_that_reshapes_faces_is_named_as_one(decoder: Decoder) -> None:
    (found,) = signals_of(decoder, media.jpeg(exif=in_field(0x0131, "BeautyPlus 7.1")))

    assert "smooths or reshapes faces" in found.says
    assert "BeautyPlus 7.1" in found.says


def test_what_a_part_or_a_broken_credential_says_is_weak(decoder: Decoder, data: Path) -> None:
    part = signals_of(decoder, (data / "provenance" / "reading" / "CACAE-uri-CA.jpg").read_bytes())
    broken = signals_of(decoder, (data / "provenance" / "reading" / "CIE-sig-CA.jpg").read_bytes())

    assert any(signal.weak for signal in part)
    assert all(signal.weak for signal in broken if signal.weight == "synthetic")
