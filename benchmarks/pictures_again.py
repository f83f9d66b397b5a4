"""A second question about the same picture, to its first token, against the first question."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

import edgeai
from benchmarks.documents import first_byte_s
from benchmarks.pictures_model import Seeing
from benchmarks.pictures_speed import N_CTX, picture

QUESTIONS = ("What is to be seen here?", "Is anything in it red?")
PROCESS = """
import sys
import edgeai
text, projector, picture, question, n_ctx, n_threads = sys.argv[1:]
options = {"n_ctx": int(n_ctx), "n_threads": int(n_threads), "mmproj_path": projector}
with edgeai.Session(text, keep_states=True, **options) as session:
    usage = session.chat(question, images=[picture], temperature=0, max_tokens=1).usage
    sys.stdout.write("!")
    sys.stdout.flush()
print('{"cached_tokens": %d}' % usage.cached_tokens, file=sys.stderr)
"""


class Pair(NamedTuple):
    """Seconds to the first token of the first question about a picture, and of the second."""

    first_s: float
    second_s: float


def in_session(files: Seeing, path: Path, n_threads: int) -> Pair:
    """In one session, from the question on."""
    seconds: list[float] = []
    options: dict[str, Any] = {"n_ctx": N_CTX, "n_threads": n_threads, "mmproj_path": str(files.projector)}
    with edgeai.Session(files.text, **options) as session:
        session.chat("Hello", max_tokens=1).wait()
        session.reset()
        for question, images in zip(QUESTIONS, ([path], []), strict=True):
            started = time.perf_counter()
            session.chat(question, images=images, temperature=0, max_tokens=1).wait()
            seconds.append(time.perf_counter() - started)
    return Pair(*seconds)


def in_new_process(files: Seeing, path: Path, n_threads: int, home: Path) -> Pair:
    """In a process each, from its start on; `home` is where both keep what they evaluate."""
    command = [sys.executable, "-c", PROCESS, *map(str, files), str(path)]
    seconds, n_cached = [], 0
    for question in QUESTIONS:
        elapsed, told = first_byte_s([*command, question, str(N_CTX), str(n_threads)], home)
        seconds.append(elapsed)
        n_cached = told["cached_tokens"]
    assert n_cached, "the picture was not found evaluated"
    return Pair(*seconds)


def measure(files: Seeing, size: tuple[int, int], n_rounds: int, n_threads: int) -> dict[str, list[Pair]]:
    """Rounds of both, with another picture in each."""
    found: dict[str, list[Pair]] = {"in the same session": [], "after a restart": []}
    with tempfile.TemporaryDirectory(prefix="edgeai-pictures-") as folder:
        for round_ in range(n_rounds):
            shown, path = picture(round_, *size), Path(folder, f"{round_}.png")
            Image.frombytes("RGB", shown.size, shown.data).save(path)
            found["in the same session"].append(in_session(files, path, n_threads))
            found["after a restart"].append(in_new_process(files, path, n_threads, Path(folder, "home")))
    return found


def lines(found: Mapping[str, Sequence[Pair]]) -> list[str]:
    """Medians, and how many times sooner the second answer begins."""
    made = [f"{'seconds to the first token':<34} {'first':>8} {'second':>8} {'first / second':>15}"]
    for name, pairs in found.items():
        first, second = (statistics.median(figures) for figures in zip(*pairs, strict=True))
        ratio = statistics.median(pair.first_s / pair.second_s for pair in pairs)
        made.append(f"  {name:<32} {first:>8.2f} {second:>8.3f} {ratio:>15.1f}")
    return made
