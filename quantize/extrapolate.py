"""What was measured on some layers of a model, as an estimate for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from edgeai.fit import estimate_for
from edgeai.model_shape import ModelShape
from edgeai.options import LoadOptions
from quantize.candidates import Candidate
from quantize.pipeline import Artifact
from quantize.plan import Planned
from quantize.report import Report
from quantize.sample import layer_of


def missing_kv_bytes(whole: ModelShape, part: ModelShape, n_ctx: int) -> int:
    """What the layers that were left out would have kept of a text."""
    needs = (estimate_for(shape, LoadOptions(), n_ctx).kv_bytes for shape in (whole, part))
    return next(needs) - next(needs)


def of_all(report: Report, part: Artifact, candidate: Candidate, kv_missing_at: Callable[[int], int]) -> Report:
    """A report on some layers, as an estimate for all: writing is bound by the bytes that are read for a token,
    reading by the weights of the layers, and memory holds more weights and longer caches.
    """
    speed, n_params = report.speed, sum(item.tensor.n_elements for item in candidate.planned)
    n_bytes = sum(item.n_bytes for item in candidate.planned)
    if speed is not None:
        speed = replace(
            speed,
            decode_tokens_per_s=speed.decode_tokens_per_s * _read_bytes(part.planned) / _read_bytes(candidate.planned),
            prefill_tokens_per_s=speed.prefill_tokens_per_s
            * _layer_params(part.planned)
            / _layer_params(candidate.planned),
            peak_bytes=speed.peak_bytes + candidate.n_file_bytes - part.size_bytes + kv_missing_at(speed.n_ctx),
        )
    return replace(
        report,
        file_type=candidate.ftype,
        n_params=n_params,
        size_bytes=candidate.n_file_bytes,
        bpw=8 * n_bytes / n_params,
        speed=speed,
    )


def _read_bytes(planned: Sequence[Planned]) -> int:
    """Bytes that are read for each token: all but embeddings that are not the output too."""
    is_untied = any(item.tensor.name == "output.weight" for item in planned)
    return sum(item.n_bytes for item in planned if not (is_untied and item.tensor.name == "token_embd.weight"))


def _layer_params(planned: Sequence[Planned]) -> int:
    return sum(item.tensor.n_elements for item in planned if layer_of(item.tensor.name) is not None) or 1
