"""What tokenizer files are made of: byte-level BPE with a family's own split, added tokens, tokenizer_config.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).with_name("fixtures")
N_BPE = 480  # tokens in fixtures/bpe.json; a family's own follow
N_SPM = 576  # tokens in fixtures/llama.model

# How each real tokenizer cuts text before it merges bytes; llama.cpp knows each by the name in PRE_TOKENIZER_NAME.
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = (r" ?[^\s\p{L}\p{N}]+[\r\n]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+")
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_GPT4O_WORD = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]%s[\p{Ll}\p{Lm}\p{Lo}\p{M}]%s" + _CONTRACTIONS + "?"
_GPT4O_REST = (r" ?[^\s\p{L}\p{N}]+[\r\n/]*", *_REST[1:])
SPLITS: Mapping[str, str] = {
    "llama3": "|".join((_CONTRACTIONS, _WORD, r"\p{N}{1,3}", *_REST)),
    "qwen2": "|".join((_CONTRACTIONS, _WORD, r"\p{N}", *_REST)),
    "gpt4o": "|".join((_GPT4O_WORD % ("*", "+"), _GPT4O_WORD % ("+", "*"), r"\p{N}{1,3}", *_GPT4O_REST)),
}
PRE_TOKENIZER_NAME: Mapping[str, str] = {
    "llama3": "llama-bpe",
    "smollm": "smollm",
    "qwen2": "qwen2",
    "phi2": "phi-2",
    "gpt4o": "gpt-4o",
}


def token(content: str, *, special: bool = True, normalized: bool = False) -> dict[str, Any]:
    """An added token as tokenizer.json and `added_tokens_decoder` write it."""
    return {
        "content": content,
        "lstrip": False,
        "normalized": normalized,
        "rstrip": False,
        "single_word": False,
        "special": special,
    }


def byte_level(*, use_regex: bool) -> dict[str, Any]:
    """The step that writes bytes as visible characters."""
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def begin_with(text: str, index: int) -> dict[str, Any]:
    """The step that puts a token before every text."""
    first = {"SpecialToken": {"id": text, "type_id": 0}}
    second = [{"SpecialToken": {"id": text, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}]
    sequence = {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [first, sequence],
        "pair": [first, sequence, *second],
        "special_tokens": {text: {"id": text, "ids": [index], "tokens": [text]}},
    }


def pre_tokenizer(split: str) -> dict[str, Any]:
    """How a family cuts text; `split` is a key of PRE_TOKENIZER_NAME."""
    if split == "phi2":
        return byte_level(use_regex=True)
    if split == "smollm":
        return {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level(use_regex=True)],
        }
    step = {"type": "Split", "pattern": {"Regex": SPLITS[split]}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [step, byte_level(use_regex=False)]}


def write_bpe(
    folder: Path,
    split: str,
    added: Sequence[dict[str, Any]],
    *,
    first: bool = False,
    old_merges: bool = False,
    normalizer: Any = None,
    post_processor: Any = None,
    ignore_merges: bool = False,
) -> None:
    """Write tokenizer.json of a byte-level BPE.

    Args:
        folder: the checkpoint.
        split: a key of PRE_TOKENIZER_NAME.
        added: tokens beside the vocabulary.
        first: put them before the vocabulary and into it, as SmolLM2's are, not behind it.
        old_merges: write merges as "a b", as until transformers 4.45, not as ["a", "b"].
        normalizer: as in tokenizer.json.
        post_processor: likewise; the usual one where None.
        ignore_merges: whether whole words of the vocabulary need no merges.
    """
    parts = read_fixture("bpe.json")
    texts = [entry["content"] for entry in added]
    vocab = [*texts, *parts["vocab"]] if first else parts["vocab"]
    merges = [" ".join(pair) for pair in parts["merges"]] if old_merges else parts["merges"]
    model = bpe_model(vocab, merges, ignore_merges=ignore_merges)
    write_tokenizer_json(
        folder,
        added_tokens=numbered(added, range(0 if first else N_BPE, N_BPE + len(added))),
        normalizer=normalizer,
        pre_tokenizer=pre_tokenizer(split),
        post_processor=post_processor or byte_level(use_regex=True),
        decoder=byte_level(use_regex=True),
        model=model,
    )


def bpe_model(vocab: Sequence[str], merges: Any, **changes: Any) -> dict[str, Any]:
    """`model` of a tokenizer.json; `changes` are keys that differ."""
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {text: index for index, text in enumerate(vocab)},
        "merges": merges,
    } | changes


def write_tokenizer_json(folder: Path, **parts: Any) -> None:
    """Write tokenizer.json of its parts, in the order they are given."""
    write_json(folder / "tokenizer.json", {"version": "1.0", "truncation": None, "padding": None} | parts)


def write_tokenizer_config(
    folder: Path,
    tokenizer_class: str,
    added: Sequence[dict[str, Any]],
    ids: Iterable[int],
    names: Mapping[str, str | None],
    chat: Any = None,
    **flags: Any,
) -> None:
    """Write tokenizer_config.json.

    Args:
        folder: the checkpoint.
        tokenizer_class: the class in transformers.
        added: tokens of `added_tokens_decoder`.
        ids: theirs.
        names: of special tokens: "bos", "eos", "unk", "pad".
        chat: the chat template, or several by name; None leaves it out.
        flags: the other keys.
    """
    decoder = {str(index): entry for index, entry in zip(ids, added, strict=False)}
    config = {"added_tokens_decoder": decoder, **{f"{name}_token": text for name, text in names.items()}, **flags}
    if chat is not None:
        config["chat_template"] = chat
    limits = {"clean_up_tokenization_spaces": False, "model_max_length": 512, "tokenizer_class": tokenizer_class}
    write_json(folder / "tokenizer_config.json", config | limits)


def numbered(added: Sequence[dict[str, Any]], ids: Iterable[int]) -> list[dict[str, Any]]:
    """`added_tokens` of a tokenizer.json."""
    return [{"id": index} | entry for index, entry in zip(ids, added, strict=False)]


def read_fixture(name: str) -> Any:
    """A JSON file of `fixtures/`."""
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON as Hugging Face's libraries do."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
