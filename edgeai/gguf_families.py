"""What single architectures of llama.cpp assert or divide by, beyond what holds for all.

Each rule stands for a GGML_ASSERT or a division in src/models/ of ggml-org/llama.cpp.
"""

from __future__ import annotations

from collections.abc import Callable

from edgeai.gguf_keys import MAX_COUNT, MAX_LAYERS, MAX_WIDTH, Keys

# llama.cpp has room for so many operations for each tensor: layers that are passed often need more.
_MAX_LOOPS, _MAX_CYCLES, _MAX_ITERATIONS = 8, 32, 32


def check_family(keys: Keys, n_layer: int) -> None:
    """Refuse numbers that the header's own architecture cannot have.

    Raises:
        ModelFormatError: naming the key, its value and what was expected.
    """
    rule = _RULES.get(keys.header.architecture)
    if rule:
        rule(keys, n_layer)


def _bailingmoe3(keys: Keys, n_layer: int) -> None:
    if keys.header["kda.safe_gate"] is False:
        keys.fail("kda.safe_gate", False, "True for this architecture")
    bound = keys.header["kda.gate_lower_bound"]
    if not (isinstance(bound, float) and bound < 0):
        keys.fail("kda.gate_lower_bound", bound, "a number below 0")


def _deepseek2_ocr(keys: Keys, n_layer: int) -> None:
    base = keys.header["rope.freq_base"]
    if base is not None and not (isinstance(base, float) and abs(base - 10_000) < 1e-4):
        keys.fail("rope.freq_base", base, "10000 for this architecture")
    head = keys.header["embedding_length"] // keys.count("attention.head_count", 1, MAX_WIDTH)
    for name in ("attention.key_length", "attention.value_length"):
        keys.count(name, head, head, required=False)


def _temperature(keys: Keys, n_layer: int) -> None:
    if keys.header["attention.temperature_scale"]:
        keys.count("attention.temperature_length", 1, MAX_COUNT)


def _deepseek4(keys: Keys, n_layer: int) -> None:
    keys.count("hyper_connection.count", 4, 4)
    n_groups = keys.count("attention.output_group_count", 1, MAX_WIDTH)
    keys.divides(
        "attention.output_group_count", n_groups, keys.count("attention.head_count", 1, MAX_WIDTH), "head_count"
    )


def _glm5_next(keys: Keys, n_layer: int) -> None:
    keys.count("hyper_connection.count", 4, 4)
    top_k = keys.count("attention.indexer.top_k", 1, MAX_WIDTH)
    pool = keys.count("attention.indexer.kpool", 2, MAX_WIDTH)
    keys.divides("attention.indexer.kpool", pool, top_k, "attention.indexer.top_k")
    keys.count("hyper_connection.sinkhorn_iterations", 1, _MAX_ITERATIONS)
    _first_indexer(keys, n_layer)


def _first_indexer(keys: Keys, n_layer: int) -> None:
    """Layers without an indexer of their own take what the one before them has selected."""
    kinds = keys.header["attention.indexer.types"]
    if kinds == 0 or (isinstance(kinds, tuple) and not any(kinds[:1])):
        keys.fail("attention.indexer.types", kinds, "an indexer of its own in layer 0")


def _hrm_text(keys: Keys, n_layer: int) -> None:
    stack, high, low = (
        keys.count(f"hrm.{name}", 1, MAX_LAYERS) for name in ("layers_per_stack", "h_cycles", "l_cycles")
    )
    n_passes = high * (low + 1)
    if n_passes > _MAX_CYCLES:
        keys.fail("hrm.h_cycles", high, f"at most {_MAX_CYCLES} passes together, not {n_passes}")
    keys.count("nextn_predict_layers", 0, 0, required=False)
    if n_layer != stack * n_passes:
        keys.fail("block_count", n_layer, f"layers_per_stack * h_cycles * (l_cycles + 1) = {stack * n_passes}")


def _minimax_m3(keys: Keys, n_layer: int) -> None:
    keys.count("attention.indexer.block_size", 1, MAX_WIDTH)


def _nanbeige(keys: Keys, n_layer: int) -> None:
    keys.count("num_loops", 1, min(_MAX_LOOPS, MAX_LAYERS // n_layer), required=False)


def _granite(keys: Keys, n_layer: int) -> None:
    if keys.header["logit_scale"] == 0:
        keys.fail("logit_scale", 0, "another number: logits are divided by it")


def _gemma(keys: Keys, n_layer: int) -> None:
    for name in ("attn_logit_softcapping", "final_logit_softcapping"):
        if keys.header[name] == 0:
            keys.fail(name, 0, "another number: logits are divided by it")


def _step35(keys: Keys, n_layer: int) -> None:
    n_rot = keys.header["rope.dimension_count"] or keys.header["attention.key_length"]
    if isinstance(n_rot, int) and n_rot % 4:
        keys.fail("rope.dimension_count", n_rot, "a multiple of 4: this architecture takes an even half of it")


_RULES: dict[str, Callable[[Keys, int], None]] = {
    "bailingmoe3": _bailingmoe3,
    "deepseek2-ocr": _deepseek2_ocr,
    **dict.fromkeys(("deepseek2", "mistral4"), _temperature),
    "deepseek4": _deepseek4,
    "glm-dsa": _first_indexer,
    "glm5-next": _glm5_next,
    "hrm_text": _hrm_text,
    "minimax-m3": _minimax_m3,
    "nanbeige": _nanbeige,
    **dict.fromkeys(("granite", "granitemoe", "granite_swa", "graniteswitch"), _granite),
    **dict.fromkeys(("gemma2", "gemma3n"), _gemma),
    "step35": _step35,
}
