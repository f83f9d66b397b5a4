"""PLaMo 2's and 3's own tokenizer: tokenizer.jsonl, one `[text, score, type …]` a line, its number the token's id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gguf import GGUFValueType, TokenType

from edgeai.errors import CheckpointError
from quantize.base import Checkpoint, Meta

_EOT_ID = 4  # <|plamo:op|> opens a turn: an answer that comes to it is at its end
_PAD_SCORE = -1000.0
_MAX_TOKENS = 2**20
_MAX_TOKEN_BYTES = 512  # llama.cpp's tables grow with the square of a token's length
_MAX_LINE_BYTES = 16_384
_MAX_TEMPLATE_BYTES = 2**20
_MAX_SCORE = 1e5  # llama.cpp keeps 10,000 times a score in 32 bits
_TYPES = {"UNKNOWN": TokenType.UNKNOWN, "CONTROL": TokenType.CONTROL, "BYTE": TokenType.BYTE}
_SPECIAL = {"bos": "bos", "eos": "eos", "pad": "padding", "sep": "seperator", "unk": "unknown"}  # GGUF's spelling
_AGAIN = "fetch the checkpoint's tokenizer files again"


class _Token(NamedTuple):
    text: str
    score: float
    type: TokenType


def plamo_vocabulary(checkpoint: Checkpoint, *, with_chat_template: bool) -> list[Meta]:
    """The vocabulary's metadata, in the official converter's order.

    Args:
        checkpoint: the folder: tokenizer.jsonl, tokenizer_config.json, chat_template.jinja.
        with_chat_template: whether a chat template is written: the official converter does for PLaMo 3, not for 2.
    Raises:
        CheckpointError: a file is missing, or is not what llama.cpp's tokenizer can use.
    """
    path = checkpoint.file("tokenizer.jsonl")
    if path is None:
        raise CheckpointError(f"{checkpoint.path} has no tokenizer.jsonl, which is PLaMo's vocabulary: {_AGAIN}")
    config = checkpoint.json("tokenizer_config.json")
    if not isinstance(config, Mapping):
        raise CheckpointError(f"{checkpoint.path} has no tokenizer_config.json that is a JSON object: {_AGAIN}")
    tokens = _padded(path, _read(path), checkpoint.config.get("vocab_size"))
    ids = {token.text: index for index, token in enumerate(tokens)}
    _check(path, tokens, ids)
    array = GGUFValueType.ARRAY
    return [
        Meta("tokenizer.ggml.model", "plamo2", GGUFValueType.STRING),
        Meta("tokenizer.ggml.pre", "default", GGUFValueType.STRING),
        Meta("tokenizer.ggml.tokens", [token.text for token in tokens], array, GGUFValueType.STRING),
        Meta("tokenizer.ggml.scores", [token.score for token in tokens], array, GGUFValueType.FLOAT32),
        Meta("tokenizer.ggml.token_type", [int(token.type) for token in tokens], array, GGUFValueType.INT32),
        *_special(config, ids),
        Meta("tokenizer.ggml.eot_token_id", _EOT_ID, GGUFValueType.UINT32),
        Meta("tokenizer.ggml.add_space_prefix", False, GGUFValueType.BOOL),
        *(_chat_template(checkpoint, config) if with_chat_template else ()),
    ]


def _read(path: Path) -> list[_Token]:
    tokens: list[_Token] = []
    with path.open("rb") as file:
        while line := file.readline(_MAX_LINE_BYTES):
            if line.strip():
                tokens.append(_token(path, len(tokens), line))
            if len(tokens) > _MAX_TOKENS:
                raise CheckpointError(f"{path} has more than {_MAX_TOKENS:,} tokens, expected at most that: {_AGAIN}")
    return tokens


def _token(path: Path, index: int, line: bytes) -> _Token:
    try:
        text, score, *more = json.loads(line)
        text_bytes = text.encode()
        score = float(score)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as exc:
        raise CheckpointError(
            f"{path}, token {index}: {line[:40]!r} is no [text, score, type] with Unicode text and a number: {_AGAIN}"
        ) from exc
    if len(text_bytes) > _MAX_TOKEN_BYTES or b"\0" in text_bytes or not abs(score) <= _MAX_SCORE:
        raise CheckpointError(
            f"{path}, token {index}: {text[:40]!r} with score {score:g}, expected at most {_MAX_TOKEN_BYTES} bytes, "
            f"none of them 0, and a score from -{_MAX_SCORE:g} to {_MAX_SCORE:g}: {_AGAIN}"
        )
    default = TokenType.CONTROL if text.startswith("<|plamo:") and text.endswith("|>") else TokenType.NORMAL
    return _Token(text, score, _TYPES.get(str(more[0]) if more else "NORMAL", default))


def _padded(path: Path, tokens: list[_Token], n_vocab: object) -> list[_Token]:
    """The tokens, and unused ones up to the rows of the embedding."""
    if not isinstance(n_vocab, int) or not len(tokens) <= n_vocab <= _MAX_TOKENS:
        raise CheckpointError(
            f"config.json: vocab_size = {str(n_vocab)[:40]}, expected {len(tokens):,} (the tokens of {path}) "
            f"to {_MAX_TOKENS:,}: {_AGAIN}"
        )
    n_padding = n_vocab - len(tokens)
    return tokens + [_Token(f"[PAD{index + 1}]", _PAD_SCORE, TokenType.UNUSED) for index in range(n_padding)]


def _check(path: Path, tokens: list[_Token], ids: Mapping[str, int]) -> None:
    """What llama.cpp would end the process on."""
    if len(ids) != len(tokens):
        twice = next(token.text for index, token in enumerate(tokens) if ids[token.text] != index)
        raise CheckpointError(f"{path} has the token {twice[:40]!r} twice, expected each once: {_AGAIN}")
    all_bytes = {f"<0x{byte:02X}>" for byte in range(256)}
    found = {token.text for token in tokens[1:] if token.type is TokenType.BYTE}  # id 0 means none to llama.cpp
    if found != all_bytes:
        wrong = sorted(found ^ all_bytes)[0]
        raise CheckpointError(
            f"{path} has {len(found):,} tokens of the type BYTE after the first one (wrong: {wrong[:40]!r}), "
            f"expected <0x00> to <0xFF>: {_AGAIN}"
        )


def _special(config: Mapping[str, Any], ids: Mapping[str, int]) -> list[Meta]:
    keys = []
    for short, long in _SPECIAL.items():
        text = config.get(f"{short}_token")
        if isinstance(text, Mapping):  # an AddedToken
            text = text.get("content")
        if text is None:
            continue
        if not isinstance(text, str) or text not in ids:
            raise CheckpointError(
                f"tokenizer_config.json: {short}_token = {str(text)[:40]!r}, expected one of tokenizer.jsonl: {_AGAIN}"
            )
        keys.append(Meta(f"tokenizer.ggml.{long}_token_id", ids[text], GGUFValueType.UINT32))
    return keys


def _chat_template(checkpoint: Checkpoint, config: Mapping[str, Any]) -> list[Meta]:
    """The file chat_template.jinja, else the one of tokenizer_config.json."""
    template = config.get("chat_template")
    path = checkpoint.file("chat_template.jinja")
    if path is not None:
        with path.open("rb") as file:
            text = file.read(_MAX_TEMPLATE_BYTES + 1)
        try:
            template = text.decode()
        except UnicodeDecodeError as exc:
            raise CheckpointError(f"{path} is not UTF-8: {_AGAIN}") from exc
    if not template:
        return []
    if not isinstance(template, str) or len(template) > _MAX_TEMPLATE_BYTES:
        raise CheckpointError(
            f"{checkpoint.path}: the chat template is a {type(template).__name__}, expected text of at most "
            f"{_MAX_TEMPLATE_BYTES:,} bytes: {_AGAIN}"
        )
    return [Meta("tokenizer.chat_template", template, GGUFValueType.STRING)]
