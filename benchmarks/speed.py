"""Prefill and decode against a bare loop on llama.cpp's C API, and against llama-cpp-python's `Llama` class.

All three have the same file, threads, batch sizes and prompt in one process, and take turns, so that what disturbs the
machine disturbs them alike. Greedy; the same 128 tokens.

    python -m benchmarks.speed [--threads N] [--rounds N] [--model PATH]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edgeai
from benchmarks.bare import Bare
from benchmarks.common import TEXT, model_path, print_machine, ratio_lines

N_PROMPT = 512
N_DECODE = 128
N_CTX = 2048
N_BATCH = 512

Rates = tuple[float, float]  # prefill, decode: tokens a second
Contender = Callable[[], Rates]


def ours(path: Path, n_threads: int) -> Contender:
    session = edgeai.Session(path, n_ctx=N_CTX, n_batch=N_BATCH, n_ubatch=N_BATCH, n_threads=n_threads)
    prompt = prompt_text(session)

    def run() -> Rates:
        session._backend._cache.clear()  # type: ignore[attr-defined]
        response = session.complete(prompt, temperature=0, max_tokens=N_DECODE)
        assert response.usage.cached_tokens == 0
        assert response.usage.completion_tokens == N_DECODE, response.usage
        return response.timings.prefill_tokens_per_s, response.timings.decode_tokens_per_s

    return run


def prompt_text(session: edgeai.Session) -> str:
    """About N_PROMPT tokens of text."""
    return TEXT * (N_PROMPT // session.count_tokens(TEXT))


def bare(path: Path, n_threads: int, prompt: str) -> Contender:
    loop = Bare(path, n_ctx=N_CTX, n_batch=N_BATCH, n_ubatch=N_BATCH, n_threads=n_threads)
    tokens = loop.tokenize(prompt)

    def run() -> Rates:
        loop.clear()
        started = time.perf_counter()
        loop.prefill(tokens)
        prefilled = time.perf_counter()
        times = [time.perf_counter() for _ in loop.decode(N_DECODE)]
        return len(tokens) / (prefilled - started), (len(times) - 1) / (times[-1] - times[0])

    return run


def high_level(path: Path, n_threads: int, prompt: str) -> Contender:
    from llama_cpp import Llama

    options: dict[str, Any] = {"n_ctx": N_CTX, "n_batch": N_BATCH, "n_ubatch": N_BATCH, "verbose": False}
    llama = Llama(str(path), n_threads=n_threads, n_threads_batch=n_threads, **options)
    tokens = llama.tokenize(prompt.encode())

    def run() -> Rates:
        llama.reset()
        started = time.perf_counter()
        times = [
            time.perf_counter()
            for _ in llama.create_completion(tokens, temperature=0, max_tokens=N_DECODE, stream=True)
        ]
        return len(tokens) / (times[0] - started), (N_DECODE - 1) / (times[-1] - times[0])

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=0, help="default: the cores this process may use")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--model", type=Path, default=None)
    arguments = parser.parse_args()
    path = arguments.model or model_path()
    from edgeai.machine import usable_cores

    n_threads = arguments.threads or usable_cores()
    with edgeai.Session(path, n_ctx=512) as session:
        prompt = prompt_text(session)
    contenders = {
        "edgeai.Session": ours(path, n_threads),
        "C API, bare loop": bare(path, n_threads, prompt),
        "llama_cpp.Llama": high_level(path, n_threads, prompt),
    }
    rates: dict[str, list[Rates]] = {name: [] for name in contenders}
    for round_ in range(arguments.rounds + 1):
        for name, run in contenders.items():
            time.sleep(0.2)  # the last one's threads stop spinning
            measured = run()
            if round_:  # the first one warms up
                rates[name].append(measured)
    print_machine()
    print(f"{path.name}, {n_threads} threads, prompt {N_PROMPT} tokens, {arguments.rounds} rounds, medians")
    for index, what in enumerate(("prefill, tokens/s", "decode, tokens/s")):
        figures = {name: [pair[index] for pair in pairs] for name, pairs in rates.items()}
        print("\n".join(ratio_lines(what, figures, "edgeai.Session", higher_is_better=True)))


if __name__ == "__main__":
    main()
