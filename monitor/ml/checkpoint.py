"""Reads the tensors out of a PyTorch checkpoint without PyTorch, and without running what is in it.

A `.pt` file is a zip: one small program in pickle's byte code that builds a dict, and one raw file per
tensor. Here that byte code is only looked at, instruction by instruction, by an interpreter that knows
about twenty-five of them and can build nothing but numbers, text, tuples, dicts and tensors. Anything
else is refused, so a checkpoint cannot run code here. Tensors of eight-bit integers come out as the float32
numbers that they stand for.
"""

from __future__ import annotations

import pickletools
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.errors import WeightsDiffer

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MARK: Final = object()
_DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch LongStorage": np.dtype("<i8"),
    "torch QInt8Storage": np.dtype("i1"),
}
_TENSOR: Final = "torch._utils _rebuild_tensor_v2"
_QUANTISED: Final = "torch._utils _rebuild_qtensor"
_PARAMETER: Final = "torch._utils _rebuild_parameter"
_ORDERED: Final = "collections OrderedDict"
_ONE_SCALE: Final = "torch per_tensor_affine"
"""A quantised tensor with one scale and one zero point for all of it; other kinds are refused."""
_VALUES: Final = frozenset({"BINUNICODE", "BININT", "BININT1", "BININT2", "BINFLOAT"})
_TRUTHS: Final = {"NEWFALSE": False, "NEWTRUE": True}
_PUTS: Final = frozenset({"BINPUT", "LONG_BINPUT"})
_GETS: Final = frozenset({"BINGET", "LONG_BINGET"})
_TUPLES: Final = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PACKED: Final = "._packed_params._packed_params"
"""How the name of a quantised linear layer's pair of weight and bias ends."""
_PACKED_DTYPE: Final = "._packed_params.dtype"
_UNREADABLE: Final = (
    *(zipfile.BadZipFile, zlib.error, EOFError, RuntimeError),  # the zip; RuntimeError: locked, odd packing
    *(StopIteration, ValueError, LookupError, AttributeError, TypeError, OverflowError),  # what is in it
)


@dataclass(frozen=True, slots=True)
class _Name:
    """A global that the byte code names. It is never looked up."""

    name: str


class _Reader:
    """A stack, a memo, and the few instructions that a dict of tensors needs."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        self._archive = archive
        self._folder = folder
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, program: bytes) -> object:
        for opcode, argument, _ in pickletools.genops(program):
            if opcode.name == "STOP":
                return self._stack.pop()
            self._step(opcode.name, argument)
        msg = "the checkpoint's program has no end"
        raise WeightsDiffer(msg)

    def _step(self, name: str, argument: Any) -> None:  # noqa: ANN401 - whatever the byte code holds
        if name in _VALUES:
            self._stack.append(argument)
        elif name in _TRUTHS:
            self._stack.append(_TRUTHS[name])
        elif name in _PUTS:
            self._memo[argument] = self._stack[-1]
        elif name in _GETS:
            self._stack.append(self._memo[argument])
        elif name in _TUPLES:
            self._stack[-_TUPLES[name] :] = [tuple(self._stack[-_TUPLES[name] :])]
        else:
            self._build(name, argument)

    def _build(self, name: str, argument: Any) -> None:  # noqa: ANN401, C901 - one branch an instruction
        match name:
            case "PROTO":
                pass
            case "MARK":
                self._stack.append(_MARK)
            case "EMPTY_DICT":
                self._stack.append({})
            case "EMPTY_TUPLE":
                self._stack.append(())
            case "GLOBAL":
                self._stack.append(_Name(argument))
            case "TUPLE":
                self._stack.append(tuple(self._since_mark()))
            case "SETITEM":
                key, value = self._stack[-2:]
                del self._stack[-2:]
                self._stack[-1].update({key: value})
            case "SETITEMS":
                items = self._since_mark()
                self._stack[-1].update(zip(items[::2], items[1::2], strict=True))
            case "BUILD":
                self._stack.pop()  # attributes of the dict, such as versions: nothing here asks for them
            case "BINPERSID":
                self._stack.append(self._storage(self._stack.pop()))
            case "REDUCE":
                arguments = self._stack.pop()
                self._stack.append(_call(self._stack.pop(), arguments))
            case _:
                msg = f"the checkpoint asks for {name}, which a dict of tensors does not need"
                raise WeightsDiffer(msg)

    def _since_mark(self) -> list[Any]:
        start = max(place for place, value in enumerate(self._stack) if value is _MARK)
        items = self._stack[start + 1 :]
        del self._stack[start:]
        return items

    def _storage(self, key: tuple[Any, ...]) -> NDArray[Any]:
        dtype = _DTYPES.get(key[1].name)
        if dtype is None:
            msg = f"the checkpoint holds {key[1].name}"
            raise WeightsDiffer(msg)
        file = self._archive.getinfo(f"{self._folder}data/{key[2]}")
        if file.file_size != key[4] * dtype.itemsize:
            msg = f"the checkpoint's tensor {key[2]} has {file.file_size} bytes for {key[4]} numbers"
            raise WeightsDiffer(msg)
        values: NDArray[Any] = np.frombuffer(self._archive.read(file), dtype)
        return values


def _call(function: _Name, arguments: tuple[Any, ...]) -> object:
    match function.name:
        case name if name == _ORDERED:
            return {}
        case name if name == _PARAMETER:
            return arguments[0]
        case name if name == _TENSOR:
            return _tensor(*arguments[:4])
        case name if name == _QUANTISED:
            return _dequantised(_tensor(*arguments[:4]), *arguments[4])
    msg = f"the checkpoint would call {function.name}"
    raise WeightsDiffer(msg)


def _tensor(
    storage: NDArray[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> NDArray[Any]:
    if strides != _contiguous(shape):
        msg = "the checkpoint holds a tensor that is not contiguous"
        raise WeightsDiffer(msg)
    return storage[offset : offset + int(np.prod(shape, dtype=np.int64))].reshape(shape)


def _dequantised(whole: NDArray[np.int8], kind: _Name, scale: float, zero: int) -> NDArray[np.float32]:
    """Integers to the numbers they stand for: (integer - zero) x scale."""
    if kind.name != _ONE_SCALE:
        msg = f"the checkpoint holds numbers of kind {kind.name}"
        raise WeightsDiffer(msg)
    return (whole.astype(np.float32) - np.float32(zero)) * np.float32(scale)


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(np.prod(shape[i + 1 :], dtype=np.int64)) for i in range(len(shape)))


def _named(state: object) -> dict[str, NDArray[Any]]:
    """Take packed pairs apart, drop the names of number formats, and refuse what is no tensor then."""
    if not isinstance(state, dict):
        msg = "it does not hold a dict"
        raise TypeError(msg)
    tensors: dict[str, NDArray[Any]] = {}
    for name, value in state.items():
        if name.endswith(_PACKED):
            layer = name.removesuffix(_PACKED)
            tensors[f"{layer}.weight"], tensors[f"{layer}.bias"] = value
        elif not name.endswith(_PACKED_DTYPE):
            tensors[name] = value
    for name, tensor in tensors.items():
        if not isinstance(tensor, np.ndarray):
            msg = f"{name} is no tensor"
            raise TypeError(msg)
    return tensors


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read a state dict: name -> array of float32 or int64, in the file's order.

    Quantised tensors are given as float32; the weight and bias that a quantised linear layer packs into one
    entry get names of their own, as those of any other linear layer. Raises WeightsDiffer for anything that
    is not a plain dict of contiguous tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            program = next(n for n in archive.namelist() if n.endswith("data.pkl"))
            state = _Reader(archive, program.removesuffix("data.pkl")).run(archive.read(program))
            return _named(state)
    except _UNREADABLE as exc:
        msg = f"{path.name} is not a checkpoint that can be read"
        raise WeightsDiffer(msg) from exc
