"""SentencePiece's kind of vocabulary: tokenizer.model, or a tokenizer.json that was made of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gguf import GGUFValueType, TokenType

from quantize.base import Meta
from quantize.vocab.files import TokenizerFiles, broken, looks_special, token_id, token_list
from quantize.vocab.sentencepiece_model import Piece, PieceType, read_pieces
from quantize.vocab.spm_json import pieces_of_json

MODEL_FILE = "tokenizer.model"
_ADDED_SCORE = -1000.0
_NO_SCORE = -10000.0
_BYTE_TEXTS = frozenset(f"<0x{byte:02X}>" for byte in range(256))
_ADDED_FILE = "added_tokens.json"
# a user's symbol is found as such only where a file of added tokens names it
_TYPES = {
    PieceType.NORMAL: TokenType.NORMAL,
    PieceType.UNKNOWN: TokenType.UNKNOWN,
    PieceType.CONTROL: TokenType.CONTROL,
    PieceType.USER_DEFINED: TokenType.NORMAL,
    PieceType.UNUSED: TokenType.UNUSED,
    PieceType.BYTE: TokenType.BYTE,
}


@dataclass(frozen=True, slots=True)
class _Change:
    """A token that a file puts into the vocabulary.

    Attributes:
        file: which.
        id: where.
        text: the new text.
        type: the new type.
        optional: whether a number beyond the vocabulary is passed over, as the official converter does.
    """

    file: str
    id: int
    text: str
    type: TokenType
    optional: bool


def spm_keys(files: TokenizerFiles, *, as_phi3: bool = False) -> list[Meta]:
    """Model, tokens, scores and types, in the official converter's order.

    Args:
        files: the tokenizer's files.
        as_phi3: whether tokenizer.json's added tokens come last and keep their text and type, as Phi-3's do.
    Raises:
        CheckpointError: a file is missing, damaged, or names tokens that the vocabulary has no room for.
    """
    source = MODEL_FILE if files.checkpoint.file(MODEL_FILE) else "tokenizer.json"
    pieces: Sequence[Piece | None]
    pieces = read_pieces(files.path(MODEL_FILE)) if source == MODEL_FILE else pieces_of_json(files)
    n_vocab = files.vocab_size or len(pieces)
    tokens = [f"[PAD{index}]" for index in range(n_vocab)]
    scores = [_NO_SCORE] * n_vocab
    types = [TokenType.UNUSED] * n_vocab
    for index, piece in enumerate(pieces[:n_vocab]):
        if piece is not None:
            tokens[index], scores[index], types[index] = piece.text, piece.score, _TYPES[piece.type]
    for change in _changes(files, as_phi3=as_phi3, source=source):
        if change.id < n_vocab:
            tokens[change.id], scores[change.id], types[change.id] = change.text, _ADDED_SCORE, change.type
        elif not change.optional:
            raise broken(
                change.file,
                f"added token {change.text[:40]!r}",
                change.id,
                f"below config.json's vocab_size, {n_vocab:,}",
            )
    _check_bytes(source, tokens, types)
    return [
        Meta("tokenizer.ggml.model", "llama", GGUFValueType.STRING),
        Meta("tokenizer.ggml.pre", "default", GGUFValueType.STRING),
        *token_list(source, tokens, types, scores),
    ]


def _check_bytes(file: str, tokens: Sequence[str], types: Sequence[TokenType]) -> None:
    """What llama.cpp ends the process on: a character that has no token, and a byte's token that names no byte."""
    missing = sorted(_BYTE_TEXTS - set(tokens))
    if missing:
        raise broken(file, "the vocabulary", f"without {missing[0]}", "a token for each byte, <0x00> to <0xFF>")
    for index, (text, kind) in enumerate(zip(tokens, types, strict=True)):
        if kind is TokenType.BYTE and text not in _BYTE_TEXTS:
            raise broken(file, f"token {index:,}, of the type BYTE,", text, "<0x00> to <0xFF>")


def _changes(files: TokenizerFiles, *, as_phi3: bool, source: str) -> Iterator[_Change]:
    """Later ones count."""
    added = files.checkpoint.json(_ADDED_FILE)
    if added is not None and not isinstance(added, dict):
        raise broken(_ADDED_FILE, "the file", added, "an object of tokens and their numbers")
    for text, index in (added or {}).items():
        number = token_id(_ADDED_FILE, repr(text[:40]), index)
        yield _Change(_ADDED_FILE, number, text, TokenType.USER_DEFINED, optional=True)
    for token in files.decoder:
        kind = TokenType.CONTROL if token.special else TokenType.USER_DEFINED
        text = token.text
        if not as_phi3:
            kind, text = _as_searched(text, special=token.special)
        yield _Change("tokenizer_config.json", token.id, text, kind, optional=not as_phi3)
    # transformers 5 writes no `added_tokens_decoder`, and no tokenizer.model
    if as_phi3 or (source != MODEL_FILE and not files.decoder):
        for token in files.added:
            kind = TokenType.CONTROL if token.special else TokenType.USER_DEFINED
            text = token.text
            if not as_phi3:
                kind, text = _as_searched(text, special=token.special)
            yield _Change("tokenizer.json", token.id, text, kind, optional=False)


def _as_searched(text: str, *, special: bool) -> tuple[TokenType, str]:
    """Type and text of an added token: llama.cpp searches the text as it was written, with spaces."""
    if special or looks_special(text):
        return TokenType.CONTROL, text
    return TokenType.USER_DEFINED, text.replace("▁", " ")
