"""An ONNX model read over a text beside GGUF models: the same weights give the same scores."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeai.errors import EdgeAIError, ModelFormatError, ModelNotFoundError, QuantizeError
from quantize.evaluate import Evaluator, Model
from quantize.onnx.evaluate import OnnxEvaluator
from quantize.onnx.folder import write_folder
from quantize.onnx.options import OnnxOptions
from quantize.perplexity import divergence, perplexity
from quantize.pipeline import Options, open_model, quantize
from quantize.report import Report, reports
from quantize.subjects import read_subject
from tests.quantize.tiny_checkpoints import case_checkpoint

TEXT = "a text of some words. " * 40
N_CTX = 32


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one model as float GGUF and float and 4-bit ONNX."""
    folder = tmp_path_factory.mktemp("models")
    source = case_checkpoint(folder, "llama")
    quantize(source, folder / "f32.gguf", Options(ftype="F32"))
    write_folder(open_model(source), source, folder / "float", OnnxOptions(bits=32))
    write_folder(open_model(source), source, folder / "int4", OnnxOptions(bits=4))
    return folder


def test_all_positions_have_the_logits_of_llama_cpp(models: Path) -> None:
    found = []
    kinds: list[tuple[Callable[..., Model], str]] = [(Evaluator, "f32.gguf"), (OnnxEvaluator, "float")]
    for kind, name in kinds:
        with kind(models / name, n_ctx=200, n_threads=1) as model:
            window = model.tokenize(TEXT)[:200]
            found.append(np.concatenate([rows.copy() for rows in model.logits(window, 100)]))
            assert model.n_vocab == found[-1].shape[1]
    assert found[0].shape == found[1].shape == (100, found[0].shape[1])
    np.testing.assert_allclose(found[1], found[0], atol=0.02)  # llama.cpp keeps float16 of the past


def test_floats_differ_in_nothing_and_4_bits_in_something(models: Path) -> None:
    same = divergence(models / "float", models / "f32.gguf", TEXT, n_ctx=N_CTX)
    other = divergence(models / "int4", models / "f32.gguf", TEXT, n_ctx=N_CTX)
    assert same.kld_mean.value < 1e-4
    assert same.same_top.value == 1
    assert other.kld_mean.value > 100 * same.kld_mean.value


def test_an_onnx_model_can_be_the_reference(models: Path) -> None:
    assert divergence(models / "f32.gguf", models / "float", TEXT, n_ctx=N_CTX, n_chunks=2).kld_mean.value < 1e-4
    expected = perplexity(models / "f32.gguf", TEXT, n_ctx=N_CTX, n_chunks=2).perplexity.value
    assert perplexity(models / "float", TEXT, n_ctx=N_CTX, n_chunks=2).perplexity.value == pytest.approx(
        expected, rel=1e-2
    )


def test_both_formats_stand_in_one_table(models: Path) -> None:
    found = reports([models / "f32.gguf", models / "int4"], models / "f32.gguf", TEXT, n_ctx=N_CTX, with_speed=False)
    gguf, onnx = found
    assert onnx.file_type == "int4 ONNX"
    assert onnx.n_params == gguf.n_params
    assert 5 < onnx.bpw < gguf.bpw == 32
    assert onnx.size_bytes == sum(path.stat().st_size for path in (models / "int4").iterdir())


def test_a_folder_of_another_program_says_less(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "int4", tmp_path / "other")
    (tmp_path / "other" / "edgeai.json").unlink()
    (report,) = reports([tmp_path / "other"], None, with_speed=False)
    assert (report.file_type, report.n_params) == ("ONNX", 0)
    assert report.as_dict()["bpw"] is None
    assert report.cells()[2] == "—"
    assert isinstance(report, Report)
    assert "bits per weight" not in dict(report.rows())["size"]


def test_models_of_different_tokens_are_not_compared(models: Path, tmp_path: Path) -> None:
    source = case_checkpoint(tmp_path, "qwen2")
    write_folder(open_model(source), source, tmp_path / "other", OnnxOptions())
    with pytest.raises(QuantizeError, match="different tokens"):
        divergence(tmp_path / "other", models / "f32.gguf", TEXT, n_ctx=N_CTX)


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _cut(name: str) -> Callable[[Path], None]:
    def cut(folder: Path) -> None:
        (folder / "edgeai.json").unlink()
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return cut


@pytest.mark.parametrize("damage", [_without("model.onnx"), _without("tokenizer.json"), _cut("model.onnx.data")])
def test_damaged_folders_are_told_in_one_line(damage: Callable[[Path], None], models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "int4", tmp_path / "bad")
    damage(tmp_path / "bad")
    with pytest.raises(ModelFormatError) as found:
        perplexity(tmp_path / "bad", TEXT, n_ctx=N_CTX)
    assert "\n" not in str(found.value)
    assert "bad" in str(found.value)


def test_no_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        read_subject(tmp_path / "nothing")
    with pytest.raises(EdgeAIError, match=r"genai_config\.json"):
        read_subject(tmp_path)
