"""What has to hold between the numbers of experts, and the layers that have some."""

from __future__ import annotations

import re

from edgeai.gguf_keys import MAX_LAYERS, MAX_WIDTH, Keys

_MAX_EXPERTS = 1024  # LLAMA_MAX_EXPERTS
_ROUTER = re.compile(r"blk\.(\d+)\.ffn_gate_inp\.weight")
_NEED_EXPERTS = ("smallthinker", "qwen3next", "qwen4exp", "rnd1", "mellum")
_MAY_HAVE_NONE = ("granitemoe", "nemotron_h_moe")
# These have no gating function of their own, and llama.cpp's graph aborts without one.
_NEED_GATING = """
    dots1 dots3note minimax-m2 minimax-m3 smallthinker bailingmoe2 bailingmoe3 exaone-moe lfm2moe kimi-linear
    kimi-k3
"""

_OTHER_NODES = 40  # of a layer, at the least
_MORE_ROOM = """
    kimi-k3 glm5-next hrm_text qwen3next kimi-linear bailingmoe3 qwen35 qwen35moe qwen4exp deepseek4 nanbeige minimax-01
    minimax-m3 hy_v4
"""


def check_experts(keys: Keys, n_layer: int) -> None:
    """Refuse numbers that llama.cpp asserts against or divides by.

    Raises:
        ModelFormatError: naming the key, its value and what was expected.
    """
    architecture = keys.header.architecture
    n_expert = keys.count("expert_count", 0, _MAX_EXPERTS, required=False) or 0
    used = keys.per_layer("expert_used_count", n_layer) or (0,) * n_layer
    if max(used) > n_expert or (n_expert and not max(used)):
        keys.fail("expert_used_count", max(used), f"1 to expert_count = {n_expert}" if n_expert else "0")
    needs_some = "moe" in architecture and architecture not in _MAY_HAVE_NONE
    if not n_expert and (needs_some or architecture in _NEED_EXPERTS):
        keys.fail("expert_count", n_expert, "at least one expert for this architecture")
    _check_graph(keys, used)
    _check_groups(keys, n_expert)
    _check_widths(keys, n_layer, n_expert, used)
    keys.count("expert_shared_count", 0, _MAX_EXPERTS, required=False)
    keys.count("expert_gating_func", 0, 4, required=False)
    if architecture in _NEED_GATING.split():
        keys.count("expert_gating_func", 1, 4)


def _check_graph(keys: Keys, used: tuple[int, ...]) -> None:
    """llama.cpp has room for so many operations for each tensor (graph_max_nodes), and aborts on more."""
    each = 32 if keys.header.architecture in _MORE_ROOM.split() else 8
    n_most = max(1024, each * len(keys.header.tensors))
    n_nodes = sum(_OTHER_NODES + 2 * n for n in used if n)
    if n_nodes > n_most:
        keys.fail("expert_used_count", max(used), f"fewer: more than {n_most:,} operations are not possible")


def _check_groups(keys: Keys, n_expert: int) -> None:
    n_groups = keys.count("expert_group_count", 0, max(n_expert - 1, 0), required=False) or 0
    if n_groups > 1:
        keys.divides("expert_group_count", n_groups, n_expert, "expert_count")
        if n_expert // n_groups < 2:
            keys.fail("expert_group_count", n_groups, "at least two experts in a group: the best two rank it")
        keys.count("expert_group_used_count", 1, n_groups - 1)
    if keys.header.architecture == "grovemoe":
        keys.divides("experts_per_group", keys.count("experts_per_group", 1, n_expert), n_expert, "expert_count")
    low = 1 if keys.header.architecture == "ernie4_5-moe" else 0
    keys.count("interleave_moe_layer_step", low, MAX_LAYERS, required=False)
    keys.count("moe_every_n_layers", 0, MAX_LAYERS, required=False)


def _check_widths(keys: Keys, n_layer: int, n_expert: int, used: tuple[int, ...]) -> None:
    """Where an expert's width is missing, llama.cpp divides by the first layer's number of experts to use."""
    widths = keys.per_layer("expert_feed_forward_length", n_layer) or (0,) * n_layer
    if max(widths) > MAX_WIDTH:
        keys.fail("expert_feed_forward_length", max(widths), f"at most {MAX_WIDTH:,}")
    if n_expert and not used[0] and not widths[0]:
        keys.fail("expert_used_count", list(used[:8]), "at least 1 in layer 0, or an expert_feed_forward_length")
    for tensor in keys.header.tensors:
        router = _ROUTER.fullmatch(tensor.name)
        layer = int(router[1]) if router else n_layer
        if layer < n_layer and not used[layer]:
            keys.fail("expert_used_count", list(used[:8]), f"at least 1 in layer {layer}, which has {tensor.name}")
