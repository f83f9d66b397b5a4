"""SmolLM2's own tokenizer, as a Hugging Face folder: the vocabulary that its published GGUF has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFReader, TokenType
from tokenizers import Tokenizer

from quantize.vocab import vocabulary
from tests.quantize.tokenizer_parts import bpe_model, byte_level, numbered, token, write_json, write_tokenizer_json
from tests.quantize.vocab.folders import TokenizerFolder
from tests.quantize.vocab.llama_tokenizer import loaded, tokenize, write_vocabulary
from tests.quantize.vocab.test_vocabulary import TEXTS

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def published(real_model: Path) -> dict[str, Any]:
    """The vocabulary's keys of the GGUF, which the official converter wrote from the original folder."""
    fields = GGUFReader(real_model).fields
    return {key: field.contents() for key, field in fields.items() if key.startswith("tokenizer.")}


@pytest.fixture(scope="module")
def folder(published: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> TokenizerFolder:
    """The folder again, from what the GGUF keeps of it."""
    path = tmp_path_factory.mktemp("smollm2")
    texts = published["tokenizer.ggml.tokens"]
    kinds = published["tokenizer.ggml.token_type"]
    ids = [index for index, kind in enumerate(kinds) if kind == TokenType.CONTROL]
    digits = {"type": "Digits", "individual_digits": True}
    write_tokenizer_json(
        path,
        added_tokens=numbered([token(texts[index]) for index in ids], ids),
        normalizer=None,
        pre_tokenizer={"type": "Sequence", "pretokenizers": [digits, byte_level(use_regex=True)]},
        post_processor=None,
        decoder=byte_level(use_regex=True),
        model=bpe_model(texts, published["tokenizer.ggml.merges"]),
    )
    names = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    settings = {f"{name}_token": texts[published[f"tokenizer.ggml.{long}_token_id"]] for name, long in names.items()}
    template = {"chat_template": published["tokenizer.chat_template"]}
    write_json(path / "tokenizer_config.json", settings | template | {"add_prefix_space": False})
    (path / "config.json").write_text(json.dumps({"vocab_size": len(texts)}), encoding="utf-8")
    return TokenizerFolder(path)


def test_the_vocabulary_is_the_published_ones(folder: TokenizerFolder, published: dict[str, Any]) -> None:
    """Its pre-tokenizer's name among them, which a hash of the tokens of a text tells."""
    assert {meta.key: meta.value for meta in vocabulary(folder, "llama")} == published


def test_llama_cpp_finds_the_tokens_that_the_tokenizers_library_finds(folder: TokenizerFolder, tmp_path: Path) -> None:
    reference = Tokenizer.from_file(str(folder.path / "tokenizer.json"))
    write_vocabulary(tmp_path / "vocabulary.gguf", vocabulary(folder, "llama"))
    with loaded(tmp_path / "vocabulary.gguf") as vocab:
        for text in TEXTS:
            assert tokenize(vocab, text) == reference.encode(text).ids
