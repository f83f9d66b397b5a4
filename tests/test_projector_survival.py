"""What `read_projector` lets through, libmtmd survives: projectors are loaded and pictures of many shapes encoded, and
damaged ones are refused here, or refused or survived there.

A run tries a few damages for each kind; EDGEAI_PROJECTOR_MUTATIONS=1000 makes it a campaign, and EDGEAI_MUTATION_SEED
another one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeai.errors import ModelError
from edgeai.gguf_projector import read_projector
from tests.families import family_model
from tests.gguf_parts import ARRAY, I32, Parts
from tests.mutate_parts import rename
from tests.mutate_projector import projector_mutation
from tests.test_gguf_eyes import swapped
from tests.tiny import N_EMBD, tiny_model
from tests.tiny_eyes import KINDS, Kind, tiny_eyes

N_MUTATIONS = int(os.environ.get("EDGEAI_PROJECTOR_MUTATIONS", "12"))
SEED = int(os.environ.get("EDGEAI_MUTATION_SEED", "1"))
SIZES = ("1x1", "1x60", "60x1", "33x31", "200x150", "64x2000", "16384x100")
MAX_TOKENS = 256

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.timeout(0 if N_MUTATIONS > 12 else 300),
]

Probe = Callable[..., str]


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """Encodes pictures with libmtmd in a process of its own and says how that ended."""
    yield from asking(tiny_model(tmp_path_factory.mktemp("text") / "text.gguf"))


@pytest.fixture(scope="module")
def probe_by_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """The same for a text model that counts tokens of pictures by row and column."""
    path = tmp_path_factory.mktemp("text") / "text.gguf"
    parts = Parts.read(family_model(path, "qwen2"))
    rename(parts, "qwen2vl")
    parts.set("qwen2vl.rope.dimension_sections", ARRAY, [4, 6, 6, 0], I32)
    yield from asking(parts.write(path))


def asking(text: Path) -> Iterator[Probe]:
    """What asks a process that has this text model."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.projector_probe", str(text)],
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

    def ask(path: Path, *sizes: str, most_tokens: int = 0) -> str:
        stdin.write(json.dumps({"path": str(path), "sizes": sizes, "most_tokens": most_tokens}) + "\n")
        stdin.flush()
        return stdout.readline().strip()

    yield ask
    stdin.close()
    stdout.close()
    process.wait(timeout=30)


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_all_shapes_are_encoded(kind: Kind, probe: Probe, tmp_path: Path) -> None:
    path = tiny_eyes(tmp_path / "mmproj.gguf", kind)
    found = read_projector(path, N_EMBD, max_picture_tokens=MAX_TOKENS)
    end = probe(path, *SIZES, most_tokens=found.image_max_tokens)
    assert end.startswith("ok ")
    chunks = json.loads(end.removeprefix("ok "))
    taken = [size for size in SIZES if ratio(size) <= found.max_ratio]
    assert set(SIZES) - set(taken) <= {"16384x100"}
    for size in taken:
        assert chunks[size], size
        assert max(chunks[size]) <= found.n_picture_tokens, size


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "qwen" in kind])
def test_tokens_by_row_and_column_are_as_many(kind: Kind, probe: Probe, probe_by_place: Probe, tmp_path: Path) -> None:
    path = tiny_eyes(tmp_path / "mmproj.gguf", kind)
    end = probe_by_place(path, *SIZES[:5], most_tokens=MAX_TOKENS)
    assert end == probe(path, *SIZES[:5], most_tokens=MAX_TOKENS) != "refused"


@pytest.mark.parametrize("kind", ["gemma3", "idefics3", "qwen2vl_merger", "qwen2.5vl_merger"])
def test_names_of_older_converters_mean_the_same(kind: Kind, probe: Probe, tmp_path: Path) -> None:
    new, old = tiny_eyes(tmp_path / "new.gguf", kind), tiny_eyes(tmp_path / "old.gguf", kind, change=swapped)
    assert probe(new, "50x50") == probe(old, "50x50") != "refused"


@pytest.mark.parametrize("kind", KINDS)
def test_libmtmd_survives_what_is_let_through(kind: Kind, probe: Probe, tmp_path: Path) -> None:
    sound, damaged = tiny_eyes(tmp_path / "sound.gguf", kind), tmp_path / "damaged.gguf"
    n_used = 0
    for index in range(N_MUTATIONS):
        what = projector_mutation(sound, SEED, index, damaged)
        if message := refusal(damaged):
            assert "\n" not in message
            continue
        end = probe(damaged, "1x50", "70x100")
        assert end.startswith(("ok", "refused")), f"{index}: {what}: {end}"
        n_used += 1
    assert n_used, "no damaged file was harmless: nothing was tested"


def ratio(size: str) -> float:
    """Of a picture's longer side to its shorter one."""
    sides = list(map(int, size.split("x")))
    return max(sides) / min(sides)


def refusal(path: Path) -> str:
    """What the check says of a file; nothing of one that it lets through."""
    try:
        read_projector(path, N_EMBD)
    except ModelError as exc:
        return str(exc)
    return ""
