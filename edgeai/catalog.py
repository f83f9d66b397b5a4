"""The models that edgeai knows by name, and the way from a name or a path to a model's files."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edgeai.catalog_entry import CatalogEntry, ModelFile, PackagePart
from edgeai.config import config_text, set_config_text
from edgeai.errors import ModelNotFoundError, OptionError, UnsupportedModalityError
from edgeai.gguf_header import GGUFHeader
from edgeai.installed import InstalledModel, check_name, installed_models, read_installed, remove_model
from edgeai.model_files import model_in
from edgeai.model_record import SPEECH_COMMANDS
from edgeai.onnx_folder import is_graph
from edgeai.paths import models_dir
from edgeai.toml_text import read_toml

_DEFAULT_MODEL_KEY = "default_model"
_CATALOG_PATH = Path(__file__).with_name("catalog.toml")


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model's files; of an ONNX folder `path` is the graph. `entry` is its entry, where it is the catalog's."""

    name: str
    path: Path
    entry: CatalogEntry | None = None
    mmproj_path: Path | None = None


class Catalog:
    """The catalog's entries together with what is installed.

    Attributes:
        entries: name to entry, in the catalog's order.
        default_name: the model that is used when the user has chosen none.
    """

    def __init__(self, entries: Mapping[str, CatalogEntry], default_name: str) -> None:
        self.entries = entries
        self.default_name = default_name

    @classmethod
    def load(cls) -> Catalog:
        """The catalog that came with edgeai."""
        return _bundled()

    def entry(self, name: str) -> CatalogEntry:
        """The entry of a name.

        Raises:
            ModelNotFoundError: the catalog does not know it.
        """
        if name not in self.entries:
            raise ModelNotFoundError(f"the catalog has no model named {name[:80]!r}{self._close_to(name)}")
        return self.entries[name]

    def entry_of(self, header: GGUFHeader) -> CatalogEntry | None:
        """The entry of a model that says itself that it is one of the catalog's, whatever its file is called.

        Its name must be the entry's, no other fine-tune may be named beside it, and it must have the entry's
        architecture and size. A name that is only alike is another model's.
        """
        sizes = {"n_layer": header["block_count"], "n_embd": header["embedding_length"]}
        entry = self.entry_like(header.metadata.get("general.name"), header.architecture, sizes)
        finetune = _normalized(header.metadata.get("general.finetune"))
        return entry if entry and (not finetune or f"-{finetune}-" in f"-{entry.name}-") else None

    def entry_like(self, name: object, architecture: str, sizes: Mapping[str, object]) -> CatalogEntry | None:
        """The entry of a model that calls itself so, and has its architecture and sizes (`n_layer`, `n_embd`)."""
        entry = self.entries.get(_normalized(name))
        if entry is None or architecture != entry.architecture:
            return None
        return entry if all(entry.shape.get(key, size) == size for key, size in sizes.items()) else None

    def installed(self) -> list[InstalledModel]:
        """The models in the user's folder, by name."""
        return installed_models()

    def resolve(self, model: str | os.PathLike[str] | None = None) -> ResolvedModel:
        """The files of a model.

        Args:
            model: the name of an installed model, the path of a .gguf file, a folder with one, or an ONNX folder; None
                is the user's default.
        Raises:
            ModelNotFoundError: neither installed nor a file.
            UnsupportedModalityError: these are weights of speech, which no conversation can be held with.
        """
        if model is None:
            model = default_name()
        text = os.fspath(model)
        if not isinstance(model, str) or _looks_like_path(text):
            return self._at_path(Path(text).expanduser())
        name = text.lower()
        if entry := self.entries.get(name):
            _refuse_speech(name, entry.speech)
        if _is_name(name) and (models_dir() / name).is_dir():
            return self._installed(name)
        if text and _exists(Path(text)):
            return self._at_path(Path(text))
        raise ModelNotFoundError(self._not_installed(name))

    def _installed(self, name: str) -> ResolvedModel:
        found = read_installed(name)
        _refuse_speech(name, found.speech)
        if not found.exists:
            raise ModelNotFoundError(f"{name} is a link to {found.path.resolve()}, which is gone: add the model again")
        return ResolvedModel(name, found.path, self.entries.get(name), found.mmproj_path)

    def _at_path(self, path: Path) -> ResolvedModel:
        if not _exists(path):
            raise ModelNotFoundError(f"{path}: no such file: expected a .gguf file, a model's folder, or a name")
        if not path.is_dir():
            return ResolvedModel(path.absolute().parent.name if is_graph(path) else path.stem, path)
        if path.resolve().parent == models_dir().resolve() and _is_name(path.name):
            return self._installed(path.name)
        file, mmproj_path = model_in(path)
        return ResolvedModel(path.resolve().name, file, None, mmproj_path)

    def _not_installed(self, name: str) -> str:
        if entry := self.entries.get(name):
            megabytes = entry.size_bytes / 1e6
            return (
                f"the model {name} is not installed: fetch it with `edgeai models pull {name}` "
                f"({megabytes:,.0f} MB, {entry.licence})"
            )
        return f"no model named {name[:80]!r} is installed{self._close_to(name)}"

    def _close_to(self, name: str) -> str:
        names = {*self.entries, *(model.name for model in self.installed())}
        close = difflib.get_close_matches(name.lower()[:80], sorted(names), n=3, cutoff=0.5)
        hint = f": did you mean {' or '.join(close)}?" if close else ":"
        return f"{hint} `edgeai models` lists all"


@cache
def _bundled() -> Catalog:
    document = read_toml(_CATALOG_PATH)
    entries = [_entry(table) for table in document["model"]]
    return Catalog({entry.name: entry for entry in entries}, document["default"])


def _entry(table: dict[str, Any]) -> CatalogEntry:
    files = tuple(
        ModelFile(**{**file, "parts": tuple(PackagePart(**part) for part in file.get("parts", ()))})
        for file in table.pop("file")
    )
    for key in ("modalities", "languages"):
        table[key] = tuple(table[key])
    return CatalogEntry(**table, files=files)


def _refuse_speech(name: str, speech: str) -> None:
    """Say what weights of speech are for, where a language model is wanted."""
    if speech:
        raise UnsupportedModalityError(
            f"{name} is no language model: it does {speech}, with `{SPEECH_COMMANDS[speech]}`: "
            "choose one of `edgeai models` that takes text"
        )


def _normalized(text: object) -> str:
    """A name from a file's metadata in the catalog's spelling: `SmolLM2 135M Instruct` is `smollm2-135m-instruct`."""
    return re.sub(r"[ _-]+", "-", text.lower()) if isinstance(text, str) else ""


def _looks_like_path(text: str) -> bool:
    return text.lower().endswith((".gguf", ".onnx")) or text.startswith(("~", ".")) or "/" in text or os.sep in text


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (OSError, ValueError):  # no access, a name too long, a null character: not there, for us
        return False
    return True


def _is_name(text: str) -> bool:
    try:
        check_name(text)
    except OptionError:
        return False
    return True


def default_name() -> str:
    """The model that is used when none is named: the user's choice in config.toml, else the catalog's.

    Raises:
        OptionError: config.toml is not TOML, or `default_model` in it is not text.
    """
    return config_text(_DEFAULT_MODEL_KEY) or _bundled().default_name


def set_default_model(name: str) -> None:
    """Make an installed model the user's default.

    Raises:
        ModelNotFoundError: it is not installed.
        UnsupportedModalityError: it holds no conversations.
        OptionError: config.toml cannot be changed.
    """
    name = name.lower()
    if entry := _bundled().entries.get(name):
        _refuse_speech(name, entry.speech)
    model = read_installed(name)
    _refuse_speech(name, model.speech)
    set_config_text(_DEFAULT_MODEL_KEY, model.name)


def uninstall(name: str) -> InstalledModel:
    """Delete an installed model. If it was the user's default, the catalog's is the default again.

    Raises:
        ModelNotFoundError: it is not installed.
        OptionError: it was the default and config.toml cannot be changed; nothing is deleted then.
    """
    model = read_installed(name)
    if default_name().lower() == model.name != _bundled().default_name:
        set_config_text(_DEFAULT_MODEL_KEY, _bundled().default_name)
    return remove_model(model.name)
