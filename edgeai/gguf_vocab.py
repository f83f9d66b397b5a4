"""What has to hold of a model's vocabulary, so that llama.cpp's tokenizers cannot crash.

They end the process on a token that stands there twice, on text that their byte tokens do not cover (a C++ exception
leaves the C API), and where a special token that is to be added does not exist. PLaMo 2's reads beyond its tables when
a token is not UTF-8.
"""

from __future__ import annotations

from collections import Counter

from edgeai.gguf_reader import HeaderReader
from edgeai.gguf_types import ArrayInfo, GGUFHeader

_TOKENIZERS = ("llama", "gpt2", "gemma4", "plamo2", "bert")
_DEFAULT_IDS = {
    ("llama", "bos"): 1,
    ("llama", "eos"): 2,
    ("gpt2", "bos"): 11,
    ("gpt2", "eos"): 11,
    ("plamo2", "bos"): 1,
    ("plamo2", "eos"): 2,
    ("bert", "bos"): 101,
    ("bert", "seperator"): 102,
}
_ADDED_BY_DEFAULT = {("llama", "bos"), ("bert", "bos"), ("bert", "seperator"), ("gemma4", "bos")}
_CHECKED_IDS = {f"tokenizer.ggml.{name}_token_id" for name in ("bos", "eos", "eot", "eom", "unknown")}  # not padding
_UNSET = (-1, 2**32 - 1)


def check_vocabulary(header: GGUFHeader, reader: HeaderReader) -> None:
    """Refuse a vocabulary that llama.cpp would crash on.

    Raises:
        ModelFormatError: naming the key, its value and what was expected.
    """
    tokenizer = header.metadata.get("tokenizer.ggml.model")
    if tokenizer is None or tokenizer in ("none", "no_vocab"):
        reader.fail("the file has no tokenizer, so it is not a language model", "choose another .gguf file")
    if tokenizer not in _TOKENIZERS:
        reader.fail(
            f"the tokenizer is {str(tokenizer)[:40]!r}, expected one of {', '.join(_TOKENIZERS)}",
            "choose a model of another family",
        )
    tokens = _tokens(header, reader)
    distinct = set(tokens)
    if len(distinct) != len(tokens):
        twice = next(token for token, count in Counter(tokens).items() if count > 1)
        reader.fail(f"the token {twice[:40]!r} stands twice in the vocabulary")
    _check_rows(header, reader, len(tokens))
    _check_special_ids(header, reader, len(tokens))
    if tokenizer in ("llama", "plamo2"):
        _check_bytes(reader, tokenizer, distinct)
    if tokenizer == "plamo2":
        _check_utf8(reader, tokens)


def _tokens(header: GGUFHeader, reader: HeaderReader) -> list[bytes]:
    """The tokens as llama.cpp sees them: C strings, and a name of its own for empty ones."""
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, ArrayInfo) or tokens.element_type != "string" or not tokens.count:
        reader.fail("tokenizer.ggml.tokens is missing or empty, expected the vocabulary")
    texts = list(reader.strings(tokens))
    if any(b"\0" in text for text in texts):
        texts = [text.partition(b"\0")[0] for text in texts]
    if b"" in texts:
        texts = [text or f"[EMPTY_{index}]".encode() for index, text in enumerate(texts)]
    return texts


def _check_rows(header: GGUFHeader, reader: HeaderReader, n_tokens: int) -> None:
    for tensor in header.tensors:
        if tensor.name == "token_embd.weight" and tensor.shape[1:] != (n_tokens,):
            reader.fail(f"the vocabulary has {n_tokens:,} tokens, but token_embd.weight the shape {tensor.shape}")


def _check_special_ids(header: GGUFHeader, reader: HeaderReader, n_tokens: int) -> None:
    """Ids are in range, and what the tokenizer is to add exists."""
    metadata = header.metadata
    tokenizer = metadata["tokenizer.ggml.model"]
    for key, value in metadata.items():
        if key in _CHECKED_IDS and value not in _UNSET:
            in_range = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < n_tokens
            if not in_range:
                reader.fail(f"{key} = {str(value)[:40]}, expected 0 to {n_tokens - 1:,}")
    for name, flag in (("bos", "bos"), ("eos", "eos"), ("seperator", "sep")):
        added = metadata.get(f"tokenizer.ggml.add_{flag}_token", (tokenizer, name) in _ADDED_BY_DEFAULT)
        token = metadata.get(f"tokenizer.ggml.{name}_token_id", _DEFAULT_IDS.get((tokenizer, name), -1))
        if added and not (isinstance(token, int) and 0 <= token < n_tokens):
            reader.fail(f"the tokenizer is to add a {name} token, but tokenizer.ggml.{name}_token_id is not set")


def _check_bytes(reader: HeaderReader, tokenizer: str, tokens: set[bytes]) -> None:
    for byte in range(256):
        name = b"<0x%02X>" % byte
        as_itself = tokenizer == "llama" and byte and bytes([byte]) in tokens
        if name not in tokens and not as_itself:
            reader.fail(f"the vocabulary has no token {name.decode()}, so some text cannot be tokenized")


def _check_utf8(reader: HeaderReader, tokens: list[bytes]) -> None:
    for token in tokens:
        try:
            token.decode()
        except UnicodeDecodeError:
            reader.fail(f"the token {token[:40]!r} is not UTF-8")
