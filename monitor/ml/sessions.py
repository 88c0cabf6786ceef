"""Makes onnxruntime sessions that several threads may use at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NoSuchFile,
)
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NotImplementedInOrt

from monitor.errors import DeviceMissing, WeightsDiffer

if TYPE_CHECKING:
    from pathlib import Path

Device = Literal["cpu", "cuda"]

PROVIDERS: Final[dict[str, str]] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

THREADS_PER_RUN: Final = 1
"""Items are looked at in parallel, one thread each. More threads inside one run would fight over the same
cores: two items on two cores take longer with two threads each than with one."""

LOAD_ERRORS: Final = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NoSuchFile, NotImplementedInOrt)
"""What onnxruntime says about a file that it cannot load; these have no class in common."""

QUIET: Final = 3
"""onnxruntime's severity from which on it speaks: errors."""


def providers_of(device: Device) -> list[str]:
    """Name the execution provider of a device; there is never a silent fall-back.

    Raises DeviceMissing when the installed onnxruntime cannot use it.
    """
    provider = PROVIDERS[device]
    if provider not in onnxruntime.get_available_providers():
        msg = f"LIKENESS_DEVICE is {device}, but this onnxruntime has no {provider}"
        raise DeviceMissing(
            msg, hint="Install the `gpu` extra in place of `cpu`, or set LIKENESS_DEVICE=cpu."
        )
    return [provider]


def session_options() -> Any:  # noqa: ANN401 - onnxruntime has no types
    """Options of every session: one thread per run, and only errors spoken of."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS_PER_RUN
    options.inter_op_num_threads = THREADS_PER_RUN
    options.log_severity_level = QUIET
    return options


def open_session(path: Path, device: Device) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """Load a graph on a device. `run` of the session may be called from several threads at once.

    Raises DeviceMissing when the device is not the one in use afterwards, WeightsDiffer for a file that
    is no graph.
    """
    providers = providers_of(device)
    try:
        session = onnxruntime.InferenceSession(str(path), session_options(), providers=providers)
    except LOAD_ERRORS as exc:
        msg = f"{path.name} could not be loaded on {device}"
        raise WeightsDiffer(msg) from exc
    must_run_on(session, device)
    return session


def must_run_on(session: Any, device: Device) -> None:  # noqa: ANN401 - onnxruntime has no types
    """Raise DeviceMissing unless the session really uses the device: a missing CUDA library only warns."""
    in_use = session.get_providers()
    if in_use[0] != PROVIDERS[device]:
        msg = f"LIKENESS_DEVICE is {device}, but onnxruntime fell back to {in_use[0]}"
        raise DeviceMissing(
            msg, hint="Are the CUDA and cuDNN libraries installed? See `likeness models list`."
        )
