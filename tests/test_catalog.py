from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import pytest

from edgeai import ModelError, ModelFormatError, ModelNotFoundError, OptionError, SamplingOptions
from edgeai.catalog import Catalog, set_default_model
from edgeai.config import config_text, set_config_text
from edgeai.files import staged_dir
from edgeai.gguf_header import read_header
from edgeai.installed import add_model, check_name, name_from, read_installed, remove_model, verify_model
from edgeai.paths import config_path, models_dir
from tests.tiny import tiny_model

ENTRIES = Catalog.load().entries


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "Tiny Model.gguf")


# ------------------------------------------------------------------------------------------------------- the catalog


def test_default_is_in_the_catalog() -> None:
    catalog = Catalog.load()
    assert catalog.default_name == "smollm2-135m-instruct"
    assert catalog.entry(catalog.default_name).licence == "Apache-2.0"


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_entry_can_be_used(entry):  # type: ignore[no-untyped-def]
    assert check_name(entry.name) == entry.name
    assert entry.licence
    assert entry.licence_url.startswith("https://")
    assert set(entry.modalities) <= {"text", "image", "audio"} or entry.modalities == (entry.speech,)
    assert len({file.file for file in entry.files}) == len(entry.files)
    assert ("image" in entry.modalities) == any(file.role == "mmproj" for file in entry.files)
    assert [file.role for file in entry.files].count("model") == 1
    assert entry.files[0].role == "model"
    SamplingOptions(**entry.sampling)  # raises when a name or value is none
    for file in entry.files:
        assert Path(file.file).name == file.file
        assert file.file.endswith(".gguf") != bool(entry.speech)
        assert (file.role == "data") == (bool(entry.speech) and file != entry.files[0])
        assert not entry.speech or (file.sha256 and file.size_is_exact), "nothing but its checksum tells what it is"
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert (file.kind == "hub") == bool(file.repo)
        assert (file.kind == "package") == bool(file.parts)
        assert all(re.fullmatch("[0-9a-f]{64}", part.wheel_sha256) for part in file.parts)


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES.values() if entry.shape], ids=lambda entry: entry.name)
def test_shape_gives_the_published_number_of_parameters(entry):  # type: ignore[no-untyped-def]
    shape = entry.shape
    attention = 2 * shape["n_embd"] * (shape["n_head"] + shape["n_head_kv"]) * shape["head_dim"]
    layers = shape["n_layer"] * (attention + 3 * shape["n_embd"] * shape["n_ff"])
    n_params = shape["n_vocab"] * shape["n_embd"] + layers
    if "image" in entry.modalities:  # the picture encoder comes on top
        assert n_params < entry.parameters
    else:
        assert n_params == pytest.approx(entry.parameters, rel=0.03)
    bits = entry.files[0].size_bytes * 8 / n_params
    assert 4 < bits < 11, "a size that does not belong to these parameters"


def test_catalog_covers_the_families() -> None:
    for family in ("smollm2", "smollm3", "smolvlm", "plamo", "phi-3.5", "phi-4", "qwen2.5", "qwen3", "gemma-3"):
        assert any(name.startswith(family) for name in ENTRIES), family


def test_catalog_covers_the_models_that_see_and_says_which_read_japanese() -> None:
    sees = {name: entry for name, entry in ENTRIES.items() if "image" in entry.modalities}
    for family in ("smolvlm2", "gemma-3", "qwen3-vl", "lfm2-vl", "lfm2.5-vl", "minicpm-v"):
        assert any(name.startswith(family) for name in sees), family
    for name, entry in sees.items():
        assert "ja" not in entry.languages or "Japanese" in entry.notes, name
        assert entry.languages != ("en",) or "English only" in entry.notes, name
    assert any("ja" in entry.languages and entry.licence == "Apache-2.0" for entry in sees.values())


# ---------------------------------------------------------------------------------------------------------- resolving


def test_installed_name_resolves_to_its_file(gguf: Path) -> None:
    add_model(gguf, "smollm2-135m-instruct")
    for asked in ("smollm2-135m-instruct", "SmolLM2-135M-Instruct", None):
        found = Catalog.load().resolve(asked)
        assert found.path == models_dir() / "smollm2-135m-instruct" / "Tiny Model.gguf"
        assert found.entry is not None
        assert found.entry.sampling["temperature"] == 0.2


OWN = {
    "general.architecture": "llama",
    "general.name": "SmolLM2 135M Instruct",
    "general.finetune": "Instruct",
    "llama.block_count": 30,
    "llama.embedding_length": 576,
}


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({}, "smollm2-135m-instruct"),
        ({"general.finetune": None}, "smollm2-135m-instruct"),
        ({"general.name": "smollm2-135M_instruct"}, "smollm2-135m-instruct"),
        ({"general.name": "SmolLM2 135M"}, None),
        ({"general.name": "SmolLM2 135M Instruct Medical"}, None),
        ({"general.name": "My SmolLM2 135M Instruct"}, None),
        ({"general.name": "SmolLM2 360M Instruct"}, None),
        ({"general.name": ""}, None),
        ({"general.name": 7}, None),
        ({"general.finetune": "Medical"}, None),
        ({"general.architecture": "qwen2"}, None),
        ({"llama.block_count": 24}, None),
        ({"llama.embedding_length": None}, None),
    ],
)
def test_a_file_that_says_it_is_a_model_of_the_catalog_is_one(
    changed: dict[str, object], name: str | None, gguf: Path
) -> None:
    metadata = {key: value for key, value in {**OWN, **changed}.items() if value is not None}
    entry = Catalog.load().entry_of(dataclasses.replace(read_header(gguf), metadata=metadata))
    assert (entry and entry.name) == name


def test_paths_resolve(gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = Catalog.load()
    monkeypatch.chdir(tmp_path)
    for asked in (gguf, str(gguf), "Tiny Model.gguf", tmp_path, "."):
        assert catalog.resolve(asked).path.samefile(gguf)
    (tmp_path / "mmproj-tiny.gguf").write_bytes(b"projector")
    found = catalog.resolve(tmp_path)
    assert (found.path, found.mmproj_path) == (gguf, tmp_path / "mmproj-tiny.gguf")
    folder = add_model(gguf, "mine").path.parent
    assert catalog.resolve(folder).name == "mine"


def test_unknown_name_suggests_close_ones(gguf: Path) -> None:
    add_model(gguf, "my-own-model")
    catalog = Catalog.load()
    with pytest.raises(ModelNotFoundError, match=r"did you mean my-own-model\?"):
        catalog.resolve("my-own-modle")
    with pytest.raises(ModelNotFoundError, match=r"did you mean qwen3-0\.6b"):
        catalog.entry("qwen3-06b")
    with pytest.raises(ModelNotFoundError, match=r"edgeai models pull smollm2-135m-instruct` \(98 MB, Apache-2.0\)"):
        catalog.resolve(None)


@pytest.mark.parametrize(
    "asked", ["", "../../no/such", "a\0b", "x" * 5000, "con\x1b[31m", "/no/such/file.gguf", "~nobody/x", "..", "a/../b"]
)
def test_hostile_names_are_not_found(asked: str) -> None:
    with pytest.raises(ModelNotFoundError):
        Catalog.load().resolve(asked)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", "a\nb", "-x", "x.", "x" * 65, "é", "A"])
def test_bad_names_are_refused(name: str, gguf: Path) -> None:
    with pytest.raises(OptionError, match="no name for a model"):
        check_name(name)
    with pytest.raises(OptionError):
        add_model(gguf, name)
    with pytest.raises(OptionError):
        remove_model(name)
    assert gguf.exists()


def test_names_made_of_files() -> None:
    assert name_from(Path("My Model (Q4_K_M).gguf")) == "my-model-q4_k_m"
    assert name_from(Path("日本語.gguf")) == "model"
    assert name_from(Path("...gguf")) == "gguf" or check_name(name_from(Path("...gguf")))


# ------------------------------------------------------------------------------------------------ adding and removing


def test_add_copies_hashes_and_reports_progress(gguf: Path) -> None:
    seen: list[tuple[int, int]] = []
    model = add_model(gguf, on_progress=lambda n_done, n_total: seen.append((n_done, n_total)))
    assert model.name == "tiny-model"
    assert model.path.read_bytes() == gguf.read_bytes()
    assert seen[-1] == (gguf.stat().st_size,) * 2
    assert model.added
    assert verify_model("tiny-model")
    assert [found.name for found in Catalog.load().installed()] == ["tiny-model"]


def test_verify_finds_a_changed_byte(gguf: Path) -> None:
    model = add_model(gguf, "m")
    with model.path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    assert not verify_model("m")


def test_link_points_to_the_file_and_survives_its_loss(gguf: Path) -> None:
    model = add_model(gguf, "m", link=True)
    assert model.is_link
    assert model.path.resolve() == gguf
    with pytest.raises(ModelError, match="no checksum"):
        verify_model("m")
    gguf.unlink()
    assert not read_installed("m").exists
    with pytest.raises(ModelNotFoundError, match="is gone"):
        Catalog.load().resolve("m")
    assert remove_model("m").name == "m"


def test_remove_leaves_a_linked_file(gguf: Path) -> None:
    add_model(gguf, "m", link=True)
    remove_model("m")
    assert gguf.exists()
    assert Catalog.load().installed() == []
    with pytest.raises(ModelNotFoundError):
        remove_model("m")


def test_name_that_is_taken(gguf: Path) -> None:
    add_model(gguf, "m")
    with pytest.raises(ModelError, match="installed already"):
        add_model(gguf, "m")
    assert add_model(gguf, "m", force=True).path.exists()


def test_what_is_no_model_is_refused_before_copying(tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"<html>404</html>")
    for path, error in (
        (bad, ModelFormatError),
        (tmp_path / "missing.gguf", ModelNotFoundError),
        (tmp_path / "empty", ModelNotFoundError),
    ):
        if path.suffix == "":
            path.mkdir()
        with pytest.raises(error):
            add_model(path, "m")
    text = tmp_path / "model.safetensors"
    text.write_bytes(b"x")
    with pytest.raises(ModelFormatError, match="quantize"):
        add_model(text)
    shard = tmp_path / "m-00001-of-00002.gguf"
    shard.write_bytes(b"x")
    with pytest.raises(ModelFormatError, match="merge"):
        add_model(shard)
    assert not models_dir().exists()


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_interrupted_copy_leaves_nothing(gguf: Path, failure: BaseException) -> None:
    def fail(n_done: int, n_total: int) -> None:
        raise failure

    with pytest.raises(type(failure)):
        add_model(gguf, "m", on_progress=fail)
    assert list(models_dir().iterdir()) == []


def test_full_disk_is_seen_before_copying(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeai.installed.free_bytes", lambda folder: 10)
    with pytest.raises(ModelError, match="10 are free"):
        add_model(gguf, "m")


def test_damaged_or_hostile_record_falls_back_to_the_folder(gguf: Path, tmp_path: Path) -> None:
    model = add_model(gguf, "m")
    outside = tmp_path / "secret.gguf"
    outside.write_bytes(b"x")
    for text in (
        "not = [toml",
        'file = "../../../secret.gguf"',
        f'file = "{outside}"',
        "file = 3",
        "x = 1\n" * 400_000,
    ):
        (model.path.parent / "model.toml").write_text(text)
        assert read_installed("m").path == model.path
        assert read_installed("m").sha256 is None


def test_stray_folders_are_passed_over(gguf: Path) -> None:
    add_model(gguf, "m")
    for name in (".hidden", "Bad Name", "empty"):
        (models_dir() / name).mkdir()
    (models_dir() / "file").write_bytes(b"x")
    assert [model.name for model in Catalog.load().installed()] == ["m"]


def test_staged_folder_replaces_whole(tmp_path: Path) -> None:
    target = tmp_path / "t"
    for content in ("old", "new"):
        with staged_dir(target) as staging:
            (staging / content).write_text(content)
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["t"]


# -------------------------------------------------------------------------------------------------------- the default


def test_default_is_kept_and_the_rest_of_the_file_too(gguf: Path) -> None:
    add_model(gguf, "m")
    config_path().write_text('# mine\ntheme = "nord"\n\n[chat]\ndefault_model = "not this one"\n')
    set_default_model("m")
    assert config_text("default_model") == "m"
    assert Catalog.load().resolve().name == "m"
    set_config_text("default_model", "other")
    assert config_text("default_model") == "other"
    text = config_path().read_text()
    assert text.count("default_model") == 2
    assert '# mine\ntheme = "nord"\n\n[chat]\ndefault_model = "not this one"\n' in text


def test_default_must_be_installed() -> None:
    with pytest.raises(ModelNotFoundError):
        set_default_model("qwen3-0.6b")
    assert not config_path().exists()


def test_broken_config_is_named_and_kept(gguf: Path) -> None:
    add_model(gguf, "m")
    config_path().write_text("default_model = ")
    with pytest.raises(OptionError, match=r"config.toml: not a TOML file"):
        Catalog.load().resolve()
    with pytest.raises(OptionError, match=r"config.toml: not a TOML file"):
        set_default_model("m")
    assert config_path().read_text() == "default_model = "
    config_path().write_text("default_model = 3")
    with pytest.raises(OptionError, match="expected text"):
        Catalog.load().resolve()


def test_config_with_a_layout_we_cannot_edit_is_left(gguf: Path) -> None:
    text = 'a = """\n[x]\n"""\ndefault_model = "old"\n'
    config_path().parent.mkdir(parents=True)
    config_path().write_text(text)
    with pytest.raises(OptionError, match="by hand"):
        set_config_text("default_model", "new")
    assert config_path().read_text() == text
