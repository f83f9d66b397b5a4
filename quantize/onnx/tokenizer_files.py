"""The tokenizer's files of an ONNX artifact: those of the checkpoint as they are, or its vocabulary as a GGUF file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from gguf import GGUFValueType

from quantize.base import Meta
from quantize.checkpoint import Checkpoint
from quantize.gguf_format import encode_header

TOKENIZER, TEMPLATE, VOCABULARY = "tokenizer.json", "chat_template.jinja", "vocab.gguf"

_SETTINGS = "tokenizer_config.json"
_BESIDE = (_SETTINGS, "special_tokens_map.json", "added_tokens.json")
_TEMPLATE_KEY = "tokenizer.chat_template"
_KEPT = ("general.architecture", "general.name", "general.license")  # of what is not the tokenizer's


def write_tokenizer(metadata: Sequence[Meta], checkpoint: Checkpoint | None, folder: Path) -> list[str]:
    """Write what turns text into tokens and back, and the chat template.

    Where there is no tokenizer.json, as in PLaMo's checkpoints and in GGUF files, it is vocab.gguf: the keys that
    llama.cpp needs to load a vocabulary alone.

    Args:
        metadata: the model's.
        checkpoint: the folder it comes from; None for a GGUF file.
        folder: where to.
    Returns:
        The files' names.
    Raises:
        CheckpointError: a file of the checkpoint leads out of it, or cannot be read.
    """
    found = {meta.key: meta for meta in metadata}
    sources = {} if checkpoint is None else {name: checkpoint.file(name) for name in (TOKENIZER, *_BESIDE)}
    contents = {name: path.read_bytes() for name, path in sources.items() if path is not None}
    if TOKENIZER not in contents:
        kept = [meta for meta in metadata if meta.key in _KEPT or meta.key.startswith("tokenizer.")]
        kind = Meta("general.type", "vocab", GGUFValueType.STRING)
        contents = {VOCABULARY: encode_header([*kept, kind], [])}
    settings = None if checkpoint is None else checkpoint.json(_SETTINGS)
    if isinstance(settings, dict) and isinstance(settings.get("chat_template"), list):
        # several by name, where ONNX Runtime GenAI expects one; it finds that in the template's own file
        settings.pop("chat_template")
        contents[_SETTINGS] = json.dumps(settings, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if _TEMPLATE_KEY in found:
        contents[TEMPLATE] = found[_TEMPLATE_KEY].value.encode("utf-8", "surrogateescape")
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return list(contents)


def adds_bos(metadata: Sequence[Meta]) -> bool:
    """Whether a text begins with the model's BOS: what its metadata says, else llama.cpp's rule for its kind.

    Source: `llama_vocab::impl::load` of src/llama-vocab.cpp.
    """
    found = {meta.key: meta.value for meta in metadata}
    flag = found.get("tokenizer.ggml.add_bos_token")
    if isinstance(flag, bool):
        return flag
    return found.get("tokenizer.ggml.model") == "llama" or found.get("tokenizer.ggml.pre") in _PRE_WITH_BOS


_PRE_WITH_BOS = ("llama3", "llama-v3", "llama-bpe")
