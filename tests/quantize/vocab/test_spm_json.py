"""A SentencePiece vocabulary without its tokenizer.model: transformers 5 saves none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from quantize.vocab import vocabulary
from quantize.vocab.sentencepiece_model import PieceType, read_pieces
from tests.quantize.tokenizer_parts import bpe_model, numbered, token, write_tokenizer_json
from tests.quantize.vocab.folders import TokenizerFolder, change, tokenizer_folder
from tests.quantize.vocab.llama_tokenizer import loaded, tokenize, write_vocabulary
from tests.quantize.vocab.test_vocabulary import TEXTS, value_of

GEMMA = {"vocab_size": 576, "bos_token_id": 2, "eos_token_id": 1}
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": False}


def llama(path: Path) -> TokenizerFolder:
    return tokenizer_folder(path, "llama-json", vocab_size=576)


def gemma(path: Path) -> TokenizerFolder:
    """A Gemma folder as transformers 5 saves it: every pair that makes a piece is a merge, the best piece's first."""
    folder = tokenizer_folder(path, "gemma", **GEMMA)
    pieces = read_pieces(path / "tokenizer.model")
    (path / "tokenizer.model").unlink()
    ids = {piece.text: index for index, piece in enumerate(pieces)}
    pairs = [
        (piece.score, [piece.text[:cut], piece.text[cut:]])
        for piece in pieces
        for cut in range(1, len(piece.text))
        if piece.text[:cut] in ids and piece.text[cut:] in ids and piece.type is PieceType.NORMAL
    ]
    decoder = folder.json("tokenizer_config.json")["added_tokens_decoder"]
    write_tokenizer_json(
        path,
        added_tokens=numbered(list(decoder.values()), map(int, decoder)),
        normalizer={"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        pre_tokenizer=None,
        post_processor=None,
        decoder=None,
        model=bpe_model(
            [piece.text for piece in pieces],
            [pair for _, pair in sorted(pairs, key=lambda pair: -pair[0])],
            unk_token="<unk>",
            byte_fallback=True,
            fuse_unk=True,
        ),
    )
    change(path, "tokenizer_config.json", lambda value: value.pop("added_tokens_decoder") and None)
    return folder


def test_scores_and_types_are_those_of_the_model_that_was_left_out(tmp_path: Path) -> None:
    without = llama(tmp_path / "without")
    with_model = tokenizer_folder(tmp_path / "with", "llama-spm", vocab_size=576)
    keys = vocabulary(without, "llama")
    assert keys == vocabulary(with_model, "llama")
    assert any(value_of(keys, "tokenizer.ggml.scores"))


@pytest.mark.parametrize("arch", ["gemma2", "gemma3"])
def test_a_saved_gemma_has_the_tokens_of_the_original(arch: str, tmp_path: Path) -> None:
    original = tokenizer_folder(tmp_path / "original", "gemma", **GEMMA)
    saved = gemma(tmp_path / "saved")
    found = []
    for number, folder in enumerate((original, saved)):
        keys = {meta.key: meta.value for meta in vocabulary(folder, arch)}
        assert keys["tokenizer.ggml.add_space_prefix"] is False
        write_vocabulary(tmp_path / f"{number}.gguf", vocabulary(folder, arch))
        with loaded(tmp_path / f"{number}.gguf") as vocab:
            found.append([keys["tokenizer.ggml.tokens"], *(tokenize(vocab, text) for text in TEXTS)])
    assert found[0] == found[1]


def test_the_better_merge_comes_first(tmp_path: Path) -> None:
    """Of "abc", b and c go together first: with equal scores llama.cpp would begin from the left."""
    folder = llama(tmp_path / "folder")

    def how(value: dict[str, Any]) -> None:
        texts = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"abc", "bc", "ab"]
        value["model"] |= {"vocab": {text: index for index, text in enumerate(texts)}}
        value["model"] |= {"merges": [["b", "c"], ["a", "b"]]}

    change(folder.path, "tokenizer.json", how)
    reference = Tokenizer.from_file(str(folder.path / "tokenizer.json"))
    write_vocabulary(tmp_path / "vocabulary.gguf", vocabulary(folder, "llama"))
    with loaded(tmp_path / "vocabulary.gguf") as vocab:
        assert tokenize(vocab, "abc") == reference.encode("abc").ids == [1, 259, 260, 263]


@pytest.mark.parametrize(
    ("parts", "prefix"),
    [
        ({}, None),  # llama.cpp's default: a space
        ({"normalizer": None}, False),
        ({"normalizer": None, "pre_tokenizer": METASPACE}, None),
        ({"normalizer": None, "pre_tokenizer": METASPACE | {"prepend_scheme": "never"}}, False),
        ({"normalizer": None, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [METASPACE]}}, None),
    ],
)
def test_a_space_is_put_before_a_text_where_tokenizer_json_does(
    parts: dict[str, Any], prefix: bool | None, tmp_path: Path
) -> None:
    folder = llama(tmp_path / "folder")
    change(folder.path, "tokenizer.json", lambda value: value | parts)
    keys = {meta.key: meta.value for meta in vocabulary(folder, "llama")}
    assert keys.get("tokenizer.ggml.add_space_prefix") is prefix


def test_added_tokens_come_from_tokenizer_json(tmp_path: Path) -> None:
    folder = tokenizer_folder(tmp_path / "folder", "llama-json", vocab_size=600)
    more = {"id": 576} | token("<turn▁>", special=False)
    change(folder.path, "tokenizer.json", lambda value: value["added_tokens"].append(more))
    change(folder.path, "tokenizer_config.json", lambda value: value.pop("added_tokens_decoder") and None)
    keys = vocabulary(folder, "llama")
    assert value_of(keys, "tokenizer.ggml.tokens")[576:578] == ["<turn >", "[PAD577]"]
    assert value_of(keys, "tokenizer.ggml.token_type")[:3] == [3, 3, 3]
    assert value_of(keys, "tokenizer.ggml.scores")[576] == -1000.0
