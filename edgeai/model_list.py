"""All models that are installed or known, with what people ask before they choose: size, licence, does it fit here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgeai.catalog import Catalog, default_name
from edgeai.catalog_entry import CatalogEntry
from edgeai.errors import ModelError
from edgeai.fit import ModelShape, estimate_for
from edgeai.gguf_header import GGUFHeader, read_header
from edgeai.gguf_projector import input_width, read_projector
from edgeai.installed import InstalledModel
from edgeai.machine import available_memory_bytes
from edgeai.model_record import SPEECH_COMMANDS
from edgeai.onnx_folder import is_graph, read_folder
from edgeai.options import LoadOptions

USUAL_N_CTX = 4096
"""The context window that "does it fit" is asked for, tokens."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model.

    Attributes:
        name: what it is called by.
        title: its makers' name for it; of a file that is not in the catalog, hostile text.
        architecture: llama.cpp's name of it; "" where it is not known.
        parameters: of all its parts; 0 where not known.
        ftype: the mix of tensor types (Q4_K_M).
        size_bytes: on the disk, or to fetch.
        licence: a name; of a file that is not in the catalog, hostile text.
        modalities: what it takes: text, image, audio; of weights of speech, what they do.
        n_ctx_train: the context window it was trained for, tokens.
        memory_bytes: needed to run it with USUAL_N_CTX (or n_ctx_train, where that is less); None where not known.
        fits: whether that much memory is free here; None where not known.
        is_default: whether it is used when none is named.
        has_chat_template: whether it can chat; None where only its file would tell.
        installed: its files, if it is installed.
        entry: its catalog entry, if it has one.
        problem: what is wrong with its file, in one line; "" when nothing is.
        shape: what the memory follows from; None where not known.
        projector_bytes: of an installed projector, which is not part of the shape.
    """

    name: str
    title: str
    architecture: str = ""
    parameters: int = 0
    ftype: str = ""
    size_bytes: int = 0
    licence: str = ""
    modalities: Sequence[str] = ("text",)
    n_ctx_train: int | None = None
    memory_bytes: int | None = None
    fits: bool | None = None
    has_chat_template: bool | None = None
    is_default: bool = False
    installed: InstalledModel | None = None
    entry: CatalogEntry | None = None
    problem: str = ""
    shape: ModelShape | None = None
    projector_bytes: int = 0

    @property
    def speech(self) -> str:
        """What weights of speech do; "" of a language model."""
        return next((kind for kind in self.modalities if kind in SPEECH_COMMANDS), "")


def all_models(*, with_speech: bool = False) -> list[ModelFacts]:
    """What is installed, then what else the catalog knows, each in the catalog's order and then by name.

    Args:
        with_speech: weights of speech too, after the language models.
    """
    catalog = Catalog.load()
    installed = {model.name: model for model in catalog.installed()}
    order = [*catalog.entries, *sorted(set(installed) - set(catalog.entries))]
    names = [name for name in order if name in installed] + [name for name in order if name not in installed]
    default, free = default_name(), available_memory_bytes()
    found = (_facts(name, catalog.entries.get(name), installed.get(name), free) for name in names)
    models = [replace(facts, is_default=facts.name == default) for facts in found]
    speech = [facts for facts in models if facts.speech] if with_speech else []
    return [facts for facts in models if not facts.speech] + speech


def model_facts(name: str) -> ModelFacts:
    """One model, by its name.

    Raises:
        ModelNotFoundError: neither installed nor in the catalog.
    """
    catalog, name = Catalog.load(), name.lower()
    installed = next((model for model in catalog.installed() if model.name == name), None)
    entry = catalog.entries.get(name) if installed else catalog.entry(name)
    facts = _facts(name, entry, installed, available_memory_bytes())
    return replace(facts, is_default=name == default_name())


def memory_at(model: ModelFacts, n_ctxs: Sequence[int] = (2048, 4096, 8192, 32768)) -> list[tuple[int, int]]:
    """The memory a model needs at some context windows (none beyond what it was trained for): (n_ctx, bytes)."""
    if model.shape is None:
        return []
    longest = model.n_ctx_train or USUAL_N_CTX
    return [(n_ctx, _need(model.shape, n_ctx, model.projector_bytes)) for n_ctx in n_ctxs if n_ctx <= longest]


def _projected(installed: InstalledModel | None, header: GGUFHeader | None) -> tuple[str, ...]:
    """What a model's projector takes in; nothing without one."""
    if installed is None or installed.mmproj_path is None:
        return ()
    try:
        found = read_projector(installed.mmproj_path, input_width(header) if header else 0)
    except (ModelError, KeyError, TypeError, ValueError):
        return ("image",)  # those of sound are known, all of them
    return tuple(name for name, takes in (("image", found.sees), ("audio", found.hears)) if takes)


def _facts(name: str, entry: CatalogEntry | None, installed: InstalledModel | None, free_bytes: int) -> ModelFacts:
    """What is known: of an installed model from its file's header, of others from the catalog."""
    speech = installed.speech if installed else entry.speech if entry else ""
    header, problem = (None, _lack(installed)) if speech else _head(installed)
    shape, projector_bytes = None, 0
    if header is not None:
        shape = header.shape
        projector_bytes = installed.size_bytes - header.n_file_bytes if installed else 0
    elif installed is None and entry is not None and not speech:
        shape = ModelShape.from_entry(entry)
    n_ctx = min(shape.n_ctx_train or USUAL_N_CTX, USUAL_N_CTX) if shape else 0
    memory_bytes = _need(shape, n_ctx, projector_bytes) if shape else None
    modalities = (speech,) if speech else ("text", *_projected(installed, header.gguf if header else None))
    return ModelFacts(
        name=name,
        title=entry.title if entry else header.name if header else name,
        architecture=header.architecture if header else entry.architecture if entry else "",
        parameters=entry.parameters if entry else header.n_params if header else 0,
        ftype=header.ftype if header else entry.ftype if entry else "",
        size_bytes=installed.size_bytes if installed else entry.size_bytes if entry else 0,
        licence=entry.licence if entry else installed.licence if installed else "",
        modalities=entry.modalities if entry and entry.speech == speech else modalities,
        n_ctx_train=shape.n_ctx_train if shape else entry.n_ctx_train if entry else None,
        has_chat_template=header.has_chat_template if header else None,
        memory_bytes=memory_bytes,
        fits=None if memory_bytes is None else memory_bytes <= free_bytes,
        installed=installed,
        entry=entry,
        problem=problem,
        shape=shape,
        projector_bytes=projector_bytes,
    )


def _lack(installed: InstalledModel | None) -> str:
    missing = installed.missing if installed else None
    return f"{missing} is gone: `edgeai models pull {missing.parent.name}` fetches it again" if missing else ""


@dataclass(frozen=True, slots=True)
class _Head:
    """What an installed model's file says of itself; see ModelFacts."""

    shape: ModelShape
    name: str
    architecture: str
    n_params: int
    ftype: str
    has_chat_template: bool
    n_file_bytes: int
    gguf: GGUFHeader | None = None


def _head(installed: InstalledModel | None) -> tuple[_Head | None, str]:
    """The head of an installed model's file, or what is wrong with it."""
    if installed is None:
        return None, ""
    if installed.missing is not None:
        return None, f"{installed.missing.resolve()} is gone"
    try:
        return (_onnx_head if is_graph(installed.path) else _gguf_head)(installed.path), ""
    except ModelError as exc:
        return None, str(exc)


def _gguf_head(path: Path) -> _Head:
    header = read_header(path)
    return _Head(
        shape=ModelShape.from_header(header),
        name=header.name,
        architecture=header.architecture,
        n_params=header.n_params,
        ftype=header.file_type,
        has_chat_template=header.chat_template is not None,
        n_file_bytes=header.n_file_bytes,
        gguf=header,
    )


def _onnx_head(path: Path) -> _Head:
    folder = read_folder(path)
    return _Head(
        shape=ModelShape.from_onnx(folder),
        name=folder.name,
        architecture=folder.architecture,
        n_params=folder.n_params,
        ftype=f"ONNX {folder.bits} bits" if folder.bits else "ONNX",
        has_chat_template=folder.chat_template is not None,
        n_file_bytes=folder.n_file_bytes,
    )


def _need(shape: ModelShape, n_ctx: int, projector_bytes: int) -> int:
    return estimate_for(shape, LoadOptions(), n_ctx).total_bytes + projector_bytes
