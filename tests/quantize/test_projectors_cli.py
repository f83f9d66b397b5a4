"""The `quantize` command on a model that sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFReader

from edgeai.errors import QuantizeError
from quantize import candidates, job
from quantize.cli import main
from tests.quantize.converter_stand_ins import checkout, python_with_torch, write_json
from tests.quantize.tiny_checkpoints import case_checkpoint

Capture = pytest.CaptureFixture[str]
MMPROJ, MMPROJ8 = "mmproj-Tiny-Smolvlm2-F16.gguf", "mmproj-Tiny-Smolvlm2-Q8_0.gguf"

# It writes a projector of one tensor, of the type that it is asked for
CONVERTER = """
import sys

import gguf
import numpy as np

assert "--mmproj" in sys.argv
writer = gguf.GGUFWriter(sys.argv[sys.argv.index("--outfile") + 1], "clip")
writer.add_name("Odd Eyes")
writer.add_string("clip.projector_type", sys.argv[sys.argv.index("--outtype") + 1])
values = gguf.quants.quantize(np.ones((4, 32), np.float32), gguf.GGMLQuantizationType.Q8_0)
writer.add_tensor("mm.0.weight", values, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return case_checkpoint(tmp_path, "smolvlm2")


def artifacts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.gguf"))


def test_both_files_are_written_and_told(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["--bits", "4", str(folder)]) == 0
    told = capsys.readouterr().out
    assert artifacts(folder) == ["Tiny-Smolvlm2-189K-Q4_K_M.gguf", MMPROJ]
    for name in artifacts(folder):
        assert f"{folder / name}: {(folder / name).stat().st_size / 1e6:.1f} MB" in told
    assert "not measured" not in told
    out = tmp_path / "out"
    assert main(["--projector", "Q8_0", "--json", "-o", f"{out}/", str(folder)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["projector"] == {
        "path": str(out / MMPROJ8),
        "type": "Q8_0",
        "size_bytes": (out / MMPROJ8).stat().st_size,
    }


def test_a_projector_that_is_there_is_kept_or_replaced_as_one_says(folder: Path, capsys: Capture) -> None:
    assert main([str(folder)]) == 0
    assert main(["--bits", "8", str(folder)]) == 1
    assert f"{MMPROJ} exists" in capsys.readouterr().err
    assert len(artifacts(folder)) == 2
    assert main(["--bits", "8", "--projector", "none", str(folder)]) == 0
    assert len(artifacts(folder)) == 3
    assert main(["--bits", "8", "--force", str(folder)]) == 0
    capsys.readouterr()
    assert main(["--bits", "8", "--force", "--projector", "q8_0", str(folder)]) == 0
    assert "several mmproj" in capsys.readouterr().err  # of which edgeai takes none by itself


def test_a_dry_run_shows_both(folder: Path, capsys: Capture) -> None:
    assert main(["--dry-run", "--json", str(folder)]) == 0
    planned = {(item["file"], item["name"]): item["type"] for item in json.loads(capsys.readouterr().out)}
    assert planned["model", "output_norm.weight"] == "F32"
    assert planned["projector", "mm.model.fc.weight"] == "F16"
    assert planned["projector", "v.patch_embd.weight"] == "F32"
    assert main(["--dry-run", str(folder)]) == 0
    assert "projector F16: " in capsys.readouterr().out
    assert artifacts(folder) == []


def test_the_projector_goes_with_what_auto_keeps(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(candidates, "USUAL", ("Q4_0",))
    monkeypatch.setattr("quantize.report.evaluation_text", lambda: "The sea is wide and the wind is strong. " * 60)
    assert main(["--auto", str(folder)]) == 0
    assert "its projector; pictures are not measured" in capsys.readouterr().out
    assert artifacts(folder) == ["Tiny-Smolvlm2-189K-Q4_0.gguf", MMPROJ]


def test_no_projector_is_left_without_its_model(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def fail(*_: Any) -> Any:
        raise QuantizeError("no more")

    monkeypatch.setattr(job, "quantize_model", fail)
    assert main([str(folder)]) == 1
    assert "no more" in capsys.readouterr().err
    assert artifacts(folder) == []
    assert not list(folder.glob(".*"))


def test_a_recipe_says_which_projector_and_a_flag_comes_before_it(folder: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    text = 'source = "a/Small-Eyes"\narchitecture = "VLlama3ForCausalLM"\nftype = "Q8_0"\nprojector = "q8_0"\n'
    recipe.write_text(text, encoding="utf-8")
    assert main(["--recipe", str(recipe), str(folder)]) == 0
    assert artifacts(folder) == ["Small-Eyes-Q8_0.gguf", "mmproj-Small-Eyes-Q8_0.gguf"]
    assert main(["--recipe", str(recipe), "--projector", "none", "--ftype", "q4_0", str(folder)]) == 0
    assert len(artifacts(folder)) == 3


def test_a_gguf_file_has_no_part_that_sees(tmp_path: Path, capsys: Capture) -> None:
    assert main(["--projector", "f16", str(tmp_path / "a.gguf")]) == 2
    assert "Hugging Face folder" in capsys.readouterr().err


@pytest.fixture
def unknown(folder: Path) -> Path:
    """A model whose text part is known and whose encoder of pictures is not."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    write_json(folder / "config.json", config | {"architectures": ["OddForConditionalGeneration"]})
    return folder


def test_an_encoder_that_is_not_known_leaves_the_text_model_alone_and_says_so(unknown: Path, capsys: Capture) -> None:
    assert main([str(unknown)]) == 0
    assert "its encoder of pictures is not known here" in capsys.readouterr().err
    assert artifacts(unknown) == ["Tiny-Smolvlm2-189K-Q4_K_M.gguf"]


@pytest.mark.parametrize("qtype", ["f16", "q8_0"])
def test_or_goes_through_the_official_converter(unknown: Path, tmp_path: Path, qtype: str, capsys: Capture) -> None:
    python, llama_cpp = python_with_torch(tmp_path / "venv"), checkout(tmp_path / "llama.cpp", CONVERTER)
    flags = ["--converter", str(llama_cpp), "--converter-python", str(python), "--projector", qtype]
    assert main([*flags, str(unknown)]) == 0, capsys.readouterr().err
    name = f"mmproj-Odd-Eyes-{qtype.upper()}.gguf"
    assert artifacts(unknown) == ["Tiny-Smolvlm2-189K-Q4_K_M.gguf", name]
    reader = GGUFReader(unknown / name)
    assert reader.fields["clip.projector_type"].contents() == qtype
    assert [tensor.tensor_type.name for tensor in reader.tensors] == ["Q8_0"]
    assert not list(unknown.glob(".*"))
