"""n_threads="auto" against every fixed number, on this machine as it is and beside one busy process.

python -m benchmarks.threads [--rounds N] [--tokens N] [--model PATH]
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import edgeai
from benchmarks.common import TEXT, model_path, one_busy_process, print_machine
from edgeai.machine import usable_cores


def decode_rates(sessions: dict[Any, edgeai.Session], rounds: int, n_tokens: int) -> dict[Any, float]:
    """Median decode rate of each session, taking turns. tokens/s"""
    rates: dict[Any, list[float]] = {name: [] for name in sessions}
    for round_ in range(rounds + 1):
        for name, session in sessions.items():
            time.sleep(0.2)
            response = session.complete(TEXT, temperature=0, max_tokens=n_tokens)
            rate = response.timings.decode_tokens_per_s
            if round_:
                rates[name].append(rate)
    return {name: statistics.median(values) for name, values in rates.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=120)
    parser.add_argument("--model", type=Path, default=None)
    arguments = parser.parse_args()
    path = arguments.model or model_path()
    numbers: list[Any] = [*range(1, usable_cores() + 1), "auto"]
    sessions = {number: edgeai.Session(path, n_ctx=1024, n_threads=number) for number in numbers}
    print_machine()
    print(f"{path.name}, {arguments.tokens} tokens, {arguments.rounds} rounds, medians; decode, tokens/s")
    for case, load in (("as it is", nullcontext()), ("beside one busy process", one_busy_process())):
        with load:
            rates = decode_rates(sessions, arguments.rounds, arguments.tokens)
        best = max(rate for name, rate in rates.items() if name != "auto")
        shown = "   ".join(f"{name}: {rate:.1f}" for name, rate in rates.items())
        print(f"  {case:<24} {shown}   auto / best fixed: {rates['auto'] / best:.3f}")


if __name__ == "__main__":
    main()
