"""Opening a document again, in a new process, to the first token of the answer: against evaluating it, and a peer.

    python -m benchmarks.documents [--tokens 1000 2000 4000 6000 7600] [--rounds N] [--peer-tokens 6000] [--json]

Every time is from the start of a process to its first byte of output. "afresh" is `edgeai ask --doc` on a machine that
has not seen the document, "again" the same with another question; the peer is llama-cpp-python's `Llama` with its
`LlamaDiskCache`, which is told the same text. Searching has `python -m benchmarks.documents_search`, and the quality of
what is found `python -m benchmarks.retrieval`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import main_json, model_path, print_machine

QUESTIONS = ("Which station comes first?", "At what hour does the keeper light the lamp?")
N_CTX = 8192
_LINE_TOKENS = 35  # of a line of the document, by the default model's tokenizer
PEER = """
import sys
from pathlib import Path
from llama_cpp import Llama, LlamaDiskCache
model, folder, document, question = sys.argv[1:5]
llama = Llama(model, n_ctx=int(sys.argv[5]), verbose=False)
llama.set_cache(LlamaDiskCache(folder))
prompt = [
    {"role": "system", "content": "Answer from the document.\\n\\n" + Path(document).read_text()},
    {"role": "user", "content": question},
]
for chunk in llama.create_chat_completion(prompt, max_tokens=8, temperature=0, stream=True):
    text = chunk["choices"][0]["delta"].get("content")
    if text:
        sys.stdout.write(text)
        sys.stdout.flush()
"""


def document(n_tokens: int, path: Path) -> Path:
    """A text of about so many tokens, none of its paragraphs like another."""
    places = ("Aldbrook", "Nant", "Corsin", "Velia", "Morrow", "Tarn", "Osk", "Hedgeley")
    lines = list[str]()
    for n in range(n_tokens // _LINE_TOKENS):
        place = places[n * 7 % len(places)]
        lines.append(
            f"Station {n} lies {n * 13 % 97} miles from {place}; its keeper, number {n * 31 % 1009}, lights the lamp "
            f"at {n % 12 + 1} o'clock."
        )
    path.write_text("\n\n".join(lines), encoding="utf-8")
    return path


def first_byte_s(command: Sequence[str], home: Path) -> tuple[float, dict[str, Any]]:
    """Wall time from the start of a command to its first byte of output; and what it says of itself on stderr."""
    started = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "EDGEAI_HOME": str(home)},
    ) as process:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 1), "no output"
        elapsed = time.perf_counter() - started
        _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    last = errors.decode().strip().splitlines()[-1:] or ["{}"]
    return elapsed, json.loads(last[0]) if last[0].startswith("{") else {}


def ours(model: Path, path: Path, question: str) -> list[str]:
    """The command that asks about a document."""
    edgeai = str(Path(sys.executable).with_name("edgeai"))
    options = ["--max-tokens", "8", "--temperature", "0", "--stats", "--n-ctx", str(N_CTX)]
    return [edgeai, "ask", "--model", str(model), "--doc", str(path), *options, question]


def measure(model: Path, n_tokens: int, n_rounds: int, *, with_peer: bool) -> dict[str, Any]:
    """One length of document."""
    folder = Path(tempfile.mkdtemp(prefix="edgeai-documents-"))
    try:
        path = document(n_tokens, folder / "stations.txt")
        afresh, stats = first_byte_s(ours(model, path, QUESTIONS[0]), folder / "ours")
        again, cached = [], 0
        for _ in range(n_rounds):
            seconds, later = first_byte_s(ours(model, path, QUESTIONS[1]), folder / "ours")
            again.append(seconds)
            cached = later["cached_tokens"]
            assert cached, "it was not found evaluated"
        result: dict[str, Any] = {
            "prompt_tokens": stats["prompt_tokens"],
            "cached_tokens": cached,
            "afresh_s": afresh,
            "again_s": statistics.median(again),
            "kept_bytes": _size(folder / "ours"),
        }
        if with_peer:
            result["peer"] = peer(model, path, folder / "peer", n_rounds)
        return result
    finally:
        shutil.rmtree(folder)


def peer(model: Path, path: Path, folder: Path, n_rounds: int) -> dict[str, Any]:
    """The same act by llama-cpp-python's high-level class; its cache forgets what it has given, and saves it anew."""
    command = [sys.executable, "-c", PEER, str(model), str(folder), str(path)]
    afresh, _ = first_byte_s([*command, QUESTIONS[0], str(N_CTX)], folder)
    again = [first_byte_s([*command, QUESTIONS[1], str(N_CTX)], folder)[0] for _ in range(n_rounds)]
    return {"afresh_s": afresh, "again_s": statistics.median(again), "kept_bytes": _size(folder)}


def table(results: Sequence[dict[str, Any]]) -> list[str]:
    """One line a length, and one for the peer."""
    lines = ["prompt tokens  afresh s  again s  afresh / again  kept MB"]
    for result in results:
        lines.append(_line(f"{result['prompt_tokens']:,}", result))
        if "peer" in result:
            lines.append(_line("Llama + disk", result["peer"]))
    return lines


def _line(name: str, figures: dict[str, Any]) -> str:
    ratio = figures["afresh_s"] / figures["again_s"]
    return (
        f"{name:>13} {figures['afresh_s']:>9.2f} {figures['again_s']:>8.2f} {ratio:>15.1f} "
        f"{figures['kept_bytes'] / 1e6:>8.0f}"
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1000, 2000, 4000, 6000, 7600])
    parser.add_argument("--peer-tokens", type=int, nargs="*", default=[6000], help="lengths that the peer is asked too")
    parser.add_argument("--rounds", type=int, default=5, help="openings again, of which the median counts")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    results = [measure(model_path(), n, options.rounds, with_peer=n in options.peer_tokens) for n in options.tokens]
    if options.json:
        main_json({"documents": results})
        return
    print_machine()
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
