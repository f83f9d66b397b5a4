"""What a projector's file (mmproj) says of itself, checked before native code sees the file.

libmtmd ends the process over much that it does not expect: a value of another type, a tensor of another shape, an
optional tensor that should not be there. So a projector is taken only if it is exactly what its kind's converter
writes: an encoder of sound or of pictures and the few layers that follow it, no key and no tensor more or less.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeai.errors import ModelFormatError, UnsupportedModalityError
from edgeai.gguf_header import read_header
from edgeai.gguf_projector import qwen, resampler, siglip, sound, vision
from edgeai.gguf_projector.checks import Checks, Half
from edgeai.gguf_types import GGUFHeader

__all__ = ["KINDS", "MAX_PICTURE_TOKENS", "Projector", "input_width", "read_projector"]

_OMNI = "qwen2.5o"
_EYES: Mapping[str, tuple[Callable[[Checks, int], Half], Mapping[str, str]]] = {
    "gemma3": (siglip.gemma3, siglip.KEYS),
    "idefics3": (siglip.idefics3, siglip.IDEFICS3_KEYS),
    "qwen2vl_merger": (qwen.qwen2, qwen.KEYS),
    "qwen2.5vl_merger": (qwen.qwen25, qwen.QWEN25_KEYS),
    "qwen3vl_merger": (qwen.qwen3, qwen.QWEN3_KEYS),
    "lfm2": (siglip.lfm2, siglip.KEYS),
    "resampler": (resampler.resampler, resampler.KEYS),
    _OMNI: (qwen.qwen25, qwen.QWEN25_KEYS),
}
KINDS = (*sound.KINDS, *_EYES)
"""The projectors that are known: Ultravox, Voxtral, Qwen2-Audio; Gemma 3, Idefics 3 and SmolVLM, Qwen2-VL, Qwen2.5-VL,
Qwen3-VL, LFM2-VL, MiniCPM-V; and Qwen2.5-Omni, which hears and sees."""

_BY_PLACE = ("qwen2vl", "paddleocr", "qwen3vl", "qwen3vlmoe", "qwen35", "qwen35moe", "qwen4exp", "qwen3tts")
"""Text models that count tokens of pictures by row and column (M-RoPE)."""
_FOR_PLACES = ("qwen2.5vl_merger", "qwen3vl_merger", _OMNI)
"""Projectors for those alone; that of Qwen2-VL is also Sarashina's, whose text model counts tokens one by one."""

_NOT_CAUSAL = ("gemma3",)

MAX_PICTURE_TOKENS = 4096
"""Tokens that libmtmd makes of a picture at most, where it is encoded in its own shape and nothing else is said."""
_LEAST_PICTURE_TOKENS = 64  # libmtmd makes 8 of the smallest picture, and refuses to load with fewer at most


@dataclass(frozen=True, slots=True)
class Projector:
    """A projector that llama.cpp can load.

    Attributes:
        path: the file.
        kind: one of KINDS.
        weights_bytes: all tensors.
        buffer_bytes: what encoding takes beside them, about, at the largest picture.
        hears: it takes in sounds.
        sees: it takes in pictures.
        n_picture_tokens: that one chunk of a picture has at most: a picture is one chunk or several; 0 without eyes.
        is_causal: False: the text model evaluates a whole chunk of a picture at once, so n_ubatch must hold it.
        max_ratio: of a picture's longer side to its shorter one: beyond it libmtmd refuses a picture, or makes far more
            tokens of it than of any other; 0 without eyes.
        image_max_tokens: what libmtmd has to be told as its parameter of this name; 0 leaves it at its default.
    """

    path: Path
    kind: str
    weights_bytes: int
    buffer_bytes: int
    hears: bool = True
    sees: bool = False
    n_picture_tokens: int = 0
    is_causal: bool = True
    max_ratio: int = 0
    image_max_tokens: int = 0


def read_projector(
    path: str | os.PathLike[str], n_embd: int, architecture: str = "", max_picture_tokens: int = MAX_PICTURE_TOKENS
) -> Projector:
    """Read and check the head of a projector.

    Args:
        path: the file.
        n_embd: width of what the text model takes in: see `input_width`.
        architecture: of the text model; "" leaves open whether they go together.
        max_picture_tokens: of a chunk, as libmtmd is going to be told: 64 to MAX_PICTURE_TOKENS, others count as those.
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
    kind, hears, sees = _kind(header)
    if sees and architecture and not _go_together(kind, architecture):
        raise ModelFormatError(
            f"{path}: a projector of the kind {kind}, which is not made for text models of the architecture "
            f"{architecture!r:.40}: give the mmproj file of the model"
        )
    max_tokens = min(max(max_picture_tokens, _LEAST_PICTURE_TOKENS), MAX_PICTURE_TOKENS)
    checks = Checks(header, kind, max_tokens)
    read_eyes, eye_keys = _EYES.get(kind, (None, {}))
    checks.types({**(sound.KEYS if hears else {}), **(vision.KEYS if sees else {}), **eye_keys})
    ears = sound.ears(checks, "qwen2a" if kind == _OMNI else kind, n_embd) if hears else None
    eyes = read_eyes(checks, n_embd) if read_eyes is not None else None
    halves = [half for half in (ears, eyes) if half is not None]
    checks.all_tensors(
        (tensor for half in halves for tensor in half.tensors), tuple(name for half in halves for name in half.may_have)
    )
    return Projector(
        header.path,
        kind,
        header.tensor_bytes,
        sum(half.buffer_bytes for half in halves),
        hears=hears,
        sees=sees,
        n_picture_tokens=eyes.n_tokens if eyes is not None else 0,
        is_causal=kind not in _NOT_CAUSAL,
        max_ratio=eyes.max_ratio if eyes is not None else 0,
        image_max_tokens=max_tokens if "qwen" in kind and sees else 0,
    )


def _go_together(kind: str, architecture: str) -> bool:
    by_place = architecture in _BY_PLACE
    return by_place if kind in _FOR_PLACES else not by_place or kind == "qwen2vl_merger"


def input_width(text: GGUFHeader) -> int:
    """Width of what a text model takes in in the place of tokens: some take in several rows of their own width."""
    n_layers = text["n_deepstack_layers"] if text.architecture in ("qwen3vl", "qwen3vlmoe") else 0
    return int(text["embedding_length"]) * (1 + int(n_layers or 0))


def _kind(header: GGUFHeader) -> tuple[str, bool, bool]:
    """The kind, and whether it hears and sees."""
    metadata = header.metadata
    hears, sees = (metadata.get(f"clip.has_{name}_encoder") is True for name in ("audio", "vision"))
    own = metadata.get(f"clip.{'vision' if sees else 'audio'}.projector_type")
    kind = metadata.get("clip.projector_type") or own
    known = (True, True) if kind == _OMNI else (kind in sound.KINDS, kind in _EYES)
    if (hears, sees) != known or True not in known or metadata.get("clip.has_gen_audio_encoder"):
        does = " and ".join(word for word, does in (("hears", hears), ("sees", sees)) if does) or "does nothing"
        raise UnsupportedModalityError(
            f"{header.path}: a projector of kind {kind!r:.40} that {does}, expected one of those that are known "
            f'({", ".join(KINDS)}); open the model without it (mmproj_path="")'
        )
    return str(kind), hears, sees
