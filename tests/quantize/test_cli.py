"""The `quantize` command, as people type it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from gguf import GGUFReader

from edgeai import Session
from edgeai.model_files import gguf_in
from quantize.cli import main
from quantize.ftypes import FTYPES, usual_type
from quantize.ggml import ENCODED_TYPES
from quantize.naming import artifact_name
from quantize.pipeline import open_model
from tests.quantize.float_files import float_file
from tests.quantize.tiny_checkpoints import case_checkpoint

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return case_checkpoint(tmp_path, "llama")


def test_four_bits_go_into_the_folder_by_the_conventions_name(folder: Path, capsys: Capture) -> None:
    assert main(["--bits", "4", str(folder)]) == 0
    (artifact,) = folder.glob("*.gguf")
    assert artifact.name.endswith("-Q4_K_M.gguf")
    told = capsys.readouterr().out
    assert f"edgeai chat --model {artifact}" in told
    assert "bits per weight" in told
    with Session(artifact, n_ctx=64, chat_template="plain") as session:
        assert session.complete("Hello", max_tokens=3).usage.completion_tokens == 3


def test_json_has_the_facts(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "a.gguf"
    assert main(["--ftype", "q8_0", "-o", str(out), "--json", str(folder)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["path"] == str(out)
    assert facts["ftype"] == "Q8_0"
    assert facts["size_bytes"] == out.stat().st_size
    assert facts["parameters"] == sum(int(tensor.n_elements) for tensor in GGUFReader(out).tensors)


def test_a_dry_run_writes_nothing_and_says_why(folder: Path, capsys: Capture) -> None:
    before = sorted(folder.iterdir())
    assert main(["--dry-run", "--json", "--tensor-type", "ffn_up=Q8_0", str(folder)]) == 0
    planned = {item["name"]: item for item in json.loads(capsys.readouterr().out)}
    assert planned["blk.0.ffn_up.weight"]["type"] == "Q8_0"
    assert planned["blk.0.ffn_up.weight"]["why"] == "asked for by pattern"
    assert planned["output_norm.weight"]["type"] == "F32"
    assert main(["--dry-run", str(folder)]) == 0
    assert "bits per weight" in capsys.readouterr().out
    assert sorted(folder.iterdir()) == before


def test_a_dry_run_plans_with_what_will_be_calibrated(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    mix = ["--ftype", "IQ3_XXS", "--calibrate"]  # of the mixes that are others with an importance matrix
    out = tmp_path / "a.gguf"
    assert main([*mix, "--dry-run", "--json", str(folder)]) == 0
    planned = {item["name"]: item["type"] for item in json.loads(capsys.readouterr().out)}
    assert main([*mix, "-o", str(out), str(folder)]) == 0
    assert planned == {tensor.name: tensor.tensor_type.name for tensor in GGUFReader(out).tensors}


def test_it_calibrates_and_reports(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    text = tmp_path / "text.txt"
    text.write_text("The sea is wide and the wind is strong. " * 200, encoding="utf-8")
    out = tmp_path / "out" / "a.gguf"
    assert main(["--calibrate", str(text), "-o", str(out), "--json", str(folder)]) == 0
    assert json.loads(capsys.readouterr().out)["ftype"] == "Q4_K_M"
    assert sorted(path.name for path in out.parent.iterdir()) == ["a.gguf", "a.imatrix.gguf"]
    assert gguf_in(out.parent) == (out, None)  # `edgeai ask --model FOLDER` does not take the matrix for a model
    fields = GGUFReader(out).fields
    assert fields["quantize.imatrix.file"].contents() == "a.imatrix.gguf"  # and no folder's name
    assert fields["quantize.imatrix.dataset"].contents() == "text.txt"
    reference = tmp_path / "f16.gguf"
    assert main(["--ftype", "F16", "-o", str(reference), str(folder)]) == 0
    capsys.readouterr()
    assert main(["report", str(out), str(reference), "--reference", str(reference), "--json"]) == 0
    lossy, same = json.loads(capsys.readouterr().out)
    assert lossy["size_bytes"] < same["size_bytes"]
    assert lossy["bpw"] < same["bpw"]


def test_what_is_calibrated_may_go_into_a_new_folder(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "new" / "a.gguf"
    assert main(["--calibrate", "-o", str(out), str(float_file(tmp_path, "llama"))]) == 0, capsys.readouterr().err
    assert sorted(path.name for path in out.parent.iterdir()) == ["a.gguf", "a.imatrix.gguf"]
    assert gguf_in(out.parent) == (out, None)  # `edgeai ask --model FOLDER` does not take the matrix for a model


def test_what_follows_calibrate_may_be_the_model(folder: Path, capsys: Capture) -> None:
    assert main(["--json", "--dry-run", "--calibrate", str(folder)]) == 0
    assert json.loads(capsys.readouterr().out)
    assert main(["--dry-run", "--calibrate", "text.txt"]) == 2
    assert "SOURCE" in capsys.readouterr().err


def test_an_importance_matrix_that_exists_is_kept(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    mine = tmp_path / "a.imatrix.gguf"
    mine.write_bytes(b"mine")
    for flags in ([], ["--auto"]):
        assert main([*flags, "--calibrate", "-o", str(tmp_path / "a.gguf"), str(folder)]) == 1
        assert "a.imatrix.gguf exists" in capsys.readouterr().err
    assert mine.read_bytes() == b"mine"
    assert [path for path in tmp_path.iterdir() if path.is_file()] == [mine]


def test_a_tilde_is_the_home_folder(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    here.mkdir()
    monkeypatch.setenv("HOME" if os.name != "nt" else "USERPROFILE", str(home))
    monkeypatch.chdir(here)
    shutil.copytree(folder, home / "model")
    assert main(["--bits", "8", "--report", "--out=~/a.gguf", "~/model"]) == 0
    assert main(["--bits", "8", "~/model"]) == 0
    assert sorted(path.name for path in home.iterdir()) == ["a.gguf", "model"]
    assert len(list((home / "model").glob("*.gguf"))) == 1
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--bits", "3"], 1, "Q3_K_M"),
        (["--ftype", "Q9"], 1, "expected one of"),
        (["--bits", "4", "--ftype", "Q8_0"], 2, "not both"),
        (["--tensor-type", "ffn"], 2, "PATTERN=TYPE"),
        (["--tensor-type", "[=Q8_0"], 2, "regular expression"),
        (["--output-tensor-type", "Q9"], 2, "no tensor type"),
        (["--imatrix", "/no/such.gguf"], 1, "/no/such.gguf"),
        (["--ftype", "IQ2_XXS"], 1, "importance matrix"),
        (["--threads", "0"], 2, "threads"),
        (["--threads", "513"], 2, "1<=x<=512"),
        (["--bits", "0", "--ftype", "Q8_0"], 2, "not both"),
        (["--report", "--picture", "a.jpg"], 1, "a picture is a .svg or .png file"),
        (["--calibrate", "/no/such.txt"], 1, "/no/such.txt: no such file"),
        (["--out=~nobody-of-this-name/a.gguf"], 2, "there is no such user"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    arguments: list[str], code: int, words: str, folder: Path, capsys: Capture
) -> None:
    assert main([*arguments, str(folder)]) == code
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told
    if code == 1:
        assert told.startswith("error: ")
        assert told.count("\n") == 1
    assert not list(folder.glob("*.gguf"))


def test_what_is_no_checkpoint(tmp_path: Path, capsys: Capture) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        assert main([str(path)]) == 1
        assert capsys.readouterr().err.startswith("error: ")


def test_it_does_with_a_click_whose_types_are_not_generic() -> None:
    """As those of 8.1 to 8.3 are not."""
    code = "import click\nclass Plain(click.ParamType): pass\nclick.ParamType = Plain\nimport quantize.cli, tui.cli"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_cannot_lead_elsewhere(folder: Path) -> None:
    from dataclasses import replace

    metadata = [
        replace(meta, value="../../../etc/x y") if meta.key == "general.name" else meta
        for meta in open_model(folder).metadata
        if meta.key not in ("general.basename", "general.finetune")
    ]
    name = artifact_name(metadata, folder, "Q8_0")
    assert "/" not in name
    assert not name.startswith(".")
    assert name.endswith("-Q8_0.gguf")


def test_every_mix_has_a_usual_type() -> None:
    assert {usual_type(ftype) for ftype in FTYPES} <= set(ENCODED_TYPES)
    assert usual_type("Q4_K_M") == usual_type("Q4_K_S") == "Q4_K"


@pytest.mark.weights
@pytest.mark.timeout(300)
def test_the_real_model_at_four_bits_names_paris(smollm2_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "smollm2.gguf"
    assert main(["--bits", "4", "-o", str(out), str(smollm2_folder)]) == 0
    with Session(out, n_ctx=512) as session:
        answers = [
            session.complete("The capital of France is", temperature=0, max_tokens=8).text,
            session.chat("What is the capital of France? Answer with one word.", temperature=0, max_tokens=30).text,
        ]
    assert any("Paris" in answer for answer in answers), answers
