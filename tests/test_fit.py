"""Estimates are compared with what llama.cpp says it allocates, and with what a process really uses."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFWriter

from edgeai import Session
from edgeai.backends.base import ScoreItem, ScoreRequest
from edgeai.backends.llama import LlamaBackend
from edgeai.catalog import Catalog
from edgeai.errors import ModelFormatError, ModelTooLargeError, OptionError
from edgeai.fit import (
    KVLayers,
    ModelShape,
    check_fit,
    check_scoring,
    choose_n_ctx,
    estimate,
    estimate_for,
    fits,
    largest_n_ctx,
    scoring_bytes,
    smaller_kv_types,
)
from edgeai.gguf_header import read_header
from edgeai.options import LoadOptions
from tests.families import FAMILIES, family_model
from tests.tiny import KINDS, tiny_model

MIB, GIB = 2**20, 2**30

QWEN3_4B = ModelShape(
    weights_bytes=5 * GIB // 2,
    n_layer=36,
    n_embd=2560,
    n_head=32,
    n_head_kv=8,
    head_dim=128,
    n_ff=9728,
    n_vocab=151936,
    n_ctx_train=40960,
    name="qwen3-4b",
)


def allocated(log: str, what: str) -> float:
    """MiB that llama.cpp reports, over all buffers of a kind."""
    return sum(float(size) for size in re.findall(rf"{what} buffer size = *([\d.]+) MiB", log))


@pytest.mark.parametrize("kind", [*KINDS, *FAMILIES])
@pytest.mark.parametrize(
    "options",
    [
        LoadOptions(n_ctx=2048),
        LoadOptions(n_ctx=700, n_ubatch=64),
        LoadOptions(n_ctx=4096, type_k="q8_0", type_v="q8_0", swa_full=True),
    ],
    ids=lambda options: f"{options.n_ctx}-{options.n_ubatch}-{options.type_k}",
)
def test_buffers_are_those_that_llama_cpp_allocates(
    kind: Any, options: LoadOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert isinstance(options.n_ctx, int)
    path = (tiny_model if kind in KINDS else family_model)(tmp_path / "tiny.gguf", kind)
    with caplog.at_level(logging.DEBUG, logger="edgeai.backends.llama_native"):
        LlamaBackend(path, options, n_ctx=options.n_ctx, max_threads=1).close()
    need = estimate(
        ModelShape.from_header(read_header(path)),
        n_ctx=options.n_ctx,
        n_ubatch=options.n_ubatch,
        type_k=options.type_k,
        type_v=options.type_v,
        swa_full=options.swa_full,
        flash_attn=options.fused_attention,
    )
    kv_mib = allocated(caplog.text, "KV") + allocated(caplog.text, "RS")
    assert need.kv_bytes / MIB == pytest.approx(kv_mib, abs=0.02)
    assert need.compute_bytes / MIB == pytest.approx(allocated(caplog.text, "compute"), rel=0.25, abs=0.1)
    assert need.weights_bytes / MIB == pytest.approx(allocated(caplog.text, "model"), rel=0.01)


@pytest.mark.parametrize("kind", ["llama", "gemma3", "plamo2", "phi3"])
def test_scoring_needs_what_llama_cpp_allocates_for_it(
    kind: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = (tiny_model if kind in KINDS else family_model)(tmp_path / "tiny.gguf", kind)
    options = LoadOptions(n_ctx=2048)
    backend = LlamaBackend(path, options, n_ctx=2048, max_threads=1)
    with caplog.at_level(logging.DEBUG, logger="edgeai.backends.llama_native"):
        list(backend.score(ScoreRequest([1] * 2000, [ScoreItem([2] * 40, [[3] * 8])])))
    backend.close()
    need = scoring_bytes(ModelShape.from_header(read_header(path)), options, 2048) / MIB
    assert need == pytest.approx(
        sum(allocated(caplog.text, what) for what in ("KV", "RS", "compute", "output")), rel=0.2
    )


def test_scoring_that_does_not_fit_names_a_window_that_does() -> None:
    options, beside = LoadOptions(), 700 * MIB
    check_scoring(QWEN3_4B, options, 4096, GIB)
    with pytest.raises(
        ModelTooLargeError, match=r"qwen3-4b needs 8\d\d MiB more .* n_ctx = 4,096 .* 700 MiB is free"
    ) as no:
        check_scoring(QWEN3_4B, options, 4096, beside)
    room = beside + estimate_for(QWEN3_4B, options, 4096).total_bytes
    n_ctx = int(str(no.value).rpartition("it fits with n_ctx = ")[2].replace(",", ""))
    for wanted, fit in ((n_ctx, True), (n_ctx + 256, False)):
        need = estimate_for(QWEN3_4B, options, wanted).total_bytes + scoring_bytes(QWEN3_4B, options, wanted)
        assert (need <= room) is fit
    check_scoring(QWEN3_4B, LoadOptions(n_gpu_layers=-1), 4096, 1)
    with pytest.raises(ModelTooLargeError, match="take a smaller"):
        check_scoring(QWEN3_4B, options, 512, -GIB)


def test_a_session_without_memory_to_score_says_so_and_talks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Session(tiny_model(tmp_path / "tiny.gguf"), n_threads=1, isolation="none", n_ctx=512) as session:
        monkeypatch.setattr("edgeai.machine.available_memory_bytes", lambda: MIB)
        with pytest.raises(ModelTooLargeError, match="more of memory to tell probabilities with n_ctx = 512"):
            session.classify(["a"], ["good", "bad"])
        assert session.complete("word", max_tokens=1).usage.prompt_tokens
        monkeypatch.undo()
        assert session.classify(["a"], ["good", "bad"])[0].label


MEASURE = """
import json, resource, sys
from edgeai.session import Session
path, options, n_words = json.loads(sys.argv[1])
with Session(path, n_batch=512, **options) as session:
    response = session.complete("word " * n_words, max_tokens=4, temperature=0)
    used = response.usage.prompt_tokens + len(response.text)
    status = [*open("/proc/self/status"), *open(f"/proc/{session._backend.pid}/status")]
peaks = [int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")]
assert len(peaks) == 2
print(json.dumps([sum(peaks), used]))
"""


@pytest.mark.weights
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("options", "n_words"),
    [
        ({"n_ctx": 2048}, 1900),
        ({"n_ctx": 8192, "n_ubatch": 512}, 6000),
        ({"n_ctx": 4096, "type_k": "q8_0", "type_v": "q8_0"}, 1000),
    ],
    ids=["2048", "8192-ubatch-512", "4096-q8_0"],
)
def test_estimate_is_within_a_tenth_of_what_both_processes_use(
    real_model: Path, options: dict[str, Any], n_words: int
) -> None:
    arguments = json.dumps([str(real_model), options, n_words])
    done = subprocess.run([sys.executable, "-c", MEASURE, arguments], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    peak_bytes, n_used = json.loads(done.stdout)
    assert n_used > n_words
    flash_attn = LoadOptions(**options).fused_attention
    need = estimate(ModelShape.from_header(read_header(real_model)), **options, flash_attn=flash_attn)
    assert need.total_bytes == pytest.approx(peak_bytes, rel=0.1)


def test_plain_numbers_give_what_the_header_gives(tmp_path: Path) -> None:
    header = read_header(tiny_model(tmp_path / "tiny.gguf", "gemma3"))
    plain = ModelShape(
        weights_bytes=header.tensor_bytes,
        n_layer=4,
        n_embd=128,
        n_head=4,
        n_head_kv=2,
        head_dim=32,
        n_ff=192,
        n_vocab=271,
        n_merges=12,
        n_swa=32,
        n_layer_full=2,
    )
    assert estimate(plain, n_ctx=2048) == estimate(ModelShape.from_header(header), n_ctx=2048)


def test_window_saves_memory_unless_it_is_kept_whole(tmp_path: Path) -> None:
    shape = ModelShape.from_header(read_header(tiny_model(tmp_path / "tiny.gguf", "plamo3")))
    assert shape.kv_layers == (KVLayers(2, 64, 64, windowed=True), KVLayers(2, 64, 64))
    whole = estimate(shape, n_ctx=8192, swa_full=True).kv_bytes
    assert estimate(shape, n_ctx=8192).kv_bytes < 0.6 * whole


def test_recurrent_state_does_not_grow(tmp_path: Path) -> None:
    shape = ModelShape.from_header(read_header(tiny_model(tmp_path / "tiny.gguf", "mamba")))
    assert estimate(shape, n_ctx=256).kv_bytes == estimate(shape, n_ctx=8192).kv_bytes == shape.state_bytes > 0


def test_kv_cache_of_a_published_model() -> None:
    # Qwen3 4B: 36 layers, 8 KV heads of 128, K and V in 2 bytes: 147,456 bytes a token
    assert estimate(QWEN3_4B, n_ctx=4096).kv_bytes == 4096 * 147_456
    assert estimate(QWEN3_4B, n_ctx=4096, type_k="q8_0", type_v="q8_0").kv_bytes == 4096 * 147_456 * 17 // 32


def test_attention_that_is_not_fused_needs_its_matrix() -> None:
    fused, plain = (estimate(QWEN3_4B, n_ctx=4096, flash_attn=flash_attn) for flash_attn in (True, False))
    assert plain.compute_bytes - fused.compute_bytes == 128 * 4096 * 32 * 4


@pytest.mark.parametrize("name", list(Catalog.load().entries))
def test_every_catalog_model_has_an_estimate(name: str) -> None:
    entry = Catalog.load().entry(name)
    need = estimate(ModelShape.from_entry(entry), n_ctx=4096)
    assert entry.size_bytes < need.total_bytes < 2 * entry.size_bytes + 2 * GIB


def test_auto_takes_what_fits() -> None:
    options = LoadOptions()
    need = estimate(QWEN3_4B, n_ctx=4096).total_bytes
    assert choose_n_ctx(QWEN3_4B, options, need) == 4096
    assert choose_n_ctx(QWEN3_4B, options, 64 * GIB) == 4096
    n_ctx = choose_n_ctx(QWEN3_4B, options, need - 200 * MIB)
    assert 2048 < n_ctx < 4096
    assert fits(estimate(QWEN3_4B, n_ctx=n_ctx), need - 200 * MIB)
    assert not fits(estimate(QWEN3_4B, n_ctx=n_ctx + 256), need - 200 * MIB)


def test_auto_takes_no_more_than_the_model_was_trained_for() -> None:
    shape = ModelShape(
        weights_bytes=1, n_layer=1, n_embd=64, n_head=1, n_head_kv=1, head_dim=64, n_ff=64, n_vocab=9, n_ctx_train=300
    )
    assert choose_n_ctx(shape, LoadOptions(), GIB) == 300
    assert largest_n_ctx(shape, LoadOptions(), GIB, 300) == 300


def test_n_ctx_beyond_training_names_both_numbers() -> None:
    with pytest.raises(OptionError, match=r"n_ctx = 50,000: qwen3-4b was trained for 40,960 tokens"):
        choose_n_ctx(QWEN3_4B, LoadOptions(n_ctx=50_000), 64 * GIB)
    assert choose_n_ctx(QWEN3_4B, LoadOptions(n_ctx=40_960), 64 * GIB) == 40_960


def test_refusal_names_the_nearest_settings_that_fit() -> None:
    available = 13 * GIB // 4
    with pytest.raises(ModelTooLargeError) as refused:
        choose_n_ctx(QWEN3_4B, LoadOptions(n_ctx=20_480), available)
    message = str(refused.value)
    assert re.search(r"qwen3-4b needs [56]\.\d GiB of memory with n_ctx = 20,480", message)
    assert "3.2 GiB is free" in message
    offers = re.findall(
        r'with n_ctx = ([\d,]+)(?: and type_k = type_v = "(\w+)" \(--type-k \2 --type-v \2\))?', message
    )[1:]
    assert [name for _, name in offers] == ["", "q8_0", "q4_0"]
    for n_ctx, name in ((int(text.replace(",", "")), name or "f16") for text, name in offers):
        options = LoadOptions(type_k=name, type_v=name)
        check_fit(QWEN3_4B, options, n_ctx, available)
        with pytest.raises(ModelTooLargeError):
            check_fit(QWEN3_4B, options, n_ctx + 256, available)


def test_smaller_kv_types_are_offered_only_where_they_hold_more() -> None:
    def names(shape: ModelShape, options: LoadOptions, n_ctx: int = 20_480, n_bytes: int = 13 * GIB // 4) -> list[str]:
        return [found.name for found in smaller_kv_types(shape, options, n_ctx, n_bytes)]

    assert names(QWEN3_4B, LoadOptions()) == ["q8_0", "q4_0"]
    assert names(QWEN3_4B, LoadOptions(), n_ctx=8192) == ["q8_0"]  # all of it: nothing is left for q4_0 to win
    assert names(QWEN3_4B, LoadOptions(), n_bytes=64 * GIB) == []
    assert names(QWEN3_4B, LoadOptions(type_k="q8_0", type_v="q8_0")) == ["q4_0"]
    assert names(QWEN3_4B, LoadOptions(type_k="q4_0", type_v="q4_0")) == []
    assert names(QWEN3_4B, LoadOptions(flash_attn=False)) == []
    assert names(replace(QWEN3_4B, head_dim=80), LoadOptions()) == []  # of phi-2: no multiple of 32


def test_refusal_of_what_fits_in_no_way() -> None:
    for options in (LoadOptions(), LoadOptions(n_ctx=4096)):
        with pytest.raises(ModelTooLargeError, match="take a smaller or more strongly quantized model"):
            choose_n_ctx(QWEN3_4B, options, 2 * GIB)


def test_no_quantized_cache_is_proposed_where_it_cannot_be() -> None:
    with pytest.raises(ModelTooLargeError) as refused:
        choose_n_ctx(QWEN3_4B, LoadOptions(n_ctx=12_288, flash_attn=False), 4 * GIB)
    assert "q8_0" not in str(refused.value)


def test_gpu_is_not_measured() -> None:
    assert choose_n_ctx(QWEN3_4B, LoadOptions(n_gpu_layers=-1), 1) == 4096


def test_projector_is_no_language_model(tmp_path: Path) -> None:
    path = tmp_path / "mmproj.gguf"
    writer = GGUFWriter(path, "clip")
    writer.add_tensor("v.patch_embd.weight", np.zeros((4, 4), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelFormatError, match="projector"):
        ModelShape.from_header(read_header(path))


def test_encoder_is_no_language_model(tmp_path: Path) -> None:
    header = read_header(tiny_model(tmp_path / "tiny.gguf"))
    encoder = replace(header, metadata={**header.metadata, "general.architecture": "bert"})
    with pytest.raises(ModelFormatError, match="an encoder for embeddings"):
        ModelShape.from_header(encoder)
