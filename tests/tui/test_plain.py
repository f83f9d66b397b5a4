"""The conversation line by line: through pipes, on a terminal, and what is stored of it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeai.history import History
from tests.fakes import FakeBackend
from tests.tui.terminal import FakeModels, pipe_in
from tui.app import EdgeAIApp
from tui.cli import main

CHAT = [sys.executable, "-c", "import sys; from tui.cli import main; sys.exit(main())", "chat"]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> FakeModels:
    return FakeModels(monkeypatch, FakeBackend())


def chat(monkeypatch: pytest.MonkeyPatch, lines: str, *args: str) -> int:
    pipe_in(monkeypatch, lines.encode("utf-8", "surrogatepass"))
    return main(["chat", *args])


def stored() -> list[list[tuple[str, str, str]]]:
    """Role, text and status of each message, by conversation, the oldest first."""
    with History() as history:
        return [
            [(message.role, message.content, message.status) for message in history.path(conversation.id)]
            for conversation in reversed(history.conversations())
        ]


def test_each_piped_line_is_a_turn(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models.backend.enqueue("one", "two\nlines\n\n")
    assert chat(monkeypatch, "first\n\n  second 日本", "--plain") == 0
    assert capsys.readouterr() == ("one\n\ntwo\nlines\n\n", "")
    assert models.prompts[1] == (
        "<|im_start|>user\nfirst<|im_end|>\n<|im_start|>assistant\none<|im_end|>\n"
        "<|im_start|>user\nsecond 日本<|im_end|>\n<|im_start|>assistant\n"
    )
    assert stored() == [
        [
            ("user", "first", "complete"),
            ("assistant", "one", "complete"),
            ("user", "second 日本", "complete"),
            ("assistant", "two\nlines\n\n", "complete"),
        ]
    ]
    assert models.backend.closed


def test_without_a_terminal_it_is_plain_by_itself(models: FakeModels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EdgeAIApp, "run", lambda _app: pytest.fail("there is no terminal"))
    assert chat(monkeypatch, "q\n") == 0
    assert len(stored()) == 1


def test_devices_are_of_no_use_line_by_line(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(monkeypatch, "", "--input", "vmic") == 0
    assert capsys.readouterr().err.count("note: --input, --output and --echo are for talking in the window") == 1


def test_bytes_that_are_no_text(models: FakeModels, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe_in(monkeypatch, b"a \xff b\r\n")
    assert main(["chat"]) == 0
    assert stored()[0][0] == ("user", "a \ufffd b", "complete")


def test_no_input_no_conversation(models: FakeModels, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chat(monkeypatch, "") == 0
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["chat"]) == 0
    assert stored() == []


def test_numbers_about_the_answer_are_stored(models: FakeModels, monkeypatch: pytest.MonkeyPatch) -> None:
    models.backend.enqueue("a b c")
    chat(monkeypatch, "q")
    with History() as history:
        answer = history.path(history.conversations()[0].id)[-1]
    assert answer.stats["usage"]["completion_tokens"] == 3
    assert (answer.stats["model"], answer.stats["finish_reason"]) == ("Fake", "stop")


def test_commands(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    models.backend.enqueue("one", "again", "two", "three")
    lines = [
        "/help",
        "/system",
        "/system Be brief.",
        "first",
        "/regenerate",
        "/system -",
        " /help",
        "/save chat.md",
        "/save chat.json",
        "/reset",
        "/etc/hosts what is it",
        "/quit",
        "never said",
    ]
    assert chat(monkeypatch, "\n".join(lines)) == 0
    captured = capsys.readouterr()
    assert captured.out == "one\n\nagain\n\ntwo\n\nthree\n\n"
    assert "/regenerate" in captured.err
    assert "There is no system prompt.\nBe brief.\n" in captured.err
    assert models.prompts[0] == models.prompts[1]
    assert "system\nBe brief." in models.prompts[0]
    assert "system" not in models.prompts[2]
    assert "<|im_start|>assistant\nagain" in models.prompts[2]
    assert "<|im_start|>user\n/help<|im_end|>" in models.prompts[2]
    assert models.prompts[3].startswith("<|im_start|>user\n/etc/hosts what is it<|im_end|>")
    assert [len(conversation) for conversation in stored()] == [4, 2]
    assert (tmp_path / "chat.md").read_text().endswith("## You\n\n/help\n\n## Assistant\n\ntwo\n")
    assert len(json.loads((tmp_path / "chat.json").read_text())["messages"]) == 5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/regenerate", "no answer"),
        ("/save x.md", "nothing to save"),
        ("/save", "needs a file"),
        ("/nonsense", "no command"),
        ("long " * 2000, "n_ctx"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_the_next_goes_on(
    models: FakeModels,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    message: str,
) -> None:
    models.backend.enqueue("fine")
    assert chat(monkeypatch, f"{line}\nq\n") == 1
    captured = capsys.readouterr()
    assert captured.out == "fine\n\n"
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert len(stored()) == 1


def test_save_overwrites_nothing(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "x.md").write_text("mine")
    assert chat(monkeypatch, f"q\n/save {tmp_path}/x.md\n") == 1
    assert (tmp_path / "x.md").read_text() == "mine"
    assert "already" in capsys.readouterr().err


def test_a_failed_answer_is_stored_as_one(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models.backend.enqueue(RuntimeError("broke"), "fine")
    assert chat(monkeypatch, "q1\nq2\n") == 1
    assert "error: broke" in capsys.readouterr().err
    statuses = [status for _, _, status in stored()[0]]
    assert statuses == ["complete", "error", "complete", "complete"]
    assert "q1" not in models.prompts[1]


def test_history_can_be_gone_without(models: FakeModels, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    models.backend.enqueue("one")
    assert chat(monkeypatch, "first\nsecond\n", "--no-history") == 0
    assert "one" in models.prompts[1]
    assert not home.exists()
    assert chat(monkeypatch, "", "--no-history", "--continue") == 2


def test_going_on_with_a_conversation(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models.backend.enqueue("one")
    assert chat(monkeypatch, "first\n", "--continue", "--system", "Old.", "--top-k", "7") == 0
    assert "this is the first" in capsys.readouterr().err
    chat(monkeypatch, "other\n")
    with History() as history:
        first = history.conversations()[-1]
    assert chat(monkeypatch, "second\n", "--conversation", first.id[:6], "--temperature", "0") == 0
    assert "Old." in models.prompts[-1]
    assert "one<|im_end|>\n<|im_start|>user\nsecond" in models.prompts[-1]
    assert chat(monkeypatch, "third\n", "--continue") == 0
    sampling = models.backend.requests[-1].sampling
    assert (sampling.top_k, sampling.temperature) == (7, 0)
    assert [len(conversation) for conversation in stored()] == [2, 6]
    assert chat(monkeypatch, "", "--conversation", "nothere") == 1


def test_a_conversation_goes_on_with_its_own_model(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    chat(monkeypatch, "q\n")
    chat(monkeypatch, "q\n", "--continue")
    assert "Fake is not installed any more" in capsys.readouterr().err
    with History() as history:
        history.update(history.conversations()[0].id, model=str(tmp_path / "kept.gguf"))
    (tmp_path / "kept.gguf").write_bytes(b"GGUF")
    chat(monkeypatch, "q\n", "--continue")
    chat(monkeypatch, "q\n", "--continue", "-m", "other")
    assert [model for model, _ in models.opened] == [None, None, str(tmp_path / "kept.gguf"), "other"]


def test_the_window_gets_what_was_asked_for(models: FakeModels, monkeypatch: pytest.MonkeyPatch) -> None:
    chat(monkeypatch, "q\n")
    made: list[EdgeAIApp] = []
    monkeypatch.setattr("tui.commands.chat._has_terminal", lambda: True)
    monkeypatch.setattr(EdgeAIApp, "run", lambda app: made.append(app))
    assert chat(monkeypatch, "", "--continue", "--n-ctx", "512", "--temperature", "0", "-m", "some") == 0
    (app,) = made
    with History() as history:
        (conversation,) = history.conversations()
    assert app._conversation_id == conversation.id
    assert json.loads(conversation.settings) == {"temperature": 0}
    app.engine._open_session("some", on_load_progress=print).close()
    assert models.opened[-1] == ("some", {"keep_states": True, "n_ctx": 512, "on_load_progress": print})


def test_an_interrupted_answer_is_told_of(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import os; from edgeai.history import History; h = History(); "
        "h.begin_turn(h.create().id, None, 'q'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert chat(monkeypatch, "") == 0
    assert "was interrupted" in capsys.readouterr().err
    assert stored() == [[("user", "q", "complete"), ("assistant", "", "interrupted")]]


def test_ctrl_c_ends_what_is_piped_in(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models.backend.gate.clear()
    interrupt = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    assert chat(monkeypatch, "q1\nq2\n") == 130
    interrupt.join()
    assert [status for _, _, status in stored()[0]] == ["complete", "cancelled"]


def test_a_damaged_store_is_told_of_in_one_line(
    models: FakeModels, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    home.mkdir()
    (home / "history.db").write_bytes(b"damaged" * 1000)
    assert chat(monkeypatch, "q\n") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1


# --- the real model, on a real terminal ---


@pytest.mark.weights
def test_through_pipes(real_model: Path) -> None:
    lines = "My name is Ada.\nWhat is my name?\n"
    args = ["-m", str(real_model), "--temperature", "0", "--max-tokens", "30"]
    done = subprocess.run([*CHAT, *args], input=lines, capture_output=True, text=True, check=True)
    assert done.stdout.count("\n\n") >= 2
    assert done.stderr == ""
    with History() as history:
        question, answer, _, second = history.path(history.conversations()[0].id)
    assert question.content == "My name is Ada."
    assert answer.content.rstrip("\n") + "\n\n" + second.content.rstrip("\n") + "\n\n" == done.stdout
    assert second.stats["usage"]["cached_tokens"] > 10


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str]) -> None:
        self._ours, theirs = os.openpty()
        self.shown = ""
        environment = {**os.environ, "TERM": "xterm"}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env=environment
        )
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait_for(self, text: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Read until the screen has shown this since the last call."""
        until = time.monotonic() + 60
        while text not in self.shown:
            assert time.monotonic() < until, f"expected {text!r}, shown: {self.shown!r}"
            meanwhile()
            if select.select([self._ours], [], [], 1.0)[0]:
                self.shown += os.read(self._ours, 4096).decode("utf-8", "replace")
        self.shown = self.shown.partition(text)[2]

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal(real_model: Path) -> Iterator[Terminal]:
    terminal = Terminal([*CHAT, "--plain", "-m", str(real_model), "--temperature", "0", "--n-ctx", "2048"])
    yield terminal
    terminal.close()


LONG = "Count from one to five hundred in words.\n"


@pytest.mark.weights
@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")
def test_on_a_terminal(terminal: Terminal) -> None:
    terminal.wait_for("/help shows the commands")
    terminal.wait_for("> ")
    terminal.type(LONG)
    terminal.wait_for("\r\n")  # the echo of what was typed
    terminal.wait_for(" ")
    terminal.interrupt()
    terminal.wait_for("> ")
    # Now that nothing runs. A signal just before the line editor waits is heard at the next key only, so press again.
    terminal.wait_for("Ctrl-D or /quit leaves", meanwhile=terminal.interrupt)
    terminal.type("/system\n")
    terminal.wait_for("There is no system prompt.")
    terminal.wait_for("> ")
    terminal.type("\x04")
    assert terminal.process.wait(20) == 0
    ((question, answer),) = stored()
    assert question == ("user", LONG.strip(), "complete")
    assert answer[1]
    assert answer[2] == "cancelled"


@pytest.mark.weights
@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")
def test_killed_while_it_answers(terminal: Terminal, real_model: Path) -> None:
    terminal.wait_for("> ")
    terminal.type("Hello!\n")
    terminal.wait_for("\r\n\r\n> ")
    terminal.type(LONG)
    terminal.wait_for("\r\n")
    terminal.wait_for(" ")
    terminal.process.kill()
    terminal.process.wait()
    done = subprocess.run([*CHAT, "-m", str(real_model)], input="", capture_output=True, text=True, check=True)
    assert "was interrupted" in done.stderr
    ((_, hello, question, lost),) = stored()
    assert hello[1]
    assert hello[2] == "complete"
    assert question == ("user", LONG.strip(), "complete")
    assert lost[2] == "interrupted"
