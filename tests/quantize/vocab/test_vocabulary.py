"""The vocabulary's metadata: the official converter's keys, and llama.cpp's tokens against the tokenizers library's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from quantize.base import Meta
from quantize.vocab import vocabulary
from tests.quantize.oracles import oracle, recorded
from tests.quantize.tiny_checkpoints import CASES, KINDS
from tests.quantize.vocab.edges import EDGES, ORACLE
from tests.quantize.vocab.folders import tokenizer_folder
from tests.quantize.vocab.llama_tokenizer import loaded, tokenize, write_vocabulary

ARCHS = {
    **dict.fromkeys(("mistral", "smollm2", "tinyllama", "idefics3", "smolvlm2"), "llama"),
    **{"qwen2.5": "qwen2", "qwen2.5-vl": "qwen2vl", "qwen3-vl": "qwen3vl", "phi4-mini": "phi3"},
}
EDGE_KEYS: dict[str, Any] = json.loads(ORACLE.read_text(encoding="utf-8"))
SCORES, ADD_BOS = "tokenizer.ggml.scores", "tokenizer.ggml.add_bos_token"

TEXTS = (
    "The river runs past the mill; it's raining, so WE'RE not going, and they'd rather stay.",
    "吾輩は猫である。名前はまだ無い。今日は天気がいいので、川まで散歩に行きました。",
    "def f(x: int) -> float:\n\treturn x ** 2.5  # 12345\n\n\n    print('hi')\r\n",
    "  leading and   several    spaces  ",
    "🚀 😶\u200d🌫\ufe0f ✅ naïve ﬁ Ünïcödé 한국어 कि",
    " \n \n\n \t\t\t\t\n",
    "3.14159 1,250 2026-11-24 ======",
    "a",
    "<|im_start|>user\nhi<|im_end|>\n<s> <unk> </s> <0x41> <bos>x<|endoftext|> <tool_call>",
    "",
)


def arch_of(kind: str) -> str:
    return ARCHS.get(kind, kind.partition("-")[0].partition(".")[0])


def described(keys: Sequence[Meta]) -> dict[str, Any]:
    return {
        meta.key: recorded(meta.type.name, meta.value, None if meta.item_type is None else meta.item_type.name)
        for meta in keys
    }


def value_of(keys: Sequence[Meta], key: str) -> Any:
    return next(meta.value for meta in keys if meta.key == key)


@pytest.mark.parametrize("case", CASES)
def test_keys_are_the_official_converters(case: str, tmp_path: Path) -> None:
    kind = str(CASES[case]["kind"])
    folder = tokenizer_folder(tmp_path / "folder", KINDS[kind].tokenizer, **KINDS[kind].config())
    ours = described(vocabulary(folder, arch_of(kind)))
    theirs = {key: value for key, value in oracle(case)["metadata"].items() if key.startswith("tokenizer.")}
    if KINDS[kind].tokenizer == "llama-json":  # where the official scores are of no use
        assert ours.pop(SCORES) != theirs.pop(SCORES)
    assert ours == theirs
    if kind == "phi2":  # written with the model's keys, before the vocabulary's
        theirs[ADD_BOS] = theirs.pop(ADD_BOS)
        ours[ADD_BOS] = ours.pop(ADD_BOS)
    assert list(ours) == list(theirs)


@pytest.mark.parametrize("name", EDGES)
def test_keys_at_the_edges_are_the_official_converters(name: str, tmp_path: Path) -> None:
    edge = EDGES[name]
    ours = described(vocabulary(edge.write(tmp_path / "folder"), edge.arch))
    assert ours == EDGE_KEYS[name]
    assert list(ours) == list(EDGE_KEYS[name])


@pytest.mark.parametrize("style", ["llama3", "smollm", "qwen2", "phi2", "gpt4o", "llama-spm", "llama-json", "phi3"])
def test_llama_cpp_finds_the_tokens_that_the_tokenizers_library_finds(style: str, tmp_path: Path) -> None:
    arch = {"qwen2": "qwen2", "phi2": "phi2", "gpt4o": "phi3", "phi3": "phi3"}.get(style, "llama")
    folder = tokenizer_folder(tmp_path / "folder", style, vocab_size=600)
    reference = Tokenizer.from_file(str(folder.path / "tokenizer.json"))
    write_vocabulary(tmp_path / "vocabulary.gguf", vocabulary(folder, arch))
    with loaded(tmp_path / "vocabulary.gguf") as vocab:
        for text in TEXTS:
            assert tokenize(vocab, text) == reference.encode(text).ids
            if "<" not in text:
                assert tokenize(vocab, text, special=False) == reference.encode(text, add_special_tokens=False).ids
