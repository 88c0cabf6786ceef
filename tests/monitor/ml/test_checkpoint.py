"""A checkpoint is read without PyTorch, and nothing in it runs."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from monitor.errors import WeightsDiffer
from monitor.ml.checkpoint import read_tensors


def test_tensors_come_out_as_pytorch_put_them_in(tmp_path: Path) -> None:
    import torch  # noqa: PLC0415 - a second, and only this test needs it

    put = {"a.weight": torch.randn(3, 4, 5), "a.count": torch.tensor(7), "b": torch.arange(6).float()}
    torch.save(put, tmp_path / "some.pt")
    got = read_tensors(tmp_path / "some.pt")
    assert list(got) == list(put)
    for name, tensor in put.items():
        np.testing.assert_array_equal(got[name], tensor.numpy())


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.trace,)


def boxed(path: Path, program: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as box:
        box.writestr("archive/data.pkl", program)
    return path


def test_a_checkpoint_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with pytest.raises(WeightsDiffer):
        read_tensors(boxed(tmp_path / "evil.pt", pickle.dumps({"a": Evil(trace)}, protocol=2)))
    assert not trace.exists()


@pytest.mark.parametrize(
    "program",
    [pickle.dumps([1, 2], protocol=2), pickle.dumps("text", protocol=2), b"", b"\x80\x02}", b"nonsense"],
)
def test_anything_but_a_dict_of_tensors_is_refused(tmp_path: Path, program: bytes) -> None:
    with pytest.raises(WeightsDiffer):
        read_tensors(boxed(tmp_path / "odd.pt", program))


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.pt").write_bytes(b"not a zip")
    with pytest.raises(WeightsDiffer, match=r"odd\.pt"):
        read_tensors(tmp_path / "odd.pt")
