"""A model in GGUF's form, as `quantize.pipeline.open_model` gives it, described as a decoder that a graph can compute.

    decoder = decoder_of(model.metadata, model.tensors)

Families' own transforms are in the tensors already. What is not known here is refused, by name: a tensor or a key that
would be passed over would make another model.

Source: llama.cpp's graphs of the same architectures, by which a GGUF's keys mean what they mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edgeai.errors import CheckpointError, UnsupportedArchitectureError
from quantize.base import Meta, Tensor
from quantize.onnx.layer_parts import LayerShape, layer_of
from quantize.onnx.parts import Decoder, Layer, Linear
from quantize.onnx.rope import Rope, head_order
from quantize.onnx.rope_keys import rope_of, window_rope_of
from quantize.onnx.source import Source

_MAX_LAYERS = 512
_MAX_POSITIONS = 131_072  # tables of more would be larger than many a model
_HEAD_MULTIPLE = 16  # what GroupQueryAttention turns
_MAX_HEAD_DIM = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What an architecture does that its keys do not tell.

    Attributes:
        norm: root mean square or layer norms.
        activation: of the feed-forward network.
        gated: whether there is a gate.
        parallel: attention and feed-forward network beside each other.
        neighbours: neighbouring numbers of a head turn together.
        head_norms: queries and keys are normed.
        post_norms: what attention and feed-forward network add is normed.
        scaled: embeddings are multiplied by the root of their width.
        full_every: so many layers with a window are one without; 0 where all have the same.
        wide_scale: with so many layers, the attention's scale is that of the model's width by heads.
    """

    norm: Literal["rms", "layer"] = "rms"
    activation: Literal["silu", "gelu"] = "silu"
    gated: bool = True
    parallel: bool = False
    neighbours: bool = False
    head_norms: bool = False
    post_norms: bool = False
    scaled: bool = False
    full_every: int = 0
    wide_scale: int = 0


_KINDS: Mapping[str, _Kind] = {
    "llama": _Kind(neighbours=True),
    "qwen2": _Kind(),
    "qwen2vl": _Kind(),  # with text alone a token's time, row and column are one number
    "qwen3": _Kind(head_norms=True),
    "qwen3vl": _Kind(head_norms=True),
    "phi2": _Kind(norm="layer", activation="gelu", gated=False, parallel=True),
    "phi3": _Kind(),
    "gemma2": _Kind(activation="gelu", post_norms=True, scaled=True, full_every=2, wide_scale=46),
    "gemma3": _Kind(activation="gelu", head_norms=True, post_norms=True, scaled=True, full_every=6, wide_scale=62),
    "plamo": _Kind(parallel=True),
    "plamo3": _Kind(head_norms=True, post_norms=True),
}
_RMS_EPSILON = "attention.layer_norm_rms_epsilon"
_REFUSED = {"plamo2": "PLaMo 2 has recurrent layers (Mamba), for which ONNX Runtime has no operator"}


def decoder_of(metadata: Sequence[Meta], tensors: Sequence[Tensor]) -> Decoder:
    """Describe a model.

    Args:
        metadata: its keys.
        tensors: its tensors, by their names in a GGUF. None is read, but for factors of frequencies.
    Raises:
        UnsupportedArchitectureError: its graph is not known, or cannot be computed by the operators.
        CheckpointError: a key or tensor is missing, left over, or makes no sense.
    """
    source = Source(metadata, tensors)
    arch, kind = source.arch, _kind(source)
    n_embd, n_heads = source.whole("embedding_length"), source.whole("attention.head_count")
    head_dim = _head_dim(source, n_embd, n_heads)
    n_ctx = min(source.whole("context_length"), _MAX_POSITIONS)
    n_rot = source.whole("rope.dimension_count", head_dim, at_most=head_dim)
    ropes = _ropes(source, n_rot, head_dim, n_ctx)
    shape = LayerShape(
        n_embd=n_embd,
        n_heads=n_heads,
        n_heads_kv=_n_heads_kv(source, n_heads),
        head_dim=head_dim,
        n_ff=source.whole("feed_forward_length"),
        order=head_order(head_dim, n_rot, neighbours=kind.neighbours),
        gated=kind.gated,
        parallel=kind.parallel,
        head_norms=kind.head_norms,
        post_norms=kind.post_norms,
    )
    n_vocab = source.n_rows("token_embd.weight")
    embeddings = Linear("token_embd", (source.rows("token_embd.weight", (n_vocab, n_embd)),), n_embd)
    decoder = Decoder(
        arch=arch,
        n_layers=source.whole("block_count", at_most=_MAX_LAYERS),
        n_embd=n_embd,
        n_heads=n_heads,
        n_heads_kv=shape.n_heads_kv,
        head_dim=head_dim,
        n_vocab=n_vocab,
        n_ctx_train=n_ctx,
        norm=kind.norm,
        epsilon=source.number("attention.layer_norm_epsilon" if kind.norm == "layer" else _RMS_EPSILON),
        activation=kind.activation,
        embedding_scale=math.sqrt(n_embd) if kind.scaled else None,
        attention_scale=math.sqrt(n_heads / n_embd) if source.whole("block_count") == kind.wide_scale else None,
        attention_softcap=source.number("attn_logit_softcapping", 0.0),
        logit_softcap=source.number("final_logit_softcapping", 0.0),
        ropes=ropes,
        embeddings=embeddings,
        layers=_layers(source, kind, shape, n_ropes=len(ropes), n_ctx=n_ctx),
        output_norm=source.norm("output_norm", n_embd),
        output=_output(source, embeddings, n_vocab, n_embd),
    )
    source.check_left_over()
    return decoder


def _kind(source: Source) -> _Kind:
    known = ", ".join(sorted(_KINDS))
    if source.arch in _REFUSED:
        raise UnsupportedArchitectureError(f"{_REFUSED[source.arch]}: make a GGUF of it with --format gguf")
    if source.arch not in _KINDS:
        raise UnsupportedArchitectureError(
            f"the architecture {source.arch!r} cannot become ONNX, expected one of {known}: "
            "make a GGUF of it with --format gguf"
        )
    if source.whole("expert_count", 0, at_least=0) or source.has("blk.0.ffn_gate_inp.weight"):
        raise UnsupportedArchitectureError(
            f"a mixture of experts ({source.arch}) cannot become ONNX, expected a model with one feed-forward network "
            "a layer: make a GGUF of it with --format gguf"
        )
    if source.value("attention.causal", True) in (False, 0):
        raise UnsupportedArchitectureError(
            "a model whose tokens see later ones (an encoder) writes no text: take another"
        )
    return _KINDS[source.arch]


def _head_dim(source: Source, n_embd: int, n_heads: int) -> int:
    width = source.whole("attention.key_length", max(n_embd // n_heads, 1), at_most=_MAX_HEAD_DIM)
    if source.whole("attention.value_length", width) != width:
        raise UnsupportedArchitectureError(
            "heads whose keys and values differ in width cannot become ONNX: make a GGUF of it with --format gguf"
        )
    if width % _HEAD_MULTIPLE:
        raise UnsupportedArchitectureError(
            f"heads of width {width} cannot become ONNX, expected a multiple of {_HEAD_MULTIPLE}: "
            "make a GGUF of it with --format gguf"
        )
    return width


def _n_heads_kv(source: Source, n_heads: int) -> int:
    n_heads_kv = source.whole("attention.head_count_kv", n_heads)
    if n_heads % n_heads_kv:
        raise CheckpointError(
            f"{n_heads} heads share {n_heads_kv} heads of keys, expected a divisor: fetch the checkpoint again"
        )
    return n_heads_kv


def _ropes(source: Source, n_rot: int, head_dim: int, n_ctx: int) -> tuple[Rope, ...]:
    if n_rot % 2:
        raise CheckpointError(f"{n_rot} numbers of a head turn, expected an even number: fetch the checkpoint again")
    full = rope_of(source, n_rot, head_dim, n_ctx)
    local = window_rope_of(source, n_rot, head_dim, n_ctx)
    return (full,) if local is None or local == full else (full, local)


def _layers(source: Source, kind: _Kind, shape: LayerShape, *, n_ropes: int, n_ctx: int) -> tuple[Layer, ...]:
    window = source.whole("attention.sliding_window", 0, at_least=0)
    every = source.whole("attention.sliding_window_pattern", kind.full_every, at_least=0)
    layers = []
    for index in range(source.whole("block_count", at_most=_MAX_LAYERS)):
        is_full = not window or (bool(every) and index % every == every - 1)
        layers.append(
            layer_of(
                source,
                index,
                shape,
                rope=0 if is_full else n_ropes - 1,
                window=None if is_full or window >= n_ctx else window,
            )
        )
    return tuple(layers)


def _output(source: Source, embeddings: Linear, n_vocab: int, n_embd: int) -> Linear:
    if source.has("output.weight"):
        return source.linear("output", n_vocab, n_embd)
    return Linear("output", embeddings.rows, n_embd)
