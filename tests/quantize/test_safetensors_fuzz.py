"""Whatever stands in a file, nothing but CheckpointError is raised, and in little memory."""

from __future__ import annotations

import json
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeai.errors import CheckpointError
from quantize.safetensors import StoredTensor, open_safetensors
from quantize.safetensors_header import BITS
from tests.quantize.safetensors_files import NUMPY_TYPES, as_the_package_reads, file_of, packed, refused

SOUND = packed({"x": ("BF16", [2, 3], b"\0" * 12), "layer.y": ("F32", [4], b"\1" * 16), "z": ("I8", [], b"\2")})
N_HEADER_BYTES = int.from_bytes(SOUND[:8], "little")
HOSTILE_NUMBERS = [
    -1,
    0,
    1,
    7,
    12,
    28,
    29,
    30,
    2**31,
    2**32,
    2**62,
    2**63 - 1,
    2**63,
    2**64 - 1,
    2**64,
    10**30,
    0.5,
    None,
]


def survives(path: Path, raw: bytes) -> None:
    """Opening and reading raise CheckpointError or nothing, agree with the package, and take little memory."""
    path.write_bytes(raw)
    tensors: dict[str, StoredTensor] = {}
    values, error = {}, ""
    tracemalloc.start()
    try:
        tensors = open_safetensors(path)
        values = {name: tensor.read() for name, tensor in tensors.items() if "8_" not in tensor.dtype}
    except CheckpointError as exc:
        error = str(exc)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert "\n" not in error
    assert peak < 20 * len(raw) + 2**17
    if tensors:  # whatever we accept, the package accepts, and as the same bytes
        theirs = as_the_package_reads(raw)
        assert {n: (t.dtype, list(t.shape)) for n, t in tensors.items()} == {
            n: (t["dtype"], t["shape"]) for n, t in theirs.items()
        }
        for name, value in values.items():
            if tensors[name].dtype in NUMPY_TYPES:
                expected: NDArray[Any] = np.frombuffer(bytes(theirs[name]["data"]), NUMPY_TYPES[tensors[name].dtype])
                with np.errstate(all="ignore"):
                    np.testing.assert_array_equal(value.ravel(), expected.astype(np.float32))


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "m.safetensors"


@settings(max_examples=500, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(1, 255)), min_size=1, max_size=4))
def test_bit_flips(fuzzed: Path, flips: list[tuple[int, int]]) -> None:
    raw = bytearray(SOUND)
    for position, bits in flips:
        raw[position] ^= bits
    survives(fuzzed, bytes(raw))


@settings(max_examples=500, deadline=None)
@given(
    start=st.integers(8, 8 + N_HEADER_BYTES),
    n_removed=st.integers(0, 20),
    added=st.one_of(st.binary(max_size=20), st.text('{}[]",:\\0123456789', max_size=20).map(str.encode)),
    adjust=st.booleans(),
)
def test_pieces_replaced(fuzzed: Path, start: int, n_removed: int, added: bytes, adjust: bool) -> None:
    raw = SOUND[:start] + added + SOUND[start + n_removed :]
    if adjust:
        raw = struct.pack("<Q", max(N_HEADER_BYTES + len(added) - n_removed, 0)) + raw[8:]
    survives(fuzzed, raw)


@settings(max_examples=500, deadline=None)
@given(
    entries=st.dictionaries(
        st.sampled_from(["a", "b", "__metadata__", "ü\0"]),
        st.fixed_dictionaries(
            {
                "dtype": st.sampled_from([*BITS, "F7", "", None]),
                "shape": st.lists(st.sampled_from(HOSTILE_NUMBERS), max_size=4),
                "data_offsets": st.lists(st.sampled_from(HOSTILE_NUMBERS), min_size=1, max_size=3),
            }
        ),
        min_size=1,
    ),
    n_header_bytes=st.one_of(st.none(), st.integers(0, 2**64 - 1)),
    n_data_bytes=st.integers(0, 40),
)
@example({"a": {"dtype": "F32", "shape": [0, 7], "data_offsets": [0, 0]}}, None, 0)
@example({"a": {"dtype": "F32", "shape": [7, 1], "data_offsets": [0, 28]}}, None, 28)
def test_lying_numbers(fuzzed: Path, entries: Any, n_header_bytes: int | None, n_data_bytes: int) -> None:
    raw = json.dumps(entries).encode()
    length = len(raw) if n_header_bytes is None else n_header_bytes
    survives(fuzzed, struct.pack("<Q", length) + raw + bytes(n_data_bytes))


@pytest.mark.parametrize(
    "piece",
    [
        b"[],",
        b"{},",
        b'"a",',
        b"[",
        b'{"a":',
        b'"__metadata__":{},',
        b'"a":{},',
        b"\\",
        b'"',
        b" ",
        b"\0",
        b"\xf0\x9f\x98\x80",
    ],
    ids=repr,
)
def test_large_headers_of_nonsense(fuzzed: Path, piece: bytes) -> None:
    """Decoded at once, such a header would take 20 times its size."""
    raw = b'{"a":' + piece * (4_000_000 // len(piece))
    fuzzed.write_bytes(struct.pack("<Q", len(raw)) + raw)
    tracemalloc.start()
    try:
        refused(fuzzed)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(raw)
    finally:
        tracemalloc.stop()


def test_many_tensors(tmp_path: Path) -> None:
    """As many as no model has are still read in memory of the header's order."""
    entries = {f"t{i}": {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i in range(20_000)}
    path = file_of(tmp_path / "m.safetensors", entries, bytes(20_000))
    tracemalloc.start()
    try:
        assert len(open_safetensors(path)) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 20 * path.stat().st_size
    finally:
        tracemalloc.stop()
