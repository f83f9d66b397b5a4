"""PLaMo 2's and 3's own tokenizer: the official converter's keys, llama.cpp's tokens, files that cannot be right."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bare import Bare
from edgeai.errors import CheckpointError
from quantize.vocab.plamo import plamo_vocabulary
from tests.quantize.families.test_plamo import ORACLE, case, described, write_gguf
from tests.quantize.make_plamo_oracle import shortened
from tests.quantize.plamo_memory import PLAMO2, ROWS, MemoryCheckpoint, checkpoint, tokenizer_files

FIXTURE = Path(__file__).parents[1] / "fixtures" / "plamo.jsonl"
Rows = list[list[Any]]

TEXTS = [
    "",
    "The quick brown fox jumps over the lazy dog.",
    "吾輩は猫である。名前はまだ無い。",
    "def main():\n    return 1 + 2\t# 3",
    "   spaces   and\n\n\nlines  ",
    "🙂👩‍👩‍👧 naïve café Ω ﷽ 𠮷",
    "<0x41> is text, <s> too",
    "aaaaaaaaaaaaaaaaaaaaaaaa",
]


def folder(path: Path, rows: Rows = ROWS, **changes: Any) -> MemoryCheckpoint:
    memory = checkpoint(PLAMO2)
    memory.files = tokenizer_files(path, rows, **changes)
    return memory


@pytest.mark.parametrize("name", [name for name in ORACLE if name != "plamo-13b"])
def test_keys_are_the_official_converters(name: str, tmp_path: Path) -> None:
    memory = case(name)
    memory.files = tokenizer_files(tmp_path)
    ours = {}
    for meta in plamo_vocabulary(memory, with_chat_template=name.startswith("plamo3")):
        kinds, value = described(meta)
        if meta.key == "tokenizer.ggml.scores":
            value = [float(np.float32(score)) for score in value]
        ours[meta.key] = [kinds, shortened(value)]
    theirs = {key: value for key, value in ORACLE[name]["metadata"].items() if key.startswith("tokenizer.")}
    assert ours == theirs
    assert list(ours) == list(theirs)


def test_a_template_file_comes_before_the_configs(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_bytes("{{ bos_token }}\r\n日本".encode())
    keys = plamo_vocabulary(folder(tmp_path), with_chat_template=True)
    assert keys[-1].key == "tokenizer.chat_template"
    assert keys[-1].value == "{{ bos_token }}\n日本"


def best_split(rows: Rows, text: str) -> list[int]:
    """PLaMo's tokenizer as its model card describes it: the split with the highest sum of scores; what no token covers
    is spelled in bytes, at a price of 1,000 a character. Scores count to the fourth decimal.
    """
    ids = {row[0]: index for index, row in enumerate(rows) if row[2:3] != ["BYTE"]}
    bytes_ids = [next(index for index, row in enumerate(rows) if row[0] == f"<0x{byte:02X}>") for byte in range(256)]
    longest = max(map(len, ids))
    best: list[tuple[int, list[int]]] = [(0, [])]  # from the end of the text
    for start in range(len(text) - 1, -1, -1):
        rest = len(text) - start
        spelled = [bytes_ids[byte] for byte in text[start].encode()]
        choices = [(best[rest - 1][0] - 10_000_000, spelled + best[rest - 1][1])]
        for length in range(1, min(longest, rest) + 1):
            index = ids.get(text[start : start + length])
            if index is not None:
                score, tail = best[rest - length]
                choices.append((score + round(np.float32(rows[index][1]) * 1e4), [index, *tail]))
        best.append(max(reversed(choices), key=lambda choice: choice[0]))
    return best[-1][1]


@pytest.fixture(scope="module")
def tokenize(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], list[int]]]:
    path = tmp_path_factory.mktemp("plamo")
    memory = checkpoint(PLAMO2, vocab_size=640, num_hidden_layers=2)
    bare = Bare(write_gguf(path / "model.gguf", memory, fixture()))
    yield bare.tokenize
    bare.close()


def fixture() -> Rows:
    return [json.loads(line) for line in FIXTURE.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("text", TEXTS)
def test_llama_cpp_splits_as_plamo_does(tokenize: Callable[[str], list[int]], text: str) -> None:
    assert tokenize(text) == best_split(fixture(), text)


def changed(index: int, row: list[Any]) -> Rows:
    return [*ROWS[:index], row, *ROWS[index + 1 :]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (changed(261, ["a"]), "token 261"),
        (changed(261, [7, -1.0]), "token 261"),
        (changed(261, ["a", "b"]), "token 261"),
        (changed(261, ["a", float("nan")]), "score of token 261 is nan"),
        (changed(261, ["a", 1e30]), r"score of token 261 is 1e\+30"),
        (changed(261, ["a", 10**400]), "token 261"),
        (changed(261, ["\ud800", -1.0]), "token 261"),
        (changed(261, ["a\0b", -1.0]), "zero byte"),
        (changed(261, ["a" * 513, -1.0]), "at most 512 bytes"),
        (changed(261, ["a" * 20_000, -1.0]), "token 261"),
        (changed(261, ["the", -1.0]), "is 'the', expected a text of its own"),
        (changed(261, ["[PAD2]", -1.0]), r"is '\[PAD2\]', expected a text of its own"),
        (changed(100, ["x", -1.0, "BYTE"]), "BYTE"),
        (changed(100, ["x", -1.0]), "<0x5F>"),
        (changed(261, ["<0x0a>", -1.0, "BYTE"]), "BYTE"),
        ([ROWS[9], *ROWS[1:9], ROWS[0], *ROWS[10:]], "after the first line"),
        ([*ROWS, *([f"more {index}", -9.0] for index in range(40))], "vocab_size is 300"),
        ([], "BYTE"),
    ],
)
def test_a_vocabulary_that_llama_cpp_cannot_use_is_refused(tmp_path: Path, rows: Rows, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        plamo_vocabulary(folder(tmp_path, rows), with_chat_template=False)


@pytest.mark.parametrize("text", ["<s>", "", 7, ["<|plamo:bos|>"], {"content": None, "x": 1}])
def test_a_special_token_must_be_in_the_vocabulary(tmp_path: Path, text: object) -> None:
    if isinstance(text, dict):  # as if there were none
        keys = plamo_vocabulary(folder(tmp_path, bos_token=text), with_chat_template=False)
        assert "tokenizer.ggml.bos_token_id" not in {meta.key for meta in keys}
        return
    with pytest.raises(CheckpointError, match="bos_token"):
        plamo_vocabulary(folder(tmp_path, bos_token=text), with_chat_template=False)


def test_special_tokens_may_be_objects(tmp_path: Path) -> None:
    entry = {"__type": "AddedToken", "content": "<|plamo:eos|>", "special": True}
    keys = plamo_vocabulary(folder(tmp_path, eos_token=entry), with_chat_template=False)
    assert next(meta.value for meta in keys if meta.key == "tokenizer.ggml.eos_token_id") == 2


@pytest.mark.parametrize("template", [7, {"a": 1}, "x" * (2**20 + 1)])
def test_a_template_must_be_text(tmp_path: Path, template: object) -> None:
    with pytest.raises(CheckpointError, match="chat template"):
        plamo_vocabulary(folder(tmp_path, chat_template=template), with_chat_template=True)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(CheckpointError, match=r"no tokenizer\.jsonl"):
        plamo_vocabulary(checkpoint(PLAMO2), with_chat_template=False)


def test_an_unreadable_file_is_an_error_of_the_checkpoint(tmp_path: Path) -> None:
    memory = folder(tmp_path)
    memory.files = {**memory.files, "tokenizer.jsonl": tmp_path}
    with pytest.raises(CheckpointError, match="cannot be read"):
        plamo_vocabulary(memory, with_chat_template=False)


@pytest.mark.parametrize("n_vocab", [None, 0, 271, True, 2**40, "300"])
def test_rows_of_the_embedding_must_hold_the_tokens(tmp_path: Path, n_vocab: object) -> None:
    memory = folder(tmp_path)
    memory.config = {**memory.config, "vocab_size": n_vocab}
    with pytest.raises(CheckpointError, match="vocab_size"):
        plamo_vocabulary(memory, with_chat_template=False)


@given(st.binary(max_size=60))
def test_any_line_is_a_token_or_an_error(tmp_path_factory: pytest.TempPathFactory, line: bytes) -> None:
    path = tmp_path_factory.mktemp("plamo")
    memory = folder(path)
    with (path / "tokenizer.jsonl").open("ab") as file:
        file.write(line)
    try:
        keys = plamo_vocabulary(memory, with_chat_template=False)
    except CheckpointError:
        return
    assert len(keys[2].value) == 300
