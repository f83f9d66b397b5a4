"""A Hugging Face folder: its configuration, its tokenizer's files, and its tensors from all shards.

    checkpoint = Checkpoint.open("SmolLM2-135M-Instruct")
    checkpoint.config["hidden_size"], checkpoint.tensors["model.norm.weight"].read()

The folder comes from outside, and what it makes is often published: a link in it that leads elsewhere could carry any
file of this machine into the artifact. Only links into the blobs of the Hugging Face cache are followed. Code that
comes with a checkpoint is never run.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeai.errors import CheckpointError
from edgeai.safe_text import one_line
from quantize.base import Tensor
from quantize.safetensors import StoredTensor, open_safetensors

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

_FETCH_AGAIN = "fetch the checkpoint again"
_MAX_JSON_BYTES = {"tokenizer.json": 2**26, INDEX: 2**25}  # the largest known: 34 MB and 14 MB
_MAX_OTHER_JSON_BYTES = 2**24
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_N_SHOWN = 3

_log = logging.getLogger(__name__)


class Checkpoint:
    """A Hugging Face folder that has been checked.

    Attributes:
        path: the folder.
        config: config.json.
        generation_config: generation_config.json; empty where there is none.
        tensors: all tensors of all shards, by name, as the folder names them; each is read when it is asked for.
        has_code: it comes with code of its own (`auto_map`), which is not run.
    """

    path: Path
    config: Mapping[str, Any]
    generation_config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    has_code: bool

    def __init__(self, path: Path) -> None:
        """Use `open`."""
        self.path = path
        self._roots = _roots(path)
        self.config = self._config()
        self.generation_config = self._object("generation_config.json") or {}
        self.has_code = "auto_map" in self.config
        if self.has_code:
            _log.info("%s: comes with code of its own (auto_map), which is not run", path)
        self.tensors = self._tensors()

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """Check a folder and list its tensors. None is read yet.

        Args:
            path: a folder with config.json and model.safetensors, or its shards and their index.
        Raises:
            CheckpointError: something is missing, damaged, hostile, already quantized, or stored as a pickle.
        """
        folder = Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would lose the name that a link gives it
        try:
            if folder.is_dir():
                return cls(folder)
            what = "not a folder" if folder.exists() else "no such folder"
        except OSError as exc:
            what = f"cannot be read ({exc.strerror})"
        raise CheckpointError(f"{str(path)!r}: {what}, expected one with {CONFIG} and *.safetensors; check the path")

    def file(self, name: str) -> Path | None:
        """A file of the folder; None where there is none.

        Raises:
            CheckpointError: it leads out of the folder, its link leads nowhere, or it is no regular file.
        """
        path = self.path / name
        try:
            target = path.resolve(strict=True)
        except FileNotFoundError:
            if not path.is_symlink():
                return None
            raise self._error(name, "is a link to a file that is not there", _FETCH_AGAIN) from None
        except (OSError, RuntimeError, ValueError) as exc:  # RuntimeError: a loop of links, before Python 3.13
            raise self._error(name, f"cannot be read ({exc})", _FETCH_AGAIN) from exc
        if not any(target.is_relative_to(root) for root in self._roots):
            raise self._error(
                name, f"leads to {str(target)!r}, expected a file inside the folder", "put the file itself there"
            )
        if not target.is_file():
            raise self._error(name, "is not a regular file", _FETCH_AGAIN)
        return path

    def json(self, name: str) -> Any:
        """A JSON file of the folder; None where there is none.

        Raises:
            CheckpointError: it is not JSON, is far too long, or `file` refuses it.
        """
        path = self.file(name)
        if path is None:
            return None
        text = self._bytes(path, name)
        try:
            return json.loads(text.decode())
        except (ValueError, RecursionError) as exc:
            advice = "run `git lfs pull`" if text.startswith(b"version https://git-lfs") else _FETCH_AGAIN
            raise self._error(name, f"is not JSON ({str(exc)[:80]})", advice) from exc

    def _bytes(self, path: Path, name: str) -> bytes:
        limit = _MAX_JSON_BYTES.get(name, _MAX_OTHER_JSON_BYTES)
        try:
            with path.open("rb") as file:
                text = file.read(limit + 1)
        except OSError as exc:
            raise self._error(name, f"cannot be read ({exc.strerror})", "check its rights") from exc
        if len(text) > limit:
            raise self._error(name, f"is longer than {limit:,} bytes", _FETCH_AGAIN)
        return text

    def _error(self, name: str, problem: str, advice: str) -> CheckpointError:
        return CheckpointError(f"{str(self.path / name)!r}: {problem}; {advice}")

    def _object(self, name: str) -> dict[str, Any] | None:
        value = self.json(name)
        if value is not None and not isinstance(value, dict):
            raise self._error(name, f"is {str(value)[:40]!r}, expected an object", _FETCH_AGAIN)
        return value

    def _config(self) -> dict[str, Any]:
        config = self._object(CONFIG)
        if config is None:
            if self.file("adapter_config.json"):
                raise self._error("adapter_config.json", "is that of a LoRA adapter", "merge it into its base first")
            raise self._error(CONFIG, "is not there, expected that of a Hugging Face model", "check the path")
        quantized = config.get("quantization_config")
        if quantized:
            method = quantized.get("quant_method") if isinstance(quantized, dict) else quantized
            raise self._error(
                CONFIG,
                f"quantization_config says that the weights are quantized ({one_line(str(method))[:40]})",
                "use the checkpoint that they were quantized from",
            )
        return config

    def _tensors(self) -> dict[str, StoredTensor]:
        single = self.file(WEIGHTS)
        index = None if single else self._index()
        if single:
            tensors = open_safetensors(single)
        elif index is not None:
            tensors = self._sharded(index)
        else:
            raise self._no_weights()
        if not tensors:
            raise self._error(WEIGHTS, "holds no tensors", _FETCH_AGAIN)
        return tensors

    def _index(self) -> dict[str, str] | None:
        """The shard of each tensor; None where there is no index."""
        index = self._object(INDEX)
        if index is None:
            return None
        shards = index.get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise self._error(INDEX, "has no weight_map with a shard for each tensor", _FETCH_AGAIN)
        for tensor, shard in shards.items():
            if not _is_shard_name(shard):
                raise self._error(
                    INDEX,
                    f"the shard of {tensor[:80]!r} is {str(shard)[:80]!r}, expected the name of a .safetensors file",
                    _FETCH_AGAIN,
                )
        return shards

    def _sharded(self, index: dict[str, str]) -> dict[str, StoredTensor]:
        shards = sorted(set(index.values()))
        files = {shard: file for shard in shards if (file := self.file(shard))}
        if missing := [shard for shard in shards if shard not in files]:
            raise self._error(INDEX, f"names shards that are not there: {_some(missing)}", "fetch them too")
        tensors: dict[str, StoredTensor] = {}
        for shard, file in files.items():
            found = open_safetensors(file)
            if strange := [name for name in found if index.get(name) != shard]:
                raise self._error(shard, f"holds what {INDEX} does not place there: {_some(strange)}", _FETCH_AGAIN)
            tensors.update(found)
        if missing := [name for name in index if name not in tensors]:
            shard = index[missing[0]]
            raise self._error(shard, f"lacks what {INDEX} places there: {_some(missing)}", _FETCH_AGAIN)
        return tensors

    def _no_weights(self) -> CheckpointError:
        """Why there are no weights, from what is there instead."""
        names = sorted(os.listdir(self.path))  # noqa: PTH208  # of names, strings are enough
        stored = [name for name in names if name.endswith(".safetensors")]
        pickles = [name for name in names if name.endswith(_PICKLES)]
        if any(name.startswith("model-") for name in stored):
            return self._error(INDEX, f"is not there, and {_some(stored)} are shards", "fetch the index too")
        if stored:
            return self._error(
                WEIGHTS, f"is not there, but {_some(stored)}", f"rename the one with the weights to {WEIGHTS}"
            )
        if pickles:
            return CheckpointError(
                f"{str(self.path)!r}: the weights are Python pickles ({_some(pickles)}), which run code when they are "
                "loaded; fetch the model's safetensors, or save it with `save_pretrained` where you trust it"
            )
        return self._error(WEIGHTS, f"is not there, nor {INDEX}", "check the path, or fetch the weights too")


def text_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a model's text part: those of `text_config`, where there is one, over the others.

    Raises:
        CheckpointError: `text_config` is no object.
    """
    inner = config.get("text_config", {})
    if not isinstance(inner, dict):
        raise CheckpointError(f"{CONFIG}: text_config is {str(inner)[:40]!r}, expected an object; {_FETCH_AGAIN}")
    return {**config, **inner}


def _roots(folder: Path) -> list[Path]:
    """Where the folder's files may lie: in it, or where the Hugging Face cache keeps those of its snapshots."""
    resolved = folder.resolve()
    in_cache = resolved.parent.name == "snapshots"
    return [resolved, resolved.parents[1] / "blobs"] if in_cache else [resolved]


def _is_shard_name(name: Any) -> bool:
    if not isinstance(name, str) or not name.isprintable() or not name.endswith(".safetensors"):
        return False
    return not any(mark in name for mark in '/\\:"')


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _N_SHOWN} more" if len(names) > _N_SHOWN else ""
    return ", ".join(repr(name[:80]) for name in names[:_N_SHOWN]) + more
