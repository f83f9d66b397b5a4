"""Ears: a Whisper encoder and the few layers that follow it.

Source: tools/mtmd/models/whisper-enc.cpp, clip.cpp and mtmd.cpp of ggml-org/llama.cpp (the release that
llama-cpp-python 0.3.36 carries), conversion/ultravox.py and qwenvl.py for what converters write.
"""

from __future__ import annotations

from edgeai.gguf_projector.checks import F16, F32, MATRIX_TYPES, MAX_HIDDEN, MAX_WIDTH, Checks, Expected, Half, linear

KINDS = ("ultravox", "voxtral", "qwen2a")
"""Ultravox, Voxtral, Qwen2-Audio."""

KEYS = {
    **dict.fromkeys(
        (
            *("audio.embedding_length", "audio.feed_forward_length", "audio.block_count", "audio.projection_dim"),
            *("audio.attention.head_count", "audio.num_mel_bins", "audio.projector.stack_factor"),
        ),
        "u32",
    ),
    "audio.attention.layer_norm_epsilon": "f32",
}

_FRAMES, _POSITIONS = 3000, 1500  # of half a minute, before and after the convolutions
_STACKS, _HALVES = ("ultravox", "voxtral"), ("voxtral", "qwen2a")  # what they do with the encoder's positions


def ears(checks: Checks, kind: str, n_embd: int) -> Half:
    """Check what is said of the encoder of sound.

    Args:
        checks: of the whole header.
        kind: one of KINDS.
        n_embd: width of what the text model takes in.
    """
    width = checks.count("audio.embedding_length", 1, MAX_WIDTH)
    n_ff = checks.count("audio.feed_forward_length", 1, MAX_HIDDEN)
    stack = _stack(checks, kind)
    checks.heads("audio", width)
    if (found := checks.count("audio.projection_dim", 1, MAX_HIDDEN)) != n_embd:
        checks.fail(f"clip.audio.projection_dim = {found}", f"the text model's {n_embd}")
    checks.epsilon("audio.attention.layer_norm_epsilon")
    _check_rows(checks, kind, width, stack)
    tensors = (*_encoder(checks, width, n_ff), *_head(checks, kind, width * stack, n_embd))
    return Half(tensors, 4 * _FRAMES * (n_ff + 4 * width))


def _stack(checks: Checks, kind: str) -> int:
    if kind in _STACKS:
        return checks.count("audio.projector.stack_factor", 1, 128)
    if checks.value("audio.projector.stack_factor") is not None:
        checks.fail("clip.audio.projector.stack_factor", f"none for {kind}")
    return 1


def _check_rows(checks: Checks, kind: str, width: int, stack: int) -> None:
    """libmtmd counts the encoder's rows in two ways, and ends the process where they differ."""
    halves = kind in _HALVES
    n_elements, stride = (_POSITIONS // 2 if halves else _POSITIONS) * width, width * stack
    padded = (n_elements + stride - 1) & ~(stride - 1) if stack > 1 else n_elements  # GGML_PAD
    counted = -(-_FRAMES // stack) // 2 // (2 if halves else 1)
    if not 0 < counted == padded // stride:
        checks.fail(f"clip.audio.projector.stack_factor = {stack}", f"one that divides {_POSITIONS} positions")


def _encoder(checks: Checks, width: int, n_ff: int) -> Expected:
    n_mel = checks.count("audio.num_mel_bins", 1, 256)
    yield "a.conv1d.1.weight", (3, n_mel, width), F16
    yield "a.conv1d.1.bias", (1, width), F32
    yield "a.conv1d.2.weight", (3, width, width), F16
    yield "a.conv1d.2.bias", (1, width), F32
    yield "a.position_embd.weight", (width, _POSITIONS), F32
    yield "a.post_ln.weight", (width,), F32
    yield "a.post_ln.bias", (width,), F32
    for layer in range(checks.count("audio.block_count", 1, 128)):
        for name, shape, types in _layer(width, n_ff):
            yield f"a.blk.{layer}.{name}", shape, types


def _head(checks: Checks, kind: str, stride: int, n_embd: int) -> Expected:
    """What follows the encoder; the width between its layers is the file's own."""
    if kind == "qwen2a":
        yield from linear("mm.a.fc", stride, n_embd)
        return
    first = checks.tensors.get("mm.a.mlp.1.weight")
    n_hidden = first.shape[1] if first is not None and len(first.shape) == 2 else 0
    if not 2 <= n_hidden <= MAX_HIDDEN or n_hidden % 2:
        checks.fail("mm.a.mlp.1.weight missing or of an odd shape", f"[{stride}, an even number]")
    yield "mm.a.mlp.1.weight", (stride, n_hidden), MATRIX_TYPES
    if kind == "ultravox":
        yield "mm.a.norm_pre.weight", (stride,), F32
        n_hidden //= 2  # SwiGLU
        yield "mm.a.norm_mid.weight", (n_hidden,), F32
    yield "mm.a.mlp.2.weight", (n_hidden, n_embd), MATRIX_TYPES


def _layer(width: int, n_ff: int) -> Expected:
    for name in ("ln1", "ln2"):
        yield f"{name}.weight", (width,), F32
        yield f"{name}.bias", (width,), F32
    for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
        yield f"{name}.weight", (width, width), MATRIX_TYPES
        if name != "attn_k":  # Whisper's keys have none
            yield f"{name}.bias", (width,), F32
    yield from linear("ffn_up", width, n_ff)
    yield from linear("ffn_down", n_ff, width)
