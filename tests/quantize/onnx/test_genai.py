"""genai_config.json: what ONNX Runtime GenAI and our Session read of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFValueType

from edgeai.errors import CheckpointError
from quantize.base import Meta
from quantize.checkpoint import Checkpoint
from quantize.onnx.decoder import decoder_of
from quantize.onnx.genai import end_tokens, genai_config
from quantize.onnx.tokenizer_files import adds_bos
from quantize.pipeline import open_model
from tests.quantize.tiny_checkpoints import case_checkpoint


def config_of(folder: Path) -> dict[str, Any]:
    model = open_model(folder)
    ends = end_tokens(model.metadata, Checkpoint.open(folder))
    return genai_config(decoder_of(model.metadata, model.tensors), model.metadata, ends)


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        *(("llama", "llama"), ("qwen2.5", "qwen2"), ("qwen3", "qwen3"), ("phi2", "phi"), ("phi3.5", "phi3")),
        *(("gemma3", "gemma3_text"), ("plamo3", "decoder"), ("qwen3-vl", "qwen3")),
    ],
)
def test_architectures_have_its_own_names(case: str, kind: str, tmp_path: Path) -> None:
    assert config_of(case_checkpoint(tmp_path, case))["model"]["type"] == kind


def test_how_its_makers_sample_is_kept(tmp_path: Path) -> None:
    search = config_of(case_checkpoint(tmp_path, "qwen3"))["search"]
    found = {name: round(search[name], 6) for name in ("temperature", "top_k", "top_p", "repetition_penalty")}
    assert found == {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.05}
    assert search["past_present_share_buffer"] is True


def _tokens(texts: list[str], kinds: list[int], **ids: int) -> list[Meta]:
    array, u32 = GGUFValueType.ARRAY, GGUFValueType.UINT32
    return [
        Meta("tokenizer.ggml.tokens", texts, array, GGUFValueType.STRING),
        Meta("tokenizer.ggml.token_type", kinds, array, GGUFValueType.INT32),
        *(Meta(f"tokenizer.ggml.{name}_token_id", index, u32) for name, index in ids.items()),
    ]


def test_ends_are_the_named_ones_and_known_control_tokens() -> None:
    control, normal = 3, 1
    texts = ["<s>", "</s>", "<|im_end|>", "<|end|>", "word"]
    found = end_tokens(_tokens(texts, [control, control, control, normal, normal], eos=1, eot=2), None)
    assert found == [1, 2]  # text that only looks like an end of a turn is text


def test_a_vocabulary_without_an_end_is_refused() -> None:
    with pytest.raises(CheckpointError, match="no token ends a text"):
        end_tokens(_tokens(["a", "b"], [1, 1], eos=7), None)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"tokenizer.ggml.add_bos_token": False, "tokenizer.ggml.model": "llama"}, False),
        ({"tokenizer.ggml.model": "llama"}, True),
        ({"tokenizer.ggml.model": "gpt2"}, False),
        ({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "llama-bpe"}, True),
    ],
)
def test_whether_a_text_begins_with_bos_is_llama_cpps_rule(keys: dict[str, Any], expected: bool) -> None:
    assert adds_bos([Meta(key, value, GGUFValueType.STRING) for key, value in keys.items()]) is expected
