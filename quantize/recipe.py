"""Recipes: how a known model is made into an artifact, as a small TOML file beside its card.

    recipe = read_recipe("models/phi-4-mini-instruct")
    folder = find_checkpoint(recipe)

A recipe may come from anybody. It holds plain values alone and names no file outside its own folder. Where the
checkpoint lies is looked up on the disk; nothing here reaches a network.

Source of the cache's layout: huggingface_hub, "Understand caching".
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeai.errors import QuantizeError
from edgeai.safe_text import one_line
from edgeai.toml_text import read_toml
from quantize.choices import check_type, pattern_and_type
from quantize.families.common import architecture
from quantize.ftypes import check_ftype

RECIPE = "recipe.toml"

_TYPES: Mapping[str, tuple[type, ...]] = {
    "name": (str,),
    "source": (str,),
    "revision": (str,),
    "architecture": (str,),
    "ftype": (str,),
    "calibrate": (bool, str),
    "output_tensor_type": (str,),
    "token_embedding_type": (str,),
    "tensor_types": (list,),
    "projector": (str,),
}
_NEEDED = ("source", "architecture", "ftype")
_WORDS = {str: "text", bool: "true or false", list: "a list"}
_SOURCE = re.compile(r"(?=.{3,96}\Z)(?!.*(?:--|\.\.))[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"[A-Za-z0-9][\w.+()-]{0,99}", re.ASCII)
_ARCHITECTURE = re.compile(r"[A-Za-z]\w{0,99}", re.ASCII)
_PROJECTOR = re.compile(r"f16|q8_0|none")
_MAX_PATTERNS = 32
_REF_BYTES = 64  # a commit and a line end


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model's artifact is made.

    Attributes:
        path: the file it was read from.
        name: of the artifact, without its mix and suffix.
        source: the checkpoint on the Hugging Face hub, "ORG/NAME".
        revision: its commit; None for the newest that was fetched.
        architecture: what config.json says it is.
        ftype: the mix of types.
        calibrate: whether the model reads a text first, the bundled one or that of a file beside the recipe.
        output_type: the type of output.weight; None follows the mix.
        token_embd_type: the type of token_embd.weight; None follows the mix.
        tensor_types: regular expressions of tensor names, and their types.
        projector: of a model that sees, "f16", "q8_0" or "none"; None leaves it to the flags.
    """

    path: Path
    name: str
    source: str
    revision: str | None
    architecture: str
    ftype: str
    calibrate: bool | Path
    output_type: str | None
    token_embd_type: str | None
    tensor_types: tuple[tuple[str, str], ...]
    projector: str | None = None


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Read a recipe.

    Args:
        path: a folder with recipe.toml, or the file.
    Raises:
        QuantizeError: there is none, it is no TOML, or a key or value in it makes no sense.
    """
    file = Path(path).expanduser()
    file = file / RECIPE if file.is_dir() else file
    try:
        return _recipe(file, _values(file))
    except QuantizeError as exc:
        raise QuantizeError(f"{one_line(str(file))}: {exc}") from exc


def find_checkpoint(recipe: Recipe) -> Path:
    """The folder of a recipe's checkpoint in the cache of the Hugging Face hub, looked up on the disk alone.

    Raises:
        QuantizeError: it is not there. The message says how to fetch it.
    """
    cache = _cache_dir()
    repo = cache / f"models--{recipe.source.replace('/', '--')}"
    commit = recipe.revision or _fetched_commit(repo)
    folder = repo / "snapshots" / commit if commit else None
    if folder is not None and folder.is_dir():
        return folder
    revision = f" --revision {recipe.revision}" if recipe.revision else ""
    raise QuantizeError(
        f"{recipe.source} is not in the Hugging Face cache, {one_line(str(cache))}: fetch it with "
        f"`hf download {recipe.source}{revision}`, or give its folder: "
        f"quantize --recipe {one_line(str(recipe.path.parent))} FOLDER"
    )


def check_architecture(recipe: Recipe, config: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that is not the recipe's.

    Args:
        recipe: the recipe.
        config: the checkpoint's config.json.
    Raises:
        QuantizeError: it says another architecture.
    """
    found = architecture(config)
    if found != recipe.architecture:
        raise QuantizeError(
            f"config.json: architectures = {found[:60]!r}, expected {recipe.architecture} by "
            f"{one_line(str(recipe.path))}: give the folder of {recipe.source}, or quantize this one without --recipe"
        )


def _values(file: Path) -> dict[str, Any]:
    """The keys and values of the file, each of a type that it may have."""
    if not file.is_file():  # a pipe would be waited for
        raise QuantizeError(f"no such file, expected a recipe or a folder with {RECIPE}; check the path")
    try:
        values = read_toml(file)
    except OSError as exc:
        raise QuantizeError(f"cannot be read ({exc.strerror}); check its rights") from exc
    except (ValueError, RecursionError) as exc:
        raise QuantizeError(f"is no TOML ({one_line(str(exc))[:80]}); correct it") from exc
    for key, value in values.items():
        if key not in _TYPES:
            raise QuantizeError(f"unknown key {key[:40]!r}, expected one of {', '.join(_TYPES)}")
        if type(value) not in _TYPES[key]:
            expected = " or ".join(_WORDS[each] for each in _TYPES[key])
            raise QuantizeError(f"{key} = {_shown(value)}, expected {expected}")
    if missing := [key for key in _NEEDED if key not in values]:
        raise QuantizeError(f"lacks {missing[0]}; add it")
    return values


def _recipe(file: Path, values: Mapping[str, Any]) -> Recipe:
    source = _matching(values, "source", _SOURCE, "a repository of the Hugging Face hub, ORG/NAME")
    named = values.get("output_tensor_type"), values.get("token_embedding_type")
    output_type, token_embd_type = (None if name is None else check_type(name) for name in named)
    return Recipe(
        path=file,
        name=_matching({"name": source.partition("/")[2], **values}, "name", _NAME, "a plain name for a file"),
        source=source,
        revision=_matching(values, "revision", _COMMIT, "a commit of 40 digits") if "revision" in values else None,
        architecture=_matching(values, "architecture", _ARCHITECTURE, "a class, such as LlamaForCausalLM"),
        ftype=check_ftype(values["ftype"]),
        calibrate=_calibrate(file.parent, values.get("calibrate", False)),
        output_type=output_type,
        token_embd_type=token_embd_type,
        tensor_types=_tensor_types(values.get("tensor_types", [])),
        projector=_matching(values, "projector", _PROJECTOR, "f16, q8_0 or none") if "projector" in values else None,
    )


def _matching(values: Mapping[str, Any], key: str, pattern: re.Pattern[str], expected: str) -> str:
    value: str = values[key]
    if not pattern.fullmatch(value):
        raise QuantizeError(f"{key} = {_shown(value)}, expected {expected}")
    return value


def _calibrate(folder: Path, value: bool | str) -> bool | Path:
    """Whether to, or the text to do it with: a file of the folder, which a link could lead out of."""
    if isinstance(value, bool):
        return value
    if not _NAME.fullmatch(value):
        raise QuantizeError(
            f"calibrate = {_shown(value)}, expected true, false or the name of a text beside the recipe"
        )
    text = folder / value
    if not text.is_file() or text.resolve().parent != folder.resolve():
        raise QuantizeError(f"calibrate = {_shown(value)}, expected a file beside the recipe; put it there")
    return text


def _tensor_types(items: list[Any]) -> tuple[tuple[str, str], ...]:
    if len(items) > _MAX_PATTERNS:
        raise QuantizeError(f"tensor_types has {len(items):,} patterns, expected at most {_MAX_PATTERNS}")
    for item in items:
        if not isinstance(item, str):
            raise QuantizeError(f"tensor_types has {_shown(item)}, expected texts such as ffn_down=Q6_K")
    return tuple(pattern_and_type(item) for item in items)


def _shown(value: Any) -> str:
    return repr(value[:80]) if isinstance(value, str) else one_line(str(value))[:80]


def _cache_dir() -> Path:
    """Where huggingface_hub keeps what it fetches."""
    for name, below in (
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),  # the older name of the same
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
    ):
        if value := os.environ.get(name):
            return Path(os.path.expandvars(value)).expanduser() / below
    return Path("~/.cache/huggingface/hub").expanduser()


def _fetched_commit(repo: Path) -> str | None:
    """The commit that `main` was at when it was fetched."""
    ref = repo / "refs" / "main"
    if not ref.is_file():
        return None
    try:
        with ref.open("rb") as file:
            commit = file.read(_REF_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return None
    return commit if _COMMIT.fullmatch(commit) else None
