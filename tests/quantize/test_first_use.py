"""What a new user of `quantize` meets: new places, patterns that match nothing, wrong expectations."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgeai import Session
from edgeai.errors import ChatTemplateError, QuantizeError
from quantize import candidates, job
from quantize.cli import main
from tests.quantize.tiny_checkpoints import case_checkpoint

Capture = pytest.CaptureFixture[str]
TEXT = "The sea is wide and the wind is strong. " * 120


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return case_checkpoint(tmp_path, "llama")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two mixes instead of ten, and a short text."""
    monkeypatch.setattr(candidates, "USUAL", ("Q8_0", "Q4_0"))
    monkeypatch.setattr("quantize.report.evaluation_text", lambda: TEXT)


def _no_work(*_: Any) -> Any:
    raise AssertionError("the long work has begun")


def test_a_slash_makes_a_folder(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "new" / "er"
    assert main(["--dry-run", "--out", f"{out}/", str(folder)]) == 0
    assert not out.exists()
    assert main(["--bits", "8", f"--out={out}/", str(folder)]) == 0
    (artifact,) = out.iterdir()
    assert artifact.name.endswith("-Q8_0.gguf")
    assert str(artifact) in capsys.readouterr().out


@pytest.mark.usefixtures("few")
def test_auto_takes_a_new_folder_too(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "new"
    assert main(["--auto", "--json", "-o", f"{out}/", str(folder)]) == 0
    assert [str(path) for path in out.iterdir()] == [json.loads(capsys.readouterr().out)["path"]]


def test_a_file_is_no_folder(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "a"
    out.write_bytes(b"mine")
    assert main(["-o", f"{out}/", str(folder)]) == 1
    assert "a/ is a file, expected a folder" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"


def test_a_plan_in_a_pipe_has_a_line_for_each_tensor(folder: Path, capsys: Capture) -> None:
    flags = ["--dry-run", "--ftype", "Q4_K_M", str(folder)]
    assert main([*flags, "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert main(flags) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(planned) + 2  # and a head and a sum
    for line, item in zip(lines[1:], planned, strict=False):
        assert item["name"] in line
        assert item["why"] in line


@pytest.mark.parametrize("failure", [QuantizeError("no numbers"), OSError(28, "No space left on device")])
def test_an_artifact_that_cannot_be_measured_is_told(
    failure: Exception, folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any, **_kwargs: Any) -> Any:
        raise failure

    monkeypatch.setattr(job, "reports", fail)
    assert main(["--report", "--json", str(folder)]) == 1
    told = capsys.readouterr()
    (artifact,) = folder.glob("*.gguf")
    assert json.loads(told.out)["path"] == str(artifact)
    assert told.err.startswith("error: ")
    assert main(["--report", "--force", str(folder)]) == 1
    assert capsys.readouterr().out.startswith(f"{artifact}: ")


@pytest.mark.usefixtures("few")
def test_measures_are_told_when_their_picture_fails(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    out, nowhere = tmp_path / "a.gguf", tmp_path / "file"
    nowhere.write_bytes(b"")
    flags = ["--reference", str(out), "--picture", str(nowhere / "a.svg"), "--json"]
    assert main(["--ftype", "F16", "-o", str(out), str(folder)]) == 0
    capsys.readouterr()
    assert main(["report", str(out), *flags]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)[0]["file_type"] == "F16"
    assert "the picture cannot be written" in told.err


@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--auto"], ["--report"]])
@pytest.mark.parametrize("pattern", ["nothing", "attn_norm", "blk.9"])
def test_a_pattern_that_changes_nothing_is_refused(
    pattern: str, more: list[str], folder: Path, capsys: Capture
) -> None:
    before = sorted(folder.iterdir())
    assert main([*more, "--tensor-type", "ffn_up=Q8_0", "--tensor-type", f"{pattern}=Q8_0", str(folder)]) == 1
    told = capsys.readouterr().err
    assert f"--tensor-type {pattern}=Q8_0 matches no matrix of this model: names look like blk.0.attn_q.weight" in told
    assert told.count("\n") == 1
    assert sorted(folder.iterdir()) == before


def test_a_recipes_pattern_is_refused_too(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'source = "a/Tiny"\narchitecture = "LlamaForCausalLM"\nftype = "Q8_0"\ntensor_types = ["ssm_in=Q5_K"]\n',
        encoding="utf-8",
    )
    assert main(["--recipe", str(recipe), str(folder)]) == 1
    assert "ssm_in=Q5_K matches no matrix" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--report"]])
def test_what_needs_an_importance_matrix_is_refused_at_once(
    more: list[str], folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "float_file", _no_work)
    assert main(["--ftype", "IQ1_S", *more, str(folder)]) == 1
    assert "without an importance matrix" in capsys.readouterr().err
    assert not list(folder.glob("*.gguf"))


def test_with_one_it_is_planned(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["--ftype", "IQ1_S", "--dry-run", "--calibrate", str(folder)]) == 0
    assert main(["--calibrate", "-o", str(tmp_path / "a.gguf"), str(folder)]) == 0
    matrix = str(tmp_path / "a.imatrix.gguf")
    assert main(["--ftype", "IQ1_S", "--dry-run", "--imatrix", matrix, str(folder)]) == 0
    other = case_checkpoint(tmp_path, "qwen3")  # with more layers than the matrix has
    assert main(["--ftype", "IQ1_S", "--dry-run", "--imatrix", matrix, str(other)]) == 1


def test_mxfp4_without_experts_is_explained(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["--ftype", "MXFP4", "--dry-run", "--json", str(folder)]) == 0
    assert capsys.readouterr().err.startswith("note: MXFP4 is for the experts of a mixture alone")
    assert main(["--ftype", "MXFP4", "-o", str(tmp_path / "a.gguf"), str(folder)]) == 0
    assert capsys.readouterr().err.startswith("note: MXFP4")
    assert main(["--ftype", "MXFP4", "--tensor-type", "ffn_up=MXFP4", "--dry-run", str(folder)]) == 0
    assert main(["--ftype", "Q8_0", "--dry-run", str(folder)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("nats", ["nan", "inf", "-inf", "1e400", "-0.1", "much"])
def test_a_divergence_is_a_number(nats: str, folder: Path, capsys: Capture) -> None:
    assert main(["--auto", "--dry-run", f"--max-kld={nats}", str(folder)]) == 2
    assert "--max-kld" in capsys.readouterr().err


def _run_line(told: str) -> list[str]:
    (line,) = [line for line in told.splitlines() if line.startswith("run it:")]
    return shlex.split(line.removeprefix("run it:"))


def test_what_cannot_chat_is_run_otherwise(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    base = Path(shutil.copytree(folder, tmp_path / "it's base"))
    config = json.loads((base / "tokenizer_config.json").read_text(encoding="utf-8"))
    del config["chat_template"]
    (base / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    assert main([str(base)]) == 0
    (artifact,) = base.glob("*.gguf")
    python, *arguments = _run_line(capsys.readouterr().out)
    assert python == "python"
    done = subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    assert done.stdout.strip()
    with Session(artifact, n_ctx=64) as session, pytest.raises(ChatTemplateError):
        session.chat("Hello")
    assert main([str(folder)]) == 0
    assert _run_line(capsys.readouterr().out)[:3] == ["edgeai", "chat", "--model"]


@pytest.mark.usefixtures("few")
def test_a_dry_run_of_auto_knows_that_it_will_calibrate(tmp_path: Path, capsys: Capture) -> None:
    folder = case_checkpoint(tmp_path, "qwen3")  # of 8 layers, the first of which gets other types then
    text = tmp_path / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    flags = ["--auto", "--calibrate", str(text), "--json", str(folder)]
    assert main(["--dry-run", *flags]) == 0
    planned = {item["ftype"]: item["size_bytes"] for item in json.loads(capsys.readouterr().out)}
    assert main(flags) == 0
    facts = json.loads(capsys.readouterr().out)
    assert planned == {item["file_type"]: item["size_bytes"] for item in facts["reports"]}
    assert main(["--auto", "--dry-run", "--json", str(folder)]) == 0
    plain = {item["ftype"]: item["size_bytes"] for item in json.loads(capsys.readouterr().out)}
    assert planned["Q4_0"] - plain["Q4_0"] > 1000  # a matrix is Q4_1
    paths = {item["file_type"]: item["path"] for item in facts["reports"]}
    assert paths.pop(facts["ftype"]) == facts["path"]
    assert set(paths.values()) == {None}  # they are gone


def test_an_artifact_that_exists_is_known_before_calibrating(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--ftype", "IQ4_NL", str(folder)]) == 0
    monkeypatch.setattr(job, "float_file", _no_work)
    for flags in (["--auto", "--calibrate"], ["--ftype", "IQ4_NL", "--calibrate"]):
        assert main([*flags, str(folder)]) == 1
        assert "-IQ4_NL.gguf exists" in capsys.readouterr().err


def test_a_text_that_is_too_short_is_known_before_the_work(
    folder: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "short.txt"
    text.write_text("Hello.", encoding="utf-8")
    monkeypatch.setattr(job, "float_file", _no_work)
    for flags in ([], ["--auto"]):
        assert main([*flags, "--calibrate", str(text), str(folder)]) == 1
        assert "short.txt: a text of 6 bytes is too short, expected at least 1,024 tokens" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_known_at_once(
    folder: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)  # root may write everywhere
    for flags in (["-o", str(tmp_path / "a.gguf")], ["--auto", "-o", f"{tmp_path}/new/er/"]):
        assert main([*flags, str(folder)]) == 1
        assert f"{tmp_path}: the folder cannot be written by you" in capsys.readouterr().err
    assert main(["--dry-run", "-o", str(tmp_path / "a.gguf"), str(folder)]) == 0


def test_what_is_neither_a_folder_nor_a_model(tmp_path: Path, capsys: Capture) -> None:
    text = tmp_path / "text.txt"
    text.write_text("Hello.", encoding="utf-8")
    for path, problem in ((text, "is something else"), (tmp_path / "none.gguf", "no such file or folder")):
        assert main([str(path)]) == 1
        told = capsys.readouterr().err
        assert f"{path}: {problem}, expected a Hugging Face folder" in told
        assert "or a .gguf file" in told


def test_two_of_one_mix_are_told_apart(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    paths = [tmp_path / f"{name}-of-a-model-with-a-long-name.gguf" for name in ("first", "second")]
    for path in paths:
        assert main(["-o", str(path), str(folder)]) == 0
    capsys.readouterr()
    assert main(["report", *map(str, paths)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == "file"
    assert {line.split("-")[0] for line in lines if "-of-a" in line} == {"first", "second"}
