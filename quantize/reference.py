"""The model as it was, as a file that runs: what an importance matrix is collected with, and quality compared with."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgeai.errors import CheckpointError
from quantize.ggml import OutOfRangeError
from quantize.pipeline import Artifact, Model, Options, Progress, artifact_bytes, quantize_model
from quantize.writer import check_room

_log = logging.getLogger(__name__)
_SUM_BYTES = 4  # of an input, in an importance matrix


def reference_file(
    model: Model, path: Path, options: Options, progress: Callable[[Progress], None] | None = None
) -> Artifact:
    """Write a model in F16, or in BF16 where its weights are beyond what F16 can hold, which a warning says.

    Args:
        model: all of it, or some of its layers.
        path: the file to write.
        options: threads, and what is let through; nothing else counts.
        progress: told of each piece that has been written.
    Raises:
        QuantizeError: as `quantize.pipeline.quantize_model`.
    """
    plain = Options(ftype="F16", n_threads=options.n_threads, allow_nan=options.allow_nan)
    try:
        return quantize_model(model, path, plain, progress)
    except CheckpointError as exc:
        if not isinstance(exc.__cause__, OutOfRangeError):
            raise
        name = str(exc).partition(":")[0]
    _log.warning("%s has numbers beyond F16's range: the model is run and compared in BF16", name)
    return quantize_model(model, path, replace(plain, ftype="BF16"), progress)


def check_room_beside_reference(model: Model, target: Path, n_artifact_bytes: int, *, will_calibrate: bool) -> None:
    """Refuse before the work begins what the disk cannot hold at once: the reference, the artifact, and what is
    collected.

    Args:
        model: all of it.
        target: the artifact; the reference is written to its folder.
        n_artifact_bytes: its size.
        will_calibrate: an importance matrix is collected and kept too.
    Raises:
        QuantizeError: with both numbers.
    """
    n_bytes = artifact_bytes(model, Options(ftype="F16")) + n_artifact_bytes
    if will_calibrate:
        shapes = [tensor.shape for tensor in model.tensors if len(tensor.shape) > 1]
        n_bytes += _SUM_BYTES * sum(math.prod(shape[:-2]) * shape[-1] for shape in shapes)
    check_room(target, n_bytes)
