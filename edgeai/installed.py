"""The models in the user's data folder: one folder each, with the weights (or a link to them) and a model.toml."""

from __future__ import annotations

import logging
import os
import re
import shutil
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeai.errors import ModelError, ModelFormatError, ModelNotFoundError, OptionError
from edgeai.files import Progress, chunks, free_bytes, no_progress, sha256, staged_dir, write_chunks
from edgeai.gguf_header import read_header
from edgeai.model_files import model_in
from edgeai.model_record import SPEECH_COMMANDS, data_of, is_bare_name, read_record, write_record
from edgeai.onnx_folder import (
    RECORD_NAME,
    OnnxFolder,
    folder_bytes,
    is_graph,
    is_weights,
    read_folder,
    recorded_digests,
)
from edgeai.paths import models_dir

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model in the user's folder.

    Attributes:
        name: the name it is called by.
        path: the weights, of an ONNX folder the graph; the target of the link may be gone.
        mmproj_path: the picture or sound projector, where it has one.
        sha256: of the weights, as they were when installed; None where it is not recorded.
        mmproj_sha256: the same of the projector.
        source: where it came from.
        licence: as its catalog entry or its metadata says.
        added: the date, ISO 8601.
        speech: what weights of speech do, a key of SPEECH_COMMANDS; "" of a language model.
        data: files that weights of speech, or a graph, need beside them: name to SHA-256.
    """

    name: str
    path: Path
    mmproj_path: Path | None = None
    sha256: str | None = None
    mmproj_sha256: str | None = None
    source: str = ""
    licence: str = ""
    added: str = ""
    speech: str = ""
    data: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_link(self) -> bool:
        return self.path.is_symlink()

    @property
    def exists(self) -> bool:
        """Whether the weights are there (a link may point to nothing), and what they need beside them."""
        return self.missing is None

    @property
    def missing(self) -> Path | None:
        """A file that is gone."""
        return next((path for path in (self.path, *self._data_paths) if not path.is_file()), None)

    @property
    def size_bytes(self) -> int:
        """All its files; 0 where they are gone."""
        if is_graph(self.path) and not self.speech:
            return folder_bytes(self.path)
        paths = (self.path, self.mmproj_path, *self._data_paths)
        return sum(path.stat().st_size for path in paths if path and path.is_file())

    @property
    def digests(self) -> dict[Path, str]:
        """Its files and their SHA-256, of those where it is recorded."""
        recorded = {self.path: self.sha256, **{self.path.with_name(name): self.data[name] for name in self.data}}
        if self.mmproj_path:
            recorded[self.mmproj_path] = self.mmproj_sha256
        return {path: digest for path, digest in recorded.items() if digest}

    @property
    def _data_paths(self) -> list[Path]:
        return [self.path.with_name(name) for name in self.data]


def check_name(name: str) -> str:
    """The name, if it is one.

    Raises:
        OptionError: empty, too long, or with characters that do not belong into a folder's name.
    """
    if not _NAME.fullmatch(name):
        raise OptionError(
            f"{name[:80]!r} is no name for a model: expected 1 to 64 of a-z, 0-9, '.', '_' and '-', "
            "beginning and ending with a letter or digit"
        )
    return name


def name_from(path: Path) -> str:
    """A name made of a file's name: `My Model (Q4).gguf` becomes `my-model-q4`."""
    stem = unicodedata.normalize("NFKD", path.stem).lower()
    name = re.sub(r"[^a-z0-9._]+", "-", stem)[:64].strip("-._")
    return check_name(name) if name else "model"


def installed_models() -> list[InstalledModel]:
    """All that is installed, by name. A folder that holds no model is passed over, with a line in the log."""
    folder, found = models_dir(), []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not _NAME.fullmatch(path.name) or not path.is_dir():
            continue
        try:
            found.append(read_installed(path.name))
        except ModelError as exc:
            _log.warning("passed over: %s", exc)
    return found


def read_installed(name: str) -> InstalledModel:
    """What is installed under a name.

    Raises:
        ModelNotFoundError: nothing, or a folder without weights.
    """
    folder = models_dir() / check_name(name)
    if not folder.is_dir():
        raise ModelNotFoundError(f"no model named {name} is installed: `edgeai models` lists those that are")
    record = read_record(folder)
    speech, file = record.get("speech"), record.get("file")
    if isinstance(speech, str) and speech in SPEECH_COMMANDS and is_bare_name(file):
        return _installed(name, folder / file, record, speech=speech, data=data_of(record))
    if is_bare_name(file) and is_graph(Path(file)):
        return _installed(name, folder / file, record, data=data_of(record))
    path = _inside(folder, file)
    mmproj_path = _inside(folder, record.get("mmproj_file"))
    if path is None:
        path, mmproj_path = model_in(folder)
        record = {}
    return _installed(name, path, record, mmproj_path=mmproj_path)


def _installed(name: str, path: Path, record: Mapping[str, Any], **more: Any) -> InstalledModel:
    text = {key: value for key, value in record.items() if isinstance(value, str)}
    return InstalledModel(
        name=name,
        path=path,
        sha256=text.get("sha256"),
        mmproj_sha256=text.get("mmproj_sha256"),
        source=text.get("source", ""),
        licence=text.get("licence", ""),
        added=text.get("added", ""),
        **more,
    )


def _inside(folder: Path, name: object) -> Path | None:
    """A file of the folder, by its bare name: a record that came with a copied folder must not point elsewhere."""
    if not isinstance(name, str) or not is_bare_name(name) or not name.lower().endswith(".gguf"):
        return None
    path = folder / name
    return path if path.is_file() or path.is_symlink() else None


def add_model(
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    link: bool = False,
    force: bool = False,
    on_progress: Progress = no_progress,
) -> InstalledModel:
    """Copy a GGUF file (or a folder with one), or an ONNX folder, into the user's folder, or link to it.

    Args:
        path: the file or folder.
        name: what to call it; made of the file's or folder's name where not given.
        link: make a link instead of a copy; nothing is hashed then.
        force: replace a model of the same name.
        on_progress: told about the copy.
    Raises:
        ModelNotFoundError: no such file.
        ModelFormatError: its header is not that of a model.
        ModelError: the name is taken.
    """
    source, mmproj = _source_files(Path(path).expanduser())
    onnx = read_folder(source) if is_graph(source) else None
    own_name = onnx.path.with_name(f"{onnx.path.name}.onnx") if onnx else source
    name = name_from(own_name) if name is None else check_name(name)
    target = models_dir() / name
    if target.exists() and not force:
        raise ModelError(f"a model named {name} is installed already: choose another --name, or remove it first")
    licence = onnx.licence if onnx else str(read_header(source).metadata.get("general.license", ""))
    files = _files(onnx, link=link) if onnx else [source, *([mmproj] if mmproj else [])]
    n_bytes = sum(file.stat().st_size for file in files)
    if not link and n_bytes > (n_free := free_bytes(models_dir())):
        raise ModelError(f"{source}: {n_bytes:,} bytes, and {n_free:,} are free on the disk: make room, or use --link")
    put = _link if link else _copy
    with staged_dir(target) as staging:
        digests = {file.name: put(file, staging, on_progress) for file in files}
        if onnx and not link:
            _check_digests(onnx, digests)
        write_record(
            staging,
            data={file.name: digests[file.name] or "" for file in files if file != files[0]} if onnx else None,
            file=files[0].name,
            sha256=digests[files[0].name],
            mmproj_file=mmproj.name if mmproj else None,
            mmproj_sha256=digests[mmproj.name] if mmproj else None,
            source=str((onnx.path if onnx else source).resolve()),
            licence=licence[:200],
        )
    return read_installed(name)


def _source_files(path: Path) -> tuple[Path, Path | None]:
    if path.is_dir():
        return model_in(path)
    if not path.is_file():
        raise ModelNotFoundError(f"{path}: no such file: expected a .gguf file, or a model's folder")
    if is_graph(path):
        return path, None
    if path.suffix.lower() != ".gguf":
        raise ModelFormatError(f"{path}: expected a name that ends in .gguf: convert other formats with `quantize`")
    if _SHARD.search(path.name):
        raise ModelFormatError(f"{path}: one piece of a split model: merge it first with `llama-gguf-split --merge`")
    return path, None


def _check_digests(onnx: OnnxFolder, digests: Mapping[str, str | None]) -> None:
    """Refuse weights that are not those that were built."""
    for name, recorded in recorded_digests(onnx.path).items():
        if is_weights(Path(name)) and digests.get(name) != recorded:
            raise ModelFormatError(
                f"{onnx.path / name}: changed since it was built, by its SHA-256 in {RECORD_NAME}: copy it again, or "
                "build it again"
            )


def _files(onnx: OnnxFolder, *, link: bool) -> list[Path]:
    """The graph first; to link to it is enough, for the rest is looked for beside the file itself."""
    return [onnx.graph, *([] if link else (path for path in onnx.files if path != onnx.graph))]


def _copy(source: Path, folder: Path, on_progress: Progress) -> str:
    return write_chunks(chunks(source), folder / source.name, source.stat().st_size, on_progress)


def _link(source: Path, folder: Path, on_progress: Progress) -> None:
    (folder / source.name).symlink_to(source.resolve())


def remove_model(name: str) -> InstalledModel:
    """Delete a model's folder; the file that a link points to stays.

    Raises:
        ModelNotFoundError: it is not installed.
    """
    model = read_installed(name)
    folder = models_dir() / name
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder)
    return model


def verify_model(name: str, on_progress: Progress = no_progress) -> bool:
    """Whether a model's files still have the SHA-256 they were installed with.

    Raises:
        ModelNotFoundError: it is not installed, or the file a link points to is gone.
        ModelError: no checksum was recorded (a link, or a folder put there by hand).
    """
    model = read_installed(name)
    if (missing := model.missing) is not None:
        raise ModelNotFoundError(f"{name}: {missing.resolve()} is gone: remove the model and add it again")
    digests = model.digests or _own_digests(model)
    if not digests:
        raise ModelError(f"{name}: no checksum was recorded when it was added (it is a link or was put there by hand)")
    return all(sha256(path, on_progress) == digest for path, digest in digests.items())


def _own_digests(model: InstalledModel) -> dict[Path, str]:
    """Those that an ONNX folder was written with."""
    if model.speech or not is_graph(model.path):
        return {}
    folder = read_folder(model.path).path
    return {folder / name: digest for name, digest in recorded_digests(folder).items() if digest}
