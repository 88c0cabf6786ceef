"""Packs by name: what they load, and what they refuse."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from monitor.errors import ConfigError, DeviceMissing, PackUnknown, WeightsDiffer, WeightsMissing
from monitor.ml.packs import PACKS, load_pack
from monitor.ml.sessions import must_run_on, open_session
from monitor.settings import Settings, load_settings


def test_the_registry_pack_never_imports_pytorch() -> None:
    program = (
        "import sys\n"
        "from monitor.ml.packs import load_pack\n"
        "from monitor.settings import load_settings\n"
        "load_pack(load_settings())\n"
        "assert not {'torch', 'torchaudio', 'speechbrain'} & set(sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()


def test_a_pack_says_where_it_runs(pack: object) -> None:
    assert (pack.name, pack.device, pack.provider) == ("registry", "cpu", "CPUExecutionProvider")


def test_an_unknown_pack_is_named_with_those_there_are() -> None:
    with pytest.raises(PackUnknown) as caught:
        load_pack(Settings(pack="best"))
    assert all(name in caught.value.hint for name in PACKS)


def test_without_weights_the_hint_says_pull(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing) as caught:
        load_pack(Settings(models_dir=tmp_path))
    assert "likeness models pull" in caught.value.hint


def test_a_changed_file_of_weights_is_never_loaded(tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(load_settings().models_dir, models)
    with (models / "centerface-any-size.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(WeightsDiffer):
        load_pack(Settings(models_dir=models))


def test_a_gpu_that_is_asked_for_and_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceMissing) as caught:
        load_pack(Settings(device="cuda"))
    assert "LIKENESS_DEVICE=cpu" in caught.value.hint


def test_a_silent_fall_back_is_an_error() -> None:
    class FellBack:
        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    with pytest.raises(DeviceMissing, match="fell back"):
        must_run_on(FellBack(), "cuda")


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.onnx").write_bytes(b"not a graph")
    with pytest.raises(WeightsDiffer, match=r"odd\.onnx"):
        open_session(tmp_path / "odd.onnx", "cpu")


def test_the_insightface_pack_needs_a_folder() -> None:
    with pytest.raises(ConfigError, match="LIKENESS_INSIGHTFACE_DIR"):
        load_pack(Settings(pack="insightface"))
