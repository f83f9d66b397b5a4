"""Byte-level BPE: tokenizer.json of GPT-2's kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gguf import GGUFValueType, TokenType
from tokenizers import AddedToken, Tokenizer

from edgeai.errors import CheckpointError
from quantize.base import Meta
from quantize.vocab.bounds import check_bounds
from quantize.vocab.files import AGAIN, MAX_TOKENS, TokenizerFiles, broken, items, looks_special, mapping, token_list
from quantize.vocab.pre_tokenizer import pre_tokenizer_name

_FILE = "tokenizer.json"
_NAMED = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


def bpe_keys(files: TokenizerFiles, arch: str) -> list[Meta]:
    """Model, pre-tokenizer, tokens, types and merges, in the official converter's order.

    Args:
        files: the tokenizer's files.
        arch: llama.cpp's name of the family.
    Raises:
        CheckpointError: tokenizer.json is damaged, is no byte-level BPE, or has more tokens than the embedding.
    """
    path = files.path(_FILE)
    if files.model.get("type") != "BPE" or files.model.get("byte_fallback"):
        raise broken(_FILE, "model.type", files.model.get("type"), "a byte-level BPE")
    _check_vocab(files)
    merges = _merges(files)
    check_bounds(files.tokenizer)
    with _errors_named():
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.model.dropout = None  # it would be another tokenization each time
        _add_configured(tokenizer, files.settings)
        tokens, types = _tokens(tokenizer, files)
        name = pre_tokenizer_name(tokenizer, files.tokenizer, arch)
    return [
        Meta("tokenizer.ggml.model", "gpt2", GGUFValueType.STRING),
        Meta("tokenizer.ggml.pre", name, GGUFValueType.STRING),
        *token_list(_FILE, tokens, types),
        Meta("tokenizer.ggml.merges", merges, GGUFValueType.ARRAY, GGUFValueType.STRING),
    ]


@contextmanager
def _errors_named() -> Iterator[None]:
    try:
        yield
    except (CheckpointError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as exc:  # the library's panics derive from nothing else
        message = str(exc).replace("\n", " ")[:120]
        raise CheckpointError(
            f"{_FILE}: not a tokenizer that the tokenizers library reads ({message}); {AGAIN}"
        ) from exc


def _check_vocab(files: TokenizerFiles) -> None:
    """The numbers of the vocabulary: the library takes two tokens of one number, and forgets one of them."""
    vocab = files.model.get("vocab")
    if not isinstance(vocab, Mapping) or not vocab:
        raise broken(_FILE, "model.vocab", vocab, "an object of tokens and their numbers")
    seen: dict[int, str] = {}
    for text, index in vocab.items():
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < MAX_TOKENS:
            raise broken(_FILE, f"model.vocab[{text[:40]!r}]", index, f"a number below {MAX_TOKENS:,}")
        if seen.setdefault(index, text) != text:
            raise broken(
                _FILE, f"model.vocab[{text[:40]!r}]", index, f"a number of its own, not {seen[index][:40]!r}'s"
            )


def _merges(files: TokenizerFiles) -> list[str]:
    """Each as "a b"; a space within a part is written as GPT-2 writes bytes, for the space is what separates them."""
    merges = items(_FILE, files.model, "merges")
    if not merges:
        raise broken(_FILE, "model.merges", merges, "at least one, without which llama.cpp does not load it")
    if all(isinstance(merge, str) for merge in merges):
        return merges
    for merge in merges:
        if not isinstance(merge, list) or len(merge) != 2 or not all(isinstance(part, str) for part in merge):
            raise broken(_FILE, "model.merges", merge, 'pairs, all written "a b" or all ["a", "b"]')
    return [" ".join(part.replace(" ", "Ġ") for part in merge) for merge in merges]


def _add_configured(tokenizer: Tokenizer, settings: Mapping[str, Any]) -> None:
    """Add what tokenizer_config.json has beyond tokenizer.json, as transformers does when it loads the two."""
    tokens = {token.content: token for token in tokenizer.get_added_tokens_decoder().values()}
    before = {text: _as_tuple(token) for text, token in tokens.items()}
    decoder = mapping("tokenizer_config.json", settings, "added_tokens_decoder")
    for _, entry in sorted(decoder.items(), key=lambda pair: int(pair[0])):
        flags = {flag: entry[flag] for flag in _FLAGS if isinstance(entry.get(flag), bool)}
        tokens[entry["content"]] = AddedToken(entry["content"], **flags)
    for text in _named_tokens(settings):
        tokens.setdefault(text, AddedToken(text)).special = True
    tokenizer.add_tokens([token for text, token in tokens.items() if _as_tuple(token) != before.get(text)])


def _named_tokens(settings: Mapping[str, Any]) -> Iterator[str]:
    more = settings.get("additional_special_tokens") or settings.get("extra_special_tokens") or []
    if isinstance(more, Mapping):
        more = list(more.values())
    for entry in (*(settings.get(f"{name}_token") for name in _NAMED), *(more if isinstance(more, list) else ())):
        text = entry.get("content") if isinstance(entry, Mapping) else entry
        if isinstance(text, str) and text:
            yield text


def _as_tuple(token: AddedToken) -> tuple[str, ...]:
    return (token.content, *(str(getattr(token, flag)) for flag in _FLAGS))


def _tokens(tokenizer: Tokenizer, files: TokenizerFiles) -> tuple[list[str], list[TokenType]]:
    by_id = {index: text for text, index in tokenizer.get_vocab(with_added_tokens=True).items()}
    added = tokenizer.get_added_tokens_decoder()
    for token in files.added:
        if by_id.get(token.id) != token.text:  # the library numbers them itself
            raise broken(_FILE, f"added_tokens[{token.text[:40]!r}].id", token.id, "the next free number")
    n_vocab = len(by_id) if files.vocab_size is None else files.vocab_size
    if max(by_id) >= n_vocab:
        raise broken(_FILE, "the largest token", max(by_id), f"below config.json's vocab_size, {n_vocab:,}")
    tokens, types = [], []
    for index in range(n_vocab):
        text, kind = by_id.get(index), TokenType.NORMAL
        if text is None:
            text, kind = f"[PAD{index}]", TokenType.UNUSED
        elif index in added:
            text, kind = _added(tokenizer, added[index], text)
        tokens.append(text)
        types.append(kind)
    return tokens, types


def _added(tokenizer: Tokenizer, token: AddedToken, text: str) -> tuple[str, TokenType]:
    """An added token's text as llama.cpp searches for it, which knows no normalization, and its type."""
    if not token.normalized:
        text = tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids, skip_special_tokens=False)
    if token.special or looks_special(text):
        return text, TokenType.CONTROL
    return text.replace("▁", " "), TokenType.USER_DEFINED
