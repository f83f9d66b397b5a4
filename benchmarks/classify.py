"""Classifying many texts against asking one by one, against the machine's own rate, and how often it is right.

    python -m benchmarks.classify [--only speed memory quality] [--rounds N] [--threads N] [--cpu] [--json]

`speed`: instructions of 0 to 6,000 tokens and texts of 20. The peer is llama-cpp-python's `create_chat_completion` with
a grammar of the labels, on the same model with the same prompt and threads, one text after the other: once with nothing
kept, as where something else was asked in between, and once with the evaluated instructions in its cache, which it
keeps from one call to the next. The limit is a bare `llama_decode` of 128 to 512 tokens behind as many others. All take
turns. Our evaluation of the instructions, once for a run, is not counted. With --cpu seconds are CPU time of all
processes that take part: on a busy machine, with one thread, they tell what wall time does not.

`memory`: resident memory of both our processes over 100,000 texts, on a tiny model.

`quality`: benchmarks/data/classify.jsonl, without and with examples, without and with calibration, and which of both
"auto" takes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from llama_cpp import llama_cpp as llama

import edgeai
from benchmarks.bare import Bare
from benchmarks.common import TEXT, main_json, model_path, print_machine
from edgeai.classify.calibration import normalized
from edgeai.classify.classifier import Classifier
from edgeai.classify.types import Classification

LABELS = ("positive", "negative", "neutral")
DEPTHS = (0, 300, 1000, 2000, 4000, 6000)
BATCHES = (128, 256, 512)
N_TEXT = 20
N_TEXTS = 40
N_CTX = 8192
SET = Path(__file__).parent / "data" / "classify.jsonl"
_WORDS = TEXT.split()


def texts(session: edgeai.Session, n_texts: int, first: int = 0) -> Iterator[str]:
    """Texts of about N_TEXT tokens, no two alike."""
    for number in range(first, first + n_texts):
        words = [f"No {number}:", *(_WORDS[(number * 7 + place) % len(_WORDS)] for place in range(40))]
        n_words = 15
        while session.count_tokens(" ".join(words[:n_words])) > N_TEXT:
            n_words -= 1
        yield " ".join(words[:n_words])


def instructions(session: edgeai.Session, n_tokens: int) -> str:
    """A rule of about so many tokens."""
    rule = "Classify the text."
    each = session.count_tokens(TEXT)
    return rule + " " + TEXT * max(0, round((n_tokens - session.count_tokens(rule)) / each))


class Clock:
    """Seconds of this process and of others, on the wall or of CPU time."""

    def __init__(self, pids: Sequence[int], *, cpu: bool) -> None:
        self._processes = [psutil.Process(pid) for pid in {os.getpid(), *pids}]
        self._cpu = cpu

    def __call__(self) -> float:
        if not self._cpu:
            return time.perf_counter()
        times = [process.cpu_times() for process in self._processes]
        return float(sum(used.user + used.system for used in times))


class Ours:
    """A classifier whose instructions are evaluated."""

    def __init__(self, session: edgeai.Session, rule: str) -> None:
        self.session = session
        self.classifier = Classifier(session, LABELS, instructions=rule, calibrate="off")
        list(self.classifier.classify(texts(session, 12, 10**6)))

    def run(self, asked: Sequence[str], clock: Clock) -> tuple[float, float, float]:
        """Texts and tokens a second, and the share of the batches' room that was used."""
        before = self.session.scoring.evaluated
        n_tokens, n_room = before.n_tokens, before.n_room
        started = clock()
        found = list(self.classifier.classify(asked))
        seconds = clock() - started
        assert not any(one.error for one in found), found
        after = self.session.scoring.evaluated
        n_evaluated = after.n_tokens - n_tokens
        return len(asked) / seconds, n_evaluated / seconds, n_evaluated / (after.n_room - n_room)


class Peer:
    """llama-cpp-python, asked text by text."""

    def __init__(self, path: Path, rule: str, n_threads: int) -> None:
        from llama_cpp import Llama, LlamaGrammar

        options: dict[str, Any] = {"n_ctx": N_CTX, "n_batch": 512, "n_ubatch": 128, "verbose": False}
        self._llama = Llama(str(path), n_threads=n_threads, n_threads_batch=n_threads, **options)
        self._grammar = LlamaGrammar.from_string("root ::= " + " | ".join(f'"{label}"' for label in LABELS))
        self._system = f"{rule}\n\nAnswer with one of these labels and nothing else: {', '.join(LABELS)}"

    def ask(self, text: str) -> str:
        messages: list[Any] = [{"role": "system", "content": self._system}, {"role": "user", "content": text}]
        answer: Any = self._llama.create_chat_completion(
            messages=messages, grammar=self._grammar, temperature=0, max_tokens=8
        )
        return str(answer["choices"][0]["message"]["content"])

    def run(self, asked: Sequence[str], clock: Clock) -> float:
        """Texts a second."""
        started = clock()
        for text in asked:
            assert self.ask(text) in LABELS
        return len(asked) / (clock() - started)

    def close(self) -> None:
        self._llama.close()


class Limit:
    """A bare loop that evaluates batches behind as many tokens as the instructions have."""

    def __init__(self, path: Path, n_depth: int, n_threads: int) -> None:
        self._bare = Bare(path, n_ctx=N_CTX, n_batch=max(BATCHES), n_ubatch=128, n_threads=n_threads)
        self._tokens = self._bare.tokenize(TEXT * 300)[:N_CTX]
        self._depth = n_depth
        self._bare.prefill(self._tokens[:n_depth])

    def run(self, n_batch: int, clock: Clock) -> float:
        """Tokens a second."""
        started = clock()
        self._bare.evaluate(self._tokens[self._depth : self._depth + n_batch])
        seconds = clock() - started
        llama.llama_memory_seq_rm(llama.llama_get_memory(self._bare.context), 0, self._depth, -1)
        return n_batch / seconds

    def close(self) -> None:
        self._bare.close()


def speed(
    path: Path, n_threads: int, n_rounds: int, depths: Sequence[int], say: Callable[[str], None], *, cpu: bool
) -> list[Any]:
    """The curve over the lengths of instructions."""
    rows = []
    with edgeai.Session(path, n_ctx=N_CTX, n_threads=n_threads) as session:
        clock = Clock([session.engine_pid], cpu=cpu)
        for depth in depths:
            rule = instructions(session, depth)
            ours, peer = Ours(session, rule), Peer(path, rule, n_threads)
            n_prefix = ours.classifier.n_prefix
            limit = Limit(path, n_prefix, n_threads)
            afresh = peer.run(list(texts(session, 1)), clock)
            figures: list[tuple[float, ...]] = []
            for round_ in range(n_rounds):
                asked = list(texts(session, N_TEXTS, round_ * N_TEXTS))
                bare = [limit.run(n_batch, clock) for n_batch in BATCHES]
                rate, tokens_rate, packed = ours.run(asked, clock)
                kept = peer.run(asked[:4], clock)
                figures.append((rate, rate / afresh, rate / kept, packed, *(tokens_rate / one for one in bare)))
            peer.close()
            limit.close()
            rate, times_afresh, times_kept, packed, *shares = (
                statistics.median(column) for column in zip(*figures, strict=True)
            )
            row = (rate, times_afresh, times_kept, min(shares), packed)  # of the batches that are best for it
            say(f"  {n_prefix:>6,} {row[0]:>9.2f} {row[1]:>9.1f} {row[2]:>9.1f} {row[3]:>10.2f} {row[4]:>8.0%}")
            names = ("items_per_s", "times_afresh", "times_kept", "of_bare_rate", "of_batch")
            rows.append({"prefix_tokens": n_prefix, **dict(zip(names, row, strict=True))})
    return rows


def memory(n_texts: int, say: Callable[[str], None]) -> list[Any]:
    """Resident megabytes of both processes, over many texts."""
    from tests.tiny import tiny_model

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = tiny_model(Path(folder) / "tiny.gguf")
        with edgeai.Session(path, n_threads=1) as session:
            processes = [psutil.Process(), psutil.Process(session.engine_pid)]
            classifier = Classifier(session, ("a", "b"), instructions="", calibrate="off")
            step = n_texts // 10
            for number, _ in enumerate(classifier.classify(f"{index:x}" for index in range(n_texts))):
                if number % step == step // 2:
                    rows.append([number, *(process.memory_info().rss / 2**20 for process in processes)])
                    say(f"  {number:>8,} texts: {rows[-1][1]:.0f} MiB, engine {rows[-1][2]:.0f} MiB")
    return rows


def quality(path: Path, n_threads: int, say: Callable[[str], None]) -> list[Any]:
    """Right answers and the mean logarithm of the right ones' probabilities, by task and language."""
    all_rows = [json.loads(line) for line in SET.read_text(encoding="utf-8").splitlines()]
    results = []
    with edgeai.Session(path, n_ctx=2048, n_threads=n_threads) as session:
        for task in RULES:
            rows = [row for row in all_rows if row["task"] == task]
            examples = [(row["text"], row["label"]) for row in rows if row["use"] == "example"]
            tested = [row for row in rows if row["use"] == "test"]
            for shown in ((), examples):
                options: dict[str, Any] = {"instructions": RULES[task], "examples": shown}
                labels = list(dict.fromkeys(row["label"] for row in rows))
                classifier = Classifier(session, labels, calibrate="on", **options)
                found = list(classifier.classify(row["text"] for row in tested))
                auto = Classifier(session, labels, **options).prior is not None
                for language in ("en", "ja"):
                    pairs = [pair for pair in zip(tested, found, strict=True) if pair[0]["language"] == language]
                    plain = _judged([(row["label"], _plain(one)) for row, one in pairs])
                    with_prior = _judged([(row["label"], dict(one.probabilities)) for row, one in pairs])
                    say(
                        f"  {task:<10} {language}  {len(shown):>2} shown  plain {plain[0]:>2} of {len(pairs)} right, "
                        f"loss {plain[1]:.3f}  calibrated {with_prior[0]:>2}, {with_prior[1]:.3f}  "
                        f"auto: {'calibrated' if auto else 'plain'}"
                    )
                    names = ("task", "language", "examples", "of", "plain", "calibrated", "auto")
                    values = (task, language, len(shown), len(pairs), plain, with_prior, auto)
                    results.append(dict(zip(names, values, strict=True)))
    return results


def _plain(found: Classification) -> dict[str, float]:
    return dict(zip(found.log_probs, normalized(list(found.log_probs.values())), strict=True))


def _judged(pairs: Sequence[tuple[str, dict[str, float]]]) -> tuple[int, float]:
    """Texts whose likeliest label is right, and the log loss."""
    n_right = sum(max(shares, key=lambda label: shares[label]) == right for right, shares in pairs)
    return n_right, -statistics.fmean(math.log(max(shares[right], 1e-12)) for right, shares in pairs)


RULES = {
    "sentiment": "Say what the writer thinks of it.",
    "topic": "Say what the news is about.",
    "intent": "Say what the customer wants.",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", choices=("speed", "memory", "quality"), default=("speed", "quality"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--depths", type=int, nargs="+", default=DEPTHS, help="tokens of the instructions")
    parser.add_argument("--texts", type=int, default=100_000, help="for the memory")
    parser.add_argument("--threads", type=int, default=0, help="default: the cores this process may use")
    parser.add_argument("--cpu", action="store_true", help="count CPU time")
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    from edgeai.machine import usable_cores

    path, n_threads = arguments.model or model_path(), arguments.threads or usable_cores()

    def say(line: str) -> None:
        if not arguments.json:
            print(line, flush=True)

    if not arguments.json:
        print_machine()
        print(f"{path.name}, {n_threads} threads, {arguments.rounds} rounds, medians")
    result: dict[str, object] = {}
    if "speed" in arguments.only:
        say(f"  {'prefix':>6} {'texts/s':>9} {'x afresh':>9} {'x kept':>9} {'of limit':>10} {'packed':>8}")
        result["speed"] = speed(path, n_threads, arguments.rounds, arguments.depths, say, cpu=arguments.cpu)
    if "quality" in arguments.only:
        result["quality"] = quality(path, n_threads, say)
    if "memory" in arguments.only:
        result["memory"] = memory(arguments.texts, say)
    if arguments.json:
        main_json(result)


if __name__ == "__main__":
    main()
