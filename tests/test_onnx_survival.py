"""Damaged ONNX folders: an error of ours, or a session that works; the interpreter survives in any case.

A run tries some hundred damages; EDGEAI_MUTATIONS=5000 makes it a campaign, and EDGEAI_MUTATION_SEED another one.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeai import EdgeAIError, Session, errors
from tests.tiny_onnx import tiny_onnx, write_record

N_MUTATIONS = int(os.environ.get("EDGEAI_MUTATIONS", "300"))
SEED = int(os.environ.get("EDGEAI_MUTATION_SEED", "1"))
NAMES = ("model.onnx", "genai_config.json", "tokenizer.json", "edgeai.json")
SPECIAL: tuple[Any, ...] = (
    0,
    1,
    -1,
    2**31,
    2**63 - 1,
    -(2**63),
    10**30,
    0.5,
    float("inf"),
    "",
    "..",
    "/etc/passwd",
    "%d%d",
    [],
    {},
    None,
)

N_SESSIONS = 6

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.timeout(0 if N_MUTATIONS > 300 else 300),
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_onnx(tmp_path_factory.mktemp("tiny") / "tiny")


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bits flipped, bytes in the place of others, a piece gone, doubled, or the end cut off."""
    out, kind = bytearray(data), rng.randrange(5)
    at = rng.randrange(len(out))
    size = rng.choice((1, 2, 4, 8, 64))
    if kind == 0:
        out[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        out[at : at + size] = rng.choice((b"\xff", b"\x00", b"\x7f", b"\x80")) * size
    elif kind == 2:
        del out[at : at + size]
    elif kind == 3:
        out[at:at] = out[at : at + size]
    else:
        del out[at:]
    return bytes(out)


def places(values: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value, as its container and key."""
    for key, value in list(values.items() if isinstance(values, dict) else enumerate(values)):
        yield values, key
        if isinstance(value, (dict, list)):
            yield from places(value)


def damage(folder: Path, number: int) -> str:
    """Damage one file; which, and in what way."""
    rng = random.Random(f"{SEED} {number}")
    name = NAMES[number % len(NAMES)]
    path = folder / name
    if name == "model.onnx" or rng.random() < 0.3:
        path.write_bytes(damaged_bytes(path.read_bytes(), rng))
    else:
        values = json.loads(path.read_bytes())
        container, key = rng.choice(list(places(values)))
        if rng.random() < 0.2:
            del container[key]
        else:
            container[key] = rng.choice(SPECIAL)
        path.write_text(json.dumps(values))
    if name != "edgeai.json":
        write_record(folder)  # so that not its size alone is found wrong
    return f"{number}: {name}"


@pytest.fixture(scope="module")
def probe() -> Iterator[Callable[[Path], str]]:
    """Opens a folder in a process of its own and says how that ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.onnx_probe"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
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


def test_damaged_folders_are_errors_or_answer(sound: Path, tmp_path: Path, probe: Callable[[Path], str]) -> None:
    assert probe(sound) == "ok"
    ends: Counter[str] = Counter()
    for number in range(N_MUTATIONS):
        folder = Path(shutil.copytree(sound, tmp_path / "damaged"))
        what = damage(folder, number)
        end = probe(folder)
        ends[end] += 1
        assert end == "ok" or issubclass(getattr(errors, end.partition(":")[0], type), EdgeAIError), f"{what}: {end}"
        shutil.rmtree(folder)
    assert ends["ok"] > N_MUTATIONS / 20, ends
    assert ends["ModelFormatError"] > N_MUTATIONS / 20, ends


def test_in_a_session_a_damaged_graph_is_an_error_or_answers(sound: Path, tmp_path: Path) -> None:
    for number in range(0, 4 * N_SESSIONS, 4):
        folder = Path(shutil.copytree(sound, tmp_path / "damaged"))
        damage(folder, number)
        with contextlib.suppress(EdgeAIError), Session(folder, n_ctx=64, n_threads=1) as session:
            assert session.complete("Hello", max_tokens=2, temperature=0).text is not None
        shutil.rmtree(folder)
