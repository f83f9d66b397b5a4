"""Float GGUFs to quantize, and llama.cpp's own quantizer with all its choices to compare with."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter

from edgeai.backends.llama_native import bindings
from edgeai.gguf_header import read_header
from quantize import Options, quantize
from quantize.ftypes import FTYPES
from quantize.ggml import TYPE_IDS
from quantize.imatrix import Entry, Imatrix, write_imatrix
from quantize.plan import TypeChoices
from tests.quantize.oracles import has_importance, importance
from tests.quantize.tiny_checkpoints import case_checkpoint
from tests.quantize.tiny_weights import F32
from tests.tiny import vocabulary

N_EXPERTS = 8


def float_file(folder: Path, case: str = "llama", ftype: str = "F32") -> Path:
    """A tiny checkpoint as a GGUF of a float type. `case` may be "mixtral"."""
    if case == "mixtral":
        return mixtral(folder / "mixtral.gguf")
    path = folder / f"{case}-{ftype}.gguf"
    quantize(case_checkpoint(folder, case), path, Options(ftype=ftype))
    return path


def mixtral(path: Path, n_ff: int = 96) -> Path:
    """A model with eight experts, whose matrices lie in stacks; rows of 256 and of `n_ff`."""
    writer, rng = GGUFWriter(path, "llama"), np.random.default_rng(0)
    writer.add_name("tiny-mixtral")
    writer.add_context_length(512)
    writer.add_embedding_length(256)
    writer.add_block_count(2)
    writer.add_feed_forward_length(n_ff)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_expert_count(N_EXPERTS)
    writer.add_expert_used_count(2)
    tokens = vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    for name, shape in _mixtral_shapes(len(tokens), n_ff):
        writer.add_tensor(name, rng.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _mixtral_shapes(n_vocab: int, n_ff: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "token_embd.weight", (n_vocab, 256)
    yield "output.weight", (n_vocab, 256)
    yield "output_norm.weight", (256,)
    for layer in range(2):
        for name, shape in {
            "attn_norm.weight": (256,),
            "attn_q.weight": (256, 256),
            "attn_k.weight": (128, 256),
            "attn_v.weight": (128, 256),
            "attn_output.weight": (256, 256),
            "ffn_norm.weight": (256,),
            "ffn_gate_inp.weight": (N_EXPERTS, 256),
            "ffn_gate_exps.weight": (N_EXPERTS, n_ff, 256),
            "ffn_up_exps.weight": (N_EXPERTS, n_ff, 256),
            "ffn_down_exps.weight": (N_EXPERTS, 256, n_ff),
        }.items():
            yield f"blk.{layer}.{name}", shape


def importances(path: Path) -> dict[str, F32]:
    """The fixed importance matrix for a file, another for each expert. [n_matrices * n_cols]"""
    return {
        tensor.name: importance(tensor.name, tensor.n_elements // tensor.shape[1])
        for tensor in read_header(path).tensors
        if len(tensor.shape) > 1 and has_importance(tensor.name)
    }


def imatrix_file(path: Path, values: Mapping[str, F32]) -> Path:
    """An importance matrix as a file."""
    entries = {
        name: Entry(rows, np.ones(N_EXPERTS if "_exps." in name else 1, np.int64)) for name, rows in values.items()
    }
    write_imatrix(Imatrix(entries, ("fixed",), 1, 512), path)
    return path


def official(
    source: Path,
    target: Path,
    choices: TypeChoices,
    values: Mapping[str, F32] | None = None,
    *,
    allow_requantize: bool = False,
) -> Path:
    """What `llama_model_quantize` makes of a file.

    Args:
        source: a GGUF.
        target: the file to write.
        choices: of types.
        values: an importance matrix.
        allow_requantize: whether the source may be quantized.
    Raises:
        RuntimeError: it refuses.
    """
    llama = bindings()
    parameters: Any = llama.llama_model_quantize_default_params()
    parameters.ftype, parameters.nthread = FTYPES[choices.ftype], 2
    parameters.allow_requantize = allow_requantize
    if choices.output:
        parameters.output_tensor_type = TYPE_IDS[choices.output]
    if choices.token_embd:
        parameters.token_embedding_type = TYPE_IDS[choices.token_embd]
    overrides = (llama.llama_model_tensor_override * (len(choices.by_pattern) + 1))()
    for item, (pattern, qtype) in zip(overrides, choices.by_pattern, strict=False):
        item.pattern, item.type = pattern.encode(), TYPE_IDS[qtype]
    parameters.tt_overrides = overrides
    if values is not None:
        rows = (llama.llama_model_imatrix_data * (len(values) + 1))()
        for row, (name, numbers) in zip(rows, values.items(), strict=False):
            row.name, row.size = name.encode(), numbers.size
            row.data = numbers.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        parameters.imatrix = rows
    if llama.llama_model_quantize(bytes(source), bytes(target), ctypes.byref(parameters)):
        raise RuntimeError(f"llama_model_quantize refuses {choices}")
    return target


def contents(path: Path) -> list[tuple[str, tuple[int, ...], str, bytes]]:
    """Name, shape, type and bytes of each tensor of a file, in its order."""
    data = path.read_bytes()
    return [
        (tensor.name, tensor.shape, tensor.type, data[tensor.offset : tensor.offset + tensor.n_bytes])
        for tensor in read_header(path).tensors
    ]
