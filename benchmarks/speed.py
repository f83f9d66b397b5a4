"""Prefill and decode against a bare loop on llama.cpp's C API, and against llama-cpp-python's `Llama` class.

All three have the same file, threads, batch sizes and prompt, each in a process of its own (OpenMP's teams of threads
disturb each other inside one), and take turns, so that what disturbs the machine disturbs them alike. Greedy; 128
tokens. The bare loop stands there twice: with the attention that a Session takes on a CPU (not fused, as `Llama` has
it too), and with llama.cpp's own choice (fused).

    python -m benchmarks.speed [--threads N] [--rounds N] [--model PATH]
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import edgeai
from benchmarks.bare import Bare
from benchmarks.common import TEXT, model_path, print_machine, ratio_lines

N_PROMPT = 512
N_DECODE = 128
N_CTX = 2048
N_BATCH = 512
N_UBATCH = 128

Rates = tuple[float, float]  # prefill, decode: tokens a second
Run = Callable[[], Rates]


def ours(path: Path, n_threads: int, prompt: str) -> Run:
    session = edgeai.Session(path, n_ctx=N_CTX, n_batch=N_BATCH, n_ubatch=N_UBATCH, n_threads=n_threads)

    def run() -> Rates:
        session.complete("0", max_tokens=1).wait()  # empties the cache
        response = session.complete(prompt, temperature=0, max_tokens=N_DECODE)
        assert response.usage.cached_tokens == 0
        assert response.usage.completion_tokens == N_DECODE, response.usage
        return response.timings.prefill_tokens_per_s, response.timings.decode_tokens_per_s

    return run


def bare(path: Path, n_threads: int, prompt: str, flash_attn: bool | None = False) -> Run:
    loop = Bare(path, n_ctx=N_CTX, n_batch=N_BATCH, n_ubatch=N_UBATCH, n_threads=n_threads, flash_attn=flash_attn)
    tokens = loop.tokenize(prompt)

    def run() -> Rates:
        loop.clear()
        started = time.perf_counter()
        loop.prefill(tokens)
        prefilled = time.perf_counter()
        times = [time.perf_counter() for _ in loop.decode(N_DECODE)]
        return len(tokens) / (prefilled - started), (len(times) - 1) / (times[-1] - times[0])

    return run


def high_level(path: Path, n_threads: int, prompt: str) -> Run:
    from llama_cpp import Llama

    options: dict[str, Any] = {"n_ctx": N_CTX, "n_batch": N_BATCH, "n_ubatch": N_UBATCH, "verbose": False}
    llama = Llama(str(path), n_threads=n_threads, n_threads_batch=n_threads, **options)
    tokens = llama.tokenize(prompt.encode())

    def run() -> Rates:
        llama.reset()
        started = time.perf_counter()
        answer = llama.create_completion(tokens, temperature=0, max_tokens=N_DECODE, stream=True)
        times = [time.perf_counter() for _ in answer]
        return len(tokens) / (times[0] - started), (N_DECODE - 1) / (times[-1] - times[0])

    return run


CONTENDERS: dict[str, Callable[[Path, int, str], Run]] = {
    "edgeai.Session": ours,
    "C API, bare loop": bare,
    "C API, llama.cpp's own attention": functools.partial(bare, flash_attn=None),
    "llama_cpp.Llama": high_level,
}


def serve(pipe: Connection, name: str, path: Path, n_threads: int, prompt: str) -> None:
    """In a process of its own: a run for every word that comes."""
    run = CONTENDERS[name](path, n_threads, prompt)
    pipe.send(None)
    while pipe.recv():
        pipe.send(run())


def start(name: str, path: Path, n_threads: int, prompt: str) -> Run:
    """A contender in its process."""
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    context.Process(target=serve, args=(there, name, path, n_threads, prompt), daemon=True).start()
    here.recv()

    def run() -> Rates:
        here.send(True)
        rates: Rates = here.recv()
        return rates

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
        prompt = TEXT * (N_PROMPT // session.count_tokens(TEXT))
    contenders = {name: start(name, path, n_threads, prompt) for name in CONTENDERS}
    rates: dict[str, list[Rates]] = {name: [] for name in contenders}
    for round_ in range(arguments.rounds + 1):
        for name, run in contenders.items():
            time.sleep(0.3)  # the last one's threads stop spinning
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
