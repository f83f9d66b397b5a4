"""What has to hold of a model's vocabulary, so that llama.cpp's tokenizers cannot crash.

They end the process on a token that stands there twice, on text that their byte tokens do not cover (a C++ exception
leaves the C API), and where a special token that is to be added does not exist. PLaMo 2's reads beyond its tables when
a token is not UTF-8, and builds them in time and memory that grow with the square of a token's length.
"""

from __future__ import annotations

import re
from collections import Counter

from edgeai.gguf_keys import UNSET
from edgeai.gguf_reader import HeaderReader
from edgeai.gguf_types import ArrayInfo, GGUFHeader

_TOKENIZERS = ("llama", "gpt2", "gemma4", "plamo2", "bert")
_ENCODERS_TOKENIZER = "t5"  # SentencePiece's unigram model, of multilingual encoders; other models of it are not run
_ENCODERS = ("bert", "nomic-bert-moe", "jina-bert-v3")
_DEFAULT_IDS = {
    ("llama", "bos"): 1,
    ("llama", "eos"): 2,
    ("gpt2", "bos"): 11,
    ("gpt2", "eos"): 11,
    ("plamo2", "bos"): 1,
    ("plamo2", "eos"): 2,
    ("bert", "bos"): 101,
    ("bert", "seperator"): 102,
    ("t5", "eos"): 1,
}
_ADDED_BY_DEFAULT = {
    *(("llama", "bos"), ("bert", "bos"), ("bert", "seperator"), ("gpt2", "bos"), ("gemma4", "bos")),
    ("t5", "eos"),
}
_ALWAYS_ADDED = ("gemma4", "granite-embed-multi-311m")  # by pre-tokenizer: llama.cpp overrides add_bos_token there
# Not padding, which honest files have out of range and nobody looks up.
_CHECKED_IDS = frozenset(
    f"tokenizer.ggml.{name}_token_id"
    for name in (
        *("bos", "eos", "eot", "eom", "unknown", "seperator", "mask", "cls", "prefix", "suffix", "middle"),
        *("fim_pre", "fim_suf", "fim_mid", "fim_pad", "fim_rep", "fim_sep"),
    )
)
_MAX_TOKENS = 2**19  # twice what the largest vocabularies have
_MAX_TOKEN_BYTES = {"plamo2": 512}
_MAX_TOKEN_BYTES_ELSEWHERE = 8192
_BYTE_TYPE = 6
_BYTE_TOKEN = re.compile(rb"<0x[0-9A-Fa-f]{2}>")
_ARRAYS = {
    "tokenizer.ggml.scores": ("f32", "i32"),
    "tokenizer.ggml.token_type": ("i32",),
    "tokenizer.ggml.merges": ("string",),
    "tokenizer.ggml.suppress_tokens": ("i32",),
}


def check_vocabulary(header: GGUFHeader, reader: HeaderReader) -> None:
    """Refuse a vocabulary that llama.cpp would crash on.

    Raises:
        ModelFormatError: naming the key, its value and what was expected.
    """
    tokenizer = header.metadata.get("tokenizer.ggml.model")
    if tokenizer is None or tokenizer in ("none", "no_vocab"):
        reader.fail("the file has no tokenizer (tokenizer.ggml.model)", "choose another .gguf file, a language model")
    encoders = tokenizer == _ENCODERS_TOKENIZER and header.architecture in _ENCODERS
    if tokenizer not in _TOKENIZERS and not encoders:
        reader.fail(
            f"tokenizer.ggml.model = {str(tokenizer)[:40]!r}, expected one of {', '.join(_TOKENIZERS)}",
            "choose a model of another family",
        )
    tokens = _tokens(header, reader)
    _check_lengths(reader, tokenizer, tokens)
    distinct = set(tokens)
    if len(distinct) != len(tokens):
        twice = next(token for token, count in Counter(tokens).items() if count > 1)
        reader.fail(f"the token {twice[:40]!r} stands twice in the vocabulary (tokenizer.ggml.tokens)")
    _check_arrays(header, reader, len(tokens))
    _check_rows(header, reader, len(tokens))
    _check_special_ids(header, reader, len(tokens))
    _check_byte_types(header, reader, tokens)
    if tokenizer in ("llama", "plamo2"):
        _check_bytes(reader, tokenizer, distinct)
    if tokenizer == "plamo2":
        _check_utf8(reader, tokens)


def _tokens(header: GGUFHeader, reader: HeaderReader) -> list[bytes]:
    """The tokens as llama.cpp sees them: C strings, and a name of its own for empty ones."""
    tokens = header.metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, ArrayInfo) or tokens.element_type != "string" or not tokens.count:
        reader.fail("tokenizer.ggml.tokens is missing or empty, expected the vocabulary")
    if tokens.count > _MAX_TOKENS:
        reader.fail(f"tokenizer.ggml.tokens has {tokens.count:,} tokens, expected at most {_MAX_TOKENS:,}")
    texts = list(reader.strings(tokens))
    if b"\0" in b"".join(texts):
        texts = [text.partition(b"\0")[0] for text in texts]
    if b"" in texts:
        texts = [text or f"[EMPTY_{index}]".encode() for index, text in enumerate(texts)]
    return texts


def _check_lengths(reader: HeaderReader, tokenizer: str, tokens: list[bytes]) -> None:
    at_most = _MAX_TOKEN_BYTES.get(tokenizer, _MAX_TOKEN_BYTES_ELSEWHERE)
    if len(max(tokens, key=len)) > at_most:
        index, token = next((index, token) for index, token in enumerate(tokens) if len(token) > at_most)
        reader.fail(f"tokenizer.ggml.tokens[{index}] has {len(token):,} bytes, expected at most {at_most:,}")


def _check_arrays(header: GGUFHeader, reader: HeaderReader, n_tokens: int) -> None:
    """Arrays that llama.cpp reads by the number of tokens, as elements of a type that it takes for granted."""
    for key, types in _ARRAYS.items():
        array = header.metadata.get(key)
        if array is None:
            continue
        if not isinstance(array, ArrayInfo) or array.element_type not in types:
            kind = array.element_type if isinstance(array, ArrayInfo) else type(array).__name__
            reader.fail(f"{key} is of the type {kind}, expected an array of {' or '.join(types)}")
        if key in ("tokenizer.ggml.scores", "tokenizer.ggml.token_type") and array.count < n_tokens:
            reader.fail(f"{key} has {array.count:,} elements, expected one for each of the {n_tokens:,} tokens")


def _check_rows(header: GGUFHeader, reader: HeaderReader, n_tokens: int) -> None:
    for tensor in header.tensors:
        if tensor.name in ("token_embd.weight", "output.weight") and tensor.shape[1:] != (n_tokens,):
            reader.fail(f"the vocabulary has {n_tokens:,} tokens, but {tensor.name} the shape {tensor.shape}")


def _check_special_ids(header: GGUFHeader, reader: HeaderReader, n_tokens: int) -> None:
    """Ids are in range, and what the tokenizer is to add exists."""
    metadata = header.metadata
    tokenizer = metadata["tokenizer.ggml.model"]
    for key, value in metadata.items():
        if key in _CHECKED_IDS and value not in (-1, UNSET):
            in_range = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < n_tokens
            if not in_range:
                reader.fail(f"{key} = {str(value)[:40]}, expected 0 to {n_tokens - 1:,}")
    always = tokenizer in _ALWAYS_ADDED or metadata.get("tokenizer.ggml.pre") in _ALWAYS_ADDED
    for name, flag in (("bos", "bos"), ("eos", "eos"), ("seperator", "sep")):
        added = metadata.get(f"tokenizer.ggml.add_{flag}_token", (tokenizer, name) in _ADDED_BY_DEFAULT)
        token = metadata.get(f"tokenizer.ggml.{name}_token_id", _DEFAULT_IDS.get((tokenizer, name), -1))
        if (added or (always and name == "bos")) and not (isinstance(token, int) and 0 <= token < n_tokens):
            reader.fail(f"the tokenizer is to add a {name} token, but tokenizer.ggml.{name}_token_id is not set")


def _check_byte_types(header: GGUFHeader, reader: HeaderReader, tokens: list[bytes]) -> None:
    """Tokens marked as bytes spell one: their text is where a tokenizer's table of bytes is written at."""
    array = header.metadata.get("tokenizer.ggml.token_type")
    types = reader.numbers(array) if array is not None else ()
    if _BYTE_TYPE not in types:
        return
    if header.metadata["tokenizer.ggml.model"] == "bert":
        reader.fail("tokenizer.ggml.token_type marks tokens as bytes, which this tokenizer does not have")
    for token, kind in zip(tokens, types, strict=False):
        if kind == _BYTE_TYPE and not _BYTE_TOKEN.fullmatch(token):
            reader.fail(f"the token {token[:40]!r} is marked as a byte (tokenizer.ggml.token_type), expected '<0x00>'")


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
