"""Which type each tensor gets: llama.cpp's own quantizer is asked, on a file that has a header and no weights.

Its rules are long, change, and depend on the architecture; its dry run takes a twentieth of a second and some 50 MB.
"""

from __future__ import annotations

import ctypes
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeai.backends import llama_native
from edgeai.errors import ModelError, QuantizeError
from edgeai.gguf_header import read_header
from quantize.base import Meta, Tensor
from quantize.ftypes import FTYPES, usual_type
from quantize.ggml import ENCODED_TYPES, TYPE_IDS, needs_imatrix, tensor_type
from quantize.gguf_format import encode_header, padded, tensor_bytes
from quantize.gguf_source import stored_type

_TENSOR = re.compile(r"\[ *\d+/ *\d+\] +(\S+) +- \[.*?, size = [^>]*MiB(?: -> .*\((\w+)\))?$")
_FALLBACK = re.compile(r"warning: (\S+) +- ncols +(\d+) not divisible by +(\d+) \(required for type +(\w+)\)")
_OVERRIDE = re.compile(r"(\S+) +- applying manual override: ")
_NAMES = {name.lower(): name for name in TYPE_IDS}
# llama.cpp's tensor_requires_imatrix: without one, what these types make of a layer is garbage.
_POOR_TYPES = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS")
_EMBEDDINGS = ("token_embd.weight", "per_layer_token_embd.weight")
_lock = threading.Lock()  # llama.cpp's log is one for the process
_TRIES = 3  # for another thread may load a model meanwhile, and take the log


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


@dataclass(slots=True)
class _Answer:
    """What llama.cpp said: types in its order, where rows did not fit, where a pattern changed a type."""

    types: dict[str, str] = field(default_factory=dict)
    fallbacks: dict[str, str] = field(default_factory=dict)
    overridden: set[str] = field(default_factory=set)


def plan(metadata: Sequence[Meta], tensors: Sequence[Tensor], choices: TypeChoices) -> list[Planned]:
    """The type of each tensor, in the order in which llama.cpp's quantizer writes them.

    Raises:
        QuantizeError: llama.cpp refuses the model or the types.
    """
    _check_types(choices)
    answer = _ask(metadata, tensors, choices)
    by_name = {tensor.name: tensor for tensor in tensors}
    return [_planned(by_name[name], answer, choices) for name in answer.types]


def requires_imatrix(name: str, qtype: str, ftype: str) -> bool:
    """Whether llama.cpp's quantizer refuses to make this tensor without an importance matrix."""
    if name in _EMBEDDINGS or name == "output.weight":
        return needs_imatrix(qtype)
    return qtype in _POOR_TYPES or (qtype == "Q2_K" and ftype == "Q2_K_S")


def is_embedding(name: str) -> bool:
    """Whether a tensor is looked up by token: an importance matrix that does not fit it is passed over."""
    return name in _EMBEDDINGS


def write_sparse_header(path: Path, metadata: Sequence[Meta], tensors: Sequence[Tensor]) -> None:
    """A GGUF of the source's types whose weights are a hole in the file."""
    write_sparse(path, metadata, [(tensor.name, tensor.shape, stored_type(tensor)) for tensor in tensors])


def write_sparse(path: Path, metadata: Sequence[Meta], infos: Sequence[tuple[str, Sequence[int], str]]) -> None:
    """The same of tensors' names, shapes and types."""
    head = encode_header(metadata, infos)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + sum(padded(tensor_bytes(shape, qtype)) for _, shape, qtype in infos))


def _check_types(choices: TypeChoices) -> None:
    """llama.cpp would end the process where it is asked for a type that nothing can be encoded to."""
    for qtype in (choices.output, choices.token_embd, *(qtype for _, qtype in choices.by_pattern)):
        if qtype is not None and qtype not in ENCODED_TYPES:
            raise QuantizeError(f"{qtype[:40]!r} is no tensor type, expected one of {', '.join(ENCODED_TYPES)}")


def _planned(tensor: Tensor, answer: _Answer, choices: TypeChoices) -> Planned:
    qtype = answer.types[tensor.name]
    n_cols, block_size = (tensor.shape or (1,))[-1], tensor_type(qtype).block_size
    if n_cols % block_size:  # of an explicit type, which llama.cpp does not replace by one that fits
        raise QuantizeError(
            f"{tensor.name} has rows of {n_cols:,}, which cannot be {qtype}: expected a multiple of {block_size}; "
            "choose another type for it"
        )
    return Planned(tensor, qtype, tensor_bytes(tensor.shape, qtype), _why(tensor, answer, choices))


def _why(tensor: Tensor, answer: _Answer, choices: TypeChoices) -> str:
    qtype, usual = answer.types[tensor.name], usual_type(choices.ftype)
    asked_for = {"output.weight": choices.output, **dict.fromkeys(_EMBEDDINGS, choices.token_embd)}
    if qtype == stored_type(tensor) and qtype != usual:
        return "kept: small, and sensitive"
    if tensor.name in answer.fallbacks:
        return answer.fallbacks[tensor.name]
    if qtype == asked_for.get(tensor.name):
        return "asked for"
    if tensor.name in answer.overridden:
        return "asked for by pattern"
    if qtype == usual:
        return f"the type of {choices.ftype}"
    return f"{choices.ftype} spends more on it" if _bits(qtype) > _bits(usual) else f"{choices.ftype} spends less on it"


def _bits(qtype: str) -> float:
    kind = tensor_type(qtype)
    return kind.block_bytes / kind.block_size


def _ask(metadata: Sequence[Meta], tensors: Sequence[Tensor], choices: TypeChoices) -> _Answer:
    with tempfile.TemporaryDirectory(prefix="quantize-") as folder:
        header = Path(folder) / "header.gguf"
        try:
            write_sparse_header(header, metadata, tensors)
            read_header(header)  # llama.cpp would crash on what this refuses
        except ModelError as exc:
            reason = str(exc).replace(f"{header}: ", "").partition(";")[0]
            raise QuantizeError(f"the model would not load in llama.cpp: {reason}; correct the checkpoint") from exc
        except OSError as exc:
            raise QuantizeError(f"{header}: cannot be written: {exc.strerror}; set TMPDIR to another folder") from exc
        stored = {tensor.name: stored_type(tensor) for tensor in tensors}
        for _ in range(_TRIES):
            answer = _parsed(_dry_run(header, choices), stored)
            missing = stored.keys() - answer.types.keys()
            if not missing:
                return answer
    raise QuantizeError(
        f"llama.cpp's quantizer says nothing of {min(missing)}: this version of llama-cpp-python is not known; "
        "install 0.3.36"
    )


def _dry_run(header: Path, choices: TypeChoices) -> list[str]:
    """What llama.cpp's quantizer logs when it only pretends."""
    with _lock:
        llama_cpp = llama_native.bindings()
        parameters = _parameters(llama_cpp, choices)
        with _log(llama_cpp) as pieces:
            failed = llama_cpp.llama_model_quantize(bytes(header), bytes(header) + b".none", ctypes.byref(parameters))
    lines = b"".join(pieces).decode("utf-8", "replace").splitlines()
    if failed:
        reasons = [line.partition("failed to quantize: ")[2] for line in lines if "failed to quantize: " in line]
        reason = reasons[-1] if reasons else "it gave no reason"
        raise QuantizeError(f"llama.cpp's quantizer refuses {choices.ftype}: {reason}; choose other types")
    return lines


def _parameters(llama_cpp: Any, choices: TypeChoices) -> Any:
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype, parameters.dry_run, parameters.nthread = FTYPES[choices.ftype], True, 1
    parameters.allow_requantize = True  # whether it is allowed has been asked before
    if choices.output:
        parameters.output_tensor_type = TYPE_IDS[choices.output]
    if choices.token_embd:
        parameters.token_embedding_type = TYPE_IDS[choices.token_embd]
    overrides = (llama_cpp.llama_model_tensor_override * (len(choices.by_pattern) + 1))()  # one of zeros ends it
    for item, (pattern, qtype) in zip(overrides, choices.by_pattern, strict=False):
        item.pattern, item.type = pattern.encode(), TYPE_IDS[qtype]
    parameters.tt_overrides = overrides
    if choices.has_imatrix:
        parameters.imatrix = (llama_cpp.llama_model_imatrix_data * 1)()  # empty: a dry run reads no values
    return parameters


def _parsed(lines: Sequence[str], stored: Mapping[str, str]) -> _Answer:
    answer = _Answer()
    for line in lines:
        if (found := _TENSOR.match(line)) and found[1] in stored:
            answer.types[found[1]] = _NAMES[found[2].lower()] if found[2] else stored[found[1]]
        elif found := _FALLBACK.match(line):
            name, n_cols, block_size, qtype = found.groups()
            answer.fallbacks[name] = f"rows of {n_cols} are no multiple of {block_size}, as {qtype.upper()} needs"
        elif found := _OVERRIDE.search(line):
            answer.overridden.add(found[1])
    return answer


@contextmanager
def _log(llama_cpp: Any) -> Iterator[list[bytes]]:
    """What llama.cpp logs within the block, piece by piece, instead of where it goes otherwise."""
    pieces: list[bytes] = []
    before, user_data = llama_cpp.llama_log_callback(), ctypes.c_void_p()
    llama_cpp.llama_log_get(ctypes.byref(before), ctypes.byref(user_data))
    keep = llama_cpp.llama_log_callback(lambda _level, text, _user_data: pieces.append(text))
    llama_cpp.llama_log_set(keep, None)
    try:
        yield pieces
    finally:
        llama_cpp.llama_log_set(before, user_data)
