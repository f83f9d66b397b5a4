"""`edgeai history`, run as a person runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edgeai.history import History
from tui.cli import main
from tui.commands.history import _local_time

HOSTILE = "\x1b]0;owned\x07[bold]title[/] \x9b2J\u202e電源"


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEAI_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def conversation_id() -> str:
    with History() as history:
        conversation = history.create(model="m")
        question, answer = history.begin_turn(conversation.id, None, HOSTILE)
        history.finish_turn(answer, "first [red]answer[/]")
        history.finish_turn(history.begin_answer(question), "second answer")
    return conversation.id


def output(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> str:
    assert main(["history", *args]) == code
    text = capsys.readouterr().out
    assert not any(character in text for character in "\x1b\x07\x9b\u202e")
    return text


def test_nothing_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert output(capsys, "list") == ""
    assert json.loads(output(capsys, "list", "--json")) == []


def test_list(capsys: pytest.CaptureFixture[str], conversation_id: str) -> None:
    text = output(capsys, "list")
    assert re.search(rf"{conversation_id} .* 3 +\[bold\]title\[/\] 2J電源", text)
    (row,) = json.loads(output(capsys, "list", "--json"))
    assert (row["id"], row["title"], row["n_messages"]) == (conversation_id, HOSTILE, 3)


def test_a_long_title_leaves_room_for_the_rest(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with History() as history:
        conversation = history.create(model="a-model-with-a-long-name-q4_k_m", title="長い題名 " * 20)
    text = output(capsys, "list")
    assert re.search(rf"{conversation.id} +{_local_time(conversation.updated)} +0 +長い題名", text)
    assert text.count("長い題名") == 20


def test_show(capsys: pytest.CaptureFixture[str], conversation_id: str) -> None:
    text = output(capsys, "show", conversation_id[:4])
    assert text.endswith("\nYou\n[bold]title[/] 2J電源\n\nAssistant  2/2\nsecond answer\n")
    document = json.loads(output(capsys, "show", conversation_id, "--json"))
    contents = [message["content"] for message in document["messages"]]
    assert contents == [HOSTILE, "first [red]answer[/]", "second answer"]


def test_search(capsys: pytest.CaptureFixture[str], conversation_id: str) -> None:
    assert f"{conversation_id}  [bold]title[/] 2J電源\n    Assistant: second answer\n" in output(
        capsys, "search", "second", "answer"
    )
    hits = json.loads(output(capsys, "search", "--json", "電源"))
    assert [hit["role"] for hit in hits] == [None, "user"]
    assert output(capsys, "search", '"', "AND", "nothing") == ""


def test_a_search_for_part_of_an_escape_sequence_shows_none(
    capsys: pytest.CaptureFixture[str], conversation_id: str
) -> None:
    assert "owned" in output(capsys, "search", "owned")


def test_export_to_stdout_and_files(capsys: pytest.CaptureFixture[str], conversation_id: str, tmp_path: Path) -> None:
    assert output(capsys, "export", conversation_id).endswith("## Assistant\n\nsecond answer\n")
    assert json.loads(output(capsys, "export", conversation_id, "--format", "json"))["id"] == conversation_id

    out = tmp_path / "new" / "chat.json"
    output(capsys, "export", conversation_id, "--out", str(out))
    assert json.loads(out.read_text())["format"] == "edgeai-conversation"
    output(capsys, "export", conversation_id, "--out", str(out), "--format", "md", code=1)
    assert out.read_text().startswith("{")
    output(capsys, "export", conversation_id, "--out", str(out), "--format", "md", "--force")
    assert out.read_text().startswith("# ")


def test_import_adds_what_was_exported(
    capsys: pytest.CaptureFixture[str], conversation_id: str, tmp_path: Path
) -> None:
    out = tmp_path / "chat.json"
    output(capsys, "export", conversation_id, "--out", str(out))
    output(capsys, "import", str(out))
    with History() as history:
        copy, original = history.conversations()
        assert copy.id != original.id
        assert [message.content for message in history.path(copy.id)] == [HOSTILE, "second answer"]
    out.write_bytes(b"\xff\xfe{")
    output(capsys, "import", str(out), code=1)


def test_delete(capsys: pytest.CaptureFixture[str], conversation_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["history", "delete", conversation_id]) == 2
    assert "--yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _prompt: "n")
    output(capsys, "delete", conversation_id)
    with History() as history:
        assert len(history.conversations()) == 1
    output(capsys, "delete", conversation_id, "nothere", "--yes", code=1)
    with History() as history:
        assert len(history.conversations()) == 1  # all or none
    output(capsys, "delete", conversation_id, "--yes")
    with History() as history:
        assert history.conversations() == []


def test_errors_are_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["history", "show", "x\x1b[2J\ny"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "history.db").write_bytes(b"not a database" * 100)
    for args in (["list"], ["search", "x"], ["show", "x"], ["export", "x"], ["delete", "x"]):
        assert main(["history", *args]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1
