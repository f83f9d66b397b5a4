"""The real model, SmolLM2-135M-Instruct, greedily."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from quantize.pipeline import open_model
from tests.quantize.make_onnx_oracle import GREEDY, N_NEW
from tests.quantize.onnx.running import Runner, at_all_positions, written

pytestmark = pytest.mark.weights


def test_floats_write_what_transformers_does(smollm2_folder: Path, tmp_path: Path) -> None:
    texts = json.loads(GREEDY.read_text(encoding="utf-8"))["texts"]
    assert len(texts) == 20
    folder = written(open_model(smollm2_folder), tmp_path / "out", bits=32)
    everywhere = Runner(folder, 128, at_all_positions(folder))
    for each in texts:  # read at once: what is most probable after the prompt, and after each token of the answer
        everywhere.n_past = 0
        found = everywhere.logits(each["prompt"] + each["written"][:-1])
        assert found[-N_NEW:].argmax(axis=1).tolist() == each["written"]
    one_by_one = Runner(folder, 128)
    for each in texts[:1]:
        assert one_by_one.greedy(each["prompt"], N_NEW) == each["written"]


def test_at_4_bits_it_knows_the_capital_of_france(smollm2_folder: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(smollm2_folder / "tokenizer.json"))
    question = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    runner = Runner(written(open_model(smollm2_folder), tmp_path / "out", bits=4), 128)
    assert "Paris" in tokenizer.decode(runner.greedy(tokenizer.encode(question).ids, 12))
