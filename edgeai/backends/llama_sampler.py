"""llama.cpp's native sampler chain."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from edgeai.errors import OptionError
from edgeai.options import SamplingOptions

PENALTY_LAST_N = 64


def make_sampler(llama_cpp: Any, options: SamplingOptions, *, n_vocab: int, prompt: Sequence[int]) -> Any:
    """A sampler chain; the caller frees it with `llama_sampler_free`.

    The order is llama.cpp's own (common/sampling.cpp): bias, penalties, top_k, top_p, min_p, temperature, draw.

    Raises:
        OptionError: logit_bias names a token that the vocabulary does not have.
    """
    bias = _logit_bias(llama_cpp, options, n_vocab) if options.logit_bias else None
    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())

    def add(sampler: Any) -> None:
        llama_cpp.llama_sampler_chain_add(chain, sampler)

    if bias is not None:
        add(bias)
    if not math.isclose(options.repeat_penalty, 1.0):
        add(llama_cpp.llama_sampler_init_penalties(n_vocab, PENALTY_LAST_N, options.repeat_penalty, 0.0, 0.0))
        for token in prompt[-PENALTY_LAST_N:]:
            if token >= 0:  # no id of a medium
                llama_cpp.llama_sampler_accept(chain, token)
    if options.temperature == 0:
        add(llama_cpp.llama_sampler_init_greedy())
        return chain
    if options.top_k:
        add(llama_cpp.llama_sampler_init_top_k(options.top_k))
    if options.top_p < 1:
        add(llama_cpp.llama_sampler_init_top_p(options.top_p, 1))
    if options.min_p > 0:
        add(llama_cpp.llama_sampler_init_min_p(options.min_p, 1))
    add(llama_cpp.llama_sampler_init_temp(options.temperature))
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**32 - 1)
    add(llama_cpp.llama_sampler_init_dist(seed))
    return chain


def _logit_bias(llama_cpp: Any, options: SamplingOptions, n_vocab: int) -> Any:
    if wrong := [token for token in options.logit_bias if token >= n_vocab]:
        raise OptionError(f"logit_bias names token {wrong[0]}: the vocabulary has {n_vocab:,} tokens")
    array = (llama_cpp.llama_logit_bias * len(options.logit_bias))()
    for item, (token, bias) in zip(array, options.logit_bias.items(), strict=True):
        item.token, item.bias = token, bias
    return llama_cpp.llama_sampler_init_logit_bias(n_vocab, len(array), array)
