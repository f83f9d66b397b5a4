"""The best artifact for this device: the mixes that fit it are built, measured here, and compared.

    choice = auto("SmolLM2-135M-Instruct/", None, Options(), Wishes(prefer="speed", max_kld=0.05))
    choice.artifact.path, choice.best.file_type, choice.why

Which mix is fastest depends on the machine's instructions as much as on the size of the file, and what a mix loses
depends on the model. Both are measured. A model too large to be quantized many times stands in with a few of its
layers; its speed is then an estimate for the whole, and its divergence that of these layers.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.errors import ModelFormatError, QuantizeError
from quantize.candidates import Candidate, fitting, shape_of
from quantize.choose import Preference, choose
from quantize.extrapolate import missing_kv_bytes, of_all
from quantize.imatrix import read_imatrix, write_imatrix
from quantize.naming import artifact_path
from quantize.pipeline import Artifact, Model, Options, Progress, open_model, quantize_model
from quantize.reference import reference_file
from quantize.report import OnProgress, Report, pareto, reports
from quantize.sample import layer_of, n_layers, sample_layers, sampled, sampled_imatrix
from quantize.writer import check_room, check_target, move, work_dir

if TYPE_CHECKING:
    from quantize.onnx.folder import OnnxArtifact
    from quantize.onnx.rivals import Rival

_log = logging.getLogger(__name__)

MAX_PARAMS = 600_000_000
"""Weights up to which all of a model is built for every mix; of a larger one, layers with so many at most."""

_MIN_LAYERS = 4
_N_CHUNKS = 6  # windows of text; all mixes read the same ones, so that their order is sure long before their values


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the artifact is to be like.

    Attributes:
        prefer: what counts most; see `quantize.choose`.
        max_size_bytes: the largest file.
        max_kld: the largest mean KL divergence from F16, nats.
        n_layers: layers to measure on; None takes all of them, or what MAX_PARAMS allows.
        with_onnx: consider ONNX too, where all layers are measured.
    """

    prefer: Preference = "balance"
    max_size_bytes: int | None = None
    max_kld: float | None = None
    n_layers: int | None = None
    with_onnx: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and from what.

    Attributes:
        artifact: the file that was kept, or the folder of ONNX.
        best: its report.
        why: in words.
        reports: of all mixes that were measured. Sizes are those of the whole model's files.
        front: those that no other beats.
        n_layers: layers that were measured on.
        n_all_layers: layers of the model.
        reference_ftype: what divergence was measured from: F16, or BF16 where that cannot hold the weights.
    """

    artifact: Artifact | OnnxArtifact
    best: Report
    why: str
    reports: list[Report]
    front: list[Report]
    n_layers: int
    n_all_layers: int
    reference_ftype: str = "F16"

    @property
    def is_estimate(self) -> bool:
        """Whether speeds and divergences are those of a part of the model."""
        return self.n_layers < self.n_all_layers

    def as_dict(self) -> dict[str, Any]:
        """All of it for JSON."""
        return {
            "path": str(self.artifact.path),
            "ftype": self.best.file_type,
            "why": self.why,
            "layers_measured": self.n_layers,
            "layers": self.n_all_layers,
            "reference": self.reference_ftype,
            "pareto_front": [report.file_type for report in self.front],
            "reports": [report.as_dict() for report in self.reports],
        }


def auto(
    source: str | os.PathLike[str],
    out: Path | None,
    options: Options | None = None,
    wishes: Wishes | None = None,
    *,
    name: str | None = None,
    text: str | None = None,
    on_progress: OnProgress | None = None,
) -> Choice:
    """Build the mixes that fit this machine, measure each, and keep the best.

    Args:
        source: a Hugging Face folder, or a GGUF file of a float type.
        out: the artifact's file, or its folder; None takes the checkpoint's folder.
        options: how to quantize; `ftype` is not looked at.
        wishes: what is wanted.
        name: for the artifact's file, instead of what the metadata says.
        text: to measure divergence on; by default the bundled one.
        on_progress: told what is being done, how much of it is done, and of how much.
    Raises:
        QuantizeError: no mix fits the wishes or the machine, or as `quantize.quantize`; nothing is left behind.
    """
    options, wishes, source = options or Options(), wishes or Wishes(), Path(source).expanduser()
    out = out.expanduser() if out is not None else None
    tell = on_progress or (lambda _what, _n_done, _n_total: None)
    model = open_model(source, allow_requantize=options.allow_requantize)
    candidates = fitting(model, options, wishes.max_size_bytes)
    targets = {
        item.ftype: artifact_path(model.metadata, source, out, item.ftype, name=name).absolute() for item in candidates
    }
    for target in targets.values():
        check_target(target, source, force=options.force)
    layers = _layers(model, wishes.n_layers)
    is_whole = len(layers) == n_layers(model)
    others = _rivals(model, source, out, options, wishes, is_whole=is_whole)
    targets |= {ftype: rival.target for ftype, rival in others.items()}
    with work_dir(next(iter(targets.values())).parent) as work:
        with _standing_for_all(len(layers), n_layers(model)):
            found, built, reference = _measured(model, candidates, others, options, layers, work, text, tell)
        best, why = choose(found, wishes.prefer, wishes.max_kld)
        target = targets[best.file_type]
        best_options = replace(options, ftype=best.file_type)
        artifact: Artifact | OnnxArtifact
        if best.file_type in others:
            artifact = others[best.file_type].keep()
        elif is_whole:
            artifact = replace(built[best.file_type], path=target)
            move(work / _name(best.file_type), target, replace=options.force)
        else:
            artifact = quantize_model(model, target, best_options, _bytes_told(tell, best.file_type))
    found = [replace(report, path=targets[report.file_type]) for report in found]
    best = next(report for report in found if report.file_type == best.file_type)
    return Choice(artifact, best, why, found, pareto(found), len(layers), n_layers(model), reference.ftype)


@contextmanager
def _standing_for_all(n_part: int, n_all: int) -> Iterator[None]:
    """Tell a model whose layers lean on each other, so that some of them are none, from a damaged one."""
    try:
        yield
    except ModelFormatError as exc:
        if n_part == n_all:
            raise
        raise QuantizeError(
            f"{n_part} of the model's {n_all} layers are no model that llama.cpp would run: "
            f"measure on all of them with --layers {n_all}"
        ) from exc


def _layers(model: Model, n_asked: int | None) -> list[int]:
    """The layers to measure on."""
    n_all = n_layers(model)
    if n_asked is not None:
        if not 1 <= n_asked <= n_all:
            raise QuantizeError(f"{n_asked} layers: the model has {n_all}; choose 1 to {n_all}")
        return sample_layers(model, n_asked)
    n_all_params = sum(tensor.n_elements for tensor in model.tensors)
    n_in_layers = sum(tensor.n_elements for tensor in model.tensors if layer_of(tensor.name) is not None)
    n_outside = n_all_params - n_in_layers
    if n_all_params <= MAX_PARAMS or not n_in_layers:
        return list(range(n_all))
    n_affordable = (MAX_PARAMS - n_outside) * n_all // n_in_layers
    return sample_layers(model, max(_MIN_LAYERS, n_affordable))


def _measured(
    model: Model,
    candidates: Sequence[Candidate],
    others: Mapping[str, Rival],
    options: Options,
    layers: Sequence[int],
    work: Path,
    text: str | None,
    tell: OnProgress,
) -> tuple[list[Report], dict[str, Artifact], Artifact]:
    """Build all candidates of these layers in `work`, and measure them against the reference, which comes last."""
    part, is_cut = sampled(model, layers), len(layers) < n_layers(model)
    kv_missing_at = partial(missing_kv_bytes, shape_of(model), shape_of(part))
    if options.imatrix is not None and is_cut:
        imatrix = work / "part.imatrix.gguf"
        write_imatrix(sampled_imatrix(read_imatrix(options.imatrix), layers), imatrix)
        options = replace(options, imatrix=imatrix)
    _check_room(model, part, [*candidates, *others.values()], work)
    reference = reference_file(part, work / _name("F16"), options, _bytes_told(tell, "the reference"))
    built = {
        item.ftype: quantize_model(
            part, work / _name(item.ftype), replace(options, ftype=item.ftype), _bytes_told(tell, item.ftype)
        )
        for item in candidates
    }
    folders = [rival.build(work, _bytes_told(tell, ftype)) for ftype, rival in others.items()]
    measured = reports(
        [*(artifact.path for artifact in built.values()), *folders],
        reference.path,
        text,
        n_chunks=_N_CHUNKS,
        n_threads=options.n_threads,
        on_progress=tell,
    )
    pairs = zip(measured, candidates, strict=False)
    found = [of_all(report, built[item.ftype], item, kv_missing_at) for report, item in pairs]
    return found + measured[len(candidates) :], built, reference


def _rivals(
    model: Model, source: Path, out: Path | None, options: Options, wishes: Wishes, *, is_whole: bool
) -> dict[str, Rival]:
    """What ONNX could be made, by the type of its weights."""
    if not wishes.with_onnx:
        return {}
    if not is_whole:
        _log.warning("ONNX is not compared: some layers are measured for all, which is for GGUF alone")
        return {}
    from quantize.onnx.rivals import rivals

    return rivals(model, source, out, options, wishes.max_size_bytes)


def _check_room(model: Model, part: Model, candidates: Sequence[Candidate | Rival], work: Path) -> None:
    """Refuse now what the disk cannot hold: the reference, all candidates, the artifact where it is built anew."""
    n_params, n_part_params = (sum(tensor.n_elements for tensor in item.tensors) for item in (model, part))
    sizes = [item.n_file_bytes for item in candidates]
    n_after = max(sizes) if n_part_params < n_params else 0
    check_room(work / "all", 2 * n_part_params + sum(sizes) * n_part_params // max(n_params, 1) + n_after)


def _bytes_told(tell: OnProgress, ftype: str) -> Callable[[Progress], None]:
    told = partial(tell, f"building {ftype}")
    return lambda step: told(step.n_done_bytes, step.n_total_bytes)


def _name(ftype: str) -> str:
    return f"{ftype}.gguf"
