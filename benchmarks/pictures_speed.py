"""From a picture and a question to the first token: a Session, and libmtmd called bare.

Both have the same files, threads, batch sizes and pictures, each in a process of its own, and take turns. The bare
loop does what llama.cpp's own programs do: mtmd_tokenize, then chunk by chunk mtmd_encode_chunk with
mtmd_helper_decode_image_chunk, or llama_decode. It stands there twice, as in `benchmarks.speed`: with the attention
that a Session takes on a CPU, and with llama.cpp's own choice.
"""

from __future__ import annotations

import ctypes
import functools
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import llama_cpp.mtmd_cpp as mtmd
import numpy as np

import edgeai
from benchmarks.bare import QUIET, Bare
from benchmarks.common import ratio_lines
from benchmarks.first_token import PROMPT, QUESTION
from benchmarks.pictures_model import Seeing
from edgeai.media import Medium

N_CTX, N_BATCH = 2048, 128
OURS = "edgeai.Session"

Asked = tuple[int, float]
"""The tokens of a prompt, and seconds to its first token."""
Run = Callable[[Medium], Asked]


def picture(seed: int, width: int, height: int) -> Medium:
    """A picture that is nowhere the same."""
    return Medium.picture(np.random.default_rng(seed).bytes(3 * width * height), width, height)


def ours(files: Seeing, n_threads: int) -> Run:
    sizes: dict[str, Any] = {"n_ctx": N_CTX, "n_batch": N_BATCH, "n_ubatch": N_BATCH, "n_threads": n_threads}
    session = edgeai.Session(files.text, mmproj_path=str(files.projector), **sizes)

    def run(shown: Medium) -> Asked:
        session.complete("0", max_tokens=1).wait()  # empties the cache
        asked = edgeai.Message("user", QUESTION, media=(shown,))
        started = time.perf_counter()
        response = session.chat(messages=[asked], temperature=0, max_tokens=1)
        usage = response.usage
        assert usage.cached_tokens == 0
        return usage.prompt_tokens, time.perf_counter() - started

    return run


def bare(files: Seeing, n_threads: int, *, flash_attn: bool | None = False) -> Run:
    sizes: dict[str, Any] = {"n_ctx": N_CTX, "n_batch": N_BATCH, "n_ubatch": N_BATCH, "n_threads": n_threads}
    loop = Bare(files.text, flash_attn=flash_attn, **sizes)
    mtmd.mtmd_helper_log_set(QUIET, None)
    params = mtmd.mtmd_context_params_default()
    params.use_gpu, params.n_threads, params.print_timings = False, n_threads, False
    eyes = mtmd.mtmd_init_from_file(bytes(files.projector), loop.model, params)
    assert eyes, files.projector
    prompt = PROMPT.replace(QUESTION, mtmd.mtmd_default_marker().decode() + QUESTION).encode()

    def run(shown: Medium) -> Asked:
        loop.clear()
        started = time.perf_counter()
        chunks = _chunks(eyes, prompt, shown)
        n_tokens = _evaluate(loop, eyes, chunks)
        next(loop.decode(1), None)
        elapsed = time.perf_counter() - started
        mtmd.mtmd_input_chunks_free(chunks)
        return n_tokens, elapsed

    return run


def _chunks(eyes: Any, prompt: bytes, shown: Medium) -> Any:
    chunks = mtmd.mtmd_input_chunks_init()
    pixels = (ctypes.c_uint8 * len(shown.data)).from_buffer_copy(shown.data)
    bitmap = mtmd.mtmd_bitmap_init(*shown.size, pixels)
    text = mtmd.mtmd_input_text(prompt, len(prompt), True, True)
    assert mtmd.mtmd_tokenize(eyes, chunks, ctypes.byref(text), (ctypes.c_void_p * 1)(bitmap), 1) == 0
    mtmd.mtmd_bitmap_free(bitmap)
    return chunks


def _evaluate(loop: Bare, eyes: Any, chunks: Any) -> int:
    """Chunk by chunk; how many tokens there are."""
    n_tokens, end, callback = 0, ctypes.c_int32(), mtmd.mtmd_helper_post_decode_callback()
    for index in range(mtmd.mtmd_input_chunks_size(chunks)):
        chunk = mtmd.mtmd_input_chunks_get(chunks, index)
        n_chunk = mtmd.mtmd_input_chunk_get_n_tokens(chunk)
        if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_TEXT:
            loop.prefill(mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(ctypes.c_size_t()))[:n_chunk])
        else:
            assert mtmd.mtmd_encode_chunk(eyes, chunk) == 0
            encoded = mtmd.mtmd_get_output_embd(eyes)
            status = mtmd.mtmd_helper_decode_image_chunk(
                eyes, loop.context, chunk, encoded, n_tokens, 0, N_BATCH, ctypes.byref(end), callback, None
            )
            assert status == 0
        n_tokens += n_chunk
    return n_tokens


CONTENDERS: dict[str, Callable[[Seeing, int], Run]] = {
    OURS: ours,
    "libmtmd, bare loop": bare,
    "libmtmd, llama.cpp's own attention": functools.partial(bare, flash_attn=None),
}


def _serve(pipe: Connection, name: str, files: Seeing, n_threads: int) -> None:
    """In a process of its own: a run for every picture that comes."""
    run = CONTENDERS[name](files, n_threads)
    pipe.send(None)
    while (asked := pipe.recv()) is not None:
        pipe.send(run(picture(*asked)))


def _started(name: str, files: Seeing, n_threads: int) -> Connection:
    """A contender in its process, once it is loaded."""
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    context.Process(target=_serve, args=(there, name, files, n_threads), daemon=True).start()
    here.recv()
    return here


def measure(files: Seeing, size: tuple[int, int], n_rounds: int, n_threads: int) -> dict[str, list[Asked]]:
    """Rounds of all contenders, with another picture in each."""
    contenders = {name: _started(name, files, n_threads) for name in CONTENDERS}
    found: dict[str, list[Asked]] = {name: [] for name in contenders}
    for round_ in range(n_rounds + 1):
        for name in list(contenders)[:: 1 if round_ % 2 else -1]:
            time.sleep(0.3)  # the last one's threads stop spinning
            contenders[name].send((round_, *size) if round_ else (0, 128, 8))  # few tiles, to warm up
            asked = contenders[name].recv()
            if round_:
                found[name].append(asked)
    for pipe in contenders.values():
        pipe.send(None)
    return found


def lines(found: dict[str, list[Asked]], size: tuple[int, int]) -> list[str]:
    """The rates, and ours against the others'."""
    counts = {n_tokens for asked in found.values() for n_tokens, _ in asked}
    assert len(counts) == 1, f"the contenders evaluated prompts of {sorted(counts)} tokens"
    rates = {name: [n_tokens / seconds for n_tokens, seconds in asked] for name, asked in found.items()}
    title = f"a picture of {size[0]} x {size[1]} and a question, {counts.pop()} tokens: encoded and evaluated, tokens/s"
    return ratio_lines(title, rates, OURS, higher_is_better=True)
