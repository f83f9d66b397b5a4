from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgeai.errors import ModelNotFoundError
from quantize.report import COLUMNS, Report, drawn_klds, names, pareto, reports
from tests.quantize.perplexity_models import quantized
from tests.quantize.reports import made_up
from tests.tiny import tiny_model


def test_an_artifact_is_measured_in_all_its_sides(tmp_path: Path) -> None:
    reference = tiny_model(tmp_path / "reference.gguf")
    candidate = quantized(reference, tmp_path / "candidate.gguf", "Q8_0")
    told: list[tuple[str, int, int]] = []
    (measured,) = reports([candidate], reference, n_ctx=64, n_chunks=2, on_progress=lambda *done: told.append(done))
    assert measured.file_type == "Q8_0"
    assert measured.size_bytes == candidate.stat().st_size
    assert 8.5 <= measured.bpw < 9  # 34 bytes for 32 weights, and the norms in float32
    assert measured.quality is not None
    assert measured.quality.n_windows == 2
    assert told == [
        ("speed", 0, 0),  # while models are loaded
        *(("speed", n, 3) for n in (1, 2, 3)),
        ("divergence of Q8_0", 0, 0),
        *(("divergence of Q8_0", n, 2) for n in (1, 2)),
    ]
    assert measured.speed is not None
    assert measured.speed.prefill_tokens_per_s > 0
    assert measured.speed.decode_tokens_per_s > 0
    assert 400 <= measured.speed.n_prompt <= 432  # it was trained for 512 tokens, 64 of which are written
    assert measured.speed.peak_bytes > measured.size_bytes
    assert json.loads(json.dumps(measured.as_dict(), allow_nan=False))["quality"]["kld_mean"]["value"] > 0


def test_without_reference_and_speed_only_the_size_is_told(tmp_path: Path) -> None:
    (measured,) = reports([tiny_model(tmp_path / "a.gguf")], None, with_speed=False)
    assert measured.quality is None
    assert measured.speed is None
    assert measured.bpw == 32
    assert [name for name, _ in measured.rows()] == ["file", "file type", "size"]
    assert measured.cells() == ("F32", f"{measured.size_bytes / 1e6:.1f}", "32.00", *["—"] * 7)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        reports([tmp_path / "none.gguf"], None)


def test_a_reference_that_is_not_there_is_known_before_anything_is_measured(tmp_path: Path) -> None:
    told: list[str] = []
    with pytest.raises(ModelNotFoundError, match=r"none\.gguf"):
        reports(
            [tiny_model(tmp_path / "a.gguf")],
            tmp_path / "none.gguf",
            on_progress=lambda what, *_: told.append(what),
        )
    assert not told


def test_candidates_take_turns_where_memory_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = tiny_model(tmp_path / "f32.gguf")
    paths = [quantized(reference, tmp_path / f"{ftype}.gguf", ftype) for ftype in ("Q8_0", "F16")]
    told: list[str] = []

    def measure() -> list[Report]:
        told.clear()
        return reports(
            paths, reference, n_ctx=64, n_chunks=2, with_speed=False, on_progress=lambda what, *_: told.append(what)
        )

    together = measure()
    assert told == ["divergence of 2 mixes"] * 3
    monkeypatch.setattr("quantize.report.available_memory_bytes", lambda: 0)
    assert measure() == together
    assert told == ["divergence of Q8_0"] * 3 + ["divergence of F16"] * 3


def test_a_row_of_a_table() -> None:
    cells = made_up("Q4_K_M", megabytes=105.4).cells()
    assert dict(zip(COLUMNS, cells, strict=True)) == {
        "file type": "Q4_K_M",
        "size": "105.4",
        "bpw": "6.25",
        "PPL": "20.5",
        "KLD": "0.0500",
        "99 %": "0.4500",
        "top-1": "91.2%",
        "prefill": "252",
        "decode": "80.0",
        "memory": "201.5",
    }


def test_the_lines_for_one_artifact() -> None:
    rows = dict(made_up("Q4_K_M", megabytes=105.4).rows())
    assert rows["size"] == "105.4 MB, 6.25 bits per weight"
    assert rows["KL divergence, mean"] == "0.05000 ± 0.00500"
    assert rows["same likeliest token"] == "91.20 ± 0.40 %"
    assert rows["measured on"] == "5,100 tokens in 20 windows of 512"
    assert rows["decode"] == "80.0 tokens/s"


def test_only_what_no_other_beats_is_best() -> None:
    small = made_up("Q4_0", megabytes=90, kld=0.2, decode_tokens_per_s=100)
    good = made_up("Q8_0", megabytes=140, kld=0.001, decode_tokens_per_s=90)
    worse = made_up("Q4_1", megabytes=95, kld=0.3, decode_tokens_per_s=100)
    assert pareto([worse, good, small]) == [good, small]


def test_equal_artifacts_are_both_best() -> None:
    twins = [made_up("A", megabytes=1), made_up("B", megabytes=1)]
    assert pareto(twins) == twins


def test_what_was_not_measured_is_not_compared() -> None:
    fast = made_up("A", megabytes=2, kld=0.1)
    unknown = made_up("B", megabytes=3, kld=0.2, decode_tokens_per_s=None)
    assert pareto([fast, unknown]) == [fast]


def test_an_exact_copy_is_drawn_below_all_others() -> None:
    copy, other = made_up("F32", megabytes=9, kld=0.0), made_up("F16", megabytes=5, kld=3e-6)
    assert drawn_klds([copy, other]) == pytest.approx([1e-6, 3e-6])
    assert drawn_klds([copy])[0] > 0


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((("a/x.gguf", "Q8_0"), ("a/x.gguf", "Q4_0")), ["Q8_0", "Q4_0"]),
        ((("a/x.gguf", "Q8_0"), ("b/y.v2.gguf", "Q8_0"), ("z.gguf", "F16")), ["x", "y.v2", "z"]),
        ((("a/x.gguf", "Q8_0"), ("b/x.gguf", "Q8_0")), ["a/x.gguf", "b/x.gguf"]),
        ((("x.gguf", "Q8_0"), ("x.gguf", "Q8_0")), ["x.gguf", "x.gguf"]),
        ((("\x1b[2Jx\n.gguf", "Q8_0"), ("y.gguf", "Q8_0")), ["x ", "y"]),
        ((), []),
    ],
)
def test_what_artifacts_are_called(files: tuple[tuple[str, str], ...], expected: list[str]) -> None:
    assert names([replace(made_up(mix, megabytes=5), path=Path(path)) for path, mix in files]) == expected
