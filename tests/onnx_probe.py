"""Opens ONNX folders, each in a forked process of its own, and says how that ended.

Reads paths, one a line, from stdin; writes for each `ok`, the name of an error, `signal N` or `hang`.
Not a test: tests/test_onnx_survival.py runs it.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from pathlib import Path

from edgeai.backends.base import GenerateRequest
from edgeai.backends.onnx import OnnxBackend
from edgeai.backends.onnx_graph import import_onnx
from edgeai.backends.onnx_session import import_onnxruntime
from edgeai.backends.onnx_tokenizer import import_tokenizers
from edgeai.errors import EdgeAIError
from edgeai.onnx_folder import read_folder
from edgeai.options import LoadOptions, SamplingOptions

TIMEOUT_S = 20
MEMORY_BYTES = 4 * 2**30  # of address space, as the engine's sandbox bounds it
TEXT = "Hello, world!\n 12 日本 🙂<|im_end|>\x00"


def use(path: str) -> str:
    """Open a folder as the engine does, tokenize, and write a few tokens; how that ended."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        backend = OnnxBackend(read_folder(path), LoadOptions(provider="cpu"), n_ctx=64, max_threads=1)
        tokens = backend.tokenize(TEXT, add_special=True, parse_special=True)[:40]
        backend.detokenize(range(backend.info.n_vocab))
        list(
            backend.generate(GenerateRequest(tokens or [0], SamplingOptions(max_tokens=4, seed=1, repeat_penalty=1.1)))
        )
    except EdgeAIError as exc:
        return f"several lines: {exc}" if "\n" in str(exc) else type(exc).__name__
    return "ok"


def probe(path: str) -> str:
    """How using a folder ended, in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # answers only on the parent's stdout
        try:
            end = use(path)
        except BaseException as exc:  # noqa: BLE001 - that is what is looked for
            end = f"{type(exc).__name__}: {exc}".partition("\n")[0]
        os.write(writer, end.encode()[:1000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else answers.read().decode()
            time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hang"


def main() -> None:
    """Answer line by line."""
    import_onnxruntime()
    import_onnx(Path())
    import_tokenizers(Path())
    for line in sys.stdin:
        print(probe(line.rstrip("\n")), flush=True)


if __name__ == "__main__":
    main()
