"""Which mixes of types are worth building for this machine: those whose file and memory fit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgeai.errors import ModelTooLargeError, QuantizeError
from edgeai.fit import choose_n_ctx
from edgeai.gguf_header import read_header
from edgeai.machine import available_memory_bytes
from edgeai.model_shape import ModelShape
from edgeai.options import LoadOptions
from quantize.gguf_format import encode_header, padded
from quantize.imatrix import read_imatrix
from quantize.pipeline import Model, Options, final_metadata, plan_model
from quantize.plan import Planned, write_sparse_header

USUAL = ("Q8_0", "Q6_K", "Q5_K_M", "Q5_0", "Q4_K_M", "Q4_K_S", "IQ4_NL", "IQ4_XS", "Q4_1", "Q4_0")
"""Mixes of 4 bits and more."""

SMALLER = ("Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K")
"""What is tried where none of the usual ones fits: much is lost with them."""

_N_SMALLER = 2  # built of SMALLER at most


@dataclass(frozen=True, slots=True)
class Candidate:
    """A mix of types for a model.

    Attributes:
        ftype: the mix.
        planned: the type of each tensor.
        n_file_bytes: the artifact's size.
    """

    ftype: str
    planned: list[Planned]
    n_file_bytes: int

    @property
    def bits_per_weight(self) -> float:
        """Bits of all tensors for each parameter."""
        return 8 * sum(item.n_bytes for item in self.planned) / sum(item.tensor.n_elements for item in self.planned)


def fitting(model: Model, options: Options, max_size_bytes: int | None = None) -> list[Candidate]:
    """The mixes whose file is small enough, and which this machine's free memory has room for.

    Two mixes that give each tensor the same type are one.

    Args:
        model: all of it.
        options: types that the user has chosen, and whether there is an importance matrix.
        max_size_bytes: the largest file.
    Raises:
        QuantizeError: none fits; with the smallest, and what there is.
    """
    room = _Room(model, options, max_size_bytes)
    found = room.fitting(options, USUAL) or room.fitting(options, SMALLER)[:_N_SMALLER]
    if not found:
        (smallest,) = room.planned(options, SMALLER[-1:])
        raise QuantizeError(f"no mix fits: even {smallest.ftype} {room.refuses(smallest)}; take a smaller model")
    return found


class _Room:
    """What an artifact of this model may take."""

    def __init__(self, model: Model, options: Options, max_size_bytes: int | None) -> None:
        self._model, self._max_size_bytes = model, max_size_bytes
        self._available_bytes = available_memory_bytes()
        metadata = final_metadata(model.metadata, options, read_imatrix(options.imatrix) if options.imatrix else None)
        head = encode_header(metadata, [(item.name, item.shape, "F32") for item in model.tensors])
        self._n_head_bytes = len(head)  # of any types
        self._shape = shape_of(model)

    def fitting(self, options: Options, ftypes: Sequence[str]) -> list[Candidate]:
        return _distinct(item for item in self.planned(options, ftypes) if self.refuses(item) is None)

    def planned(self, options: Options, ftypes: Sequence[str]) -> Iterator[Candidate]:
        for ftype in ftypes:
            planned = plan_model(self._model, replace(options, ftype=ftype))
            yield Candidate(ftype, planned, self._n_head_bytes + sum(padded(item.n_bytes) for item in planned))

    def refuses(self, candidate: Candidate) -> str | None:
        """Why a candidate does not fit; None where it does."""
        if self._max_size_bytes is not None and candidate.n_file_bytes > self._max_size_bytes:
            return f"has {candidate.n_file_bytes:,} bytes, and {self._max_size_bytes:,} were asked for at most"
        shape = replace(self._shape, weights_bytes=candidate.n_file_bytes - self._n_head_bytes)
        try:
            choose_n_ctx(shape, LoadOptions(), self._available_bytes)
        except ModelTooLargeError as exc:
            return f"does not fit into memory ({exc})"
        return None


def shape_of(model: Model) -> ModelShape:
    """What a model's need of memory follows from.

    Raises:
        ModelFormatError: llama.cpp would not run it.
    """
    with tempfile.TemporaryDirectory(prefix="quantize-") as folder:
        path = Path(folder) / "header.gguf"
        write_sparse_header(path, model.metadata, model.tensors)
        return replace(ModelShape.from_header(read_header(path)), name="it")


def _distinct(candidates: Iterator[Candidate]) -> list[Candidate]:
    """Those that differ in a tensor's type, the first of each kind."""
    found: dict[tuple[str, ...], Candidate] = {}
    for candidate in candidates:
        found.setdefault(tuple(item.qtype for item in candidate.planned), candidate)
    return list(found.values())
