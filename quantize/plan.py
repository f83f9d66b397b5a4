"""Which type each tensor gets: llama.cpp's own quantizer is asked, on a file that has a header and no weights.

Its rules are long, change, and depend on the architecture; its dry run takes a twentieth of a second and some 50 MB.
"""

from __future__ import annotations

import ctypes
import logging
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter

from edgeai.backends import llama_native
from edgeai.errors import ModelError, QuantizeError
from edgeai.gguf_header import read_header
from edgeai.gguf_types import TENSOR_TYPES
from quantize.base import Meta, Tensor
from quantize.ftypes import FTYPES, usual_type
from quantize.ggml import TYPE_IDS, row_bytes

_TENSOR = re.compile(r"^\[ *\d+/ *\d+\] +(\S+) +- \[")
_SIZE = re.compile(r"size = .* -> .*\((\w+)\)")
_NAMES = {name.lower(): name for name in TYPE_IDS}


@dataclass(frozen=True, slots=True)
class Planned:
    """A tensor and the type it is to have.

    Attributes:
        tensor: the source.
        qtype: its type in the artifact.
        n_bytes: its size there.
        why: in words.
    """

    tensor: Tensor
    qtype: str
    n_bytes: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeChoices:
    """What the user decides about types.

    Attributes:
        ftype: the mix, a name of FTYPES.
        output: the type of output.weight; None follows the mix.
        token_embd: the type of token_embd.weight.
        by_pattern: regular expressions of tensor names and the types they get; the first that is found counts.
        has_imatrix: there is an importance matrix, with which some tensors get other types.
    """

    ftype: str
    output: str | None = None
    token_embd: str | None = None
    by_pattern: tuple[tuple[str, str], ...] = ()
    has_imatrix: bool = False


def plan(metadata: Sequence[Meta], tensors: Sequence[Tensor], choices: TypeChoices) -> list[Planned]:
    """The type of each tensor, in the order in which they are written.

    Raises:
        QuantizeError: llama.cpp refuses the model or the types.
    """
    types = _ask(metadata, tensors, choices)
    by_name = {tensor.name: tensor for tensor in tensors}
    usual = usual_type(choices.ftype)
    return [_planned(by_name[name], qtype, usual, choices) for name, qtype in types.items()]


def _planned(tensor: Tensor, qtype: str, usual: str, choices: TypeChoices) -> Planned:
    n_bytes = row_bytes(qtype, tensor.shape[-1] if tensor.shape else 1) * (
        tensor.n_elements // (tensor.shape or (1,))[-1]
    )
    return Planned(tensor, qtype, n_bytes, _why(tensor, qtype, usual, choices))


def _why(tensor: Tensor, qtype: str, usual: str, choices: TypeChoices) -> str:
    if len(tensor.shape) < 2 or (qtype == "F32" and choices.ftype != "F32"):
        return "kept: small, and sensitive"
    asked_for = {"output.weight": choices.output, "token_embd.weight": choices.token_embd}
    if asked_for.get(tensor.name):
        return "asked for"
    if any(re.search(pattern, tensor.name) for pattern, _ in choices.by_pattern):
        return "asked for by pattern"
    if qtype == usual:
        return f"the type of {choices.ftype}"
    block = TENSOR_TYPES[TYPE_IDS[usual]].block_size
    if tensor.shape[-1] % block:
        return f"rows of {tensor.shape[-1]} are no multiple of {block}"
    return f"{choices.ftype} spends more on it" if _bits(qtype) > _bits(usual) else f"{choices.ftype} spends less on it"


def _bits(qtype: str) -> float:
    kind = TENSOR_TYPES[TYPE_IDS[qtype]]
    return kind.block_bytes / kind.block_size


def _ask(metadata: Sequence[Meta], tensors: Sequence[Tensor], choices: TypeChoices) -> dict[str, str]:
    """Tensor name to type, in llama.cpp's order."""
    with tempfile.TemporaryDirectory(prefix="quantize-") as folder:
        header = Path(folder) / "header.gguf"
        write_sparse_header(header, metadata, tensors)
        try:
            read_header(header)  # llama.cpp would crash on what this refuses
        except ModelError as exc:
            reason = str(exc).replace(f"{header}: ", "")
            raise QuantizeError(f"the model would not load in llama.cpp: {reason}") from exc
        types = _dry_run(header, Path(folder) / "none.gguf", choices)
    if missing := [tensor.name for tensor in tensors if tensor.name not in types]:
        raise QuantizeError(f"llama.cpp's quantizer says nothing of {missing[0]}: this version of it is not known")
    return types


def write_sparse_header(path: Path, metadata: Sequence[Meta], tensors: Sequence[Tensor]) -> None:
    """A float32 GGUF whose weights are a hole in the file."""
    writer = GGUFWriter(None, "")
    writer.kv_data = [{}]
    for meta in metadata:
        writer.add_key_value(meta.key, meta.value, meta.type, meta.item_type)
    n_bytes = 0
    for tensor in tensors:
        shape = tensor.shape or (1,)
        writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32), 4 * tensor.n_elements)
        n_bytes += -(-4 * tensor.n_elements // 32) * 32
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("r+b") as file:
        n_header = file.seek(0, 2)
        file.truncate(-(-n_header // 32) * 32 + n_bytes)


def _dry_run(header: Path, target: Path, choices: TypeChoices) -> dict[str, str]:
    llama_cpp = llama_native.bindings()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.dry_run, params.nthread = FTYPES[choices.ftype], True, 1
    if choices.output:
        params.output_tensor_type = TYPE_IDS[choices.output]
    if choices.token_embd:
        params.token_embedding_type = TYPE_IDS[choices.token_embd]
    overrides = _overrides(llama_cpp, choices)
    if overrides is not None:
        params.tt_overrides = ctypes.cast(overrides, type(params.tt_overrides))
    if choices.has_imatrix:
        one = (ctypes.c_float * 1)(1.0)
        entries = (llama_cpp.llama_model_imatrix_data * 2)()  # ends with one without a name; a dry run reads no values
        entries[0].name, entries[0].data, entries[0].size = b"any", ctypes.cast(one, ctypes.POINTER(ctypes.c_float)), 1
        params.imatrix = ctypes.cast(entries, ctypes.POINTER(llama_cpp.llama_model_imatrix_data))
    llama_native.recent_errors.clear()
    with _log_lines() as lines:
        failed = llama_cpp.llama_model_quantize(str(header).encode(), str(target).encode(), ctypes.byref(params))
    if failed:
        raise QuantizeError(f"llama.cpp's quantizer refuses {choices.ftype}: {llama_native.last_error()}")
    return _parsed(lines)


def _overrides(llama_cpp: Any, choices: TypeChoices) -> Any:
    if not choices.by_pattern:
        return None
    array = (llama_cpp.llama_model_tensor_override * (len(choices.by_pattern) + 1))()
    for item, (pattern, qtype) in zip(array, choices.by_pattern, strict=False):
        item.pattern, item.type = pattern.encode(), TYPE_IDS[qtype]
    return array


def _parsed(lines: Sequence[str]) -> dict[str, str]:
    types: dict[str, str] = {}
    name = ""
    for line in lines:
        if found := _TENSOR.match(line):
            name = found.group(1)
            types[name] = "F32"
        elif name and (found := _SIZE.search(line)):
            types[name] = _NAMES[found.group(1).lower()]
    return types


@contextmanager
def _log_lines() -> Iterator[list[str]]:
    """The lines that llama.cpp logs within the block."""
    lines: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger, keeper = llama_native.logger, Keeper(logging.DEBUG)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(keeper)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield lines
    finally:
        logger.removeHandler(keeper)
        logger.setLevel(level)
        logger.propagate = propagate
