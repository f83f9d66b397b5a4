"""Tiny real models: random weights with a fixed seed, written as GGUF files that llama.cpp really loads.

They speak nonsense, but nonsense that hangs on every token before it, so that a cache which lost or mixed up a
token shows in what they answer. The vocabulary has all 256 bytes, so that any text can be tokenized, and what the
models say is often broken UTF-8. Control tokens have an output row of zero: their logit is 0, some other token's is
always higher, and a greedy answer runs to `max_tokens`.

Kinds: `llama` (plain attention), `gemma3` and `plamo3` (sliding windows in every other layer), `plamo2` (recurrent
layers and attention in turn), `mamba` (recurrent layers only).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gguf import GGUFWriter, TokenType
from numpy.typing import NDArray

from tests.fakes import CHATML

Kind = Literal["llama", "gemma3", "plamo3", "plamo2", "mamba"]
KINDS: tuple[Kind, ...] = ("llama", "gemma3", "plamo3", "plamo2", "mamba")
SLIDING: tuple[Kind, ...] = ("gemma3", "plamo3")
RECURRENT: tuple[Kind, ...] = ("plamo2", "mamba")

N_EMBD = 128
N_HEAD = 4
N_HEAD_KV = 2
HEAD_DIM = 32  # the block size of Q8_0, so that quantized KV caches can be tried
N_FF = 192
N_LAYER = 4
SSM_CONV = 4
SSM_STATE = 16
SSM_INNER = 256  # twice n_embd: all that llama.cpp takes for mamba
SSM_HEADS = 4
PLAMO2_DT = 64  # max(64, n_embd / 16): hard-coded in llama.cpp's graph
MAMBA_DT = 8
SHARPNESS = 1.7  # of queries and keys: attention picks single tokens out instead of taking the mean of all

CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
MERGES = ("t h", "i n", "e r", "o n", "th e", "Ġ t", "Ġ a", "Ġ the", "a n", "an d", "Ġ and", "l l")

F32 = NDArray[np.float32]


def tiny_model(
    path: Path,
    kind: Kind = "llama",
    *,
    seed: int = 0,
    n_ctx_train: int = 512,
    chat_template: str | None = CHATML,
    n_swa: int = 32,
) -> Path:
    """Write a model of about 2 MB in well under a second.

    Args:
        path: the file to write.
        kind: the architecture.
        seed: of the weights.
        n_ctx_train: the context window the header claims, tokens.
        chat_template: Jinja source for the header; None leaves it out.
        n_swa: the sliding window of `gemma3` and `plamo3`, tokens.
    Returns:
        path.
    """
    writer = GGUFWriter(path, kind)
    writer.add_name(f"tiny-{kind}")
    writer.add_context_length(n_ctx_train)
    writer.add_embedding_length(N_EMBD)
    writer.add_block_count(N_LAYER)
    writer.add_layer_norm_rms_eps(1e-6)
    _add_layer_keys(writer, kind, n_swa)
    _add_vocabulary(writer, chat_template)
    for name, values in _tensors(kind, np.random.default_rng(seed)):
        writer.add_tensor(name, np.ascontiguousarray(values, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def vocabulary() -> list[str]:
    """The tokens' texts as GPT-2 writes bytes, by id: 256 bytes, the merges, the control tokens."""
    merged = [merge.replace(" ", "") for merge in MERGES]
    return [*_byte_alphabet(), *merged, *CONTROL_TOKENS]


def is_recurrent_layer(kind: Kind, layer: int) -> bool:
    """Whether a layer is a Mamba layer: every one of `mamba`, and the even ones of `plamo2`."""
    return kind == "mamba" or (kind == "plamo2" and layer % 2 == 0)


def _byte_alphabet() -> list[str]:
    """The visible character that stands for each byte in a byte-level vocabulary.

    Source: bytes_to_unicode in OpenAI's GPT-2 encoder.py.
    """
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return [chr(byte) if byte in visible else chr(256 + hidden.index(byte)) for byte in range(256)]


def _add_vocabulary(writer: GGUFWriter, chat_template: str | None) -> None:
    tokens = vocabulary()
    n_plain = len(tokens) - len(CONTROL_TOKENS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.NORMAL] * n_plain + [TokenType.CONTROL] * len(CONTROL_TOKENS))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    if chat_template is not None:
        writer.add_chat_template(chat_template)


def _add_layer_keys(writer: GGUFWriter, kind: Kind, n_swa: int) -> None:
    if kind in RECURRENT:
        writer.add_ssm_conv_kernel(SSM_CONV)
        writer.add_ssm_state_size(SSM_STATE)
        writer.add_ssm_inner_size(SSM_INNER)
        writer.add_ssm_time_step_rank(SSM_HEADS if kind == "plamo2" else MAMBA_DT)
        writer.add_ssm_group_count(0)
    if kind == "mamba":
        writer.add_feed_forward_length(0)
        writer.add_head_count(0)
        return
    writer.add_feed_forward_length(N_FF)
    # One number for all layers even where some are recurrent: llama.cpp takes the rotary width from layer 0, and its
    # rope kernel never ends when that layer has no heads. A layer is recurrent because it has no KV heads.
    writer.add_head_count(N_HEAD)
    if kind == "plamo2":
        writer.add_head_count_kv([0 if is_recurrent_layer(kind, layer) else N_HEAD_KV for layer in range(N_LAYER)])
    else:
        writer.add_head_count_kv(N_HEAD_KV)
    writer.add_key_length(HEAD_DIM)
    writer.add_value_length(HEAD_DIM)
    writer.add_rope_freq_base(10_000.0)
    if kind in SLIDING:
        writer.add_sliding_window(n_swa)
        writer.add_sliding_window_pattern(2)


def _tensors(kind: Kind, rng: np.random.Generator) -> Iterator[tuple[str, Any]]:
    """Every tensor of a model, by its GGUF name, in numpy's order of axes (GGUF's reversed)."""
    n_vocab = len(vocabulary())
    # gemma3 multiplies embeddings by sqrt(n_embd); the layers must still have a say beside them
    scale = N_EMBD**-0.5 if kind == "gemma3" else 1.0
    yield "token_embd.weight", rng.normal(0, 0.5 * scale, (n_vocab, N_EMBD))
    output = _matrix(rng, n_vocab, N_EMBD, gain=4.0)
    output[-len(CONTROL_TOKENS) :] = 0
    yield "output.weight", output
    yield "output_norm.weight", _norm(rng, N_EMBD)
    for layer in range(N_LAYER):
        for name, values in _layer(kind, is_recurrent_layer(kind, layer), rng):
            yield f"blk.{layer}.{name}", values


def _layer(kind: Kind, recurrent: bool, rng: np.random.Generator) -> Iterator[tuple[str, F32]]:
    yield "attn_norm.weight", _norm(rng, N_EMBD)
    if recurrent:
        yield from _mamba(kind, rng)
    else:
        yield from _attention(kind, rng)
    if kind != "mamba":
        yield from _feed_forward(kind, rng)


def _attention(kind: Kind, rng: np.random.Generator) -> Iterator[tuple[str, F32]]:
    n_q, n_kv = N_HEAD * HEAD_DIM, N_HEAD_KV * HEAD_DIM
    q, k, v = (_matrix(rng, n_rows, N_EMBD, gain=1.3 * SHARPNESS) for n_rows in (n_q, n_kv, n_kv))
    if kind in ("plamo2", "plamo3"):
        yield "attn_qkv.weight", np.concatenate([q, k, v])
    else:
        yield "attn_q.weight", q
        yield "attn_k.weight", k
        yield "attn_v.weight", v
    # attention takes a mean over the context, which shrinks what single tokens say: the gain makes up for it
    yield "attn_output.weight", _matrix(rng, N_EMBD, n_q, gain=5.0)
    if kind == "plamo2":
        yield "attn_q_norm.weight", SHARPNESS * _norm(rng, N_HEAD, HEAD_DIM)
        yield "attn_k_norm.weight", SHARPNESS * _norm(rng, N_HEAD_KV, HEAD_DIM)
    elif kind != "llama":
        yield "attn_q_norm.weight", SHARPNESS * _norm(rng, HEAD_DIM)
        yield "attn_k_norm.weight", SHARPNESS * _norm(rng, HEAD_DIM)


def _feed_forward(kind: Kind, rng: np.random.Generator) -> Iterator[tuple[str, F32]]:
    yield "ffn_norm.weight", _norm(rng, N_EMBD)
    if kind in ("plamo2", "plamo3"):
        yield "ffn_up.weight", _matrix(rng, 2 * N_FF, N_EMBD)
    else:
        yield "ffn_gate.weight", _matrix(rng, N_FF, N_EMBD)
        yield "ffn_up.weight", _matrix(rng, N_FF, N_EMBD)
    yield "ffn_down.weight", _matrix(rng, N_EMBD, N_FF)
    if kind != "llama":
        suffix = ".weight" if kind == "gemma3" else ""  # llama.cpp's names for PLaMo have no suffix here
        yield f"post_attention_norm{suffix}", _norm(rng, N_EMBD)
        yield f"post_ffw_norm{suffix}", _norm(rng, N_EMBD)


def _mamba(kind: Kind, rng: np.random.Generator) -> Iterator[tuple[str, F32]]:
    plamo2 = kind == "plamo2"
    n_dt, n_dt_out = (PLAMO2_DT, SSM_HEADS) if plamo2 else (MAMBA_DT, SSM_INNER)
    yield "ssm_in.weight", _matrix(rng, 2 * SSM_INNER, N_EMBD)
    yield "ssm_conv1d.weight", _matrix(rng, SSM_INNER, SSM_CONV)
    yield "ssm_x.weight", _matrix(rng, n_dt + 2 * SSM_STATE, SSM_INNER)
    yield "ssm_dt.weight", _matrix(rng, n_dt_out, n_dt, gain=0.3)
    # softplus(-2) = 0.13 at a decay of -0.05 or so: the state still knows a token that came hundreds before
    yield "ssm_dt.bias", np.full(n_dt_out, -2, dtype=np.float32)
    yield "ssm_a", -rng.uniform(0.01, 0.1, SSM_HEADS if plamo2 else (SSM_INNER, SSM_STATE)).astype(np.float32)
    yield "ssm_d", np.full(n_dt_out, 0.5, dtype=np.float32)
    yield "ssm_out.weight", _matrix(rng, N_EMBD, SSM_INNER, gain=3.0)
    if plamo2:
        yield "ssm_dt_norm", _norm(rng, n_dt)
        yield "ssm_b_norm", _norm(rng, SSM_STATE)
        yield "ssm_c_norm", _norm(rng, SSM_STATE)
    else:
        yield "ssm_conv1d.bias", np.zeros(SSM_INNER, dtype=np.float32)


def _matrix(rng: np.random.Generator, n_out: int, n_in: int, gain: float = 1.0) -> F32:
    """Weights that keep a vector's size, times `gain`."""
    return rng.normal(0, gain * n_in**-0.5, (n_out, n_in)).astype(np.float32)


def _norm(rng: np.random.Generator, *shape: int) -> F32:
    return rng.normal(1, 0.1, shape).astype(np.float32)
