"""What has to hold between heads, their widths, the rotary width and the tensors of attention.

llama.cpp compares the tensors' shapes with some of these numbers and uses others unchecked in its graph, where a
contradiction ends the process.
"""

from __future__ import annotations

from edgeai.gguf_keys import MAX_WIDTH, Keys, all_counts

_ROPE_SCALING = ("none", "linear", "yarn", "longrope")
_SECTIONS = ("qwen2vl", "paddleocr", "qwen3vl", "qwen3vlmoe", "qwen35", "qwen35moe", "qwen4exp", "qwen3tts")
_MAY_HAVE_SECTIONS = ("glm4", "glm4moe", "hunyuan_vl", "bailingmoe3")
_LATENT = ("deepseek2", "deepseek32", "dots3note", "glm-dsa", "hy_v4", "minicpm3", "mistral4", "plm")
_OWN_V = ("glm5-next", "kimi-k3")  # they take V's width from the rank
_HEADLESS = ("mamba", "rwkv", "arwkv")  # recurrent architectures, by the start of their names

# Architectures whose graph asserts that K, V and the rotary part are equally wide.
_EQUAL = """
    apertus arcee arctic baichuan chameleon codeshell cogvlm cohere2moe dbrx deci deepseek dots1 dream ernie4_5
    ernie4_5-moe exaone exaone-moe exaone4 falcon granite granite_swa granitemoe graniteswitch grok grovemoe
    hunyuan-dense hunyuan-moe hunyuan_vl hy_v3 internlm2 jais2 llada llada-moe llama llama-embed llama4 maincoder
    mellum minicpm mistral3 olmo olmo2 olmoe orion paddleocr pangu-embedded plamo qwen2 qwen2moe qwen2vl qwen3
    qwen3moe qwen3vl qwen3vlmoe rnd1 seed_oss smallthinker smollm3 starcoder2 talkie xverse
"""
# Others whose graph asserts, or takes for granted where it reshapes V, that K and V are.
_SAME_TOO = """
    afmoe bailingmoe bailingmoe2 bitnet bloom chatglm cohere2 command-r falcon-h1 gemma gemma2 gemma3 gemma3n gemma4
    glm4 glm4moe gpt-oss gpt2 gptneox granitehybrid jais jamba laguna lfm2 lfm2moe maple minimax-01 minimax-m2
    minimax-m3 mpt muse-glimmer nanbeige nemotron nemotron_h nemotron_h_moe openelm phi2 phi3 phimoe plamo2 plamo3
    qwen qwen35 qwen35moe qwen3next qwen4exp refact spark2_5 stablelm starcoder
"""
# Of these two, those whose projections are not as wide as their heads together, or not in every layer.
_NOT_PLAIN = "gemma3n gemma4 graniteswitch nemotron_h nemotron_h_moe qwen35 qwen35moe qwen3next qwen4exp"

_ONE_WIDTH = frozenset(_EQUAL.split())
_SAME_KV = _ONE_WIDTH.union(_SAME_TOO.split())
_PLAIN_WIDTHS = _SAME_KV.difference(_NOT_PLAIN.split())


def check_attention(keys: Keys, n_layer: int) -> None:
    """Refuse numbers that contradict each other.

    Raises:
        ModelFormatError: naming the key or tensor, its value and what was expected.
    """
    heads = keys.per_layer("attention.head_count", n_layer) or (0,) * n_layer
    kv_heads = keys.per_layer("attention.head_count_kv", n_layer) or heads
    _check_scaling(keys)
    if not any(heads):
        if not keys.header.architecture.startswith(_HEADLESS):
            keys.fail("attention.head_count", keys.header["attention.head_count"], "heads in layer 0")
        return
    _check_heads(keys, heads, kv_heads)
    default = keys.header["embedding_length"] // heads[0]
    k_dim, v_dim = _check_widths(keys, "", default, default)
    k_swa, v_swa = _check_widths(keys, "_swa", k_dim, v_dim)
    widest = max(max(heads), max(kv_heads)) * max(k_dim, v_dim, k_swa, v_swa)
    if widest > MAX_WIDTH:
        keys.fail(
            "attention.head_count", max(heads), f"heads of together at most {MAX_WIDTH:,} columns, not {widest:,}"
        )
    _check_sections(keys, k_dim)
    _check_latent(keys, "", k_dim, v_dim)
    _check_latent(keys, "_swa", k_swa, v_swa)
    if keys.header.architecture in _PLAIN_WIDTHS and (k_dim, v_dim) == (k_swa, v_swa):
        _check_tensors(keys, heads, kv_heads, k_dim, v_dim)


def _check_heads(keys: Keys, heads: tuple[int, ...], kv_heads: tuple[int, ...]) -> None:
    if heads[0] == 0:
        keys.fail(
            "attention.head_count",
            list(heads[:8]),
            "heads in layer 0 (llama.cpp takes the rotary width from it and would never finish a token: "
            "PLaMo 2 files of its own converter are like that)",
            "make the file again with `quantize` from the model's own folder: it writes one head_count for all layers",
        )
    if not any(kv_heads):
        keys.fail("attention.head_count_kv", 0, "at least one head in some layer")
    for layer, (n_head, n_head_kv) in enumerate(zip(heads, kv_heads, strict=True)):
        if n_head and n_head_kv and (n_head_kv > n_head or n_head % n_head_kv):
            keys.fail("attention.head_count_kv", n_head_kv, f"a divisor of head_count = {n_head} (layer {layer})")


def _check_widths(keys: Keys, suffix: str, k_default: int, v_default: int) -> tuple[int, int]:
    """The widths of a head's K and V, elements."""
    architecture = keys.header.architecture
    k_dim = keys.count(f"attention.key_length{suffix}", 1, MAX_WIDTH, required=False)
    v_dim = keys.count(f"attention.value_length{suffix}", 1, MAX_WIDTH, required=False)
    k_dim = k_default if k_dim is None else k_dim
    v_dim = v_default if v_dim is None else v_dim
    without_rope = 0 if architecture == "glm5-next" else 1
    n_rot = keys.count(f"rope.dimension_count{suffix}", without_rope, MAX_WIDTH, required=False)
    n_rot = k_dim if n_rot is None else n_rot
    if k_dim < 1 or v_dim < 1:
        keys.fail("embedding_length", keys.header["embedding_length"], "at least one column for each head")
    if n_rot % 2 or n_rot > k_dim:
        keys.fail(f"rope.dimension_count{suffix}", n_rot, f"an even number, at most the key_length {k_dim}")
    if architecture in _ONE_WIDTH and not suffix and not k_dim == v_dim == n_rot:
        keys.fail("attention.key_length", k_dim, f"the value_length {v_dim} and the rope.dimension_count {n_rot}")
    if architecture in _SAME_KV and k_dim != v_dim:
        keys.fail(f"attention.value_length{suffix}", v_dim, f"the key_length {k_dim}")
    return k_dim, v_dim


def _check_latent(keys: Keys, suffix: str, k_dim: int, v_dim: int) -> None:
    """Keys and values that are unpacked from a narrower vector; K has a rotary part and another. 0 means without."""
    architecture = keys.header.architecture
    k_mla = keys.count(f"attention.key_length_mla{suffix}", 0, MAX_WIDTH, required=False) or 0
    v_mla = keys.count(f"attention.value_length_mla{suffix}", 0, MAX_WIDTH, required=False) or 0
    if (k_mla > 0) != (v_mla > 0):
        keys.fail(f"attention.value_length_mla{suffix}", v_mla, f"a number beside the key_length_mla {k_mla}")
    least = 1 if architecture in _LATENT and not suffix else 0
    rank = keys.count(f"attention.kv_lora_rank{suffix}", least, MAX_WIDTH, required=least > 0)
    n_rot = keys.header["rope.dimension_count"]
    n_rot = k_dim if n_rot is None else n_rot
    if rank and n_rot >= (k_mla or k_dim):
        keys.fail("rope.dimension_count", n_rot, f"less than the key_length {k_mla or k_dim}")
    if rank and k_mla and k_dim != rank + n_rot:
        keys.fail(f"attention.key_length{suffix}", k_dim, f"kv_lora_rank + rope.dimension_count = {rank + n_rot}")
    if rank and k_mla and architecture not in _OWN_V and v_dim != rank:
        keys.fail(f"attention.value_length{suffix}", v_dim, f"kv_lora_rank = {rank}")


def _check_tensors(keys: Keys, heads: tuple[int, ...], kv_heads: tuple[int, ...], k_dim: int, v_dim: int) -> None:
    rows = {tensor.name: tensor.shape[1] for tensor in keys.header.tensors if len(tensor.shape) == 2}
    for layer, (n_head, n_head_kv) in enumerate(zip(heads, kv_heads, strict=True)):
        if not n_head or not n_head_kv:
            continue  # a recurrent layer
        q, k, v = n_head * k_dim, n_head_kv * k_dim, n_head_kv * v_dim
        prefix = f"blk.{layer}.attn_"
        expected = {"qkv": q + k + v} if f"{prefix}qkv.weight" in rows else {"q": q, "k": k, "v": v}
        for name, n_rows in expected.items():
            if rows.get(f"{prefix}{name}.weight") != n_rows:
                found = rows.get(f"{prefix}{name}.weight", "no")
                keys.reader.fail(f"{prefix}{name}.weight has {found} rows, expected {n_rows:,} for {n_head} heads")


def _check_scaling(keys: Keys) -> None:
    scaling = keys.header["rope.scaling.type"]
    if scaling is not None and scaling not in _ROPE_SCALING:
        keys.fail("rope.scaling.type", scaling, f"one of {', '.join(_ROPE_SCALING)}")


def _check_sections(keys: Keys, k_dim: int) -> None:
    """Angles for time, height and width: they are counted modulo the sum of these."""
    sections = keys.header["rope.dimension_sections"]
    if sections is not None and not all_counts(sections, 4):
        keys.fail("rope.dimension_sections", sections, "up to four numbers")
    architecture = keys.header.architecture
    if architecture in _SECTIONS and not any((sections or ())[:3]):
        keys.fail("rope.dimension_sections", sections, "numbers that are not all 0")
    n_rot = keys.header["rope.dimension_count"] or k_dim
    if architecture in (*_SECTIONS, *_MAY_HAVE_SECTIONS) and sum(sections or ()) > n_rot:
        keys.fail("rope.dimension_sections", sections, f"together at most the rope.dimension_count {n_rot}")
