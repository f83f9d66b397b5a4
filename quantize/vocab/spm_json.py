"""The SentencePiece vocabulary that a tokenizer.json was made of.

transformers 5 saves no tokenizer.model. The scores are gone then, but the merges keep their order: the first is that
of the best piece. The official converter gives every token the same score instead, and llama.cpp then merges from the
left, whatever comes first: other tokens than the model was trained with. With the order as scores it finds the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from quantize.vocab.files import TokenizerFiles, broken, items, token_id
from quantize.vocab.sentencepiece_model import Piece, PieceType

_FILE = "tokenizer.json"
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


def is_spm_json(files: TokenizerFiles) -> bool:
    """Whether tokenizer.json holds a BPE over characters that falls back to bytes, as SentencePiece's does."""
    return files.model.get("type") == "BPE" and files.model.get("byte_fallback") is True


def pieces_of_json(files: TokenizerFiles) -> list[Piece | None]:
    """The pieces by number; None where there is none.

    Raises:
        CheckpointError: tokenizer.json is no BPE with byte fallback, or damaged.
    """
    files.path(_FILE)
    if not is_spm_json(files):
        raise broken(_FILE, "model.type", files.model.get("type"), "a BPE with byte_fallback, or a tokenizer.model")
    ids = _ids(files.model)
    rank = _ranks(files.model, ids)
    added = {token.id for token in files.added}
    pieces: list[Piece | None] = [None] * (max(ids.values()) + 1)
    n_ranked = len(set(rank.values()))
    for text, index in ids.items():
        if text == files.model.get("unk_token"):
            pieces[index] = Piece(text, 0.0, PieceType.UNKNOWN)
        elif _BYTE.fullmatch(text):
            pieces[index] = Piece(text, 0.0, PieceType.BYTE)
        elif text in rank:
            pieces[index] = Piece(text, float(-rank[text]), PieceType.NORMAL)
        elif index not in added:  # a single character: SentencePiece puts them behind what is merged
            pieces[index] = Piece(text, float(-n_ranked), PieceType.NORMAL)
            n_ranked += 1
        else:
            pieces[index] = Piece(text, 0.0, PieceType.NORMAL)
    return pieces


def prepends_space(files: TokenizerFiles) -> bool:
    """Whether tokenizer.json puts a space before a text."""
    return _prepends(files.tokenizer.get("normalizer")) or _prepends(files.tokenizer.get("pre_tokenizer"))


def _prepends(part: Any) -> bool:
    if not isinstance(part, Mapping):
        return False
    kind = part.get("type")
    if kind == "Sequence":
        steps = (*items(_FILE, part, "normalizers"), *items(_FILE, part, "pretokenizers"))
        return any(_prepends(step) for step in steps)
    if kind == "Metaspace":
        return part.get("prepend_scheme", "always") != "never" and part.get("add_prefix_space") is not False
    return kind == "Prepend"


def _ids(model: Mapping[str, Any]) -> dict[str, int]:
    vocab = model.get("vocab")
    if not isinstance(vocab, Mapping) or not vocab:
        raise broken(_FILE, "model.vocab", vocab, "an object of tokens and their numbers")
    ids = {text: token_id(_FILE, f"model.vocab[{text[:40]!r}]", index) for text, index in vocab.items()}
    if len(set(ids.values())) != len(ids):
        raise broken(_FILE, "model.vocab", f"{len(ids):,} tokens", "a number of its own for each")
    return dict(sorted(ids.items(), key=lambda pair: pair[1]))


def _ranks(model: Mapping[str, Any], ids: Mapping[str, int]) -> dict[str, int]:
    """By token, which place its first merge has among them."""
    rank: dict[str, int] = {}
    for merge in items(_FILE, model, "merges"):
        parts = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
            raise broken(_FILE, "model.merges", merge, "pairs of tokens")
        whole = "".join(parts)
        for text in (*parts, whole):
            if text not in ids:
                raise broken(_FILE, "model.merges", merge, f"tokens of model.vocab, which lacks {text[:40]!r}")
        rank.setdefault(whole, len(rank))
    if not rank:
        raise broken(_FILE, "model.merges", model.get("merges"), "at least one")
    return rank
