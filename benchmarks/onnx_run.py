"""Prefill and decode: a Session and ONNX Runtime GenAI on the same folder, and llama.cpp on a GGUF of equal bits.

Each contender is a program of its own (benchmarks/onnx_contender.py), and they take turns. A Session stands there
twice: with its engine in a process of its own, and inside. GenAI also runs the folder that its own builder makes, for
what the graph alone makes of it.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import TEXT, ratio_lines
from benchmarks.onnx_artifacts import GGUF_FTYPES, Made, Peer

RATE_TARGET = 0.95  # ours / GenAI's, at least
OURS, INSIDE = "edgeai.Session", "edgeai.Session, isolation none"
GENAI, GENAI_OWN = "onnxruntime-genai, the same folder", "onnxruntime-genai, its own folder"
_PROGRAM = Path(__file__).with_name("onnx_contender.py")


class Asked(NamedTuple):
    """What a contender says of one prompt: see benchmarks.onnx_contender.Answer."""

    n_prompt: int
    n_new: int
    prefill_s: float
    decode_s: float
    text: str
    pids: list[int]

    @property
    def prefill_rate(self) -> float:
        """Tokens a second."""
        return self.n_prompt / self.prefill_s

    @property
    def decode_rate(self) -> float:
        """Tokens a second, after the first."""
        return (self.n_new - 1) / self.decode_s


Found = dict[str, list[Asked]]
"""A contender's rounds."""


class Contender:
    """An engine in its process, loaded."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it and wait until it is loaded.

        Raises:
            SystemExit: it cannot load the model; what it said stands above.
        """
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
        self._process = subprocess.Popen(command, **pipes)
        self._command = command
        self._read()

    def __enter__(self) -> Contender:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.communicate()

    def ask(self, prompt: str, n_new: int) -> Asked:
        """Evaluate a prompt and go on with so many tokens."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([prompt, n_new]) + "\n")
        self._process.stdin.flush()
        return Asked(**self._read())

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            found: dict[str, Any] = json.loads(line)
            return found
        raise SystemExit(f"{' '.join(self._command)}: exit code {self._process.wait()}")


def commands(made: Made, bits: int, sizes: Sequence[int], peer: Peer | None) -> dict[str, list[str]]:
    """How each contender is started; `sizes` are its threads and the tokens it has room for."""
    words = [str(size) for size in sizes]

    def here(engine: str, path: Path) -> list[str]:
        return [sys.executable, "-m", "benchmarks.onnx_contender", engine, str(path), *words]

    found = {OURS: here("process", made.onnx), INSIDE: here("none", made.onnx)}
    if peer:
        there = [str(peer.python), "-I", str(_PROGRAM), "genai"]
        found[GENAI] = [*there, str(made.onnx), *words]
        if made.theirs:
            found[GENAI_OWN] = [*there, str(made.theirs), *words]
    return found | {f"llama.cpp, {GGUF_FTYPES[bits]}": here("llama.cpp", made.gguf)}


def prompt_of(n_tokens: int, gguf: Path) -> str:
    """A text of so many tokens."""
    import edgeai

    with edgeai.Session(gguf, n_ctx=256, isolation="none") as session:
        prompt = TEXT * (n_tokens // session.count_tokens(TEXT))
        while session.count_tokens("sea " + prompt) <= n_tokens:
            prompt = "sea " + prompt
        return prompt


def measure(commands: Mapping[str, Sequence[str]], prompt: str, n_new: int, n_rounds: int) -> Found:
    """Rounds of all contenders, in turns; the first of each warms up."""
    contenders = {name: Contender(command) for name, command in commands.items()}
    found: Found = {name: [] for name in contenders}
    for round_ in range(n_rounds + 1):
        for name in list(contenders)[:: 1 if round_ % 2 else -1]:
            time.sleep(0.3)  # the last one's threads stop spinning
            asked = contenders[name].ask(prompt, n_new)
            if round_:
                found[name].append(asked)
    for contender in contenders.values():
        contender.__exit__()
    return found


def lines(bits: int, found: Found) -> list[str]:
    """The rates, ours against the others', and whether both engines say the same."""
    counts = {asked.n_prompt for rounds in found.values() for asked in rounds}
    assert len(counts) == 1, f"the contenders evaluated prompts of {sorted(counts)} tokens"
    text = []
    for what in ("prefill", "decode"):
        rates = {name: [getattr(asked, f"{what}_rate") for asked in rounds] for name, rounds in found.items()}
        title = f"{bits} bits: {what} of {counts.copy().pop()} tokens" if what == "prefill" else f"{bits} bits: decode"
        text += ratio_lines(f"{title}, tokens/s", rates, OURS, higher_is_better=True)
    if GENAI in found:
        text += [f"  the same folder: at least {RATE_TARGET}", f"  {_agreement(found)}"]
    return text


def _agreement(found: Found) -> str:
    ours, theirs = found[OURS][-1].text, found[GENAI][-1].text
    if ours == theirs:
        return f"both answer the same {len(ours)} characters"
    same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs, strict=False))
    n_same = sum(1 for _ in same)
    return f"the answers part after {n_same} characters: {ours[n_same:][:30]!r} and {theirs[n_same:][:30]!r}"


def as_dict(found: Found) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        name: [{**asked._asdict(), "prefill": asked.prefill_rate, "decode": asked.decode_rate} for asked in rounds]
        for name, rounds in found.items()
    }
