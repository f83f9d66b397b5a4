"""A part that sees and does not fit its config.json is refused in one line, before a tensor is read."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeai.errors import CheckpointError, QuantizeError, UnsupportedArchitectureError
from edgeai.safe_text import one_line
from quantize.base import Tensor
from quantize.families import family_of
from quantize.projectors import Projector, open_projector, vision_of
from tests.quantize.plamo_memory import MemoryCheckpoint
from tests.quantize.tiny_checkpoints import VISION_KINDS
from tests.quantize.tiny_vision import PREPROCESSORS

N_EMBD = 64
NAN = float("nan")


def never() -> NoReturn:
    raise AssertionError("a tensor was read before it was asked for")


@dataclass(slots=True)
class Seeing(MemoryCheckpoint):
    """A tiny checkpoint that sees, without values."""

    preprocessor: Any = None

    def json(self, name: str) -> Any:
        return self.preprocessor if name == "preprocessor_config.json" else None


def seeing(kind: str, at: str = "", value: Any = None) -> Seeing:
    """A checkpoint, in which one value is another: `at` is like "vision_config.depth" or "preprocessor.image_mean"."""
    what = VISION_KINDS[kind]
    config: dict[str, Any] = copy.deepcopy(what.config())
    prepared: dict[str, Any] = dict(PREPROCESSORS[str(what.preprocessor)])
    stored = {name: Tensor(name, each.shape, "BF16", never) for name, each in what.tensors(config).items()}
    place, _, key = at.rpartition(".")
    if at:
        ({"": config, "preprocessor": prepared}.get(place) or config[place])[key] = value
    return Seeing(config, stored, preprocessor=prepared)


def opened(checkpoint: Seeing) -> Projector:
    family, vision = family_of(checkpoint.config), vision_of(checkpoint.config)
    if vision is None:
        raise UnsupportedArchitectureError("no encoder")
    family.metadata(checkpoint)
    family.tensors(checkpoint)
    return open_projector(checkpoint, vision, N_EMBD, "F16")


def refusal(checkpoint: Seeing) -> str:
    with pytest.raises(CheckpointError) as caught:
        opened(checkpoint)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 400
    return message


@pytest.fixture(autouse=True)
def _tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quantize.families.gemma._n_token", lambda _: 576)


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_every_tensor_is_needed_and_of_the_shape_that_config_json_says(kind: str) -> None:
    whole = seeing(kind)
    assert opened(whole).planned
    for name, tensor in whole.tensors.items():
        fewer = {other: each for other, each in whole.tensors.items() if other != name}
        assert name.removeprefix("model.").rpartition(".")[2] in refusal(replace(whole, tensors=fewer))
        wrong = {name: replace(tensor, shape=(*tensor.shape[:-1], tensor.shape[-1] + 1))}
        assert f"the tensor {name} has the shape" in refusal(replace(whole, tensors={**whole.tensors, **wrong}))


@pytest.mark.parametrize("name", ["vision_model.head.probe.weight", "visual.surprise", "multi_modal_projector.x"])
def test_a_tensor_too_many_is_named(name: str) -> None:
    whole = seeing("qwen3-vl")
    more = {**whole.tensors, f"model.{name}": Tensor(name, (1,), "F32", never)}
    if ".head." in name:  # SigLIP's, which no text model uses
        assert len(opened(replace(whole, tensors=more)).planned) == len(opened(whole).planned)
    else:
        assert name in refusal(replace(whole, tensors=more))


def test_one_tensor_by_two_names_is_refused() -> None:
    whole = seeing("gemma3-vision")
    for name, other in (
        ("vision_tower.vision_model.post_layernorm.bias", "model.vision_tower.post_layernorm.bias"),
        ("language_model.model.norm.weight", "model.language_model.norm.weight"),
    ):
        assert "twice" in refusal(replace(whole, tensors={**whole.tensors, other: whole.tensors[name]}))


SAID_AS = {
    **{"rope_scaling": "mrope_section", "size": "longest_edge", "image_seq_length": "mm_tokens_per_image"},
    **{"num_heads": "num_attention_heads", "depth": "num_hidden_layers"},  # of those beyond their range
}
OF_TEXT = ("rope_scaling", "deepstack_visual_indexes")
OF_TENSORS = re.compile("has the shape|lacks the tensor|does not imply|num_heads =|depth =")
COUNTS = (0, -1, True, "48", None, [48, 48], 2.5, NAN, 2**31, 10**30)
WRONG: Mapping[tuple[str, str], tuple[Any, ...]] = {
    ("gemma3-vision", "vision_config.image_size"): COUNTS,
    ("gemma3-vision", "vision_config.patch_size"): (*COUNTS, 49, 7),
    ("gemma3-vision", "vision_config.hidden_size"): (*COUNTS, 2**15),
    ("gemma3-vision", "vision_config.intermediate_size"): (*COUNTS, 96),
    ("gemma3-vision", "vision_config.num_hidden_layers"): (*COUNTS, 129),
    ("gemma3-vision", "vision_config.num_attention_heads"): (*COUNTS, 5),
    ("gemma3-vision", "vision_config.num_channels"): (1, "3"),
    ("gemma3-vision", "vision_config.hidden_act"): ("relu", "quick_gelu", None),
    ("gemma3-vision", "vision_config.layer_norm_eps"): (0, -1, NAN, "x\nerror: y", 1e300, None),
    ("gemma3-vision", "preprocessor.image_seq_length"): (*COUNTS, 2, 9, 64),
    ("gemma3-vision", "preprocessor.image_mean"): (
        None,
        "red",
        [],
        [0.5] * 2,
        [0.5, NAN, 0.5],
        [0.5, "a", 0.5],
        [2] * 3,
    ),
    ("gemma3-vision", "preprocessor.image_std"): ([0, 0, 0], [-1, 1, 1], [1e-9] * 3, 0.5, {"r": 1}),
    ("idefics3", "scale_factor"): (*COUNTS, 3, 8),
    ("idefics3", "preprocessor.size"): ({"longest_edge": 10**9}, {"longest_edge": 0}, {"longest_edge": "x"}),
    ("qwen2.5-vl", "rope_scaling"): (
        None,
        {"type": "mrope"},
        *(
            {"type": "mrope", "mrope_section": wrong}
            for wrong in ([], [8], [4, 4], [2, 3, 4], [2, 2, 2, 2], "233", [0, 4, 4], [-1, 5, 4], [2.0, 3, 3], {"t": 2})
        ),
    ),
    ("qwen2.5-vl", "vision_config.depth"): (*COUNTS, 5, 129),
    ("qwen2.5-vl", "vision_config.num_heads"): (*COUNTS, 3, 32),
    ("qwen2.5-vl", "vision_config.fullatt_block_indexes"): (
        [],
        [3, 1],
        [1, 2],
        [0, 3],
        [3, 7],
        [1.0],
        "13",
        None,
        [-1],
        [1],
    ),
    ("qwen2.5-vl", "vision_config.hidden_act"): ("gelu",),
    ("qwen2.5-vl", "vision_config.intermediate_size"): (64,),
    ("qwen2.5-vl", "vision_config.spatial_merge_size"): (1, 4, None),
    ("qwen2.5-vl", "vision_config.temporal_patch_size"): (1, 3, None),
    ("qwen2.5-vl", "vision_config.window_size"): (56, None),
    ("qwen3-vl", "vision_config.num_position_embeddings"): (*COUNTS, 15, 36),
    ("qwen3-vl", "vision_config.deepstack_visual_indexes"): (
        [3],
        [2, 0],
        [0, 0],
        [-1],
        "02",
        None,
        [0],
        list(range(99)),
    ),
    ("qwen3-vl", "vision_config.hidden_act"): ("silu",),
}


@pytest.mark.parametrize(("kind", "at"), WRONG, ids=[f"{kind}: {at}" for kind, at in WRONG])
def test_a_value_that_makes_no_sense_is_named(kind: str, at: str) -> None:
    key = at.rpartition(".")[2]
    for value in WRONG[kind, at]:
        message = refusal(seeing(kind, at, value))
        assert SAID_AS.get(key, key) in message or OF_TENSORS.search(message), message
        assert "--projector none" in message or key in OF_TEXT


def test_an_idefics_on_a_text_model_of_another_kind_is_refused() -> None:
    whole = seeing("smolvlm2")
    others: list[dict[str, Any]] = [
        {"architectures": None, "model_type": "mistral"},
        {"architectures": [], "model_type": None},
    ]
    for text in others:
        config = {**whole.config, "text_config": {**whole.config["text_config"], **text}}
        assert "a text model of Llama's kind" in refusal(replace(whole, config=config))
    plain = {**whole.config["text_config"], "architectures": None}
    assert opened(replace(whole, config={**whole.config, "text_config": plain})).planned


def test_without_a_preprocessor_the_colours_are_not_known() -> None:
    others: list[Any] = [None, [], "x", {"media_proc_cfg": 3}]
    for preprocessor in others:
        assert "image_mean = None" in refusal(replace(seeing("gemma3-vision"), preprocessor=preprocessor))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("kind", VISION_KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_is_taken_or_refused_in_one_line(kind: str, data: st.DataObject) -> None:
    whole = seeing(kind)
    places = [f"vision_config.{key}" for key in whole.config["vision_config"]]
    places += [f"preprocessor.{key}" for key in whole.preprocessor] + list(whole.config)
    places += [f"text_config.{key}" for key in whole.config.get("text_config", {})]
    checkpoint = seeing(kind, data.draw(st.sampled_from(places)), data.draw(JSON))
    message = ""
    try:
        opened(checkpoint)
    except QuantizeError as exc:
        message = str(exc)
    assert message == one_line(message)
    assert len(message) < 600
