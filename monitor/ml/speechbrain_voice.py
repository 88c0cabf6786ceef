"""Reads the operator's own speechbrain speaker model (an EncoderClassifier) from a folder.

A folder of speechbrain is code: its hyperparams.yaml names Python objects, which are built as it is read.
Only load a folder that you would also run. Needs the `speechbrain` extra; nothing else here imports PyTorch.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import threading
import types
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.errors import ConfigError, DeviceMissing, WeightsDiffer, WeightsMissing
from monitor.ml.archives import sha256_of
from monitor.ml.interfaces import Thresholds
from monitor.ml.vectors import unit_rows
from monitor.ml.voices import refuse_a_blink
from monitor.values import SAMPLE_RATE, ModelId, model_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.ml.sessions import Device
    from monitor.values import Sound

THRESHOLDS: Final = Thresholds(
    alert=0.62,
    review=0.50,
    model_id=ModelId(""),
    data_set=(
        "not measured on this model: those of the registry pack's voice recogniser, CAM++; "
        "run `likeness calibrate voices`"
    ),
)

HINT: Final = "Install the `speechbrain` extra: pip install 'likeness-watch[speechbrain]'."


class SpeechBrainVoice:
    """A VoiceRecogniser over an EncoderClassifier.

    One sound at a time, under a lock: the folder's own modules may keep state between calls, and padding
    sounds to one length would let a vector depend on its neighbours.
    """

    def __init__(self, classifier: Any, model_id: ModelId) -> None:  # noqa: ANN401 - speechbrain has no types
        self._classifier = classifier
        self._model_id = model_id
        self._lock = threading.Lock()
        self._dimension = len(self._one(np.zeros(SAMPLE_RATE, np.float32)))

    @property
    def model_id(self) -> ModelId:
        """Name of the folder, digest over its files."""
        return self._model_id

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._dimension

    def embed(self, sounds: Sequence[Sound]) -> NDArray[np.float32]:
        """Map n sounds to (n, dimension) float32, rows of length 1. Raises TooLittleSpeech under 0.25 s."""
        for sound in sounds:
            refuse_a_blink(sound)
        rows = [self._one(sound.samples) for sound in sounds]
        return unit_rows(np.stack(rows)) if rows else np.empty((0, self._dimension), np.float32)

    def _one(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch  # noqa: PLC0415 - only this reader needs it

        with self._lock, torch.inference_mode():
            vector = self._classifier.encode_batch(torch.from_numpy(samples.copy())[None])
        row: NDArray[np.float32] = vector.cpu().numpy().reshape(-1)
        return row


def load_speechbrain(folder: Path, device: Device) -> SpeechBrainVoice:
    """Load the speaker model of a folder, without the network. This runs code of the folder.

    Raises WeightsMissing (no hyperparams.yaml), ConfigError (the extra is not installed), DeviceMissing,
    WeightsDiffer (speechbrain cannot load the folder).
    """
    if not (folder / "hyperparams.yaml").is_file():
        msg = f"{folder} holds no hyperparams.yaml"
        raise WeightsMissing(msg, hint="Set LIKENESS_SPEECHBRAIN_DIR to a folder that speechbrain can load.")
    torch = _torch_on(device)
    make_torchaudio_importable()
    from speechbrain.inference.speaker import EncoderClassifier  # noqa: PLC0415
    from speechbrain.utils.fetching import FetchConfig, LocalStrategy  # noqa: PLC0415

    _forget_redirects()
    torch.set_num_threads(1)  # items are looked at in parallel, one thread each
    try:
        classifier = EncoderClassifier.from_hparams(
            source=str(folder),
            savedir=str(folder),
            overrides=_stay_at_home(folder),
            local_strategy=LocalStrategy.NO_LINK,
            fetch_config=FetchConfig(allow_network=False),
            run_opts={"device": device},
        )
    except (ValueError, KeyError, OSError, RuntimeError, ImportError, AttributeError, TypeError) as exc:
        msg = f"speechbrain could not load the folder {folder}"
        raise WeightsDiffer(msg) from exc
    return SpeechBrainVoice(classifier, model_id(folder.name, digest_of(folder), "speechbrain-16k"))


def digest_of(folder: Path) -> str:
    """SHA-256 in hex over the names and digests of all files of a folder: its identity as a model."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole.update(f"{path.relative_to(folder).as_posix()}\0{sha256_of(path)}\n".encode())
    return whole.hexdigest()


def _stay_at_home(folder: Path) -> dict[str, str]:
    """Point published folders, whose `pretrained_path` names a place on the web, back to themselves."""
    lines = (folder / "hyperparams.yaml").read_text(encoding="utf-8").splitlines()
    names = any(line.startswith("pretrained_path:") for line in lines)
    return {"pretrained_path": str(folder)} if names else {}


def _torch_on(device: Device) -> Any:  # noqa: ANN401 - a module
    try:
        torch = importlib.import_module("torch")
    except ImportError as exc:
        msg = "LIKENESS_SPEECHBRAIN_DIR is set, but PyTorch is not installed"
        raise ConfigError(msg, hint=HINT) from exc
    if device == "cuda" and not torch.cuda.is_available():
        msg = "LIKENESS_DEVICE is cuda, but PyTorch sees no GPU"
        raise DeviceMissing(msg, hint="Install PyTorch for CUDA, or set LIKENESS_DEVICE=cpu.")
    return torch


def make_torchaudio_importable() -> None:
    """Let `import torchaudio` succeed beside a PyTorch without CUDA.

    torchaudio's only wheel is linked against CUDA and fails to load its compiled part elsewhere.
    speechbrain imports torchaudio but needs nothing compiled in it, so a stand-in says that this part is
    not there. Where torchaudio loads by itself, nothing is changed.
    """
    try:
        importlib.import_module("torchaudio")
    except ModuleNotFoundError as exc:
        msg = "LIKENESS_SPEECHBRAIN_DIR is set, but torchaudio is not installed"
        raise ConfigError(msg, hint=HINT) from exc
    except (OSError, ImportError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio._extension"] = _stand_in()
        importlib.import_module("torchaudio")


def _forget_redirects() -> None:
    """Take out of sys.modules what speechbrain put there for its old names.

    Looking at one of those imports k2, flair or spaCy and fails where they are not installed, so anything
    that walks over sys.modules (hypothesis, debuggers) would break in a process that loaded this model.
    """
    from speechbrain.utils.importutils import LazyModule  # noqa: PLC0415 - as above

    for name in [name for name, module in sys.modules.items() if issubclass(type(module), LazyModule)]:
        del sys.modules[name]


def _stand_in() -> types.ModuleType:
    module = types.ModuleType("torchaudio._extension", "Says that torchaudio's compiled part is not there.")
    said = {
        "_IS_TORCHAUDIO_EXT_AVAILABLE": False,
        "_IS_ALIGN_AVAILABLE": False,
        "fail_if_no_align": lambda function: function,
    }
    vars(module).update(said)
    return module
