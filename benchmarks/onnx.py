"""The ONNX route, part by part, against ONNX Runtime GenAI's builder and runtime, and against llama.cpp.

build   a checkpoint to an artifact: time, memory and size of `quantize --format onnx` and of GenAI's model builder
run     prefill and decode: a Session and GenAI on the same folder, llama.cpp on a GGUF of equal bits
memory  the most memory that a running chat takes

The peer needs a Python of its own, as its builder wants torch and transformers:
    python3 -m venv peer
    peer/bin/pip install torch --index-url https://download.pytorch.org/whl/cpu
    peer/bin/pip install onnxruntime-genai onnx_ir transformers tqdm
Without --peer-python only ours and llama.cpp are measured. Ratios over 1 mean that ours is better, except those of
`build`, which are ours / theirs. A short try: --rounds 1 --bits 4 --prompt 64 --new 8.

    python -m benchmarks.onnx [--only PART …] [--peer-python PYTHON] [--bits 4 8] [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import onnx_build, onnx_memory, onnx_run
from benchmarks.common import main_json, print_machine
from benchmarks.onnx_artifacts import GGUF_FTYPES, Peer, made
from benchmarks.quantize_models import SMOLLM2, Source, given, prepared

N_THREADS = 2
N_CTX, N_PROMPT, N_DECODE, N_CHAT = 2048, 512, 128, 64


class Part(NamedTuple):
    """What a part has found, as lines and as plain data."""

    lines: list[str]
    data: Any


def build(options: argparse.Namespace) -> Part:
    source, peer = _source(options), _peer(options)
    found = onnx_build.measure(source, options.work, options.bits, options.rounds, options.threads, peer)
    return Part(onnx_build.lines(source, found), onnx_build.as_dict(found))


def run(options: argparse.Namespace) -> Part:
    part = Part([], {})
    for bits, commands, prompt in _contenders(options):
        found = onnx_run.measure(commands, prompt, options.new or N_DECODE, options.rounds)
        part.lines.extend(onnx_run.lines(bits, found))
        part.data[str(bits)] = onnx_run.as_dict(found)
    return part


def memory(options: argparse.Namespace) -> Part:
    part = Part([], {})
    for bits, commands, prompt in _contenders(options):
        found = onnx_memory.measure(commands, prompt, options.new or N_CHAT, options.rounds)
        part.lines.extend(onnx_memory.lines(bits, found))
        part.data[str(bits)] = {name: [peak.processes for peak in peaks] for name, peaks in found.items()}
    return part


PARTS: dict[str, Callable[[argparse.Namespace], Part]] = {"build": build, "run": run, "memory": memory}


def _contenders(options: argparse.Namespace) -> Any:
    """Bits, how each contender is started, and the prompt."""
    source, peer = _source(options), _peer(options)
    for bits in options.bits:
        artifacts = made(source.folder, options.work, bits, options.threads, peer)
        commands = onnx_run.commands(artifacts, bits, (options.threads, options.n_ctx), peer)
        yield bits, commands, onnx_run.prompt_of(options.prompt, artifacts.gguf)


def _source(options: argparse.Namespace) -> Source:
    return given(options.checkpoint, options.work) if options.checkpoint else prepared(SMOLLM2, options.work)


def _peer(options: argparse.Namespace) -> Peer | None:
    return Peer(options.peer_python) if options.peer_python else None


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage="%(prog)s [options]"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--peer-python", type=Path, help="a Python with ONNX Runtime GenAI, torch and transformers")
    parser.add_argument("--bits", type=int, nargs="+", choices=tuple(GGUF_FTYPES), default=list(GGUF_FTYPES))
    parser.add_argument("--checkpoint", type=Path, help="a Hugging Face folder instead of SmolLM2-135M's")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=N_THREADS, help="of every contender; default: %(default)s")
    parser.add_argument("--n-ctx", type=int, default=N_CTX, help="tokens there is room for; default: %(default)s")
    parser.add_argument("--prompt", type=int, default=N_PROMPT, help="tokens; default: %(default)s")
    parser.add_argument("--new", type=int, help=f"tokens; default: {N_DECODE}, and {N_CHAT} where memory is measured")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "edgeai-onnx-bench")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.prompt < 1 or (options.new or 2) < 2:
        parser.error("expected --rounds 1 or more, --prompt 1 or more, --new 2 or more")
    options.work.mkdir(parents=True, exist_ok=True)
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    peer = _peer(options)
    versions = peer.versions() if peer else None
    if not options.json:
        print_machine()
        print(versions or "ONNX Runtime GenAI is not measured: give --peer-python to compare (--help says how)")
    found: dict[str, Any] = {"peer": versions}
    for name in options.only:
        part = PARTS[name](options)
        found[name] = part.data
        if not options.json:
            print(f"\n── {name}", *part.lines, sep="\n", flush=True)
    if options.json:
        main_json(found)


if __name__ == "__main__":
    main()
