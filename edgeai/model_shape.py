"""The numbers of a model that its need of memory follows from: from a GGUF header, or from a catalog entry."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeai.catalog_entry import CatalogEntry
from edgeai.errors import ModelFormatError
from edgeai.gguf_header import ArrayInfo, GGUFHeader, read_header
from edgeai.onnx_folder import OnnxFolder, is_graph, read_folder

# Layers without a window come once in so many; llama.cpp's own numbers for headers that do not say.
_WINDOW_PATTERNS = {"gemma2": 2, "gemma3": 6, "gemma3n": 5, "cohere2": 4, "gpt-oss": 2, "olmo2": 4, "plamo3": 8}
_RECURRENT = ("mamba", "mamba2")
_FULL_ATTENTION_INTERVAL = {"qwen3next": 4, "qwen35": 4, "qwen35moe": 4}
_ENCODERS = (
    *("bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert"),
    *("jina-bert-v2", "jina-bert-v3", "eurobert", "gemma-embedding"),
)
# An encoder beside the decoder, speech, or text by diffusion: llama.cpp loads them, but they need other ways to run.
_OTHER_WAYS = (
    *("t5", "t5encoder", "wavtokenizer-dec", "qwen3tts", "pockettts"),
    *("dream", "llada", "llada-moe", "rnd1"),
)
_F32_BYTES, _FLOAT_BITS = 4, 32


@dataclass(frozen=True, slots=True)
class KVLayers:
    """Attention layers with caches of one size.

    Attributes:
        n_layer: how many.
        k_width: elements of K for one token.
        v_width: elements of V for one token.
        windowed: they see only the model's sliding window.
    """

    n_layer: int
    k_width: int
    v_width: int
    windowed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """A model's size. The plain numbers are llama.cpp's; `kv_layers` and `state_bytes` follow from them for a model
    whose attention layers are all alike and must be given for others.

    Attributes:
        weights_bytes: all tensors.
        n_layer: layers.
        n_embd: width of the model.
        n_head: attention heads.
        n_head_kv: heads of K and V.
        head_dim: width of a head.
        n_ff: width of a feed-forward layer; of all experts used for a token together.
        n_vocab: tokens of the vocabulary.
        n_merges: merges of its tokenizer.
        n_swa: tokens of the sliding window; 0 without one.
        n_layer_full: attention layers that see the whole context; None for all.
        n_ctx_train: the context window it was trained for, tokens; None where not known.
        kv_layers: the attention layers.
        state_bytes: what recurrent layers hold, at any length.
        d_inner: width of recurrent layers; 0 without any.
        name: for messages: a path, or a catalog name.
        is_onnx: ONNX Runtime runs it, not llama.cpp.
    """

    weights_bytes: int
    n_layer: int
    n_embd: int
    n_head: int
    n_head_kv: int
    head_dim: int
    n_ff: int
    n_vocab: int
    n_merges: int = 0
    n_swa: int = 0
    n_layer_full: int | None = None
    n_ctx_train: int | None = None
    kv_layers: tuple[KVLayers, ...] = ()
    state_bytes: int = 0
    d_inner: int = 0
    name: str = "the model"
    is_onnx: bool = False

    def __post_init__(self) -> None:
        if self.kv_layers or self.state_bytes:
            return
        width = self.n_head_kv * self.head_dim
        n_full = self.n_layer if self.n_layer_full is None or not self.n_swa else self.n_layer_full
        groups = (KVLayers(n_full, width, width), KVLayers(self.n_layer - n_full, width, width, windowed=True))
        object.__setattr__(self, "kv_layers", tuple(group for group in groups if group.n_layer > 0))

    @classmethod
    def from_header(cls, header: GGUFHeader) -> ModelShape:
        """The shape of a model that is on the disk.

        Raises:
            ModelFormatError: a projector, an encoder or another kind, not a language model that we can run.
        """
        if header.architecture == "clip":
            raise ModelFormatError(
                f"{header.path}: a projector (mmproj), not a language model: open the model that it belongs to"
            )
        if header.architecture in _ENCODERS:
            raise ModelFormatError(
                f"{header.path}: an encoder for embeddings ({header.architecture}), which writes no text: "
                "choose a language model"
            )
        if header.architecture in _OTHER_WAYS:
            raise ModelFormatError(
                f"{header.path}: general.architecture = {header.architecture!r}, which does not write text token by "
                "token: choose a language model"
            )
        return _HeaderShape(header).shape()

    @classmethod
    def from_file(cls, path: Path) -> ModelShape:
        """The shape of a .gguf file, or of a graph's folder.

        Raises:
            ModelFormatError: none of a language model that we can run.
        """
        return cls.from_onnx(read_folder(path)) if is_graph(path) else cls.from_header(read_header(path))

    @classmethod
    def from_onnx(cls, folder: OnnxFolder) -> ModelShape:
        """The shape of an ONNX folder. Its layers keep all the context, windows or not."""
        decoder = folder.decoder
        packed_head = decoder.n_vocab * decoder.n_embd * _F32_BYTES if folder.bits == _FLOAT_BITS else 0
        return cls(
            weights_bytes=folder.weights_bytes + packed_head,  # floats that are embeddings too stay where they were
            n_layer=decoder.n_layer,
            n_embd=decoder.n_embd,
            n_head=decoder.n_head,
            n_head_kv=decoder.n_head_kv,
            head_dim=decoder.head_dim,
            n_ff=4 * decoder.n_embd,  # which no file beside the graph tells
            n_vocab=decoder.n_vocab,
            n_merges=decoder.n_vocab,
            n_ctx_train=folder.n_ctx_train,
            name=str(folder.path),
            is_onnx=True,
        )

    @classmethod
    def from_entry(cls, entry: CatalogEntry) -> ModelShape:
        """The shape of a model that the catalog knows; a guess where its shape is not published."""
        weights_bytes = sum(file.size_bytes for file in entry.files)
        numbers = dict(entry.shape) or _guess(entry.parameters)
        numbers.setdefault("n_merges", numbers["n_vocab"])
        return cls(**numbers, weights_bytes=weights_bytes, n_ctx_train=entry.n_ctx_train, name=entry.name)  # type: ignore[arg-type]


def _guess(n_params: int) -> dict[str, int]:
    """A common shape for a number of parameters: 32 layers of 12 n_embd^2, one head of K and V for two of Q."""
    n_layer, head_dim = 32, 128
    n_head = max(2, math.ceil(math.sqrt(n_params / (12 * n_layer)) / head_dim / 2) * 2)
    n_embd = n_head * head_dim
    return {
        "n_layer": n_layer,
        "n_embd": n_embd,
        "n_head": n_head,
        "n_head_kv": n_head // 2,
        "head_dim": head_dim,
        "n_ff": 4 * n_embd,
        "n_vocab": 128_000,
    }


class _HeaderShape:
    """Reads a checked header the way llama.cpp's load_hparams does."""

    def __init__(self, header: GGUFHeader) -> None:
        self._header = header
        self._n_layer: int = header["block_count"]
        self._n_embd: int = header["embedding_length"]
        self._heads = self._per_layer("attention.head_count", 0)
        self._kv_heads = self._per_layer("attention.head_count_kv", self._heads)

    def shape(self) -> ModelShape:
        header = self._header
        merges = header.metadata.get("tokenizer.ggml.merges")
        n_head = max(self._heads)
        return ModelShape(
            weights_bytes=header.tensor_bytes,
            n_layer=self._n_layer,
            n_embd=self._n_embd,
            n_head=n_head,
            n_head_kv=max(self._kv_heads),
            head_dim=self._number("attention.key_length", self._n_embd // n_head if n_head else 0),
            n_ff=self._feed_forward_width(),
            n_vocab=header.n_vocab,
            n_merges=merges.count if isinstance(merges, ArrayInfo) else 0,
            n_swa=self._n_swa,
            n_ctx_train=header["context_length"],
            kv_layers=self._kv_layers(),
            state_bytes=self._state_bytes(),
            d_inner=self._number("ssm.inner_size", 0),
            name=str(header.path),
        )

    def _kv_layers(self) -> tuple[KVLayers, ...]:
        default = self._n_embd // self._heads[0] if self._heads[0] else 0
        k_dim, v_dim = self._number("attention.key_length", default), self._number("attention.value_length", default)
        k_dim_swa, v_dim_swa = (
            self._number("attention.key_length_swa", k_dim),
            self._number("attention.value_length_swa", v_dim),
        )
        counts: Counter[tuple[int, int, bool]] = Counter()
        for layer in range(self._n_layer_with_cache):
            n_kv, windowed = self._kv_heads[layer], self._is_windowed(layer)
            if n_kv and not self._is_recurrent_only(layer):
                k, v = (k_dim_swa, v_dim_swa) if windowed else (k_dim, v_dim)
                counts[k * n_kv, v * n_kv, windowed] += 1
        return tuple(KVLayers(n, k, v, windowed) for (k, v, windowed), n in counts.items())

    @property
    def _n_swa(self) -> int:
        default = 4096 if self._header.architecture == "gemma2" else 0
        return self._number("attention.sliding_window", default)

    @property
    def _n_layer_with_cache(self) -> int:
        if self._header.architecture == "gemma3n":
            return min(self._n_layer, 20)  # the rest shares these layers' caches; llama.cpp's own constant
        own = self._n_layer - self._number("nextn_predict_layers", 0)
        return own - self._number("attention.shared_kv_layers", 0)

    def _is_windowed(self, layer: int) -> bool:
        if not self._n_swa:
            return False
        pattern = self._header["attention.sliding_window_pattern"]
        if isinstance(pattern, tuple):
            return layer < len(pattern) and bool(pattern[layer])
        if pattern is None:
            pattern = _WINDOW_PATTERNS.get(self._header.architecture)
        if not isinstance(pattern, int) or self._header.architecture not in _WINDOW_PATTERNS:
            return False
        return pattern == 0 or layer % pattern < pattern - 1

    def _is_recurrent_only(self, layer: int) -> bool:
        architecture = self._header.architecture
        if architecture in _RECURRENT:
            return True
        if architecture in _FULL_ATTENTION_INTERVAL:
            interval = self._number("full_attention_interval", _FULL_ATTENTION_INTERVAL[architecture])
            return bool((layer + 1) % interval)
        return not self._kv_heads[layer]

    def _state_bytes(self) -> int:
        """Recurrent layers' convolution and state, in F32 (llama_hparams::n_embd_r and n_embd_s)."""
        inner, state = self._number("ssm.inner_size", 0), self._number("ssm.state_size", 0)
        groups, short = self._number("ssm.group_count", 0), self._number("shortconv.l_cache", 0)
        if short:
            n_elements = self._n_embd * (short - 1)
        else:
            n_elements = (self._number("ssm.conv_kernel", 1) - 1) * (inner + 2 * groups * state) + state * inner
        everywhere = self._header.architecture == "falcon-h1"
        n_layer = sum(everywhere or self._is_recurrent_only(layer) for layer in range(self._n_layer))
        return n_layer * n_elements * _F32_BYTES if inner or short else 0

    def _feed_forward_width(self) -> int:
        n_used = max(self._per_layer("expert_used_count", 0))
        experts = n_used * max(self._per_layer("expert_feed_forward_length", 0))
        return max(*self._per_layer("feed_forward_length", 0), experts)

    def _number(self, name: str, default: int) -> int:
        value = self._header[name]
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def _per_layer(self, name: str, default: Any) -> tuple[int, ...]:
        value = self._header[name]
        if value is None:
            value = default
        if isinstance(value, tuple) and len(value) == self._n_layer and all(isinstance(item, int) for item in value):
            return value
        return (value if isinstance(value, int) else 0,) * self._n_layer
