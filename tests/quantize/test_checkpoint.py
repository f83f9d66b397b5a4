"""A folder is read, from all its shards; one that lacks something or is of another kind is refused in a line."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgeai.errors import CheckpointError
from quantize import base
from quantize.checkpoint import Checkpoint, text_config
from tests.quantize.hf_folders import (
    CONFIG,
    VALUES,
    as_in_the_cache,
    refused,
    sharded_folder,
    single_folder,
    write_index,
)


@pytest.fixture
def single(tmp_path: Path) -> Path:
    return single_folder(tmp_path / "single")


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    return sharded_folder(tmp_path / "sharded")


# --- what is sound


def test_single_and_sharded_hold_the_same(single: Path, sharded: Path, tmp_path: Path) -> None:
    for folder in (single, sharded, as_in_the_cache(single, tmp_path / "a"), as_in_the_cache(sharded, tmp_path / "b")):
        checkpoint: base.Checkpoint = Checkpoint.open(str(folder))
        assert checkpoint.path == folder
        assert checkpoint.config == CONFIG
        assert list(checkpoint.tensors) == list(VALUES)
        for name, tensor in checkpoint.tensors.items():
            assert (tensor.name, tensor.dtype, tensor.shape) == (name, "F32", VALUES[name].shape)
            np.testing.assert_array_equal(tensor.read(), VALUES[name], strict=True)


def test_a_single_file_is_preferred_to_an_index(single: Path) -> None:
    """As transformers does."""
    write_index(single, {"other": "model-00001-of-00001.safetensors"})
    assert list(Checkpoint.open(single).tensors) == list(VALUES)


def test_files_and_json(single: Path) -> None:
    (single / "tokenizer_config.json").write_text('{"bos_token": "<s>", "limits": [0.0, Infinity]}')
    (single / "templates").mkdir()
    (single / "templates" / "tool.jinja").write_text("x")
    checkpoint = Checkpoint.open(single)
    assert checkpoint.file("tokenizer.model") is None
    assert checkpoint.json("tokenizer.json") is None
    assert checkpoint.file("config.json") == single / "config.json"
    assert checkpoint.file("templates/tool.jinja") == single / "templates" / "tool.jinja"
    assert checkpoint.json("tokenizer_config.json") == {"bos_token": "<s>", "limits": [0.0, float("inf")]}


def test_generation_config(single: Path) -> None:
    assert Checkpoint.open(single).generation_config == {}
    (single / "generation_config.json").write_text('{"temperature": 0.2}')
    assert Checkpoint.open(single).generation_config == {"temperature": 0.2}


def test_a_relative_path_and_a_link_keep_the_name(single: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (single.parent / "My-Model").symlink_to(single)
    monkeypatch.chdir(single.parent)
    assert Checkpoint.open("My-Model").path == single.parent / "My-Model"
    monkeypatch.chdir(single)
    assert Checkpoint.open(".").path.name == "single"


def test_code_is_noted_and_not_run(single: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not Checkpoint.open(single).has_code
    code = single / "modeling_own.py"
    code.write_text(f"open({str(single / 'was run')!r}, 'w')")
    (single / "config.json").write_text(json.dumps({**CONFIG, "auto_map": {"AutoModel": "modeling_own.Model"}}))
    with caplog.at_level(logging.INFO, logger="quantize"):
        assert Checkpoint.open(single).has_code
    assert "not run" in caplog.text
    assert not (single / "was run").exists()


def test_the_text_part_of_a_configuration() -> None:
    config = {"model_type": "gemma3", "hidden_size": 1, "text_config": {"hidden_size": 2, "model_type": "gemma3_text"}}
    assert text_config(config) == {**config, "hidden_size": 2, "model_type": "gemma3_text"}
    assert text_config({"hidden_size": 1}) == {"hidden_size": 1}
    with pytest.raises(CheckpointError, match=r"config.json: text_config is '3', expected an object"):
        text_config({"text_config": 3})


# --- what is missing, or of another kind


def test_no_folder(tmp_path: Path, single: Path) -> None:
    assert "no such folder" in refused(tmp_path / "none")
    assert "not a folder" in refused(single / "config.json")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is not there, expected that of a Hugging Face model"),
        (b"", "is not JSON"),
        (b"[1]", "is '[1]', expected an object"),
        (b"{", "is not JSON"),
        (b"\xff{}", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a":' + b"1" * 5000 + b"}", "is not JSON"),
        (b"{}" + b" " * 2**24, "longer than 16,777,216 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b'{"quantization_config": {"quant_method": "gptq", "bits": 4}}', "weights are quantized (gptq)"),
        (b'{"quantization_config": "x"}', "weights are quantized (x)"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_configurations(content: bytes | None, said: str, single: Path) -> None:
    if content is None:
        (single / "config.json").unlink()
    else:
        (single / "config.json").write_bytes(content)
    assert said in refused(single)


def test_an_adapter(single: Path) -> None:
    (single / "config.json").rename(single / "adapter_config.json")
    assert "LoRA adapter; merge it into its base first" in refused(single)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "model.safetensors': is not there, nor model.safetensors.index.json"),
        (["pytorch_model.bin"], "Python pickles ('pytorch_model.bin'), which run code"),
        (["consolidated.00.pth"], "Python pickles"),
        ([f"pytorch_model-0000{i}-of-00005.bin" for i in range(1, 6)], "-of-00005.bin' and 2 more), which run code"),
        (["consolidated.safetensors"], "but 'consolidated.safetensors'; rename the one"),
        (["model-00001-of-00002.safetensors"], "'model-00001-of-00002.safetensors' are shards; fetch the index too"),
    ],
)
def test_no_weights(names: list[str], said: str, single: Path) -> None:
    (single / "model.safetensors").unlink()
    for name in names:
        (single / name).write_bytes(b"\x80\x02}q\0.")
    assert said in refused(single)


def test_weights_without_tensors(single: Path) -> None:
    save_file({}, single / "model.safetensors", {"format": "pt"})
    assert "no tensors" in refused(single)
