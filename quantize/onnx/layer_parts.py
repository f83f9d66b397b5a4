"""One layer of a decoder, out of the tensors of a model in GGUF's form."""

from __future__ import annotations

from dataclasses import dataclass

from edgeai.errors import UnsupportedArchitectureError
from quantize.onnx.parts import Layer, Linear
from quantize.onnx.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerShape:
    """What all layers of a model have in common: sizes, the order of the rows of each head of queries and keys, and
    which parts there are (see `quantize.onnx.decoder`)."""

    n_embd: int
    n_heads: int
    n_heads_kv: int
    head_dim: int
    n_ff: int
    order: tuple[int, ...] | None
    gated: bool
    parallel: bool
    head_norms: bool
    post_norms: bool


def layer_of(source: Source, index: int, shape: LayerShape, *, rope: int, window: int | None) -> Layer:
    """The layer of a number.

    Raises:
        CheckpointError: a tensor is missing or has another shape.
    """
    at, n_embd = f"blk.{index}", shape.n_embd
    q, k, v = _queries_keys_values(source, at, shape)
    gate, up = _gate_and_up(source, at, shape)
    is_biased = {bool(linear.bias) for linear in (q, k, v)}
    if len(is_biased) > 1:
        raise UnsupportedArchitectureError(
            f"{at} has biases on some of queries, keys and values: make a GGUF of it with --format gguf"
        )
    return Layer(
        attention_norm=source.norm(f"{at}.attn_norm", n_embd),
        q=q,
        k=k,
        v=v,
        q_norm=source.norm(f"{at}.attn_q_norm", shape.head_dim, shape.order) if shape.head_norms else None,
        k_norm=source.norm(f"{at}.attn_k_norm", shape.head_dim, shape.order) if shape.head_norms else None,
        attention_output=source.linear(f"{at}.attn_output", n_embd, shape.n_heads * shape.head_dim),
        post_attention_norm=source.norm(f"{at}.post_attention_norm", n_embd) if shape.post_norms else None,
        ffn_norm=None if shape.parallel else source.norm(f"{at}.ffn_norm", n_embd),
        gate=gate,
        up=up,
        down=source.linear(f"{at}.ffn_down", n_embd, shape.n_ff),
        post_ffn_norm=source.norm(f"{at}.post_ffw_norm", n_embd) if shape.post_norms else None,
        rope=rope,
        window=window,
    )


def _queries_keys_values(source: Source, at: str, shape: LayerShape) -> tuple[Linear, Linear, Linear]:
    """From one tensor each, or all from one."""
    n_q, n_kv = shape.n_heads * shape.head_dim, shape.n_heads_kv * shape.head_dim
    if not source.has(f"{at}.attn_qkv.weight"):
        return (
            source.linear(f"{at}.attn_q", n_q, shape.n_embd, shape.order),
            source.linear(f"{at}.attn_k", n_kv, shape.n_embd, shape.order),
            source.linear(f"{at}.attn_v", n_kv, shape.n_embd),
        )

    def part(name: str, start: int, stop: int, order: tuple[int, ...] | None = None) -> Linear:
        return source.part_of_linear(
            f"{at}.attn_{name}", f"{at}.attn_qkv", n_q + 2 * n_kv, shape.n_embd, start, stop, order
        )

    return (
        part("q", 0, n_q, shape.order),
        part("k", n_q, n_q + n_kv, shape.order),
        part("v", n_q + n_kv, n_q + 2 * n_kv),
    )


def _gate_and_up(source: Source, at: str, shape: LayerShape) -> tuple[Linear | None, Linear]:
    """Where no tensor of its own holds the gate, the upper half of the other is it."""
    up, n_ff = f"{at}.ffn_up", shape.n_ff
    if not shape.gated:
        return None, source.linear(up, n_ff, shape.n_embd)
    if source.has(f"{at}.ffn_gate.weight"):
        return source.linear(f"{at}.ffn_gate", n_ff, shape.n_embd), source.linear(up, n_ff, shape.n_embd)
    return (
        source.part_of_linear(f"{at}.ffn_gate", up, 2 * n_ff, shape.n_embd, 0, n_ff),
        source.part_of_linear(up, up, 2 * n_ff, shape.n_embd, n_ff, 2 * n_ff),
    )
