from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgeai.catalog import default_name
from edgeai.installed import add_model, read_installed
from edgeai.model_list import all_models
from edgeai.paths import config_path, models_dir
from tests.tiny import tiny_model
from tui.cli import main


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "Tiny Model.gguf")


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 GB of memory, all of it free."""
    from edgeai import machine

    facts = machine.Machine("cpu", (), 1, 1, 10**9, 10**9, "os", "3")
    monkeypatch.setattr("edgeai.pull.machine", lambda: facts)
    monkeypatch.setattr("edgeai.model_list.available_memory_bytes", lambda: 10**9)


def printed_json(args: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(args) == 0
    return json.loads(capsys.readouterr().out)


def test_list_for_people(gguf: Path, small_machine: None, capsys: pytest.CaptureFixture[str]) -> None:
    add_model(gguf, "mine")
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    lines = {line[2:].split()[0]: line for line in out.splitlines() if line[2:].split()}
    assert lines["mine"].startswith("●")
    assert lines["qwen3-4b"].rstrip().endswith("no")
    assert lines["qwen2.5-0.5b-instruct"].rstrip().endswith("yes")
    assert "98 MB" in lines["smollm2-135m-instruct"]
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "\x1b" not in out


def test_list_as_json(gguf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_model(gguf, "mine")
    models = printed_json(["models", "--json"], capsys)
    assert models[0]["name"] == "mine"
    assert models[0]["installed"]
    assert models[0]["path"] == str(models_dir() / "mine" / "Tiny Model.gguf")
    [default] = [model for model in models if model["default"]]
    assert default["name"] == "smollm2-135m-instruct"
    assert default["licence"] == "Apache-2.0"
    assert not default["installed"]


def test_nothing_installed_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    main(["models"])
    assert "Nothing is installed yet: edgeai models pull smollm2-135m-instruct" in capsys.readouterr().out


def test_show(gguf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = add_model(gguf, "mine")
    shown = printed_json(["models", "show", "Mine", "--json"], capsys)
    assert shown["sha256"] == model.sha256
    assert shown["architecture"] == "llama"
    assert shown["n_ctx_train"] > 0
    assert shown["has_chat_template"] in (True, False)
    assert [need["n_ctx"] for need in shown["memory"]] == sorted(need["n_ctx"] for need in shown["memory"])
    assert main(["models", "show", "mine"]) == 0
    out = capsys.readouterr().out
    assert f"SHA-256          {model.sha256}\n" in out
    assert f"path             {model.path}\n" in out


def test_show_of_the_catalog(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed_json(["models", "show", "gemma-3-4b-it", "--json"], capsys)
    assert shown["modalities"] == ["text", "image"]
    assert shown["path"] is None
    assert len(shown["sources"]) == 2
    needs = [need["memory_bytes"] for need in shown["memory"]]
    assert needs == sorted(needs)
    assert needs[0] > shown["size_bytes"]
    assert main(["models", "show", "gemma-3-4b-it"]) == 0
    assert "not installed: edgeai models pull gemma-3-4b-it" in capsys.readouterr().out


def test_show_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", "qwen3-4"]) == 1
    assert "did you mean qwen3-4b" in capsys.readouterr().err


def test_add_verify_default_remove(gguf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "add", str(gguf)]) == 0
    assert main(["models", "add", str(gguf), "--name", "linked", "--link"]) == 0
    assert read_installed("linked").is_link
    assert main(["models", "verify", "tiny-model"]) == 0
    assert main(["models", "default", "tiny-model"]) == 0
    assert config_path().read_text() == 'default_model = "tiny-model"\n'
    assert [model.name for model in all_models() if model.is_default] == ["tiny-model"]
    capsys.readouterr()
    with read_installed("tiny-model").path.open("ab") as file:
        file.write(b"x")
    assert main(["models", "verify"]) == 1
    out = capsys.readouterr().out
    assert "tiny-model: CHANGED" in out
    assert "linked: no checksum was recorded" in out
    assert main(["models", "remove", "tiny-model", "--yes"]) == 0
    assert main(["models", "remove", "tiny-model", "--yes"]) == 1
    assert gguf.exists()


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1)])
def test_remove_asks(
    answer: str, code: int, gguf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_model(gguf, "mine")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda prompt: answer.strip())
    assert main(["models", "remove", "mine"]) == code
    assert (models_dir() / "mine").exists() == bool(code)


def test_remove_without_a_terminal_wants_yes(gguf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_model(gguf, "mine")
    assert main(["models", "remove", "mine"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert (models_dir() / "mine").exists()


def test_removing_the_default_leaves_the_catalogs(gguf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_model(gguf, "mine")
    add_model(gguf, "other")
    assert main(["models", "default", "mine"]) == 0
    assert main(["models", "remove", "other", "--yes"]) == 0
    assert default_name() == "mine"
    assert main(["models", "remove", "mine", "--yes"]) == 0
    assert default_name() == "smollm2-135m-instruct"
    assert "smollm2-135m-instruct is the default again" in capsys.readouterr().out


def test_list_may_be_said(gguf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_model(gguf, "mine")
    for args in ([], ["--json"]):
        assert main(["models", *args]) == 0
        bare = capsys.readouterr().out
        assert main(["models", "list", *args]) == 0
        assert capsys.readouterr().out == bare


def test_bad_files_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.gguf"
    for content in (b"", b"GGUF", b"\0" * 100, b"<html>", b"GGUF\x03\x00\x00\x00" + b"\xff" * 100):
        bad.write_bytes(content)
        assert main(["models", "add", str(bad)]) == 1
        assert capsys.readouterr().err.count("\n") == 1
    assert main(["models", "add", str(tmp_path / "none.gguf")]) == 1
    assert not models_dir().exists()


def test_damaged_and_hostile_models_do_not_spoil_the_list(gguf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = add_model(gguf, "damaged")
    damaged.path.write_bytes(b"GGUF")
    add_model(gguf, "gone", link=True)
    hostile = add_model(gguf, "hostile").path.parent / "model.toml"
    hostile.write_text('file = "Tiny Model.gguf"\nlicence = "\\u001b[31mfree\\u202e\\n[bold]"\n')
    gguf.unlink()
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "damaged: " in out
    assert "gone: " in out
    assert "[bold]" in out


def test_pull_that_would_not_fit_is_refused(small_machine: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "pull", "qwen3-4b"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: qwen3-4b needs ")
    assert "this machine has 1.0 GB: the largest that fits is " in error
    assert not models_dir().exists()


def test_pull_of_what_is_installed_does_nothing(gguf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_model(gguf, "smollm2-135m-instruct")
    assert main(["models", "pull", "SmolLM2-135m-instruct"]) == 0
    assert "is installed already" in capsys.readouterr().out


def test_pull_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "pull", "smollm2-135"]) == 1
    assert "did you mean smollm2-135m-instruct" in capsys.readouterr().err
