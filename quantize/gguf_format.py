"""The head of a GGUF file, to bytes and back.

    head = encode_header(metadata, [("token_embd.weight", (32000, 2048), "Q6_K"), …])
    metadata = decode_metadata(head)

Texts that are not UTF-8 and numbers of every width come back as they were.

Source: docs/gguf.md of ggml-org/ggml.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gguf import GGUFValueType

from edgeai.errors import QuantizeError
from edgeai.gguf_types import ARRAY, SCALARS, STRING
from quantize.base import Meta
from quantize.ggml import TYPE_IDS, row_bytes

ALIGNMENT = 32
"""What tensors are aligned to, bytes: GGUF's default, and all that llama.cpp's quantizer writes."""

_MAGIC, _VERSION = b"GGUF", 3
_FIRST_KEY = 24  # after the magic, the version and two counts
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


def padded(n_bytes: int) -> int:
    """The next multiple of the alignment."""
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT


def tensor_bytes(shape: Sequence[int], qtype: str) -> int:
    """The data of a tensor, without padding. `shape` in numpy's order."""
    n_rows = math.prod(shape[:-1])
    return n_rows * row_bytes(qtype, shape[-1] if shape else 1)


def encode_header(metadata: Sequence[Meta], tensors: Iterable[tuple[str, Sequence[int], str]]) -> bytes:
    """Everything that comes before the tensors' data, padded.

    Args:
        metadata: in order.
        tensors: name, shape in numpy's order and type of each, in the order of their data.
    Raises:
        QuantizeError: a key's value does not fit its type.
    """
    infos, offset = [], 0
    for name, shape, qtype in tensors:
        infos.append(_encode_info(name, shape, qtype, offset))
        offset += padded(tensor_bytes(shape, qtype))
    counts = struct.pack("<4sIQQ", _MAGIC, _VERSION, len(infos), len(metadata))
    head = b"".join([counts, *map(_encode_key, metadata), *infos])
    return head.ljust(padded(len(head)), b"\0")


def decode_metadata(head: bytes) -> list[Meta]:
    """The keys of a file that `edgeai.gguf_header.read_header` has taken.

    Args:
        head: the file's start, as far as its keys go.
    """
    (n_keys,) = _U64.unpack_from(head, 16)
    metadata, offset = [], _FIRST_KEY
    for _ in range(n_keys):
        key, offset = _decode_text(head, offset)
        (kind,) = _U32.unpack_from(head, offset)
        value, item_kind, offset = _decode_value(head, offset + 4, kind)
        item_type = None if item_kind is None else GGUFValueType(item_kind)
        metadata.append(Meta(key, value, GGUFValueType(kind), item_type))
    return metadata


def _encode_info(name: str, shape: Sequence[int], qtype: str, offset: int) -> bytes:
    dimensions = [int(length) for length in reversed(shape)] or [1]
    while len(dimensions) > 1 and dimensions[-1] == 1:  # as ggml counts dimensions
        dimensions.pop()
    text = _encode_text(name)
    return text + struct.pack(f"<I{len(dimensions)}QIQ", len(dimensions), *dimensions, TYPE_IDS[qtype], offset)


def _encode_key(meta: Meta) -> bytes:
    try:
        return _encode_text(meta.key) + _U32.pack(meta.type) + _encode_typed(meta)
    except (struct.error, AttributeError, OverflowError, TypeError, ValueError) as exc:
        raise QuantizeError(
            f"{meta.key[:80]} = {meta.value!a:.40} cannot be a GGUF {meta.type.name}: correct the checkpoint"
        ) from exc


def _encode_typed(meta: Meta) -> bytes:
    if meta.type == GGUFValueType.STRING:
        return _encode_text(meta.value)
    if meta.type != GGUFValueType.ARRAY:
        return SCALARS[meta.type].pack(meta.value)
    assert meta.item_type is not None
    head = struct.pack("<IQ", meta.item_type, len(meta.value))
    if meta.item_type == GGUFValueType.STRING:
        return head + b"".join(map(_encode_text, meta.value))
    return head + np.asarray(meta.value, _dtype(meta.item_type)).tobytes()


def _encode_text(text: str | bytes) -> bytes:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    return _U64.pack(len(data)) + data


def _decode_value(head: bytes, offset: int, kind: int) -> tuple[Any, int | None, int]:
    """A value, the type of its elements where it is an array, and where it ends."""
    if kind == STRING:
        text, offset = _decode_text(head, offset)
        return text, None, offset
    if kind != ARRAY:
        (value,) = SCALARS[kind].unpack_from(head, offset)
        return value, None, offset + SCALARS[kind].size
    item_kind, count = struct.unpack_from("<IQ", head, offset)
    offset += 12
    if item_kind != STRING:
        numbers = np.frombuffer(head, _dtype(item_kind), count, offset)
        return numbers, item_kind, offset + numbers.nbytes
    texts = []
    for _ in range(count):
        text, offset = _decode_text(head, offset)
        texts.append(text)
    return texts, item_kind, offset


def _decode_text(head: bytes, offset: int) -> tuple[str, int]:
    start = offset + 8
    end = start + _U64.unpack_from(head, offset)[0]
    return head[start:end].decode("utf-8", "surrogateescape"), end


def _dtype(kind: int) -> str:
    """numpy's name of a scalar type; a boolean's byte stays as it is."""
    return SCALARS[kind].format.replace("?", "B")
