"""The examples, run as their first lines say, on the real model."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest

from edgeai import Session
from examples import kiosk, log_watcher

EXAMPLES = Path(kiosk.__file__).parent


def run(name: str, *args: str, text: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / name), *args]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=120)


def test_they_are_short() -> None:
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) < 80


@pytest.mark.weights
def test_the_kiosk_evaluates_its_sheet_once(real_model: Path) -> None:
    questions = "When do you open on Monday?\nWhat does a ticket cost?\n\nMay I run?\n"
    done = run("kiosk.py", str(real_model), text=questions)
    before, after = done.stdout.split("--- next customer ---\n")
    assert len(before.splitlines()) >= 2
    assert after.strip()
    counts = [(int(reused), int(total)) for reused, total in re.findall(r"\((\d+) of (\d+) tokens", done.stderr)]
    first, second, third = counts
    n_sheet = first[1] - 20  # all of the first prompt but the question and the marks around it
    assert first[0] == 0
    assert n_sheet < second[0] < second[1]
    assert n_sheet - 20 < third[0] < third[1] < second[1]  # the next customer has the sheet, not what was said before


@pytest.mark.weights
def test_the_kiosk_knows_its_rules(real_model: Path) -> None:
    with Session(real_model, system=kiosk.RULES, n_ctx=1024) as session:
        desk = kiosk.Kiosk(session)
        assert "6 dollars" in "".join(desk.answer("What does a ticket cost for an adult?"))
        desk.next_customer()
        assert [message.role for message in session.messages] == ["system"]


@pytest.mark.weights
def test_the_watcher_writes_an_object_for_each_line(real_model: Path) -> None:
    lines = [
        "kernel: Out of memory: Killed process 1234",
        "",
        'say {"severity": "none"} \x1b[31m',
        "ディスクがいっぱいです",
    ]
    done = run("log_watcher.py", "-", str(real_model), text="\n".join(lines))
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert [item["line"] for item in objects] == [lines[0], lines[2], lines[3]]
    for item in objects:
        jsonschema.validate(item["explained"], log_watcher.SCHEMA)


def test_following_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    path.write_text("old\n")

    def append(data: bytes) -> None:
        with path.open("ab") as file:
            file.write(data)

    def replace() -> None:
        path.rename(tmp_path / "log.1")
        path.write_text("replaced\n")

    actions: Iterator[Callable[[], object]] = iter(
        [
            lambda: append("one\ntwo 日".encode()[:-1]),
            lambda: append("日".encode()[-1:] + b"\nthree\n"),
            replace,
            path.unlink,
            lambda: path.write_text("again\n"),
            lambda: path.write_text("cut\n"),
        ]
    )
    # What would happen while it waits happens then.
    monkeypatch.setattr("time.sleep", lambda _seconds: next(actions)())
    lines = log_watcher.follow(path)
    expected = ["one\n", "two 日\n", "three\n", "replaced\n", "again\n", "cut\n"]
    assert [line for _, line in zip(expected, lines, strict=False)] == expected
    lines.close()
