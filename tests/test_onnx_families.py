"""What `quantize` makes of one checkpoint, as ONNX and as GGUF, answers the same: two engines, one session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeai import Session
from edgeai.backends.base import Finished, GenerateRequest, ModelInfo, Scored, ScoreItem
from edgeai.backends.onnx_graph import read_graph
from edgeai.onnx_folder import read_folder
from edgeai.options import SamplingOptions
from quantize.cli import main
from tests.quantize.tiny_checkpoints import tiny_checkpoint

TEXT = "Hello, world 日本語 <|im_end|></s>"


ITEMS = [ScoreItem(range(9, 30), [[3], [4, 5, 6], [4, 7]]), ScoreItem([8], [range(3, 45)])]


def answers(path: Path, **options: Any) -> tuple[list[Any], list[float], ModelInfo]:
    """Greedy tokens after several prompts and the ids of a text, log-probabilities, and what is known of the model."""
    with Session(path, n_ctx=128, n_threads=1, n_batch=16, isolation="none", **options) as session:
        backend = session._backend
        found: list[Any] = [backend.tokenize(TEXT, add_special=True), backend.tokenize(TEXT, parse_special=True)]
        for start in (3, 40):
            request = GenerateRequest(range(start, start + 21), SamplingOptions(temperature=0, max_tokens=8))
            *_, last = backend.generate(request)
            assert isinstance(last, Finished)
            found.append(last.tokens)
        scored: dict[int, Scored] = {}
        session.scoring.score(range(40, 60), ITEMS, scored)
        return found, [*scored[0].log_probs, *scored[1].log_probs], session.info


@pytest.mark.parametrize("kind", ["smollm2", "phi3.5", "gemma3", "qwen3", "plamo", "plamo3"])
def test_onnx_and_gguf_of_one_checkpoint_answer_the_same(kind: str, tmp_path: Path) -> None:
    folder, gguf, onnx = tmp_path / "checkpoint", tmp_path / "model.gguf", tmp_path / "onnx"
    tiny_checkpoint(folder, kind)
    for arguments in (["--ftype", "F32", "-o", str(gguf)], ["--format", "onnx", "--bits", "32", "-o", str(onnx)]):
        assert main([str(folder), *arguments]) == 0
    theirs, their_log_probs, gguf_info = answers(gguf, type_k="f32", type_v="f32")
    ours, our_log_probs, onnx_info = answers(onnx)
    assert ours == theirs
    assert read_graph(read_folder(onnx)).begin, "it can be asked for all logits"
    assert our_log_probs == pytest.approx(their_log_probs, rel=1e-3)
    for name in ("name", "architecture", "n_ctx_train", "n_vocab", "n_params", "bos_token", "eos_token", "add_bos"):
        assert getattr(onnx_info, name) == getattr(gguf_info, name), name
    assert onnx_info.chat_template == gguf_info.chat_template
