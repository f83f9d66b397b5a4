"""A real model as an ONNX folder: what it answers, and the memory that it takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgeai import Session
from edgeai.fit import ModelShape, estimate_for
from edgeai.options import LoadOptions
from quantize.cli import main
from tests.quantize.smollm2 import SMOLLM2_FOLDER, smollm2_checkpoint

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def folder(real_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M-Instruct at 8 bits."""
    parent = tmp_path_factory.mktemp("smollm2")
    checkpoint = smollm2_checkpoint(real_model, parent / SMOLLM2_FOLDER)
    assert main(["--format", "onnx", "--bits", "8", "--rtn", str(checkpoint), "-o", str(parent / "onnx")]) == 0
    return parent / "onnx"


def test_it_knows_paris_and_goes_on_where_it_was(folder: Path) -> None:
    with Session(folder, n_ctx=1024) as session:
        first = session.chat("What is the capital of France?", temperature=0, max_tokens=12)
        assert "Paris" in first.text
        second = session.chat("And of Italy?", temperature=0, max_tokens=12)
        assert second.usage.cached_tokens >= first.usage.prompt_tokens


MEASURE = """
import json, sys
from edgeai.session import Session
path, options, n_words = json.loads(sys.argv[1])
with Session(path, **options) as session:
    response = session.complete("word " * n_words, max_tokens=4, temperature=0)
    used = response.usage.prompt_tokens + len(response.text)
    status = [*open("/proc/self/status"), *open(f"/proc/{session._backend.pid}/status")]
peaks = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")]
assert len(peaks) == 2
print(json.dumps([sum(peaks), used]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_estimate_is_within_a_tenth_of_what_both_processes_use(folder: Path) -> None:
    options, n_words = {"n_ctx": 2048}, 1900
    arguments = json.dumps([str(folder), options, n_words])
    done = subprocess.run([sys.executable, "-c", MEASURE, arguments], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-2000:]
    peak_bytes, n_used = json.loads(done.stdout)
    assert n_used > n_words
    need = estimate_for(ModelShape.from_file(folder / "model.onnx"), LoadOptions(n_ctx=2048), 2048)
    assert need.total_bytes == pytest.approx(peak_bytes, rel=0.1)
