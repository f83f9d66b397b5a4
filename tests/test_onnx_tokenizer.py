"""Tokenizers beside a graph: bytes of tokens, control tokens that no text may make, and hostile files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeai.backends.llama_model import LlamaModel
from edgeai.backends.onnx_tokenizer import JsonVocabulary, open_vocabulary
from edgeai.errors import GenerationError, ModelFormatError
from edgeai.onnx_folder import OnnxFolder, read_folder
from tests.tiny import tiny_model, vocabulary
from tests.tiny_onnx import N_VOCAB, tiny_onnx, tokenizer_json

TEXTS = [
    "",
    " ",
    "Hello, world!",
    "  two  spaces\n\tand more ",
    "日本語 🙂 é",
    "<|im_end|>",
    "a<|im_start|>user\nb",
    "\0\x07",
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_onnx(tmp_path_factory.mktemp("tiny") / "tiny", ours=False)


def vocabulary_of(sound: Path, tmp_path: Path, values: Any, **changes: Any) -> JsonVocabulary:
    folder = Path(shutil.copytree(sound, tmp_path / "changed", dirs_exist_ok=True))
    (folder / "tokenizer.json").write_text(json.dumps(values))
    (folder / "tokenizer_config.json").unlink(missing_ok=True)
    found = read_folder(folder)
    return JsonVocabulary(replace(found, **changes))


def sentencepiece_json() -> dict[str, Any]:
    """As Llama 2's and Gemma's: pieces with "▁" for a space, a token for each byte."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *"▁abehlo", "▁a", "he", "▁he"]
    return {
        **tokenizer_json(),
        "added_tokens": [
            {**tokenizer_json()["added_tokens"][0], "id": index, "content": pieces[index]} for index in range(3)
        ],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            **tokenizer_json()["model"],
            "unk_token": "<unk>",
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": {piece: index for index, piece in enumerate(pieces)},
            "merges": ["▁ a", "h e", "▁ he"],
        },
    }


def unigram_json() -> dict[str, Any]:
    """Whose model itself has the text of a control token as a word."""
    values = sentencepiece_json()
    pieces = sorted(values["model"]["vocab"], key=values["model"]["vocab"].__getitem__)
    values["model"] = {
        "type": "Unigram",
        "unk_id": 0,
        "vocab": [[piece, -1.0] for piece in pieces],
        "byte_fallback": True,
    }
    return values


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("parse_special", [False, True])
def test_byte_level_tokens_are_those_of_llama_cpp(sound: Path, tmp_path: Path, text: str, parse_special: bool) -> None:
    ours, _ = open_vocabulary(read_folder(sound))
    from edgeai.backends.llama_native import bindings
    from edgeai.options import LoadOptions

    llama = LlamaModel(bindings(), tiny_model(tmp_path / "a.gguf"), LoadOptions(), None)
    data = text.encode()
    tokens = ours.tokenize(data, add_special=True, parse_special=parse_special)
    assert tokens == llama.tokenize(data, add_special=True, parse_special=parse_special)
    for special in (False, True):
        theirs = [llama.token_bytes(token, special=special) for token in range(N_VOCAB)]
        assert [ours.token_bytes(token, special=special) for token in range(N_VOCAB)] == theirs
    assert ours.text([*tokens, -1, -7]) == text
    assert set(ours.control_ids) == set(llama.control_ids)
    llama.close()


@pytest.mark.parametrize("make", [sentencepiece_json, unigram_json])
def test_sentencepiece_tokens_are_bytes(sound: Path, tmp_path: Path, make: Callable[[], dict[str, Any]]) -> None:
    found = vocabulary_of(sound, tmp_path, make(), end_ids=(2,), bos_id=1)
    for text in ("hello a he", "日本", "a\n"):
        tokens = found.tokenize(text.encode(), add_special=True, parse_special=False)
        assert tokens[0] == 1
        assert b"".join(found.token_bytes(token, special=False) for token in tokens) == text.encode()
    assert found.texts.add_bos
    assert found.texts.bos_token == "<s>"
    assert found.texts.eos_token == "</s>"
    assert found.tokenize(b"a</s>", add_special=False, parse_special=True)[-1] == 2
    without = found.tokenize(b"a</s><s>", add_special=False, parse_special=False)
    assert not set(found.control_ids) & set(without)
    assert found.token_bytes(3 + 0x0A, special=False) == b"\n"


def test_our_record_says_whether_bos_is_added(sound: Path, tmp_path: Path) -> None:
    for add_bos in (False, True):
        found = vocabulary_of(sound, tmp_path, sentencepiece_json(), end_ids=(2,), bos_id=1, add_bos=add_bos)
        assert found.texts.add_bos is add_bos
        assert (found.tokenize(b"a", add_special=True, parse_special=False)[0] == 1) is add_bos


def test_tokens_beyond_the_logits_are_no_tokens(sound: Path, tmp_path: Path) -> None:
    """Gemma 3's tokenizer knows a token for pictures that its text model has no row for."""
    values = tokenizer_json()
    values["added_tokens"].append({**values["added_tokens"][0], "id": N_VOCAB, "content": "<image>"})
    found = vocabulary_of(sound, tmp_path, values)
    with pytest.raises(GenerationError, match=rf"the token {N_VOCAB} of {N_VOCAB}"):
        found.tokenize(b"<image>", add_special=False, parse_special=True)
    assert found.text(found.tokenize(b"<image>", add_special=False, parse_special=False)) == "<image>"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values.update(decoder={"type": "WordPiece", "prefix": "##", "cleanup": True}), "WordPiece"),
        (lambda values: values.update(decoder=None), "missing"),
        (lambda values: values.update(model={"type": "BPE", "vocab": [], "merges": 3}), "no tokenizer"),
        (lambda values: values["model"].update(vocab={"a": -1}), "no tokenizer"),
        (lambda values: values.update(pre_tokenizer={"type": "Split", "pattern": {"Regex": "("}}), "no tokenizer"),
    ],
)
def test_other_tokenizers_are_refused(
    sound: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    values = tokenizer_json()
    change(values)
    with pytest.raises(ModelFormatError, match=words) as refused:
        vocabulary_of(sound, tmp_path, values)
    assert "\n" not in str(refused.value)


def only_vocabulary(folder: Path) -> OnnxFolder:
    (folder / "tokenizer.json").unlink()
    return read_folder(folder)


def test_a_vocabulary_of_llama_cpp_will_do(sound: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sound, tmp_path / "copy"))
    tiny_model(folder / "vocab.gguf")
    found, texts = open_vocabulary(only_vocabulary(folder))
    assert found.n_vocab == N_VOCAB == len(vocabulary())
    assert texts.eos_token == "<|im_end|>"
    assert found.tokenize(b"Hello", add_special=False, parse_special=False)
    (folder / "vocab.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelFormatError):
        open_vocabulary(read_folder(folder))
