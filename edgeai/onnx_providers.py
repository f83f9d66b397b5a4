"""What an ONNX model may run on: ONNX Runtime's execution providers, in the words of `--provider`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

CPU = "cpu"
PROVIDERS = {
    CPU: "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "dml": "DmlExecutionProvider",
    "qnn": "QNNExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
"""Our names and ONNX Runtime's: NVIDIA, DirectX 12 on Windows, Qualcomm's NPU, Apple."""

_BEST = ("cuda", "dml")
"""What "auto" takes before the CPU. The others cannot run 4-bit weights or GroupQueryAttention as of ONNX Runtime 1.32:
most of a graph would run on the CPU all the same, and more slowly."""
_LIBRARIES = {"cuda": "*onnxruntime_providers_cuda*", "dml": "DirectML*.dll", "qnn": "QnnHtp*"}
_DISTRIBUTIONS = ("onnxruntime", *(f"onnxruntime-{build}" for build in ("gpu", "directml", "qnn", "training")))
_DEVICES = {"cuda": "cuda", "dml": "dml"}


def installed_providers() -> tuple[str, ...]:
    """Our names of those that the installed onnxruntime brings, by its files: it need not be imported to ask."""
    try:
        spec = find_spec("onnxruntime")
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        return ()
    folder = Path(spec.origin).parent / "capi"
    found = [name for name, pattern in _LIBRARIES.items() if any(folder.glob(pattern))]
    return (*found, *(["coreml"] if sys.platform == "darwin" else []), CPU)


def installed_version() -> str:
    """Of onnxruntime, whichever of its builds is installed; "" where none is."""
    for name in _DISTRIBUTIONS:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


def choose_provider(wanted: str) -> str:
    """The provider to ask for: the one that is wanted, or with "auto" the best that is installed."""
    if wanted != "auto":
        return wanted
    found = installed_providers()
    return next((name for name in _BEST if name in found), CPU)


def our_names(providers: Iterable[str]) -> list[str]:
    """Our names of ONNX Runtime's, those that have one."""
    ours = {theirs: name for name, theirs in PROVIDERS.items()}
    return [ours[name] for name in providers if name in ours]


def device_of(provider: str) -> str:
    """Where a provider wants what goes in and comes out: ONNX Runtime's name of the device."""
    return _DEVICES.get(provider, "cpu")
