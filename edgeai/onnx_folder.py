"""What an ONNX folder says of itself, read without ONNX Runtime: the layout of ONNX Runtime GenAI, and ours.

    folder = read_folder(path)
    folder.name, folder.n_ctx_train, folder.decoder.n_layer, folder.graph

`genai_config.json` tells of the graph (source: ONNX Runtime GenAI's src/config.h), which its model builder and Olive
write too; `edgeai.json`, where it is, of the rest. The graph itself is checked by the engine, in its sandbox.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeai.errors import ModelFormatError, ModelNotFoundError
from edgeai.files import sha256
from edgeai.model_record import RECORD_NAME as MODEL_RECORD_NAME
from edgeai.onnx_config import (
    CONFIG_NAME,
    GRAPH_NAME,
    MAX_CONFIG_BYTES,
    Decoder,
    decoder_table,
    end_ids,
    graph_name,
    is_graph,
    optional_id,
    read_config,
    read_decoder,
)
from edgeai.onnx_json import Fields, read_json, read_text

__all__ = [
    "MAX_GRAPH_BYTES",
    "TOKENIZER_NAME",
    "Decoder",
    "OnnxFolder",
    "folder_bytes",
    "graph_in",
    "is_graph",
    "is_onnx_folder",
    "read_folder",
    "recorded_digests",
]

RECORD_NAME = "edgeai.json"
TOKENIZER_NAME, VOCABULARY_NAME = "tokenizer.json", "vocab.gguf"

MAX_GRAPH_BYTES = 2**31 - 1  # of one protobuf
_MAX_FILES = 200
_MAX_COUNT = 2**31 - 1
_MAX_TOKENIZER_CONFIG_BYTES, _MAX_TEMPLATE_BYTES = 2**24, 2**20
_FORMAT = 1  # of edgeai.json


@dataclass(frozen=True, slots=True)
class OnnxFolder:
    """A folder with a decoder.

    Attributes:
        path: the folder, without links.
        graph: the model's file.
        decoder: what the graph looks like.
        name: its own; hostile text.
        architecture: llama.cpp's name of it where we made it, else ONNX Runtime GenAI's.
        n_ctx_train: the context window it was trained for, tokens.
        end_ids: tokens that end an answer.
        bos_id: the token of the beginning, or None.
        add_bos: whether raw text starts with it; None leaves it to the tokenizer.
        tokenizer: TOKENIZER_NAME or VOCABULARY_NAME.
        chat_template: Jinja, or None: it may be in vocab.gguf; hostile text.
        files: the regular files in it and their sizes.
        n_params: parameters; 0 where not known.
        bits: of a weight; 0 where not known.
        licence: hostile text.
        end_text: what the tokenizer's configuration says ends an answer; hostile text.
    """

    path: Path
    graph: Path
    decoder: Decoder
    name: str
    architecture: str
    n_ctx_train: int
    end_ids: tuple[int, ...]
    bos_id: int | None
    add_bos: bool | None
    tokenizer: str
    chat_template: str | None
    files: Mapping[Path, int] = field(default_factory=dict)
    n_params: int = 0
    bits: int = 0
    licence: str = ""
    end_text: str = ""

    @property
    def n_file_bytes(self) -> int:
        """All its files."""
        return sum(self.files.values())

    @property
    def weights_bytes(self) -> int:
        """The graph, and what lies beside it."""
        return sum(size for path, size in self.files.items() if is_weights(path))


def is_weights(path: Path) -> bool:
    """Whether a file of a folder is the graph or its data, by its name."""
    return path.suffix.lower() not in (".json", ".jinja", ".txt", ".md", ".gguf", ".model", ".toml")


def is_onnx_folder(path: Path) -> bool:
    """Whether a folder holds an ONNX model rather than a GGUF file."""
    if not any((path / name).exists() for name in (GRAPH_NAME, CONFIG_NAME)):
        return False
    return not any(other.suffix.lower() == ".gguf" and other.name != VOCABULARY_NAME for other in path.iterdir())


def graph_in(folder: Path) -> Path:
    """The file of a folder's graph, as its configuration names it."""
    try:
        name = graph_name(decoder_table(read_config(folder)))
    except ModelFormatError:  # told when it is read
        name = GRAPH_NAME
    return folder / name


def folder_bytes(graph: Path) -> int:
    """All files of a graph's folder; 0 where it is gone."""
    try:
        return sum(_files(_folder_of(graph)).values()) if graph.is_file() else 0
    except (OSError, ModelFormatError):
        return 0


def read_folder(path: str | os.PathLike[str]) -> OnnxFolder:
    """Read and check what stands around a graph.

    Args:
        path: the folder, or the graph in it.
    Raises:
        ModelNotFoundError: no such folder.
        ModelFormatError: it holds no decoder that we can run.
    """
    given = Path(path)
    try:
        folder = _folder_of(given)
        files = _files(folder)
    except (OSError, ValueError) as exc:
        if isinstance(exc, ModelFormatError):
            raise
        raise ModelNotFoundError(f"{given}: no such folder: expected one with {GRAPH_NAME} and {CONFIG_NAME}") from exc
    config = read_config(folder)
    table = decoder_table(config)
    graph = folder / graph_name(table)
    _check_graph(folder, graph, files)
    decoder = read_decoder(config, table)
    record = _record(folder)
    _check_record(folder, record, files, graph)
    texts = _tokenizer_config(folder)
    return OnnxFolder(
        path=folder,
        graph=graph,
        decoder=decoder,
        name=record.text("name", folder.name, most=200),
        architecture=record.text("architecture", config.text("type", "onnx", most=64), most=64),
        n_ctx_train=record.number("n_ctx_train", 1, _MAX_COUNT, config.number("context_length", 1, _MAX_COUNT)),
        end_ids=end_ids(config, decoder.n_vocab),
        bos_id=optional_id(config, "bos_token_id", decoder.n_vocab),
        add_bos=_add_bos(record),
        tokenizer=_tokenizer(folder, files),
        chat_template=_chat_template(folder, texts),
        files=files,
        n_params=record.number("n_params", 0, 2**50, 0),
        bits=record.number("bits", 0, 64, 0),
        licence=record.text("licence", "", most=200),
        end_text=_token_text(texts.get("eos_token")),
    )


def _folder_of(path: Path) -> Path:
    """The folder of a graph, without links: the graph itself may be a link into it."""
    if not path.is_dir():
        if (path.parent / CONFIG_NAME).exists():
            return Path(os.path.realpath(path.parent))
        path.stat()
        path = Path(os.path.realpath(path)).parent
    return Path(os.path.realpath(path))


def _files(folder: Path) -> dict[Path, int]:
    """The regular files of a folder, links followed, without what says how it was installed."""
    found: dict[Path, int] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file() and entry.name != MODEL_RECORD_NAME:
                found[folder / entry.name] = entry.stat().st_size
            if len(found) > _MAX_FILES:
                raise ModelFormatError(f"{folder}: more than {_MAX_FILES} files: expected a folder of one model")
    return dict(sorted(found.items()))


def _check_graph(folder: Path, graph: Path, files: Mapping[Path, int]) -> None:
    size = files.get(graph)
    if size is None:
        raise ModelFormatError(f"{folder}: no {graph.name}: expected the graph beside {CONFIG_NAME}; build it again")
    if not 0 < size <= MAX_GRAPH_BYTES:
        raise ModelFormatError(f"{graph}: {size:,} bytes: expected 1 to {MAX_GRAPH_BYTES:,}; build it again")


def _record(folder: Path) -> Fields:
    """Ours; nothing where another program has made the folder."""
    path = folder / RECORD_NAME
    found = Fields(path, read_json(path, MAX_CONFIG_BYTES) if path.exists() else {})
    if found and found.number("format", 1, _MAX_COUNT) > _FORMAT:
        found.fail(f"format = {found.number('format', 1, _MAX_COUNT)}, expected {_FORMAT}", "install a newer edgeai")
    return found


def _check_record(folder: Path, record: Fields, files: Mapping[Path, int], graph: Path) -> None:
    """All files are there, the weights as long as they were written, the graph the same; texts may have been edited."""
    listed = record.table("files", optional=True)
    for name in listed:
        path = folder / listed.bare_name(name)
        size = listed.table(name).number("size", 0, 2**60)
        if path not in files:
            raise ModelFormatError(f"{folder}: {name} is missing: copy the whole folder, or build it again")
        if is_weights(path) and files[path] != size:
            raise ModelFormatError(
                f"{path}: {files[path]:,} bytes, and {RECORD_NAME} says {size:,}: it was cut off or changed; copy it "
                "again, or build it again"
            )
        digest = listed.table(name).text("sha256", "", most=64)
        if path == graph and digest and sha256(path) != digest:
            raise ModelFormatError(
                f"{path}: its SHA-256 is not the one in {RECORD_NAME}: it was changed; copy it again, or build it again"
            )


def recorded_digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of files, as `edgeai.json` has recorded them; nothing where it has not."""
    listed = _record(folder).table("files", optional=True)
    return {listed.bare_name(name): listed.table(name).text("sha256", "", most=64) for name in listed}


def _add_bos(record: Fields) -> bool | None:
    value = record.get("add_bos")
    if value not in (None, True, False):
        record.fail(f"add_bos = {str(value)[:60]}, expected true or false")
    return None if value is None else bool(value)


def _tokenizer(folder: Path, files: Mapping[Path, int]) -> str:
    found = [name for name in (TOKENIZER_NAME, VOCABULARY_NAME) if folder / name in files]
    if not found:
        raise ModelFormatError(
            f"{folder}: no {TOKENIZER_NAME} and no {VOCABULARY_NAME}: expected the tokenizer beside the graph; copy it "
            "from the checkpoint"
        )
    return found[0]


def _tokenizer_config(folder: Path) -> Mapping[str, Any]:
    path = folder / "tokenizer_config.json"
    return read_json(path, _MAX_TOKENIZER_CONFIG_BYTES) if path.exists() else {}


def _chat_template(folder: Path, texts: Mapping[str, Any]) -> str | None:
    path = folder / "chat_template.jinja"
    if path.exists():
        return read_text(path, _MAX_TEMPLATE_BYTES)
    given = texts.get("chat_template")
    if isinstance(given, list):  # several, each with a name
        named = {each.get("name"): each.get("template") for each in given if isinstance(each, dict)}
        given = named.get("default")
    return given if isinstance(given, str) else None


def _token_text(given: Any) -> str:
    """A token in tokenizer_config.json: its text, or an object with it."""
    text = given.get("content") if isinstance(given, dict) else given
    return text if isinstance(text, str) and len(text) <= 200 else ""
