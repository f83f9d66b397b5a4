"""Tokenizer files that cannot be right: one line that names file, key and value; never another error."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeai.errors import CheckpointError, QuantizeError
from quantize.vocab import vocabulary
from tests.quantize.tokenizer_parts import token
from tests.quantize.vocab.folders import TokenizerFolder, change, tokenizer_folder
from tests.quantize.vocab.test_vocabulary import value_of

TOKENIZER, SETTINGS, ADDED = "tokenizer.json", "tokenizer_config.json", "added_tokens.json"
Json = dict[str, Any]
How = Callable[[Json], Any]


def model(**parts: Any) -> How:
    return lambda value: value["model"].update(parts)


def vocab(**ids: Any) -> How:
    return lambda value: value["model"]["vocab"].update(ids)


def part(name: str, value: Any) -> How:
    return lambda whole: whole.update({name: value})


def appended(**entry: Any) -> How:
    return lambda value: value["added_tokens"].append(token("<x>") | {"id": 487} | entry)


def replaces(pattern: str, content: str) -> Json:
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


def split(regex: str) -> Json:
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}


def template(*names: str, ids: int = 1) -> Json:
    single: list[Json] = [{"SpecialToken": {"id": name, "type_id": 0}} for name in names]
    tokens = {name: {"id": name, "ids": [0] * ids, "tokens": [name] * ids} for name in names}
    both = [{"Sequence": {"id": name, "type_id": 0}} for name in "AB"]
    return {"type": "TemplateProcessing", "single": [*single, both[0]], "pair": both, "special_tokens": tokens}


def nested(depth: int) -> Json:
    value: Json = {"type": "NFC"}
    for _ in range(depth):
        value = {"type": "Sequence", "normalizers": [value]}
    return value


# style, file, change, words of the message
CASES: list[tuple[str, str, How, str]] = [
    ("qwen2", TOKENIZER, lambda _: [], "tokenizer.json: the file is []"),
    ("qwen2", TOKENIZER, part("model", 5), "tokenizer.json: model is 5"),
    ("qwen2", TOKENIZER, model(type="Unigram"), "model.type is 'Unigram'"),
    ("qwen2", TOKENIZER, model(vocab=[]), "model.vocab is []"),
    ("qwen2", TOKENIZER, model(vocab={}), "model.vocab is {}"),
    ("qwen2", TOKENIZER, vocab(new=-1), "model.vocab['new'] is -1"),
    ("qwen2", TOKENIZER, vocab(new=2**31), "model.vocab['new'] is 2147483648"),
    ("qwen2", TOKENIZER, vocab(new=2**70), "model.vocab['new'] is 1180591620717411303424"),
    ("qwen2", TOKENIZER, vocab(new=1.0), "model.vocab['new'] is 1.0"),
    ("qwen2", TOKENIZER, vocab(new=True), "model.vocab['new'] is True"),
    ("qwen2", TOKENIZER, vocab(new="7"), "model.vocab['new'] is '7'"),
    ("qwen2", TOKENIZER, vocab(new=7), "model.vocab['new'] is 7, expected a number of its own"),
    ("qwen2", TOKENIZER, vocab(new=600), "expected the next free number"),
    ("qwen2", TOKENIZER, appended(content="a\0b"), "without a zero byte"),
    ("qwen2", TOKENIZER, model(merges=None), "model.merges is []"),
    ("qwen2", TOKENIZER, model(merges={"a": "b"}), "merges is {'a': 'b'}"),
    ("qwen2", TOKENIZER, model(merges=[["a", "b", "c"]]), "model.merges is ['a', 'b', 'c']"),
    ("qwen2", TOKENIZER, model(merges=["a b", ["a", "b"]]), "model.merges is 'a b'"),
    ("qwen2", TOKENIZER, model(merges=[["a", 5]]), "model.merges is ['a', 5]"),
    ("qwen2", TOKENIZER, model(merges=["nobody knows"]), "`nobody` out of vocabulary"),
    ("qwen2", TOKENIZER, model(merges=["alone"]), "invalid at line"),
    ("qwen2", TOKENIZER, part("added_tokens", {"a": 1}), "added_tokens is {'a': 1}"),
    ("qwen2", TOKENIZER, part("added_tokens", ["a"]), "added_tokens is 'a'"),
    ("qwen2", TOKENIZER, appended(id=-5), "added_tokens is -5"),
    ("qwen2", TOKENIZER, appended(id=2**40), "added_tokens is 1099511627776"),
    ("qwen2", TOKENIZER, appended(id=None), "added_tokens is None"),
    ("qwen2", TOKENIZER, appended(id=599), "added_tokens['<x>'].id is 599"),
    ("qwen2", TOKENIZER, appended(content=["<x>"]), "added_tokens is {"),
    ("qwen2", TOKENIZER, appended(content="half \ud800"), "not a tokenizer that the tokenizers library reads"),
    ("qwen2", TOKENIZER, part("pre_tokenizer", {"type": "Whitespace"}), "pre_tokenizer is {'type': 'Whitespace'}"),
    ("qwen2", TOKENIZER, part("pre_tokenizer", None), "pre_tokenizer is None"),
    ("qwen2", TOKENIZER, part("pre_tokenizer", split("(")), "not a tokenizer that the tokenizers library reads"),
    ("qwen2", TOKENIZER, part("pre_tokenizer", split(r"(.|..|...)+[^\s\S]")), "retry-limit-in-match over"),
    ("qwen2", TOKENIZER, part("post_processor", [1]), "enum PostProcessorWrapper"),
    ("qwen2", TOKENIZER, part("post_processor", template(*"x" * 40)), "post_processor.single is ["),
    ("qwen2", TOKENIZER, part("post_processor", template("x", ids=40)), "post_processor.special_tokens is ["),
    ("qwen2", TOKENIZER, part("normalizer", replaces("a", "a" * 99)), "at most 64 times as long"),
    (
        "qwen2",
        TOKENIZER,
        part("normalizer", {"type": "Sequence", "normalizers": [replaces("a", "aaa")] * 9}),
        "at most 64 times as long",
    ),
    (
        "qwen2",
        TOKENIZER,
        part("normalizer", {"type": "Sequence", "normalizers": [{"type": "NFC"}] * 99}),
        "at most 64 steps",
    ),
    ("qwen2", TOKENIZER, part("normalizer", nested(150)), "at most 64 steps"),
    ("qwen2", SETTINGS, lambda _: "text", "tokenizer_config.json: the file is 'text'"),
    ("qwen2", SETTINGS, part("added_tokens_decoder", []), "added_tokens_decoder is []"),
    ("qwen2", SETTINGS, part("added_tokens_decoder", {"x": token("<x>")}), "added_tokens_decoder is 'x'"),
    ("qwen2", SETTINGS, part("added_tokens_decoder", {"-1": token("<x>")}), "added_tokens_decoder is '-1'"),
    ("qwen2", SETTINGS, part("added_tokens_decoder", {"9" * 5000: token("<x>")}), "added_tokens_decoder is '999"),
    ("qwen2", SETTINGS, part("added_tokens_decoder", {"5": "<x>"}), "added_tokens_decoder is '<x>'"),
    ("qwen2", SETTINGS, part("chat_template", [5]), "chat_template is 5"),
    ("qwen2", SETTINGS, part("chat_template", [{"name": "a", "template": 5}]), "chat_template is 5"),
    ("qwen2", SETTINGS, part("chat_template", "x" * (2**20 + 1)), "at most 1,048,576 bytes"),
    ("qwen2", SETTINGS, part("chat_template", "\ud800"), "expected Unicode text"),
    ("qwen2", "config.json", part("vocab_size", 100), "the largest token is 486, expected below"),
    ("qwen2", "config.json", part("vocab_size", -1), "vocab_size is -1"),
    ("qwen2", "config.json", part("vocab_size", 2**40), "vocab_size is 1099511627776"),
    ("qwen2", "config.json", part("vocab_size", "600"), "vocab_size is '600'"),
    ("qwen2", "config.json", part("text_config", 5), "text_config is 5"),
    ("qwen2", "config.json", part("sep_token_id", -7), "sep_token_id is -7"),
    ("qwen2", "config.json", part("sep_token_id", 2**63), "sep_token_id is 9223372036854775808"),
    ("llama-json", TOKENIZER, vocab(new=0), "model.vocab is '577 tokens', expected a number of its own"),
    ("llama-json", TOKENIZER, model(merges=["nobody knows"]), "which lacks 'nobody'"),
    ("llama-json", TOKENIZER, model(merges=[]), "model.merges is []"),
    ("llama-json", TOKENIZER, model(merges=["a"]), "model.merges is 'a'"),
    ("llama-json", TOKENIZER, part("normalizer", nested(150)), ""),
    ("llama-spm", ADDED, lambda _: [1], "added_tokens.json: the file is [1]"),
    ("llama-spm", ADDED, part("<x>", -1), "'<x>' is -1"),
    ("llama-spm", ADDED, part("<x>", "1"), "'<x>' is '1'"),
    ("llama-spm", ADDED, lambda _: {"<x>": 300, "▁": 301}, "a text of its own, not that of token 301"),
    ("llama-spm", SETTINGS, part("added_tokens_decoder", {"300": token("a\0")}), "without a zero byte"),
    ("llama-spm", SETTINGS, part("added_tokens_decoder", {"300": token("\udfff")}), "expected Unicode text"),
    ("phi3", TOKENIZER, appended(id=9000), "added token '<x>' is 9000, expected below config.json's vocab_size"),
]


@pytest.mark.parametrize(("style", "name", "how", "words"), CASES, ids=[f"{case[0]}: {case[3]}" for case in CASES])
def test_a_broken_file_is_named(style: str, name: str, how: How, words: str, tmp_path: Path) -> None:
    folder = tokenizer_folder(tmp_path / "folder", style, vocab_size=650)
    change(folder.path, name, how)
    arch = {"phi3": "phi3", "qwen2": "qwen2"}.get(style, "llama")
    if not words:
        assert vocabulary(TokenizerFolder(folder.path), arch)
        return
    with pytest.raises(CheckpointError) as caught:
        vocabulary(TokenizerFolder(folder.path), arch)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_an_embedding_without_rows_for_the_added_tokens(tmp_path: Path) -> None:
    folder = tokenizer_folder(tmp_path / "folder", "qwen2")  # config.json does not say how many
    assert len(value_of(vocabulary(folder, "qwen2"), "tokenizer.ggml.tokens")) == 487


@pytest.mark.parametrize("arch", ["llama", "qwen3", "phi2", "phi3", "gemma2", "gemma3", "plamo"])
def test_no_tokenizer(arch: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tekken.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"no tokenizer.json and no tokenizer.model.*fetch"):
        vocabulary(TokenizerFolder(tmp_path), arch)


def test_without_the_library_for_byte_level_vocabularies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("quantize.vocab.bpe", "quantize.vocab.pre_tokenizer"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert vocabulary(tokenizer_folder(tmp_path / "spm", "llama-spm"), "llama")
    with pytest.raises(QuantizeError, match=r"needs the package tokenizers.*pip install 'edgeai\[quantize\]'"):
        vocabulary(tokenizer_folder(tmp_path / "bpe", "qwen2"), "qwen2")


def test_a_template_that_is_not_text(tmp_path: Path) -> None:
    folder = tokenizer_folder(tmp_path / "folder", "smollm")
    (folder.path / "chat_template.jinja").write_bytes(b"caf\xe9")
    with pytest.raises(CheckpointError, match=r"chat_template.jinja.*is not UTF-8"):
        vocabulary(folder, "llama")


def test_lines_of_a_template_end_in_newlines_alone(tmp_path: Path) -> None:
    folder = tokenizer_folder(tmp_path / "folder", "smollm")
    (folder.path / "chat_template.jinja").write_bytes(b"a\r\nb\rc\n")
    assert value_of(vocabulary(folder, "llama"), "tokenizer.chat_template") == "a\nb\nc\n"


KEYS = st.sampled_from(
    ["id", "content", "type", "special", "ids", "name", "template", "single", "normalizers", "vocab"]
)
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["BPE", "Sequence", "ByteLevel", "Replace", "TemplateProcessing", "<s>", "a b", "A"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place within a JSON value: what holds it, and its key there; of long ones the first few."""
    inner = list(value.items())[:40] if isinstance(value, dict) else list(enumerate(value))[:20]
    for key, part_ in inner:
        yield value, key
        if isinstance(part_, dict | list):
            yield from _places(part_)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(style=st.sampled_from(["qwen2", "smollm", "llama-json", "phi3", "gemma"]), data=st.data())
def test_any_value_in_any_place_is_read_or_refused(style: str, data: st.DataObject, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "folder", ignore_errors=True)
    folder = tokenizer_folder(tmp_path / "folder", style, vocab_size=650)
    (folder.path / ADDED).write_text('{"<x>": 640}')
    names = [name for name in (TOKENIZER, SETTINGS, ADDED, "config.json") if folder.file(name)]
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(names))
        whole = [folder.json(name)]
        holder, key = data.draw(st.sampled_from(list(_places(whole))))
        holder[key] = data.draw(JUNK)
        (folder.path / name).write_text(json.dumps(whole[0]))
    arch = {"qwen2": "qwen2", "phi3": "phi3", "gemma": "gemma3"}.get(style, "llama")
    config = folder.json("config.json")
    if not isinstance(config, dict):
        return  # the folder itself is refused
    try:
        keys = vocabulary(TokenizerFolder(folder.path), arch)
    except CheckpointError as exc:
        assert "\n" not in str(exc)  # noqa: PT017
        return
    tokens = value_of(keys, "tokenizer.ggml.tokens")
    assert len(set(filter(None, tokens))) == len(list(filter(None, tokens)))
    assert len(value_of(keys, "tokenizer.ggml.token_type")) == len(tokens)
    assert all(meta.value < len(tokens) for meta in keys if meta.key.endswith("_token_id"))
