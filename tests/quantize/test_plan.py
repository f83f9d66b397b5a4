"""The plan: what llama.cpp's quantizer says, in words, and what is refused before it is asked."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFValueType

from edgeai.backends.llama_native import bindings
from edgeai.errors import QuantizeError
from edgeai.gguf_header import read_header
from quantize.base import Meta, Tensor
from quantize.ftypes import FTYPES, check_ftype, ftype_of_bits, usual_type
from quantize.pipeline import Model, open_model
from quantize.plan import Planned, TypeChoices, plan, requires_imatrix
from tests.quantize.float_files import float_file, mixtral, official
from tests.tiny import KINDS, Kind, tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return open_model(float_file(tmp_path_factory.mktemp("plan"), "llama"))


def planned(model: Model, **choices: Any) -> dict[str, Planned]:
    items = plan(model.metadata, model.tensors, TypeChoices(**{"ftype": "Q4_K_M"} | choices))
    return {item.tensor.name: item for item in items}


def unread(name: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor that nobody may read: a plan needs no weights."""

    def read() -> Any:
        raise AssertionError

    return Tensor(name, shape, "BF16", read)


@pytest.mark.parametrize("kind", KINDS)
def test_the_plan_is_what_llama_cpp_then_does(kind: Kind, tmp_path: Path) -> None:
    source = tiny_model(tmp_path / "a.gguf", kind)
    model = open_model(source)
    for ftype in ("Q4_K_M", "Q8_0", "IQ4_XS", "F16"):
        done = read_header(official(source, tmp_path / f"{ftype}.gguf", TypeChoices(ftype=ftype)))
        items = plan(model.metadata, model.tensors, TypeChoices(ftype=ftype))
        assert [(item.tensor.name, item.qtype, item.n_bytes) for item in items] == [
            (tensor.name, tensor.type, tensor.n_bytes) for tensor in done.tensors
        ]


def test_a_large_model_is_planned_without_its_weights(model: Model) -> None:
    """Llama 2 70B, whose attention gets more bits than others' (llama.cpp knows it by its 80 layers)."""
    sizes = {"block_count": 80, "embedding_length": 8192, "feed_forward_length": 28672, "head_count": 64}
    sizes |= {"head_count_kv": 8, "key_length": 128, "value_length": 128, "dimension_count": 128}
    metadata = [
        replace(meta, value=sizes.get(meta.key.rpartition(".")[2], meta.value))
        for meta in model.metadata
        if meta.key != "llama.vocab_size"
    ]
    n_vocab = next(len(meta.value) for meta in metadata if meta.key == "tokenizer.ggml.tokens")
    tensors = [unread("token_embd.weight", (n_vocab, 8192)), unread("output.weight", (n_vocab, 8192))]
    tensors.append(unread("output_norm.weight", (8192,)))
    for layer in range(80):
        for name, shape in {
            **{"attn_norm": (8192,), "ffn_norm": (8192,), "attn_q": (8192, 8192), "attn_output": (8192, 8192)},
            **{"attn_k": (1024, 8192), "attn_v": (1024, 8192), "ffn_down": (8192, 28672)},
            **{"ffn_gate": (28672, 8192), "ffn_up": (28672, 8192)},
        }.items():
            tensors.append(unread(f"blk.{layer}.{name}.weight", shape))
    items = planned(Model(metadata, tensors))
    assert [items[f"blk.{layer}.attn_v.weight"].qtype for layer in (0, 10, 11, 12, 79)] == [
        *("Q6_K", "Q5_K", "Q5_K", "Q6_K", "Q6_K")
    ]
    assert 38e9 < sum(item.n_bytes for item in items.values()) < 43e9


def test_the_order_is_by_layer_and_then_by_name(model: Model) -> None:
    names = list(planned(model))
    in_layers = [name for name in names if name.startswith("blk.")]
    assert names == [*sorted(set(names) - set(in_layers)), *sorted(in_layers)]


def test_why(model: Model) -> None:
    reasons = {name: item.why for name, item in planned(model).items()}
    assert reasons["output_norm.weight"] == "kept: small, and sensitive"
    assert reasons["blk.0.attn_q.weight"] == "the type of Q4_K_M"
    assert reasons["output.weight"] == "Q4_K_M spends more on it"
    assert reasons["blk.0.ffn_down.weight"].startswith("rows of 320 are no multiple of 256, as Q")
    choices = {"by_pattern": (("attn_q", "Q8_0"), ("_norm", "Q4_0")), "output": "F16", "token_embd": "Q5_K"}
    reasons = {name: item.why for name, item in planned(model, **choices).items()}
    assert reasons["blk.1.attn_q.weight"] == "asked for by pattern"
    assert reasons["blk.1.attn_norm.weight"] == "kept: small, and sensitive"
    assert reasons["output.weight"] == reasons["token_embd.weight"] == "asked for"
    assert planned(model, ftype="Q2_K")["token_embd.weight"].why == "the type of Q2_K"
    assert {item.why for item in planned(model, ftype="F32").values()} == {"the type of F32"}


@pytest.mark.parametrize("ftype", FTYPES)
def test_the_usual_type_is_that_of_most_matrices(ftype: str, tmp_path: Path) -> None:
    items = planned(open_model(mixtral(tmp_path / "a.gguf", n_ff=256)), ftype=ftype, has_imatrix=True)
    types = [item.qtype for name, item in items.items() if "ffn_up" in name or "ffn_gate_exps" in name]
    assert usual_type(ftype) in types


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"output": "Q9"}, "'Q9' is no tensor type, expected one of F32"),
        ({"token_embd": "Q8_K"}, "'Q8_K' is no tensor type"),
        ({"by_pattern": (("a", "I32"),)}, "'I32' is no tensor type"),
        ({"by_pattern": (("(", "Q8_0"),)}, "refuses Q4_K_M: "),
    ],
)
def test_types_that_cannot_be_are_refused(choices: dict[str, Any], message: str, model: Model) -> None:
    with pytest.raises(QuantizeError, match=message):
        planned(model, **choices)


def test_a_type_that_does_not_fit_the_rows_is_refused(tmp_path: Path) -> None:
    narrow = open_model(float_file(tmp_path, "qwen3"))
    with pytest.raises(QuantizeError, match=r"token_embd.weight has rows of 64, which cannot be Q4_K: .* of 256"):
        planned(narrow, token_embd="Q4_K")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("llama.attention.head_count", 0),
        ("llama.attention.head_count_kv", 0),
        ("llama.block_count", 10**9),
        ("llama.embedding_length", 2**32 - 1),
        ("general.architecture", "no-such"),
        ("llama.rope.dimension_count", 2**31),
    ],
)
def test_metadata_that_llama_cpp_would_not_survive_is_refused(key: str, value: Any, model: Model) -> None:
    metadata = [replace(meta, value=value) if meta.key == key else meta for meta in model.metadata]
    with pytest.raises(QuantizeError, match=r"would not load in llama\.cpp|refuses Q4_K_M"):
        planned(Model(metadata, model.tensors))


def test_two_tensors_of_one_name_and_none_at_all_are_refused(model: Model) -> None:
    with pytest.raises(QuantizeError, match="twice"):
        planned(Model(model.metadata, [*model.tensors, model.tensors[0]]))
    with pytest.raises(QuantizeError, match="would not load"):
        planned(Model(model.metadata, []))
    with pytest.raises(QuantizeError, match=r"a\.b = 'x' cannot be a GGUF UINT32"):
        planned(Model([*model.metadata, Meta("a.b", "x", GGUFValueType.UINT32)], model.tensors))


def test_the_log_goes_where_it_went_before(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    llama = bindings()
    caplog.set_level(logging.DEBUG, "edgeai")
    logging.disable(logging.CRITICAL)
    try:
        assert planned(model)
    finally:
        logging.disable(logging.NOTSET)
    assert not caplog.records
    assert not llama.llama_model_load_from_file(b"/no such file", llama.llama_model_default_params())
    assert any("no such file" in record.getMessage() for record in caplog.records)


def test_plans_made_at_once_do_not_mix(model: Model) -> None:
    ftypes = ("Q4_0", "Q8_0", "Q6_K", "F16") * 3
    found: dict[int, set[str]] = {}

    def work(place: int, ftype: str) -> None:
        found[place] = {planned(model, ftype=ftype)["blk.0.attn_q.weight"].qtype}

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(ftypes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {place: {ftype} for place, ftype in enumerate(ftypes)}


def test_which_types_need_an_importance_matrix() -> None:
    assert requires_imatrix("blk.0.attn_q.weight", "Q2_K", "Q2_K_S")
    assert not requires_imatrix("blk.0.attn_q.weight", "Q2_K", "Q2_K")
    assert not requires_imatrix("output.weight", "Q2_K", "Q2_K_S")
    assert not requires_imatrix("token_embd.weight", "IQ3_XXS", "IQ3_XXS")
    assert requires_imatrix("token_embd.weight", "IQ1_S", "IQ1_S")  # ggml itself ends the process


@pytest.mark.parametrize("bits", [-1, 0, 1, 2, 3, 5, 6, 7, 16, 32, 10**9])
def test_bits_without_a_mix_of_their_own_offer_the_nearest(bits: int) -> None:
    with pytest.raises(QuantizeError, match=rf"--bits {bits}: expected 4 or 8; the nearest") as caught:
        ftype_of_bits(bits)
    offered = str(caught.value).partition("--ftype ")[2].split(" or ")
    assert {check_ftype(name) for name in offered} <= set(FTYPES)
