"""A checkpoint is read without PyTorch, and nothing in it runs."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
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


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")  # deprecated there
def test_quantised_linear_layers_come_out_as_the_numbers_they_stand_for(tmp_path: Path) -> None:
    import torch  # noqa: PLC0415 - a second, and only such tests need it

    weight, bias = torch.randn(5, 3), torch.randn(5)
    packed = torch.quantize_per_tensor(weight, 0.02, 3, torch.qint8)
    state = OrderedDict({"fc.scale": torch.tensor(0.1), "fc._packed_params.dtype": torch.qint8})
    state["fc._packed_params._packed_params"] = (packed, torch.nn.Parameter(bias))
    state._metadata = OrderedDict({"": {"version": 1}})
    torch.save(state, tmp_path / "some.pt")
    got = read_tensors(tmp_path / "some.pt")
    assert list(got) == ["fc.scale", "fc.weight", "fc.bias"]
    np.testing.assert_array_equal(got["fc.weight"], packed.dequantize().numpy())
    np.testing.assert_array_equal(got["fc.bias"], bias.numpy())


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")  # deprecated there
def test_numbers_with_a_scale_a_row_are_refused(tmp_path: Path) -> None:
    import torch  # noqa: PLC0415

    scales, zeros = torch.tensor([0.1, 0.2]), torch.tensor([0, 0])
    odd = torch.quantize_per_channel(torch.randn(2, 3), scales, zeros, 0, torch.qint8)
    torch.save({"odd": odd}, tmp_path / "odd.pt")
    with pytest.raises(WeightsDiffer):
        read_tensors(tmp_path / "odd.pt")


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
    [
        b"cos\nsystem\n(X\x04\0\0\0truetR.",
        b"cbuiltins\neval\n(X\x01\0\0\x001tR.",
        b"\x80\x02}X\x01\0\0\0acos\nsystem\nX\x04\0\0\0true\x85Rs.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        b"(X\x04\0\0\0trueios\nsystem\n.",
        b"\x80\x02ctorch._utils\n_rebuild_parameter\ncos\nsystem\nX\x04\0\0\0true\x85R\x85R.",
        b"\x80\x02}cos\nsystem\nX\x04\0\0\0true\x85Rb.",
    ],
    ids=["call", "eval", "as a tensor", "by stack", "by instance", "in a parameter", "as attributes"],
)
def test_a_checkpoint_that_names_the_shell_is_refused(
    tmp_path: Path, program: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []
    monkeypatch.setattr(os, "system", ran.append)
    with pytest.raises(WeightsDiffer):
        read_tensors(boxed(tmp_path / "evil.pt", program))
    assert ran == []


def test_a_tensor_with_more_or_fewer_bytes_than_it_says_is_refused(tmp_path: Path) -> None:
    import torch  # noqa: PLC0415

    torch.save({"a": torch.arange(6).float()}, tmp_path / "some.pt")
    for size in (0, 23, 25, 1_000_000):
        with (
            zipfile.ZipFile(tmp_path / "some.pt") as box,
            zipfile.ZipFile(tmp_path / "odd.pt", "w", zipfile.ZIP_DEFLATED) as odd,
        ):
            for name in box.namelist():
                odd.writestr(name, bytes(size) if name.endswith("data/0") else box.read(name))
        with pytest.raises(WeightsDiffer, match=r"has \d+ bytes for 6 numbers"):
            read_tensors(tmp_path / "odd.pt")


def test_a_checkpoint_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    import torch  # noqa: PLC0415

    torch.save({"a": torch.arange(6).float()}, tmp_path / "some.pt")
    whole = (tmp_path / "some.pt").read_bytes()
    for size in range(0, len(whole), 97):
        (tmp_path / "odd.pt").write_bytes(whole[:size])
        with pytest.raises(WeightsDiffer):
            read_tensors(tmp_path / "odd.pt")


@pytest.mark.parametrize(
    "program",
    [
        *(pickle.dumps(odd, protocol=2) for odd in ([1, 2], "text", {"a": 1}, {1: "a"}, {"a": {}})),
        *(b"", b"\x80\x02}", b"nonsense", b"\x80\x02K\x01Q.", b"\x80\x02}K\x01s."),
    ],
)
def test_anything_but_a_dict_of_tensors_is_refused(tmp_path: Path, program: bytes) -> None:
    with pytest.raises(WeightsDiffer):
        read_tensors(boxed(tmp_path / "odd.pt", program))


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.pt").write_bytes(b"not a zip")
    with pytest.raises(WeightsDiffer, match=r"odd\.pt"):
        read_tensors(tmp_path / "odd.pt")
