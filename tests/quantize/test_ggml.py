"""ggml's kernels through ctypes, held to gguf-py's quantizers and dequantizers, and to what would end the process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from gguf import GGMLQuantizationType
from gguf.quants import dequantize
from gguf.quants import quantize as gguf_quantize
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize import ggml
from quantize.ggml import (
    ENCODED_TYPES,
    TYPE_IDS,
    NotFiniteError,
    OutOfRangeError,
    decode,
    encode,
    is_valid,
    needs_imatrix,
    row_bytes,
    tensor_type,
)
from tests.quantize.tiny_weights import F32

N_COLS = 512
GRID_TYPES = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S")
SIMPLE_TYPES = ("F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")  # those that gguf-py quantizes as ggml does
# The relative root mean square error that normal numbers may have.
MAX_ERROR = {
    **{"F32": 0.0, "F16": 1e-3, "BF16": 5e-3, "Q8_0": 0.01, "Q6_K": 0.03, "Q5_0": 0.05, "Q5_1": 0.05, "Q5_K": 0.05},
    **{"Q4_0": 0.11, "Q4_1": 0.11, "Q4_K": 0.1, "IQ4_NL": 0.1, "IQ4_XS": 0.1, "MXFP4": 0.15, "NVFP4": 0.15},
    **{"Q3_K": 0.2, "IQ3_S": 0.2, "IQ3_XXS": 0.25, "Q2_K": 0.4, "IQ2_S": 0.4, "IQ2_XS": 0.4, "IQ2_XXS": 0.45},
    **{"IQ1_M": 0.6, "IQ1_S": 0.6, "TQ1_0": 0.8, "TQ2_0": 0.8, "Q2_0": 0.75, "Q1_0": 0.65},
}


def rows_of(n_rows: int = 6, n_cols: int = N_COLS, seed: int = 0) -> F32:
    return np.random.default_rng(seed).normal(size=(n_rows, n_cols)).astype(np.float32)


def importance(qtype: str, n_cols: int = N_COLS) -> F32 | None:
    if not needs_imatrix(qtype):
        return None
    return np.random.default_rng(1).uniform(0.5, 2, n_cols).astype(np.float32)


@pytest.mark.parametrize("qtype", ENCODED_TYPES)
def test_gguf_py_reads_what_is_encoded(qtype: str) -> None:
    rows = rows_of()
    encoded = encode(rows, qtype, importance(qtype))
    assert encoded.shape == (6, row_bytes(qtype, N_COLS))
    read = decode(encoded, qtype, N_COLS)
    assert float(np.sqrt(np.mean((read - rows) ** 2) / np.mean(rows**2))) <= MAX_ERROR[qtype]
    if qtype not in ("Q1_0", "Q2_0"):  # which this gguf-py cannot read
        expected = dequantize(encoded, GGMLQuantizationType[qtype])
        np.testing.assert_allclose(read, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("qtype", SIMPLE_TYPES)
def test_the_bytes_are_those_of_gguf_py_where_it_has_a_quantizer(qtype: str) -> None:
    rows = rows_of(seed=3)
    expected = np.asarray(gguf_quantize(rows, GGMLQuantizationType[qtype])).view(np.uint8)
    np.testing.assert_array_equal(encode(rows, qtype), expected.reshape(len(rows), -1))


def test_an_imatrix_moves_the_error_to_where_it_matters_less() -> None:
    rows = rows_of(64)
    weights = np.where(np.arange(N_COLS) % 2, 100.0, 0.01).astype(np.float32)
    plain = decode(encode(rows, "Q4_K"), "Q4_K", N_COLS) - rows
    weighted = decode(encode(rows, "Q4_K", weights), "Q4_K", N_COLS) - rows
    assert np.square(weighted[:, 1::2]).sum() < np.square(plain[:, 1::2]).sum()


def test_other_threads_run_while_rows_are_encoded() -> None:
    rows, done = rows_of(400, 4096), threading.Event()

    def work() -> None:
        encode(rows, "IQ4_NL")
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    n_ticks = 0
    while not done.is_set():
        time.sleep(0.001)
        n_ticks += 1
    thread.join()
    assert n_ticks > 20


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("qtype", ["F32", "F16", "BF16", "Q4_K", "Q3_K", "IQ4_XS"])
def test_what_is_not_finite_is_refused_unless_it_is_allowed(qtype: str, bad: float) -> None:
    rows = rows_of()
    rows[3, 7] = bad
    with pytest.raises(NotFiniteError):
        encode(rows, qtype)
    assert encode(rows, qtype, check=False).shape == (6, row_bytes(qtype, N_COLS))


@pytest.mark.parametrize(("qtype", "value"), [("F16", 65521.0), ("Q8_0", 1e8), ("Q4_K", 1e8), ("BF16", 3.4e38)])
def test_numbers_beyond_a_type_are_refused(qtype: str, value: float) -> None:
    rows = rows_of()
    rows[5, 11] = -value
    with pytest.raises(OutOfRangeError):
        encode(rows, qtype)
    assert np.isfinite(encode(rows, "F32").view(np.float32)).all()


def test_the_largest_number_of_f16_is_taken() -> None:
    rows = np.full((1, 32), 65519.0, np.float32)
    assert (decode(encode(rows, "F16"), "F16", 32) == 65504).all()


@pytest.mark.parametrize("qtype", GRID_TYPES)
@pytest.mark.parametrize("bad", [np.nan, 1e30, 2e6])
def test_what_would_end_the_process_is_refused_even_unchecked(qtype: str, bad: float) -> None:
    rows = rows_of()
    rows[0, 0] = bad
    with pytest.raises((NotFiniteError, OutOfRangeError)):
        encode(rows, qtype, np.ones(N_COLS, np.float32), check=False)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), scale=st.floats(-40, 6), heaviest=st.floats(-30, 12))
def test_what_is_not_refused_never_ends_the_process(seed: int, scale: float, heaviest: float) -> None:
    rng = np.random.default_rng(seed)
    weights = (10.0 ** rng.uniform(-35, heaviest, 256)).astype(np.float32)
    weights[rng.random(256) < rng.random()] = 0
    limit = 0.99 * min(1e6, 1e12 / max(float(weights.max()), 1))
    drawn = rng.standard_cauchy((2, 256)) if seed % 2 else rng.normal(size=(2, 256))
    rows = np.clip(drawn * 10.0**scale, -limit, limit).astype(np.float32)
    rows[rng.random((2, 256)) < rng.random()] = 0
    for qtype in GRID_TYPES:
        encode(rows, qtype, weights, check=False)


def test_a_negative_or_infinite_imatrix_is_refused() -> None:
    for bad in (-1.0, np.inf, np.nan):
        weights = np.ones(N_COLS, np.float32)
        weights[9] = bad
        with pytest.raises(ValueError, match="negative or not finite"):
            encode(rows_of(), "IQ2_XS", weights)


@pytest.mark.parametrize(
    ("rows", "qtype"),
    [
        (rows_of(2, 48), "Q4_0"),
        (rows_of(2, 192), "Q4_K"),
        (rows_of().astype(np.float64), "Q8_0"),
        (rows_of()[:, ::2], "Q8_0"),
        (rows_of(), "Q8_K"),
        (rows_of(), "I32"),
        (rows_of(), "IQ2_XXS"),
    ],
)
def test_calls_that_ggml_would_not_survive_are_refused(rows: F32, qtype: str) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        encode(rows, qtype)


@pytest.mark.parametrize(("n_bytes", "qtype", "n_cols"), [(36, "Q4_0", 33), (17, "Q4_0", 32), (128, "I32", 32)])
def test_only_whole_rows_are_decoded(n_bytes: int, qtype: str, n_cols: int) -> None:
    with pytest.raises(ValueError, match="are not rows"):
        decode(np.zeros((1, n_bytes), np.uint8), qtype, n_cols)


def test_encoded_rows_are_validated() -> None:
    encoded = encode(rows_of(), "Q8_0")
    assert is_valid(encoded, "Q8_0")
    encoded[0, :2] = (0, 0x7C)  # the scale, a float16: infinity
    assert not is_valid(encoded, "Q8_0")
    assert is_valid(np.zeros((1, 8), np.uint8), "I64")


def test_no_rows_and_single_rows() -> None:
    assert encode(np.empty((0, 256), np.float32), "Q4_K").shape == (0, 144)
    assert encode(rows_of(1), "Q4_K").shape == (1, 288)


def test_the_table_of_types_is_the_librarys() -> None:
    for qtype in ENCODED_TYPES:
        kind, traits = tensor_type(qtype), ggml._library().ggml_get_type_traits(TYPE_IDS[qtype]).contents
        assert traits.type_name.decode().upper() == qtype
        assert (traits.blck_size, traits.type_size) == (kind.block_size, kind.block_bytes)


def test_importing_the_kernels_does_not_load_them() -> None:
    program = "import sys, quantize.ggml; sys.exit('llama_cpp.llama_cpp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
