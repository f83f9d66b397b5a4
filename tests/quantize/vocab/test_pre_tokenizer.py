"""Pre-tokenizers: the converter's names by hash, and llama.cpp's work under each name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFValueType
from tokenizers import Tokenizer

from quantize.base import Meta
from quantize.vocab import vocabulary
from quantize.vocab.pre_tokenizer import _DIGITS, _GPT2, _NAME_BY_STEPS
from quantize.vocab.pre_tokenizer_names import CHECK_TEXT, NAME_BY_HASH
from tests.quantize.oracles import ORACLE
from tests.quantize.tokenizer_parts import byte_level
from tests.quantize.vocab.folders import TokenizerFolder, change, tokenizer_folder
from tests.quantize.vocab.llama_tokenizer import loaded, tokenize, write_vocabulary
from tests.quantize.vocab.test_vocabulary import TEXTS, value_of

NOT_IN_LLAMA_CPP = {"bert-bge-large", "jina-v2-en"}  # of models that are no BPE


def test_names_and_hashes_are_the_official_converters() -> None:
    official = json.loads((ORACLE / "pre_tokenizers.json").read_text(encoding="utf-8"))
    assert official["text"] == CHECK_TEXT
    assert {key: name for key, name in official["names"].items() if name not in NOT_IN_LLAMA_CPP} == NAME_BY_HASH


@pytest.mark.parametrize("name", sorted({*NAME_BY_HASH.values(), *_NAME_BY_STEPS.values(), *NOT_IN_LLAMA_CPP}))
def test_llama_cpp_has_every_name(name: str, tmp_path: Path) -> None:
    keys = vocabulary(tokenizer_folder(tmp_path / "folder", "qwen2"), "qwen2")
    named = [Meta(meta.key, name, GGUFValueType.STRING) if meta.key.endswith(".pre") else meta for meta in keys]
    write_vocabulary(tmp_path / "vocabulary.gguf", named)
    if name in NOT_IN_LLAMA_CPP:
        with pytest.raises(ValueError, match="does not load"), loaded(tmp_path / "vocabulary.gguf"):
            pass
        return
    with loaded(tmp_path / "vocabulary.gguf") as vocab:
        assert tokenize(vocab, "word")


def folder_of(path: Path, steps: tuple[str, ...], ignore_merges: bool, behavior: str) -> TokenizerFolder:
    """A folder whose tokenizer.json cuts text in these steps."""
    folder = tokenizer_folder(path, "qwen2")
    parts: list[dict[str, Any]] = []
    for step in steps:
        if step == _DIGITS:
            parts.append({"type": "Digits", "individual_digits": True})
        elif step != _GPT2:
            regex = {"pattern": {"Regex": step}, "behavior": behavior, "invert": behavior == "Removed"}
            parts.append({"type": "Split", **regex})
    parts.append(byte_level(use_regex=_GPT2 in steps))

    def how(value: dict[str, Any]) -> None:
        value |= {"pre_tokenizer": {"type": "Sequence", "pretokenizers": parts}, "normalizer": None}
        value["model"]["ignore_merges"] = ignore_merges

    change(path, "tokenizer.json", how)
    return folder


@pytest.mark.parametrize("behavior", ["Isolated", "Removed"])
@pytest.mark.parametrize(("how", "name"), _NAME_BY_STEPS.items(), ids=_NAME_BY_STEPS.values())
def test_llama_cpp_cuts_text_as_the_steps_do(
    how: tuple[tuple[str, ...], bool], name: str, behavior: str, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path / "folder", *how, behavior)
    keys = vocabulary(folder, "llama")
    assert value_of(keys, "tokenizer.ggml.pre") == name
    reference = Tokenizer.from_file(str(folder.path / "tokenizer.json"))
    write_vocabulary(tmp_path / "vocabulary.gguf", keys)
    with loaded(tmp_path / "vocabulary.gguf") as vocab:
        for text in (*TEXTS, CHECK_TEXT):
            assert tokenize(vocab, text) == reference.encode(text).ids
