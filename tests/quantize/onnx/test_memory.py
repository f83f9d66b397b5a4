"""What writing a graph needs of memory, as a program: as little as a GGUF does, whatever the model."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.quantize.big_checkpoints import big_checkpoint

if sys.platform == "win32":
    pytest.skip("Windows does not say what a child's peak memory was", allow_module_level=True)

from benchmarks.quantize_process import measured
from tests.quantize.test_memory import LARGE_EMBEDDING, PROGRAM_BYTES, QUANTIZE


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """For a checkpoint; pytest would keep its hundreds of megabytes."""
    yield tmp_path / "model"
    shutil.rmtree(tmp_path)


def test_a_tensor_that_is_read_by_rows_is_never_in_memory_as_a_whole(folder: Path) -> None:
    big_checkpoint(folder, LARGE_EMBEDDING)
    command = [QUANTIZE, "--format", "onnx", "--bits", "8", "--rtn", "--threads", "2", str(folder)]
    peak = measured([*command, "--out", str(folder.with_name("out"))]).peak_bytes
    assert peak <= PROGRAM_BYTES < LARGE_EMBEDDING.largest_f32_bytes
