"""How fast an artifact reads and writes on this machine, and what memory it takes, through edgeai.Session."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeai.gguf_header import read_header
from edgeai.machine import resident_bytes
from edgeai.response import Response
from edgeai.session import Session

_SPARE_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Speed:
    """The median of a few repetitions. Other programs that computed meanwhile made it slower.

    Attributes:
        prefill_tokens_per_s: reading a prompt.
        decode_tokens_per_s: writing after it; 0 where the model always ended at once.
        n_prompt: tokens read.
        n_decode: tokens written at most.
        peak_bytes: the most memory that the engine's process held, weights included.
        load_ms: opening the file.
    """

    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    n_prompt: int
    n_decode: int
    peak_bytes: int
    load_ms: float


def measure_speed(
    path: str | os.PathLike[str],
    *,
    n_prompt: int = 512,
    n_decode: int = 64,
    repeat: int = 3,
    n_threads: int | None = None,
) -> Speed:
    """Read a prompt and write after it, as a session does in use.

    Args:
        path: a .gguf file.
        n_prompt: tokens to read, about; fewer where the model was trained for less.
        n_decode: tokens to write.
        repeat: repetitions, each with another prompt.
        n_threads: by default as many as there are free cores.

    Raises:
        ModelError: no such file, not a model, or too large.
        GenerationError: the engine failed.
    """
    n_ctx = n_prompt + n_decode + _SPARE_TOKENS
    trained = read_header(path)["context_length"]
    if isinstance(trained, int) and trained < n_ctx:
        n_ctx, n_decode = trained, min(n_decode, trained // 4)
        n_prompt = max(1, n_ctx - n_decode - _SPARE_TOKENS)
    with Session(path, n_ctx=n_ctx, n_threads="auto" if n_threads is None else n_threads) as session:
        session.complete("0 1 2", max_tokens=2).wait()  # brings the weights into memory
        responses = [_run(session, n_prompt, n_decode, index) for index in range(repeat)]
        return Speed(
            prefill_tokens_per_s=statistics.median(response.timings.prefill_tokens_per_s for response in responses),
            decode_tokens_per_s=_decode_rate(responses),
            n_prompt=responses[0].usage.prompt_tokens,
            n_decode=n_decode,
            peak_bytes=_peak_bytes(session.engine_pid),
            load_ms=session.load_ms,
        )


def _run(session: Session, n_prompt: int, n_decode: int, index: int) -> Response:
    prompt = _counting(session, n_prompt, start=(index + 1) * 100_000)  # other first tokens: nothing is reused
    response = session.complete(prompt, max_tokens=n_decode, temperature=0)
    response.wait()
    return response


def _counting(session: Session, n_tokens: int, start: int) -> str:
    """Numbers in order, about this many tokens: a model goes on with them and does not end early."""
    numbers = [str(start + index) for index in range(n_tokens)]
    n_per_number = session.count_tokens(" ".join(numbers)) / n_tokens
    return " ".join(numbers[: max(1, int(n_tokens / n_per_number))])


def _decode_rate(responses: Sequence[Response]) -> float:
    rates = [response.timings.decode_tokens_per_s for response in responses if response.usage.completion_tokens > 1]
    return statistics.median(rates) if rates else 0.0


def _peak_bytes(pid: int) -> int:
    """The most that a process held so far; where the system does not tell, what it holds now."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resident_bytes(pid)
