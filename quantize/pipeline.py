"""From a checkpoint to an artifact, in one pass: each tensor is read, transformed, encoded and written."""

from __future__ import annotations

import itertools
import operator
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from gguf import GGUFValueType

from edgeai.errors import CheckpointError
from edgeai.machine import usable_cores
from quantize.base import F32, Meta, Tensor
from quantize.checkpoint import Checkpoint
from quantize.encoding import encoded, weights_of
from quantize.families import family_of
from quantize.families.general import general_metadata
from quantize.ftypes import FTYPES, check_ftype
from quantize.gguf_format import encode_header, padded
from quantize.gguf_source import read_gguf
from quantize.imatrix import Imatrix, read_imatrix
from quantize.naming import projector_path
from quantize.plan import Planned, TypeChoices, plan
from quantize.projectors import Projector, projector_of
from quantize.vocab import vocabulary
from quantize.writer import check_room, check_target, staged

_QUANTIZATION_VERSION = 2  # GGML_QNT_VERSION of ggml.h
# What does not hold of the artifact: it is one file, and aligned as GGUF is by default.
_LEFT_OUT = ("general.alignment", "split.no", "split.count", "split.tensors.count")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to quantize.

    Attributes:
        ftype: the mix of types, a name of `quantize.ftypes.FTYPES`.
        tensor_types: regular expressions of tensor names, and their types.
        output_type: the type of output.weight.
        token_embd_type: the type of token_embd.weight.
        imatrix: a file with an importance matrix.
        imatrix_name: what the artifact says of it; None for the path as it was given, as llama-quantize does.
        projector: the type of the projector's weights where the model sees, "F16" or "Q8_0"; None writes none.
        n_threads: threads; None takes the cores.
        allow_requantize: take a GGUF that is quantized already, which loses more.
        allow_nan: let NaN and infinity through.
        force: replace an artifact that exists.
    """

    ftype: str = "Q4_K_M"
    tensor_types: tuple[tuple[str, str], ...] = ()
    output_type: str | None = None
    token_embd_type: str | None = None
    imatrix: Path | None = None
    imatrix_name: str | None = None
    projector: str | None = "F16"
    n_threads: int | None = None
    allow_requantize: bool = False
    allow_nan: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been written. `tensor` is the one that is being written, or was last."""

    tensor: str
    n_done_bytes: int
    n_total_bytes: int


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is to be quantized: its metadata and its tensors, and where it sees, its projector."""

    metadata: list[Meta]
    tensors: list[Tensor]
    projector: Projector | None = None


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that was made.

    Attributes:
        path: the file.
        ftype: its mix.
        size_bytes: its size.
        n_params: parameters.
        seconds: how long it took.
        planned: its tensors.
        projector: the file beside it through which the model sees, where it does.
    """

    path: Path
    ftype: str
    size_bytes: int
    n_params: int
    seconds: float
    planned: list[Planned] = field(repr=False)
    projector: Artifact | None = None

    @property
    def bits_per_weight(self) -> float:
        """Bits of all tensors for each parameter."""
        return 8 * sum(item.n_bytes for item in self.planned) / max(self.n_params, 1)


def open_model(source: str | os.PathLike[str], *, allow_requantize: bool = False) -> Model:
    """A Hugging Face folder or a GGUF file.

    Raises:
        CheckpointError: it is incomplete, damaged or hostile.
        UnsupportedArchitectureError: its architecture is not known.
        ModelFormatError: it is a damaged GGUF file.
        QuantizeError: it is quantized already.
    """
    path = Path(source).expanduser()
    if path.is_file() and path.suffix.lower() == ".gguf":
        return Model(*read_gguf(path, allow_requantize=allow_requantize))
    checkpoint = Checkpoint.open(path)
    family = family_of(checkpoint.config)
    tensors = family.tensors(checkpoint)
    metadata = [
        *general_metadata(checkpoint, family.arch, tensors),
        *family.metadata(checkpoint),
        *vocabulary(checkpoint, family.arch),
    ]
    return Model(list({meta.key: meta for meta in metadata}.values()), tensors)


def quantize(
    source: str | os.PathLike[str],
    out_path: str | os.PathLike[str],
    options: Options | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Artifact:
    """Quantize a checkpoint.

    Args:
        source: a Hugging Face folder, or a GGUF file of a float type.
        out_path: the artifact's file. It is there when it is whole, and not before.
        options: how.
        progress: told of each piece that has been written.
    Raises:
        QuantizeError: see its subclasses; nothing half-written is left.
        ModelFormatError: the source is a damaged GGUF file.
    """
    options = options or Options()
    started = time.perf_counter()
    target = Path(out_path).expanduser().absolute()
    check_target(target, Path(source).expanduser(), force=options.force)
    model = open_model(source, allow_requantize=options.allow_requantize)
    projector = projector_of(Path(source).expanduser(), model.metadata, options.projector)
    if projector is None:
        artifact = quantize_model(model, target, options, progress)
    else:
        beside = projector_path(projector.metadata, target, projector.qtype)
        check_target(beside, Path(source).expanduser(), force=options.force)
        with written_projector(projector, beside, options, progress) as other:
            artifact = replace(quantize_model(model, target, options, progress), projector=other)
    return replace(artifact, seconds=time.perf_counter() - started)


@contextmanager
def written_projector(
    projector: Projector, target: Path, options: Options, progress: Callable[[Progress], None] | None = None
) -> Iterator[Artifact]:
    """The projector of what the block makes: it takes its place when that is whole, and is gone when it is not."""
    started = time.perf_counter()
    planned = projector.planned
    with _staged_gguf(target, projector.metadata, planned, {}, options, progress) as n_bytes:
        n_params = sum(item.tensor.n_elements for item in planned)
        yield Artifact(target, projector.qtype, n_bytes, n_params, time.perf_counter() - started, planned)


def quantize_model(
    model: Model, target: Path, options: Options, progress: Callable[[Progress], None] | None = None
) -> Artifact:
    """Quantize a model that is open; see `quantize`. One may be quantized many times."""
    started = time.perf_counter()
    planned = plan_model(model, options)
    imatrix = read_imatrix(options.imatrix) if options.imatrix else None
    weights = weights_of(planned, imatrix.importance() if imatrix else {}, check_ftype(options.ftype))
    metadata = final_metadata(model.metadata, options, imatrix)
    with _staged_gguf(target, metadata, planned, weights, options, progress) as n_bytes:
        pass
    n_params = sum(tensor.n_elements for tensor in model.tensors)
    seconds = time.perf_counter() - started
    return Artifact(target, check_ftype(options.ftype), n_bytes, n_params, seconds, planned)


def artifact_bytes(model: Model, options: Options, *, will_calibrate: bool = False) -> int:
    """The size of an artifact, before it is made; but for what its metadata says of an importance matrix."""
    planned = plan_model(model, options, will_calibrate=will_calibrate)
    tensors = [(item.tensor.name, item.tensor.shape, item.qtype) for item in planned]
    head = encode_header(final_metadata(model.metadata, options, None), tensors)
    return len(head) + sum(padded(item.n_bytes) for item in planned)


def plan_model(model: Model, options: Options, *, will_calibrate: bool = False) -> list[Planned]:
    """The types of a model's tensors. `will_calibrate`: there will be an importance matrix, which changes some."""
    return plan(
        model.metadata,
        model.tensors,
        TypeChoices(
            ftype=check_ftype(options.ftype),
            output=options.output_type,
            token_embd=options.token_embd_type,
            by_pattern=options.tensor_types,
            has_imatrix=options.imatrix is not None or will_calibrate,
        ),
    )


def final_metadata(metadata: Sequence[Meta], options: Options, imatrix: Imatrix | None) -> list[Meta]:
    """The keys of the artifact: those of the model, and at their end what llama.cpp's quantizer adds."""
    added = [
        Meta("general.quantization_version", _QUANTIZATION_VERSION, GGUFValueType.UINT32),
        Meta("general.file_type", FTYPES[check_ftype(options.ftype)], GGUFValueType.UINT32),
    ]
    if imatrix is not None and options.imatrix is not None:
        added += imatrix.metadata(options.imatrix_name or str(options.imatrix))
    names = {*_LEFT_OUT, *(meta.key for meta in added)}
    return [*(meta for meta in metadata if meta.key not in names), *added]


@contextmanager
def _staged_gguf(
    target: Path,
    metadata: Sequence[Meta],
    planned: Sequence[Planned],
    weights: Mapping[str, F32],
    options: Options,
    progress: Callable[[Progress], None] | None,
) -> Iterator[int]:
    """A whole file of so many bytes, which takes its place when the block ends well."""
    head = encode_header(metadata, [(item.tensor.name, item.tensor.shape, item.qtype) for item in planned])
    n_bytes = len(head) + sum(padded(item.n_bytes) for item in planned)
    check_room(target, n_bytes)
    with staged(target, replace=options.force) as file:
        file.write(head)
        _write_tensors(file, planned, weights, options, progress)
        yield n_bytes


def _write_tensors(
    file: BinaryIO,
    planned: Sequence[Planned],
    weights: Mapping[str, F32],
    options: Options,
    progress: Callable[[Progress], None] | None,
) -> None:
    n_threads = options.n_threads or usable_cores()
    pieces = encoded(planned, weights, n_threads, check=not options.allow_nan)
    n_done, n_total = 0, sum(item.n_bytes for item in planned)
    for item, of_tensor in itertools.groupby(pieces, key=operator.itemgetter(0)):
        name, n_bytes = item.tensor.name, 0
        for _, piece in of_tensor:
            file.write(piece.data)
            n_bytes += piece.nbytes
            n_done += piece.nbytes
            if progress is not None:
                progress(Progress(name, n_done, n_total))
        if n_bytes != item.n_bytes:
            raise CheckpointError(f"{name} came with {n_bytes:,} bytes, expected {item.n_bytes:,}; start again")
        file.write(bytes(padded(n_bytes) - n_bytes))
