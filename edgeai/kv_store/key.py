"""What a kept state depends on: the model's content, how it is opened, and the library that evaluated it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgeai.files import sha256, write_text
from edgeai.onnx_folder import is_graph
from edgeai.onnx_providers import installed_version
from edgeai.options import LoadOptions

_FORMAT = 2  # of the files
_MAX_DIGESTS = 200
_SETTINGS = ("n_batch", "n_ubatch", "n_gpu_layers", "type_k", "type_v", "fused_attention", "swa_full")


def state_key(files: Sequence[Path], options: LoadOptions, n_ctx: int, root: Path) -> str:
    """The name under which states of a model that is opened like this are kept.

    Args:
        files: the model's first, its projector's; of an ONNX folder all. Their content counts, not their names.
        options: how it is opened. What changes the pieces of a prompt, or the cache's cells, counts.
        n_ctx: context window, tokens.
        root: the store's folder, where the hashes of files are remembered.
    Raises:
        OSError: a file cannot be read.
    """
    facts: dict[str, Any] = {
        "format": _FORMAT,
        "model": _digest(files[0], root),
        "library": importlib.metadata.version("llama-cpp-python"),
        "machine": platform.machine(),
        "n_ctx": n_ctx,
        **{name: getattr(options, name) for name in _SETTINGS},
    }
    if options.mmproj_path:
        facts["projector"] = _digest(Path(options.mmproj_path), root)
    if is_graph(files[0]):
        facts["library"] = f"onnxruntime {installed_version()} {options.provider}"
        facts["files"] = {path.name: _digest(path, root) for path in files}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _digest(path: Path, root: Path) -> str:
    """The SHA-256 of a file, which is worked out once: a model has gigabytes."""
    signature = _signature(path)
    known = _known(root)
    if signature not in known:
        known = {**dict(list(known.items())[-_MAX_DIGESTS:]), signature: sha256(path)}
        write_text(_digests_path(root), msgspec.json.encode(known).decode())
    return known[signature]


def _signature(path: Path) -> str:
    """Another file, or another content, has another one."""
    status = path.stat()
    numbers = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return f"{os.path.realpath(path)} {' '.join(map(str, numbers))}".encode("utf-8", "replace").decode()


def _known(root: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(_digests_path(root).read_bytes(), type=dict[str, str])
    except (OSError, ValueError):
        return {}


def _digests_path(root: Path) -> Path:
    return root / "digests.json"
