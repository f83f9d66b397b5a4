"""Recipes: what they say, what is refused in one line, and where their checkpoints lie."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeai.errors import QuantizeError
from quantize.checkpoint import Checkpoint
from quantize.choices import check_type, pattern_and_type
from quantize.ggml import ENCODED_TYPES
from quantize.pipeline import Options, open_model, plan_model
from quantize.recipe import Recipe, check_architecture, find_checkpoint, read_recipe
from tests.quantize.float_files import float_file
from tests.quantize.hf_folders import as_in_the_cache, single_folder

PLAIN = 'source = "org/Some-Model-1B"\narchitecture = "LlamaForCausalLM"\nftype = "Q4_K_M"\n'
COMMIT = "0" * 40
CACHE_VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME")


def write(folder: Path, text: str | bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "recipe.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def refused(call: Any, *args: Any) -> str:
    """The one line with which something is refused."""
    with pytest.raises(QuantizeError) as caught:
        call(*args)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 1000
    return message


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return read_recipe(write(tmp_path / "a-model", PLAIN))


def test_a_recipe_says_what_its_file_says(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "a-model",
        f"""{PLAIN}name = "mine"
        revision = "{COMMIT}"
        calibrate = "words.txt"
        output_tensor_type = "q6_k"
        token_embedding_type = "Q8_0"
        tensor_types = ["ffn_down=q5_k", 'blk\\.(0|1)\\.attn_v=F16', "a=b=BF16"]
        projector = "q8_0"
        """,
    )
    (folder / "words.txt").write_text("words")
    recipe = read_recipe(folder)
    assert recipe == read_recipe(str(folder / "recipe.toml"))
    assert recipe == Recipe(
        path=folder / "recipe.toml",
        name="mine",
        source="org/Some-Model-1B",
        revision=COMMIT,
        architecture="LlamaForCausalLM",
        ftype="Q4_K_M",
        calibrate=folder / "words.txt",
        output_type="Q6_K",
        token_embd_type="Q8_0",
        tensor_types=(("ffn_down", "Q5_K"), (r"blk\.(0|1)\.attn_v", "F16"), ("a=b", "BF16")),
        projector="q8_0",
    )


def test_what_a_recipe_leaves_out_is_usual(recipe: Recipe) -> None:
    assert (recipe.name, recipe.revision, recipe.calibrate) == ("Some-Model-1B", None, False)
    assert (recipe.output_type, recipe.token_embd_type, recipe.tensor_types) == (None, None, ())
    assert recipe.projector is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ftype = ", "is no TOML"),
        (b"\xff", "is no TOML"),
        ("a = " + "[" * 100_000, "is no TOML"),
        ("#" * (2**20 + 1), "larger than 1 MiB"),
        ("", "lacks source"),
        ('source = "org/name"\nftype = "F16"', "lacks architecture"),
        (PLAIN + 'quantise = "x"', "unknown key 'quantise', expected one of name, source"),
        (PLAIN + '"\\u001b[31m\\n" = 1', "unknown key '\\x1b[31m\\n'"),
        (PLAIN + "[table]", "unknown key 'table'"),
        (PLAIN + "name = 5", "name = 5, expected text"),
        (PLAIN + "name = 2024-01-31", "name = 2024-01-31, expected text"),
        (PLAIN + "calibrate = 1", "calibrate = 1, expected true or false or text"),
        (PLAIN + 'tensor_types = "a=F16"', "tensor_types = 'a=F16', expected a list"),
        (PLAIN + "tensor_types = [5]", "tensor_types has 5, expected texts"),
        (PLAIN + 'tensor_types = ["F16"]', "'F16': expected PATTERN=TYPE"),
        (PLAIN + 'tensor_types = ["=F16"]', "'=F16': expected PATTERN=TYPE"),
        (PLAIN + 'tensor_types = ["a=F17"]', "'F17' is no tensor type: expected one of F32"),
        (PLAIN + 'tensor_types = ["(=F16"]', "the pattern '(' is no regular expression"),
        (PLAIN + 'tensor_types = ["(.*)*x=F16"]', "repeats a group"),
        (PLAIN + f"tensor_types = {['a=F16'] * 33}", "33 patterns, expected at most 32"),
        (PLAIN + 'output_tensor_type = "Q4_K_M"', "'Q4_K_M' is no tensor type"),
        (PLAIN + 'token_embedding_type = "Q8_K"', "'Q8_K' is no tensor type"),
        (PLAIN.replace("Q4_K_M", "Q4_K_X"), "ftype 'Q4_K_X': expected one of F32"),
        (PLAIN.replace("Llama", "\\n"), "architecture = '\\nForCausalLM', expected a class"),
        (PLAIN + 'revision = "main"', "revision = 'main', expected a commit"),
        (PLAIN + f'revision = "{COMMIT}\\n"', "expected a commit"),
        (PLAIN + 'name = "../../x"', "name = '../../x', expected a plain name"),
        (PLAIN + 'name = "-x"', "name = '-x', expected a plain name"),
        (PLAIN + 'name = "x\\n"', "expected a plain name"),
        (PLAIN + 'projector = "f32"', "projector = 'f32', expected f16, q8_0 or none"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str | bytes, expected: str, tmp_path: Path) -> None:
    message = refused(read_recipe, write(tmp_path / "a-model", text))
    assert expected in message
    assert message.startswith(f"{tmp_path / 'a-model' / 'recipe.toml'}: ")


@pytest.mark.parametrize(
    "source",
    ["name", "/name", "org/", "../..", "org/../x", "org/a--b", "a/b/c", "org/n\\\\x", "-org/name", "org/" + "x" * 100],
)
def test_a_source_is_a_repository(source: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "a-model", PLAIN.replace("org/Some-Model-1B", source))
    assert "expected a repository of the Hugging Face hub, ORG/NAME" in refused(read_recipe, folder)


@pytest.mark.parametrize(
    "name", ["../secret.txt", "/etc/passwd", ".", "", "gone.txt", "link.txt", "folder", "a\\u0000b"]
)
def test_no_text_outside_of_its_folder_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    folder = write(tmp_path / "a-model", PLAIN + f'calibrate = "{name}"')
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "folder").mkdir()
    assert "beside the recipe" in refused(read_recipe, folder)


def test_where_no_recipe_is(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path in ("folder", "gone", "pipe"):
        assert "no such file, expected a recipe" in refused(read_recipe, tmp_path / path)


@given(text=st.text(max_size=200), key=st.sampled_from(["source", "name", "ftype", "calibrate", "revision", "x"]))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_a_recipe_or_one_line(text: str, key: str, tmp_path: Path) -> None:
    for content in (text, f"{PLAIN}{key} = {text!r}", f"{PLAIN}tensor_types = [{text!r}]"):
        message = ""
        try:
            read_recipe(write(tmp_path / "a-model", content.encode(errors="replace")))
        except QuantizeError as exc:
            message = str(exc)
        assert message == "" or message.isprintable()


@pytest.mark.parametrize(
    "pattern", [".*.*.*!", "(.|.)" * 15 + "!", ".?" * 15 + "!", "[^!]*[^!]*[^!]*!", r"\.(a|b)\.x+!"]
)
def test_the_slowest_patterns_end(pattern: str, tmp_path: Path) -> None:
    """In llama.cpp, where they are tried on every name in vain."""
    model = open_model(float_file(tmp_path, "llama"))
    planned = plan_model(model, Options(tensor_types=(pattern_and_type(f"{pattern}=Q8_0"),)))
    assert not any("pattern" in item.why for item in planned)


@pytest.mark.parametrize(
    "pattern",
    [
        "(.*)*x",
        "(a+)+b",
        "(?:a|a){9}b",
        ".*.*.*.*!",
        "(.|.)" * 16,
        ".?" * 16,
        r"(a)\1",
        "a" * 201,
        "a\x00",
        "é",
        r"[a](.)*b",
        "[]|(.*)*x]",
        "[[.].][]|(.*)*x]",
        r"\c[(.*)*x]",
        "[[:alpha:]]",
        "a{1,100}",
    ],
)
def test_patterns_that_might_never_end_are_refused(pattern: str) -> None:
    assert "the pattern " in refused(pattern_and_type, f"{pattern}=Q8_0")


@pytest.mark.parametrize(
    "pattern", [r"blk\.(?:[0-9]|1[0-9])\.ffn_(up|gate|down)", r"\)\*x", "[(*+]{2}", r"[^\])*]", "a{2,3}", "x?"]
)
def test_usual_patterns_are_taken(pattern: str) -> None:
    assert pattern_and_type(f"{pattern}=q8_0") == (pattern, "Q8_0")


def test_the_types_are_those_that_can_be_encoded() -> None:
    assert [check_type(name.lower()) for name in ENCODED_TYPES] == list(ENCODED_TYPES)
    assert "'Q4_K_M' is no tensor type" in refused(check_type, "Q4_K_M")


def test_a_checkpoint_is_found_where_the_hub_keeps_it(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by huggingface_hub's own code, too."""
    huggingface_hub = pytest.importorskip("huggingface_hub")
    cache = tmp_path / "cache"
    snapshot = as_in_the_cache(single_folder(tmp_path / "folder"), cache)
    snapshot.parents[1].rename(cache / "models--org--Some-Model-1B")
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    assert "is not in the Hugging Face cache" in refused(find_checkpoint, recipe)
    refs = cache / "models--org--Some-Model-1B" / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    found = find_checkpoint(recipe)
    official = huggingface_hub.try_to_load_from_cache(recipe.source, "config.json", cache_dir=cache)
    assert found / "config.json" == Path(official)
    check_architecture(recipe, Checkpoint.open(found).config)


@pytest.mark.parametrize("commit", ["", "main", "../../../..", "0" * 39, "z" * 40, "1" * 40, "0" * 1000])
def test_a_damaged_cache_is_as_good_as_none(
    commit: str, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = tmp_path / "models--org--Some-Model-1B"
    (repo / "snapshots" / COMMIT).mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert "fetch it with `hf download org/Some-Model-1B`" in refused(find_checkpoint, recipe)


def test_the_commit_of_a_recipe_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = read_recipe(write(tmp_path / "a-model", f'{PLAIN}revision = "{COMMIT}"'))
    repo = tmp_path / "models--org--Some-Model-1B"
    for commit in ("1" * 40, COMMIT):
        (repo / "snapshots" / commit).mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("1" * 40)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert find_checkpoint(recipe) == repo / "snapshots" / COMMIT
    (repo / "snapshots" / COMMIT).rmdir()
    message = refused(find_checkpoint, recipe)
    assert f"`hf download org/Some-Model-1B --revision {COMMIT}`" in message
    assert f"quantize --recipe {tmp_path / 'a-model'} FOLDER" in message


@pytest.mark.parametrize("names", [(name,) for name in CACHE_VARIABLES] + [CACHE_VARIABLES, CACHE_VARIABLES[1:], ()])
def test_the_cache_is_where_huggingface_hub_has_it(
    names: tuple[str, ...], recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    for name in CACHE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in names:
        monkeypatch.setenv(name, f"~/{name}/$HOME_OF_NOBODY")
    code = "from huggingface_hub.constants import HF_HUB_CACHE; print(HF_HUB_CACHE)"
    official = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert f"cache, {Path(official)}: fetch it" in refused(find_checkpoint, recipe)


@pytest.mark.parametrize("names", [["Qwen2ForCausalLM"], [], "LlamaForCausalLM", ["a\nb"]])
def test_another_architecture_is_refused(names: Any, recipe: Recipe) -> None:
    check_architecture(recipe, {"architectures": ["LlamaForCausalLM"]})
    message = refused(check_architecture, recipe, {"architectures": names})
    assert "expected LlamaForCausalLM" in message
    assert "give the folder of org/Some-Model-1B" in message
