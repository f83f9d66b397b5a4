"""PLaMo (13B class): plain attention with shared key and value heads, and a feed-forward network beside it."""

from __future__ import annotations

from edgeai.errors import CheckpointError
from quantize.base import Checkpoint, Meta, Tensor
from quantize.families.plamo_parts import MAX_LAYERS, Part, Values, arranged, f32, in_layer, number, u32, whole

N_CTX = 4096  # not in config.json: the length that PLaMo was trained with


class Plamo:
    """`PlamoForCausalLM`, llama.cpp's `plamo`.

    PLaMo's query head `i` uses key head `i % n_head_kv`; llama.cpp's uses `i // n_shared`. So the query heads, and
    the output projection's columns with them, are put into llama.cpp's order.
    """

    architectures = ("PlamoForCausalLM",)
    arch = "plamo"

    def metadata(self, checkpoint: Checkpoint) -> list[Meta]:
        """See `quantize.base.Family`."""
        config = checkpoint.config
        n_head, n_head_kv, _ = _heads(checkpoint)
        return [
            u32("plamo.context_length", N_CTX),
            u32("plamo.embedding_length", whole(config, "hidden_size")),
            u32("plamo.feed_forward_length", whole(config, "intermediate_size")),
            u32("plamo.block_count", whole(config, "num_hidden_layers", at_most=MAX_LAYERS)),
            u32("plamo.attention.head_count", n_head),
            u32("plamo.attention.head_count_kv", n_head_kv),
            f32("plamo.attention.layer_norm_rms_epsilon", number(config, "rms_norm_eps")),
        ]

    def tensors(self, checkpoint: Checkpoint) -> list[Tensor]:
        """See `quantize.base.Family`."""
        config = checkpoint.config
        n_embd, n_vocab = whole(config, "hidden_size"), whole(config, "vocab_size")
        parts = {
            "model.embed_tokens.weight": Part("token_embd.weight", (n_vocab, n_embd)),
            "model.norm.weight": Part("output_norm.weight", (n_embd,)),
            "lm_head.weight": Part("output.weight", (n_vocab, n_embd)),
        }
        for layer in range(whole(config, "num_hidden_layers", at_most=MAX_LAYERS)):
            parts |= _layer(checkpoint, layer)
        return arranged(checkpoint, parts)


def _heads(checkpoint: Checkpoint) -> tuple[int, int, int]:
    """Query heads, key heads, and a head's width. `num_key_value_heads` of the published config.json is wrong."""
    config = checkpoint.config
    n_embd, n_head = whole(config, "hidden_size"), whole(config, "num_attention_heads")
    n_shared = whole(config, "n_shared_head", 8)
    if n_head % n_shared or n_embd % n_head:
        raise CheckpointError(
            f"config.json: num_attention_heads = {n_head}, expected a multiple of n_shared_head = {n_shared} that "
            f"divides hidden_size = {n_embd}: correct the file or fetch the checkpoint again"
        )
    return n_head, n_head // n_shared, n_embd // n_head


def _layer(checkpoint: Checkpoint, layer: int) -> dict[str, Part]:
    n_embd, n_ff = whole(checkpoint.config, "hidden_size"), whole(checkpoint.config, "intermediate_size")
    n_head, n_head_kv, n_embd_head = _heads(checkpoint)
    n_kv = n_head_kv * n_embd_head
    grid = (n_head // n_head_kv, n_head_kv, n_embd_head)

    def shuffled_rows(values: Values) -> Values:
        rows: Values = values.reshape(*grid, n_embd).transpose(1, 0, 2, 3).reshape(n_embd, n_embd)
        return rows

    def shuffled_columns(values: Values) -> Values:
        columns: Values = values.reshape(n_embd, *grid).transpose(0, 2, 1, 3).reshape(n_embd, n_embd)
        return columns

    return in_layer(
        layer,
        {
            "norm.weight": Part("attn_norm.weight", (n_embd,)),
            "self_attn.q_proj.weight": Part("attn_q.weight", (n_embd, n_embd), shuffled_rows),
            "self_attn.k_proj.weight": Part("attn_k.weight", (n_kv, n_embd)),
            "self_attn.v_proj.weight": Part("attn_v.weight", (n_kv, n_embd)),
            "self_attn.o_proj.weight": Part("attn_output.weight", (n_embd, n_embd), shuffled_columns),
            "mlp.gate_proj.weight": Part("ffn_gate.weight", (n_ff, n_embd)),
            "mlp.up_proj.weight": Part("ffn_up.weight", (n_ff, n_embd)),
            "mlp.down_proj.weight": Part("ffn_down.weight", (n_embd, n_ff)),
        },
    )
