"""Reads the tensors out of a PyTorch checkpoint without PyTorch, and without running what is in it.

A `.pt` file is a zip: one small program in pickle's byte code that builds a dict, and one raw file per
tensor. Here that byte code is only looked at, instruction by instruction, by an interpreter that knows
fewer than twenty of them and can build nothing but numbers, text, tuples, dicts and tensors. Anything
else is refused, so a checkpoint cannot run code here.
"""

from __future__ import annotations

import pickletools
import zipfile
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
}
_TENSOR: Final = "torch._utils _rebuild_tensor_v2"
_ORDERED: Final = "collections OrderedDict"
_VALUES: Final = frozenset({"BINUNICODE", "BININT", "BININT1", "BININT2"})
_PUTS: Final = frozenset({"BINPUT", "LONG_BINPUT"})
_GETS: Final = frozenset({"BINGET", "LONG_BINGET"})
_TUPLES: Final = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


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
            case "NEWFALSE":
                self._stack.append(False)
            case "GLOBAL":
                self._stack.append(_Name(argument))
            case "TUPLE":
                self._stack.append(tuple(self._since_mark()))
            case "SETITEMS":
                items = self._since_mark()
                self._stack[-1].update(zip(items[::2], items[1::2], strict=True))
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
        values: NDArray[Any] = np.frombuffer(self._archive.read(f"{self._folder}data/{key[2]}"), dtype)
        return values


def _call(function: _Name, arguments: tuple[Any, ...]) -> object:
    if function.name == _ORDERED:
        return {}
    if function.name != _TENSOR:
        msg = f"the checkpoint would call {function.name}"
        raise WeightsDiffer(msg)
    storage, offset, shape, strides = arguments[:4]
    if strides != _contiguous(shape):
        msg = "the checkpoint holds a tensor that is not contiguous"
        raise WeightsDiffer(msg)
    return storage[offset : offset + int(np.prod(shape, dtype=np.int64))].reshape(shape)


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(np.prod(shape[i + 1 :], dtype=np.int64)) for i in range(len(shape)))


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Read a state dict: name -> array of float32 or int64, in the file's order.

    Raises WeightsDiffer for anything that is not a plain dict of contiguous tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            program = next(n for n in archive.namelist() if n.endswith("data.pkl"))
            tensors = _Reader(archive, program.removesuffix("data.pkl")).run(archive.read(program))
    except (zipfile.BadZipFile, StopIteration, ValueError, KeyError, IndexError, AttributeError) as exc:
        msg = f"{path.name} is not a checkpoint that can be read"
        raise WeightsDiffer(msg) from exc
    if not isinstance(tensors, dict):
        msg = f"{path.name} does not hold a dict of tensors"
        raise WeightsDiffer(msg)
    return tensors
