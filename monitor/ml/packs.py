"""The named packs: sets of models that belong together, with thresholds from what was measured of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from monitor import log as logs
from monitor.errors import ConfigError, PackUnknown
from monitor.ml.calibration import own_path, read_calibration, shipped_for, thresholds_at
from monitor.ml.interfaces import FaceModels, Pack, Thresholds, VoiceModels
from monitor.ml.lock import read_lock
from monitor.ml.sessions import PROVIDERS, open_session, providers_of
from monitor.ml.weights import path_of
from monitor.values import Modality, ModelId, model_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from monitor.ml.calibration import Calibration
    from monitor.ml.interfaces import VoiceRecogniser
    from monitor.ml.sessions import Device
    from monitor.settings import Settings

log = logs.get(__name__)

Models = TypeVar("Models", FaceModels, VoiceModels)

UNMEASURED: Final = Thresholds(
    alert=1.0, review=1.0, model_id=ModelId(""), data_set="not measured: run `likeness calibrate`"
)
"""What a recogniser has before its calibration is looked up. With these nobody is ever found."""


def _published(name: str, short: str, preprocessing: str) -> ModelId:
    """Name a model by the digest of the weights as published, not of the file derived from them."""
    return model_id(short, read_lock().named(name).sha256, preprocessing)


def load_pack(settings: Settings, *, measured: bool = True) -> Pack:
    """Load the pack that the settings name, every file checked against weights.lock first.

    Its thresholds come from a calibration: the operator's own where it was made with these very models, or
    the one that comes with the program, or else those that the pack states. `measured` False loads it all the
    same where there is none: to calibrate it. Raises PackUnknown, WeightsMissing, WeightsDiffer,
    DeviceMissing, and ConfigError for a calibration that cannot be read or is nowhere.
    """
    try:
        load = PACKS[settings.pack]
    except KeyError as exc:
        msg = f"there is no pack {settings.pack!r}"
        raise PackUnknown(msg, hint=f"LIKENESS_PACK is one of: {', '.join(PACKS)}.") from exc
    providers_of(settings.device)
    faces, voices = load(settings), _voices(settings)
    if measured:
        faces = _calibrated(faces, Modality.FACE, settings)
        voices = _calibrated(voices, Modality.VOICE, settings)
    return Pack(settings.pack, settings.device, PROVIDERS[settings.device], faces, voices)


def load_faces(settings: Settings) -> FaceModels:
    """Load the face half alone of the pack that the settings name. Raises what `load_pack` raises."""
    try:
        load = PACKS[settings.pack]
    except KeyError as exc:
        msg = f"there is no pack {settings.pack!r}"
        raise PackUnknown(msg, hint=f"Packs: {', '.join(PACKS)}.") from exc
    return _calibrated(load(settings), Modality.FACE, settings)


def _calibrated(models: Models, modality: Modality, settings: Settings) -> Models:
    """Give the models the thresholds of the calibration that is theirs."""
    model_id = models.recogniser.model_id
    calibration = _own(modality, model_id, settings) or shipped_for(model_id)
    if calibration is not None:
        return replace(models, thresholds=thresholds_at(calibration), calibration=calibration)
    if models.thresholds is UNMEASURED:
        msg = f"there is no calibration of {model_id}"
        raise ConfigError(msg, hint=f"Make one with `likeness calibrate {modality}s`.")
    return models


def _own(modality: Modality, model_id: ModelId, settings: Settings) -> Calibration | None:
    """Read the operator's own calibration. One of other models is left alone, with a warning."""
    path = own_path(settings.home, modality, settings.pack)
    if not path.is_file():
        return None
    found = read_calibration(path)
    if (found.modality, found.model_id) == (modality, model_id):
        return found
    log.warning("calibration_of_another_model", path=str(path), of=found.model_id, in_use=model_id)
    return None


def _session(settings: Settings, name: str) -> Any:  # noqa: ANN401 - onnxruntime has no types
    return open_session(path_of(settings.models_dir, name), settings.device)


def _registry_faces(settings: Settings) -> FaceModels:
    from monitor.ml.centerface import CenterFace  # noqa: PLC0415 - each pack loads only what it needs
    from monitor.ml.faces import BATCHES, ArcFace, open_arcface  # noqa: PLC0415

    detector = CenterFace(
        _published("centerface.onnx", "centerface", "rgb-two-looks-voted"),
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
    return FaceModels(detector, recogniser, UNMEASURED, both_looks=True)


def _edgeface_faces(settings: Settings) -> FaceModels:
    from monitor.ml.faces import BATCHES, ArcFace, open_arcface  # noqa: PLC0415
    from monitor.ml.yunet import YuNet  # noqa: PLC0415

    yunet, edgeface = "face_detection_yunet_2026may.onnx", "edgeface_xs_512.onnx"
    model = open_arcface(path_of(settings.models_dir, edgeface), settings.device, mean=127.5, spread=127.5)
    return FaceModels(
        YuNet(_published(yunet, "yunet_2026may", "bgr-two-looks-voted"), _session(settings, yunet)),
        ArcFace(
            _published("edgeface_xs_q.pt", "edgeface_xs", "crop112-rgb-127.5"),
            512,
            model,
            mirrored=False,
            batch=BATCHES[settings.device],
        ),
        UNMEASURED,
    )


def _insightface_faces(settings: Settings) -> FaceModels:
    from monitor.ml.insightface_pack import load_insightface  # noqa: PLC0415

    if settings.insightface_dir is None:
        msg = "LIKENESS_PACK is insightface, but LIKENESS_INSIGHTFACE_DIR is not set"
        raise ConfigError(msg, hint="Set it to the folder with the *.onnx files of your insightface pack.")
    return load_insightface(settings.insightface_dir, settings.device)


def _voices(settings: Settings) -> VoiceModels:
    from monitor.ml.channels import shipped_channel_map  # noqa: PLC0415
    from monitor.ml.voices import CamPlusPlus, Silero  # noqa: PLC0415

    vad = "silero_vad_16k_sequence.onnx"
    detector = Silero(_published(vad, "silero_vad_16k", "512-64-in-front"), _session(settings, vad))
    if settings.speechbrain_dir is not None:
        return VoiceModels(detector, *_speechbrain(settings.speechbrain_dir, settings.device))
    channels = shipped_channel_map()
    recogniser = CamPlusPlus(
        _published("campplus_cn_en_common.pt", "campplus", f"fbank80-cmn-{channels.version}"),
        _session(settings, "campplus_192.onnx"),
        channels,
    )
    return VoiceModels(detector, recogniser, UNMEASURED)


def _speechbrain(folder: Path, device: Device) -> tuple[VoiceRecogniser, Thresholds]:
    from monitor.ml.speechbrain_voice import THRESHOLDS, load_speechbrain  # noqa: PLC0415 - imports PyTorch

    recogniser = load_speechbrain(folder, device)
    return recogniser, replace(THRESHOLDS, model_id=recogniser.model_id)


PACKS: Final[dict[str, Callable[[Settings], FaceModels]]] = {
    "registry": _registry_faces,
    "edgeface": _edgeface_faces,
    "insightface": _insightface_faces,
}
"""Pack name -> what loads its face half."""
