"""The special tokens: their numbers, which of them llama.cpp adds to a text, the normalizer's switches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gguf import GGUFValueType

from quantize.base import Meta
from quantize.vocab.chat_template import chat_template_keys
from quantize.vocab.files import TokenizerFiles, items, mapping, token_id
from quantize.vocab.post_processor import TYPES, Ends

_CONFIG = "config.json"
# GGUF has a number's key for these alone; its spelling is its own
_ID_KEYS = {
    "bos": "bos",
    "eos": "eos",
    "unk": "unknown",
    "sep": "seperator",
    "pad": "padding",
    "mask": "mask",
    "eot": "eot",
    "eom": "eom",
}
_ADD_KEYS = ("bos", "eos", "sep")


def special_keys(files: TokenizerFiles, n_tokens: int) -> list[Meta]:
    """Everything about special tokens, in the official converter's order.

    Args:
        files: the tokenizer's files.
        n_tokens: tokens in the vocabulary; a number beyond it is left out.
    Raises:
        CheckpointError: a file has a value of the wrong kind.
    """
    ends = Ends({name: files.settings.get(f"{name}_token") for name in TYPES}, bool(files.settings))
    ends.read(files.tokenizer)
    if ends.configured:
        for name in ends.types:
            flag = files.settings.get(f"add_{name}_token")
            if isinstance(flag, bool):
                ends.add.setdefault(name, flag)
    ids = _ids(files, ends, n_tokens)
    switches = dict(_switches(mapping("tokenizer.json", files.tokenizer, "normalizer")))
    return [
        *(id_key(name, index) for name, index in ids.items() if name in _ID_KEYS),
        *(add_key(name, flag) for name, flag in ends.add.items() if name in _ADD_KEYS),
        *chat_template_keys(files),
        *(
            Meta(f"tokenizer.ggml.normalizer.{name}", switches[name], GGUFValueType.BOOL)
            for name in ("lowercase", "strip_accents")
            if name in switches
        ),
    ]


def id_key(name: str, index: int) -> Meta:
    """A special token's number."""
    return Meta(f"tokenizer.ggml.{_ID_KEYS[name]}_token_id", index, GGUFValueType.UINT32)


def add_key(name: str, flag: bool) -> Meta:
    """Whether llama.cpp adds a special token to a text."""
    return Meta(f"tokenizer.ggml.add_{name}_token", flag, GGUFValueType.BOOL)


def _ids(files: TokenizerFiles, ends: Ends, n_tokens: int) -> dict[str, int]:
    """Numbers by type: of the names in tokenizer_config.json first, then config.json's own."""
    by_text: dict[str, int] = {}
    for token in files.added:
        by_text.setdefault(token.text, token.id)
    ids: dict[str, int] = {}
    for name in ends.types if ends.configured else ():
        entry = ends.names.get(name)
        text = entry.get("content") if isinstance(entry, Mapping) else entry
        if isinstance(text, str) and by_text.get(text, n_tokens) < n_tokens:
            ids[name] = by_text[text]
    config = files.checkpoint.config
    inner = mapping(_CONFIG, config, "text_config")
    for name in ends.types:
        key = f"{name}_token_id"
        value = inner.get(key) if config.get(key) is None else config.get(key)
        # a list of several ends of a text is passed over, for llama.cpp has one; -1 means none
        if name not in ids and isinstance(value, int) and value != -1 and token_id(_CONFIG, key, value) < n_tokens:
            ids[name] = value
    return ids


def _switches(normalizer: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    kind = normalizer.get("type")
    if kind == "Lowercase":
        yield "lowercase", True
    elif kind == "StripAccents":
        yield "strip_accents", True
    elif kind == "BertNormalizer":
        for name in ("lowercase", "strip_accents"):
            if isinstance(normalizer.get(name), bool):
                yield name, normalizer[name]
    elif kind == "Sequence":
        for part in items("tokenizer.json", normalizer, "normalizers"):
            if isinstance(part, Mapping):
                yield from _switches(part)
