"""What a GGUF file says of itself, read without loading it, and checked before native code sees the file.

    header = read_header(path)
    header.architecture, header.metadata["general.name"], header["block_count"], header.n_params

llama.cpp aborts the whole process, or never returns, on some files that it cannot use. `read_header` refuses those.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from edgeai.errors import ModelFormatError, ModelNotFoundError
from edgeai.gguf_checks import check_model, check_vocabulary_alone
from edgeai.gguf_reader import HeaderReader, read_alignment, read_counts, read_metadata, read_tensors
from edgeai.gguf_types import ArrayInfo, GGUFHeader, TensorInfo

__all__ = ["ArrayInfo", "GGUFHeader", "TensorInfo", "read_header", "read_vocabulary"]

_LOOKS_LIKE = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file it points to: run `git lfs pull`"),
    (b"PK\x03\x04", "a zip archive or a PyTorch checkpoint: convert it to GGUF first"),
    (b"\x80\x02", "a Python pickle (PyTorch checkpoint): convert it to GGUF first"),
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"ggml", "a GGML file of 2023, older than GGUF: download a GGUF file"),
    (b"lmgg", "a GGML file of 2023, older than GGUF: download a GGUF file"),
    (b"fmgg", "a GGML file of 2023, older than GGUF: download a GGUF file"),
    (b"tjgg", "a GGML file of 2023, older than GGUF: download a GGUF file"),
    (b"<", "a web page, probably an error message: download the file again"),
    (b"{", "a JSON text: download the .gguf file"),
    (b"\0\0\0\0", "a file of zeros, probably a download that was not finished: download it again"),
)


def read_header(path: str | os.PathLike[str]) -> GGUFHeader:
    """Read and check the head of a GGUF file.

    Args:
        path: a .gguf file: a language model, or a projector (architecture `clip`).
    Returns:
        What it says of itself.
    Raises:
        ModelNotFoundError: no such file.
        ModelFormatError: not a GGUF file, damaged, or of a kind that llama.cpp would crash on.
    """
    return _checked(Path(path), check_model)


def read_vocabulary(path: str | os.PathLike[str]) -> GGUFHeader:
    """Read and check a GGUF file of which only the vocabulary counts; see `read_header`."""
    return _checked(Path(path), check_vocabulary_alone)


def _checked(path: Path, check: Callable[[GGUFHeader, HeaderReader], None]) -> GGUFHeader:
    n_file_bytes = _size_of(path)
    try:
        with path.open("rb") as file:
            reader = HeaderReader(file, path, n_file_bytes)
            header = _read(reader)
            check(header, reader)
            return header
    except OSError as exc:
        raise ModelFormatError(f"{path}: cannot be read: {exc.strerror}") from exc


def _size_of(path: Path) -> int:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise ModelNotFoundError(f"{path}: no such file; `edgeai models` lists what is installed") from exc
    except (OSError, ValueError) as exc:
        raise ModelFormatError(f"{str(path)!r}: cannot be read: {exc}") from exc
    if stat.S_ISDIR(status.st_mode):
        raise ModelFormatError(f"{path}: a folder, expected a .gguf file")
    if not stat.S_ISREG(status.st_mode):
        raise ModelFormatError(f"{path}: not a regular file, expected a .gguf file")
    if not status.st_size:
        raise ModelFormatError(f"{path}: the file is empty; download it again")
    return status.st_size


def _read(reader: HeaderReader) -> GGUFHeader:
    _check_magic(reader)
    version, n_tensors, n_keys = read_counts(reader)
    metadata = read_metadata(reader, n_keys)
    tensors = read_tensors(reader, n_tensors, read_alignment(reader, metadata))
    return GGUFHeader(
        reader.path, version, MappingProxyType(metadata), tensors, reader.n_file_bytes, reader.value_types
    )


def _check_magic(reader: HeaderReader) -> None:
    start = reader.peek(32)
    if start.startswith(b"GGUF"):
        reader.offset = 4
        return
    if start[8:9] == b"{":
        reader.fail("not a GGUF file", "it looks like safetensors: convert it to GGUF first")
    for magic, what in _LOOKS_LIKE:
        if start.lstrip().startswith(magic):
            reader.fail("not a GGUF file", f"it looks like {what}")
    reader.fail(f"not a GGUF file: it starts with {start[:4]!r}", "expected b'GGUF'; download it again")
