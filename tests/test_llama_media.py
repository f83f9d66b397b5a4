"""A model that hears, on libmtmd: it answers as libmtmd's own loop makes it answer, and evaluates nothing twice."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama
import numpy as np
import pytest

from benchmarks.bare import Bare
from edgeai.backends.base import Finished, GenerateRequest, PrefillProgress
from edgeai.backends.llama import LlamaBackend
from edgeai.backends.llama_cache import Run
from edgeai.backends.llama_media import LlamaMedia
from edgeai.backends.llama_native import media_bindings
from edgeai.errors import GenerationError, UnsupportedModalityError
from edgeai.media import SOUND_RATE_HZ, Medium
from edgeai.options import LoadOptions, SamplingOptions
from tests.tiny import Kind, tiny_model
from tests.tiny_projector import N_TOKENS, tiny_projector
from tests.tiny_projector import Kind as ProjectorKind

N_BATCH = 64
N_SOUND = N_TOKENS["ultravox"]
GREEDY = SamplingOptions(temperature=0, max_tokens=12)
BEFORE, AFTER = [7 + (i * 37) % 200 for i in range(40)], [9 + (i * 53) % 200 for i in range(50)]


def noise(seed: int, seconds: float = 1.0) -> Medium:
    samples = np.random.default_rng(seed).normal(0, 0.1, int(seconds * SOUND_RATE_HZ))
    return Medium.sound(samples.astype("<f4").tobytes())


def opened(folder: Path, kind: Kind = "llama", projector: ProjectorKind = "ultravox", **options: Any) -> LlamaBackend:
    path = tiny_projector(folder / f"mmproj-{projector}.gguf", projector)
    chosen: dict[str, Any] = {"n_batch": N_BATCH, "n_ubatch": N_BATCH, "n_threads": 1, **options}
    load = LoadOptions(mmproj_path=str(path), **chosen)
    return LlamaBackend(tiny_model(folder / f"{kind}.gguf", kind, n_ctx_train=2048), load, n_ctx=2048, max_threads=1)


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[LlamaBackend]:
    backend = opened(tmp_path)
    yield backend
    backend.close()


def answer(backend: LlamaBackend, tokens: Sequence[int], *media: Medium, **more: Any) -> tuple[list[int], int]:
    """The tokens of the answer, and how many of the prompt were not evaluated."""
    *_, last = backend.generate(GenerateRequest(tokens, GREEDY, media=media, **more))
    assert isinstance(last, Finished)
    return list(last.tokens), last.usage.cached_tokens


def n_encoded(backend: LlamaBackend) -> int:
    assert backend._media is not None
    return backend._media.n_encoded


class Oracle:
    """libmtmd's own loop: mtmd_tokenize of a text with a marker, mtmd_helper_eval_chunks, greedy tokens."""

    def __init__(self, folder: Path, kind: Kind, projector: ProjectorKind) -> None:
        self.mtmd = media_bindings()
        self.bare = Bare(folder / f"{kind}.gguf", n_ctx=2048, n_batch=N_BATCH, n_ubatch=N_BATCH)
        params = self.mtmd.mtmd_context_params_default()
        params.use_gpu, params.n_threads, params.print_timings = False, 1, False
        path = str(folder / f"mmproj-{projector}.gguf").encode()
        self.context = self.mtmd.mtmd_init_from_file(path, self.bare.model, params)

    def answer(self, text: bytes, sounds: Sequence[Medium]) -> list[int]:
        mtmd = self.mtmd
        bitmaps = (ctypes.c_void_p * len(sounds))()
        for index, sound in enumerate(sounds):
            n_samples = len(sound.data) // 4
            samples = (ctypes.c_float * n_samples).from_buffer_copy(sound.data)
            bitmaps[index] = mtmd.mtmd_bitmap_init_from_audio(n_samples, samples)
        chunks, given = mtmd.mtmd_input_chunks_init(), mtmd.mtmd_input_text(text, len(text), True, True)
        assert mtmd.mtmd_tokenize(self.context, chunks, ctypes.byref(given), bitmaps, len(sounds)) == 0
        self.bare.clear()
        n_past = ctypes.c_int32()
        status = mtmd.mtmd_helper_eval_chunks(
            self.context, self.bare.context, chunks, 0, 0, N_BATCH, True, ctypes.byref(n_past)
        )
        assert status == 0
        mtmd.mtmd_input_chunks_free(chunks)
        for bitmap in bitmaps:
            mtmd.mtmd_bitmap_free(bitmap)
        return list(self._greedy(12))

    def _greedy(self, n_tokens: int) -> Iterator[int]:
        for _ in range(n_tokens):
            logits = np.ctypeslib.as_array(llama.llama_get_logits_ith(self.bare.context, -1), (self.bare.n_vocab,))
            token = int(logits.argmax())
            yield token
            self.bare.evaluate([token])

    def close(self) -> None:
        self.mtmd.mtmd_free(self.context)
        self.bare.close()


@pytest.mark.parametrize(
    ("kind", "projector"),
    [("llama", "ultravox"), ("llama", "voxtral"), ("llama", "qwen2a"), ("gemma3", "ultravox"), ("plamo2", "voxtral")],
)
def test_it_answers_as_libmtmds_own_loop_does(kind: Kind, projector: ProjectorKind, tmp_path: Path) -> None:
    backend = opened(tmp_path, kind, projector)
    oracle = Oracle(tmp_path, kind, projector)
    answers = []
    given = ([noise(1)], [noise(2), noise(1)], [noise(3, 31)])
    for sounds in given if (kind, projector) == ("llama", "ultravox") else given[:1]:
        # no text is longer than a piece: pieces end elsewhere in libmtmd's loop
        tokens = backend.tokenize("<|im_start|>user\nwhat\n", parse_special=True)
        for sound in sounds:
            tokens += backend.media_tokens(sound)
        tokens += backend.tokenize(" was said, and why?\n<|im_end|>", parse_special=True)
        text = b"<|im_start|>user\nwhat\n" + b"<__media__>" * len(sounds) + b" was said, and why?\n<|im_end|>"
        ours, _ = answer(backend, tokens, *sounds)
        assert ours == oracle.answer(text, sounds)
        answers.append(ours)
    assert len({*map(tuple, answers)}) == len(answers), "it hangs on what is heard"
    backend.close()
    oracle.close()


def test_a_sound_has_as_many_tokens_as_its_half_minutes_need(backend: LlamaBackend) -> None:
    assert backend.info.hears
    short, long = backend.media_tokens(noise(1)), backend.media_tokens(noise(1, 61))
    assert (len(short), len(long)) == (N_SOUND, 3 * N_SOUND)
    assert all(token < -1 for token in (*short, *long))
    assert len({*short, *long}) == len(short) + len(long)


def test_a_second_question_evaluates_only_its_own_tokens(backend: LlamaBackend) -> None:
    sound = noise(1)
    prompt = [*BEFORE, *backend.media_tokens(sound), *AFTER]
    first, n_cached = answer(backend, prompt, sound)
    assert (n_cached, n_encoded(backend)) == (0, 1)
    longer = [*prompt, *first, 11, 12, 13]
    _, n_cached = answer(backend, longer, sound)
    assert (n_cached, n_encoded(backend)) == (len(prompt) + len(first) - 1, 1)
    _, n_cached = answer(backend, [*longer[: len(BEFORE) + N_SOUND], *range(20, 40)], sound)
    assert (n_cached, n_encoded(backend)) == (len(BEFORE) + N_SOUND, 1)


@pytest.mark.parametrize("kind", ["llama", "gemma3", "plamo2"])
def test_an_edited_prompt_answers_as_a_fresh_one(kind: Kind, tmp_path: Path) -> None:
    backend, other = opened(tmp_path, kind), opened(tmp_path, kind)
    one, two = noise(1), noise(2)
    edits = [
        ([*BEFORE, *backend.media_tokens(two), *AFTER], (two,)),
        ([*BEFORE, *backend.media_tokens(one), *backend.media_tokens(one), *AFTER], (one,)),
        ([*BEFORE, *backend.media_tokens(one), *AFTER[:20], *BEFORE], (one,)),
        ([*BEFORE, *AFTER], ()),
    ]
    for tokens, media in edits:
        answer(backend, [*BEFORE, *backend.media_tokens(one), *AFTER], one)
        ours, n_cached = answer(backend, tokens, *media)
        answer(other, [5, 5, 5, *AFTER])  # throws all away
        fresh, n_other = answer(other, tokens, *media)
        assert n_other == 0
        if n_cached in (0, len(BEFORE), len(BEFORE) + N_SOUND):  # the same pieces
            assert ours == fresh
    backend.close()
    other.close()


def test_a_cut_in_the_middle_of_a_sound_goes_back_to_its_start(backend: LlamaBackend) -> None:
    sound = noise(1, 31)
    ids = backend.media_tokens(sound)
    answer(backend, [*BEFORE, *ids, *AFTER], sound)
    forged = [*backend._cache.tokens]
    forged[len(BEFORE) + N_SOUND + 5] = -7  # as if another sound's ids began alike
    backend._cache.tokens = forged
    _, n_cached = answer(backend, [*BEFORE, *ids, *AFTER], sound)
    assert n_cached == len(BEFORE) + N_SOUND


def test_pieces_of_a_prompt_never_cut_a_sound(backend: LlamaBackend) -> None:
    backend._cache.reuse(range(300), [Run(40, 100, 60), Run(100, 135, 35)])
    pieces = list(backend._cache.pieces(0, 300, frozenset({50, 130})))
    assert pieces == [(0, 40), (40, 100), (100, 135), (135, 192), (192, 256), (256, 300)]


@pytest.mark.parametrize("n_ubatch", [1, 8])
def test_a_sound_that_is_longer_than_a_batch_cannot_end_the_process(n_ubatch: int, tmp_path: Path) -> None:
    backend = opened(tmp_path, n_batch=16, n_ubatch=n_ubatch)
    sound = noise(1)
    tokens, _ = answer(backend, [*BEFORE, *backend.media_tokens(sound), *AFTER], sound)
    assert len(tokens) == 12
    assert backend._media is not None
    original = backend._media._projector._mtmd

    class NonCausal:
        """A projector whose tokens see each other, as those of pictures do."""

        def __getattr__(self, name: str) -> Any:
            return (lambda *_: True) if name == "mtmd_decode_use_non_causal" else getattr(original, name)

    backend._media._projector._mtmd = NonCausal()
    with pytest.raises(UnsupportedModalityError, match="n_ubatch = n_batch = 50 or more"):
        backend.media_tokens(noise(2))
    backend.close()


def test_positions_that_are_no_tokens_are_refused(backend: LlamaBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backend._media is not None
    monkeypatch.setattr(backend._media._projector._mtmd, "mtmd_input_chunk_get_n_pos", lambda _chunk: 99)
    with pytest.raises(UnsupportedModalityError, match="take 99 positions"):
        backend.media_tokens(noise(1))


def test_cancelling_before_a_sound_leaves_the_cache_true(backend: LlamaBackend) -> None:
    sound = noise(1)
    prompt = [*BEFORE, *backend.media_tokens(sound), *AFTER]
    for event in backend.generate(GenerateRequest(prompt, GREEDY, media=(sound,))):
        if isinstance(event, PrefillProgress) and event.n_done == len(BEFORE):
            backend.cancel()
    assert isinstance(event, Finished)
    assert event.reason == "cancelled"
    assert (backend.n_evaluated, n_encoded(backend)) == (len(BEFORE), 0)
    again, n_cached = answer(backend, prompt, sound)
    assert n_cached == len(BEFORE)
    backend._cache.clear()
    assert answer(backend, prompt, sound) == (again, 0)
    assert n_encoded(backend) == 1, "what was encoded is kept"


def test_prompts_that_do_not_fit_their_media_are_errors(backend: LlamaBackend) -> None:
    sound = noise(1)
    ids = backend.media_tokens(sound)
    with pytest.raises(GenerationError, match="ends in a medium"):
        answer(backend, [*BEFORE, *ids], sound)
    with pytest.raises(GenerationError, match="stands for no medium"):
        answer(backend, [*BEFORE, *ids, 5], noise(2))
    with pytest.raises(GenerationError, match="has not got the medium"):
        answer(backend, [*BEFORE, *ids, 5], Medium(b"", sound.sha256))
    with pytest.raises(GenerationError):
        answer(backend, [*BEFORE, *ids, 5])
    assert len(answer(backend, [*BEFORE, *ids, 5], sound)[0]) == 12


def test_a_penalty_and_a_text_pass_over_sounds(backend: LlamaBackend) -> None:
    sound = noise(1)
    tokens = [*BEFORE, *backend.media_tokens(sound), 65]
    sampling = SamplingOptions(temperature=0, max_tokens=4, repeat_penalty=1.3)
    *_, last = backend.generate(GenerateRequest(tokens, sampling, media=(sound,)))
    assert isinstance(last, Finished)
    assert backend.detokenize(tokens) == backend.detokenize([*BEFORE, 65])


def test_encoded_chunks_are_kept_within_a_limit(backend: LlamaBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeai.backends.llama_media.MAX_EMBEDDING_BYTES", 2 * N_SOUND * 128 * 4)
    sounds = [noise(seed) for seed in range(3)]
    for sound in sounds:
        answer(backend, [*backend.media_tokens(sound), 5], sound)
    answer(backend, [*backend.media_tokens(sounds[2]), 5], sounds[2])
    answer(backend, [6, *backend.media_tokens(sounds[1]), 5], sounds[1])
    assert n_encoded(backend) == 3
    answer(backend, [*backend.media_tokens(sounds[0]), 5], sounds[0])
    assert n_encoded(backend) == 4


def test_a_model_without_a_projector_hears_nothing(tmp_path: Path) -> None:
    backend = LlamaBackend(tiny_model(tmp_path / "a.gguf"), LoadOptions(n_threads=1), n_ctx=256, max_threads=1)
    assert not backend.info.hears
    with pytest.raises(UnsupportedModalityError, match="open it with its projector"):
        backend.media_tokens(noise(1))
    backend.close()


def test_the_text_alone_is_answered_as_without_a_projector(backend: LlamaBackend, tmp_path: Path) -> None:
    load = LoadOptions(n_batch=N_BATCH, n_ubatch=N_BATCH, n_threads=1)
    bare = LlamaBackend(tmp_path / "llama.gguf", load, n_ctx=2048, max_threads=1)
    assert answer(backend, [*BEFORE, *AFTER]) == answer(bare, [*BEFORE, *AFTER])
    bare.close()
    assert isinstance(backend._media, LlamaMedia)
