"""How fast an artifact reads and writes on this machine, and what memory it takes, through edgeai.Session."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgeai.machine import resident_bytes
from edgeai.session import Session
from edgeai.speed_prompt import speed_prompt
from quantize.subjects import n_ctx_train, read_subject

_SPARE_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Speed:
    """The median of a few repetitions. Other programs that computed meanwhile made it slower.

    Attributes:
        prefill_tokens_per_s: reading a prompt.
        decode_tokens_per_s: writing after it; 0 where the model ended at once.
        n_prompt: tokens read.
        n_decode: tokens written at most.
        peak_bytes: the most memory that the engine's process held, weights included.
        load_ms: opening the file.
        n_ctx: the context window that was open, tokens.
    """

    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    n_prompt: int
    n_decode: int
    peak_bytes: int
    load_ms: float
    n_ctx: int


def measure_speeds(
    paths: Sequence[str | os.PathLike[str]],
    *,
    n_prompt: int = 512,
    n_decode: int = 64,
    repeat: int = 3,
    n_threads: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Speed]:
    """Read a prompt and write after it, as a session does in use. The files take turns, so that all meet the same load.

    Args:
        paths: .gguf files, and folders of ONNX models.
        n_prompt: tokens to read, about; fewer where the model was trained for less.
        n_decode: tokens to write.
        repeat: rounds, each with another prompt.
        n_threads: by default as many as there are free cores.
        on_progress: told after every file of every round.

    Raises:
        ModelError: no such file, not a model, or too large.
        GenerationError: the engine failed.
    """
    rounds: list[list[Speed]] = []
    for index in range(repeat):
        rounds.append([])
        for path in paths:
            rounds[-1].append(_run(path, n_prompt, n_decode, n_threads, index))
            if on_progress is not None:
                on_progress(index * len(paths) + len(rounds[-1]), repeat * len(paths))
    return [_median(speeds) for speeds in zip(*rounds, strict=True)]


def _run(path: str | os.PathLike[str], n_prompt: int, n_decode: int, n_threads: int | None, index: int) -> Speed:
    n_ctx = n_prompt + n_decode + _SPARE_TOKENS
    trained = n_ctx_train(read_subject(path))
    if trained is not None and trained < n_ctx:
        n_ctx, n_decode = trained, min(n_decode, trained // 4)
        n_prompt = max(1, n_ctx - n_decode - _SPARE_TOKENS)
    with Session(path, n_ctx=n_ctx, n_threads="auto" if n_threads is None else n_threads) as session:
        session.complete("0 1 2", max_tokens=2).wait()  # brings the weights into memory
        prompt = speed_prompt(session, n_prompt, index)
        response = session.complete(prompt, max_tokens=n_decode, temperature=0)
        response.wait()
        decoded = response.usage.completion_tokens > 1
        return Speed(
            prefill_tokens_per_s=response.timings.prefill_tokens_per_s,
            decode_tokens_per_s=response.timings.decode_tokens_per_s if decoded else 0.0,
            n_prompt=response.usage.prompt_tokens,
            n_decode=n_decode,
            peak_bytes=_peak_bytes(session.engine_pid),
            load_ms=session.load_ms,
            n_ctx=session.n_ctx,
        )


def _median(speeds: Sequence[Speed]) -> Speed:
    return replace(
        speeds[0],
        prefill_tokens_per_s=statistics.median(speed.prefill_tokens_per_s for speed in speeds),
        decode_tokens_per_s=statistics.median(speed.decode_tokens_per_s for speed in speeds),
        peak_bytes=max(speed.peak_bytes for speed in speeds),
        load_ms=statistics.median(speed.load_ms for speed in speeds),
    )


def _peak_bytes(pid: int) -> int:
    """The most that a process held so far; where the system does not tell, what it holds now."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resident_bytes(pid)
