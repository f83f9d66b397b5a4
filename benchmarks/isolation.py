"""What the engine's own process costs: isolation="process" against "none", side by side.

Decoding and the time to the first token in a session that is open (each contender in a process of its own, in turn),
`edgeai ask` from start to end, and the peak memory of all its processes together (the sum of their peak RSS, which
counts shared libraries twice).

    python -m benchmarks.isolation [--rounds N] [--model PATH]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import edgeai
from benchmarks.common import TEXT, model_path, print_machine
from edgeai.options import Isolation

N_DECODE = 128
ISOLATIONS: tuple[Isolation, ...] = ("process", "none")
EDGEAI = str(Path(sys.executable).with_name("edgeai"))

Figures = tuple[float, float]  # decode tokens/s, ms to the first token


def serve(pipe: Connection, isolation: Isolation, path: Path) -> None:
    """In a process of its own: a run for every word that comes, the peak memory at the end."""
    with edgeai.Session(path, n_ctx=2048, isolation=isolation) as session:
        pipe.send(None)
        number = 0
        while pipe.recv():
            number += 1
            started = time.perf_counter()
            response = session.complete(f"{number} {TEXT}", temperature=0, max_tokens=N_DECODE)
            next(iter(response))
            first_ms = (time.perf_counter() - started) * 1000
            assert response.usage.completion_tokens == N_DECODE, response.usage
            pipe.send((response.timings.decode_tokens_per_s, first_ms))
        pipe.send(sum(peak_rss_mib(pid) for pid in {os.getpid(), session.engine_pid}))


def peak_rss_mib(pid: int) -> float:
    """The most memory that a process has had (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def start(isolation: Isolation, path: Path) -> tuple[Callable[[], Figures], Callable[[], float]]:
    """A contender: run it once more; end it and get its peak memory, MiB."""
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    context.Process(target=serve, args=(there, isolation, path)).start()
    here.recv()

    def run() -> Figures:
        here.send(True)
        figures: Figures = here.recv()
        return figures

    def end() -> float:
        here.send(False)
        peak: float = here.recv()
        return peak

    return run, end


def ask_ms(isolation: Isolation, path: Path) -> float:
    """`edgeai ask`, from start to end."""
    started = time.perf_counter()
    subprocess.run(
        [EDGEAI, "ask", "-m", str(path), "--isolation", isolation, "--max-tokens", "1", "Hello"],
        check=True,
        capture_output=True,
    )
    return (time.perf_counter() - started) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--model", type=Path, default=None)
    arguments = parser.parse_args()
    path = arguments.model or model_path()
    contenders = {isolation: start(isolation, path) for isolation in ISOLATIONS}
    figures: dict[Isolation, list[Figures]] = {isolation: [] for isolation in ISOLATIONS}
    asks: dict[Isolation, list[float]] = {isolation: [] for isolation in ISOLATIONS}
    for round_ in range(arguments.rounds + 1):
        for isolation in ISOLATIONS if round_ % 2 else ISOLATIONS[::-1]:
            time.sleep(0.3)  # the last one's threads stop spinning
            measured = contenders[isolation][0]()
            if round_:  # the first one warms up
                figures[isolation].append(measured)
    peaks = {isolation: end() for isolation, (_, end) in contenders.items()}
    for round_ in range(arguments.rounds):
        for isolation in ISOLATIONS if round_ % 2 else ISOLATIONS[::-1]:
            asks[isolation].append(ask_ms(isolation, path))
    report(path, figures, asks, peaks)


def report(
    path: Path,
    figures: dict[Isolation, list[Figures]],
    asks: dict[Isolation, list[float]],
    peaks: dict[Isolation, float],
) -> None:
    """Medians over the rounds, and medians of what differs within each."""
    print_machine()
    print(f"{path.name}, {len(asks['none'])} rounds, medians")
    inside, apart = figures["none"], figures["process"]
    ratio = statistics.median(a[0] / b[0] for a, b in zip(apart, inside, strict=True))
    first_ms = statistics.median(a[1] - b[1] for a, b in zip(apart, inside, strict=True))
    ask_more_ms = statistics.median(a - b for a, b in zip(asks["process"], asks["none"], strict=True))
    for isolation in ISOLATIONS:
        decode, first = (statistics.median(pair[index] for pair in figures[isolation]) for index in (0, 1))
        whole = statistics.median(asks[isolation])
        print(
            f"  {isolation:<8} decode {decode:7.1f} tokens/s   first token {first:7.1f} ms   "
            f"edgeai ask {whole:7.1f} ms   peak memory {peaks[isolation]:6.1f} MiB"
        )
    print(
        f"  process / none: decode {ratio:.3f}   first token {first_ms:+.1f} ms   edgeai ask {ask_more_ms:+.1f} ms   "
        f"peak memory {peaks['process'] - peaks['none']:+.1f} MiB"
    )


if __name__ == "__main__":
    main()
