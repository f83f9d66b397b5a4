"""Which script is run, and by which Python."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edgeai.errors import QuantizeError
from quantize.converter import float_gguf
from tests.quantize.converter_stand_ins import NAME, checkout, odd_checkpoint, python_with_torch


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return python_with_torch(tmp_path_factory.mktemp("python") / "venv")


def test_only_the_converter_is_run(tmp_path: Path) -> None:
    source = odd_checkpoint(tmp_path / NAME)
    other = tmp_path / "other.py"
    other.write_text("print()")

    def refused(converter: Path) -> str:
        with pytest.raises(QuantizeError) as caught:
            float_gguf(source, converter, tmp_path / "a.gguf")
        return str(caught.value)

    assert "is not there" in refused(tmp_path / "nothing")
    assert "convert_hf_to_gguf.py: is not there" in refused(tmp_path)
    assert "has no option --outtype" in refused(other)
    if os.name != "nt":
        os.mkfifo(tmp_path / "pipe")
        assert "is not a regular file" in refused(tmp_path / "pipe")


@pytest.mark.parametrize("place", ["llama.cpp/.venv", "llama.cpp/venv", ".venv", "venv"])
def test_a_python_is_found_beside_the_checkout(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    script = checkout(tmp_path / "llama.cpp") / "convert_hf_to_gguf.py"
    python_with_torch(tmp_path / place)
    assert float_gguf(odd_checkpoint(tmp_path / NAME), script, tmp_path / "a.gguf").is_file()


@pytest.mark.skipif(os.name == "nt", reason="programs of POSIX")
def test_the_first_python_that_can_is_taken(tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python").symlink_to(python.parent / "nothing")
    wrapper = programs / "python3"
    wrapper.write_text(f'#!/bin/sh\n"{python}" "$@"\n')  # starts another process, as some version managers do
    wrapper.chmod(0o755)
    broken = tmp_path / "llama.cpp" / ".venv" / "bin" / "python"
    checkout(tmp_path / "llama.cpp")
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    assert float_gguf(odd_checkpoint(tmp_path / NAME), tmp_path / "llama.cpp", tmp_path / "a.gguf").is_file()
    wrapper.unlink()
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(QuantizeError) as caught:
        float_gguf(tmp_path / NAME, tmp_path / "llama.cpp", tmp_path / "b.gguf")
    assert f"{broken} lacks a Python 3.10 or newer that runs" in str(caught.value)
    assert f"{sys.executable} lacks torch" in str(caught.value)
    assert "--converter-python PATH" in str(caught.value)


@pytest.mark.parametrize("name", ["nothing", "text"])
def test_a_python_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("")
    with pytest.raises(QuantizeError, match="expected a Python with torch"):
        float_gguf(
            odd_checkpoint(tmp_path / NAME),
            checkout(tmp_path / "llama.cpp"),
            tmp_path / "a.gguf",
            python=tmp_path / name,
        )


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away")
def test_a_python_that_a_stranger_put_beside_the_checkout_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    python_with_torch(tmp_path / "venv")
    os.chown(tmp_path / "venv", 12345, 12345)
    with pytest.raises(QuantizeError, match="no Python that can run") as caught:
        float_gguf(odd_checkpoint(tmp_path / NAME), checkout(tmp_path / "llama.cpp"), tmp_path / "a.gguf")
    assert str(tmp_path / "venv") not in str(caught.value)
