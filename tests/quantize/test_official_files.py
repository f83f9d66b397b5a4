"""Whole files, byte by byte, as `llama_model_quantize` writes them: every mix, every choice, every kind of source."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeai.errors import QuantizeError
from quantize import Options, quantize
from quantize.ftypes import FTYPES
from quantize.plan import TypeChoices
from tests.quantize.float_files import contents, float_file, imatrix_file, importances, mixtral, official

WITH_IMATRIX_ONLY = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS", "Q2_K_S")
PLAIN = tuple(ftype for ftype in FTYPES if ftype not in (*WITH_IMATRIX_ONLY, "Q1_0"))
WEIGHED = (*WITH_IMATRIX_ONLY, "Q2_K", "Q3_K_L", "Q4_0", "Q5_0", "Q4_K_M", "IQ4_NL", "Q8_0")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("float")
    return {case: float_file(folder, case) for case in ("llama", "qwen3", "mixtral")}


@pytest.mark.parametrize("case", ["llama", "qwen3", "mixtral"])
@pytest.mark.parametrize("ftype", PLAIN)
def test_every_mix(case: str, ftype: str, sources: dict[str, Path], tmp_path: Path) -> None:
    expected = official(sources[case], tmp_path / "official.gguf", TypeChoices(ftype=ftype))
    ours = quantize(sources[case], tmp_path / "ours.gguf", Options(ftype=ftype, n_threads=2))
    assert ours.path.read_bytes() == expected.read_bytes()
    assert ours.size_bytes == expected.stat().st_size


def test_a_mix_without_a_type_for_rows_that_do_not_fit(sources: dict[str, Path], tmp_path: Path) -> None:
    source = mixtral(tmp_path / "float.gguf", n_ff=128)
    expected = official(source, tmp_path / "official.gguf", TypeChoices(ftype="Q1_0"))
    assert quantize(source, tmp_path / "ours.gguf", Options(ftype="Q1_0")).path.read_bytes() == expected.read_bytes()
    with pytest.raises(RuntimeError):
        official(sources["llama"], tmp_path / "refused.gguf", TypeChoices(ftype="Q1_0"))
    with pytest.raises(QuantizeError, match=r"refuses Q1_0: no tensor type fallback is defined for type q1_0"):
        quantize(sources["llama"], tmp_path / "refused.gguf", Options(ftype="Q1_0"))


@pytest.mark.parametrize("case", ["llama", "mixtral"])
@pytest.mark.parametrize("ftype", WEIGHED)
def test_every_mix_with_an_importance_matrix(case: str, ftype: str, sources: dict[str, Path], tmp_path: Path) -> None:
    values = importances(sources[case])
    expected = official(sources[case], tmp_path / "official.gguf", TypeChoices(ftype=ftype), values)
    options = Options(ftype=ftype, imatrix=imatrix_file(tmp_path / "i.gguf", values), n_threads=2)
    assert contents(quantize(sources[case], tmp_path / "ours.gguf", options).path) == contents(expected)


@pytest.mark.parametrize("ftype", WITH_IMATRIX_ONLY)
def test_mixes_that_need_an_importance_matrix_say_so_before_anything_is_written(
    ftype: str, sources: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError):
        official(sources["llama"], tmp_path / "official.gguf", TypeChoices(ftype=ftype))
    out = tmp_path / "out"
    with pytest.raises(QuantizeError, match=r"cannot become .* without an importance matrix.*--imatrix"):
        quantize(sources["llama"], out / "ours.gguf", Options(ftype=ftype))
    assert not out.exists()


@pytest.mark.parametrize(
    "choices",
    [
        TypeChoices(ftype="Q4_K_M", output="Q8_0"),
        TypeChoices(ftype="Q4_K_M", output="F32", token_embd="BF16"),
        TypeChoices(ftype="Q8_0", by_pattern=(("attn_[qk]", "Q4_0"), ("attn_q", "Q6_K"), ("norm", "Q4_0"))),
        TypeChoices(ftype="Q4_0", by_pattern=(("ffn_down", "Q6_K"), (r"blk\.1\.", "IQ4_NL"))),
        TypeChoices(ftype="F16", output="Q8_0", by_pattern=(("attn", "Q4_0"),)),
        TypeChoices(ftype="Q2_0", token_embd="Q1_0", by_pattern=(("attn_v", "NVFP4"), ("attn_k", "TQ2_0"))),
    ],
)
def test_choices_of_types(choices: TypeChoices, sources: dict[str, Path], tmp_path: Path) -> None:
    expected = official(sources["llama"], tmp_path / "official.gguf", choices)
    options = Options(
        ftype=choices.ftype,
        output_type=choices.output,
        token_embd_type=choices.token_embd,
        tensor_types=choices.by_pattern,
    )
    assert quantize(sources["llama"], tmp_path / "ours.gguf", options).path.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("stored", ["F16", "BF16"])
@pytest.mark.parametrize("ftype", ["Q4_K_M", "Q8_0", "F16", "F32"])
def test_sources_of_16_bits(stored: str, ftype: str, tmp_path: Path) -> None:
    source = float_file(tmp_path, "plamo3", stored)
    expected = official(source, tmp_path / "official.gguf", TypeChoices(ftype=ftype))
    ours = quantize(source, tmp_path / "ours.gguf", Options(ftype=ftype))
    assert ours.path.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize(("stored", "ftype"), [("Q8_0", "Q4_0"), ("Q6_K", "Q4_K_M"), ("Q4_K_M", "Q4_K_M")])
def test_sources_that_are_quantized(stored: str, ftype: str, tmp_path: Path) -> None:
    source = float_file(tmp_path, "llama", stored)
    choices = TypeChoices(ftype=ftype)
    expected = official(source, tmp_path / "official.gguf", choices, allow_requantize=True)
    ours = quantize(source, tmp_path / "ours.gguf", Options(ftype=ftype, allow_requantize=True))
    assert ours.path.read_bytes() == expected.read_bytes()
