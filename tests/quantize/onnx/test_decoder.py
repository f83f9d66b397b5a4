"""What cannot become a graph is refused in one clear line, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFValueType

from edgeai.errors import CheckpointError, EdgeAIError, UnsupportedArchitectureError
from quantize.base import F32, Meta, Tensor
from quantize.onnx.decoder import decoder_of
from quantize.onnx.rope import Rope, head_order, plain
from quantize.pipeline import Model, open_model
from tests.quantize.tiny_checkpoints import tiny_checkpoint

U32, TEXT = GGUFValueType.UINT32, GGUFValueType.STRING


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return open_model(tiny_checkpoint(tmp_path_factory.mktemp("llama") / "model", "llama"))


def changed(model: Model, **values: Any) -> Model:
    """With other keys; None takes a key away. `__` stands for a dot."""
    new = {name.replace("__", "."): value for name, value in values.items()}
    kept = [meta for meta in model.metadata if meta.key not in new]
    return replace(model, metadata=[*kept, *(Meta(key, value, U32) for key, value in new.items() if value is not None)])


def zeros(name: str, *shape: int) -> Tensor:
    def read() -> F32:
        return np.zeros(shape, np.float32)

    return Tensor(name, shape, "F32", read)


def test_the_description_of_a_llama(llama: Model) -> None:
    decoder = decoder_of(llama.metadata, llama.tensors)
    assert (decoder.arch, decoder.n_layers, decoder.n_embd, decoder.n_vocab) == ("llama", 2, 256, 512)
    assert (decoder.n_heads, decoder.n_heads_kv, decoder.head_dim, decoder.n_ctx_train) == (4, 2, 64, 512)
    assert not decoder.is_tied
    assert decoder.layers[0].q.rows[0].order is not None  # its neighbours turn together
    assert decoder.layers[0].window is None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"general__architecture": "mamba"}, r"'mamba' cannot become ONNX, expected one of gemma2.*--format gguf"),
        ({"general__architecture": "plamo2"}, "PLaMo 2 has recurrent layers"),
        ({"general__architecture": None}, "the architecture '' cannot become ONNX"),
        ({"llama__expert_count": 8}, "mixture of experts"),
        ({"llama__attention__causal": False}, "an encoder"),
        ({"llama__attention__key_length": 24, "llama__attention__value_length": 24}, "heads of width 24"),
        ({"llama__attention__value_length": 32}, "differ in width"),
        ({"llama__rope__scaling__type": "su"}, "rope.scaling.type = su"),
    ],
)
def test_what_the_operators_cannot_compute_is_named(llama: Model, values: dict[str, Any], expected: str) -> None:
    model = changed(llama, **values)
    with pytest.raises(UnsupportedArchitectureError, match=expected) as info:
        decoder_of(model.metadata, model.tensors)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("block_count", 0),
        ("block_count", 3),
        ("block_count", 100_000),
        ("block_count", [2, 2]),
        ("block_count", None),
        ("embedding_length", 2**40),
        ("embedding_length", 128),
        ("attention__head_count", np.array([4, 4])),
        ("attention__head_count", True),
        ("attention__head_count_kv", 3),
        ("attention__layer_norm_rms_epsilon", -1.0),
        ("attention__layer_norm_rms_epsilon", float("nan")),
        ("feed_forward_length", "320\n"),
        ("context_length", 0),
        ("rope__dimension_count", 63),
        ("rope__dimension_count", 66),
        ("rope__freq_base", 1.0),
        ("rope__freq_base", float("inf")),
    ],
)
def test_senseless_keys_are_refused(llama: Model, key: str, value: Any) -> None:
    model = changed(llama, **{f"llama__{key}": value})
    with pytest.raises(CheckpointError) as info:
        decoder_of(model.metadata, model.tensors)
    assert "\n" not in str(info.value)


def test_tensors_must_be_those_of_the_graph(llama: Model) -> None:
    one = next(tensor for tensor in llama.tensors if tensor.name == "blk.1.ffn_up.weight")
    others = [tensor for tensor in llama.tensors if tensor is not one]
    with pytest.raises(CheckpointError, match=r"lacks the tensor blk\.1\.ffn_up\.weight"):
        decoder_of(llama.metadata, others)
    with pytest.raises(CheckpointError, match=r"blk\.1\.ffn_up\.weight has the shape \[320, 128\], expected"):
        decoder_of(llama.metadata, [*others, zeros(one.name, 320, 128)])
    with pytest.raises(UnsupportedArchitectureError, match=r"blk\.0\.surprise\.weight is no part"):
        decoder_of(llama.metadata, [*llama.tensors, zeros("blk.0.surprise.weight", 4)])
    with pytest.raises(UnsupportedArchitectureError, match="mixture of experts"):
        decoder_of(llama.metadata, [*llama.tensors, zeros("blk.0.ffn_gate_inp.weight", 4, 256)])
    with pytest.raises(UnsupportedArchitectureError, match="biases on some"):
        decoder_of(llama.metadata, [*llama.tensors, zeros("blk.0.attn_q.bias", 256)])
    with pytest.raises(CheckpointError, match="rope_freqs"):
        decoder_of(llama.metadata, [*llama.tensors, zeros("rope_freqs.weight", 32)])


@pytest.mark.parametrize("kind", ["llama", "phi3.5", "gemma3", "plamo3"])
def test_whatever_a_key_holds_the_error_is_ours(kind: str, tmp_path: Path) -> None:
    model = open_model(tiny_checkpoint(tmp_path / "model", kind))
    values: tuple[Any, ...] = (
        0,
        -1,
        2**31 - 1,
        2**64,
        1e-40,
        1e300,
        float("nan"),
        "",
        "x" * 10_000,
        b"\xff",
        [1],
        [],
        np.zeros(3),
        None,
        True,
    )
    keys = [meta.key for meta in model.metadata if not meta.key.startswith("tokenizer.")]
    refused = [message for key in keys for value in values if (message := error_of(changed(model, **{key: value})))]
    assert len(refused) > 50
    assert max(map(len, refused)) < 400
    assert not any("\n" in message for message in refused)


def error_of(model: Model) -> str:
    """The message of what is refused, which is one of ours."""
    try:
        decoder_of(model.metadata, model.tensors)
    except EdgeAIError as exc:
        return str(exc)
    return ""


def test_a_very_long_context_has_no_larger_tables(llama: Model) -> None:
    model = changed(llama, llama__context_length=2**31 - 1)
    assert decoder_of(model.metadata, model.tensors).n_ctx_train == 131_072


def test_plamo2_is_refused_by_name(tmp_path: Path) -> None:
    model = open_model(tiny_checkpoint(tmp_path / "model", "plamo2"))
    with pytest.raises(UnsupportedArchitectureError, match="Mamba"):
        decoder_of(model.metadata, model.tensors)


def scores(q: F32, k: F32, position_q: int, position_k: int, rotated: Callable[[F32, int], F32]) -> float:
    return float(rotated(q, position_q) @ rotated(k, position_k))


@pytest.mark.parametrize(("n_rot", "neighbours"), [(32, False), (32, True), (16, False), (16, True), (24, False)])
def test_the_order_of_a_head_changes_no_score(n_rot: int, neighbours: bool) -> None:
    """Turned as the model says, and in the new order as GroupQueryAttention does, two vectors have one product."""
    width = 32
    q, k = np.random.default_rng(0).standard_normal((2, width)).astype(np.float32)
    frequencies = plain(100.0, n_rot)
    rope = Rope(frequencies, width // 2, 16)
    cos, sin = rope.table("cos", 0, 16), rope.table("sin", 0, 16)
    order = list(head_order(width, n_rot, neighbours=neighbours) or range(width))

    def as_the_model(x: F32, position: int) -> F32:
        turned: F32 = x.copy()
        for pair, frequency in enumerate(frequencies):
            a, b = (2 * pair, 2 * pair + 1) if neighbours else (pair, pair + n_rot // 2)
            c, s = np.cos(position * frequency), np.sin(position * frequency)
            turned[a], turned[b] = x[a] * c - x[b] * s, x[b] * c + x[a] * s
        return turned

    def as_the_operator(x: F32, position: int) -> F32:
        first, second = np.split(x[order], 2)
        c, s = cos[position], sin[position]
        turned: F32 = np.concatenate([first * c - second * s, second * c + first * s])
        return turned

    for places in ((0, 0), (3, 1), (15, 2)):
        assert scores(q, k, *places, as_the_operator) == pytest.approx(scores(q, k, *places, as_the_model), abs=1e-4)
