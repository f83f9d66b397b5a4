"""What a terminal says that it can show, and terminals that say nothing."""

from __future__ import annotations

import io
import os
import pty
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from tui import graphics as asking
from tui.graphics import Graphics, graphics, read_answer

KITTY = b"\x1b_Gi=31;OK\x1b\\"


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("TERM_PROGRAM", "STY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    graphics.cache_clear()
    yield
    graphics.cache_clear()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (KITTY + b"\x1b[6;18;9t\x1b[?62;c", Graphics("kitty", (9, 18))),
        (b"\x1b_Gi=31;ENOTSUPPORTED:no\x1b\\\x1b[?62;4c", Graphics("sixel")),
        (b"\x1b[6;20;8t\x1b[?62;4;22c", Graphics("sixel", (8, 20))),
        (b"typed\x1b[?1;2;4cmore", Graphics("sixel")),
        (b"\x1b[?4c", Graphics("blocks")),  # the first number is the terminal's kind
        (b"\x1b[?64;14;40;44c", Graphics("blocks")),
        (b"\x1b[6;0;0t\x1b[?1;2c", Graphics("blocks")),
        (b"\x1b[6;99999;99999t\x1b[?1;2c", Graphics("blocks")),
        (b"", Graphics("blocks")),
        (b"\xff\x1b[?;;c", Graphics("blocks")),
    ],
)
def test_answers(answer: bytes, expected: Graphics) -> None:
    assert read_answer(answer) == expected


class Terminal:
    """A pseudo-terminal in place of stdin and stdout that answers in pieces when it is asked who it is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: Sequence[bytes]) -> None:
        self._master, slave = pty.openpty()
        self.stream = os.fdopen(slave, "r")
        self.question = b""
        monkeypatch.setattr(sys, "stdin", self.stream)
        monkeypatch.setattr(sys, "stdout", self.stream)
        self._answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def settings(self) -> list[object]:
        return termios.tcgetattr(self.stream.fileno())

    def close(self) -> None:
        self.stream.close()
        self._thread.join()
        os.close(self._master)

    def _serve(self) -> None:
        try:
            while b"\x1b[c" not in self.question:
                self.question += os.read(self._master, 1024)
            for piece in self._answer:
                os.write(self._master, piece)
            while os.read(self._master, 1024):
                pass
        except OSError:  # the other end was closed
            pass


Make = Callable[[Sequence[bytes]], Terminal]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    made: list[Terminal] = []

    def make(answer: Sequence[bytes]) -> Terminal:
        made.append(Terminal(monkeypatch, answer))
        return made[-1]

    yield make
    monkeypatch.undo()
    for one in made:
        one.close()


def test_a_terminal_is_asked_once_and_left_as_it_was(terminal: Make) -> None:
    there = terminal([KITTY[:5], KITTY[5:] + b"\x1b[6;18", b";9t\x1b[?62", b";4c"])
    before = there.settings()
    assert graphics() == graphics() == Graphics("kitty", (9, 18))
    assert there.settings() == before
    assert there.question.count(b"\x1b[c") == 1


def test_a_silent_terminal_is_not_waited_for(terminal: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_ANSWER_S", 0.05)
    there = terminal([])
    before = there.settings()
    assert graphics() == Graphics()
    assert there.settings() == before


def test_an_endless_answer_ends(terminal: Make) -> None:
    terminal([b"x" * 500] * 20)
    assert graphics() == Graphics()


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("TERM", "linux"), ("TERM_PROGRAM", "Apple_Terminal")])
def test_who_would_show_the_question_is_not_asked(
    name: str, value: str, terminal: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = terminal([KITTY])
    monkeypatch.setenv(name, value)
    assert graphics() == Graphics()
    assert there.question == b""


def test_screen_is_not_asked_for_kitty_s_protocol(terminal: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STY", "1.pts")
    there = terminal([b"\x1b[?1;2c"])
    assert graphics() == Graphics()
    assert b"\x1b_G" not in there.question


def test_no_question_where_no_terminal_is_or_not_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(sys, "stdout", out)
    assert graphics() == Graphics()
    graphics.cache_clear()
    monkeypatch.setattr(out, "isatty", lambda: True)
    assert graphics() == Graphics()
    assert out.getvalue() == ""


def test_no_question_from_the_background(terminal: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    there = terminal([KITTY])
    monkeypatch.setattr("tui.graphics.os.tcgetpgrp", lambda _number: 0)
    assert graphics() == Graphics()
    assert there.question == b""
