"""The general keys: the official converter's for honest folders, and nothing of a hostile folder's harm."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import gguf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quantize.base import Meta
from quantize.checkpoint import Checkpoint
from quantize.families.general import general_metadata
from tests.quantize.hf_folders import single_folder

CARDS = {
    "smollm2": """---
library_name: transformers
license: apache-2.0
language:
- en
pipeline_tag: text-generation
tags:
- safetensors
- transformers.js
base_model:
- HuggingFaceTB/SmolLM2-135M
---

# SmolLM2
""",
    "llama": """---
language:
- en
- no
license: other
license_name: llama3.2
license_link: https://example.org/LICENSE
datasets:
- HuggingFaceFW/fineweb
- https://huggingface.co/datasets/allenai/c4
base_model: meta-llama/Llama-3.2-1B
model_name: A Llama
model_creator: Meta AI
---
""",
    "tabs-and-versions": '---\nversion: "1.0"\ntags:\n-\ttiny\nlicense: [mit, apache-2.0]\nauthor: A\n---\nrest\n',
    "no-front-matter": "# A model\n",
    "unclosed": "---\nlicense: mit\n",
    "empty": "",
    "no-mapping": "---\n- license\n---\n",
}
GENERATION = {
    "qwen": {"do_sample": True, "temperature": 0.7, "top_k": 20, "top_p": 0.8},
    "whole-numbers": {"temperature": 1, "top_p": 1},
    "rare": {"min_p": 0.05, "penalty_last_n": 64, "mirostat": 2, "mirostat_tau": 5.0, "mirostat_eta": 0.1},
}


def folder(parent: Path, card: str | bytes = "", generation: str | None = None, name: str = "Tiny-Llama-1B-v2") -> Path:
    path = single_folder(parent / name)
    (path / "README.md").write_bytes(card if isinstance(card, bytes) else card.encode())
    if generation is not None:
        (path / "generation_config.json").write_text(generation)
    return path


def ours(path: Path) -> list[Meta]:
    checkpoint = Checkpoint.open(path)
    return general_metadata(checkpoint, "llama", list(checkpoint.tensors.values()))


def official(path: Path) -> dict[str, Any]:
    """As the official converter does it: `ModelBase.prepare_metadata`."""
    n_params = sum(tensor.n_elements for tensor in Checkpoint.open(path).tensors.values())
    found = gguf.Metadata.load(None, path, None, n_params)
    found.size_label = found.size_label or gguf.size_label(n_params, n_params, 0, 0)
    writer = gguf.GGUFWriter(path=None, arch="llama")
    writer.add_type(gguf.GGUFType.MODEL)
    found.set_gguf_meta_model(writer)
    return {key: (entry.type, entry.value) for key, entry in writer.kv_data[0].items()}


def pairs(keys: list[Meta]) -> dict[str, Any]:
    return {meta.key: (meta.type, meta.value) for meta in keys}


@pytest.mark.parametrize("name", ["Tiny-Llama-1B-v2", "SmolLM2-135M-Instruct", "model", "0a1b2c", "a name with spaces"])
@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_names_and_licences_are_the_official_ones(card: str, name: str, tmp_path: Path) -> None:
    path = folder(tmp_path, card, name=name)
    assert list(pairs(ours(path)).items()) == list(official(path).items())


@pytest.mark.parametrize("name", ["meta-llama/Llama-2-7b-hf", "/home/me/models/x", "./x"])
def test_the_name_in_the_config_counts(name: str, tmp_path: Path) -> None:
    path = folder(tmp_path)
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"_name_or_path": name}))
    assert pairs(ours(path)) == official(path)


@pytest.mark.parametrize("generation", GENERATION.values(), ids=GENERATION)
def test_the_makers_sampling_is_kept(generation: dict[str, Any], tmp_path: Path) -> None:
    path = folder(tmp_path, generation=json.dumps(generation))
    keys = pairs(ours(path))
    assert list(keys.items()) == list(official(path).items())
    assert any(key.startswith("general.sampling.") for key in keys)


def test_an_empty_name_in_the_config_does_not(tmp_path: Path) -> None:
    """The official converter would call the model "", although its folder has a name."""
    path = folder(tmp_path)
    (path / "config.json").write_text('{"architectures": ["LlamaForCausalLM"], "_name_or_path": ""}')
    assert pairs(ours(path))["general.name"][1] == "Tiny Llama 1B v2"


def test_a_snapshot_in_the_hubs_cache_has_its_repositorys_name(tmp_path: Path) -> None:
    """The official converter would call the model after the commit."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshots = tmp_path / "models--org--Tiny-Llama-1B-v2" / "snapshots"
    snapshots.mkdir(parents=True)
    path = folder(snapshots, name=commit)
    assert ours(path) == ours(folder(tmp_path, name="Tiny-Llama-1B-v2"))
    assert pairs(ours(path))["general.name"][1] == "Tiny Llama 1B v2"


def test_a_repetition_penalty_is_kept(tmp_path: Path) -> None:
    """As llama.cpp's own converter has it; older releases of its Python package do not."""
    keys = pairs(ours(folder(tmp_path, generation='{"repetition_penalty": 1.05}')))
    assert keys["general.sampling.penalty_repeat"] == (gguf.GGUFValueType.FLOAT32, 1.05)


@pytest.mark.parametrize(
    "generation",
    ['{"top_k": 1e9, "top_p": "0.9", "temperature": null}', '{"top_k": 4294967296, "min_p": true}'],
)
def test_sampling_that_makes_no_sense_is_left_out(generation: str, tmp_path: Path) -> None:
    assert not any(key.startswith("general.sampling.") for key in pairs(ours(folder(tmp_path, generation=generation))))


def test_numbers_and_dates_in_a_card_become_text_or_nothing(tmp_path: Path) -> None:
    card = "---\nversion: 1.5\nauthor: 7\nlicense: 2024-01-31\ndescription: {a: b}\ntags: [1, x, [y], null]\n---\n"
    keys = {key: value for key, (_, value) in pairs(ours(folder(tmp_path, card))).items()}
    assert keys["general.version"] == "1.5"
    assert keys["general.author"] == "7"
    assert "general.license" not in keys
    assert "general.description" not in keys
    assert keys["general.tags"] == ["1", "x"]


BLOWN_UP = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    "card",
    [
        f"---\n{BLOWN_UP}base_model: *i\n---\n",
        "---\nlicense: " + "x" * 10_000_000,
        "---\ntags: " + "[" * 100_000 + "\n---\n",
        "---\nlicense: [\n---\n",
        "---\nlicense: !!python/object/apply:os.system ['true']\n---\n",
        "---\nversion: 2024-99-99\n---\n",
        "---\nbase_model: 5\n---\n",
        b"---\nlicense: \xff\xfe\n---\n",
        "---\nlicense: \x00\n---\n",
    ],
    ids=["aliases", "huge", "deep", "broken", "code", "no-date", "no-list", "no-text", "control"],
)
def test_a_hostile_card_is_left_out(
    card: str | bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("metadata"), "disabled", True)
    keys = pairs(ours(folder(tmp_path, card)))
    assert keys["general.name"][1] == "Tiny Llama 1B v2"
    assert "general.license" not in keys
    assert "\n" not in caplog.text.rstrip("\n")


TEXT = st.text(max_size=12)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
CARD_KEYS = ["name", "model_name", "author", "version", "license", "tags", "language", "base_model", "datasets"]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(card=st.dictionaries(st.sampled_from(CARD_KEYS), VALUE), name=TEXT)
def test_whatever_a_card_says_every_key_can_be_written(
    card: dict[str, Any], name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = folder(tmp_path_factory.mktemp("card"), f"---\n{json.dumps(card)}\n---\n")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"_name_or_path": name}))
    for meta in ours(path):
        kind = meta.item_type or meta.type
        for value in meta.value if meta.item_type else [meta.value]:
            assert isinstance(value, str) == (kind == gguf.GGUFValueType.STRING)
