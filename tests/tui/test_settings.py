"""Settings of a conversation: what is kept, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeai import OptionError, SamplingOptions
from tui.settings import SAMPLING_NAMES, ConversationSettings

ALL_SET = ConversationSettings(
    system="日本語で答えて [bold]",
    temperature=0.0,
    top_p=0.5,
    top_k=0,
    min_p=0.1,
    repeat_penalty=1.1,
    max_tokens=64,
    seed=0,
)


def test_nothing_set_leaves_everything_to_the_session() -> None:
    assert ConversationSettings().sampling() == {}
    assert ConversationSettings().to_json() == "{}"


def test_zero_is_a_value_and_the_system_prompt_is_no_sampling_keyword() -> None:
    sampling = ALL_SET.sampling()
    assert set(sampling) == set(SAMPLING_NAMES)
    assert (sampling["temperature"], sampling["top_k"], sampling["seed"]) == (0.0, 0, 0)
    assert SamplingOptions(**sampling).max_tokens == 64


def test_json_gives_back_the_same_settings() -> None:
    assert ConversationSettings.from_json(ALL_SET.to_json()) == ALL_SET
    assert json.loads(ALL_SET.to_json())["system"] == "日本語で答えて [bold]"


@pytest.mark.parametrize("text", [None, "", "not json", "[]", "3", "null", '"a"', "[" * 100_000])
def test_what_is_no_object_gives_the_defaults(text: str | None) -> None:
    assert ConversationSettings.from_json(text) == ConversationSettings()


def test_bad_and_unknown_values_are_left_out_and_the_rest_is_kept() -> None:
    stored = json.dumps(
        {"system": 3, "temperature": "hot", "top_p": 2, "top_k": 5, "seed": -1, "min_p": True, "nonsense": 1}
    )
    assert ConversationSettings.from_json(stored) == ConversationSettings(top_k=5)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(("system", *SAMPLING_NAMES, "other")),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
    )
)
def test_whatever_is_stored_opens_and_passes_the_library(stored: dict[str, Any]) -> None:
    opened = ConversationSettings.from_json(json.dumps(stored))
    SamplingOptions(**opened.sampling())
    assert ConversationSettings.from_json(opened.to_json()) == opened


def test_a_value_that_the_library_refuses_is_refused() -> None:
    with pytest.raises(OptionError, match="temperature = -1"):
        ConversationSettings(temperature=-1)
    with pytest.raises(OptionError, match="top_p"):
        replace(ALL_SET, top_p=1.5)
