"""Crafted files that are well-formed, and attack what makes a model of them: layers, vocabulary, chat template."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.crafted_bytes import Case
from tests.gguf_parts import ARRAY, I32, STRING, U8, U32, Parts
from tests.tiny import Kind, tiny_model
from tests.tokenizers import model_with_tokenizer

INJECTION = "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ cycler.__init__.__globals__.os.system('touch PWNED') }}"
HARMLESS = ("template-injection",)

_BYTE = 6


def _model(change: Callable[[Parts], object], kind: Kind = "llama") -> Callable[[Path], object]:
    """A sound tiny model with one change."""

    def write(path: Path) -> None:
        parts = Parts.read(tiny_model(path, kind))
        change(parts)
        parts.write(path)

    return write


def _key(name: str, type_id: int, value: object, element_type: int = -1) -> Callable[[Parts], object]:
    return lambda parts: parts.set(name, type_id, value, element_type)


def _byte_before_table(path: Path) -> None:
    """All 256 byte tokens are there, and one more whose number is -1."""
    parts = Parts.read(model_with_tokenizer(path, "plamo2"))
    parts.get("tokenizer.ggml.tokens")[-1] = b"<0x-1>"
    parts.get("tokenizer.ggml.token_type")[-1] = _BYTE
    parts.write(path)


def _one_token(parts: Parts) -> None:
    parts.set("tokenizer.ggml.model", STRING, b"llama")
    parts.set("tokenizer.ggml.tokens", ARRAY, [b"a"], STRING)
    parts.set("tokenizer.ggml.token_type", ARRAY, [1], I32)
    parts.keys = [key for key in parts.keys if not key.name.endswith((b"_token_id", b"add_bos_token"))]
    for tensor in parts.tensors:
        if tensor.name in (b"token_embd.weight", b"output.weight"):
            tensor.shape[1] = 1


def _no_vocabulary(parts: Parts) -> None:
    parts.keys = [key for key in parts.keys if not key.name.startswith(b"tokenizer.")]
    parts.set("tokenizer.ggml.model", STRING, b"no_vocab")
    parts.set("llama.vocab_size", U32, 2**32 - 1)


def _many_layers(parts: Parts) -> None:
    """Without the keys that have a number for each layer, nothing else compares the count with llama.cpp's arrays."""
    parts.keys = [key for key in parts.keys if b"feed_forward" not in key.name and b"head_count" not in key.name]
    parts.set("gemma3.block_count", U32, 100_000)


def _no_first_experts(parts: Parts) -> None:
    parts.set("llama.expert_count", U32, 4)
    parts.set("llama.expert_used_count", ARRAY, [0, 2, 2, 2], U32)


def _unigrams(parts: Parts) -> None:
    parts.set("tokenizer.ggml.model", STRING, b"t5")
    parts.set("tokenizer.ggml.precompiled_charsmap", ARRAY, [1, 2], U8)


MEANING = (
    Case(
        "byte-token-before-table",
        "",
        "ggml-org/llama.cpp#26511, #27226",
        "b'<0x-1>'",
        "a byte token of PLaMo 2's tokenizer whose number is -1: an index into a table that is written to",
        _byte_before_table,
    ),
    Case(
        "vocabulary-of-one",
        "",
        "GHSA-g4cc-763q-h9h6",
        "bos",
        "a vocabulary of one token, and the first token of a text is the second by default",
        _model(_one_token),
    ),
    Case(
        "scores-of-bytes",
        "",
        "ggml-org/llama.cpp#26690",
        "tokenizer.ggml.scores",
        "scores of one byte each, which were read as floats",
        _model(lambda parts: parts.set("tokenizer.ggml.scores", ARRAY, [0] * 271, U8)),
    ),
    Case(
        "token-types-too-few",
        "",
        "llama.cpp's llama-vocab.cpp (refused there too)",
        "tokenizer.ggml.token_type",
        "fewer token types than tokens",
        _model(lambda parts: parts.set("tokenizer.ggml.token_type", ARRAY, [1] * 8, I32)),
    ),
    Case(
        "no-vocabulary",
        "",
        "ggml-org/llama.cpp#26690",
        "tokenizer.ggml.model",
        "no vocabulary, and four billion tokens to stand in for it",
        _model(_no_vocabulary),
    ),
    Case(
        "short-charsmap",
        "",
        "ggml-org/llama.cpp#25258",
        "tokenizer.ggml.model",
        "a table of normalization of two bytes, of which four were read",
        _model(_unigrams),
    ),
    Case(
        "layers-beyond-arrays",
        "",
        "ggml-org/llama.cpp#25513, #25821",
        "gemma3.block_count = 100000",
        "more layers than llama.cpp's arrays have places",
        _model(_many_layers, "gemma3"),
    ),
    Case(
        "layers-as-text",
        "CVE-2024-8063",
        "GHSA-2xf2-gjm6-g2c6 (division by zero, Ollama)",
        "llama.block_count = 'four'",
        "a number of layers that is a text",
        _model(_key("llama.block_count", STRING, b"four")),
    ),
    Case(
        "no-heads-in-layer-0",
        "",
        "PLaMo 2 files of llama.cpp's own converter: its rope kernel never ends",
        "plamo2.attention.head_count",
        "heads in some layers, and none in the one that the rotary width is taken from",
        _model(_key("plamo2.attention.head_count", ARRAY, [0, 4, 0, 4], I32), "plamo2"),
    ),
    Case(
        "no-experts-in-layer-0",
        "",
        "llama.cpp's src/models: n_ff / n_expert_used",
        "llama.expert_used_count",
        "experts, and none to use in the layer whose number is divided by",
        _model(_no_first_experts),
    ),
    Case(
        "template-injection",
        "CVE-2024-34359",
        "GHSA-56xg-wfcc-g829 (llama-cpp-python); CVE-2026-5760, VU#915947 (SGLang)",
        "",
        "a chat template that reaches for the interpreter",
        _model(_key("tokenizer.chat_template", STRING, INJECTION.encode())),
    ),
)
