"""The tokenizer files of tiny checkpoints: the families' own layouts around the small vocabularies of `fixtures/`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.quantize.tokenizer_parts import (
    FIXTURES,
    N_BPE,
    N_SPM,
    begin_with,
    bpe_model,
    byte_level,
    numbered,
    read_fixture,
    token,
    write_bpe,
    write_json,
    write_tokenizer_config,
    write_tokenizer_json,
)

BEHIND_BPE = range(N_BPE, N_BPE + 32)

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LLAMA3_CHAT = (
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] "
    "+ '<|end_header_id|>\\n\\n' + message['content'] + '<|eot_id|>' }}{% endfor %}"
)
LLAMA2_CHAT = (
    "{{ bos_token }}{% for message in messages %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% endfor %}"
)
PHI_CHAT = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + '\\n' + message['content'] + '<|end|>\\n' }}"
    "{% endfor %}{{ '<|assistant|>\\n' }}"
)
GEMMA_CHAT = (
    "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + message['role'] + '\\n' + message['content'] "
    "+ '<end_of_turn>\\n' }}{% endfor %}"
)


def write_tokenizer(folder: Path, style: str) -> None:
    """Write a family's tokenizer files, with its chat template where such folders have it.

    Args:
        folder: the checkpoint.
        style: a key of STYLES.
    """
    STYLES[style](folder)


def _llama3(folder: Path) -> None:
    names = ("begin_of_text", "end_of_text", "start_header_id", "end_header_id", "eot_id")
    added = [token(f"<|{name}|>") for name in names]
    post = {"type": "Sequence", "processors": [byte_level(use_regex=True), begin_with("<|begin_of_text|>", N_BPE)]}
    write_bpe(folder, "llama3", added, post_processor=post, ignore_merges=True, old_merges=True)
    special = {"bos": "<|begin_of_text|>", "eos": "<|eot_id|>"}
    write_tokenizer_config(folder, "PreTrainedTokenizerFast", added, BEHIND_BPE, special, LLAMA3_CHAT)


def _smollm(folder: Path) -> None:
    added = [token(name) for name in ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>")]
    write_bpe(folder, "smollm", added, first=True)
    special = {"bos": "<|im_start|>", "eos": "<|im_end|>", "unk": "<|endoftext|>", "pad": "<|im_end|>"}
    write_tokenizer_config(folder, "GPT2Tokenizer", added, range(4), special, add_prefix_space=False)
    (folder / "chat_template.jinja").write_text(CHATML, encoding="utf-8")


def _qwen2(folder: Path, chat: Any = CHATML) -> None:
    added = [token(name) for name in ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>")]
    added += [token(name, special=False) for name in ("<tool_call>", "</tool_call>", "<|fim_prefix|>")]
    write_bpe(folder, "qwen2", added, normalizer={"type": "NFC"})
    special = {"bos": None, "eos": "<|im_end|>", "pad": "<|endoftext|>", "unk": None}
    flags = {"add_bos_token": False, "add_prefix_space": False}
    write_tokenizer_config(folder, "Qwen2Tokenizer", added, BEHIND_BPE, special, chat, **flags)


def _qwen2_named_templates(folder: Path) -> None:
    default, tools = {"name": "default", "template": CHATML}, {"name": "tool_use", "template": "tools: " + CHATML}
    _qwen2(folder, [default, tools])


def _phi2(folder: Path) -> None:
    added = [token("<|endoftext|>")]
    added += [token(text, special=False, normalized=True) for text in (" " * 5, " " * 4, " " * 3, "\t\t\t", "\t\t")]
    write_bpe(folder, "phi2", added, old_merges=True)
    special = dict.fromkeys(("bos", "eos", "unk"), "<|endoftext|>")
    write_tokenizer_config(folder, "CodeGenTokenizer", added, BEHIND_BPE, special, add_prefix_space=False)


def _gpt4o(folder: Path) -> None:
    names = ("endoftext", "assistant", "user", "system", "end", "endofprompt")
    added = [*(token(f"<|{name}|>") for name in names), token("<|tool_call|>", special=False)]
    write_bpe(folder, "gpt4o", added)
    special = dict.fromkeys(("bos", "eos", "pad", "unk"), "<|endoftext|>")
    flags = {"add_bos_token": False, "add_eos_token": False, "add_prefix_space": False}
    write_tokenizer_config(folder, "GPT2Tokenizer", added, BEHIND_BPE, special, PHI_CHAT, **flags)


def _llama_spm(folder: Path) -> None:
    shutil.copyfile(FIXTURES / "llama.model", folder / "tokenizer.model")
    _llama_json(folder)


def _llama_json(folder: Path) -> None:
    special = {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "pad": "</s>"}
    _llama2(folder, [], special, LLAMA2_CHAT)


def _phi3(folder: Path) -> None:
    shutil.copyfile(FIXTURES / "llama.model", folder / "tokenizer.model")
    names = ("endoftext", "assistant", "placeholder1", "system", "end", "user")
    more = [token(f"<|{name}|>") for name in names]
    special = {"bos": "<s>", "eos": "<|endoftext|>", "unk": "<unk>", "pad": "<|endoftext|>"}
    _llama2(folder, more, special, PHI_CHAT)
    write_json(folder / "added_tokens.json", {entry["content"]: N_SPM + index for index, entry in enumerate(more)})


def _llama2(folder: Path, more: Sequence[dict[str, Any]], special: Mapping[str, str | None], chat: str) -> None:
    """tokenizer.json of Llama 2's kind: a SentencePiece BPE rewritten as merges with byte fallback."""
    added = [*(token(text) for text in ("<unk>", "<s>", "</s>")), *more]
    ids = [0, 1, 2, *range(N_SPM, N_SPM + len(more))]
    parts = read_fixture("llama.json")
    space = [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]
    steps = [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]
    write_tokenizer_json(
        folder,
        added_tokens=numbered(added, ids),
        normalizer={"type": "Sequence", "normalizers": space},
        pre_tokenizer=None,
        post_processor=begin_with("<s>", 1),
        decoder={"type": "Sequence", "decoders": steps},
        model=bpe_model(parts["vocab"], parts["merges"], unk_token="<unk>", fuse_unk=True, byte_fallback=True),
    )
    flags = {"add_bos_token": True, "add_eos_token": False, "legacy": False}
    write_tokenizer_config(folder, "LlamaTokenizer", added, ids, special, chat, **flags)


def _gemma(folder: Path) -> None:
    shutil.copyfile(FIXTURES / "gemma.model", folder / "tokenizer.model")
    added = {index: token(text) for index, text in enumerate(("<pad>", "<eos>", "<bos>", "<unk>"))}
    names = ("<mask>", "<start_of_turn>", "<end_of_turn>")
    added |= {index: token(text, special=text != "<mask>") for index, text in enumerate(names, 4)}
    added |= {index: token(text, special=False) for index, text in enumerate(("\n\n", "▁▁", "▁▁▁", "▁▁▁▁"), 7)}
    special = {"bos": "<bos>", "eos": "<eos>", "unk": "<unk>", "pad": "<pad>"}
    flags = {"add_bos_token": True, "add_eos_token": False, "spaces_between_special_tokens": False}
    write_tokenizer_config(folder, "GemmaTokenizer", list(added.values()), added, special, GEMMA_CHAT, **flags)


def _plamo_spm(folder: Path) -> None:
    shutil.copyfile(FIXTURES / "plamo.model", folder / "tokenizer.model")
    special = {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "pad": "<pad>"}
    write_tokenizer_config(folder, "PlamoTokenizer", [], [], special, add_bos_token=True, add_eos_token=False)


def _plamo_jsonl(folder: Path) -> None:
    shutil.copyfile(FIXTURES / "plamo.jsonl", folder / "tokenizer.jsonl")
    special = {name: f"<|plamo:{name}|>" for name in ("bos", "eos", "pad", "unk")} | {"sep": None, "cls": None}
    auto = {"AutoTokenizer": ["tokenization_plamo.Plamo2Tokenizer", None]}
    flags = {"add_bos_token": True, "add_eos_token": False, "auto_map": auto}
    write_tokenizer_config(folder, "Plamo2Tokenizer", [], [], special, **flags)


def _plamo_jsonl_chat(folder: Path) -> None:
    _plamo_jsonl(folder)
    turn = "{{ '<|plamo:op|>' + message['role'] + '\n' + message['content'] }}"
    template = "{% for message in messages %}" + turn + "{% endfor %}"
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


STYLES: Mapping[str, Callable[[Path], None]] = {
    "llama3": _llama3,
    "smollm": _smollm,
    "qwen2": _qwen2,
    "qwen2-named-templates": _qwen2_named_templates,
    "phi2": _phi2,
    "gpt4o": _gpt4o,
    "llama-spm": _llama_spm,
    "llama-json": _llama_json,
    "phi3": _phi3,
    "gemma": _gemma,
    "plamo-spm": _plamo_spm,
    "plamo-jsonl": _plamo_jsonl,
    "plamo-jsonl-chat": _plamo_jsonl_chat,
}
