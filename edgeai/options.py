"""How a model is loaded and how its tokens are chosen, in llama.cpp's own words."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args

from edgeai.errors import OptionError
from edgeai.onnx_providers import CPU, PROVIDERS

Auto = Literal["auto"]
Overflow = Literal["error", "trim"]
Isolation = Literal["process", "none"]

KV_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
"""Types a KV cache can have; the names llama.cpp's --cache-type-k takes."""
IMAGE_TOKENS = (64, 4096)
"""Tokens of a picture that a user may choose, from and to: beyond, libmtmd's own numbers overflow."""
MAX_THREADS = 512
"""llama.cpp's own bound (GGML_MAX_N_THREADS); far beyond it the process dies in native code."""
_FLOAT_TYPES = ("f32", "f16", "bf16")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How a model is loaded.

    Attributes:
        n_ctx: context window in tokens; "auto" takes what the model was trained for, at most 4096, and less where
            memory is short.
        n_batch: tokens evaluated in one piece of a prompt (also the step of progress and cancellation).
        n_ubatch: tokens of one physical batch; at most n_batch.
        n_threads: threads; "auto" follows the cores this process may use and the machine's load.
        n_gpu_layers: layers given to a GPU, where llama.cpp was built for one; -1 is all.
        type_k: element type of the K cache, one of KV_TYPES. q8_0 for both caches loses hardly more than fused
            attention changes by itself, q4_0 for both some 3 % of perplexity on SmolLM2 (benchmarks/kv_types.py).
        type_v: element type of the V cache; a quantized one needs flash_attn.
        flash_attn: fused attention. None takes it where it is needed (a quantized type_v) and leaves it to llama.cpp
            on a GPU; on a CPU it makes long prompts somewhat faster and the answers to them far slower
            (benchmarks/attention.py).
        use_mmap: map the weights instead of reading them into memory.
        use_mlock: keep the weights from being swapped out.
        swa_full: keep the whole cache of sliding-window layers (more memory; turns can be edited without evaluating
            again).
        isolation: "process" runs the engine in a sandboxed process of its own, which no model file can break out of;
            "none" inside this process, for platforms that can start none and for debugging.
        watchdog_s: seconds without a token, or a piece of the prompt, after which the engine is ended; "auto" follows
            the measured speed. Only with isolation = "process".
        retry_crashed: load a model that has crashed or hung the engine twice while it was loaded.
        mmproj_path: the model's projector, through which it sees or hears. None takes the only `mmproj*.gguf` beside
            the model, if it fits the model; "" takes none.
        image_max_tokens: tokens of a picture at most, for models that see pictures in their own shape (Qwen-VL); fewer
            are quicker and take less memory, and show less. 0 takes 1,024.
        keep_states: keep the evaluated state of documents on the disk, so that they are not evaluated again.
        provider: what runs an ONNX model: one of `edgeai.onnx_providers.PROVIDERS`; "auto" takes the best that the
            installed onnxruntime has. GGUF models have n_gpu_layers.
    """

    n_ctx: int | Auto = "auto"
    n_batch: int = 128
    n_ubatch: int = 128
    n_threads: int | Auto = "auto"
    n_gpu_layers: int = 0
    type_k: str = "f16"
    type_v: str = "f16"
    flash_attn: bool | None = None
    use_mmap: bool = True
    use_mlock: bool = False
    swa_full: bool = False
    isolation: Isolation = "process"
    watchdog_s: float | Auto = "auto"
    retry_crashed: bool = False
    keep_states: bool = False
    mmproj_path: str | None = None
    image_max_tokens: int = 0
    provider: str = "auto"

    def __post_init__(self) -> None:
        if self.mmproj_path is not None:
            object.__setattr__(self, "mmproj_path", _checked_path("mmproj_path", self.mmproj_path))
        for name in ("n_ctx", "n_threads"):
            value = getattr(self, name)
            if value != "auto" and not _is_int(value, 1):
                raise OptionError(f'{name} = {value!r}: expected a positive number or "auto"')
        if self.n_threads != "auto" and self.n_threads > MAX_THREADS:
            raise OptionError(f'n_threads = {self.n_threads}: expected at most {MAX_THREADS}, or "auto"')
        if not _is_int(self.n_batch, 1) or not _is_int(self.n_ubatch, 1):
            raise OptionError(f"n_batch = {self.n_batch!r}, n_ubatch = {self.n_ubatch!r}: expected positive numbers")
        least, most = IMAGE_TOKENS
        if not _is_int(self.image_max_tokens, 0) or not least <= (self.image_max_tokens or least) <= most:
            raise OptionError(
                f"image_max_tokens = {self.image_max_tokens!r}: expected a number from {least} to {most:,}"
            )
        if not _is_int(self.n_gpu_layers, -1):
            raise OptionError(f"n_gpu_layers = {self.n_gpu_layers!r}: expected a number, or -1 for all layers")
        for name in ("type_k", "type_v"):
            if getattr(self, name) not in KV_TYPES:
                raise OptionError(f"{name} = {getattr(self, name)!r}: expected one of {', '.join(KV_TYPES)}")
        for name in ("use_mmap", "use_mlock", "swa_full", "retry_crashed", "keep_states"):
            if not isinstance(getattr(self, name), bool):
                raise OptionError(f"{name} = {getattr(self, name)!r}: expected True or False")
        if self.isolation not in get_args(Isolation):
            raise OptionError(f'isolation = {self.isolation!r}: expected "process" or "none"')
        if self.watchdog_s != "auto":
            _check_number("watchdog_s", self.watchdog_s, 0.1, 1e9)
        if self.provider != "auto" and self.provider not in PROVIDERS:
            raise OptionError(f"provider = {self.provider!r:.60}: expected auto or one of {', '.join(PROVIDERS)}")
        if self.flash_attn not in (None, True, False):
            raise OptionError(f"flash_attn = {self.flash_attn!r}: expected True, False or None")
        if self.flash_attn is False and self.type_v not in _FLOAT_TYPES:
            raise OptionError(
                f"type_v = {self.type_v!r} needs flash_attn: leave flash_attn out, or take type_v = 'f16'"
            )

    @property
    def uses_gpu(self) -> bool:
        """Whether a device with memory of its own takes part."""
        return self.n_gpu_layers != 0 or self.provider not in ("auto", CPU)

    @property
    def fused_attention(self) -> bool | None:
        """What flash_attn comes to; None leaves it to llama.cpp."""
        if self.flash_attn is not None:
            return self.flash_attn
        return None if self.n_gpu_layers else self.type_v not in _FLOAT_TYPES


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingOptions:
    """How tokens are chosen.

    Attributes:
        temperature: 0 is greedy.
        top_k: keep the k likeliest tokens; 0 keeps all.
        top_p: keep the likeliest tokens that make up this share, 0..1.
        min_p: drop tokens less likely than this share of the likeliest, 0..1.
        repeat_penalty: over 1 makes the last 64 tokens less likely again; 1 is off.
        seed: the same seed, settings and pieces give the same text; None takes a new one each time.
        max_tokens: tokens at most; None fills the context window.
        stop: texts at which the answer ends; they are not part of it.
        logit_bias: added to the logits of single token ids.
    """

    temperature: float = 0.7
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    logit_bias: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.stop, str):
            object.__setattr__(self, "stop", (self.stop,))
        stop = tuple(self.stop) if isinstance(self.stop, Iterable) else (self.stop,)
        if not all(isinstance(text, str) and text for text in stop):
            raise OptionError(f"stop = {self.stop!r}: expected non-empty strings")
        object.__setattr__(self, "stop", stop)
        _check_number("temperature", self.temperature, 0, 100)
        _check_number("top_p", self.top_p, 0, 1)
        _check_number("min_p", self.min_p, 0, 1)
        _check_number("repeat_penalty", self.repeat_penalty, 0.01, 100)
        if not _is_int(self.top_k, 0):
            raise OptionError(f"top_k = {self.top_k!r}: expected 0 (off) or a positive number")
        if self.max_tokens is not None and not _is_int(self.max_tokens, 1):
            raise OptionError(f"max_tokens = {self.max_tokens!r}: expected a positive number")
        if self.seed is not None and not (_is_int(self.seed, 0) and self.seed < 2**32 - 1):
            raise OptionError(f"seed = {self.seed!r}: expected a number from 0 to {2**32 - 2}")
        if not isinstance(self.logit_bias, Mapping):
            raise OptionError(f"logit_bias = {self.logit_bias!r}: expected token ids and what is added to each")
        for token, bias in self.logit_bias.items():
            if not _is_int(token, 0):
                raise OptionError(f"logit_bias has the key {token!r}: expected a token id")
            _check_number(f"logit_bias of token {token}", bias, float("-inf"), float("inf"))


def _checked_path(name: str, value: object) -> str:
    if not isinstance(value, (str, os.PathLike)):
        raise OptionError(f"{name} = {value!r}: expected a file's path")
    return os.fsdecode(value)


def _is_int(value: object, at_least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and at_least <= value < 2**32


def _check_number(name: str, value: object, low: float, high: float) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
        raise OptionError(f"{name} = {value!r}: expected a number from {low:g} to {high:g}")


_Options = TypeVar("_Options", LoadOptions, SamplingOptions)


def make_options(kind: type[_Options], values: Mapping[str, Any]) -> _Options:
    """Options from keywords; an unknown keyword gets an error that names the known ones.

    Raises:
        OptionError: an unknown name, or a value that makes no sense.
    """
    known = [item.name for item in fields(kind)]
    for name in values:
        if name not in known:
            raise OptionError(f"unknown option {name!r}: expected one of {', '.join(known)}")
    return kind(**values)
