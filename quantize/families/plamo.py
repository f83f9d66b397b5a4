"""PLaMo (13B class): plain attention with shared key and value heads, and a feed-forward network beside it."""

from __future__ import annotations

from collections.abc import Sequence

from edgeai.errors import CheckpointError
from quantize.base import Checkpoint, Meta, Tensor
from quantize.families.common import Config, arranged_decoder, complete, feed_forward, n_layer
from quantize.families.parts import Part, Values, f32, number, u32, whole
from quantize.families.plamo_model import plamo_model
from quantize.families.rope import require_plain, rope_parameters

_N_CTX = 4096  # not in config.json: the length that PLaMo was trained with
_DEFAULTS = {"n_shared_head": 8, "tie_word_embeddings": False}


class Plamo:
    """`PlamoForCausalLM`, llama.cpp's `plamo`.

    PLaMo's query head `i` uses key head `i % n_head_kv`; llama.cpp's uses `i // n_shared`. So the query heads, and
    the output projection's columns with them, are put into llama.cpp's order.
    """

    architectures: Sequence[str] = ("PlamoForCausalLM",)
    arch = "plamo"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`. `num_key_value_heads` of the published config.json is wrong."""
        config = complete(checkpoint, _DEFAULTS)
        require_plain(rope_parameters(config)[0])
        n_shared, n_head_kv, _ = _grid(config)
        return [
            u32("plamo.context_length", _N_CTX),
            u32("plamo.embedding_length", whole(config, "hidden_size")),
            u32("plamo.feed_forward_length", whole(config, "intermediate_size")),
            u32("plamo.block_count", n_layer(config)),
            u32("plamo.attention.head_count", n_shared * n_head_kv),
            u32("plamo.attention.head_count_kv", n_head_kv),
            f32("plamo.attention.layer_norm_rms_epsilon", number(config, "rms_norm_eps")),
        ]

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`."""
        config = complete(checkpoint, _DEFAULTS)
        layer = _attention(config) | feed_forward(config)
        return arranged_decoder(checkpoint, config, plamo_model(config, lambda _: layer, norm_offset=0.0))


def _grid(config: Config) -> tuple[int, int, int]:
    """Query heads by the key heads they share, and a head's width: [n_shared, n_head_kv, n_embd_head]."""
    n_embd, n_head = whole(config, "hidden_size"), whole(config, "num_attention_heads")
    n_shared = whole(config, "n_shared_head")
    if n_head % n_shared or n_embd % n_head:
        raise CheckpointError(
            f"config.json: num_attention_heads = {n_head}, expected a multiple of n_shared_head = {n_shared} that "
            f"divides hidden_size = {n_embd}: correct the file or fetch the checkpoint again"
        )
    return n_shared, n_head // n_shared, n_embd // n_head


def _attention(config: Config) -> dict[str, Part]:
    grid = _grid(config)
    n_embd, n_kv = whole(config, "hidden_size"), grid[1] * grid[2]

    def shuffled_rows(values: Values) -> Values:
        rows: Values = values.reshape(*grid, n_embd).transpose(1, 0, 2, 3).reshape(n_embd, n_embd)
        return rows

    def shuffled_columns(values: Values) -> Values:
        columns: Values = values.reshape(n_embd, *grid).transpose(0, 2, 1, 3).reshape(n_embd, n_embd)
        return columns

    return {
        "norm.weight": Part("attn_norm.weight", (n_embd,)),
        "self_attn.q_proj.weight": Part("attn_q.weight", (n_embd, n_embd), shuffled_rows),
        "self_attn.k_proj.weight": Part("attn_k.weight", (n_kv, n_embd)),
        "self_attn.v_proj.weight": Part("attn_v.weight", (n_kv, n_embd)),
        "self_attn.o_proj.weight": Part("attn_output.weight", (n_embd, n_embd), shuffled_columns),
    }
