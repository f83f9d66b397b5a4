"""What `quantize` needs of memory, as a program: twice its largest tensor as float32 and 200 MB, whatever the model."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.quantize.big_checkpoints import LlamaShape, big_checkpoint

if sys.platform == "win32":
    pytest.skip("Windows does not say what a child's peak memory was", allow_module_level=True)

from benchmarks.quantize_process import measured

QUANTIZE = str(Path(sys.executable).with_name("quantize"))
PROGRAM_BYTES = 200_000_000
MANY_TENSORS = LlamaShape(n_embd=1024, n_layer=12, n_ff=4096, n_head=8, n_head_kv=4, n_vocab=4096)
LARGE_EMBEDDING = LlamaShape(n_embd=1024, n_layer=1, n_ff=1024, n_head=8, n_head_kv=8, n_vocab=150_000)
LARGE_QUERIES = LlamaShape(n_embd=8192, n_layer=1, n_ff=1024, n_head=64, n_head_kv=8, n_vocab=1024)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """For a checkpoint; pytest would keep its hundreds of megabytes."""
    yield tmp_path / "model"
    shutil.rmtree(tmp_path)


def peak_bytes(folder: Path) -> int:
    """Of `quantize`, in a process of its own."""
    out = str(folder / "out.gguf")
    return measured([QUANTIZE, str(folder), "--bits", "8", "--threads", "2", "--out", out]).peak_bytes


def test_memory_does_not_grow_with_the_number_of_tensors(folder: Path) -> None:
    big_checkpoint(folder, MANY_TENSORS)
    bound = 2 * MANY_TENSORS.largest_f32_bytes + PROGRAM_BYTES
    assert peak_bytes(folder) <= bound < MANY_TENSORS.n_bytes


def test_a_tensor_that_is_read_by_rows_is_never_in_memory_as_a_whole(folder: Path) -> None:
    big_checkpoint(folder, LARGE_EMBEDDING)
    assert peak_bytes(folder) <= PROGRAM_BYTES < LARGE_EMBEDDING.largest_f32_bytes


def test_a_tensor_whose_rows_are_reordered_is_in_memory_twice(folder: Path) -> None:
    big_checkpoint(folder, LARGE_QUERIES)
    assert peak_bytes(folder) <= 2 * LARGE_QUERIES.largest_f32_bytes + PROGRAM_BYTES


def test_what_is_measured_is_what_a_program_takes() -> None:
    n_bytes = 50_000_000
    ballast = bytearray(6 * n_bytes)  # this process's memory, which is not the child's
    ballast[::4096] = b"1" * len(ballast[::4096])
    once, twice = (
        measured([sys.executable, "-I", "-S", "-c", f"x = bytearray({n}); x[::4096] = b'1' * len(x[::4096])"])
        for n in (n_bytes, 2 * n_bytes)
    )
    assert twice.peak_bytes - once.peak_bytes == pytest.approx(n_bytes, rel=0.05)
    assert twice.peak_bytes < 3 * n_bytes < len(ballast)
