"""Hugging Face folders as large as real models, written without the memory for one: to measure, not to talk to.

Their weights are one block of random numbers over and over, as widely spread as a trained model's, so that the
kernels work as they do on one. The tokenizer is a real one if a folder with it is given, else a tiny one; both are
filled up to the vocabulary's size.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tests.quantize.tiny_families import llama_config
from tests.quantize.tiny_tokenizers import write_tokenizer
from tests.quantize.tiny_weights import Weights, draw, encode
from tests.quantize.tokenizer_parts import write_json

_N_BLOCK = 2**20 + 7  # no multiple of a row, so that rows differ
_STD = 0.02
_NUMBER_BYTES = 2  # bfloat16
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaShape:
    """The sizes of a Llama, whose output layer is its embedding."""

    n_embd: int
    n_layer: int
    n_ff: int
    n_head: int
    n_head_kv: int
    n_vocab: int
    n_shards: int = 1

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Shapes by name, in the order of the layers."""
        n_kv = self.n_embd // self.n_head * self.n_head_kv
        layer = {
            "input_layernorm": (self.n_embd,),
            "self_attn.q_proj": (self.n_embd, self.n_embd),
            "self_attn.k_proj": (n_kv, self.n_embd),
            "self_attn.v_proj": (n_kv, self.n_embd),
            "self_attn.o_proj": (self.n_embd, self.n_embd),
            "post_attention_layernorm": (self.n_embd,),
            "mlp.gate_proj": (self.n_ff, self.n_embd),
            "mlp.up_proj": (self.n_ff, self.n_embd),
            "mlp.down_proj": (self.n_embd, self.n_ff),
        }
        shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.n_vocab, self.n_embd)}
        for index in range(self.n_layer):
            shapes |= {f"model.layers.{index}.{name}.weight": shape for name, shape in layer.items()}
        return shapes | {"model.norm.weight": (self.n_embd,)}

    @property
    def n_bytes(self) -> int:
        """Of the weights in the folder."""
        return _NUMBER_BYTES * sum(_n_numbers(shape) for shape in self.tensors.values())

    @property
    def largest_f32_bytes(self) -> int:
        """Of the largest tensor as float32."""
        return 4 * max(_n_numbers(shape) for shape in self.tensors.values())

    @property
    def config(self) -> dict[str, Any]:
        """config.json."""
        return llama_config(
            "none",
            hidden_size=self.n_embd,
            intermediate_size=self.n_ff,
            num_hidden_layers=self.n_layer,
            num_attention_heads=self.n_head,
            num_key_value_heads=self.n_head_kv,
            vocab_size=self.n_vocab,
            tie_word_embeddings=True,
            torch_dtype="bfloat16",
        )


LLAMA_1B = LlamaShape(n_embd=2048, n_layer=16, n_ff=8192, n_head=32, n_head_kv=8, n_vocab=128256)
LLAMA_3B = LlamaShape(n_embd=3072, n_layer=28, n_ff=8192, n_head=24, n_head_kv=8, n_vocab=128256, n_shards=2)


def big_checkpoint(folder: Path, shape: LlamaShape, tokenizer: Path | None = None) -> Path:
    """Write a folder, or take one that was written before.

    Args:
        folder: is made.
        shape: the model's sizes.
        tokenizer: a folder with a tokenizer.json of a byte-level BPE; a tiny one where None.
    Returns:
        folder.
    """
    if folder.is_dir():
        return folder
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_json(partial / "config.json", shape.config)
    _write_tokenizer(partial, tokenizer, shape.n_vocab)
    _write_weights(partial, shape)
    return partial.rename(folder)


def _write_tokenizer(folder: Path, source: Path | None, n_vocab: int) -> None:
    if source is None:
        write_tokenizer(folder, "smollm")
    else:
        for name in _TOKENIZER_FILES:
            shutil.copyfile(source / name, folder / name)
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    vocab = tokenizer["model"]["vocab"]
    vocab |= {f"<extra {index}>": index for index in range(len(vocab), n_vocab)}  # no merge leads to them
    write_json(path, tokenizer)


def _write_weights(folder: Path, shape: LlamaShape) -> None:
    block = encode(draw("block", Weights((_N_BLOCK,), _STD), seed=1), "bf16")
    if shape.n_shards == 1:
        _write_file(folder / "model.safetensors", shape.tensors, block)
        return
    weight_map: dict[str, str] = {}
    for number, shapes in enumerate(_shards(shape), 1):
        name = f"model-{number:05}-of-{shape.n_shards:05}.safetensors"
        _write_file(folder / name, shapes, block)
        weight_map |= dict.fromkeys(shapes, name)
    index = {"metadata": {"total_size": shape.n_bytes}, "weight_map": dict(sorted(weight_map.items()))}
    write_json(folder / "model.safetensors.index.json", index)


def _shards(shape: LlamaShape) -> Iterable[Shapes]:
    """About as many bytes in each."""
    shards: list[dict[str, tuple[int, ...]]] = [{} for _ in range(shape.n_shards)]
    n_before = 0
    for name, sizes in shape.tensors.items():
        shards[n_before * shape.n_shards // shape.n_bytes][name] = sizes
        n_before += _NUMBER_BYTES * _n_numbers(sizes)
    return shards


def _write_file(path: Path, shapes: Shapes, block: bytes) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, sizes in sorted(shapes.items()):
        start, end = end, end + _NUMBER_BYTES * _n_numbers(sizes)
        header[name] = {"dtype": "BF16", "shape": sizes, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        _repeat(file, block, end)


def _repeat(file: BinaryIO, block: bytes, n_bytes: int) -> None:
    for start in range(0, n_bytes, len(block)):
        file.write(block[: n_bytes - start])


def _n_numbers(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))
