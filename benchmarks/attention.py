"""Fused attention or not, on this machine's CPU: prefill, decode and peak memory at several lengths of the context.

python -m benchmarks.attention [--model PATH]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from pathlib import Path

import edgeai
from benchmarks.common import TEXT, model_path, print_machine

REPEATS = (14, 50, 90)


def measure(path: Path, flash_attn: bool, n_ubatch: int) -> None:
    """In a process of its own, so that the peak is its own; prints a line."""
    session = edgeai.Session(path, n_ctx=4096, n_batch=512, flash_attn=flash_attn, n_ubatch=n_ubatch)
    figures = []
    for repeats in REPEATS:
        session.complete("0", max_tokens=1).wait()  # empties the cache
        response = session.complete(TEXT * repeats, temperature=0, max_tokens=32)
        timings = response.timings
        rates = f"{timings.prefill_tokens_per_s:4.0f} {timings.decode_tokens_per_s:5.1f}"
        figures.append(f"{response.usage.prompt_tokens:>5,}: {rates}")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    name = "fused" if flash_attn else "not fused"
    print(f"  {name:<10} n_ubatch {n_ubatch:>3}   {'   '.join(figures)}   peak {peak_mb} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, default=None)
    path = parser.parse_args().model or model_path()
    print_machine()
    print(f"{path.name}; tokens of the prompt: prefill, decode in tokens/s")
    context = multiprocessing.get_context("spawn")
    for flash_attn, n_ubatch in ((True, 512), (True, 128), (False, 512), (False, 128)):
        process = context.Process(target=measure, args=(path, flash_attn, n_ubatch))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
