"""What a file says about its own making, through the real decoder: real manifests, and made ones."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import c2pa
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image, PngImagePlugin

from monitor.ml.synthetic.declared import declared, in_bytes
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.values import SyntheticStatus
from tests.assets import media

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.values import SyntheticSignal

AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
CAMERA = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"


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


class Authority:
    """A certificate authority of the test's own, and a signer under it."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        root = self._certificate("Test Root", key, "Test Root", key, authority=True)
        leaf = self._certificate("Test Camera", self._leaf_key, "Test Root", key, authority=False)
        self.pem = root.public_bytes(serialization.Encoding.PEM).decode()
        self._chain = leaf.public_bytes(serialization.Encoding.PEM).decode() + self.pem

    def _certificate(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: str,
        issuer_key: ec.EllipticCurvePrivateKey,
        *,
        authority: bool,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        usage = x509.KeyUsage(
            digital_signature=not authority,
            key_cert_sign=authority,
            crl_sign=authority,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        made = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
            )
        )
        if not authority:
            made = made.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
            )
        return made.sign(issuer_key, hashes.SHA256())

    def signed(self, data: bytes, source_type: str) -> bytes:
        """Sign a JPEG whose manifest says how it was made."""
        action = {"action": "c2pa.created", "digitalSourceType": source_type}
        manifest = {
            "claim_generator_info": [{"name": "test", "version": "1"}],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
        }
        key = self._leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        info = c2pa.C2paSignerInfo(b"es256", self._chain.encode(), key, None)
        into = io.BytesIO()
        with c2pa.Signer.from_info(info) as signer, c2pa.Builder(manifest) as builder:
            builder.sign(signer, "image/jpeg", io.BytesIO(data), into)
        return into.getvalue()


def _name(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


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
