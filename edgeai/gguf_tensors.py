"""What has to hold of tensors' types: llama.cpp's operators abort on others, though the format allows them."""

from __future__ import annotations

import re

from edgeai.gguf_reader import HeaderReader
from edgeai.gguf_types import GGUFHeader

# Added, multiplied or convolved in F32: the tensors whose operation in llama.cpp's table is no product of matrices.
_ALWAYS_F32 = re.compile(
    r"norm(_\w+)?(\.weight)?$|\.bias$|\.scale$|_scale\.weight$|_(base|gamma)\.weight$"
    r"|\.ssm_(a|d|(ple_)?conv1d(_[qkv])?\.weight)$|conv1d(_[qkv])?\.weight$|\.shortconv\.conv\.weight$"
    r"|\.(time|channel)_mix_(lerp_\w+|first|decay|k_k|k_a|r_k|[wav]0|ln)\.weight$"
)
_NOT_FOR_WEIGHTS = ("I8", "I16", "I32", "I64", "F64", "Q8_1", "Q8_K")  # llama.cpp has no matrix product for them


def check_tensors(header: GGUFHeader, reader: HeaderReader) -> None:
    """Refuse types that llama.cpp's operators abort on.

    Raises:
        ModelFormatError: naming the tensor and its type.
    """
    for tensor in header.tensors:
        is_vector = len(tensor.shape) < 2 or max(tensor.shape[1:]) == 1
        if tensor.type != "F32" and (is_vector or _ALWAYS_F32.search(tensor.name)):
            reader.fail(f"{tensor.name} has the type {tensor.type}, expected F32")
        if tensor.type in _NOT_FOR_WEIGHTS:
            reader.fail(f"{tensor.name} has the type {tensor.type}, which no weights can have")
    if any(tensor.type == "NVFP4" for tensor in header.tensors):
        _check_nvfp4(header, reader)


def _check_nvfp4(header: GGUFHeader, reader: HeaderReader) -> None:
    """Weights of this type have scales, which llama.cpp applies neither beside a bias nor to tied embeddings."""
    names = {tensor.name for tensor in header.tensors}
    for tensor in header.tensors:
        if tensor.type != "NVFP4":
            continue
        stem = tensor.name.removesuffix(".weight")
        if f"{stem}.scale" in names and f"{stem}.bias" in names:
            reader.fail(f"{stem}.scale and {stem}.bias stand beside {tensor.name} of the type NVFP4, expected only one")
        tied = tensor.name == "token_embd.weight" and "output.weight" not in names
        if tied and {"output.scale", "output.input_scale"} & names:
            reader.fail("token_embd.weight is also the output, of the type NVFP4, so output.scale cannot stand there")
