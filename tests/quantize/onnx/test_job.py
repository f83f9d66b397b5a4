"""`quantize --format onnx`, as people type it."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeai.gguf_reader import HeaderReader, read_counts, read_metadata
from quantize import writer
from quantize.cli import main
from quantize.imatrix import Entry, Imatrix, write_imatrix
from quantize.onnx import folder as folder_module
from quantize.pipeline import open_model
from tests.quantize.float_files import float_file
from tests.quantize.test_signals import STOPS, stopped
from tests.quantize.tiny_checkpoints import case_checkpoint

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return case_checkpoint(tmp_path, "llama")


def made(*arguments: str | Path, out: Path) -> Path:
    assert main(["--format", "onnx", *map(str, arguments), "-o", str(out)]) == 0
    return out


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folder_has_what_its_record_says(checkpoint: Path, tmp_path: Path, capsys: Capture) -> None:
    out = made(checkpoint, out=tmp_path / "out")
    told = capsys.readouterr().out
    assert f"edgeai chat --model {out}" in told
    assert "int4 in blocks of 32" in told
    record = read(out / "edgeai.json")
    assert {"model.onnx", "model.onnx.data", "tokenizer.json", "genai_config.json"} <= set(record["files"])
    assert {path.name for path in out.iterdir()} == {*record["files"], "edgeai.json"}
    for name, facts in record["files"].items():
        data = (out / name).read_bytes()
        assert facts == {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    assert (record["bits"], record["block_size"], record["symmetric"]) == (4, 32, True)
    assert record["n_params"] == sum(tensor.n_elements for tensor in open_model(checkpoint).tensors)
    assert (out / "tokenizer.json").read_bytes() == (checkpoint / "tokenizer.json").read_bytes()


def test_the_configuration_is_that_of_the_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    model = read(made(checkpoint, out=tmp_path / "out") / "genai_config.json")["model"]
    config = read(checkpoint / "config.json")
    decoder = model["decoder"]
    assert model["type"] == "llama"
    assert model["vocab_size"] == config["vocab_size"]
    assert model["context_length"] == config["max_position_embeddings"]
    assert decoder["num_hidden_layers"] == config["num_hidden_layers"]
    assert decoder["num_attention_heads"] == config["num_attention_heads"]
    assert decoder["num_key_value_heads"] == config["num_key_value_heads"]
    assert decoder["hidden_size"] == config["hidden_size"]
    assert decoder["head_size"] == config["hidden_size"] // config["num_attention_heads"]


def test_without_a_place_it_goes_into_the_checkpoints_folder(checkpoint: Path, capsys: Capture) -> None:
    assert main(["--format", "onnx", "--bits", "8", "--json", str(checkpoint)]) == 0
    facts = json.loads(capsys.readouterr().out)
    out = Path(facts["path"])
    assert out.parent == checkpoint
    assert out.name.endswith("-int8-onnx")
    assert facts["size_bytes"] == sum(path.stat().st_size for path in out.iterdir())
    assert 8.9 < facts["bits_per_weight"] < 10  # some norms, and the tables of turns


def test_a_gguf_file_can_be_the_source(tmp_path: Path) -> None:
    source = float_file(tmp_path, "llama")
    out = made(source, out=tmp_path / "out")
    assert not (out / "tokenizer.json").exists()
    path = out / "vocab.gguf"
    with path.open("rb") as file:
        reader = HeaderReader(file, path, path.stat().st_size)
        reader.offset = 4
        n_tensors, n_keys = read_counts(reader)[1:]
        found = read_metadata(reader, n_keys)
    assert n_tensors == 0
    assert found["general.type"] == "vocab"
    assert "tokenizer.ggml.tokens" in found
    assert read(out / "edgeai.json")["architecture"] == "llama"


def test_a_template_of_its_own_file_is_kept_as_one(checkpoint: Path, tmp_path: Path) -> None:
    settings = read(checkpoint / "tokenizer_config.json")
    settings.pop("chat_template", None)
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (checkpoint / "chat_template.json").write_text(json.dumps({"chat_template": "{{ messages }}"}), encoding="utf-8")
    out = made(checkpoint, out=tmp_path / "out")
    assert (out / "chat_template.jinja").read_text(encoding="utf-8") == "{{ messages }}"


def test_of_several_templates_there_is_the_default_one(tmp_path: Path) -> None:
    checkpoint = case_checkpoint(tmp_path, "qwen2.5")
    assert isinstance(read(checkpoint / "tokenizer_config.json")["chat_template"], list)
    out = made(checkpoint, out=tmp_path / "out")
    settings = read(checkpoint / "tokenizer_config.json")
    named = {each["name"]: each["template"] for each in settings.pop("chat_template")}
    assert read(out / "tokenizer_config.json") == settings
    assert (out / "chat_template.jinja").read_text(encoding="utf-8") == named["default"]


def test_generation_configs_ends_are_ends(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "generation_config.json").write_text(json.dumps({"eos_token_id": [5, 7]}), encoding="utf-8")
    ends = read(made(checkpoint, out=tmp_path / "out") / "genai_config.json")["model"]["eos_token_id"]
    assert isinstance(ends, list)
    assert {5, 7} < set(ends)


@pytest.mark.parametrize(
    "flags", [["--bits", "32"], ["--bits", "8", "--asymmetric"], ["--block-size", "64"], ["--rtn", "--threads", "1"]]
)
def test_flags_change_what_they_say(flags: list[str], checkpoint: Path, tmp_path: Path) -> None:
    plain, other = made(checkpoint, out=tmp_path / "a"), made(*flags, checkpoint, out=tmp_path / "b")
    assert files_of(plain)["model.onnx.data"] != files_of(other)["model.onnx.data"]
    record = read(other / "edgeai.json")
    assert record["bits"] == int(flags[1] if flags[0] == "--bits" else 4)
    assert record["symmetric"] is ("--asymmetric" not in flags)
    assert record["block_size"] == (64 if "--block-size" in flags else 32)


def test_an_importance_matrix_changes_codes(checkpoint: Path, tmp_path: Path) -> None:
    entries = {
        tensor.name: Entry(np.geomspace(1, 1e4, tensor.shape[-1], dtype=np.float32), np.ones(1, np.int64))
        for tensor in open_model(checkpoint).tensors
        if len(tensor.shape) == 2
    }
    write_imatrix(Imatrix(entries, ("a",), 1, 512), tmp_path / "a.imatrix.gguf")
    plain = made(checkpoint, out=tmp_path / "a")
    weighted = made("--imatrix", tmp_path / "a.imatrix.gguf", checkpoint, out=tmp_path / "b")
    assert files_of(plain)["model.onnx"] == files_of(weighted)["model.onnx"]
    assert files_of(plain)["model.onnx.data"] != files_of(weighted)["model.onnx.data"]


def test_a_dry_run_writes_nothing_and_says_why(checkpoint: Path, capsys: Capture) -> None:
    before = sorted(checkpoint.iterdir())
    assert main(["--format", "onnx", "--dry-run", "--json", str(checkpoint)]) == 0
    planned = {item["name"]: item for item in json.loads(capsys.readouterr().out)}
    assert planned["token_embd.weight"]["bits"] == 4
    assert planned["output_norm.weight"]["bits"] == 32
    assert "a norm" in planned["output_norm.weight"]["why"]
    assert main(["--format", "onnx", "--dry-run", str(checkpoint)]) == 0
    assert "blocks of 32" in capsys.readouterr().out
    assert sorted(checkpoint.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--bits", "3"], 1, "expected 4 or 8, or 32"),
        (["--ftype", "Q4_0"], 2, "--ftype is for --format gguf"),
        (["--tensor-type", "ffn=Q8_0"], 2, "--tensor-type is for --format gguf"),
        (["--auto"], 2, "give --format any"),
        (["--bits", "32", "--rtn"], 2, "--rtn is for 4 and 8 bits"),
        (["--bits", "32", "--calibrate="], 2, "--calibrate is for 4 and 8 bits"),
        (["--rtn", "--imatrix", "a"], 2, "--rtn looks for no scales"),
        (["--block-size", "48"], 2, "'48' is not one of"),
        (["--picture", "a.svg"], 2, "give --report too"),
        (["--imatrix", "/no/such.gguf"], 1, "/no/such.gguf"),
        (["--calibrate", "/no/such.txt"], 1, "/no/such.txt: no such file"),
    ],
)
def test_wrong_use_is_told_in_one_line(
    arguments: list[str], code: int, words: str, checkpoint: Path, capsys: Capture
) -> None:
    before = sorted(checkpoint.iterdir())
    assert main(["--format", "onnx", *arguments, str(checkpoint)]) == code
    told = capsys.readouterr().err
    assert words in told
    if code == 1:
        assert told.startswith("error: ")
        assert told.count("\n") == 1
    assert sorted(checkpoint.iterdir()) == before


@pytest.mark.parametrize("flag", [["--rtn"], ["--asymmetric"], ["--block-size", "64"]])
def test_what_is_for_onnx_alone_is_refused_otherwise(flag: list[str], checkpoint: Path, capsys: Capture) -> None:
    assert main([*flag, str(checkpoint)]) == 2
    assert f"{flag[0]} is for --format onnx" in capsys.readouterr().err


def test_an_artifact_is_replaced_by_force_alone(checkpoint: Path, tmp_path: Path, capsys: Capture) -> None:
    out = made(checkpoint, out=tmp_path / "out")
    before = files_of(out)
    again = ["--format", "onnx", "--bits", "8", str(checkpoint), "-o", str(out)]
    assert main(again) == 1
    assert "out exists" in capsys.readouterr().err
    assert files_of(out) == before
    assert main([*again, "--force"]) == 0
    assert read(out / "edgeai.json")["bits"] == 8
    (out / "letter.txt").write_text("mine")
    assert main([*again, "--force"]) == 1
    assert "'letter.txt'" in capsys.readouterr().err
    assert (out / "letter.txt").exists()


def test_other_folders_are_never_replaced(checkpoint: Path, tmp_path: Path, capsys: Capture) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("mine")
    out = made("--force", checkpoint, out=other)
    assert sorted(path.name for path in out.iterdir())[1] == "letter.txt"  # the artifact goes into a folder beside it
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    for wrong in (other / "letter.txt", link):
        assert main(["--format", "onnx", "--force", str(checkpoint), "-o", str(wrong)]) == 1
        assert "expected the artifact's folder" in capsys.readouterr().err
    assert (other / "letter.txt").read_text() == "mine"


def test_an_empty_folder_is_filled(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert (made(checkpoint, out=tmp_path / "out") / "edgeai.json").exists()


def test_room_is_looked_for_first(
    checkpoint: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "free_bytes", lambda _folder: 1000)
    monkeypatch.setattr(folder_module, "write_graph", None)
    assert main(["--format", "onnx", str(checkpoint), "-o", str(tmp_path / "out")]) == 1
    assert "1,000 are free on the disk" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_fails_leaves_what_was_there(
    checkpoint: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = made(checkpoint, out=tmp_path / "out")
    before = files_of(out)
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.name == "artifact":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    assert main(["--format", "onnx", "--force", str(checkpoint), "-o", str(out)]) == 1
    assert "Input/output error" in capsys.readouterr().err
    assert files_of(out) == before
    assert sorted(path.name for path in tmp_path.iterdir() if path != checkpoint) == ["out"]


def test_a_full_disk_is_told_in_one_line(
    checkpoint: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folder_module, "write_tokenizer", full)
    assert main(["--format", "onnx", str(checkpoint), "-o", str(tmp_path / "out")]) == 1
    assert "out: cannot be written (No space left on device): make room" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [checkpoint]


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_a_signal_leaves_nothing_half_written(number: int, code: int, checkpoint: Path) -> None:
    before = sorted(checkpoint.iterdir())
    program = STOPS.replace("quantize.pipeline._write_tensors", "quantize.onnx.writer._write_weights")
    program = program.replace("import quantize.pipeline", "import quantize.onnx.writer")
    ended, told = stopped(["--format", "onnx", str(checkpoint)], signal.Signals(number), program=program)
    assert ended == code
    assert told.strip() == ""
    assert sorted(checkpoint.iterdir()) == before


def test_it_names_the_extra_where_onnx_is_missing(checkpoint: Path) -> None:
    code = "import sys; sys.modules['onnx'] = None; from quantize.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "--format", "onnx", str(checkpoint)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: onnx is not installed, which `quantize` needs: pip install 'edgeai[onnx]'\n"
    assert not list(checkpoint.glob("*-onnx"))


def test_a_hostile_name_cannot_lead_elsewhere(checkpoint: Path) -> None:
    (checkpoint / "README.md").write_text("---\nmodel_name: ../../evil/\x1b[31m\n---\n", encoding="utf-8")
    assert main(["--format", "onnx", str(checkpoint)]) == 0
    assert [path.parent for path in checkpoint.glob("*-onnx")] == [checkpoint]
    shutil.rmtree(next(checkpoint.glob("*-onnx")))
