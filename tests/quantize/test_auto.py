"""The best artifact for this machine, of tiny models whose mixes are really built and measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from edgeai.errors import QuantizeError
from quantize import candidates
from quantize.auto import Wishes, auto
from quantize.candidates import SMALLER, USUAL, fitting, shape_of
from quantize.cli import main
from quantize.extrapolate import missing_kv_bytes
from quantize.pipeline import Model, Options, open_model, quantize
from quantize.sample import sampled
from tests.quantize.tiny_checkpoints import case_checkpoint

Capture = pytest.CaptureFixture[str]
TEXT = "The sea is wide and the wind is strong. " * 400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return case_checkpoint(tmp_path, "llama")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three mixes instead of ten, each of which is loaded four times."""
    monkeypatch.setattr(candidates, "USUAL", ("Q8_0", "Q4_K_M", "Q4_0"))


@pytest.mark.usefixtures("few")
def test_all_that_fits_is_measured_and_the_best_is_kept(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    told: set[str] = set()
    choice = auto(folder, out, None, Wishes(prefer="quality"), text=TEXT, on_progress=lambda what, *_: told.add(what))
    assert [report.file_type for report in choice.reports] == [
        item.ftype for item in fitting(open_model(folder), Options())
    ]
    assert all(report.quality and report.speed for report in choice.reports)
    assert choice.best.file_type == "Q8_0"  # of the usual mixes the one with the most bits
    assert choice.best in choice.front
    assert not choice.is_estimate
    assert {"building the reference", "building Q8_0", "speed"} <= told
    assert list(out.iterdir()) == [choice.artifact.path]
    same = quantize(folder, tmp_path / "same.gguf", Options(ftype="Q8_0"))
    assert choice.artifact.path.read_bytes() == same.path.read_bytes()


@pytest.mark.usefixtures("few")
def test_a_sample_of_layers_stands_for_the_whole(folder: Path, tmp_path: Path) -> None:
    whole = fitting(open_model(folder), Options())
    choice = auto(folder, tmp_path / "a.gguf", None, Wishes(prefer="size", n_layers=1), text=TEXT)
    assert choice.is_estimate
    assert choice.n_layers == 1
    assert {report.file_type: report.size_bytes for report in choice.reports} == {
        item.ftype: item.n_file_bytes for item in whole
    }
    smallest = min(whole, key=lambda item: item.n_file_bytes)
    assert choice.best.file_type == smallest.ftype
    assert choice.artifact.path.stat().st_size == smallest.n_file_bytes
    same = quantize(folder, tmp_path / "same.gguf", Options(ftype=smallest.ftype))
    assert choice.artifact.path.read_bytes() == same.path.read_bytes()


def outlier(folder: Path) -> None:
    """Give one weight of a checkpoint a value beyond F16."""
    with (folder / "model.safetensors").open("r+b") as file:
        n_header = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(n_header))["model.layers.0.mlp.up_proj.weight"]
        assert entry["dtype"] == "BF16"
        file.seek(8 + n_header + entry["data_offsets"][0])
        file.write(np.float32(1e5).tobytes()[2:])


def test_weights_beyond_f16_are_compared_with_bf16(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "USUAL", ("Q8_0",))
    outlier(folder)
    choice = auto(folder, tmp_path / "a.gguf", None, Wishes(prefer="size", n_layers=1), text=TEXT)
    assert choice.as_dict()["reference"] == "BF16"
    assert all(report.quality for report in choice.reports)
    assert caplog.messages == [
        "blk.0.ffn_up.weight has numbers beyond F16's range: the model is run and compared in BF16"
    ]


def test_layers_that_are_no_model_are_told_from_a_damaged_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(model: Model, layers: Sequence[int]) -> Model:
        part = sampled(model, layers)
        return Model([meta for meta in part.metadata if not meta.key.endswith("head_count")], part.tensors)

    monkeypatch.setattr(sys.modules["quantize.auto"], "sampled", broken)
    with pytest.raises(QuantizeError, match=r"1 of the model's 2 layers are no model .* with --layers 2"):
        auto(folder, tmp_path / "a.gguf", None, Wishes(n_layers=1), text=TEXT)


@pytest.mark.usefixtures("few")
def test_a_large_model_is_sampled_by_itself(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["quantize.auto"], "MAX_PARAMS", 1)
    monkeypatch.setattr(sys.modules["quantize.auto"], "_MIN_LAYERS", 1)
    assert auto(folder, tmp_path / "a.gguf", None, text=TEXT).n_layers == 1


def test_a_sample_s_memory_counts_the_caches_of_all_layers(tmp_path: Path) -> None:
    model = open_model(case_checkpoint(tmp_path, "gemma3"))  # 6 layers: 5 with a window of 16, one without
    whole, part = (shape_of(item) for item in (model, sampled(model, [0])))
    cell_bytes = 2 * (2 * 32) * 2  # K and V of two heads of 32, in F16
    assert missing_kv_bytes(whole, part, 1000) == (4 * 256 + 1 * 1024) * cell_bytes


def test_sizes_are_those_of_the_files(folder: Path, tmp_path: Path) -> None:
    for item in fitting(open_model(folder), Options()):
        artifact = quantize(folder, tmp_path / f"{item.ftype}.gguf", Options(ftype=item.ftype))
        assert item.n_file_bytes == artifact.path.stat().st_size


def test_what_is_too_large_is_not_built(folder: Path) -> None:
    model = open_model(folder)
    everything = {item.ftype: item.n_file_bytes for item in fitting(model, Options())}
    limit = sorted(everything.values())[len(everything) // 2]
    some = fitting(model, Options(), limit)
    assert {item.ftype for item in some} == {ftype for ftype, n_bytes in everything.items() if n_bytes <= limit}
    assert {item.ftype for item in some} < set(USUAL)
    below = fitting(model, Options(), min(everything.values()) - 1)
    assert {item.ftype for item in below} <= set(SMALLER)
    with pytest.raises(QuantizeError, match="even Q2_K has"):
        fitting(model, Options(), 1000)


def test_what_memory_has_no_room_for_is_not_built(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "available_memory_bytes", lambda: 2**20)
    with pytest.raises(QuantizeError, match="even Q2_K does not fit into memory"):
        fitting(open_model(folder), Options())


@pytest.mark.parametrize(
    ("wishes", "words"),
    [(Wishes(max_kld=1e-12), "every mix diverges more"), (Wishes(n_layers=99), "choose 1 to")],
)
@pytest.mark.usefixtures("few")
def test_where_nothing_will_do_nothing_is_left(wishes: Wishes, words: str, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(QuantizeError, match=words):
        auto(folder, out, None, wishes, text=TEXT)
    assert not list(out.iterdir())


def test_one_that_exists_is_refused_before_the_work(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.gguf"
    out.write_bytes(b"mine")
    told: list[str] = []
    with pytest.raises(QuantizeError, match="exists"):
        auto(folder, out, on_progress=lambda what, *_: told.append(what))
    assert not told
    assert out.read_bytes() == b"mine"


@pytest.fixture
def short_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quantize.report.evaluation_text", lambda: TEXT)


@pytest.mark.usefixtures("short_text", "few")
def test_the_command_shows_all_and_what_is_kept(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    picture = tmp_path / "a.svg"
    assert main(["--auto", "--prefer", "quality", "--max-size", "100MB", "--picture", str(picture), str(folder)]) == 0
    told = capsys.readouterr().out
    (artifact,) = folder.glob("*.gguf")
    assert artifact.name.endswith("-Q8_0.gguf")
    assert "Q8_0 is kept, the least divergence" in told
    assert "★" in told
    assert "KL divergence, nats" in told
    assert f"edgeai chat --model {artifact}" in told
    assert picture.read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.usefixtures("short_text", "few")
def test_one_is_marked_where_all_would_have_the_same_name(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["--auto", "--prefer", "quality", "-o", str(tmp_path / "a.gguf"), str(folder)]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("★ ")]
    assert rows[0].split()[1] == "Q8_0"
    assert len(rows) == 2  # the other is the legend


@pytest.mark.usefixtures("short_text", "few")
def test_the_command_tells_programs(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["--auto", "--layers", "1", "--json", "-o", str(tmp_path / "a.gguf"), str(folder)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["path"] == str(tmp_path / "a.gguf")
    assert facts["layers_measured"] == 1
    assert facts["ftype"] in facts["pareto_front"]
    assert {item["file_type"] for item in facts["reports"]} >= {"Q8_0", "Q4_0"}


def test_a_dry_run_lists_what_would_be_built(folder: Path, capsys: Capture) -> None:
    assert main(["--auto", "--dry-run", "--json", str(folder)]) == 0
    sizes = [item["size_bytes"] for item in json.loads(capsys.readouterr().out)]
    assert len(sizes) > 3
    assert main(["--auto", "--dry-run", "--max-size", "2kB", str(folder)]) == 1
    assert "no mix fits" in capsys.readouterr().err
    assert not list(folder.glob("*.gguf"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--auto", "--bits", "4"], "not both"),
        (["--auto", "--ftype", "Q8_0"], "not both"),
        (["--prefer", "speed"], "--auto"),
        (["--max-size", "2GB"], "--auto"),
        (["--auto", "--max-size", "much"], "such as 2GB"),
        (["--auto", "--max-size", "0"], "such as 2GB"),
        (["--auto", "--max-kld", "-1"], "max-kld"),
        (["--auto", "--prefer", "beauty"], "balance"),
        (["--picture", "a.svg"], "--report or --auto"),
    ],
)
def test_flags_that_do_not_go_together(arguments: list[str], words: str, folder: Path, capsys: Capture) -> None:
    assert main([*arguments, str(folder)]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("2GB", 2 * 10**9), ("1.5 gib", 3 * 2**29), ("500m", 5 * 10**8), ("1000", 1000), ("1kB", 1000)],
)
def test_sizes_as_people_write_them(text: str, n_bytes: int) -> None:
    from quantize.cli import _Size

    convert: Callable[..., int] = _Size().convert
    assert convert(text, None, None) == n_bytes
