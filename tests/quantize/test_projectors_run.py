"""libmtmd loads the projectors beside their text models, and makes of a picture what transformers makes of it."""

from __future__ import annotations

import ctypes
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.bare import Bare
from edgeai import Session
from edgeai.backends.llama_native import media_bindings
from quantize import Artifact, Options, quantize
from tests.quantize.oracles import logits, picture
from tests.quantize.tiny_checkpoints import VISION_KINDS, case_checkpoint
from tests.quantize.tiny_weights import F32

MOST = {"F16": 2e-3, "Q8_0": 3e-2}  # of the largest number


def encoded(artifact: Artifact, pixels: NDArray[np.uint8], n_width: int) -> list[F32]:
    """What libmtmd makes of each of a picture's parts. float32 [n_tokens, n_width]"""
    assert artifact.projector is not None
    mtmd, bare = media_bindings(), Bare(artifact.path, n_ctx=512, n_batch=512, n_ubatch=512)
    params = mtmd.mtmd_context_params_default()
    params.use_gpu, params.n_threads, params.print_timings, params.warmup = False, 1, False, False
    context = mtmd.mtmd_init_from_file(bytes(artifact.projector.path), bare.model, params)
    assert context
    data = (ctypes.c_uint8 * pixels.size).from_buffer_copy(pixels.tobytes())
    bitmap = mtmd.mtmd_bitmap_init(pixels.shape[1], pixels.shape[0], data)
    chunks, text = mtmd.mtmd_input_chunks_init(), mtmd.mtmd_default_marker()
    given = mtmd.mtmd_input_text(text, len(text), True, True)
    bitmaps = (ctypes.c_void_p * 1)(bitmap)
    assert mtmd.mtmd_tokenize(context, chunks, ctypes.byref(given), bitmaps, 1) == 0
    found = []
    for index in range(mtmd.mtmd_input_chunks_size(chunks)):
        chunk = mtmd.mtmd_input_chunks_get(chunks, index)
        if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_IMAGE:
            assert mtmd.mtmd_encode_chunk(context, chunk) == 0
            shape = (mtmd.mtmd_input_chunk_get_n_tokens(chunk), n_width)
            values = np.ctypeslib.as_array(mtmd.mtmd_get_output_embd(context), shape)
            found.append(values.copy())
    mtmd.mtmd_bitmap_free(bitmap)
    mtmd.mtmd_input_chunks_free(chunks)
    mtmd.mtmd_free(context)
    bare.close()
    return found


@pytest.mark.parametrize("qtype", ["F16", "Q8_0"])
@pytest.mark.parametrize("kind", VISION_KINDS)
def test_a_picture_becomes_what_transformers_makes_of_it(kind: str, qtype: str, tmp_path: Path) -> None:
    options = Options(ftype="Q4_K_M", projector=qtype)
    artifact = quantize(case_checkpoint(tmp_path, kind), tmp_path / "a" / "text.gguf", options)
    expected = logits(f"{kind}-picture")
    parts = encoded(artifact, picture(kind), expected.shape[1])
    assert len(parts) == (5 if kind in ("idefics3", "smolvlm2") else 1)  # four tiles and the whole
    for part in parts:
        assert part.shape == expected.shape
        assert np.abs(part - expected).max() < MOST[qtype] * np.abs(expected).max()


@pytest.mark.parametrize("kind", ["gemma3-vision", "qwen2.5-vl", "qwen3-vl"])  # whose tokens the tiny vocabularies have
def test_a_session_on_the_folder_asks_about_a_picture(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    quantize(case_checkpoint(tmp_path, kind), folder / "text.gguf", Options(ftype="Q8_0"))
    png = io.BytesIO()
    Image.fromarray(picture(kind)).save(png, "PNG")
    with Session(folder, n_threads=1, n_ctx=512, isolation="none") as session:
        alone = session.chat("What is it?", max_tokens=2).usage.prompt_tokens
        session.reset()
        seen = session.chat("What is it?", images=[png.getvalue()], max_tokens=2).usage
        assert seen.completion_tokens > 0
        assert seen.prompt_tokens >= alone + len(logits(f"{kind}-picture"))
