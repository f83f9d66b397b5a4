"""The same Session on an ONNX folder: conversations, kept states, and the folder among the installed models."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from edgeai import EngineCrashedError, ModelFormatError, ModelNotFoundError, Session
from edgeai.backends.base import Finished, GenerateRequest
from edgeai.catalog import Catalog, uninstall
from edgeai.engine import crash_marks
from edgeai.engine.load import load
from edgeai.installed import add_model, read_installed, verify_model
from edgeai.kv_store.room import kept_states, states_dir
from edgeai.model_list import all_models, memory_at, model_facts
from edgeai.options import Isolation, LoadOptions, SamplingOptions
from tests.engine.children import engine, wait_for
from tests.tiny import tiny_model
from tests.tiny_onnx import tiny_onnx

TEXT = "A question that is long enough to be read in several pieces. " * 4
DOCUMENT = [(7 * index) % 150 + 3 for index in range(210)]
QUESTION, OTHER = list(range(20, 41)), list(range(60, 91))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_onnx(tmp_path_factory.mktemp("tiny") / "tiny")


def test_a_conversation_is_that_of_the_gguf_file(folder: Path, tmp_path: Path) -> None:
    turns = []
    gguf = tiny_model(tmp_path / "tiny.gguf")
    opened: list[tuple[Path, dict[str, Any]]] = [
        (folder, {"isolation": "process"}),
        (folder, {"isolation": "none"}),
        (gguf, {"type_k": "f32", "type_v": "f32"}),
    ]
    for path, options in opened:
        with Session(path, n_threads=1, **options) as session:
            first = session.chat("Hello <|im_end|>", temperature=0, max_tokens=20)
            second = session.chat("日本語?", temperature=0, max_tokens=20)
            turns.append([first.text, second.text, first.usage, second.usage, session.n_evaluated, session.messages])
            assert session.info.n_ctx == 512
    assert turns[0] == turns[1] == turns[2]


def test_progress_json_and_stops(folder: Path) -> None:
    shares: list[float] = []
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    with Session(folder, n_batch=32, on_load_progress=shares.append) as session:
        assert shares == sorted(shares)
        assert shares[-1] == 1
        progress: list[Any] = []
        response = session.chat(TEXT, on_progress=progress.append, max_tokens=3)
        assert response.finish_reason == "length"
        assert len(progress) > 4
        parsed = session.chat("Yes?", response_format=schema, max_tokens=40, temperature=0).parsed
        assert set(parsed) == {"ok"}
        response = session.chat("Go on", max_tokens=200)
        wait_for(lambda: response.n_tokens > 3)
        response.cancel()
        assert response.finish_reason == "cancelled"
        assert session.info.provider == "cpu"


@pytest.mark.skipif(sys.platform != "linux", reason="other platforms have no such sandbox")
def test_no_library_starts_a_thread_before_the_sandbox_closes(folder: Path) -> None:
    with Session(folder) as session:
        assert not [gap for gap in engine(session).sandbox.missing if "threads" in gap]


def test_a_crash_is_an_error_and_the_next_call_goes_on(folder: Path) -> None:
    with Session(folder, n_threads=1) as session:
        response = session.chat("More", max_tokens=400, temperature=0)
        wait_for(lambda: response.n_tokens > 3)
        os.kill(engine(session).pid, signal.SIGSEGV)
        with pytest.raises(EngineCrashedError, match="SIGSEGV"):
            response.text  # noqa: B018
        assert session.chat("More", temperature=0, max_tokens=5).usage.completion_tokens == 5


def test_a_folder_that_crashed_the_engine_twice_is_not_tried_again(folder: Path) -> None:
    error = EngineCrashedError(doing="loading the model", signal="SIGSEGV")
    for _ in range(crash_marks.MAX_CRASHES):
        crash_marks.note_crash(folder / "model.onnx", error)
    with pytest.raises(ModelFormatError, match="it is not tried again"):
        Session(folder)
    assert crash_marks.forget(Catalog.load().resolve(folder).path)
    Session(folder).close()


def kept_answer(
    folder: Path, tokens: list[int], isolation: Isolation = "none", **options: Any
) -> tuple[list[int], int]:
    """The tokens of an answer, and how many of the prompt were not evaluated."""
    chosen = {"n_ctx": 512, "n_batch": 64, "n_threads": 1, "keep_states": True, **options}
    backend = load(folder, LoadOptions(isolation=isolation, **chosen)).backend
    sampling = SamplingOptions(temperature=0, max_tokens=12)
    *_, last = backend.generate(GenerateRequest(tokens, sampling, keep_at=(len(DOCUMENT),)))
    backend.close()
    assert isinstance(last, Finished)
    return list(last.tokens), last.usage.cached_tokens


@pytest.mark.parametrize("isolation", ["none", "process"])
def test_another_process_answers_as_a_fresh_evaluation_does(folder: Path, isolation: Isolation) -> None:
    n = len(DOCUMENT)
    fresh = kept_answer(folder, DOCUMENT + QUESTION, isolation)
    assert fresh[1] == 0
    assert kept_answer(folder, DOCUMENT + QUESTION, isolation) == (fresh[0], n)
    other = kept_answer(folder, DOCUMENT + OTHER, isolation, keep_states=False)
    assert kept_answer(folder, DOCUMENT + OTHER, isolation) == (other[0], n)
    assert [kept.n_tokens for kept in kept_states(states_dir())] == [n]


def test_what_counts_makes_another_key(folder: Path, tmp_path: Path) -> None:
    kept_answer(folder, DOCUMENT + QUESTION)
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert kept_answer(copy, DOCUMENT + QUESTION)[1] == len(DOCUMENT), "the content counts, not the name"
    changes: list[dict[str, Any]] = [{"n_ctx": 400}, {"n_batch": 32}]
    for changed in changes:
        assert kept_answer(folder, DOCUMENT + QUESTION, **changed)[1] == 0
    other = tiny_onnx(tmp_path / "other", seed=1)
    assert kept_answer(other, DOCUMENT + QUESTION)[1] == 0


def test_the_window_is_what_was_asked_for_and_fits(folder: Path, tmp_path: Path) -> None:
    with Session(folder, n_ctx=100) as session:
        assert session.n_ctx == 100
        response = session.complete("Hello", temperature=0)
        assert response.finish_reason == "context_full"
    with pytest.raises(ValueError, match="trained for 512 tokens"):
        Session(folder, n_ctx=513)
    huge = tiny_onnx(tmp_path / "huge", n_ctx_train=2**30)
    with pytest.raises(MemoryError, match=r"needs [\d.]+ GiB of memory .* it fits with n_ctx"):
        Session(huge, n_ctx=2**30)


# --- among the models


def test_a_folder_is_found_by_its_path_and_by_its_graph(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = Catalog.load()
    monkeypatch.chdir(folder.parent)
    for asked in (folder, str(folder), "tiny", "./tiny/", folder / "model.onnx", "tiny/model.onnx"):
        found = catalog.resolve(asked)
        assert found.path.samefile(folder / "model.onnx")
        assert found.name == "tiny"


def test_a_vocabulary_beside_a_graph_is_no_model_but_a_model_is(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    tiny_model(copy / "vocab.gguf")
    assert Catalog.load().resolve(copy).path.name == "model.onnx"
    tiny_model(copy / "tiny.gguf")
    with pytest.raises(ModelNotFoundError, match="give the file itself"):
        Catalog.load().resolve(copy)
    assert Catalog.load().resolve(copy / "model.onnx").path.name == "model.onnx"


def test_changed_weights_are_not_added(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    with (copy / "model.onnx.data").open("r+b") as file:
        file.write(b"\1\2\3\4")
    with pytest.raises(ModelFormatError, match="data: changed since it was built"):
        add_model(copy)
    assert not Catalog.load().installed()


@pytest.mark.parametrize("link", [False, True])
def test_a_folder_can_be_added_listed_verified_and_removed(folder: Path, tmp_path: Path, link: bool) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "My Model v1.5"))
    model = add_model(copy, link=link)
    assert model.name == "my-model-v1.5"
    assert model.exists
    assert model.is_link is link
    assert model.licence == "Apache-2.0"
    assert model.size_bytes == sum(path.stat().st_size for path in copy.iterdir())
    assert verify_model(model.name)
    facts = model_facts(model.name)
    assert (facts.title, facts.architecture, facts.ftype) == ("tiny-onnx", "llama", "ONNX 32 bits")
    assert facts.has_chat_template
    assert facts.fits
    assert not facts.problem
    assert memory_at(facts, (256, 512, 1024))[-1][0] == 512
    assert [facts.name for facts in all_models() if facts.installed] == [model.name]
    with Session(model.name) as session:
        assert session.complete("Hello", max_tokens=2, temperature=0).usage.completion_tokens == 2
    weights = model.path.resolve().with_name("model.onnx.data")
    with weights.open("r+b") as file:
        file.write(b"\1\2\3\4")
    assert not verify_model(model.name)
    weights.unlink()
    assert "gone" in model_facts(model.name).problem or "missing" in model_facts(model.name).problem
    assert uninstall(model.name).name == model.name
    assert copy.is_dir()
    with pytest.raises(ModelNotFoundError):
        read_installed(model.name)


def test_a_folder_that_is_put_there_by_hand_is_a_model(folder: Path, home: Path) -> None:
    shutil.copytree(folder, home / "models" / "mine")
    assert read_installed("mine").path.name == "model.onnx"
    assert verify_model("mine"), "by the hashes that it was written with"
    assert Catalog.load().resolve("mine").path.parent.name == "mine"
