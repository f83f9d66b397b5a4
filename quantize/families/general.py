"""The `general.*` keys: what the model is called, by whom, under which licence, and how its makers sample from it.

They come from the model card, config.json, generation_config.json and the folder's name, by the heuristics of
llama.cpp's own package, so that they are the official converter's. What is handed to them is bounded first: a card is
text from outside, and YAML's aliases make a small one stand for gigabytes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import yaml  # type: ignore[import-untyped]
from gguf import GGUFValueType

from quantize.base import Checkpoint, Meta, Tensor

_log = logging.getLogger(__name__)

_MAX_CARD_BYTES = 2**18  # of YAML; its parser needs some seconds for a megabyte
_MAX_DEPTH = 32
_SAMPLING = {  # generation_config.json's names, by the key's last part, in the official order
    "sequence": (GGUFValueType.STRING, ("sequence",)),
    "top_k": (GGUFValueType.INT32, ("top_k",)),
    "top_p": (GGUFValueType.FLOAT32, ("top_p",)),
    "min_p": (GGUFValueType.FLOAT32, ("min_p",)),
    "xtc_probability": (GGUFValueType.FLOAT32, ("xtc_probability",)),
    "xtc_threshold": (GGUFValueType.FLOAT32, ("xtc_threshold",)),
    "temp": (GGUFValueType.FLOAT32, ("temperature",)),
    "penalty_last_n": (GGUFValueType.INT32, ("penalty_last_n",)),
    "penalty_repeat": (GGUFValueType.FLOAT32, ("penalty_repeat", "repetition_penalty")),
    "mirostat": (GGUFValueType.INT32, ("mirostat",)),
    "mirostat_tau": (GGUFValueType.FLOAT32, ("mirostat_tau",)),
    "mirostat_eta": (GGUFValueType.FLOAT32, ("mirostat_eta",)),
}


class _CardLoader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML without what makes a small file cost much: aliases, and lists so deep that every bracket is gone through
    again for each."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("README.md: its front matter has YAML aliases")
        if self.depth > _MAX_DEPTH:
            raise ValueError(f"README.md: its front matter is nested deeper than {_MAX_DEPTH} levels")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def general_metadata(checkpoint: Checkpoint, arch: str, tensors: Sequence[Tensor], kind: str = "model") -> list[Meta]:
    """The keys that come before those of the architecture, in the official converter's order.

    A card that cannot be read, and sampling that makes no sense, are left out with a warning: the model runs without.

    Args:
        checkpoint: the folder.
        arch: llama.cpp's name of the architecture.
        tensors: of the GGUF, for its size.
        kind: what the file holds, "model" or "mmproj".
    Raises:
        CheckpointError: generation_config.json is no JSON.
    """
    n_params = sum(tensor.n_elements for tensor in tensors)
    try:
        authorship = _authorship(checkpoint, arch, n_params, _card(checkpoint))
    except (AttributeError, LookupError, OSError, TypeError, ValueError) as exc:
        _log.warning("%s: its model card is left out: %s", checkpoint.path, str(exc)[:200])
        authorship = _authorship(checkpoint, arch, n_params, {})
    return [
        Meta("general.architecture", arch, GGUFValueType.STRING),
        Meta("general.type", kind, GGUFValueType.STRING),
        *_sampling(checkpoint),
        *authorship,
    ]


def _authorship(checkpoint: Checkpoint, arch: str, n_params: int, card: dict[str, Any]) -> list[Meta]:
    name = checkpoint.config.get("_name_or_path")
    known = {"_name_or_path": name} if isinstance(name, str) and name else {}
    folder = _named(checkpoint.path)
    found = gguf.Metadata.apply_metadata_heuristic(gguf.Metadata(), card, known, folder, n_params)
    found.name = found.name or folder.name
    found.size_label = found.size_label or gguf.size_label(n_params, n_params, 0, 0)
    recorder = gguf.GGUFWriter(path=None, arch=arch)
    found.set_gguf_meta_model(recorder)
    keys = (_meta(key, entry.value, entry.type) for key, entry in recorder.kv_data[0].items())
    return [key for key in keys if key is not None and key.key != "general.architecture"]


def _named(path: Path) -> Path:
    """The folder, by the model's name: a snapshot in the Hugging Face cache is called after its commit."""
    repo = path.parent.parent
    if path.parent.name == "snapshots" and repo.name.startswith("models--"):
        return repo.with_name(repo.name.rpartition("--")[2])
    return path


def _meta(key: str, value: Any, kind: GGUFValueType) -> Meta | None:
    """A key as it can be written: YAML makes numbers and dates of what a card's author meant as text."""
    if kind == GGUFValueType.ARRAY:
        texts = [str(item) for item in value if isinstance(item, str | int | float)]
        return Meta(key, texts, kind, GGUFValueType.STRING) if texts else None
    if kind == GGUFValueType.STRING:
        return Meta(key, str(value), kind) if isinstance(value, str | int | float) else None
    return Meta(key, value, kind)


def _card(checkpoint: Checkpoint) -> dict[str, Any]:
    """The model card's front matter.

    Raises:
        ValueError: it is no YAML, has aliases, is far too long, or is not text.
    """
    path = checkpoint.file("README.md")
    if path is None:
        return {}
    with path.open(encoding="utf-8") as file:
        head = file.read(_MAX_CARD_BYTES + 1)
    first, *lines = head.splitlines() or [""]
    if first != "---":
        return {}
    if "---" in lines:
        lines = lines[: lines.index("---")]
    elif len(head) > _MAX_CARD_BYTES:
        raise ValueError(f"README.md: its front matter is longer than {_MAX_CARD_BYTES:,} bytes")
    # a list's `no` is Norwegian, and tabs are no indentation: both as the official converter reads them
    text = "\n".join([*lines, ""]).replace("- no\n", '- "no"\n').replace("\t", "  ")
    try:
        card = yaml.load(text, _CardLoader)
    except yaml.YAMLError as exc:
        raise ValueError(f"README.md: its front matter is no YAML: {str(exc).splitlines()[0]}") from exc
    return card if isinstance(card, dict) else {}


def _sampling(checkpoint: Checkpoint) -> list[Meta]:
    saved = checkpoint.json("generation_config.json")
    keys: list[Meta] = []
    for key, (kind, names) in _SAMPLING.items():
        value = next((saved[name] for name in names if name in saved), None) if isinstance(saved, dict) else None
        if value is None:
            continue
        if not _fits(value, kind):
            _log.warning("generation_config.json: %s = %s is left out, expected %s", key, str(value)[:40], kind.name)
            continue
        keys.append(Meta(f"general.sampling.{key}", value, kind))
    return keys


def _fits(value: Any, kind: GGUFValueType) -> bool:
    if kind == GGUFValueType.STRING:
        return isinstance(value, str)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if kind == GGUFValueType.INT32:
        return isinstance(value, int) and -(2**31) <= value < 2**31
    return abs(value) < 3e38
