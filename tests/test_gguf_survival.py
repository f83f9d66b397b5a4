"""What `read_header` lets through, llama.cpp survives: damaged files are refused here, or loaded or refused there.

A run tries some dozens of damages for each model; EDGEAI_MUTATIONS=5000 makes it a campaign, and
EDGEAI_MUTATION_SEED another one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeai.errors import ModelError, ModelFormatError
from edgeai.fit import ModelShape, estimate
from edgeai.gguf_header import read_header
from tests.families import FAMILIES, family_model
from tests.mutate import Header, mutation, write_sparse
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


def survives(probe: Callable[[Path], str], sound: Path, damages: Iterator[tuple[str, Path]]) -> None:
    assert probe(sound) == "ok"
    ends: dict[str, int] = {}
    for what, damaged in damages:
        try:
            estimate(ModelShape.from_header(read_header(damaged)), n_ctx=512)
        except ModelError:
            continue
        end = probe(damaged)
        ends[end] = ends.get(end, 0) + 1
        assert end in ("ok", "refused"), f"{what}: {end}"
    assert ends.get("ok"), "no damaged file was harmless: nothing was tested"


def damages(sound: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Damage to header, meaning and weights of a small file."""
    for index in range(N_MUTATIONS):
        yield f"{index}: {mutation(sound, SEED, index, folder / 'damaged.gguf')}", folder / "damaged.gguf"


@pytest.mark.parametrize("kind", KINDS)
def test_llama_cpp_survives_what_is_let_through(kind: Any, probe: Callable[[Path], str], tmp_path: Path) -> None:
    sound = tiny_model(tmp_path / "tiny.gguf", kind)
    survives(probe, sound, damages(sound, tmp_path))


@pytest.mark.parametrize("family", FAMILIES)
def test_other_families_survive_what_is_let_through(family: str, probe: Callable[[Path], str], tmp_path: Path) -> None:
    sound = family_model(tmp_path / "tiny.gguf", family)
    survives(probe, sound, damages(sound, tmp_path))


@pytest.mark.parametrize("tokenizer", ["llama", "plamo2"])
def test_tokenizers_survive_what_is_let_through(tokenizer: str, probe: Callable[[Path], str], tmp_path: Path) -> None:
    sound = model_with_tokenizer(tmp_path / "tiny.gguf", tokenizer)
    survives(probe, sound, damages(sound, tmp_path))


@pytest.mark.weights
def test_llama_cpp_survives_damaged_real_headers(
    real_model: Path, probe: Callable[[Path], str], tmp_path: Path
) -> None:
    survives(
        probe,
        real_model,
        (
            (what, write_sparse(tmp_path / "damaged.gguf", data, n_file_bytes))
            for what, data, n_file_bytes in Header(real_model).mutations(SEED, N_MUTATIONS)
        ),
    )


# --- the damages themselves


def test_each_damage_is_made_by_its_number(tmp_path: Path) -> None:
    sound = tiny_model(tmp_path / "tiny.gguf", "llama")

    def made(index: int) -> tuple[str, bytes]:
        what = mutation(sound, 3, index, tmp_path / "damaged.gguf")
        return what, (tmp_path / "damaged.gguf").read_bytes()

    forwards = [made(index) for index in range(20)]
    assert [made(index) for index in reversed(range(20))] == forwards[::-1]
    assert len(set(forwards)) == 20
    assert {what.split(":")[0] for what, _ in forwards} >= {"parts", "header"}


def test_damage_to_weights_leaves_the_header(tmp_path: Path) -> None:
    sound = tiny_model(tmp_path / "tiny.gguf", "llama")
    data, n_header = sound.read_bytes(), len(Header(sound).data)
    for index in range(60):
        what = mutation(sound, 4, index, tmp_path / "damaged.gguf")
        if what.startswith(("weights", "numbers")):
            damaged = (tmp_path / "damaged.gguf").read_bytes()
            assert damaged[:n_header] == data[:n_header]
            assert damaged != data
            assert len(damaged) == len(data)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(kind=st.sampled_from(FAMILIES), seed=st.integers(0, 2**32), index=st.integers(0, 2**32))
def test_any_damage_is_read_or_refused_at_once(kind: str, seed: int, index: int) -> None:
    """No other error than ours, in one line, without much time."""
    with tempfile.TemporaryDirectory() as folder:
        mutation(small(kind), seed, index, Path(folder) / "damaged.gguf")
        started = time.process_time()
        message = refusal(Path(folder) / "damaged.gguf")
        assert time.process_time() - started < 1
        assert "\n" not in message
        assert len(message) < 500


def refusal(path: Path) -> str:
    """What the check says of a file; nothing of one that it lets through."""
    try:
        read_header(path)
    except ModelFormatError as exc:
        return str(exc)
    return ""


@cache
def small(kind: str) -> Path:
    return family_model(Path(tempfile.mkdtemp()) / f"{kind}.gguf", kind)
