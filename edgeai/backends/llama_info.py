"""What there is to know about the installed llama.cpp, without a model."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass

from edgeai.backends.llama_native import bindings


@dataclass(frozen=True, slots=True)
class LlamaInfo:
    """The installed llama.cpp.

    Attributes:
        version: of llama-cpp-python.
        features: what it was compiled to use and finds here (`AVX2`, `OPENMP`, `REPACK` …).
        gpu_offload: whether it can give layers to a GPU.
    """

    version: str
    features: tuple[str, ...]
    gpu_offload: bool


def llama_info() -> LlamaInfo:
    """Load the library and ask it.

    Raises:
        ModelError: it is missing or cannot be loaded.
    """
    llama_cpp = bindings()
    text = llama_cpp.llama_print_system_info().decode("utf-8", "replace")
    pairs = [item.rpartition(":")[2].split("=") for item in text.split("|") if "=" in item]
    features = tuple(name.strip() for name, value in pairs if value.strip() not in ("", "0"))
    version = importlib.metadata.version("llama-cpp-python")
    return LlamaInfo(version, features, bool(llama_cpp.llama_supports_gpu_offload()))
