"""Crafted files are refused by our own check: in a line that names what is wrong, at once, and before native code."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from edgeai.errors import ChatTemplateError, ModelFormatError
from edgeai.gguf_header import read_header
from edgeai.messages import Message
from edgeai.prompt import ChatTemplate
from tests.crafted import Crafted, crafted_files

MAX_SECONDS, MAX_BYTES = 1.0, 50 * 2**20

OPEN_ALL = """
import sys
from pathlib import Path
from edgeai import ModelFormatError, Session
for path in Path(sys.argv[1]).iterdir():
    try:
        Session(path, isolation="none")
    except ModelFormatError:
        continue
    print(path)
print("llama_cpp" in sys.modules)
"""


@pytest.fixture(scope="module")
def crafted(tmp_path_factory: pytest.TempPathFactory) -> list[Crafted]:
    return list(crafted_files(tmp_path_factory.mktemp("crafted")))


def test_each_is_refused_in_a_line_that_names_it(crafted: list[Crafted]) -> None:
    for case in crafted:
        if not case.refused:
            continue
        with pytest.raises(ModelFormatError) as refused:
            read_header(case.path)
        message = str(refused.value)
        assert case.says in message, case.name
        assert message.startswith(str(case.path))
        assert "\n" not in message
        assert len(message) < 500


def test_each_costs_little(crafted: list[Crafted]) -> None:
    for case in crafted:
        started = time.process_time()
        read_or_refuse(case.path)
        assert time.process_time() - started < MAX_SECONDS, case.name
        tracemalloc.start()
        read_or_refuse(case.path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MAX_BYTES, case.name


def test_none_reaches_native_code(crafted: list[Crafted], tmp_path: Path) -> None:
    for case in crafted:
        if case.refused:
            (tmp_path / case.path.name).symlink_to(case.path)
    opened = subprocess.run(
        [sys.executable, "-c", OPEN_ALL, str(tmp_path)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert opened.stdout == "False\n"


def test_harmless_templates_reach_nothing(
    crafted: list[Crafted], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (case,) = (case for case in crafted if not case.refused)
    template = read_header(case.path).chat_template
    assert template
    with pytest.raises(ChatTemplateError):
        ChatTemplate(template).render([Message("user", "hello")])
    assert not list(tmp_path.iterdir())


def test_names_are_distinct_and_every_case_has_a_source(crafted: list[Crafted]) -> None:
    assert len({case.name for case in crafted}) == len(crafted)
    assert all(case.source and case.what for case in crafted)


def read_or_refuse(path: Path) -> None:
    with suppress(ModelFormatError):
        read_header(path)
