"""Streams an artifact to the disk: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter

from edgeai.errors import QuantizeError
from edgeai.files import free_bytes, sync_dir
from quantize.base import Meta
from quantize.ggml import TYPE_IDS, Bytes
from quantize.plan import Planned

_STAGING_PREFIX = ".quantize-"
_HEADROOM_BYTES = 64 * 2**20


def check_room(target: Path, planned: Sequence[Planned]) -> None:
    """Refuse before the work begins what the disk cannot hold.

    Raises:
        QuantizeError: with both numbers.
    """
    needed, free = sum(item.n_bytes for item in planned) + _HEADROOM_BYTES, free_bytes(target.parent)
    if needed > free:
        raise QuantizeError(f"{target}: {needed:,} bytes are needed and {free:,} are free on the disk: make room")


def write_gguf(
    target: Path,
    metadata: Sequence[Meta],
    planned: Sequence[Planned],
    encoded: Iterable[Bytes],
    on_tensor: Callable[[Planned], None],
) -> None:
    """Write a GGUF file beside its place, and put it there when it is whole and on the disk.

    Args:
        target: the file; replaced where it exists.
        metadata: its keys, in order.
        planned: its tensors, in order.
        encoded: the bytes of each, made when it is its turn. uint8 [n_bytes]
        on_tensor: told of each that is written.
    Raises:
        OSError: the disk is full or cannot be written.
    """
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=_STAGING_PREFIX, suffix=".gguf")
    os.close(descriptor)
    try:
        _write(Path(temporary), metadata, planned, encoded, on_tensor)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
        sync_dir(target.parent)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _write(
    path: Path,
    metadata: Sequence[Meta],
    planned: Sequence[Planned],
    encoded: Iterable[Bytes],
    on_tensor: Callable[[Planned], None],
) -> None:
    writer = GGUFWriter(None, "")
    writer.kv_data = [{}]
    for meta in metadata:
        writer.add_key_value(meta.key, meta.value, meta.type, meta.item_type)
    for item in planned:
        shape = item.tensor.shape or (1,)
        kind = GGMLQuantizationType(TYPE_IDS[item.qtype])
        writer.add_tensor_info(item.tensor.name, shape, np.dtype(np.float32), item.n_bytes, raw_dtype=kind)
    try:
        writer.write_header_to_file(path)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for item, data in zip(planned, encoded, strict=True):
            writer.write_tensor_data(data)
            on_tensor(item)
        writer.flush()
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    finally:
        writer.close()
