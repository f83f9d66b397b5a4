"""What a projector's file (mmproj) says of itself, checked before native code sees the file.

libmtmd ends the process over much that it does not expect: a value of another type, a tensor of another shape, an
optional tensor that should not be there. So a projector is taken only if it is exactly what its kind's converter
writes: a Whisper encoder and the few layers that follow it, no key and no tensor more or less.

Source: tools/mtmd/clip.cpp, models/whisper-enc.cpp and mtmd.cpp of ggml-org/llama.cpp (the release that
llama-cpp-python 0.3.36 carries), conversion/ultravox.py for what converters write.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from edgeai.errors import ModelFormatError, UnsupportedModalityError
from edgeai.gguf_header import read_header
from edgeai.gguf_types import GGUFHeader, TensorInfo

KINDS = ("ultravox", "voxtral", "qwen2a")
"""The projectors of sound that are known: Ultravox, Voxtral, Qwen2-Audio."""

_FRAMES, _POSITIONS = 3000, 1500  # of half a minute, before and after the convolutions
_STACKS, _HALVES = ("ultravox", "voxtral"), ("voxtral", "qwen2a")  # what they do with the encoder's positions
_MOST = {
    "embedding_length": 2**14,
    "feed_forward_length": 2**16,
    "block_count": 128,
    "attention.head_count": 256,
    "num_mel_bins": 256,
    "projection_dim": 2**16,
    "projector.stack_factor": 128,
}
_TYPES = {
    "clip.has_audio_encoder": "bool",
    "clip.has_vision_encoder": "bool",
    "clip.projector_type": "string",
    "clip.audio.projector_type": "string",
    "clip.use_gelu": "bool",
    "clip.use_silu": "bool",
    "clip.audio.attention.layer_norm_epsilon": "f32",
    **{f"clip.audio.{name}": "u32" for name in _MOST},
    "general.name": "string",
    "general.description": "string",
    "general.alignment": "u32",
}
_MATRIX_TYPES = (
    *("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"),
    *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"),
)
_F32, _F16 = ("F32",), ("F16",)
_CONVERT = "convert the projector again, or take another"

Expected = Iterator[tuple[str, tuple[int, ...], tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Projector:
    """A projector that llama.cpp can load.

    Attributes:
        path: the file.
        kind: one of KINDS.
        weights_bytes: all tensors.
        buffer_bytes: what encoding takes beside them, about.
    """

    path: Path
    kind: str
    weights_bytes: int
    buffer_bytes: int


def read_projector(path: str | os.PathLike[str], n_embd: int) -> Projector:
    """Read and check the head of a projector of sound.

    Args:
        path: the file.
        n_embd: width of the text model.
    Raises:
        ModelNotFoundError: no such file.
        ModelFormatError: not a projector, damaged, or not made for this text model.
        UnsupportedModalityError: a projector of another kind.
    """
    header = read_header(path)
    if header.architecture != "clip":
        raise ModelFormatError(
            f"{path}: a file of architecture {header.architecture!r:.40}, expected a projector (clip): give the mmproj "
            "file of the model"
        )
    return _Checks(header).projector(n_embd)


class _Checks:
    """What has to hold of one header."""

    def __init__(self, header: GGUFHeader) -> None:
        self._header = header
        self._kind = ""

    def projector(self, n_embd: int) -> Projector:
        self._check_kind()
        self._check_types()
        width, n_ff, stack = self._count("embedding_length"), self._count("feed_forward_length"), self._stack()
        n_head = self._count("attention.head_count")
        if width % n_head:
            self._fail(f"clip.audio.attention.head_count = {n_head}", f"a divisor of embedding_length = {width}")
        if self._count("projection_dim") != n_embd:
            self._fail(f"clip.audio.projection_dim = {self._count('projection_dim')}", f"the text model's {n_embd}")
        epsilon = self._header["audio.attention.layer_norm_epsilon"]
        if epsilon is None or not 0 <= epsilon < 1:
            self._fail(f"clip.audio.attention.layer_norm_epsilon = {epsilon}", "a number from 0 to 1")
        self._check_rows(width, stack)
        self._check_tensors(width, n_ff, stack, n_embd)
        buffers = 4 * _FRAMES * (n_ff + 4 * width)
        return Projector(self._header.path, self._kind, self._header.tensor_bytes, buffers)

    def _check_kind(self) -> None:
        metadata = self._header.metadata
        kind = metadata.get("clip.projector_type") or metadata.get("clip.audio.projector_type")
        sees = metadata.get("clip.has_vision_encoder") or metadata.get("clip.has_gen_audio_encoder")
        if sees or metadata.get("clip.has_audio_encoder") is not True or kind not in KINDS:
            what = "pictures or speech synthesis" if sees else f"kind {kind!r:.40}"
            raise UnsupportedModalityError(
                f"{self._header.path}: a projector of {what}, expected one of sound alone ({', '.join(KINDS)}); open "
                'the model without it (mmproj_path="")'
            )
        self._kind = str(kind)

    def _check_types(self) -> None:
        for key, found in self._header.value_types.items():
            wanted = _TYPES.get(key)
            if wanted is None and key.startswith("clip."):
                self._fail(f"the key {key[:80]}", "none that its kind does not have")
            if wanted is not None and found != wanted:
                self._fail(f"{key} of the type {found}", f"the type {wanted}")
        if self._header.metadata.get("clip.use_gelu") and self._header.metadata.get("clip.use_silu"):
            self._fail("clip.use_gelu and clip.use_silu", "one of them")

    def _count(self, name: str) -> int:
        value, most = self._header[f"audio.{name}"], _MOST[name]
        if not isinstance(value, int) or not 1 <= value <= most:
            self._fail(f"clip.audio.{name} = {value!r:.40}", f"a number from 1 to {most:,}")
        return value

    def _stack(self) -> int:
        if self._kind in _STACKS:
            return self._count("projector.stack_factor")
        if self._header["audio.projector.stack_factor"] is not None:
            self._fail("clip.audio.projector.stack_factor", f"none for {self._kind}")
        return 1

    def _check_rows(self, width: int, stack: int) -> None:
        """libmtmd counts the encoder's rows in two ways, and ends the process where they differ."""
        halves = self._kind in _HALVES
        n_elements, stride = (_POSITIONS // 2 if halves else _POSITIONS) * width, width * stack
        padded = (n_elements + stride - 1) & ~(stride - 1) if stack > 1 else n_elements  # GGML_PAD
        counted = -(-_FRAMES // stack) // 2 // (2 if halves else 1)
        if not 0 < counted == padded // stride:
            self._fail(f"clip.audio.projector.stack_factor = {stack}", f"one that divides {_POSITIONS} positions")

    def _check_tensors(self, width: int, n_ff: int, stack: int, n_embd: int) -> None:
        left = {tensor.name: tensor for tensor in self._header.tensors}
        for name, shape, types in self._expected(left, width, n_ff, stack, n_embd):
            tensor = left.pop(name, None)
            if tensor is None:
                self._fail(f"no tensor {name}", f"one of shape {list(shape)}")
            if _trimmed(tensor.shape) != _trimmed(shape):
                self._fail(f"{name} of shape {list(tensor.shape)}", f"{list(shape)}")
            if tensor.type not in types:
                self._fail(f"{name} of the type {tensor.type}", " or ".join(types))
        if left:
            self._fail(f"the tensor {min(left)}", f"none that {self._kind} does not have")

    def _expected(self, tensors: dict[str, TensorInfo], width: int, n_ff: int, stack: int, n_embd: int) -> Expected:
        """Every tensor: its name, its shape in GGUF's order, the types that its operator takes."""
        n_mel = self._count("num_mel_bins")
        yield "a.conv1d.1.weight", (3, n_mel, width), _F16
        yield "a.conv1d.1.bias", (1, width), _F32
        yield "a.conv1d.2.weight", (3, width, width), _F16
        yield "a.conv1d.2.bias", (1, width), _F32
        yield "a.position_embd.weight", (width, _POSITIONS), _F32
        yield "a.post_ln.weight", (width,), _F32
        yield "a.post_ln.bias", (width,), _F32
        for layer in range(self._count("block_count")):
            for name, shape, types in _layer(width, n_ff):
                yield f"a.blk.{layer}.{name}", shape, types
        yield from self._head(tensors, width, stack, n_embd)

    def _head(self, tensors: dict[str, TensorInfo], width: int, stack: int, n_embd: int) -> Expected:
        """What follows the encoder; the width between its layers is the file's own."""
        if self._kind == "qwen2a":
            yield "mm.a.fc.weight", (width, n_embd), _MATRIX_TYPES
            yield "mm.a.fc.bias", (n_embd,), _F32
            return
        first = tensors.get("mm.a.mlp.1.weight")
        n_hidden = first.shape[1] if first is not None and len(first.shape) == 2 else 0
        if not 2 <= n_hidden <= _MOST["feed_forward_length"] or n_hidden % 2:
            self._fail("mm.a.mlp.1.weight missing or of an odd shape", f"[{width * stack}, an even number]")
        yield "mm.a.mlp.1.weight", (width * stack, n_hidden), _MATRIX_TYPES
        if self._kind == "ultravox":
            yield "mm.a.norm_pre.weight", (width * stack,), _F32
            n_hidden //= 2  # SwiGLU
            yield "mm.a.norm_mid.weight", (n_hidden,), _F32
        yield "mm.a.mlp.2.weight", (n_hidden, n_embd), _MATRIX_TYPES

    def _fail(self, found: str, expected: str) -> NoReturn:
        raise ModelFormatError(f"{self._header.path}: {found}, expected {expected}; {_CONVERT}")


def _layer(width: int, n_ff: int) -> Expected:
    for name in ("ln1", "ln2"):
        yield f"{name}.weight", (width,), _F32
        yield f"{name}.bias", (width,), _F32
    for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
        yield f"{name}.weight", (width, width), _MATRIX_TYPES
        if name != "attn_k":  # Whisper's keys have none
            yield f"{name}.bias", (width,), _F32
    yield "ffn_up.weight", (width, n_ff), _MATRIX_TYPES
    yield "ffn_up.bias", (n_ff,), _F32
    yield "ffn_down.weight", (n_ff, width), _MATRIX_TYPES
    yield "ffn_down.bias", (width,), _F32


def _trimmed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without the axes of length 1 at its end, which files may leave out."""
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape
