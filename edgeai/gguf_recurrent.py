"""What has to hold between the sizes of recurrent layers: state-space models, linear attention, short convolutions."""

from __future__ import annotations

from edgeai.gguf_keys import MAX_WIDTH, Keys

_MAX_STATE = 2**28
"""A layer's state, elements: a gigabyte. llama.cpp multiplies it out in 32 bits."""

_MAX_KERNEL = 1024
_MAMBA1 = ("mamba", "jamba")
_DELTA_NETS = ("qwen3next", "qwen35", "qwen35moe", "qwen4exp")
_STATE_SPACE = """
    mamba mamba2 jamba falcon-h1 granitehybrid nemotron_h nemotron_h_moe plamo2 qwen3next qwen35 qwen35moe qwen4exp
"""
_KDA = ("kimi-linear", "kimi-k3", "bailingmoe3", "glm5-next")
_TOKEN_SHIFTS = {"rwkv6": 2, "rwkv7": 2, "rwkv6qwen2": 1, "arwkv7": 1}


def check_recurrent(keys: Keys, n_layer: int) -> None:
    """llama.cpp divides by the numbers of heads and groups, and asserts some relations to the model's width.

    A size of 0 says that a model has none of a kind, unless its architecture consists of them.

    Raises:
        ModelFormatError: naming the key, its value and what was expected.
    """
    architecture, n_embd = keys.header.architecture, keys.header["embedding_length"]
    least = 2 if architecture.startswith("lfm2") else 0
    short = keys.count("shortconv.l_cache", least, _MAX_KERNEL, required=least > 0) or 0
    _check_size(keys, "shortconv.l_cache", n_embd * short)
    least = 1 if architecture in _TOKEN_SHIFTS else 0
    head = keys.count("wkv.head_size", least, n_embd, required=least > 0)
    if head:
        keys.divides("wkv.head_size", head, n_embd, "embedding_length")
        keys.count("rescale_every_n_layers", 0, MAX_WIDTH, required=False)
        _check_size(keys, "wkv.head_size", n_embd * head)
        _check_token_shift(keys)
    least = 1 if architecture in _KDA else 0
    kda = keys.count("kda.head_dim", least, MAX_WIDTH, required=least > 0) or 0
    n_head = max(keys.per_layer("attention.head_count", n_layer) or (0,))
    _check_size(keys, "kda.head_dim", kda * kda * n_head)
    keys.count("ssm.conv_kernel", 0, _MAX_KERNEL, required=False)
    if architecture in _STATE_SPACE.split() or keys.count("ssm.inner_size", 0, MAX_WIDTH, required=False):
        _check_state_space(keys)


def _check_token_shift(keys: Keys) -> None:
    """llama.cpp asserts the number that each of these architectures has; 2 where the header does not say."""
    shift = keys.count("token_shift_count", 1, 2, required=False) or 2
    expected = _TOKEN_SHIFTS.get(keys.header.architecture, shift)
    if shift != expected:
        keys.fail("token_shift_count", shift, f"{expected} for this architecture")


def _check_state_space(keys: Keys) -> None:
    architecture = keys.header.architecture
    inner = keys.count("ssm.inner_size", 1, MAX_WIDTH)
    n_heads = keys.count("ssm.time_step_rank", 0, MAX_WIDTH, required=False)
    n_groups = keys.count("ssm.group_count", 0, MAX_WIDTH, required=False)
    state = keys.count("ssm.state_size", 1, MAX_WIDTH)
    kernel = keys.count("ssm.conv_kernel", 1, _MAX_KERNEL)
    _check_size(keys, "ssm.state_size", state * inner)
    _check_size(keys, "ssm.conv_kernel", (kernel - 1) * (inner + 2 * (n_groups or 0) * state))
    if architecture == "plamo2" and n_groups:
        keys.fail("ssm.group_count", n_groups, "0 for this architecture")
    if architecture in ("jamba", "granitehybrid") and inner != 2 * keys.header["embedding_length"]:
        keys.fail("ssm.inner_size", inner, f"twice the embedding_length {keys.header['embedding_length']}")
    if architecture in _MAMBA1:
        return
    if n_groups is not None and architecture != "plamo2":
        keys.divides("ssm.group_count", n_groups, inner, "ssm.inner_size")
    if n_heads is not None:
        keys.divides("ssm.time_step_rank", n_heads, inner, "ssm.inner_size")
    if n_groups and n_heads is not None:
        keys.divides("ssm.group_count", n_groups, n_heads, "ssm.time_step_rank")
    if architecture in _DELTA_NETS and n_heads and state != inner // n_heads:
        keys.fail("ssm.state_size", state, f"ssm.inner_size / ssm.time_step_rank = {inner // n_heads}")


def _check_size(keys: Keys, name: str, n_elements: int) -> None:
    if n_elements > _MAX_STATE:
        keys.fail(name, keys.header[name], f"a state of at most {_MAX_STATE:,} elements a layer, not {n_elements:,}")
