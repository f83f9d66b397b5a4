"""Numbers of a header that contradict each other are refused by their names: one small change to a sound model each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeai.errors import ModelFormatError
from edgeai.gguf_header import read_header
from edgeai.model_shape import ModelShape
from tests.families import FAMILIES, family_model
from tests.gguf_parts import ARRAY, BOOL, F32, I32, STRING, U32, Parts
from tests.mutate_parts import rename
from tests.tiny import KINDS, tiny_model

NVFP4 = 40
Change = Callable[[Parts], object]
Rules = list[tuple[Change, str | None]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Parts]:
    folder = tmp_path_factory.mktemp("sound")
    paths: dict[str, Path] = {}

    def parts(kind: str) -> Parts:
        if kind not in paths:
            path = folder / f"{kind}.gguf"
            paths[kind] = tiny_model(path, kind) if kind in KINDS else family_model(path, kind)
        return Parts.read(paths[kind])

    return parts


def number(name: str, value: int) -> Change:
    return lambda parts: parts.set(name, U32, value)


def numbers(name: str, *values: int) -> Change:
    return lambda parts: parts.set(name, ARRAY, list(values), I32)


def text(name: str, value: bytes) -> Change:
    return lambda parts: parts.set(name, STRING, value)


def without(name: str) -> Change:
    return lambda parts: parts.drop(name)


def token(index: int, value: bytes, kind: int = 1) -> Change:
    def change(parts: Parts) -> None:
        parts.get("tokenizer.ggml.tokens")[index] = value
        parts.get("tokenizer.ggml.token_type")[index] = kind

    return change


def as_family(name: str, *changes: Change) -> Change:
    """The same keys as another architecture's."""

    def change(parts: Parts) -> None:
        rename(parts, name)
        for each in changes:
            each(parts)

    return change


def both(*changes: Change) -> Change:
    return lambda parts: [change(parts) for change in changes]


def tensor(name: str, type_id: int | None = None, shape: list[int] | None = None) -> Change:
    def change(parts: Parts) -> None:
        (found,) = (each for each in parts.tensors if each.name == name.encode())
        found.type = found.type if type_id is None else type_id
        found.shape = found.shape if shape is None else shape

    return change


def extra(name: str, *shape: int) -> Change:
    return lambda parts: parts.add_tensor(name, list(shape))


VOCABULARY: Rules = [
    (number("tokenizer.ggml.eot_token_id", 271), "tokenizer.ggml.eot_token_id = 271, expected 0 to 270"),
    (number("tokenizer.ggml.fim_pre_token_id", 2**31), "tokenizer.ggml.fim_pre_token_id"),
    (both(text("tokenizer.ggml.pre", b"gemma4"), without("tokenizer.ggml.bos_token_id")), None),
    (text("tokenizer.chat_template", b"x" * (2**20 + 1)), "tokenizer.chat_template"),
    (number("tokenizer.chat_template", 1), "tokenizer.chat_template = 1"),
    (text("tokenizer.ggml.merges", b"a b"), "tokenizer.ggml.merges is of the type str"),
    (numbers("tokenizer.ggml.suppress_tokens"), None),
    (token(5, b"x" * 9000), "tokenizer.ggml.tokens[5] has 9,000 bytes"),
    (token(5, b"<0x4>", 6), "b'<0x4>' is marked as a byte"),
    (token(5, b"<0x41>", 6), None),
    (tensor("output.weight", shape=[128, 270]), "output.weight"),
]
ATTENTION: Rules = [
    (without("llama.attention.head_count"), "llama.attention.head_count = None, expected heads in layer 0"),
    (numbers("llama.attention.head_count", 4, 4, 4, 2**24), "llama.attention.head_count = 16777216"),
    (number("llama.attention.key_length_mla", 32), "llama.attention.value_length_mla = 0"),
    (number("llama.attention.kv_lora_rank", 8), "llama.rope.dimension_count = 32, expected less than"),
    (numbers("llama.rope.dimension_sections", 0, 0, 0, 0), None),
    (as_family("glm4", numbers("glm4.rope.dimension_sections", 16, 16, 1, 0)), "the rope.dimension_count 32"),
    (as_family("qwen2vl", numbers("qwen2vl.rope.dimension_sections", 0, 0, 0, 0)), "qwen2vl.rope.dimension_sections"),
    (as_family("gemma", number("gemma.attention.value_length", 64)), "gemma.attention.value_length = 64"),
    (as_family("deepseek2"), "deepseek2.attention.kv_lora_rank = None"),
    (number("llama.embedding_length_out", 2**25), "llama.embedding_length_out"),
    (number("llama.some_number", 2**31), "llama.some_number = 2147483648"),
    (number("llama.some_number", 2**32 - 1), None),
    (number("llama.n_deepstack_layers", 5), "llama.n_deepstack_layers = 5"),
]
EXPERTS: Rules = [
    (numbers("qwen3moe.expert_used_count", 2, 0, 2, 2), "at least 1 in layer 1, which has blk.1.ffn_gate_inp.weight"),
    (number("qwen3moe.expert_gating_func", 5), "qwen3moe.expert_gating_func = 5"),
    (number("qwen3moe.expert_group_count", 3), "qwen3moe.expert_group_count = 3, expected a divisor"),
    (both(number("qwen3moe.expert_group_count", 2), number("qwen3moe.expert_group_used_count", 1)), None),
    (both(number("qwen3moe.expert_count", 1024), number("qwen3moe.expert_used_count", 1024)), "operations"),
    (both(without("qwen3moe.expert_count"), without("qwen3moe.expert_used_count")), "qwen3moe.expert_count = 0"),
    (as_family("dots1"), "dots1.expert_gating_func = None"),
    (as_family("grovemoe", number("grovemoe.experts_per_group", 3)), "grovemoe.experts_per_group = 3"),
    (as_family("ernie4_5-moe", number("ernie4_5-moe.interleave_moe_layer_step", 0)), "interleave_moe_layer_step = 0"),
]
RECURRENT: dict[str, Rules] = {
    "mamba2": [
        (number("mamba2.ssm.group_count", 3), "mamba2.ssm.group_count = 3, expected a divisor of ssm.inner_size"),
        (number("mamba2.ssm.group_count", 16), "expected a divisor of ssm.time_step_rank = 8"),
        (number("mamba2.ssm.state_size", 2**21), "mamba2.ssm.state_size = 2097152"),
        (number("mamba2.ssm.inner_size", 0), "mamba2.ssm.inner_size = 0"),
        (as_family("qwen3next"), "qwen3next.attention.head_count"),
    ],
    "lfm2": [(number("lfm2.shortconv.l_cache", 1), "lfm2.shortconv.l_cache = 1, expected a number from 2")],
    "llama": [
        (as_family("rwkv6"), "rwkv6.wkv.head_size = None"),
        (as_family("rwkv6", number("rwkv6.wkv.head_size", 48)), "rwkv6.wkv.head_size = 48, expected a divisor"),
        (number("llama.kda.head_dim", 2**14), "llama.kda.head_dim = 16384"),
        (number("llama.ssm.inner_size", 0), None),
    ],
}
WINDOWS: Rules = [
    (numbers("gemma3.attention.sliding_window_pattern", 0, 0, 0, 0), "a pattern in which some layer has a window"),
    (text("gemma3.attention.sliding_window_pattern", b"x"), "gemma3.attention.sliding_window_pattern = 'x'"),
    (as_family("afmoe", number("afmoe.attention.sliding_window", 0)), "afmoe.attention.sliding_window = 0"),
    (as_family("laguna", number("laguna.block_count", 1)), "laguna.block_count = 1"),
    (
        as_family(
            "gemma4",
            number("gemma4.attention.shared_kv_layers", 2),
            numbers("gemma4.attention.sliding_window_pattern", 1, 1, 1, 0),
        ),
        "layer 1 to be as layer 3, its cache",
    ),
    (
        as_family(
            "gemma4",
            number("gemma4.attention.shared_kv_layers", 2),
            numbers("gemma4.attention.sliding_window_pattern", 1, 0, 1, 0),
        ),
        None,
    ),
    (as_family("gemma4", number("gemma4.attention.shared_kv_layers", 3)), "gemma4.attention.shared_kv_layers = 3"),
]
FAMILY_RULES: Rules = [
    (
        as_family(
            "glm-dsa",
            number("glm-dsa.attention.kv_lora_rank", 16),
            number("glm-dsa.rope.dimension_count", 16),
            numbers("glm-dsa.attention.indexer.types", 0, 1, 1, 1),
        ),
        "glm-dsa.attention.indexer.types",
    ),
    (
        as_family(
            "hrm_text", *(number(f"hrm_text.hrm.{name}", 8) for name in ("layers_per_stack", "h_cycles", "l_cycles"))
        ),
        "hrm_text.hrm.h_cycles = 8, expected at most 32 passes together, not 72",
    ),
    (as_family("qwen", number("qwen.attention.head_count", 64)), "blk.0.attn_q.weight has 128 rows, expected 2,048"),
    (as_family("hrm_text", number("hrm_text.hrm.layers_per_stack", 1)), "hrm_text.hrm.h_cycles"),
    (as_family("nanbeige", number("nanbeige.num_loops", 9)), "nanbeige.num_loops = 9"),
    (as_family("step35", number("step35.attention.key_length", 34)), "step35"),
    (as_family("granite", lambda parts: parts.set("granite.logit_scale", F32, 0.0)), "granite.logit_scale = 0"),
    (
        as_family("gemma2", lambda parts: parts.set("gemma2.final_logit_softcapping", F32, 0.0)),
        "final_logit_softcapping",
    ),
    (as_family("bailingmoe3", lambda parts: parts.set("bailingmoe3.kda.safe_gate", BOOL, 0)), "bailingmoe3"),
]
TENSORS: Rules = [
    (
        both(tensor("blk.0.attn_q.weight", NVFP4), extra("blk.0.attn_q.scale", 1), extra("blk.0.attn_q.bias", 128)),
        "blk.0.attn_q.scale",
    ),
    (both(tensor("blk.0.attn_q.weight", NVFP4), extra("blk.0.attn_q.scale", 1)), None),
    (both(tensor("blk.0.ffn_norm.weight", 1)), "blk.0.ffn_norm.weight has the type F16, expected F32"),
]
CASES = [
    *(("llama", *case) for case in (*VOCABULARY, *ATTENTION, *FAMILY_RULES, *TENSORS)),
    *(("qwen3moe", *case) for case in EXPERTS),
    *(("gemma3", *case) for case in WINDOWS),
    *((kind, *case) for kind, cases in RECURRENT.items() for case in cases),
]


@pytest.mark.parametrize(("kind", "change", "says"), CASES, ids=[f"{case[0]}-{case[2]}"[:60] for case in CASES])
def test_one_change(kind: str, change: Change, says: str | None, sound: Any, tmp_path: Path) -> None:
    parts = sound(kind)
    change(parts)
    path = parts.write(tmp_path / "changed.gguf")
    if says is None:
        read_header(path)
        return
    with pytest.raises(ModelFormatError) as refused:
        read_header(path)
    assert says in str(refused.value)


@pytest.mark.parametrize("kind", [*KINDS, *FAMILIES])
def test_parts_are_put_together_as_they_were(kind: str, sound: Any, tmp_path: Path) -> None:
    path = sound(kind).write(tmp_path / "again.gguf")
    header = read_header(path)
    assert header.tensors
    assert ModelShape.from_header(header).n_layer


@pytest.mark.parametrize("architecture", ["t5", "dream", "bert", "wavtokenizer-dec"])
def test_other_kinds_of_models_are_not_opened(architecture: str, sound: Any, tmp_path: Path) -> None:
    parts = sound("llama")
    rename(parts, architecture)
    header = read_header(parts.write(tmp_path / "other.gguf"))
    with pytest.raises(ModelFormatError, match=architecture):
        ModelShape.from_header(header)
