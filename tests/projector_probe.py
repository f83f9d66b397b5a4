"""Loads projectors with libmtmd and encodes pictures with them, each in a forked process of its own, and says how that
ended.

Its argument is a text model. Reads lines of JSON from stdin: the path of a projector, sizes of pictures as `WxH` and
the most tokens of one chunk; writes for each `refused`, `signal N`, `hang` or `ok` with the tokens of each chunk.
Not a test: tests/test_projector_survival.py runs it.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from typing import Any

from llama_cpp import llama_cpp, mtmd_cpp

from tests.tiny_eyes import picture

TIMEOUT_S = 60
REFUSED = 3


def load(path: str, text: Any, most_tokens: int) -> Any:
    """A projector; None where libmtmd refuses it."""
    params = mtmd_cpp.mtmd_context_params_default()
    params.use_gpu, params.n_threads, params.print_timings = False, 1, False
    params.image_max_tokens = most_tokens or -1
    return mtmd_cpp.mtmd_init_from_file(os.fsencode(path), text, params)


def encode(projector: Any, width: int, height: int) -> list[int]:
    """Encode a picture as edgeai does; the tokens of each chunk, and none where libmtmd refuses the picture."""
    data = picture(width, height)
    pixels = (ctypes.c_ubyte * data.size).from_buffer_copy(data.tobytes())
    part, chunks = mtmd_cpp.mtmd_input_part(), mtmd_cpp.mtmd_input_chunks_init()
    part.bitmap = mtmd_cpp.mtmd_bitmap_init(width, height, pixels)
    parts = (ctypes.POINTER(mtmd_cpp.mtmd_input_part) * 1)(ctypes.pointer(part))
    if mtmd_cpp.mtmd_tokenize_from_parts(projector, chunks, parts, 1, False) != 0:
        return []
    mtmd_cpp.mtmd_bitmap_free(part.bitmap)
    counts = []
    for index in range(mtmd_cpp.mtmd_input_chunks_size(chunks)):
        chunk = mtmd_cpp.mtmd_input_chunks_get(chunks, index)
        if mtmd_cpp.mtmd_input_chunk_get_type(chunk) == mtmd_cpp.MTMD_INPUT_CHUNK_TYPE_TEXT:
            continue
        counts.append(int(mtmd_cpp.mtmd_input_chunk_get_n_tokens(chunk)))
        if mtmd_cpp.mtmd_encode_chunk(projector, chunk) != 0:
            return []
    mtmd_cpp.mtmd_input_chunks_free(chunks)
    return counts


def use(text: Any, path: str, sizes: list[str], most_tokens: int, out: int) -> int:
    """Load a projector and encode pictures."""
    projector = load(path, text, most_tokens)
    if not projector:
        return REFUSED
    found = {size: encode(projector, *map(int, size.split("x"))) for size in sizes}
    mtmd_cpp.mtmd_free(projector)
    os.write(out, json.dumps(found).encode())
    return 0


def probe(text: Any, line: str) -> str:
    """How using a projector ended."""
    asked = json.loads(line)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # answers only on the parent's stdout
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os._exit(use(text, asked["path"], asked["sizes"], asked.get("most_tokens", 0), write))
    os.close(write)
    deadline = time.monotonic() + TIMEOUT_S
    try:
        while time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                if os.WIFSIGNALED(status):
                    return f"signal {os.WTERMSIG(status)}"
                if os.WEXITSTATUS(status) == REFUSED:
                    return "refused"
                return f"ok {os.read(read, 2**16).decode()}" if not status else f"exit {os.WEXITSTATUS(status)}"
            time.sleep(0.002)
    finally:
        os.close(read)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hang"


def main() -> None:
    """Answer line by line."""
    text: Any = llama_cpp.llama_model_load_from_file(os.fsencode(sys.argv[1]), llama_cpp.llama_model_default_params())
    for line in sys.stdin:
        print(probe(text, line), flush=True)


if __name__ == "__main__":
    main()
