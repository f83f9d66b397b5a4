"""Folders that hold a tokenizer and no weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.quantize.tiny_tokenizers import write_tokenizer

if TYPE_CHECKING:  # the oracle is made with the converter's own gguf package
    from quantize.base import Tensor


class TokenizerFolder:
    """A checkpoint of tokenizer files alone."""

    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    def __init__(self, path: Path) -> None:
        """Take a folder with a config.json."""
        self.path = path
        self.config = self.json("config.json")
        self.tensors = {}

    def file(self, name: str) -> Path | None:
        """A file of the folder; None where there is none."""
        path = self.path / name
        return path if path.is_file() else None

    def json(self, name: str) -> Any:
        """A JSON file of the folder; None where there is none."""
        path = self.file(name)
        return None if path is None else json.loads(path.read_text(encoding="utf-8"))


def tokenizer_folder(path: Path, style: str, **config: Any) -> TokenizerFolder:
    """Write a family's tokenizer files.

    Args:
        path: is made.
        style: a key of `tiny_tokenizers.STYLES`.
        config: config.json.
    """
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    write_tokenizer(path, style)
    return TokenizerFolder(path)


def change(path: Path, name: str, how: Callable[[Any], Any]) -> None:
    """Change a JSON file of a folder.

    Args:
        path: the folder.
        name: the file; where it is absent, `how` gets an empty object.
        how: changes its argument, or returns what takes its place.
    """
    file = path / name
    value = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    changed = how(value)
    file.write_text(json.dumps(value if changed is None else changed), encoding="utf-8")
