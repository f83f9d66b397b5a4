"""A tiny ONNX decoder with the weights of `tests.tiny`'s llama: the same answers as llama.cpp gives, by another engine.

The graph is written by hand with the onnx library; `oracle_logits` works the same out in numpy, in double precision.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data

from tests.fakes import CHATML
from tests.tiny import CONTROL_TOKENS, HEAD_DIM, MERGES, N_EMBD, N_HEAD, N_HEAD_KV, N_LAYER, _tensors, vocabulary

N_VOCAB = len(vocabulary())
BOS, EOS = (vocabulary().index(text) for text in ("<|endoftext|>", "<|im_end|>"))
EPSILON = 1e-6

F64 = NDArray[np.float64]


def tiny_onnx(folder: Path, **options: Any) -> Path:
    """Write a folder in well under a second.

    Args:
        folder: to write; made where it is not there.
        options: of `tiny_graph` (seed, last_only, n_positions, kind) and `write_folder` (n_ctx_train, ours, …).
    Returns:
        folder.
    """
    names = ("seed", "last_only", "n_positions", "kind")
    graph = tiny_graph(**{name: options.pop(name) for name in names if name in options})
    return write_folder(folder, graph, **options)


def tiny_graph(
    seed: int = 0, *, last_only: bool = True, n_positions: int = 2048, kind: int = TensorProto.FLOAT
) -> onnx.ModelProto:
    """The graph, its weights inside.

    Args:
        seed: of the weights.
        last_only: logits of the last token alone come out; otherwise those of all.
        n_positions: rows of the rotary tables.
        kind: element type of K, V and the logits: FLOAT, or FLOAT16, which is what graphs for GPUs have.
    """
    weights = {name: np.asarray(values, np.float32) for name, values in _tensors("llama", np.random.default_rng(seed))}
    made = _Graph()
    tables = _angles(n_positions)
    made.weight("cos_cache", np.cos(tables).astype(np.float32))
    made.weight("sin_cache", np.sin(tables).astype(np.float32))
    made.weight("token_embd", weights["token_embd.weight"])
    made.lengths()
    x = made.add("Gather", ["token_embd", "input_ids"], "x")
    for layer in range(N_LAYER):
        x = made.layer(layer, x, {name.removeprefix(f"blk.{layer}."): w for name, w in weights.items()}, kind)
    made.weight("output_norm", weights["output_norm.weight"])
    made.weight("output", weights["output.weight"].T)
    if last_only:
        for name, value in (("last_start", -1), ("last_end", 2**62), ("last_axis", 1)):
            made.weight(name, np.array([value], np.int64))
        x = made.add("Slice", [x, "last_start", "last_end", "last_axis"], "last_position")
    x = made.add("SimplifiedLayerNormalization", [x, "output_norm"], "normed", axis=-1, epsilon=EPSILON)
    made.add("MatMul", [x, "output"], "logits" if kind == TensorProto.FLOAT else "logits_f32")
    if kind != TensorProto.FLOAT:
        made.add("Cast", ["logits_f32"], "logits", to=kind)
    return made.model(last_only, kind)


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, name: str, values: NDArray[Any]) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, kind: str, inputs: Sequence[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def lengths(self) -> None:
        """What GroupQueryAttention asks for, from the mask."""
        self.weight("one", np.array([1], np.int64))
        self.weight("axis_one", np.array(1, np.int64))
        self.add("ReduceSum", ["attention_mask", "one"], "n_tokens", keepdims=0)
        self.add("Sub", ["n_tokens", "axis_one"], "n_before")
        self.add("Cast", ["n_before"], "seqlens_k", to=TensorProto.INT32)
        self.add("Shape", ["attention_mask"], "mask_shape")
        self.add("Gather", ["mask_shape", "axis_one"], "n_total")
        self.add("Cast", ["n_total"], "total_sequence_length", to=TensorProto.INT32)

    def layer(self, layer: int, x: str, weights: dict[str, Any], kind: int) -> str:
        def matrix(name: str) -> str:
            return self.weight(f"{layer}.{name}", weights[f"{name}.weight"].T)

        norm = self.weight(f"{layer}.attn_norm", weights["attn_norm.weight"])
        h = self.add("SimplifiedLayerNormalization", [x, norm], f"{layer}.h", axis=-1, epsilon=EPSILON)
        qkv = np.concatenate([weights[f"attn_{name}.weight"] for name in "qkv"]).T
        h = self.add("MatMul", [h, self.weight(f"{layer}.attn_qkv", qkv)], f"{layer}.qkv")
        if kind != TensorProto.FLOAT:
            h = self.add("Cast", [h], f"{layer}.qkv16", to=kind)
        attention = [f"{layer}.attention", f"present.{layer}.key", f"present.{layer}.value"]
        past = [f"past_key_values.{layer}.key", f"past_key_values.{layer}.value"]
        tables = ["cos_cache", "sin_cache"]
        if kind != TensorProto.FLOAT:
            tables = [self.add("Cast", [name], f"{layer}.{name}16", to=kind) for name in tables]
        self.nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                [h, "", "", *past, "seqlens_k", "total_sequence_length", *tables],
                attention,
                domain="com.microsoft",
                num_heads=N_HEAD,
                kv_num_heads=N_HEAD_KV,
                do_rotary=1,
                rotary_interleaved=1,
            )
        )
        h = attention[0]
        if kind != TensorProto.FLOAT:
            h = self.add("Cast", [h], f"{layer}.attention32", to=TensorProto.FLOAT)
        x = self.add("Add", [x, self.add("MatMul", [h, matrix("attn_output")], f"{layer}.o")], f"{layer}.x")
        norm = self.weight(f"{layer}.ffn_norm", weights["ffn_norm.weight"])
        h = self.add("SimplifiedLayerNormalization", [x, norm], f"{layer}.f", axis=-1, epsilon=EPSILON)
        gate = self.add("MatMul", [h, matrix("ffn_gate")], f"{layer}.gate")
        up = self.add("MatMul", [h, matrix("ffn_up")], f"{layer}.up")
        silu = self.add("Mul", [gate, self.add("Sigmoid", [gate], f"{layer}.sigmoid")], f"{layer}.silu")
        h = self.add("Mul", [silu, up], f"{layer}.hidden")
        return self.add("Add", [x, self.add("MatMul", [h, matrix("ffn_down")], f"{layer}.down")], f"{layer}.out")

    def model(self, last_only: bool, kind: int) -> onnx.ModelProto:
        def value(name: str, of: int, *shape: str | int) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, of, list(shape))

        def caches(side: str, length: str) -> Iterator[onnx.ValueInfoProto]:
            for layer in range(N_LAYER):
                for name in ("key", "value"):
                    yield value(f"{side}.{layer}.{name}", kind, "batch_size", N_HEAD_KV, length, HEAD_DIM)

        inputs = [
            value("input_ids", TensorProto.INT64, "batch_size", "sequence_length"),
            value("attention_mask", TensorProto.INT64, "batch_size", "total_sequence_length"),
            *caches("past_key_values", "past_sequence_length"),
        ]
        n_out: str | int = 1 if last_only else "sequence_length"
        outputs = [
            value("logits", kind, "batch_size", n_out, N_VOCAB),
            *caches("present", "total_sequence_length"),
        ]
        graph = helper.make_graph(self.nodes, "tiny", inputs, outputs, self.weights)
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def write_folder(
    folder: Path,
    graph: onnx.ModelProto,
    *,
    n_ctx_train: int = 512,
    chat_template: str | None = CHATML,
    ours: bool = True,
    name: str = "tiny-onnx",
) -> Path:
    """Write a graph and all that stands around it; `ours`: with edgeai.json, as `quantize --format onnx` does."""
    folder.mkdir(parents=True, exist_ok=True)
    convert_model_to_external_data(graph, location="model.onnx.data", size_threshold=1024)
    (folder / "model.onnx.data").unlink(missing_ok=True)
    onnx.save(graph, folder / "model.onnx")
    (folder / "genai_config.json").write_text(json.dumps(genai_config(n_ctx_train)))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json()))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>"}))
    if chat_template is not None:
        (folder / "chat_template.jinja").write_text(chat_template)
    if ours:
        write_record(folder, name, n_ctx_train)
    return folder


def write_record(folder: Path, name: str = "tiny-onnx", n_ctx_train: int = 512) -> None:
    """edgeai.json, with the sizes and hashes of what is there."""
    record_path = folder / "edgeai.json"
    record_path.unlink(missing_ok=True)
    files = {
        path.name: {"size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
    }
    record = {
        "format": 1,
        "made_by": "edgeai 0.1.0",
        "name": name,
        "architecture": "llama",
        "n_params": 1_000_000,
        "n_ctx_train": n_ctx_train,
        "bits": 32,
        "licence": "Apache-2.0",
        "add_bos": False,
        "files": files,
    }
    record_path.write_text(json.dumps(record))


def genai_config(n_ctx_train: int = 512) -> dict[str, Any]:
    """As ONNX Runtime GenAI's model builder writes it."""
    return {
        "model": {
            "bos_token_id": BOS,
            "context_length": n_ctx_train,
            "decoder": {
                "session_options": {"log_id": "onnxruntime-genai", "provider_options": []},
                "filename": "model.onnx",
                "head_size": HEAD_DIM,
                "hidden_size": N_EMBD,
                "inputs": {
                    "input_ids": "input_ids",
                    "attention_mask": "attention_mask",
                    "past_key_names": "past_key_values.%d.key",
                    "past_value_names": "past_key_values.%d.value",
                },
                "outputs": {
                    "logits": "logits",
                    "present_key_names": "present.%d.key",
                    "present_value_names": "present.%d.value",
                },
                "num_attention_heads": N_HEAD,
                "num_hidden_layers": N_LAYER,
                "num_key_value_heads": N_HEAD_KV,
            },
            "eos_token_id": [EOS],
            "pad_token_id": EOS,
            "type": "llama",
            "vocab_size": N_VOCAB,
        },
        "search": {"max_length": n_ctx_train, "past_present_share_buffer": True},
    }


def tokenizer_json() -> dict[str, Any]:
    """`tests.tiny`'s vocabulary, as Hugging Face's tokenizers write a byte-level one."""
    tokens = vocabulary()
    added = [
        {
            "id": tokens.index(text),
            "content": text,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for text in CONTROL_TOKENS
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {text: index for index, text in enumerate(tokens) if text not in CONTROL_TOKENS},
            "merges": list(MERGES),
        },
    }


def oracle_logits(tokens: Sequence[int], seed: int = 0) -> F64:
    """What the graph must answer after these tokens. [n_vocab]"""
    weights = _weights(seed)
    n_tokens = len(tokens)
    x = weights["token_embd.weight"][list(tokens)]  # [n_tokens, n_embd]
    angles = _angles(n_tokens)
    allowed = np.tril(np.ones((n_tokens, n_tokens), bool))
    for layer in range(N_LAYER):
        of = {name.removeprefix(f"blk.{layer}."): w for name, w in weights.items()}
        h = _normed(x, of["attn_norm.weight"])
        q = _rotated((h @ of["attn_q.weight"].T).reshape(n_tokens, N_HEAD, HEAD_DIM), angles)
        k = _rotated((h @ of["attn_k.weight"].T).reshape(n_tokens, N_HEAD_KV, HEAD_DIM), angles)
        v = (h @ of["attn_v.weight"].T).reshape(n_tokens, N_HEAD_KV, HEAD_DIM)
        k, v = (np.repeat(each, N_HEAD // N_HEAD_KV, axis=1) for each in (k, v))
        scores = np.einsum("qhd,khd->hqk", q, k) / HEAD_DIM**0.5
        scores = np.where(allowed, scores, -np.inf)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        seen = np.einsum("hqk,khd->qhd", shares, v).reshape(n_tokens, -1)
        x = x + seen @ of["attn_output.weight"].T
        h = _normed(x, of["ffn_norm.weight"])
        gate = h @ of["ffn_gate.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ of["ffn_up.weight"].T)) @ of["ffn_down.weight"].T
    logits: F64 = weights["output.weight"] @ _normed(x[-1], weights["output_norm.weight"])
    return logits


def oracle_greedy(tokens: Sequence[int], n_tokens: int, seed: int = 0) -> list[int]:
    """The likeliest tokens after these, one after the other; the end token is one like any other."""
    return list(_greedy(tuple(tokens), n_tokens, seed))


@functools.cache
def _greedy(tokens: tuple[int, ...], n_tokens: int, seed: int) -> tuple[int, ...]:
    known = list(tokens)
    for _ in range(n_tokens):
        known.append(int(oracle_logits(known, seed).argmax()))
    return tuple(known[len(tokens) :])


@functools.cache
def _weights(seed: int) -> dict[str, F64]:
    return {name: np.asarray(values, np.float64) for name, values in _tensors("llama", np.random.default_rng(seed))}


def _angles(n_positions: int) -> F64:
    """[n_positions, head_dim / 2]"""
    rates = 10_000.0 ** (-np.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    return np.outer(np.arange(n_positions), rates)


def _rotated(x: F64, angles: F64) -> F64:
    """Neighbours are turned, as llama.cpp does it. [n_tokens, n_head, head_dim]"""
    sin, cos = np.sin(angles)[:, None], np.cos(angles)[:, None]
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = np.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1)
    return turned.reshape(x.shape)


def _normed(x: F64, weight: F64) -> F64:
    normed: F64 = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPSILON) * weight
    return normed
