"""A Hugging Face folder to Q4_K_M and to Q8_0: `quantize` in one pass, against llama.cpp's two official steps.

Whole processes in turns, from start to end. The official steps are `convert_hf_to_gguf.py --outtype auto` (which keeps
a bfloat16 checkpoint's type: the intermediate file that costs them least) and llama.cpp's quantizer. A round converts
once, for both mixes. Both quantize with the same number of threads; the artifacts are compared byte by byte.
`quantize` waits until the disk has its artifact; the official steps do not. Before every run the checkpoint is taken
out of the system's cache, unless --warm.

    python -m benchmarks.quantize [smollm2 1b 3b] [--checkpoint FOLDER] [--ftype NAME] [--rounds N] [--json]
        [--converter llama.cpp/convert_hf_to_gguf.py --peer-python PYTHON-WITH-TORCH [--llama-quantize PROGRAM]]

The 1B and 3B have Llama 3.2's shapes and random weights, and are made in --work. Of the 3B one round is run, for its
memory. Ratios are ours / theirs: less is better. The limit is the disk's own time for the bytes read and written (the
best of three), and that of ggml's kernels alone, out of memory.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import main_json, print_machine
from benchmarks.quantize_limit import Limit, forget, kernel_seconds, read_seconds, write_seconds
from benchmarks.quantize_models import MEMORY_ONLY, NAMES, Source, given, prepared
from benchmarks.quantize_process import measured
from benchmarks.quantize_report import Figures, as_dict, lines
from edgeai.machine import usable_cores

FTYPES = ("Q4_K_M", "Q8_0")
_DISK_TRIES = 3
QUANTIZE = str(Path(sys.executable).with_name("quantize"))


@dataclass(frozen=True, slots=True)
class Peer:
    """The official two steps.

    Attributes:
        converter: convert_hf_to_gguf.py.
        python: with what it needs.
        quantizer: llama.cpp's own program; through llama-cpp-python where None.
    """

    converter: Path
    python: Path
    quantizer: Path | None

    def convert(self, folder: Path, out: Path) -> list[str]:
        """The first step."""
        return [str(self.python), str(self.converter), str(folder), "--outfile", str(out), "--outtype", "auto"]

    def quantize(self, source: Path, out: Path, ftype: str, n_threads: int) -> list[str]:
        """The second step."""
        program = [str(self.quantizer)] if self.quantizer else [sys.executable, "-m", "benchmarks.quantize_official"]
        return [*program, str(source), str(out), ftype, str(n_threads)]


@dataclass(slots=True)
class Bench:
    """One checkpoint under measurement."""

    source: Source
    work: Path
    n_threads: int
    peer: Peer | None
    is_cold: bool
    figures: dict[str, Figures]

    def round(self, number: int) -> None:
        """Both sides once; every other round the peer begins."""
        with tempfile.TemporaryDirectory(prefix="round-", dir=self.work) as name:
            folder = Path(name)
            sides: list[Callable[[Path], None]] = [self._ours, self._theirs] if self.peer else [self._ours]
            for side in sides if number % 2 else sides[::-1]:
                side(folder)
            for ftype, figures in self.figures.items():
                ours, theirs = folder / f"ours-{ftype}.gguf", folder / f"theirs-{ftype}.gguf"
                figures.artifact_bytes = ours.stat().st_size
                figures.is_same = filecmp.cmp(ours, theirs, shallow=False) if self.peer else None

    def limits(self) -> None:
        """The least that each mix can take."""
        for ftype, figures in self.figures.items():
            reads, writes = [], []
            for _ in range(_DISK_TRIES):
                self._settle()
                reads.append(read_seconds(self.source.weights))
                writes.append(write_seconds(self.work, figures.artifact_bytes))
            kernels_s = kernel_seconds(self.source.folder, ftype, self.n_threads)
            figures.limit = Limit(min(reads), min(writes), kernels_s)

    def _settle(self) -> None:
        os.sync()  # what the last one wrote does not disturb the next
        if self.is_cold:
            self.is_cold = forget(self.source.weights)

    def _ours(self, folder: Path) -> None:
        for ftype, figures in self.figures.items():
            self._settle()
            out, threads = str(folder / f"ours-{ftype}.gguf"), str(self.n_threads)
            command = [QUANTIZE, str(self.source.folder), "--ftype", ftype, "--threads", threads, "--out", out]
            figures.ours.append(measured(command))

    def _theirs(self, folder: Path) -> None:
        assert self.peer is not None
        between = folder / "between.gguf"
        self._settle()
        converted = measured(self.peer.convert(self.source.folder, between))
        for ftype, figures in self.figures.items():
            os.sync()
            out = folder / f"theirs-{ftype}.gguf"
            figures.first.append(converted)
            figures.second.append(measured(self.peer.quantize(between, out, ftype, self.n_threads)))
        between.unlink()


def main() -> None:
    arguments = _arguments()
    n_threads, peer = arguments.threads or usable_cores(), _peer(arguments)
    load_before = os.getloadavg()[0]
    if not arguments.json:
        print_machine()
        print(f"{n_threads} threads, load {load_before:.1f} before, {'warm' if arguments.warm else 'cold'} checkpoints")
        if peer is None:
            print("the official two steps are not measured: give --converter and --peer-python to compare")
    results = []
    for name in [None] if arguments.checkpoint else arguments.models or NAMES:
        source = given(arguments.checkpoint, arguments.work) if name is None else prepared(name, arguments.work)
        figures = {ftype: Figures() for ftype in arguments.ftypes or FTYPES}
        bench = Bench(source, arguments.work, n_threads, peer, not arguments.warm, figures)
        for number in range(1, 2 if name == MEMORY_ONLY else arguments.rounds + 1):
            bench.round(number)
        if name != MEMORY_ONLY:
            bench.limits()
        results.append(as_dict(source, figures))
        if not arguments.json:
            print("\n".join(lines(source, figures)), flush=True)
    loads = {"load_before": load_before, "load_after": os.getloadavg()[0]}
    if arguments.json:
        main_json({"n_threads": n_threads, "cold": not arguments.warm, **loads, "checkpoints": results})
    else:
        print(f"load {loads['load_after']:.1f} after")


def _arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quantize", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(NAMES)}; all by default")
    parser.add_argument("--checkpoint", type=Path, help="a Hugging Face folder instead")
    parser.add_argument("--ftype", dest="ftypes", action="append", choices=FTYPES, help="only this; may be repeated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="default: the cores this process may use")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "edgeai-quantize-bench")
    parser.add_argument("--converter", type=Path, help="convert_hf_to_gguf.py, or the llama.cpp that it is in")
    parser.add_argument("--peer-python", type=Path, help="a Python with torch and transformers, for the converter")
    parser.add_argument("--llama-quantize", type=Path, help="llama.cpp's program; else llama-cpp-python is called")
    parser.add_argument("--warm", action="store_true", help="leave the checkpoint in the system's cache")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(words)
    if unknown := [name for name in arguments.models if name not in NAMES]:
        parser.error(f"{unknown[0]!r} is no model here, expected {', '.join(NAMES)}; or give --checkpoint")
    if arguments.rounds < 1:
        parser.error(f"--rounds {arguments.rounds}: expected 1 or more")
    return arguments


def _peer(arguments: argparse.Namespace) -> Peer | None:
    converter, python, quantizer = arguments.converter, arguments.peer_python, arguments.llama_quantize
    if converter is None or python is None:
        return None
    if converter.is_dir():
        converter /= "convert_hf_to_gguf.py"
    for path in filter(None, (converter, python, quantizer)):
        if not path.is_file():
            raise SystemExit(f"{path}: no such file: check --converter, --peer-python and --llama-quantize")
    return Peer(converter, python, quantizer)


if __name__ == "__main__":
    main()
