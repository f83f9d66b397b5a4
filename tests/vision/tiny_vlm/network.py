"""The forward pass of `Gemma3ForConditionalGeneration` for training: the same sums, on packed rows.

The last layer runs only where an answer is predicted, and the share of attention that the answer gives to the shape
it speaks of can be read. `evaluate.py` runs transformers' own pass, so an error here would show there.

Source: transformers' models/gemma3/modeling_gemma3.py and models/siglip/modeling_siglip.py.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3TextConfig, SiglipVisionConfig

from .batches import N_CELLS
from .pictures import COLOURS, GRID, PATCH, SHAPES, SIDE

WIDTH, N_LAYERS, N_HEADS, N_KV, HEAD, N_FF = 128, 3, 4, 2, 32, 256
EPS = 1e-6
NAMED_LAYER = 1
"""Its first two heads are taught to look at the shape the answer speaks of, the others at the one compared with it."""

_TEXT = (
    "input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "self_attn.q_norm", "self_attn.k_norm", "post_attention_layernorm", "pre_feedforward_layernorm",
    "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "post_feedforward_layernorm",
)  # fmt: skip
_VISION = (
    "layer_norm1", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj",
    "layer_norm2", "mlp.fc1", "mlp.fc2",
)  # fmt: skip


def new_model(tokenizer: Any) -> Gemma3ForConditionalGeneration:
    """The model with fresh weights from torch's own generator."""
    ids = tokenizer.convert_tokens_to_ids
    text = Gemma3TextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=N_FF, num_hidden_layers=N_LAYERS,
        num_attention_heads=N_HEADS, num_key_value_heads=N_KV, head_dim=HEAD, query_pre_attn_scalar=HEAD,
        max_position_embeddings=1024, sliding_window=1024, tie_word_embeddings=True,
        pad_token_id=ids("<pad>"), bos_token_id=ids("<bos>"), eos_token_id=[ids("<eos>"), ids("<end_of_turn>")],
    )  # fmt: skip
    vision = SiglipVisionConfig(
        hidden_size=WIDTH, intermediate_size=N_FF, num_hidden_layers=N_LAYERS, num_attention_heads=N_HEADS,
        image_size=SIDE, patch_size=PATCH, vision_use_head=False,
    )  # fmt: skip
    config = Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=N_CELLS, boi_token_index=ids("<start_of_image>"),
        eoi_token_index=ids("<end_of_image>"), image_token_index=ids("<image_soft_token>"), tie_word_embeddings=True,
        eos_token_id=[ids("<eos>"), ids("<end_of_turn>")], bos_token_id=ids("<bos>"), pad_token_id=ids("<pad>"),
    )  # fmt: skip
    model = Gemma3ForConditionalGeneration(config)
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if key.endswith("embed_tokens.weight"):
                weight.normal_(0, 0.05)
            elif weight.ndim >= 2:
                weight.normal_(0, 1 / math.sqrt(weight[0].numel()) if "position" not in key else 0.1)
    return model


class Network(torch.nn.Module):
    """A model's weights with the pass for training, and a head on the picture's cells that is thrown away later."""

    def __init__(self, model: Gemma3ForConditionalGeneration) -> None:
        super().__init__()
        self.model = model
        self.cell_head = torch.nn.Linear(WIDTH, 2 + len(SHAPES) + len(COLOURS) + 4)
        weights = dict(model.named_parameters())
        tower = next(key for key in weights if key.endswith("patch_embedding.weight")).split("embeddings.")[0]
        self._vision = [_layer(weights, f"{tower}encoder.layers.{i}.", _VISION, biased=True) for i in range(N_LAYERS)]
        self._text = [_layer(weights, f"model.language_model.layers.{i}.", _TEXT) for i in range(N_LAYERS)]
        self._patch = [weights[f"{tower}embeddings.patch_embedding.{kind}"] for kind in ("weight", "bias")]
        self._place = weights[f"{tower}embeddings.position_embedding.weight"]
        self._post = [weights[f"{tower}post_layernorm.{kind}"] for kind in ("weight", "bias")]
        projector = "model.multi_modal_projector."
        self._project = (
            weights[f"{projector}mm_soft_emb_norm.weight"],
            weights[f"{projector}mm_input_projection_weight"],
        )
        self._embed = weights["model.language_model.embed_tokens.weight"]
        self._norm = weights["model.language_model.norm.weight"]

    def see(self, pixels: Tensor) -> Tensor:
        """What the tower makes of pictures of bytes [n, side, side, 3]: [n, n_cells, width]."""
        n = pixels.shape[0]
        x = (pixels.float() / 127.5 - 1).reshape(n, GRID, PATCH, GRID, PATCH, 3)
        x = x.permute(0, 1, 3, 5, 2, 4).reshape(n, N_CELLS, 3 * PATCH * PATCH)
        x = F.linear(x, self._patch[0].reshape(WIDTH, -1), self._patch[1]) + self._place
        for layer in self._vision:
            x = vision_layer(x, *layer)
        return F.layer_norm(x, (WIDTH,), *self._post, EPS)

    def answer(self, seen: Tensor, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """The scores of the next token where answers stand, and how far heads look elsewhere than they should.

        Returns:
            [n, n_answers, n_vocab] and minus the logarithm of the share of the named shape and of the other, mean over
            the heads of each [n, n_answers].
        """
        features = rms_norm(seen, self._project[0]) @ self._project[1]
        cells = batch["cells"]
        x = F.embedding(batch["tokens"], self._embed) * math.sqrt(WIDTH)
        shown = features.gather(1, cells.clamp(min=0)[..., None].expand(-1, -1, WIDTH))
        x = torch.where(cells[..., None] >= 0, shown, x)
        mask = batch["mask"][:, None]
        cos, sin = rotation(batch["positions"])
        at = batch["answers"]
        for layer in self._text[:-1]:
            x, q, k = text_layer(x, x, mask, cos, sin, cos, sin, *layer)
            if layer is self._text[NAMED_LAYER]:
                q, seen_by = _take(q, at), _take(mask, at)
                elsewhere = _elsewhere(q[:, :2], k[:, :1], seen_by, batch["named"])
                other = _elsewhere(q[:, 2:], k[:, 1:], seen_by, batch["other"])
        wide = at[..., None].expand(-1, -1, WIDTH)
        asked, mask = x.gather(1, wide), _take(mask, at)
        x, _, _ = text_layer(asked, x, mask, cos, sin, _take(cos, at), _take(sin, at), *self._text[-1])
        return F.linear(rms_norm(x, self._norm), self._embed), elsewhere, other


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * (1 + weight)


def rotation(positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines for positions [n, n_tokens]: [n, 1, n_tokens, head]."""
    speeds = 10_000.0 ** (-torch.arange(0, HEAD, 2).float() / HEAD)
    angles = (positions[..., None].float() * speeds).repeat(1, 1, 2)[:, None]
    return angles.cos(), angles.sin()


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return x * cos + torch.cat((-x[..., HEAD // 2 :], x[..., : HEAD // 2]), -1) * sin


@torch.compile
def text_layer(
    asked: Tensor, x: Tensor, mask: Tensor, cos: Tensor, sin: Tensor, asked_cos: Tensor, asked_sin: Tensor,
    norm1: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, wo: Tensor, q_norm: Tensor, k_norm: Tensor, norm2: Tensor,
    norm3: Tensor, gate: Tensor, up: Tensor, down: Tensor, norm4: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """One layer for the tokens asked about, which look at all tokens; also its queries and keys."""
    n, wide = asked.shape[0], rms_norm(x, norm1)
    narrow = wide if asked is x else rms_norm(asked, norm1)
    q = F.linear(narrow, wq).view(n, -1, N_HEADS, HEAD).transpose(1, 2)
    k = F.linear(wide, wk).view(n, -1, N_KV, HEAD).transpose(1, 2)
    v = F.linear(wide, wv).view(n, -1, N_KV, HEAD).transpose(1, 2)
    q = _rotate(rms_norm(q, q_norm), asked_cos, asked_sin)
    k = _rotate(rms_norm(k, k_norm), cos, sin)
    times = N_HEADS // N_KV
    out = F.scaled_dot_product_attention(q, k.repeat_interleave(times, 1), v.repeat_interleave(times, 1), mask)
    out = F.linear(out.transpose(1, 2).reshape(n, -1, N_HEADS * HEAD), wo)
    x = asked + rms_norm(out, norm2)
    inner = rms_norm(x, norm3)
    inner = F.linear(F.gelu(F.linear(inner, gate), approximate="tanh") * F.linear(inner, up), down)
    return x + rms_norm(inner, norm4), q, k


@torch.compile
def vision_layer(
    x: Tensor, norm1: Tensor, norm1_b: Tensor, wq: Tensor, bq: Tensor, wk: Tensor, bk: Tensor, wv: Tensor, bv: Tensor,
    wo: Tensor, bo: Tensor, norm2: Tensor, norm2_b: Tensor, fc1: Tensor, fc1_b: Tensor, fc2: Tensor, fc2_b: Tensor,
) -> Tensor:  # fmt: skip
    n = x.shape[0]
    inner = F.layer_norm(x, (WIDTH,), norm1, norm1_b, EPS)
    q, k, v = (
        F.linear(inner, weight, bias).view(n, N_CELLS, N_HEADS, HEAD).transpose(1, 2)
        for weight, bias in ((wq, bq), (wk, bk), (wv, bv))
    )
    out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, N_CELLS, WIDTH)
    x = x + F.linear(out, wo, bo)
    inner = F.layer_norm(x, (WIDTH,), norm2, norm2_b, EPS)
    return x + F.linear(F.gelu(F.linear(inner, fc1, fc1_b), approximate="tanh"), fc2, fc2_b)


def _layer(weights: dict[str, Tensor], prefix: str, names: tuple[str, ...], biased: bool = False) -> list[Tensor]:
    kinds = ("weight", "bias") if biased else ("weight",)
    return [weights[f"{prefix}{name}.{kind}"] for name in names for kind in kinds]


def _take(x: Tensor, at: Tensor) -> Tensor:
    """Rows `at` [n, n_answers] of [n, m, n_tokens, k]."""
    return x.gather(2, at[:, None, :, None].expand(-1, x.shape[1], -1, x.shape[3]))


def _elsewhere(q: Tensor, k: Tensor, mask: Tensor, named: Tensor) -> Tensor:
    scores = q @ k.transpose(-1, -2) / math.sqrt(HEAD)  # two heads share a key head
    every = scores.masked_fill(~mask, -1e9).logsumexp(-1)
    right = scores.masked_fill(~named[:, None], -1e9).logsumexp(-1)
    return (every - right).mean(1)
