"""What has to hold between layers with a sliding window, layers without one, and layers that share others' caches."""

from __future__ import annotations

from edgeai.gguf_keys import Keys, all_counts

# Architectures with windowed layers whatever the window's length is; for others a length of 0 means none.
_ALWAYS = """
    cohere2 cohere2moe gemma2 gemma3n gemma4 gemma-embedding exaone-moe gpt-oss granite_swa maple mimo2 muse-glimmer
    spark2_5 step35 dots3note llama4
"""
_NEED_A_WINDOW = ("afmoe", "laguna")  # their graphs take the caches of windowed layers for granted
_DENSE_FIRST = ("cohere2moe", "laguna", "smallthinker", "modern-bert")  # the pattern starts with a layer without one
_PATTERNS = {"gemma3n": 5}  # where the layers that share caches follow from it and a header may leave it out
_SHARED_FROM = {"gemma3n": 20}  # a constant of llama.cpp
_MAX_WINDOW = 2**30


def check_windows(keys: Keys, n_layer: int) -> None:
    """Refuse patterns that llama.cpp's caches assert against.

    Raises:
        ModelFormatError: naming the key, its value and what was expected.
    """
    architecture = keys.header.architecture
    least = 1 if architecture in _NEED_A_WINDOW else 0
    n_swa = keys.count("attention.sliding_window", least, _MAX_WINDOW, required=least > 0)
    pattern = keys.header["attention.sliding_window_pattern"]
    if pattern is not None and not isinstance(pattern, int) and not all_counts(_as_counts(pattern), n_layer):
        keys.fail("attention.sliding_window_pattern", pattern, f"a number, or at most {n_layer} numbers")
    always = architecture in _ALWAYS.split() or (architecture == "exaone4" and n_layer == 64)
    if n_swa or (always and not (architecture == "llama4" and n_swa == 0)):
        _check_some_window(keys, n_layer, pattern)
    _check_shared(keys, n_layer, pattern)


def _check_some_window(keys: Keys, n_layer: int, pattern: object) -> None:
    name, expected = "attention.sliding_window_pattern", "a pattern in which some layer has a window"
    n_own = n_layer - (keys.count("nextn_predict_layers", 0, n_layer, required=False) or 0)
    if isinstance(pattern, tuple):
        if not any(pattern):
            keys.fail(name, pattern, expected)
    elif pattern == 1:
        keys.fail(name, pattern, expected)
    elif keys.header.architecture in _DENSE_FIRST and n_own < 2 and pattern != 0:
        keys.fail("block_count", n_own, "at least 2 layers, so that one has a window")


def _check_shared(keys: Keys, n_layer: int, pattern: object) -> None:
    """The last layers use the caches of the last two that have some: one with and one without a window."""
    n_shared = keys.count("attention.shared_kv_layers", 0, max(n_layer - 2, 0), required=False) or 0
    architecture = keys.header.architecture
    if architecture not in ("gemma3n", "gemma4"):
        return
    if n_layer < 2:
        keys.fail("block_count", n_layer, "at least 2 layers for this architecture")
    first = _SHARED_FROM.get(architecture, n_layer - n_shared)
    windows = _windows(pattern, n_layer, _PATTERNS.get(architecture, 1))
    kv_heads = keys.per_layer("attention.head_count_kv", n_layer) or keys.per_layer("attention.head_count", n_layer)
    for layer in range(first, n_layer):
        source = first - (2 if windows[layer] else 1)
        if windows[source] != windows[layer]:
            keys.fail("attention.sliding_window_pattern", pattern, f"layer {source} to be as layer {layer}, its cache")
        if kv_heads and kv_heads[source] != kv_heads[layer]:
            keys.fail("attention.head_count_kv", kv_heads, f"layer {source} to be as layer {layer}, its cache")


def _windows(pattern: object, n_layer: int, default: int) -> list[bool]:
    """For each layer whether it has a window (llama_hparams::set_swa_pattern)."""
    if isinstance(pattern, tuple):
        return [bool(value) for value in pattern] + [False] * (n_layer - len(pattern))
    period = pattern if isinstance(pattern, int) else default
    return [period == 0 or layer % period < period - 1 for layer in range(n_layer)]


def _as_counts(pattern: object) -> object:
    """llama.cpp takes arrays of booleans for numbers."""
    if isinstance(pattern, tuple) and all(isinstance(value, bool) for value in pattern):
        return tuple(int(value) for value in pattern)
    return pattern
