from __future__ import annotations

from typing import Any

import pytest

from edgeai import LoadOptions, Message, OptionError, SamplingOptions
from edgeai.messages import to_message
from edgeai.options import make_options


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"temperature": -1}, "temperature = -1"),
        ({"temperature": "hot"}, "temperature = 'hot'"),
        ({"temperature": float("nan")}, "temperature = nan"),
        ({"top_p": 1.5}, "top_p = 1.5"),
        ({"top_k": -3}, "top_k = -3"),
        ({"max_tokens": 0}, "max_tokens = 0"),
        ({"max_tokens": True}, "max_tokens = True"),
        ({"seed": 2**32}, "seed = 4294967296"),
        ({"stop": ("",)}, "stop"),
        ({"logit_bias": {"a": 1}}, "'a'"),
        ({"stop": 5}, "stop = 5"),
        ({"logit_bias": [1]}, r"logit_bias = \[1\]"),
        ({"temprature": 1}, "unknown option 'temprature'"),
    ],
)
def test_wrong_sampling_options_are_named(values: dict[str, Any], names: str) -> None:
    with pytest.raises(OptionError, match=names.replace("(", r"\(")) as caught:
        make_options(SamplingOptions, values)
    assert "\n" not in str(caught.value)
    assert "expected" in str(caught.value)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"n_ctx": 0}, "n_ctx = 0"),
        ({"n_ctx": "big"}, "n_ctx = 'big'"),
        ({"n_threads": -1}, "n_threads = -1"),
        ({"n_threads": 100_000}, "n_threads = 100000: expected at most 512"),
        ({"flash_attn": "yes"}, "flash_attn = 'yes'"),
        ({"use_mmap": "no"}, "use_mmap = 'no'"),
        ({"n_batch": 1.5}, "n_batch = 1.5"),
        ({"type_k": "q3"}, "type_k = 'q3'"),
        ({"n_gpu_layers": -2}, "n_gpu_layers = -2"),
        ({"context": 10}, "unknown option 'context'"),
    ],
)
def test_wrong_load_options_are_named(values: dict[str, Any], names: str) -> None:
    with pytest.raises(OptionError, match=names):
        make_options(LoadOptions, values)


def test_one_stop_string_may_be_given_bare() -> None:
    assert SamplingOptions(stop="END").stop == ("END",)  # type: ignore[arg-type]


def test_messages_are_taken_as_mappings_too() -> None:
    assert to_message({"role": "user", "content": "hi"}) == Message("user", "hi")
    for wrong in ({"role": "robot", "content": ""}, {"role": "user"}, {"role": "user", "content": 3}, {"who": "me"}):
        with pytest.raises(OptionError):
            to_message(wrong)
