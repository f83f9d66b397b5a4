"""libmtmd loads the projectors beside their text models, and what it makes of a picture hangs on the picture."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bare import Bare
from edgeai.backends.llama_native import media_bindings
from quantize import Artifact, Options, quantize
from tests.quantize.tiny_checkpoints import VISION_KINDS, case_checkpoint
from tests.quantize.tiny_weights import F32

N_TOKENS = {"gemma3-vision": 4, "idefics3": 4, "smolvlm2": 4, "qwen2.5-vl": 16, "qwen3-vl": 16}
N_WIDTH = {"qwen3-vl": 3 * 64}  # with what two layers hand to the text model's first ones


def encoded(artifact: Artifact, picture: F32, n_width: int) -> list[F32]:
    """What libmtmd makes of each of a picture's parts. float32 [n_tokens, n_width]"""
    assert artifact.projector is not None
    mtmd, bare = media_bindings(), Bare(artifact.path, n_ctx=512, n_batch=512, n_ubatch=512)
    params = mtmd.mtmd_context_params_default()
    params.use_gpu, params.n_threads, params.print_timings, params.warmup = False, 1, False, False
    context = mtmd.mtmd_init_from_file(bytes(artifact.projector.path), bare.model, params)
    assert context
    pixels = (ctypes.c_uint8 * picture.size).from_buffer_copy(picture.astype(np.uint8).tobytes())
    bitmap = mtmd.mtmd_bitmap_init(picture.shape[1], picture.shape[0], pixels)
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


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_a_picture_is_encoded(kind: str, tmp_path: Path) -> None:
    artifact = quantize(case_checkpoint(tmp_path, kind), tmp_path / "a" / "text.gguf", Options(ftype="Q4_K_M"))
    half = np.zeros((112, 112, 3), np.float32)
    half[:, :56] = 255
    one, other = (encoded(artifact, picture, N_WIDTH.get(kind, 64)) for picture in (half, half[:, ::-1]))
    assert len(one) == (5 if kind in ("idefics3", "smolvlm2") else 1)  # the whole and four tiles
    for part in one:
        assert part.shape[0] == N_TOKENS[kind]
        assert np.isfinite(part).all()
        assert part.std() > 0
    assert not np.allclose(one[-1], other[-1])
