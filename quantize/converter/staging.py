"""What the converter is given: a folder with the checkpoint's data and none of its code, and a place to write to.

transformers runs a checkpoint's Python files where its JSON files name them (`auto_map`) and the converter allows it,
and older versions open any file of this machine that tokenizer_config.json names as its vocabulary. So the converter
sees a folder without *.py and pickles, whose JSON files name neither.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeai.errors import CheckpointError
from quantize.checkpoint import CONFIG, INDEX, WEIGHTS, Checkpoint

_log = logging.getLogger(__name__)

_DATA = (".json", ".jsonl", ".jinja", ".model", ".txt", ".tiktoken", ".v3", ".bpe", ".spm", ".vocab")
_FOLDERS = ("*", "additional_chat_templates/*.jinja", "*/config.json")  # the last: how embeddings are pooled
_CARD = "README.md"
_MAX_CARD_BYTES = 2**18
# Their keys are tokens and tensors: nothing in them is a name of code, and a token may be called auto_map.
_AS_THEY_ARE = ("tokenizer.json", "vocab.json", "added_tokens.json", "tekken.json", INDEX)
_NEEDED = (CONFIG, "tokenizer_config.json", "generation_config.json", "special_tokens_map.json")
_NOT_WANTED = ("adapter_config.json", INDEX)  # an adapter's base would be looked for; the index goes with its shards
_CODE = ("auto_map", "custom_pipelines", "custom_generate")
_INPUTS = "init_inputs"  # a tokenizer's arguments without their names, its vocabulary's file among them


@dataclass(frozen=True, slots=True)
class Staged:
    """A checkpoint as the converter gets it.

    Attributes:
        path: the folder; it has the checkpoint's name, of which the converter makes the model's.
        targets: where its links lead.
        had_code: the checkpoint names code of its own, which has been left out.
    """

    path: Path
    targets: tuple[Path, ...]
    had_code: bool


def stage(checkpoint: Checkpoint, parent: Path) -> Staged:
    """Make the folder for the converter.

    Args:
        checkpoint: the folder as it came.
        parent: an empty folder to make it in.
    Raises:
        CheckpointError: a file cannot be read, or leads out of the checkpoint.
    """
    folder = parent / (checkpoint.path.name or "model")
    folder.mkdir()
    weights, targets, had_code = _weights(checkpoint), [], False
    for name in (*weights, *_data(checkpoint)):
        path = checkpoint.file(name)
        if path is None:
            continue
        copy = folder / name
        copy.parent.mkdir(exist_ok=True)
        if path.suffix == ".json" and name not in _AS_THEY_ARE:
            had_code |= _write_without_code(checkpoint, name, copy)
        elif name == _CARD:
            _write_card(path, copy)
        else:
            targets.append(path.resolve())
            _link(targets[-1], copy)
    return Staged(folder, tuple(targets), had_code)


def _weights(checkpoint: Checkpoint) -> list[str]:
    """The files of weights that have been checked, and the index that goes with them."""
    if checkpoint.file(WEIGHTS):
        return [WEIGHTS]
    return [INDEX, *sorted(set(checkpoint.json(INDEX)["weight_map"].values()))]


def _data(checkpoint: Checkpoint) -> list[str]:
    """The files beside the weights, by name; one in a folder below has that before it."""
    paths = [path for pattern in _FOLDERS for path in sorted(checkpoint.path.glob(pattern))]
    names = [path.relative_to(checkpoint.path).as_posix() for path in paths if not path.is_dir()]
    return [
        name
        for name in names
        if not name.startswith(".") and name not in _NOT_WANTED and (name == _CARD or name.endswith(_DATA))
    ]


def _write_without_code(checkpoint: Checkpoint, name: str, copy: Path) -> bool:
    """Copy a JSON file without what would run code or lead to other files.

    Returns:
        Whether it named code.
    """
    try:
        value = checkpoint.json(name)
        cleaned, had_code = _without_code(value)
        text = json.dumps(cleaned)
    except RecursionError as exc:
        raise CheckpointError(f"{str(checkpoint.path / name)!r}: is nested too deeply; fetch it again") from exc
    except CheckpointError as exc:
        if name in _NEEDED:
            raise
        _log.info("left out: %s", exc)  # a file of somebody's own, as trainers leave them
        return False
    copy.write_text(text, encoding="utf-8")
    return had_code


def _without_code(value: Any) -> tuple[Any, bool]:
    if isinstance(value, list):
        items = [_without_code(item) for item in value]
        return [item for item, _ in items], any(had_code for _, had_code in items)
    if not isinstance(value, dict):
        return value, False
    kept = {key: _without_code(item) for key, item in value.items() if not _is_left_out(key)}
    had_code = any(value.get(key) for key in _CODE) or any(had_code for _, had_code in kept.values())
    return {key: item for key, (item, _) in kept.items()}, had_code


def _is_left_out(key: str) -> bool:
    return key in _CODE or key == _INPUTS or key.endswith("_file")


def _write_card(path: Path, copy: Path) -> None:
    """Copy the beginning of a model card, which has the authors and the licence."""
    with path.open("rb") as file:
        copy.write_bytes(file.read(_MAX_CARD_BYTES))


def _link(target: Path, link: Path) -> None:
    """A link, or what comes nearest: Windows lets few people make symbolic ones."""
    with contextlib.suppress(OSError, NotImplementedError):
        link.symlink_to(target)
        return
    with contextlib.suppress(OSError):
        os.link(target, link)
        return
    shutil.copyfile(target, link)
