"""Models that see, from a checkpoint to an answer: they answer as libmtmd's own loop makes them answer, whatever stands
in the KV cache, and no picture is encoded twice. Four families: tiles, all at once (not causal), rows and columns
(M-RoPE) without and with several layers of a picture."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.bare import Bare
from edgeai import LoadOptions, Message, PictureError, SamplingOptions, Session
from edgeai.backends.base import Finished, GenerateRequest, PrefillProgress
from edgeai.backends.llama import LlamaBackend
from edgeai.backends.llama_native import media_bindings
from edgeai.engine.backend import ProcessBackend
from edgeai.gguf_header import read_header
from edgeai.kv_store.backend import StoringBackend
from edgeai.media import Medium
from edgeai.vision.prepare import seen_size
from quantize import Artifact, Options, quantize
from tests.quantize.tiny_checkpoints import VISION_KINDS, case_checkpoint
from tests.tiny_eyes import tiny_eyes

N_BATCH, N_OUT = 64, 10
N_CTX_TRAIN = '"max_position_embeddings": 2048'
FIRST = SamplingOptions(temperature=0, max_tokens=1)
SOME = SamplingOptions(temperature=0, max_tokens=N_OUT)
MAX_RATIO = {"gemma3-vision": 16_384, "idefics3": 127, "smolvlm2": 127, "qwen2.5-vl": 200, "qwen3-vl": 200}
BEFORE, AFTER = [7 + (i * 37) % 200 for i in range(40)], [9 + (i * 53) % 200 for i in range(50)]


def picture(seed: int, width: int = 90, height: int = 60) -> Medium:
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 6 + 1, width // 6 + 1, 3), np.uint8)
    large = pixels.repeat(6, axis=0).repeat(6, axis=1)[:height, :width]
    return Medium.picture(np.ascontiguousarray(large).tobytes(), width, height)


def checkpoint(folder: Path, kind: str) -> Path:
    """One with room for pictures, and with the words that stand around the tiles of Idefics 3."""
    path = case_checkpoint(folder, kind)
    config = (path / "config.json").read_text("utf-8")
    (path / "config.json").write_text(config.replace('"max_position_embeddings": 512', N_CTX_TRAIN), "utf-8")
    if kind in ("idefics3", "smolvlm2"):
        tiles = [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
        file, words = path / "tokenizer.json", ["<fake_token_around_image>", "<global-img>", "\n\n", *tiles]
        tokenizer = json.loads(file.read_text("utf-8"))
        like, first = tokenizer["added_tokens"][-1], len(tokenizer["model"]["vocab"])
        added = [{**like, "id": first + index, "content": word} for index, word in enumerate(words)]
        tokenizer["added_tokens"] += added
        file.write_text(json.dumps(tokenizer), "utf-8")
    return path


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    folder = tmp_path_factory.mktemp("seeing")
    return {
        kind: quantize(checkpoint(folder / kind, kind), folder / kind / "text.gguf", Options(ftype="F16"))
        for kind in VISION_KINDS
    }


def opened(artifact: Artifact, **changes: Any) -> LlamaBackend:
    assert artifact.projector is not None
    options = LoadOptions(
        mmproj_path=str(artifact.projector.path), n_batch=N_BATCH, n_ubatch=N_BATCH, n_threads=1, **changes
    )
    return LlamaBackend(artifact.path, options, n_ctx=2048, max_threads=1, max_picture_ratio=127)


def answer(backend: LlamaBackend, tokens: Sequence[int], *media: Medium, **more: Any) -> tuple[bytes, int]:
    """The logits of the answer's first token, to the last bit, and how many of the prompt were not evaluated."""
    *_, last = backend.generate(GenerateRequest(tokens, FIRST, media=media, **more))
    assert isinstance(last, Finished)
    return backend._logits().tobytes(), last.usage.cached_tokens


def n_encoded(backend: LlamaBackend) -> int:
    assert backend._media is not None
    return backend._media.n_encoded


def libmtmds_own(artifact: Artifact, before: Sequence[int], pictures: Sequence[Medium], after: Sequence[int]) -> bytes:
    """What libmtmd's own loop comes to: mtmd_tokenize, mtmd_helper_eval_chunks; with M-RoPE at its own positions."""
    assert artifact.projector is not None
    mtmd, bare = media_bindings(), Bare(artifact.path, n_ctx=2048, n_batch=N_BATCH, n_ubatch=N_BATCH)
    import llama_cpp.llama_cpp as llama

    params = mtmd.mtmd_context_params_default()
    params.use_gpu, params.n_threads, params.print_timings = False, 1, False
    context = mtmd.mtmd_init_from_file(bytes(artifact.projector.path), bare.model, params)
    bitmaps, marker = (ctypes.c_void_p * len(pictures))(), mtmd.mtmd_default_marker()
    for index, shown in enumerate(pictures):
        pixels = (ctypes.c_uint8 * len(shown.data)).from_buffer_copy(shown.data)
        bitmaps[index] = mtmd.mtmd_bitmap_init(shown.width, shown.height, pixels)
    chunks, text = mtmd.mtmd_input_chunks_init(), marker * len(pictures)
    given = mtmd.mtmd_input_text(text, len(text), False, True)
    assert mtmd.mtmd_tokenize(context, chunks, ctypes.byref(given), bitmaps, len(pictures)) == 0
    bare.evaluate(before)
    past = ctypes.c_int32(len(before))
    status = mtmd.mtmd_helper_eval_chunks(context, bare.context, chunks, past, 0, N_BATCH, False, ctypes.byref(past))
    assert status == 0
    ids = (ctypes.c_int32 * len(after))(*after)
    positions = (ctypes.c_int32 * len(after))(*range(past.value, past.value + len(after)))
    batch = llama.llama_batch_get_one(ids, len(after))
    batch.pos = positions
    assert llama.llama_decode(bare.context, batch) == 0
    logits = np.ctypeslib.as_array(llama.llama_get_logits_ith(bare.context, -1), (bare.n_vocab,)).tobytes()
    for bitmap in bitmaps:
        mtmd.mtmd_bitmap_free(bitmap)
    mtmd.mtmd_input_chunks_free(chunks)
    mtmd.mtmd_free(context)
    bare.close()
    return logits


@pytest.fixture(params=VISION_KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def backend(kind: str, artifacts: dict[str, Artifact]) -> Iterator[LlamaBackend]:
    backend = opened(artifacts[kind])
    yield backend
    backend.close()


def test_it_answers_as_libmtmds_own_loop_does(kind: str, artifacts: dict[str, Artifact]) -> None:
    backend, answers = opened(artifacts[kind]), []
    for pictures in ([picture(1)], [picture(2)], [picture(3, 61, 200), picture(1)]):
        ids = [token for shown in pictures for token in backend.media_tokens(shown)]
        ours, _ = answer(backend, [*BEFORE, *ids, *AFTER], *pictures)
        assert ours == libmtmds_own(artifacts[kind], BEFORE, pictures, AFTER)
        answers.append(ours)
    assert len({*answers}) == len(answers), "it hangs on what is seen"
    backend.close()


def test_a_second_question_encodes_nothing_and_evaluates_only_its_own_tokens(backend: LlamaBackend) -> None:
    shown = picture(1)
    ids = backend.media_tokens(shown)
    prompt = [*BEFORE, *ids, *AFTER]
    first, n_cached = answer(backend, prompt, shown, keep_at=(len(BEFORE) + len(ids),))
    assert n_cached == 0
    n_before = n_encoded(backend)
    other = [*BEFORE, *ids, *AFTER[::-1]]
    second, n_cached = answer(backend, other, shown, keep_at=(len(BEFORE) + len(ids),))
    assert n_cached >= len(BEFORE) + len([token for token in ids if token < 0])
    assert n_encoded(backend) == n_before
    backend._cache.clear()
    assert answer(backend, other, shown, keep_at=(len(BEFORE) + len(ids),))[0] == second
    assert n_encoded(backend) == n_before, "what is encoded is kept in memory"
    fresh, _ = answer(backend, prompt, shown, keep_at=(len(BEFORE) + len(ids),))
    assert fresh == first


def test_a_conversation_goes_on_behind_pictures(backend: LlamaBackend) -> None:
    """Turn for turn in the cache, and at once in an empty one: the same tokens, at the same positions."""
    one, two = picture(1), picture(2, 40, 120)
    prompt, media = list(BEFORE), list[Medium]()
    for shown in (one, two, one):
        prompt += [*backend.media_tokens(shown), *AFTER[:9]]
        media.append(shown)
        *_, last = backend.generate(GenerateRequest(prompt, SOME, media=tuple(media)))
        assert isinstance(last, Finished)
        prompt += last.tokens
    in_turns, n_cached = answer(backend, [*prompt, *AFTER], *media)
    assert n_cached >= len(prompt) - 1
    position = backend._cache.position(len(prompt))
    backend._cache.clear()
    at_once, _ = answer(backend, [*prompt, *AFTER], *media)
    assert backend._cache.position(len(prompt)) == position <= len(prompt)
    near = np.frombuffer(in_turns, np.float32), np.frombuffer(at_once, np.float32)
    assert np.allclose(*near, atol=2e-3 * np.abs(near[1]).max()), "other pieces change the last bits, and no more"


def test_cancelling_in_a_picture_leaves_the_cache_true(backend: LlamaBackend) -> None:
    shown = picture(1)
    prompt = [*BEFORE, *backend.media_tokens(shown), *AFTER]
    whole, _ = answer(backend, prompt, shown)
    backend._cache.clear()
    for event in backend.generate(GenerateRequest(prompt, FIRST, media=(shown,))):
        if isinstance(event, PrefillProgress) and event.n_done >= len(BEFORE):
            backend.cancel()
    assert isinstance(event, Finished)
    assert event.reason == "cancelled"
    assert answer(backend, prompt, shown)[0] == whole


@pytest.mark.parametrize("isolation", ["none", "process"])
def test_what_was_seen_once_is_not_encoded_by_the_next_process(
    kind: str, isolation: str, artifacts: dict[str, Artifact]
) -> None:
    def about(question: str, shown: Sequence[Medium], **options: Any) -> tuple[str, int, int]:
        with Session(artifacts[kind].path, n_threads=1, n_ctx=1024, isolation=isolation, **options) as session:
            assert session.info.sees
            asked = Message("user", question, media=tuple(shown))
            response = session.chat(messages=[asked], temperature=0, max_tokens=N_OUT)
            text, n_cached = response.text, response.usage.cached_tokens
            inner = session._backend._backend if isinstance(session._backend, StoringBackend) else session._backend
            encoded = -1 if isinstance(inner, ProcessBackend) else inner._media.n_encoded  # type: ignore[attr-defined]
            return text, n_cached, encoded

    pictures = [picture(seed, 300, 200) for seed in range(3)]
    first = about("What is this? " * 8, pictures, keep_states=True)
    assert first[1] == 0
    again = about("And what is that? " * 8, pictures, keep_states=True)
    assert again[1] > 64, "all up to the end of the last picture"
    assert again[2] in (0, -1)
    assert again[0] == about("And what is that? " * 8, pictures)[0]
    turned = about("What is this? " * 8, pictures[::-1], keep_states=True)
    assert turned[1] < 64
    assert turned[2] in (0, -1), "in another order, what is encoded is read from the disk"
    assert turned[0] == about("What is this? " * 8, pictures[::-1])[0]


@pytest.mark.parametrize("size", [(1, 1), (16_384, 1), (16_384, 160), (3, 4000), (4096, 4096)])
def test_pictures_of_any_size_are_taken_or_refused(
    kind: str, size: tuple[int, int], artifacts: dict[str, Artifact]
) -> None:
    shown = Medium.picture(bytes(3 * size[0] * size[1]), *size)
    with Session(artifacts[kind].path, n_threads=1, n_ctx=2048, image_max_tokens=256) as session:
        pid = session.engine_pid
        asked = [Message("user", "What?", media=(shown,))]
        if max(size) > MAX_RATIO[kind] * min(size):
            with pytest.raises(PictureError, match="takes in sides of at most 1 to"):
                session.chat(messages=asked)
        else:
            assert session.chat(messages=asked, max_tokens=2).finish_reason in ("length", "stop")
        assert session.engine_pid == pid
        assert session.chat("Hello", max_tokens=2).finish_reason in ("length", "stop")


@pytest.mark.parametrize("n_most", [0, 64, 300])
@pytest.mark.parametrize("size", [(90, 60), (2000, 1000), (300, 1700)])
def test_a_picture_is_seen_at_the_size_that_is_told(
    size: tuple[int, int], n_most: int, artifacts: dict[str, Artifact]
) -> None:
    """Qwen2.5-VL writes boxes in pixels of what it sees: each of its tokens is a square of 28."""
    with Session(artifacts["qwen2.5-vl"].path, n_threads=1, n_ctx=256, image_max_tokens=n_most) as session:
        assert session.info.n_picture_tokens == (n_most or 1024)
        width, height = seen_size(*size, session.info.architecture, session.info.n_picture_tokens)
        ids = session._backend.media_tokens(picture(2, 112, 112))
        n_around = sum(token >= 0 for token in ids)  # the words before and after a picture
        n_tokens = session.count_picture_tokens(picture(1, *size)) - n_around
        assert n_tokens * 28 * 28 == width * height
        assert size[0] / size[1] == pytest.approx(width / height, rel=0.3)


@pytest.mark.parametrize("isolation", ["none", "process"])
def test_a_model_that_hears_and_sees_takes_both_in(
    isolation: str, artifacts: dict[str, Artifact], tmp_path: Path
) -> None:
    """Qwen2.5-Omni's kind: one projector with both halves."""
    text = artifacts["qwen2.5-vl"].path
    eyes = tiny_eyes(tmp_path / "mmproj.gguf", "qwen2.5o", n_out=int(read_header(text)["embedding_length"]))
    sound = Medium.sound((np.sin(np.arange(16_000) / 9) * 0.3).astype("<f4").tobytes())
    with Session(text, mmproj_path=str(eyes), n_threads=1, n_ctx=1024, isolation=isolation) as session:
        assert session.info.hears
        assert session.info.sees
        answers = []
        for media in ((picture(1), sound), (sound, picture(1)), (picture(1),), (sound,)):
            asked = Message("user", "What is it?", media=media)
            response = session.chat(messages=[asked], temperature=0, max_tokens=4)
            answers.append((response.text, response.usage.prompt_tokens))
        assert answers[0][1] == answers[1][1] > answers[2][1]
        assert answers[2][1] != answers[3][1]
