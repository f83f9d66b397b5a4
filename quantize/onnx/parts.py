"""What a decoder is made of, as the graph's builder and writer need it: no weights are in memory yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quantize.base import Tensor
from quantize.onnx.rope import Rope


@dataclass(frozen=True, slots=True)
class Rows:
    """Neighbouring rows of a tensor, or elements of a vector.

    Attributes:
        tensor: it.
        start: the first.
        stop: the one after the last.
        order: the order in which the rows of each head are to be, where it is another.
    """

    tensor: Tensor
    start: int
    stop: int
    order: tuple[int, ...] | None = None

    def __len__(self) -> int:
        """How many."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Linear:
    """A matrix that a token's vector goes through, of rows from one tensor or several.

    Attributes:
        name: "blk.0.attn_q", as in the GGUF; of joined ones a new name.
        rows: its rows, those of each tensor below those of the one before.
        n_in: its columns.
        bias: what is added, in the same order; empty where there is none.
    """

    name: str
    rows: tuple[Rows, ...]
    n_in: int
    bias: tuple[Rows, ...] = ()

    @property
    def n_out(self) -> int:
        """Its rows."""
        return sum(map(len, self.rows))


@dataclass(frozen=True, slots=True)
class Norm:
    """The weights of a norm, and its bias where it has one."""

    name: str
    weight: Rows
    bias: Rows | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer.

    Attributes:
        attention_norm: before the attention; where the layer is parallel, before the feed-forward network too.
        q, k, v: queries, keys, values.
        q_norm, k_norm: of each head.
        attention_output: after the attention.
        post_attention_norm: of what the attention adds.
        ffn_norm: before the feed-forward network; None where the layer is parallel.
        gate: goes through the activation, and is multiplied with `up`; None where `up` itself goes through it.
        up, down: into the feed-forward network and out of it.
        post_ffn_norm: of what the feed-forward network adds.
        rope: which of the decoder's.
        window: tokens that are seen, the present one with them (before onnxruntime 1.23 one more); None for all.
    """

    attention_norm: Norm
    q: Linear
    k: Linear
    v: Linear
    attention_output: Linear
    up: Linear
    down: Linear
    gate: Linear | None
    ffn_norm: Norm | None
    q_norm: Norm | None = None
    k_norm: Norm | None = None
    post_attention_norm: Norm | None = None
    post_ffn_norm: Norm | None = None
    rope: int = 0
    window: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """What a graph computes.

    Attributes:
        arch: llama.cpp's name of the architecture.
        n_layers, n_embd, n_heads, n_heads_kv, head_dim, n_vocab: its sizes.
        n_ctx_train: positions that there are turns for.
        norm: "rms", or "layer" for layer norms.
        epsilon: of all norms.
        activation: of the feed-forward networks; "gelu" by its approximation with tanh.
        embedding_scale: what embeddings are multiplied with.
        attention_scale: what queries times keys are multiplied with; None for 1 / sqrt(head_dim).
        attention_softcap, logit_softcap: the largest size that scores are squeezed to; 0 for none.
        ropes: the turns of positions; a second one where layers with a window have their own.
        embeddings: of the tokens.
        layers: in order.
        output_norm: after the last layer.
        output: the head. Its rows are those of the embeddings where both are one.
    """

    arch: str
    n_layers: int
    n_embd: int
    n_heads: int
    n_heads_kv: int
    head_dim: int
    n_vocab: int
    n_ctx_train: int
    norm: Literal["rms", "layer"]
    epsilon: float
    activation: Literal["silu", "gelu"]
    embedding_scale: float | None
    attention_scale: float | None
    attention_softcap: float
    logit_softcap: float
    ropes: tuple[Rope, ...]
    embeddings: Linear
    layers: tuple[Layer, ...]
    output_norm: Norm
    output: Linear

    @property
    def is_tied(self) -> bool:
        """Whether the head is the embeddings."""
        return self.output.rows == self.embeddings.rows


def joined(name: str, *linears: Linear) -> Linear:
    """One matrix instead of several that take the same vector; either all have a bias or none."""
    rows = tuple(rows for linear in linears for rows in linear.rows)
    return Linear(name, rows, linears[0].n_in, tuple(rows for linear in linears for rows in linear.bias))
