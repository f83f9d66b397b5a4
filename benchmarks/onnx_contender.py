"""One engine with one model, as a program: a line of JSON in for every prompt, a line out for every answer.

It is started by two Pythons, ours and the peer's, which has ONNX Runtime GenAI and nothing of ours; so everything is
imported where it is needed. Greedy; nothing of an earlier prompt is reused.

    python -m benchmarks.onnx_contender ENGINE MODEL THREADS N_CTX
    PEER-PYTHON -I benchmarks/onnx_contender.py genai FOLDER THREADS N_CTX
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

Answer = dict[str, Any]
"""n_prompt, n_new, prefill_s, decode_s (of all new tokens but the first), text and pids."""
Run = Callable[[str, int], Answer]


def ours(path: str, n_threads: int, n_ctx: int, isolation: Any) -> Run:
    import edgeai

    session = edgeai.Session(path, n_ctx=n_ctx, n_threads=n_threads, isolation=isolation)

    def run(prompt: str, n_new: int) -> Answer:
        session.complete("0", max_tokens=1).wait()  # empties the cache
        response = session.complete(prompt, temperature=0, repeat_penalty=1.0, max_tokens=n_new)
        text, usage, timings = response.text, response.usage, response.timings
        assert usage.cached_tokens == 0
        return {
            "n_prompt": usage.prompt_tokens,
            "n_new": usage.completion_tokens,
            "prefill_s": timings.prefill_ms / 1000,
            "decode_s": timings.decode_ms / 1000,
            "text": text,
            "pids": sorted({os.getpid(), session.engine_pid}),
        }

    return run


def llama_cpp(path: str, n_threads: int, n_ctx: int) -> Run:
    from pathlib import Path

    from benchmarks.bare import Bare

    loop = Bare(Path(path), n_ctx=n_ctx, n_batch=512, n_ubatch=128, n_threads=n_threads)

    def run(prompt: str, n_new: int) -> Answer:
        loop.clear()
        tokens = loop.tokenize(prompt)
        started = time.perf_counter()
        loop.prefill(tokens)
        prefilled = time.perf_counter()
        pieces, times = [], []
        for piece in loop.decode(n_new):
            times.append(time.perf_counter())
            pieces.append(piece)
        return _answer(len(tokens), prefilled - started, times, b"".join(pieces).decode("utf-8", "replace"))

    return run


def genai(path: str, n_threads: int, n_ctx: int) -> Run:
    import onnxruntime_genai as og  # type: ignore[import-not-found]

    config = og.Config(path)
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": n_threads}}}}))
    model = og.Model(config)
    tokenizer = og.Tokenizer(model)

    def run(prompt: str, n_new: int) -> Answer:
        tokens = tokenizer.encode(prompt)
        params = og.GeneratorParams(model)
        params.set_search_options(do_sample=False, max_length=n_ctx)
        generator = og.Generator(model, params)
        stream = tokenizer.create_stream()  # the text as it comes, as its own chat example has it
        started = time.perf_counter()
        generator.append_tokens(tokens)
        times: list[float] = []
        text = ""
        while len(times) < n_new and not generator.is_done():
            generator.generate_next_token()
            times.append(time.perf_counter())
            text += stream.decode(generator.get_next_tokens()[0])
        return _answer(len(tokens), times[0] - started, times, text)  # the first token is ready with the prompt

    return run


def _answer(n_prompt: int, prefill_s: float, times: list[float], text: str) -> Answer:
    decode_s = times[-1] - times[0]
    found = {"n_prompt": n_prompt, "n_new": len(times), "prefill_s": prefill_s, "decode_s": decode_s, "text": text}
    return found | {"pids": [os.getpid()]}


ENGINES: dict[str, Callable[[str, int, int], Run]] = {
    "process": functools.partial(ours, isolation="process"),
    "none": functools.partial(ours, isolation="none"),
    "llama.cpp": llama_cpp,
    "genai": genai,
}


def main(engine: str, path: str, n_threads: str, n_ctx: str) -> None:
    with os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8") as out:
        os.dup2(2, 1)  # what libraries print is no answer
        run = ENGINES[engine](path, int(n_threads), int(n_ctx))
        print(json.dumps({"pid": os.getpid()}), file=out)
        for line in sys.stdin:
            print(json.dumps(run(*json.loads(line))), file=out)


if __name__ == "__main__":
    main(*sys.argv[1:])
