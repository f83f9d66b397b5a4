"""Damage to what a GGUF file means: well-formed files whose keys, tensors or vocabulary do not go together.

Each function changes `Parts` in one way and says what it did.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

from gguf.constants import GGML_QUANT_SIZES

from tests.gguf_parts import ARRAY, BOOL, F32, F64, I32, STRING, U32, U64, Parts

COUNTS = (
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    16,
    31,
    32,
    33,
    64,
    127,
    128,
    256,
    511,
    512,
    513,
    1024,
    65536,
    2**24,
    2**31,
    2**32 - 1,
)
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-38, 1e-6, 1e9, 3e38, -3e38, float("inf"), float("-inf"), float("nan"))
TEXTS = (
    *(b"", b"\0", b"a\0b", b"\xff", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"<0x-1>", b"<0xZZ>", b"<0x", b" ", b"\n"),
    *("▁▁".encode(), "日本".encode(), b"%s%n", b"a" * 300, b"<unk>", b"</s>", b"unused"),
)

# Names of keys that llama.cpp knows for any architecture, without its prefix (its src/llama-arch.cpp).
_KEYS = """
    vocab_size context_length embedding_length embedding_length_out embedding_length_per_layer_input block_count
    leading_dense_block_count feed_forward_length expert_feed_forward_length expert_shared_feed_forward_length
    expert_count expert_used_count expert_shared_count expert_group_count expert_group_used_count expert_gating_func
    experts_per_group moe_every_n_layers nextn_predict_layers n_deepstack_layers pooling_type decoder_block_count
    rescale_every_n_layers time_mix_extra_dim token_shift_count interleave_moe_layer_step full_attention_interval
    num_loops attention.head_count attention.head_count_kv attention.key_length attention.value_length
    attention.group_norm_groups attention.q_lora_rank attention.kv_lora_rank attention.relative_buckets_count
    attention.sliding_window attention.sliding_window_pattern attention.temperature_length attention.key_length_mla
    attention.value_length_mla attention.key_length_swa attention.value_length_swa attention.indexer.head_count
    attention.indexer.key_length attention.indexer.top_k attention.shared_kv_layers attention.recurrent_layers
    hyper_connection.count rope.dimension_count rope.dimension_count_swa rope.dimension_sections
    rope.scaling.original_context_length ssm.conv_kernel ssm.inner_size ssm.state_size ssm.time_step_rank
    ssm.group_count kda.head_dim wkv.head_size shortconv.l_cache
"""
_FLOAT_KEYS = """
    expert_weights_scale logit_scale attn_logit_softcapping final_logit_softcapping residual_scale embedding_scale
    attention.max_alibi_bias attention.clamp_kqv attention.layer_norm_epsilon attention.layer_norm_rms_epsilon
    attention.scale attention.temperature_scale rope.freq_base rope.freq_base_swa rope.scale_linear rope.scaling.factor
    rope.scaling.attn_factor rope.scaling.yarn_log_multiplier
"""
_ARCHITECTURES = """
    llama llama4 deci falcon gpt2 gptneox mpt baichuan starcoder refact bloom stablelm qwen qwen2 qwen2moe qwen2vl qwen3
    qwen3moe qwen3next qwen35 qwen3vl phi2 phi3 phimoe plamo plamo2 plamo3 orion internlm2 minicpm minicpm3 gemma gemma2
    gemma3 gemma3n gemma4 starcoder2 mamba mamba2 jamba falcon-h1 command-r cohere2 dbrx olmo olmo2 olmoe openelm arctic
    deepseek deepseek2 chatglm glm4 glm4moe bitnet t5 jais nemotron nemotron_h exaone exaone4 rwkv6 rwkv7 granite
    granitemoe granitehybrid chameleon plm bailingmoe dots1 arcee ernie4_5 hunyuan-dense smollm3 gpt-oss lfm2 lfm2moe
    smallthinker seed_oss grovemoe apertus kimi-linear minimax-01 unknown
"""

Change = Callable[[Parts, random.Random], str]


def change_parts(sound: Parts, rng: random.Random) -> tuple[Parts, str]:
    """A changed copy, and what was done: one change mostly, up to four."""
    parts = copy.deepcopy(sound)
    changes = rng.choices(*zip(*CHANGES, strict=True), k=rng.choice([1, 1, 1, 2, 4]))
    return parts, "; ".join(change(parts, rng) for change in changes)


def set_known_key(parts: Parts, rng: random.Random) -> str:
    name = _prefix(parts) + rng.choice(_KEYS.split())
    if rng.random() < 0.3:
        values = [rng.choice(COUNTS[:16]) for _ in range(rng.choice([0, 1, 2, 4, 4, 4, 5, 512, 513]))]
        parts.set(name, ARRAY, values, rng.choice([U32, U32, I32, BOOL, U64]))
        return f"{name} = {values[:8]}"
    value = _count(parts, rng)
    parts.set(name, U32, value)
    return f"{name} = {value}"


def set_known_float(parts: Parts, rng: random.Random) -> str:
    name, value = _prefix(parts) + rng.choice(_FLOAT_KEYS.split()), rng.choice(FLOATS)
    parts.set(name, F32, value)
    return f"{name} = {value}"


def change_value(parts: Parts, rng: random.Random) -> str:
    key = rng.choice(parts.keys)
    if key.type == ARRAY:
        for _ in range(rng.choice([1, 1, 8])):
            if key.value:
                key.value[rng.randrange(len(key.value))] = _scalar(parts, rng, key.element_type)
    else:
        key.value = _scalar(parts, rng, key.type)
    return f"a new value of {key.name!r}: {str(key.value)[:60]}"


def retype_key(parts: Parts, rng: random.Random) -> str:
    key = rng.choice(parts.keys)
    old, new = key.type, rng.choice([U32, I32, U64, F32, F64, BOOL, STRING])
    key.value, key.type = _scalar(parts, rng, new), new
    return f"{key.name!r} of the type {key.type}, was {old}"


def resize_array(parts: Parts, rng: random.Random) -> str:
    arrays = [key for key in parts.keys if key.type == ARRAY]
    if not arrays:
        return "no array"
    key = rng.choice(arrays)
    n = rng.choice([0, 1, len(key.value) - 1, len(key.value) // 2, len(key.value) + 1, 2 * len(key.value)])
    filler = key.value[-1] if key.value else _scalar(parts, rng, key.element_type)
    key.value = (key.value + [filler] * max(0, n))[: max(0, n)]
    return f"{key.name!r} with {len(key.value)} elements"


def drop_key(parts: Parts, rng: random.Random) -> str:
    key = parts.keys.pop(rng.randrange(len(parts.keys)))
    return f"without {key.name!r}"


def double_key(parts: Parts, rng: random.Random) -> str:
    key = copy.copy(rng.choice(parts.keys))
    parts.keys.insert(rng.randrange(len(parts.keys)), key)
    return f"{key.name!r} twice"


def swap_values(parts: Parts, rng: random.Random) -> str:
    numbers = [key for key in parts.keys if key.type == U32]
    if len(numbers) < 2:
        return "no numbers"
    one, other = rng.sample(numbers, 2)
    one.value, other.value = other.value, one.value
    return f"values of {one.name!r} and {other.name!r} swapped"


def become(parts: Parts, rng: random.Random) -> str:
    """Another architecture with the same keys and tensors."""
    new = rng.choice(_ARCHITECTURES.split())
    rename(parts, new)
    return f"as {new}"


def rename(parts: Parts, architecture: str) -> None:
    """Name the architecture anew, in all keys."""
    old = _prefix(parts).encode()
    for key in parts.keys:
        if key.name.startswith(old):
            key.name = f"{architecture}.".encode() + key.name.removeprefix(old)
    parts.set("general.architecture", STRING, architecture.encode())


def change_tensor(parts: Parts, rng: random.Random) -> str:
    tensor = rng.choice(parts.tensors)
    what = rng.choice(["type", "type", "shape", "shape", "transposed", "dropped", "doubled", "renamed"])
    if what == "type":
        tensor.type = int(rng.choice(list(GGML_QUANT_SIZES)))
    elif what == "shape" and tensor.shape:
        tensor.shape[rng.randrange(len(tensor.shape))] = rng.choice([*COUNTS[:18], 160, 192, 384])
    elif what == "transposed":
        rng.shuffle(tensor.shape)
    elif what == "dropped":
        parts.tensors.remove(tensor)
    elif what == "doubled":
        parts.tensors.append(copy.copy(tensor))
    elif what == "renamed":
        tensor.name = rng.choice(parts.tensors).name + rng.choice([b"", b".scale", b"x", b".bias"])
    return f"tensor {tensor.name!r} {what}: type {tensor.type}, shape {tensor.shape}"


def change_vocabulary(parts: Parts, rng: random.Random) -> str:
    """Tokens' texts, types and scores, one or many."""
    names = [b"tokenizer.ggml.tokens", b"tokenizer.ggml.token_type", b"tokenizer.ggml.scores", b"tokenizer.ggml.merges"]
    arrays = [key for key in parts.keys if key.name in names and key.type == ARRAY and key.value]
    if not arrays:
        return "no vocabulary"
    key = rng.choice(arrays)
    for _ in range(rng.choice([1, 1, 1, 16])):
        key.value[rng.randrange(len(key.value))] = _scalar(parts, rng, key.element_type)
    return f"elements of {key.name!r}"


def one_width(parts: Parts, rng: random.Random) -> str:
    """Twice or half as wide everywhere that a width stands: what goes together still does, in part."""
    old = parts.get(_prefix(parts) + "embedding_length")
    if not isinstance(old, int):
        return "no embedding_length"
    new = rng.choice([old // 2, old * 2, old + 32])
    for tensor in parts.tensors:
        tensor.shape = [new if length == old else length for length in tensor.shape]
    parts.set(_prefix(parts) + "embedding_length", U32, new)
    return f"embedding_length {old} -> {new} in all tensors"


def _prefix(parts: Parts) -> str:
    name = parts.get("general.architecture")
    return f"{name.decode('ascii', 'replace')}." if isinstance(name, bytes) else "llama."


def _count(parts: Parts, rng: random.Random) -> int:
    """A number that programs stumble over, or one that stands in the file, or near one."""
    numbers = [key.value for key in parts.keys if key.type == U32]
    value = rng.choice([*numbers, *COUNTS])
    return int(rng.choice([value, value, value, value + 1, value - 1, value * 2, value // 2])) % 2**32


def _scalar(parts: Parts, rng: random.Random, type_id: int) -> Any:
    if type_id == STRING:
        return rng.choice(TEXTS)
    if type_id in (F32, F64):
        return rng.choice(FLOATS)
    return _count(parts, rng) if rng.random() < 0.5 else rng.randrange(8)


CHANGES: tuple[tuple[Change, int], ...] = (
    (set_known_key, 8),
    (set_known_float, 2),
    (change_value, 4),
    (retype_key, 1),
    (resize_array, 2),
    (drop_key, 2),
    (double_key, 1),
    (swap_values, 2),
    (become, 4),
    (change_tensor, 6),
    (change_vocabulary, 3),
    (one_width, 1),
)
