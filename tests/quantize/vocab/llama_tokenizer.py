"""What llama.cpp makes of a text with a vocabulary: the oracle that no converter has a say in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gguf import GGUFWriter

from edgeai.backends.llama_native import bindings
from quantize.base import Meta


def write_vocabulary(path: Path, keys: Sequence[Meta]) -> None:
    """Write a GGUF that holds a vocabulary and nothing else."""
    writer = GGUFWriter(path, "llama")
    for meta in keys:
        writer.add_key_value(meta.key, meta.value, meta.type, meta.item_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


@contextmanager
def loaded(path: Path) -> Iterator[Any]:
    """llama.cpp's vocabulary of a file."""
    llama_cpp = bindings()
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        raise ValueError(f"llama.cpp does not load {path}")
    try:
        yield llama_cpp.llama_model_get_vocab(model)
    finally:
        llama_cpp.llama_model_free(model)


def tokenize(vocab: Any, text: str, *, special: bool = True) -> list[int]:
    """A text's tokens.

    Args:
        vocab: of `loaded`.
        text: any text.
        special: whether the tokens that belong around a text are added, and those in it found.
    """
    llama_cpp = bindings()
    data = text.encode()
    ids = (llama_cpp.llama_token * (len(data) + 8))()
    n = llama_cpp.llama_tokenize(vocab, data, len(data), ids, len(ids), special, special)
    assert n >= 0
    return list(ids[:n])
