"""ONNX artifacts beside the GGUF mixes that `quantize.auto` builds and measures."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgeai.errors import UnsupportedArchitectureError
from quantize.naming import folder_name
from quantize.onnx.folder import OnnxArtifact, artifact_bytes, check_folder, fill_folder, put_folder
from quantize.onnx.options import Bits, OnnxOptions
from quantize.onnx.plan import plan_graph
from quantize.pipeline import Model, Options, Progress

_log = logging.getLogger(__name__)
_BITS: tuple[Bits, ...] = (8, 4)


@dataclass(slots=True)
class Rival:
    """An ONNX artifact that may be made.

    Attributes:
        ftype: as `quantize.subjects.file_type` calls it.
        target: its folder, where it is kept.
        n_file_bytes: about its size.
    """

    ftype: str
    target: Path
    n_file_bytes: int
    _model: Model
    _source: Path
    _options: OnnxOptions
    _built: OnnxArtifact | None = None

    @property
    def bits_per_weight(self) -> float:
        """Bits of its files for each parameter."""
        return 8 * self.n_file_bytes / sum(tensor.n_elements for tensor in self._model.tensors)

    def build(self, work: Path, progress: Callable[[Progress], None]) -> Path:
        """Make it in a folder of `work`, which is returned."""
        folder = work / f"int{self._options.bits}-onnx"
        folder.mkdir()
        self._built = fill_folder(self._model, self._source, folder, self._options, progress)
        return folder

    def keep(self) -> OnnxArtifact:
        """Give what was made its place.

        Raises:
            QuantizeError: something has come into being there meanwhile.
        """
        assert self._built is not None
        put_folder(self._built.path, self.target, replace=self._options.force)
        return dataclasses.replace(self._built, path=self.target)


def rivals(
    model: Model, source: Path, out: Path | None, options: Options, max_size_bytes: int | None
) -> dict[str, Rival]:
    """What ONNX could be made of a model, by the type of its weights.

    Args:
        model: all of it.
        source: where it comes from.
        out: as of `quantize.auto.auto`.
        options: threads, an importance matrix, and whether what is there is replaced.
        max_size_bytes: the largest size.
    Raises:
        QuantizeError: something stands where one would be kept.
    """
    folder = source if source.is_dir() else source.parent
    if out is not None:
        folder = out if out.is_dir() else out.parent
    found: dict[str, Rival] = {}
    for bits in _BITS:
        chosen = OnnxOptions(bits=bits, imatrix=options.imatrix, n_threads=options.n_threads, force=options.force)
        try:
            n_bytes = artifact_bytes(plan_graph(model, chosen))
        except UnsupportedArchitectureError as exc:
            _log.warning("ONNX is not compared: %s", exc)
            return {}
        if max_size_bytes is None or n_bytes <= max_size_bytes:
            target = (folder / folder_name(model.metadata, source, bits)).absolute()
            check_folder(target, source, force=options.force)
            found[f"int{bits} ONNX"] = Rival(f"int{bits} ONNX", target, n_bytes, model, source, chosen)
    return found
