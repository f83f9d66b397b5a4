"""The `quantize` command with a recipe, and with llama.cpp's converter."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from gguf import GGUFReader
from safetensors.numpy import load_file, save_file

from quantize.cli import main
from quantize.pipeline import Options, quantize
from tests.quantize.converter_stand_ins import NAME, checkout, odd_checkpoint, python_with_torch
from tests.quantize.tiny_checkpoints import case_checkpoint

Capture = pytest.CaptureFixture[str]
RECIPE = """
source = "somebody/Tiny"
architecture = "LlamaForCausalLM"
ftype = "Q8_0"
output_tensor_type = "Q6_K"
tensor_types = ["ffn_up=Q5_K"]
"""
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    return folder


def test_a_recipe_is_followed(recipe: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = case_checkpoint(tmp_path, "llama")
    assert main(["--recipe", str(recipe), "--json", str(folder)]) == 0
    made = Path(json.loads(capsys.readouterr().out)["path"])
    assert made == folder / "Tiny-Q8_0.gguf"
    options = Options(ftype="Q8_0", output_type="Q6_K", tensor_types=(("ffn_up", "Q5_K"),))
    assert made.read_bytes() == quantize(folder, tmp_path / "same.gguf", options).path.read_bytes()


def test_flags_come_before_a_recipe(recipe: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = case_checkpoint(tmp_path, "llama")
    flags = ["--ftype", "Q4_0", "--tensor-type", "ffn_up=Q4_1", "--output-tensor-type", "Q8_0"]
    assert main(["--recipe", str(recipe), *flags, "--dry-run", "--json", str(folder)]) == 0
    planned = {item["name"]: item["type"] for item in json.loads(capsys.readouterr().out)}
    assert planned["blk.0.ffn_up.weight"] == "Q4_1"
    assert planned["blk.0.ffn_gate.weight"] == "Q4_0"
    assert planned["output.weight"] == "Q8_0"


def test_a_recipe_finds_its_checkpoint_in_the_hubs_cache(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert main(["--recipe", str(recipe)]) == 1
    assert "hf download somebody/Tiny" in capsys.readouterr().err
    repo = tmp_path / "hub" / "models--somebody--Tiny"
    shutil.copytree(case_checkpoint(tmp_path, "llama"), repo / "snapshots" / COMMIT)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    assert main(["--recipe", str(recipe)]) == 0
    assert [path.name for path in work.iterdir()] == ["Tiny-Q8_0.gguf"]
    assert not list(repo.rglob("*.gguf"))


def test_a_recipe_of_another_model_is_refused(recipe: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = case_checkpoint(tmp_path, "gemma3")
    assert main(["--recipe", str(recipe), str(folder)]) == 1
    assert "expected LlamaForCausalLM" in capsys.readouterr().err
    assert not list(folder.glob("*.gguf"))


def test_without_a_recipe_there_must_be_a_source(capsys: Capture) -> None:
    assert main([]) == 2
    assert "SOURCE" in capsys.readouterr().err


def test_what_is_not_known_goes_through_the_converter(tmp_path: Path, capsys: Capture) -> None:
    folder = odd_checkpoint(tmp_path / NAME)
    python = python_with_torch(tmp_path / "venv")
    flags = ["--converter", str(checkout(tmp_path / "llama.cpp")), "--converter-python", str(python)]
    assert main(["--bits", "8", str(folder)]) == 1
    assert "--converter" in capsys.readouterr().err
    assert main(["--bits", "8", *flags, "--json", str(folder)]) == 0
    made = Path(json.loads(capsys.readouterr().out)["path"])
    assert made.parent == folder
    assert made.name.endswith("-Q8_0.gguf")
    types = {tensor.name: tensor.tensor_type.name for tensor in GGUFReader(made).tensors}
    assert types["blk.0.ffn_up.weight"] == "Q8_0"
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_what_is_known_does_not(tmp_path: Path) -> None:
    folder = case_checkpoint(tmp_path, "llama")
    out = tmp_path / "a.gguf"
    assert main(["--converter", str(tmp_path / "nowhere"), "-o", str(out), str(folder)]) == 0
    assert out.exists()


@pytest.fixture
def vast(tmp_path: Path) -> Path:
    """A checkpoint with a weight that F16 cannot hold."""
    folder = case_checkpoint(tmp_path, "llama-f32-tied")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.mlp.down_proj.weight"][0, 0] = 7e4
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("more", [["--report"], ["--calibrate"]])
def test_what_f16_cannot_hold_is_measured_in_bf16(
    more: list[str], vast: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quantize.report.evaluation_text", lambda: "The sea is wide and the wind is strong. " * 120)
    assert main([*more, "--ftype", "Q8_0", "-o", str(tmp_path / "a.gguf"), str(vast)]) == 0
    told = capsys.readouterr().err
    assert told.startswith("note: ")
    assert "beyond F16's range" in told
    assert told.count("\n") == 1


def test_room_for_all_files_is_looked_for_at_once(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = case_checkpoint(tmp_path, "llama")
    out = tmp_path / "a.gguf"
    assert main(["--bits", "8", "-o", str(out), str(folder)]) == 0
    monkeypatch.setattr("quantize.writer.free_bytes", lambda _folder: out.stat().st_size + 2**21)
    for more in (["--report"], ["--calibrate"]):
        assert main(["--bits", "8", *more, "-o", str(tmp_path / "b.gguf"), str(folder)]) == 1
        assert "bytes are needed" in capsys.readouterr().err
    assert not list(tmp_path.glob("b*"))
