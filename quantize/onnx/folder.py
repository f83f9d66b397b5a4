"""The folder of an ONNX artifact, written whole or not at all.

    artifact = write_folder(open_model(source), source, Path("out"), OnnxOptions(bits=4))

It holds model.onnx with its weights in model.onnx.data, the tokenizer's files, genai_config.json for ONNX Runtime GenAI
and our Session, and edgeai.json, which is written last and has the size and the hash of every other file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgeai import __version__
from edgeai.errors import QuantizeError
from edgeai.files import chunks, sync_dir
from quantize.checkpoint import Checkpoint
from quantize.naming import folder_name
from quantize.onnx.decoder import decoder_of
from quantize.onnx.genai import end_tokens, genai_config
from quantize.onnx.options import OnnxOptions
from quantize.onnx.parts import Decoder
from quantize.onnx.plan import PlannedWeight, data_bytes, plan_graph
from quantize.onnx.tokenizer_files import adds_bos, write_tokenizer
from quantize.onnx.writer import OPSETS, write_graph
from quantize.pipeline import Model, Progress
from quantize.writer import check_room, unwritable, work_dir

MANIFEST = "edgeai.json"
"""What our Session needs to know, and the hashes of the other files. A folder that has it is an artifact of ours."""

_FORMAT = 1
_OTHER_BYTES = 2**24  # the graph itself, the tokenizer's files
_MAX_MANIFEST_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class OnnxArtifact:
    """A folder that was made.

    Attributes:
        path: the folder.
        options: how.
        size_bytes: of all its files.
        n_params: parameters.
        seconds: how long it took.
        planned: its weights.
    """

    path: Path
    options: OnnxOptions
    size_bytes: int
    n_params: int
    seconds: float
    planned: list[PlannedWeight] = field(repr=False)

    @property
    def projector(self) -> None:
        """There is none: it is the text model alone."""

    @property
    def bits_per_weight(self) -> float:
        """Bits of all weights for each parameter."""
        return 8 * sum(item.n_bytes for item in self.planned) / max(self.n_params, 1)


def write_folder(
    model: Model,
    source: Path,
    target: Path,
    options: OnnxOptions,
    progress: Callable[[Progress], None] | None = None,
) -> OnnxArtifact:
    """Make an artifact.

    Args:
        model: what is quantized.
        source: where it comes from, a Hugging Face folder or a GGUF file.
        target: the folder. It is there when it is whole, and not before.
        options: how.
        progress: told of each piece that has been written.
    Raises:
        QuantizeError: see its subclasses; nothing half-written is left.
    """
    check_folder(target, source, force=options.force)
    check_room(target, artifact_bytes(plan_graph(model, options)))
    with staged_folder(target, replace=options.force) as folder:
        return dataclasses.replace(fill_folder(model, source, folder, options, progress), path=target)


def fill_folder(
    model: Model,
    source: Path,
    folder: Path,
    options: OnnxOptions,
    progress: Callable[[Progress], None] | None = None,
) -> OnnxArtifact:
    """Write the files of an artifact into an empty folder; see `write_folder`, which does that out of sight."""
    started = time.perf_counter()
    checkpoint = Checkpoint.open(source) if source.is_dir() else None
    decoder = decoder_of(model.metadata, model.tensors)
    planned = write_graph(model, folder, options, progress).planned
    write_tokenizer(model.metadata, checkpoint, folder)
    ends = end_tokens(model.metadata, checkpoint)
    _write_json(folder / "genai_config.json", genai_config(decoder, model.metadata, ends))
    files = {path.name: _sealed(path) for path in sorted(folder.iterdir())}
    _write_json(folder / MANIFEST, _manifest(model, decoder, options) | {"files": files})
    size_bytes = sum(path.stat().st_size for path in folder.iterdir())
    n_params = sum(tensor.n_elements for tensor in model.tensors)
    return OnnxArtifact(folder, options, size_bytes, n_params, time.perf_counter() - started, planned)


def place(model: Model, source: Path, out: Path, bits: int) -> Path:
    """The folder of an artifact: `out`, or a new one in it where that holds other things."""
    target = out.absolute()
    if target.is_dir() and any(target.iterdir()) and not is_artifact(target):
        target /= folder_name(model.metadata, source, bits)
    return target


def artifact_bytes(planned: Sequence[PlannedWeight]) -> int:
    """About the size of an artifact, before it is made: not less."""
    return data_bytes(planned) + _OTHER_BYTES


def check_folder(target: Path, source: Path, *, force: bool) -> None:
    """Refuse what cannot be the artifact's folder.

    Raises:
        QuantizeError: something else than an empty folder is there: a file, the source or what holds it, a folder
            that is no artifact of ours or has other files too; or an artifact that is not to be replaced.
    """
    other = "choose another name with --out"
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_dir():
        raise QuantizeError(f"{target} is a link or a file, expected the artifact's folder: {other}")
    if source.resolve().is_relative_to(target.resolve()):
        raise QuantizeError(f"{target} holds the source itself: {other}")
    names = {path.name for path in target.iterdir()}
    if not names:
        return
    if not is_artifact(target):
        raise QuantizeError(f"{target} exists and is no ONNX artifact of quantize: {other}")
    if strangers := names - _listed(target):
        raise QuantizeError(
            f"{target} holds files that are not the artifact's ({sorted(strangers)[0]!r}): move them away, or {other}"
        )
    if not force:
        raise QuantizeError(f"{target} exists: {other}, or replace it with --force")


def is_artifact(folder: Path) -> bool:
    """Whether a folder is an ONNX artifact of ours."""
    return bool(_listed(folder))


def _listed(folder: Path) -> set[str]:
    """The files that belong to an artifact; none where the folder is none."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            found = json.loads(file.read(_MAX_MANIFEST_BYTES))
        return {MANIFEST, *found["files"]}
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return set()


@contextmanager
def staged_folder(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder that becomes `target` when the block ends well, and is gone when it does not.

    Args:
        target: the folder to make; an empty one may be there.
        replace: whether one that is not empty is replaced.
    Raises:
        QuantizeError: the disk is full or cannot be written, or the target has come into being meanwhile.
    """
    with work_dir(target.parent) as work:
        folder = work / "artifact"
        folder.mkdir()
        try:
            yield folder
        except OSError as exc:
            raise unwritable(target, exc) from exc
        put_folder(folder, target, replace=replace)


def put_folder(folder: Path, target: Path, *, replace: bool) -> None:
    """Give a whole folder of a `quantize.writer.work_dir` beside it its name; one that it replaces is moved there.

    Raises:
        QuantizeError: the target has come into being meanwhile, or cannot be written.
    """
    old = folder.with_name(f"{folder.name}-replaced")
    try:
        sync_dir(folder)
        if os.path.lexists(target):
            if not replace and any(target.iterdir()):
                raise QuantizeError(f"{target} has come into being meanwhile: choose another name with --out")
            target.rename(old)
        folder.rename(target)
        sync_dir(target.parent)
    except BaseException as exc:
        if old.exists() and not target.exists():
            old.rename(target)
        if isinstance(exc, OSError):
            raise unwritable(target, exc) from exc
        raise


def _sealed(path: Path) -> dict[str, Any]:
    """A file's size and hash; it is on the disk then."""
    digest = hashlib.sha256()
    for chunk in chunks(path):
        digest.update(chunk)
    _sync(path)
    return {"size": path.stat().st_size, "sha256": digest.hexdigest()}


def _sync(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=True) + "\n", encoding="ascii")
    _sync(path)


def _manifest(model: Model, decoder: Decoder, options: OnnxOptions) -> dict[str, Any]:
    found = {meta.key: meta.value for meta in model.metadata}
    return {
        "format": _FORMAT,
        "made_by": f"edgeai {__version__}",
        "name": _text(found, "general.name"),
        "architecture": decoder.arch,
        "n_params": sum(tensor.n_elements for tensor in model.tensors),
        "n_ctx_train": decoder.n_ctx_train,
        "bits": options.bits,
        "block_size": options.block_size,
        "symmetric": options.symmetric,
        "licence": _text(found, "general.license"),
        "add_bos": adds_bos(model.metadata),
        "onnxruntime": version("onnxruntime"),
        "opset": OPSETS,
    }


def _text(found: Mapping[str, Any], key: str) -> str:
    """A text of the metadata; what is no UTF-8 in a GGUF file becomes question marks."""
    return str(found.get(key, "")).encode("utf-8", "replace").decode()
