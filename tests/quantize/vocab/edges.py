"""Tokenizer files at the edges of what the converter reads; `oracle/vocabulary_edges.json` has what it made of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.quantize.tokenizer_parts import begin_with, byte_level, token
from tests.quantize.vocab.folders import TokenizerFolder, change, tokenizer_folder

ORACLE = Path(__file__).parents[1] / "oracle" / "vocabulary_edges.json"
ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "phi2": "PhiForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3": "Gemma3ForCausalLM",
}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Edge:
    """A folder.

    Attributes:
        style: of `tiny_tokenizers`.
        arch: llama.cpp's name of the family.
        tokenizer: changes tokenizer.json.
        settings: keys of tokenizer_config.json that differ; None for no such file.
        config: keys of config.json.
        files: further files: text, or an object for JSON.
    """

    style: str
    arch: str
    tokenizer: Callable[[Json], None] = lambda _: None
    settings: Json | None = field(default_factory=dict)
    config: Json = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> TokenizerFolder:
        """Write it."""
        config = {"architectures": [ARCHITECTURES[self.arch]], "vocab_size": 700} | self.config
        folder = tokenizer_folder(path, self.style, **config)
        if folder.file("tokenizer.json"):
            change(path, "tokenizer.json", self.tokenizer)
        if self.settings is None:
            (path / "tokenizer_config.json").unlink()
        else:
            change(path, "tokenizer_config.json", self._with_settings)
        for name, content in self.files.items():
            (path / name).parent.mkdir(exist_ok=True)
            text = content if isinstance(content, str) else json.dumps(content)
            (path / name).write_text(text, encoding="utf-8")
        return folder

    def _with_settings(self, value: Json) -> Json:
        new = value | (self.settings or {})
        new["added_tokens_decoder"] = value.get("added_tokens_decoder", {}) | new.get("added_tokens_decoder", {})
        return new


def _post(*processors: Json) -> Callable[[Json], None]:
    return lambda value: value.update(post_processor={"type": "Sequence", "processors": list(processors)})


def _template(single: list[str], pair: list[str] | None = None) -> Json:
    """A template; "A" and "B" are the texts."""

    def part(name: str) -> Json:
        kind = "Sequence" if name in ("A", "B") else "SpecialToken"
        return {kind: {"id": name, "type_id": 0}}

    names = {name for name in (*single, *(pair or ())) if name not in ("A", "B")}
    tokens = {name: {"id": name, "ids": [480], "tokens": [name]} for name in sorted(names)}
    parts = {"single": [part(name) for name in single], "pair": [part(name) for name in pair or ["A", "B"]]}
    return {"type": "TemplateProcessing", **parts, "special_tokens": tokens}


def _add(*entries: Json, first: int = 487) -> Callable[[Json], None]:
    """Append added tokens behind those of the style "qwen2"."""

    def how(value: Json) -> None:
        value["added_tokens"] += [{"id": first + index} | entry for index, entry in enumerate(entries)]

    return how


def _with_space(value: Json) -> None:
    """A token with a space within, which a merge makes, in the style "smollm"."""
    value["model"]["vocab"] |= {"a ": 484, "a b": 485}
    value["model"]["merges"] += [["a ", "b"]]


def _object(text: str) -> Json:
    """A special token's name as older folders write it."""
    return token(text) | {"__type": "AddedToken"}


_END, _START, _TEXT = "<|im_end|>", "<|im_start|>", "<|endoftext|>"
_ROBERTA = {"type": "RobertaProcessing", "sep": [_END, 482], "cls": [_START, 481], "trim_offsets": True}
_NO_NAMES = dict.fromkeys(("bos_token", "eos_token", "pad_token", "unk_token"))
_TEMPLATES = [
    {"name": "tool use!", "template": "tools"},
    {"name": "", "template": "nameless"},
    {"name": "default", "template": "usual"},
]

EDGES: Mapping[str, Edge] = {
    "roberta": Edge("qwen2", "qwen2", _post(_ROBERTA)),
    "roberta-unconfigured": Edge("qwen2", "qwen2", _post(_ROBERTA), settings=None),
    "two-post-processors": Edge("qwen2", "qwen3", _post(byte_level(use_regex=True), begin_with(_TEXT, 480))),
    "another-end": Edge("qwen2", "qwen2", _post(_template(["A", _TEXT], ["A", _TEXT, "B", _TEXT]))),
    "two-other-ends": Edge("qwen2", "qwen2", _post(_template(["A", _TEXT]), _template(["A", _START]))),
    "beginning-as-class": Edge(
        "qwen2", "qwen2", _post(_template([_START, "A", _END])), settings={"bos_token": _TEXT, "cls_token": _START}
    ),
    "another-beginning": Edge("qwen2", "qwen2", _post(_template([_START, "A"])), settings={"bos_token": _TEXT}),
    "names-from-template": Edge("qwen2", "qwen2", _post(_template([_START, "A", _END])), settings=_NO_NAMES),
    "template-unconfigured": Edge("qwen2", "qwen2", _post(_template([_START, "A", _END])), settings=None),
    "separator": Edge("qwen2", "qwen2", _post(_template(["A"], ["A", _END, "B"]))),
    "two-separators": Edge(
        "qwen2", "qwen2", _post(_template(["A", _END], ["A", _END, _END, "B", _END])), settings={"sep_token": _START}
    ),
    "unknown-separator": Edge("qwen2", "qwen2", _post(_template(["A"], ["A", _START, "B"]))),
    "names-as-objects": Edge(
        "qwen2",
        "qwen2",
        _post(_template([_TEXT, "A", _END])),
        settings={"bos_token": _object(_TEXT), "eos_token": _object(_END), "mask_token": _object("<tool_call>")},
    ),
    "numbers-of-config": Edge(
        "qwen2",
        "qwen2",
        settings=_NO_NAMES,
        config={"bos_token_id": 480, "eos_token_id": [481, 482], "pad_token_id": 0, "mask_token_id": 3},
    ),
    "numbers-of-text-config": Edge(
        "gemma", "gemma3", config={"vocab_size": 5, "text_config": {"vocab_size": 600, "sep_token_id": 9}}
    ),
    "named-token-marked-as-text": Edge("qwen2", "qwen2", settings={"eos_token": "<tool_call>"}),
    "further-special-tokens": Edge("qwen2", "qwen2", settings={"additional_special_tokens": ["<tool_call>"]}),
    "token-of-config-alone": Edge(
        "qwen2",
        "qwen2",
        settings={"added_tokens_decoder": {"487": token("<new>"), "488": token("plain", special=False)}},
    ),
    "named-token-unknown": Edge("qwen2", "qwen2", settings={"mask_token": "<a new mask>"}),
    "named-token-of-vocabulary": Edge("qwen2", "qwen2", settings={"unk_token": "!"}),
    "odd-added-tokens": Edge(
        "qwen2",
        "qwen2",
        _add(
            token("éé", special=False),
            token("Ġzzz", special=False),
            token("x▁y", special=False),
            token("<unused5>", special=False),
            token("<pad>", special=False),
            token("日本語", special=False, normalized=True),
            token("<｜a｜>", special=False),
            token(" lead", special=False) | {"lstrip": True},
        ),
        settings={"tokenizer_class": "PreTrainedTokenizerFast"},  # Qwen's own class knows those of the settings alone
    ),
    "spaces-in-merges": Edge("smollm", "llama", _with_space),
    "lowercase": Edge(
        "qwen2",
        "qwen2",
        lambda value: value.update(
            normalizer={"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "StripAccents"}]}
        ),
    ),
    "bert-normalizer": Edge(
        "qwen2",
        "qwen2",
        lambda value: value.update(
            normalizer={
                "type": "BertNormalizer",
                "clean_text": True,
                "handle_chinese_chars": True,
                "strip_accents": None,
                "lowercase": False,
            }
        ),
    ),
    "templates-by-name": Edge("qwen2", "qwen2", settings={"chat_template": _TEMPLATES}),
    "templates-without-default": Edge("qwen2", "qwen2", settings={"chat_template": _TEMPLATES[:1]}),
    "template-of-another-kind": Edge("qwen2", "qwen2", settings={"chat_template": {"default": "x"}}),
    "template-files": Edge(
        "smollm", "llama", files={"chat_template.jinja": "one", "additional_chat_templates/rag.jinja": "two"}
    ),
    "template-json": Edge("llama3", "llama", settings={}, files={"chat_template.json": {"chat_template": "three"}}),
    "config-template-before-file": Edge("qwen2", "qwen2", files={"chat_template.jinja": "four"}),
    "smollm": Edge("smollm", "llama", config={"vocab_size": 49152}, settings={"add_bos_token": True}),
    "code-llama": Edge("llama-spm", "llama", config={"vocab_size": 32016}),
    "prefix-space": Edge("llama-spm", "llama", settings={"add_prefix_space": False}),
    "embedding-smaller-than-model": Edge("llama-spm", "llama", config={"vocab_size": 300}),
    "spm-added": Edge(
        "llama-spm",
        "qwen2",
        settings={
            "added_tokens_decoder": {
                "300": token("▁a b", special=False),
                "301": token("<|x|>", special=False),
                "9999": token("beyond"),
            }
        },
        files={"added_tokens.json": {"<first>": 576, "<replaced>": 300, "<beyond>": 5000}},
    ),
    "phi3-added": Edge(
        "phi3",
        "phi3",
        lambda value: value["added_tokens"].append({"id": 650} | token("▁kept", special=False)),
        settings={"added_tokens_decoder": {"300": token("▁a b", special=False), "301": token("<|x|>", special=False)}},
    ),
    "gemma-smaller": Edge("gemma", "gemma2", config={"vocab_size": 580}, settings={"add_eos_token": True}),
}
