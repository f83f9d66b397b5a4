"""The benchmark of the ONNX route: its contenders answer, and its tables are right for made-up figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import onnx, onnx_build, onnx_memory, onnx_run
from benchmarks.onnx_artifacts import Peer, folder_bytes, graph_bytes
from benchmarks.onnx_build import Side
from benchmarks.onnx_memory import Peak
from benchmarks.onnx_run import GENAI, INSIDE, OURS, Asked
from benchmarks.quantize_models import Source
from benchmarks.quantize_process import Run
from tests.quantize.tiny_checkpoints import tiny_checkpoint


def asked(n_prompt: int, prefill_s: float, decode_s: float, text: str = "the sea") -> Asked:
    return Asked(n_prompt, 11, prefill_s, decode_s, text, [1])


def side(wall_s: float, peak_bytes: int, graph_bytes: int) -> Side:
    return Side([Run(wall_s, wall_s, peak_bytes, peak_bytes)], graph_bytes, graph_bytes + 10**6)


def test_builds_are_held_against_the_peers(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(1000))
    found = {4: {"ours": side(2.0, 300_000_000, 80_000_000), "theirs": side(8.0, 1_500_000_000, 100_000_000)}}
    lines = onnx_build.lines(Source("tiny", tmp_path), found)
    assert lines[3].split()[-5:] == ["2.00", "2.00", "300", "80.0", "81.0"]
    assert "time 0.25 (at most 0.5), peak memory 0.20 (at most 0.35), size 0.800 (at most 1.0)" in lines[5]
    alone = {4: {"ours": side(2.0, 300_000_000, 80_000_000)}}
    assert len(onnx_build.lines(Source("tiny", tmp_path), alone)) == 4
    assert onnx_build.as_dict(alone)["4"]["time_ratio"] is None


def test_rates_are_compared_round_by_round() -> None:
    found = {
        OURS: [asked(100, 1.0, 2.0)],
        GENAI: [asked(100, 2.0, 1.0, "the seven")],
        "llama.cpp": [asked(100, 1.0, 1.0)],
    }
    lines = onnx_run.lines(4, found)
    assert lines[0] == "4 bits: prefill of 100 tokens, tokens/s"
    assert lines[1].split()[-1] == "100.0"
    assert lines[2].split()[-1] == "2.000"
    assert lines[5].split()[-1] == "5.0"
    assert lines[6].split()[-1] == "0.500"
    assert lines[-1] == "  the answers part after 6 characters: 'a' and 'ven'"
    with pytest.raises(AssertionError, match=r"prompts of \[100, 101\] tokens"):
        onnx_run.lines(4, {**found, INSIDE: [asked(101, 1.0, 1.0)]})


def test_memory_is_that_of_all_processes() -> None:
    lines = onnx_memory.lines(8, {OURS: [Peak([100.0, 150.4])], GENAI: [Peak([500.8])]})
    assert lines[1].split()[-1] == "250.4"
    assert lines[2].split()[-1] == "2.000"
    assert lines[3].endswith("100 + 150")


def test_sizes_are_those_of_the_graph_and_of_all(tmp_path: Path) -> None:
    for name, n_bytes in (("model.onnx", 3), ("model.onnx.data", 4), ("tokenizer.json", 5)):
        (tmp_path / name).write_bytes(bytes(n_bytes))
    assert (graph_bytes(tmp_path), folder_bytes(tmp_path)) == (7, 12)


def test_a_peer_without_its_packages_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no such file: check --peer-python"):
        Peer(tmp_path / "python").versions()
    with pytest.raises(SystemExit, match=r"onnxruntime-genai.*--help"):
        Peer(Path(sys.executable)).versions()


def test_a_short_try_needs_two_new_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        onnx.main(["--new", "1", "--work", str(tmp_path)])
    assert "--new 2 or more" in capsys.readouterr().err


def test_the_short_form_builds_runs_and_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tiny_checkpoint(tmp_path / "tiny", "smollm2")
    sizes = ["--rounds", "1", "--threads", "1", "--n-ctx", "128", "--prompt", "20", "--new", "4"]
    onnx.main(["--checkpoint", str(checkpoint), "--work", str(tmp_path), "--bits", "8", *sizes, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["peer"] is None
    assert found["build"]["8"]["ours"]["graph_bytes"] > 10_000
    rounds = {name: only for name, (only,) in found["run"]["8"].items()}
    (n_prompt,) = {asked["n_prompt"] for asked in rounds.values()}
    assert 15 <= n_prompt <= 20
    assert [asked["n_new"] for asked in rounds.values()] == [4] * 3
    assert rounds[OURS]["text"] == rounds[INSIDE]["text"]
    assert [len(*peaks) for peaks in found["memory"]["8"].values()] == [2, 1, 1], "processes"
