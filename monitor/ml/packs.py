"""The named packs: sets of models that belong together, with the thresholds measured on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monitor.errors import ConfigError, PackUnknown
from monitor.ml.interfaces import FaceModels, Pack, Thresholds, VoiceModels
from monitor.ml.lock import read_lock
from monitor.ml.sessions import PROVIDERS, open_session, providers_of
from monitor.ml.weights import path_of
from monitor.values import model_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monitor.ml.interfaces import VoiceRecogniser
    from monitor.ml.sessions import Device
    from monitor.settings import Settings
    from monitor.values import ModelId

REGISTRY_FACES: Final = Thresholds(
    alert=0.50,
    review=0.415,
    source="LFW A to I less errata, 15 M impostor pairs, 2026-11-23: FAR 1e-4 at 0.420, 1e-5 at 0.476",
)
EDGEFACE_FACES: Final = Thresholds(
    alert=0.447,
    review=0.324,
    source="LFW J to Z, YuNet + EdgeFace xs: 0.324 at FAR 1e-4, 0.447 at FAR 1e-6",
)
REGISTRY_VOICES: Final = Thresholds(
    alert=0.62,
    review=0.50,
    source="CAM++: of 8,363 pairs of strangers (LibriSpeech, a telephone talk) 3 over 0.50, none over 0.57",
)


def _published(name: str, short: str, preprocessing: str) -> ModelId:
    """Name a model by the digest of the weights as published, not of the file derived from them."""
    return model_id(short, read_lock().named(name).sha256, preprocessing)


def load_pack(settings: Settings) -> Pack:
    """Load the pack that the settings name, every file checked against weights.lock first.

    Raises PackUnknown, WeightsMissing, WeightsDiffer, DeviceMissing.
    """
    try:
        load = PACKS[settings.pack]
    except KeyError as exc:
        msg = f"there is no pack {settings.pack!r}"
        raise PackUnknown(msg, hint=f"LIKENESS_PACK is one of: {', '.join(PACKS)}.") from exc
    providers_of(settings.device)
    faces = load(settings)
    return Pack(settings.pack, settings.device, PROVIDERS[settings.device], faces, _voices(settings))


def _session(settings: Settings, name: str) -> Any:  # noqa: ANN401 - onnxruntime has no types
    return open_session(path_of(settings.models_dir, name), settings.device)


def _registry_faces(settings: Settings) -> FaceModels:
    from monitor.ml.centerface import CenterFace  # noqa: PLC0415 - each pack loads only what it needs
    from monitor.ml.faces import BATCHES, ArcFace, open_arcface  # noqa: PLC0415

    detector = CenterFace(
        _published("centerface.onnx", "centerface", "rgb-two-looks"),
        _session(settings, "centerface-any-size.onnx"),
    )
    path = path_of(settings.models_dir, "fr_feature-any-batch.onnx")
    recogniser = ArcFace(
        _published("fr_feature.onnx", "fr_feature", "crop112-rgb-127-128-mirrored"),
        512,
        open_arcface(path, settings.device, mean=127.0, spread=128.0),
        mirrored=True,
        batch=BATCHES[settings.device],
    )
    return FaceModels(detector, recogniser, REGISTRY_FACES)


def _edgeface_faces(settings: Settings) -> FaceModels:
    from monitor.ml.faces import BATCHES, ArcFace, open_arcface  # noqa: PLC0415
    from monitor.ml.yunet import YuNet  # noqa: PLC0415

    yunet, edgeface = "face_detection_yunet_2026may.onnx", "edgeface_xs_q.onnx"
    model = open_arcface(path_of(settings.models_dir, edgeface), settings.device, mean=127.5, spread=127.5)
    return FaceModels(
        YuNet(_published(yunet, "yunet_2026may", "bgr-two-looks"), _session(settings, yunet)),
        ArcFace(
            _published(edgeface, "edgeface_xs", "crop112-rgb-127.5"),
            512,
            model,
            mirrored=False,
            batch=BATCHES[settings.device],
        ),
        EDGEFACE_FACES,
    )


def _insightface_faces(settings: Settings) -> FaceModels:
    from monitor.ml.insightface_pack import load_insightface  # noqa: PLC0415

    if settings.insightface_dir is None:
        msg = "LIKENESS_PACK is insightface, but LIKENESS_INSIGHTFACE_DIR is not set"
        raise ConfigError(msg, hint="Set it to the folder with the *.onnx files of your insightface pack.")
    return load_insightface(settings.insightface_dir, settings.device)


def _voices(settings: Settings) -> VoiceModels:
    from monitor.ml.voices import CamPlusPlus, Silero  # noqa: PLC0415

    vad = "silero_vad_16k_sequence.onnx"
    detector = Silero(_published(vad, "silero_vad_16k", "512-64"), _session(settings, vad))
    if settings.speechbrain_dir is not None:
        return VoiceModels(detector, *_speechbrain(settings.speechbrain_dir, settings.device))
    recogniser = CamPlusPlus(
        _published("campplus_cn_en_common.pt", "campplus", "fbank80-cmn"),
        _session(settings, "campplus_192.onnx"),
    )
    return VoiceModels(detector, recogniser, REGISTRY_VOICES)


def _speechbrain(folder: Path, device: Device) -> tuple[VoiceRecogniser, Thresholds]:
    from monitor.ml.speechbrain_voice import THRESHOLDS, load_speechbrain  # noqa: PLC0415 - imports PyTorch

    return load_speechbrain(folder, device), THRESHOLDS


PACKS: Final[dict[str, Callable[[Settings], FaceModels]]] = {
    "registry": _registry_faces,
    "edgeface": _edgeface_faces,
    "insightface": _insightface_faces,
}
"""Pack name -> what loads its face half."""
