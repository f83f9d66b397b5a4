"""What `read_header` lets through, llama.cpp survives: damaged headers are refused here, or loaded or refused there.

A run tries some dozens of damages for each model; EDGEAI_MUTATIONS=5000 makes it a campaign.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeai.errors import ModelError
from edgeai.fit import ModelShape, estimate
from edgeai.gguf_header import read_header
from tests.families import FAMILIES, family_model
from tests.mutate import Header, write_sparse
from tests.tiny import KINDS, tiny_model
from tests.tokenizers import model_with_tokenizer

N_MUTATIONS = int(os.environ.get("EDGEAI_MUTATIONS", "60"))
SEED = int(os.environ.get("EDGEAI_MUTATION_SEED", "1"))

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.timeout(0 if N_MUTATIONS > 60 else 300),
]


@pytest.fixture(scope="module")
def probe() -> Iterator[Callable[[Path], str]]:
    """Loads a file with llama.cpp in a process of its own and says how that ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.native_probe"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "GGML_NO_BACKTRACE": "1"},
        cwd=Path(__file__).parent.parent,
    )
    assert process.stdin
    assert process.stdout
    stdin, stdout = process.stdin, process.stdout

    def ask(path: Path) -> str:
        stdin.write(f"{path}\n")
        stdin.flush()
        return stdout.readline().strip()

    yield ask
    stdin.close()
    stdout.close()
    process.wait(timeout=30)


def survives_mutations(sound: Path, probe: Callable[[Path], str], folder: Path, seed: int, count: int) -> None:
    assert probe(sound) == "ok"
    ends: dict[str, int] = {}
    for what, data, n_file_bytes in Header(sound).mutations(seed, count):
        damaged = write_sparse(folder / "damaged.gguf", data, n_file_bytes)
        try:
            estimate(ModelShape.from_header(read_header(damaged)), n_ctx=512)
        except ModelError:
            continue
        end = probe(damaged)
        ends[end] = ends.get(end, 0) + 1
        assert end in ("ok", "refused"), f"{what}: {end}"
    assert ends.get("ok"), "no damaged header was harmless: nothing was tested"


@pytest.mark.parametrize("kind", KINDS)
def test_llama_cpp_survives_what_is_let_through(kind: Any, probe: Callable[[Path], str], tmp_path: Path) -> None:
    survives_mutations(tiny_model(tmp_path / "tiny.gguf", kind), probe, tmp_path, seed=SEED, count=N_MUTATIONS)


@pytest.mark.parametrize("family", FAMILIES)
def test_other_families_survive_what_is_let_through(family: str, probe: Callable[[Path], str], tmp_path: Path) -> None:
    sound = family_model(tmp_path / "tiny.gguf", family)
    survives_mutations(sound, probe, tmp_path, seed=SEED, count=N_MUTATIONS)


@pytest.mark.parametrize("tokenizer", ["llama", "plamo2"])
def test_tokenizers_survive_what_is_let_through(tokenizer: str, probe: Callable[[Path], str], tmp_path: Path) -> None:
    sound = model_with_tokenizer(tmp_path / "tiny.gguf", tokenizer)
    survives_mutations(sound, probe, tmp_path, seed=SEED, count=N_MUTATIONS)


@pytest.mark.weights
def test_llama_cpp_survives_damaged_real_headers(
    real_model: Path, probe: Callable[[Path], str], tmp_path: Path
) -> None:
    survives_mutations(real_model, probe, tmp_path, seed=SEED, count=N_MUTATIONS)
