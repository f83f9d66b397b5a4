"""`edgeai chat --plain` about documents, and `--doc` in both kinds of chat."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from edgeai import ModelTooLargeError, OptionError, SessionClosedError
from edgeai.documents.read import read_document
from edgeai.documents.types import Citation
from edgeai.history import History
from edgeai.response import Response
from edgeai.session import Session
from tests.fakes import FakeBackend
from tests.tui.documented import RESET, PreparedBackend, citation_of, manual_in
from tests.tui.terminal import FakeModels
from tests.tui.test_plain import chat
from tui.app import EdgeAIApp
from tui.cli import main
from tui.document_refs import refs_of
from tui.plain import LineChat
from tui.plain_documents import LineDocuments
from tui.settings import ConversationSettings
from tui.sources import from_stats

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeModels:
    """Fake models, in a folder of our own."""
    monkeypatch.chdir(tmp_path)
    return FakeModels(monkeypatch, FakeBackend())


def settings_of_last() -> dict[str, object]:
    with History() as history:
        return dict(json.loads(history.conversations()[0].settings))


def test_a_document_is_added_shown_and_removed(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    manual_in(tmp_path)
    assert chat(monkeypatch, "/doc\n/doc manual.md\nHow?\n/doc remove manual.md\nAnd?\n") == 0
    assert RESET in models.prompts[0]
    assert RESET not in models.prompts[1]
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["There is no document: /doc PATH adds one.", "manual.md (markdown)", "Removed: manual.md"]
    assert settings_of_last() == {}


def test_what_doc_cannot_do_is_said_and_counts_as_an_error(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    manual_in(tmp_path)
    assert chat(monkeypatch, "/doc none.md\n") == 1
    assert "none.md: no such file" in capsys.readouterr().err
    assert chat(monkeypatch, "/doc manual.md none.md\nHow?\n") == 1
    assert RESET in models.prompts[0]
    assert "error: not added: 1 of what /doc names" in capsys.readouterr().err
    assert chat(monkeypatch, "/doc manual.md\n/doc remove\n/doc\n") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[1:] == [
        "error: /doc remove: expected the name of one document, of these: manual.md",
        "manual.md (markdown)",
    ]


def test_a_document_that_is_gone_is_shown_and_can_be_removed(tmp_path: Path) -> None:
    documents = [read_document(manual_in(tmp_path))]
    manual_in(tmp_path).unlink()
    restored = LineDocuments(refs_of(documents))
    assert restored.obey("") == "manual.md (cannot be read)"
    with pytest.raises(OptionError, match=r"of these: manual\.md$"):
        restored.obey("remove other.md")
    assert restored.obey("remove manual.md") == "Removed: manual.md"
    assert restored.refs == ()


def test_documents_are_there_again_and_changes_are_told_of(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    manual, rules = manual_in(tmp_path), manual_in(tmp_path, "rules.md", "# Rules\n\nNo smoking.\n")
    assert chat(monkeypatch, "/doc manual.md rules.md\nHow?\n") == 0
    manual.write_text("# Manual\n\nPress the blue key.\n")
    rules.unlink()
    capsys.readouterr()
    assert chat(monkeypatch, "And now?\n", "--continue") == 0
    assert "Press the blue key." in models.prompts[-1]
    assert "No smoking" not in models.prompts[-1]
    error = capsys.readouterr().err
    assert "manual.md has changed" in error
    assert "rules.md: no such file" in error
    assert "goes on without it" in error
    rules.write_text("# Rules\n\nNo smoking.\n")
    assert chat(monkeypatch, "And now?\n", "--continue") == 0
    assert "No smoking" in models.prompts[-1]


def test_stored_ones_may_come_from_any_iterable(tmp_path: Path) -> None:
    one, other = manual_in(tmp_path), manual_in(tmp_path, "rules.md", "# Rules\n\nNo smoking.\n")
    documents = [read_document(one), read_document(other)]
    restored = LineDocuments(iter(refs_of(documents)), documents[1:])
    assert [document.path for document in restored.documents] == [one, other]


def test_a_path_that_became_a_folder_is_not_read_as_one(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    manual = manual_in(tmp_path)
    assert chat(monkeypatch, "/doc manual.md\nHow?\n") == 0
    manual.unlink()
    manual.mkdir()
    manual_in(manual, "secret.md", "Another's words.")
    capsys.readouterr()
    assert chat(monkeypatch, "And now?\n", "--continue") == 0
    assert "Another's words" not in models.prompts[-1]
    error = capsys.readouterr().err
    assert f"{manual}: it is a folder" in error
    assert "goes on without it" in error


def test_a_new_conversation_keeps_the_documents_of_the_run(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manual_in(tmp_path)
    assert chat(monkeypatch, "one\n/reset\ntwo\n", "--doc", "manual.md") == 0
    assert [RESET in prompt for prompt in models.prompts] == [True, True]
    with History() as history:
        assert all("manual.md" in item.settings for item in history.conversations())


def test_a_library_is_searched_in_every_conversation_of_the_run(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    manual, rules = manual_in(tmp_path), manual_in(tmp_path, "rules.md", "# Rules\n\nNo smoking near the tank.\n")
    assert main(["docs", "add", str(rules)]) == 0
    question = "No smoking near the tank?"
    capsys.readouterr()
    lines = f"{question}\n/reset\n{question}\n/doc {manual.name}\nHold the red key?\n"
    assert chat(monkeypatch, lines, "--library", "default") == 0
    assert ["No smoking" in prompt for prompt in models.prompts[:2]] == [True, True]
    assert RESET in models.prompts[2]
    assert capsys.readouterr().err.splitlines() == ["manual.md (markdown)", "default (library)"]
    assert [ref["path"] for ref in settings_of_last()["documents"]] == [str(manual)]  # type: ignore[attr-defined]
    assert chat(monkeypatch, "x\n", "--library", "none") == 1
    assert "none" in capsys.readouterr().err


def test_the_window_searches_a_library(models: FakeModels, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert main(["docs", "add", str(manual_in(tmp_path))]) == 0
    given: list[tuple[str, ...]] = []

    def run(app: EdgeAIApp) -> None:
        with app.engine._open_session("some", on_load_progress=print) as session:
            given.append(tuple(getattr(source, "folder", Path()).name for source in session.documents))
            session.chat("How is it reset with the red key?").wait()

    monkeypatch.setattr("tui.commands.chat._has_terminal", lambda: True)
    monkeypatch.setattr(EdgeAIApp, "run", run)
    assert chat(monkeypatch, "", "--library", "default", "-m", "some") == 0
    assert given == [("default",)]
    assert RESET in models.prompts[-1]


def test_errors_are_one_line_each(models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert chat(monkeypatch, "/doc gone.md\n/doc remove gone.md\n") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "gone.md: no such file" in lines[0]
    assert lines[1].startswith("error: not added: 1 of what /doc names")
    assert lines[2].startswith("error: /doc remove gone.md: expected the name of one document")


def test_sources_are_listed_and_stored(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    citation: Citation = citation_of(tmp_path / "manual.md")
    monkeypatch.setattr(Response, "citations", property(lambda _self: (citation,)))
    assert chat(monkeypatch, "How?\n") == 0
    assert "[1] manual.md l. 5 · Manual › Reset" in capsys.readouterr().err
    with History() as history:
        path = history.path(history.conversations()[0].id)
    assert from_stats(path[1].stats["citations"]) == (citation,)


def test_the_window_gets_the_documents_and_may_open_a_larger_one(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manual, rules = manual_in(tmp_path), manual_in(tmp_path, "rules.md")
    assert chat(monkeypatch, "How?\n", "--doc", "manual.md") == 0
    made: list[EdgeAIApp] = []
    monkeypatch.setattr("tui.commands.chat._has_terminal", lambda: True)
    monkeypatch.setattr(EdgeAIApp, "run", lambda app: made.append(app))
    assert chat(monkeypatch, "", "--continue", "--doc", "rules.md", "--doc", "none.md", "-m", "some") == 0
    assert made[0]._n_unreadable == 1
    assert [ref["path"] for ref in settings_of_last()["documents"]] == [str(manual), str(rules)]  # type: ignore[attr-defined]
    assert [ref.path for ref in made[0].default_settings.documents] == [str(rules)]
    made[0].engine._open_session("some", on_load_progress=print, n_ctx=8192).close()
    assert models.opened[-1] == ("some", {"keep_states": True, "n_ctx": 8192, "on_load_progress": print})
    assert chat(monkeypatch, "", "--n-ctx", "512", "-m", "some") == 0
    made[1].engine._open_session("some", on_load_progress=print, n_ctx=8192).close()
    assert models.opened[-1][1]["n_ctx"] == 512


class Windows:
    """Opens fake models with the window that is asked for, up to what fits."""

    def __init__(self, fits: int) -> None:
        self.fits = fits
        self.opened: list[int] = []
        self.sessions: list[Session] = []
        self.backend = PreparedBackend()

    def __call__(self, n_ctx: int) -> Session:
        self.opened.append(n_ctx)
        if n_ctx > self.fits:
            raise ModelTooLargeError(f"n_ctx = {n_ctx:,} does not fit")
        self.backend = PreparedBackend(n_ctx, n_ctx_train=65_536)
        self.backend.enqueue("answer")
        self.sessions.append(Session(backend=self.backend))
        return self.sessions[-1]


def line_chat(windows: Windows, history: History) -> LineChat:
    return LineChat(windows(4096), history, ConversationSettings(), reopen=windows)


@pytest.mark.parametrize(
    ("fits", "opened", "line"),
    [
        (65_536, [4096, 16_384], "note: the context window holds 16,384 tokens now, so that the documents fit"),
        (
            4096,
            [4096, 16_384, 4096],
            "note: the context window stays at 4,096 tokens (n_ctx = 16,384 does not fit): passages of the documents "
            "are read",
        ),
    ],
)
def test_a_document_opens_a_larger_window_where_there_is_memory_for_it(
    fits: int, opened: list[int], line: str, capsys: Capture, tmp_path: Path
) -> None:
    text = "".join(f"Part {number} stands on the back side of the pump.\n\n" for number in range(700))
    long, short = manual_in(tmp_path, "long.md", text), manual_in(tmp_path)
    windows = Windows(fits)
    with History(":memory:") as history, closing(line_chat(windows, history)) as chat:
        assert chat.say("Hello")
        assert chat.doc(str(short)) == "manual.md (markdown)"
        assert windows.opened == [4096]
        chat.doc(str(long))
        chat.doc("remove manual.md")
        assert windows.opened == opened
        assert capsys.readouterr().err.splitlines() == [line]
        windows.backend.enqueue("answer")
        assert chat.say("Where does part 7 stand?")
        assert "Hello" in windows.backend.prompt()  # the conversation goes on
        assert [item.role for item in history.path(history.conversations()[0].id)] == ["user", "assistant"] * 2
        last = windows.sessions[-1]
    with pytest.raises(SessionClosedError):
        last.chat("?")
