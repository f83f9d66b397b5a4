"""PLaMo 2's and 3's own tokenizer: tokenizer.jsonl, one `[text, score, type …]` a line, its number the token's id."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gguf import GGUFValueType, TokenType

from edgeai.errors import CheckpointError
from quantize.base import Checkpoint, Meta
from quantize.vocab.files import MAX_TOKENS, TokenizerFiles, broken, token_list
from quantize.vocab.special import id_key

_FILE, _CONFIG, _TEMPLATE = "tokenizer.jsonl", "tokenizer_config.json", "chat_template.jinja"
_EOT_ID = 4  # <|plamo:op|> opens a turn: an answer that comes to it is at its end
_PAD_SCORE = -1000.0
_MAX_TOKEN_BYTES = 512  # llama.cpp's tables grow with the square of a token's length
_MAX_LINE_BYTES = 16_384
_MAX_TEMPLATE_BYTES = 2**20
_MAX_SCORE = 1e5  # llama.cpp keeps 10,000 times a score in 32 bits
_TYPES = {"UNKNOWN": TokenType.UNKNOWN, "CONTROL": TokenType.CONTROL, "BYTE": TokenType.BYTE}


class _Token(NamedTuple):
    text: str
    score: float
    type: TokenType


def plamo_vocabulary(checkpoint: Checkpoint, *, with_chat_template: bool) -> list[Meta]:
    """The vocabulary's metadata, in the official converter's order.

    llama.cpp's tokenizer knows neither `add_bos_token` nor PLaMo's `break_around_…_threshold`: it puts no token
    before a text, and splits long runs of one character otherwise than PLaMo does.

    Args:
        checkpoint: the folder: tokenizer.jsonl, tokenizer_config.json, chat_template.jinja.
        with_chat_template: whether a chat template is written: the official converter does for PLaMo 3, not for 2.
    Raises:
        CheckpointError: a file is missing or unreadable, or is not what llama.cpp's tokenizer can use.
    """
    try:
        return _keys(TokenizerFiles.read(checkpoint), with_chat_template)
    except OSError as exc:
        raise CheckpointError(
            f"{str(checkpoint.path)!r}: a tokenizer file cannot be read ({exc}); check its rights"
        ) from exc


def _keys(files: TokenizerFiles, with_chat_template: bool) -> list[Meta]:
    tokens = _read(files)
    _check_bytes(tokens)
    n_vocab = files.vocab_size
    if n_vocab is None or n_vocab < len(tokens):
        raise broken("config.json", "vocab_size", n_vocab, f"{len(tokens):,} or more, for all tokens of {_FILE}")
    tokens += [_Token(f"[PAD{n + 1}]", _PAD_SCORE, TokenType.UNUSED) for n in range(n_vocab - len(tokens))]
    texts, scores, types = zip(*tokens, strict=True)
    return [
        Meta("tokenizer.ggml.model", "plamo2", GGUFValueType.STRING),
        Meta("tokenizer.ggml.pre", "default", GGUFValueType.STRING),
        *token_list(_FILE, texts, types, scores),
        *_special(files, texts),
        id_key("eot", _EOT_ID),
        Meta("tokenizer.ggml.add_space_prefix", False, GGUFValueType.BOOL),
        *(_chat_template(files) if with_chat_template else ()),
    ]


def _read(files: TokenizerFiles) -> list[_Token]:
    tokens: list[_Token] = []
    with files.path(_FILE).open("rb") as file:
        while line := file.readline(_MAX_LINE_BYTES):
            if line.strip():
                tokens.append(_token(len(tokens), line))
            if len(tokens) > MAX_TOKENS:
                raise broken(_FILE, "the number of tokens", len(tokens), f"at most {MAX_TOKENS:,}")
    return tokens


def _token(index: int, line: bytes) -> _Token:
    key = f"token {index:,}"
    try:
        text, score, *more = json.loads(line)
        n_bytes, score = len(text.encode()), float(score)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as exc:
        raise broken(_FILE, key, line[:60], "[text, score, type …] with Unicode text and a number") from exc
    if n_bytes > _MAX_TOKEN_BYTES:
        raise broken(_FILE, key, text, f"at most {_MAX_TOKEN_BYTES} bytes, not {n_bytes:,}")
    if not abs(score) <= _MAX_SCORE:
        raise broken(_FILE, f"the score of {key}", score, f"a number from -{_MAX_SCORE:g} to {_MAX_SCORE:g}")
    default = TokenType.CONTROL if text.startswith("<|plamo:") and text.endswith("|>") else TokenType.NORMAL
    return _Token(text, score, _TYPES.get(str(more[0]) if more else "NORMAL", default))


def _check_bytes(tokens: Sequence[_Token]) -> None:
    """llama.cpp ends the process without a token for each byte, and takes token 0 for none."""
    expected = {f"<0x{byte:02X}>" for byte in range(256)}
    found = {token.text for token in tokens[1:] if token.type is TokenType.BYTE}
    for text in sorted(found - expected):
        raise broken(_FILE, "a token of the type BYTE", text, "<0x00> to <0xFF>")
    for text in sorted(expected - found):
        raise CheckpointError(
            f"{_FILE}: no token {text} of the type BYTE after the first line, expected one for each of 256 bytes; "
            "fetch the checkpoint's tokenizer files again"
        )


def _special(files: TokenizerFiles, texts: Sequence[str]) -> list[Meta]:
    keys = []
    for name in ("bos", "eos", "pad", "sep", "unk"):
        entry = files.settings.get(f"{name}_token")
        text = entry.get("content") if isinstance(entry, Mapping) else entry
        if text is None:
            continue
        if text not in texts:
            raise broken(_CONFIG, f"{name}_token", text, f"a token of {_FILE}")
        keys.append(id_key(name, texts.index(text)))
    return keys


def _chat_template(files: TokenizerFiles) -> list[Meta]:
    """The file chat_template.jinja, else the one of tokenizer_config.json."""
    template = files.settings.get("chat_template")
    path = files.checkpoint.file(_TEMPLATE)
    if path is not None:
        with path.open("rb") as file:
            data = file.read(_MAX_TEMPLATE_BYTES + 1)
        try:
            template = data.decode().replace("\r\n", "\n").replace("\r", "\n")  # as Python reads text
        except UnicodeDecodeError as exc:
            raise broken(_TEMPLATE, "the text", data[:60], "UTF-8") from exc
    if not template:
        return []
    if not isinstance(template, str) or len(template) > _MAX_TEMPLATE_BYTES:
        raise broken(_CONFIG, "the chat template", template, f"text of at most {_MAX_TEMPLATE_BYTES:,} bytes")
    return [Meta("tokenizer.chat_template", template, GGUFValueType.STRING)]
