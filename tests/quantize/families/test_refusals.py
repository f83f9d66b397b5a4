"""What the Llama-like families do with a config.json or tensors that make no sense or that llama.cpp cannot compute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeai.errors import CheckpointError, QuantizeError, UnsupportedArchitectureError
from quantize.base import Checkpoint, Tensor
from quantize.families import FAMILIES, family_of
from quantize.families.common import architecture
from tests.quantize import tiny_families
from tests.quantize.families.real_configs import REAL_CONFIGS
from tests.quantize.plamo_memory import MemoryCheckpoint
from tests.quantize.tiny_checkpoints import KINDS

TINY = {name: kind for name, kind in KINDS.items() if not name.startswith("plamo") and kind.preprocessor is None}
LLAMA, QWEN3, PHI3, GEMMA3 = "llama-llama3", "qwen3", "phi3.5", "gemma3"


def never() -> NoReturn:
    raise AssertionError("a tensor was read before it was asked for")


def tiny(name: str, **changes: Any) -> MemoryCheckpoint:
    """A tiny checkpoint's config with changes, and its own tensors, of which none can be read."""
    config = TINY[name].config()
    stored = {key: Tensor(key, each.shape, "BF16", never) for key, each in TINY[name].tensors(config).items()}
    return MemoryCheckpoint(config | changes, stored, files={})


def convert(checkpoint: Checkpoint) -> None:
    family = family_of(checkpoint.config)
    family.metadata(checkpoint)
    family.tensors(checkpoint)


def refusal(checkpoint: Checkpoint) -> str:
    """The message of the error that it gives; empty where it gives none."""
    try:
        convert(checkpoint)
    except QuantizeError as exc:
        return str(exc)
    return ""


@pytest.fixture(autouse=True)
def _tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gemma 3 asks how many tokens there are."""
    of_token = {"model": {"vocab": {str(token): token for token in range(600)}}, "added_tokens": []}
    monkeypatch.setattr(MemoryCheckpoint, "json", lambda _, name: of_token if name == "tokenizer.json" else None)


@pytest.mark.parametrize("name", TINY)
def test_nothing_is_read_before_it_is_asked_for(name: str) -> None:
    convert(tiny(name))


@pytest.mark.parametrize("name", TINY)
def test_a_tensor_too_few_is_named(name: str) -> None:
    whole = tiny(name)
    for missing in whole.tensors:
        fewer = {other: tensor for other, tensor in whole.tensors.items() if other != missing}
        with pytest.raises(CheckpointError, match=missing.replace(".", r"\.")):
            convert(MemoryCheckpoint(whole.config, fewer))


@pytest.mark.parametrize("name", TINY)
def test_a_tensor_too_many_is_named(name: str) -> None:
    extra = {"model.layers.0.surprise.weight": Tensor("model.layers.0.surprise.weight", (1,), "F32", never)}
    with pytest.raises(CheckpointError, match=r"layers\.0\.surprise"):
        convert(tiny(name).but(tensors=extra))


@pytest.mark.parametrize("name", TINY)
def test_a_tensor_of_another_shape_is_named(name: str) -> None:
    whole = tiny(name)
    for key, tensor in whole.tensors.items():
        wrong = {key: Tensor(key, (*tensor.shape[:-1], tensor.shape[-1] + 2), "BF16", never)}
        with pytest.raises(CheckpointError, match=r"has the shape .* expected"):
            convert(whole.but(tensors=wrong))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
ROPE_KEYS = [
    *("type", "rope_type", "rope_theta", "factor", "low_freq_factor", "high_freq_factor", "beta_fast"),
    *("attention_factor", "short_factor", "long_factor", "original_max_position_embeddings"),
    *("partial_rotary_factor", "full_attention", "sliding_attention"),
]
KEYS = sorted(
    {key for kind in TINY.values() for key in kind.config()} | {"text_config", "rope_parameters", "is_causal"}
)


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(sorted(TINY)), st.dictionaries(st.sampled_from(KEYS), JSON, min_size=1, max_size=4))
def test_whatever_a_config_says_the_error_is_ours(name: str, changes: dict[str, Any]) -> None:
    message = refusal(tiny(name, **changes))
    assert "\n" not in message
    assert len(message) < 1000


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([LLAMA, "llama-yarn", PHI3, GEMMA3]),
    st.sampled_from(["rope_scaling", "rope_parameters"]),
    st.dictionaries(
        st.sampled_from(ROPE_KEYS),
        st.sampled_from(["default", "linear", "llama3", "yarn", "longrope", "su"]) | JSON,
    ),
)
def test_whatever_the_rotary_embedding_says_the_error_is_ours(name: str, key: str, rope: dict[str, Any]) -> None:
    message = refusal(tiny(name, **{"rope_scaling": None, key: rope}))
    assert "\n" not in message
    assert len(message) < 1000


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (LLAMA, {"num_hidden_layers": 10**9}, "num_hidden_layers = 1000000000"),
        (LLAMA, {"num_attention_heads": 0}, "num_attention_heads = 0"),
        (LLAMA, {"head_dim": 33}, "width 33"),
        (LLAMA, {"head_dim": None, "num_attention_heads": 3}, "num_attention_heads = 3"),
        (LLAMA, {"rope_scaling": "llama3"}, "rope_parameters = llama3"),
        (LLAMA, {"rope_scaling": {"rope_type": "longrope"}}, "rope_type = longrope"),
        (LLAMA, {"rope_scaling": {"rope_type": "linear"}}, "factor = None"),
        (LLAMA, {"rope_scaling": {"rope_type": "yarn", "factor": -4}}, "factor = -4"),
        (LLAMA, {"rope_scaling": {"rope_type": "llama3", "low_freq_factor": 4.0}}, "high_freq_factor = 4.0"),
        (LLAMA, {"rope_scaling": {"rope_type": "llama3", "factor": 1e39}}, "factor = 1e|rope_scaling: its numbers"),
        (QWEN3, {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rope_type = llama3"),
        (QWEN3, {"rms_norm_eps": float("nan")}, "rms_norm_eps = nan"),
        ("phi2", {"rope_theta": 50000.0}, "rope_theta = 50000"),
        ("phi2", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type = linear"),
        ("phi2", {"partial_rotary_factor": 0.01}, "partial_rotary_factor = 0.01"),
        ("phi2", {"partial_rotary_factor": 1.5}, "partial_rotary_factor = 1.5"),
        (PHI3, {"rope_scaling": {"type": "longrope", "long_factor": [1.0]}}, "long_factor = "),
        (PHI3, {"rope_scaling": {"type": "longrope", "long_factor": ["1"] * 16}}, "long_factor = "),
        (PHI3, {"rope_scaling": {"type": "longrope", "long_factor": [10**400] * 16}}, "long_factor = "),
        ("gemma2", {"rope_theta": 20000.0}, "rope_theta = 20000"),
        ("gemma2", {"attn_logit_softcapping": None}, "attn_logit_softcapping = None"),
        (GEMMA3, {"layer_types": ["full_attention"] * 6}, "layer_types"),
        (GEMMA3, {"sliding_window_pattern": 2}, "layer_types"),
        (GEMMA3, {"query_pre_attn_scalar": 256}, "query_pre_attn_scalar = 256, expected 32"),
        (GEMMA3, {"rope_scaling": {"rope_type": "yarn", "factor": 8.0}}, "rope_type = yarn"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        convert(tiny(name, **changes))


def test_gemma2_has_no_output_of_its_own() -> None:
    whole = tiny("gemma2")
    extra = {"lm_head.weight": Tensor("lm_head.weight", (576, 64), "BF16", never)}
    found = family_of(whole.config).tensors(whole.but(tensors=extra))
    assert "output.weight" not in [tensor.name for tensor in found]


@pytest.mark.parametrize("prefix", ["model.language_model.", "language_model.model."])
def test_the_text_part_of_a_gemma3_that_sees_pictures_is_found_in_both_layouts(prefix: str) -> None:
    config = REAL_CONFIGS["gemma_3_4b"]
    text = {**REAL_CONFIGS["gemma_3_1b"], **config["text_config"], "num_attention_heads": 8, "num_key_value_heads": 4}
    weights = tiny_families.decoder_tensors({**text, "vocab_size": 262208})
    names = [name.replace("model.", prefix, 1) for name in weights]
    stored = {new: Tensor(new, weights[old].shape, "BF16", never) for new, old in zip(names, weights, strict=True)}
    pictures = ("vision_tower.vision_model.post_layernorm.bias", "multi_modal_projector.mm_soft_emb_norm.weight")
    stored |= {name: Tensor(name, (4,), "BF16", never) for name in pictures}
    found = {tensor.name: tensor.shape for tensor in family_of(config).tensors(MemoryCheckpoint(config, stored))}
    assert len(found) == len(weights)
    assert found["token_embd.weight"] == (600, 2560)  # of 262,208 rows, 600 stand for tokens
    assert found["blk.33.attn_q.weight"] == (2048, 2560)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"architectures": []},
        {"architectures": "LlamaForCausalLM"},
        {"architectures": [{}]},
        {"architectures": ["X"]},
    ],
)
def test_an_unknown_architecture_is_told_which_are_known(config: Mapping[str, Any]) -> None:
    with pytest.raises(UnsupportedArchitectureError) as caught:
        family_of(config)
    assert all(name in str(caught.value) for family in FAMILIES for name in family.architectures)
    assert "--converter" in str(caught.value)


def test_a_plamo_2_that_is_called_plamo_is_known_by_its_type() -> None:
    assert family_of({"architectures": ["PlamoForCausalLM"], "model_type": "plamo2"}).arch == "plamo2"
    assert family_of({"architectures": ["PlamoForCausalLM"], "model_type": "plamo3"}).arch == "plamo3"
    assert family_of({"architectures": ["PlamoForCausalLM"], "model_type": "plamo"}).arch == "plamo"
    assert family_of({"architectures": ["LlamaForCausalLM"], "model_type": "plamo2"}).arch == "llama"


def test_no_two_families_claim_an_architecture() -> None:
    names = [name for family in FAMILIES for name in family.architectures]
    assert len(names) == len(set(names))


def test_a_text_parts_own_architecture_counts() -> None:
    text = {"architectures": ["Gemma3ForCausalLM"]}
    assert architecture({"architectures": ["Other"], "text_config": text}) == "Gemma3ForCausalLM"
    assert architecture({"architectures": ["Other"], "text_config": [1]}) == "Other"


def test_an_embedder_is_refused() -> None:
    modules = {"modules.json": Path("modules.json")}
    with pytest.raises(UnsupportedArchitectureError, match="sentence embedder"):
        convert(MemoryCheckpoint(tiny(QWEN3).config, {}, files=modules))
    with pytest.raises(UnsupportedArchitectureError, match="Reranker"):
        convert(MemoryCheckpoint(tiny(QWEN3).config, {}, Path("Qwen3-Reranker-0.6B")))
