"""Searching a library: indexing at several sizes, word search, hybrid search, memory, and an update without changes.

python -m benchmarks.documents_search [--sizes 0.1 1 10] [--queries 300] [--json]

Sizes are millions of tokens of four characters; below one million, indexing is the median of some rounds, and what is
imported once is imported before. The text is what this machine holds (manual pages, documentation of
packages, Python sources); where that is too little, sentences of it are shuffled into more.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import multiprocessing
import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.common import main_json, print_machine
from edgeai.documents.library import Library
from edgeai.documents.types import Block, Document

CHARS_PER_TOKEN = 4
DIMENSION = 384
_FILE_CHARS = 40_000
_ROOTS = ("/usr/share/man", "/usr/share/doc", sys.prefix, "/usr/lib/python3")
_STOP_WORDS = ("the", "of", "how")
_N_ROUNDS = 5


class RandomEmbedder:
    """Vectors that mean nothing, as only the time is measured; a text always gives the same one."""

    name = "random"
    dimension = DIMENSION

    def embed_query(self, texts: Sequence[str]) -> Any:
        """[n, dimension]."""
        return self.embed_passages(texts)

    def embed_passages(self, texts: Sequence[str]) -> Any:
        """[n, dimension]."""
        import numpy as np

        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") for text in texts]
        return np.stack([np.random.default_rng(seed).standard_normal(DIMENSION, np.float32) for seed in seeds])


def real_texts() -> Iterator[str]:
    """Texts of this machine's own files, sorted by path."""
    for root in _ROOTS:
        for path in sorted(Path(root).rglob("*")):
            if path.suffix in (".gz", ".py", ".txt", ".md", ".rst", ".html") and path.is_file():
                try:
                    data = path.read_bytes()
                    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
                except (OSError, EOFError, ValueError):
                    continue
                if len(text) > 200 and "\0" not in text:
                    yield text[:_FILE_CHARS]


@cache
def _shuffled() -> list[str]:
    """All real texts, mixed, so that a small corpus is of the same kinds as a large one."""
    texts = list(real_texts())
    random.Random(0).shuffle(texts)
    return texts


def corpus(n_chars: int) -> list[str]:
    """Texts of `n_chars` together: real ones first, shuffled sentences of them then."""
    texts, n = list[str](), 0
    for text in _shuffled():
        texts.append(text[: n_chars - n])
        n += len(texts[-1])
        if n >= n_chars:
            return texts
    rng = random.Random(1)
    sentences = [sentence for text in texts for sentence in re.split(r"(?<=[.;])\s+", text) if len(sentence) > 20]
    while n < n_chars:
        made = " ".join(rng.choices(sentences, k=150))[: min(_FILE_CHARS, n_chars - n)]
        texts.append(made)
        n += len(made)
    return texts


def written(texts: Sequence[str], folder: Path) -> list[Path]:
    """The corpus as files."""
    folder.mkdir(parents=True)
    paths = []
    for number, text in enumerate(texts):
        paths.append(folder / f"{number}.txt")
        paths[-1].write_text(text)
    return paths


def read(path: Path) -> Document:
    """Paragraphs, read as plainly as can be, so that indexing is what is measured."""
    data = path.read_bytes()
    blocks, line = [], 1
    for part in data.decode().split("\n\n"):
        blocks.append(Block(part, line=line))
        line += part.count("\n") + 2
    return Document(path, "text", path.name, hashlib.sha256(data).hexdigest(), tuple(blocks), n_bytes=len(data))


def queries(texts: Sequence[str], n: int) -> list[str]:
    """Five words of one place, each second one with stop words."""
    rng, result = random.Random(2), list[str]()
    while len(result) < n:
        text = rng.choice(texts)
        start = rng.randrange(max(1, len(text) - 900))
        found = re.findall(r"\w{4,}", text[start : start + 900])
        if len(found) >= 5:
            result.append(" ".join([*rng.sample(found, 5), *(_STOP_WORDS if len(result) % 2 else ())]))
    return result


def index(texts: Sequence[str], folder: Path) -> dict[str, float]:
    """Index texts; then update with nothing changed."""
    paths = written(texts, folder / "files")
    n_chars = sum(map(len, texts))
    n_bytes = sum(path.stat().st_size for path in paths)
    with Library.open(folder / "library") as library:
        index_s = _seconds(lambda: library.update(paths, read=read))
        update_s = _seconds(lambda: library.update(paths, read=read))
    with Library.open(folder / "library") as library:
        stats = library.stats()
    return {
        "tokens": n_chars / CHARS_PER_TOKEN,
        "passages": stats.n_passages,
        "index_s": index_s,
        "tokens_per_s": n_chars / CHARS_PER_TOKEN / index_s,
        "size_ratio": (stats.database_bytes + stats.index_bytes) / n_bytes,
        "index_ratio": stats.index_bytes / n_bytes,
        "update_share": update_s / index_s,
    }


def search(folder: str, asked: Sequence[str], with_vectors: bool, out: Any) -> None:
    """In a process of its own, so that the peak of memory is its own."""
    with Library.open(Path(folder)) as library:
        embedder = RandomEmbedder() if with_vectors else None
        opened_s = _seconds(lambda: library.search("warm up", embedder=embedder, n_new_vectors=0))
        times = [
            _seconds(lambda query=query: library.search(query, 20, embedder=embedder, n_new_vectors=0))
            for query in asked
        ]
    cuts = statistics.quantiles(times, n=20)
    out.put({"first_ms": opened_s * 1e3, "p50_ms": cuts[9] * 1e3, "p95_ms": cuts[18] * 1e3, "peak_mb": _peak_mb()})


def in_own_process(folder: Path, asked: Sequence[str], *, with_vectors: bool) -> dict[str, float]:
    """What `search` measures."""
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    process = context.Process(target=search, args=(str(folder), asked, with_vectors, out))
    process.start()
    result: dict[str, float] = out.get(timeout=600)
    process.join()
    return result


def measure(n_tokens: float, n_queries: int) -> dict[str, Any]:
    """All figures at one size."""
    texts = corpus(int(n_tokens * CHARS_PER_TOKEN))
    folder = Path(tempfile.mkdtemp(prefix="edgeai-search-"))
    try:
        rounds = [index(texts, folder / str(number)) for number in range(_N_ROUNDS if n_tokens < 1e6 else 1)]
        result: dict[str, Any] = {"indexing": sorted(rounds, key=lambda made: made["index_s"])[len(rounds) // 2]}
        library = folder / "0" / "library"
        asked = queries(texts, n_queries)
        result["words"] = in_own_process(library, asked, with_vectors=False)
        with Library.open(library) as opened:
            opened.embed_pending(RandomEmbedder(), n_batch=2048)
        result["hybrid"] = in_own_process(library, asked[:100], with_vectors=True)
        return result
    finally:
        shutil.rmtree(folder)


def table(results: dict[float, dict[str, Any]]) -> list[str]:
    """One line a size."""
    lines = ["Mtokens passages ktok/s size/text update |  words p50   p95 ms  peak MB | hybrid p50   p95 ms  peak MB"]
    for size, result in results.items():
        made, words, hybrid = result["indexing"], result["words"], result["hybrid"]
        lines.append(
            f"{size:>7g} {made['passages']:>8,} {made['tokens_per_s'] / 1e3:>6.0f} {made['size_ratio']:>9.2f} "
            f"{made['update_share']:>6.2%} | {words['p50_ms']:>10.2f} {words['p95_ms']:>8.2f} {words['peak_mb']:>8.0f}"
            f" | {hybrid['p50_ms']:>10.1f} {hybrid['p95_ms']:>8.1f} {hybrid['peak_mb']:>8.0f}"
        )
    return lines


def _seconds(action: Any) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _peak_mb() -> float:
    """getrusage's peak begins at the parent's memory, as it outlives exec; Linux's own figure does not."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0]) / 1e3
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.1, 1, 10], help="millions of tokens")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    measure(1e4, options.queries)  # imports what is needed
    results = {size: measure(size * 1e6, options.queries) for size in options.sizes}
    if options.json:
        main_json({str(size): result for size, result in results.items()})
        return
    print_machine()
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
