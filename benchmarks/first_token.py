"""From the start of a process to the first token: `edgeai ask` against a bare loop's import, load and prefill.

Also the CPU time of `import edgeai`. The file cache is warm; the two take turns.

    python -m benchmarks.first_token [--rounds N] [--model PATH]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.common import model_path, print_machine, ratio_lines
from edgeai.machine import usable_cores

QUESTION = "Name three uses of a paper clip."
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"  # the default model's template adds it
PROMPT = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
BARE = """
import sys
from pathlib import Path
from benchmarks.bare import Bare
loop = Bare(Path(sys.argv[1]), n_ctx=4096, n_batch=512, n_ubatch=128, n_threads=int(sys.argv[2]))
loop.prefill(loop.tokenize(sys.argv[3], parse_special=True))
for piece in loop.decode(8):
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
"""
IMPORT = "import time; before = time.process_time(); import edgeai; print((time.process_time() - before) * 1000)"


def first_byte_ms(command: list[str]) -> float:
    """Wall time from the start of a command to its first byte of output."""
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 1), "no output"
        elapsed = time.perf_counter() - started
        process.stdout.read()
    assert process.returncode == 0
    return elapsed * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--model", type=Path, default=None)
    arguments = parser.parse_args()
    path = str(arguments.model or model_path())
    edgeai_command = str(Path(sys.executable).with_name("edgeai"))
    commands = {
        "edgeai ask": [edgeai_command, "ask", "--model", path, "--max-tokens", "8", "--temperature", "0", QUESTION],
        "bare loop": [sys.executable, "-c", BARE, path, str(usable_cores()), PROMPT],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for round_ in range(arguments.rounds + 1):
        for name, command in commands.items():
            measured = first_byte_ms(command)
            if round_:
                times[name].append(measured)
    print_machine()
    print("\n".join(ratio_lines("process start to first token, ms", times, "edgeai ask", higher_is_better=False)))
    imports = [float(subprocess.check_output([sys.executable, "-c", IMPORT])) for _ in range(arguments.rounds)]
    print(f"import edgeai, ms of CPU\n  {'median':<34} {statistics.median(imports):>10.1f}")


if __name__ == "__main__":
    main()
