"""The folders of models/: each has a card and a recipe, and every figure of a card follows from the model's shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFValueType

from edgeai.catalog import Catalog
from edgeai.fit import Estimate, ModelShape, estimate
from edgeai.speech.voices import DEFAULT_VOICES, known_voices
from quantize.base import Meta, Tensor
from quantize.families import FAMILIES, family_of
from quantize.plan import Planned, TypeChoices, plan
from quantize.recipe import Recipe, check_architecture, read_recipe
from tests.quantize.families.real_configs import PHI_3_MINI_128K, PHI_4_MINI

MODELS = Path(__file__).parents[1] / "models"
FOLDERS = sorted(path.parent.name for path in MODELS.glob("*/recipe.toml"))
SPEECH = sorted({path.name for path in MODELS.iterdir() if path.is_dir()} - {*FOLDERS})
N_CTX = 4096
HEAD = (
    "| mix | weights, bytes | bits per weight | memory, `n_ctx` = 4,096 |",
    "| --- | ---: | ---: | ---: |",
)
NOT_IN_CATALOG = {"plamo-13b-instruct": "Apache-2.0"}  # https://huggingface.co/pfnet/plamo-13b-instruct
# The sizes of published GGUFs: those of the catalog, and of tensorblock/plamo-13b-GGUF, which has them in GiB.
OTHERS_FILES = [
    *(
        (name, "Q4_K_M", Catalog.load().entries[name].size_bytes)
        for name in ("phi-3.5-mini-instruct", "phi-4-mini-instruct")
    ),
    ("smollm2-135m-instruct", "Q4_1", Catalog.load().entries["smollm2-135m-instruct"].size_bytes),
    *(
        ("plamo-13b-instruct", ftype, gib * 2**30)
        for ftype, gib in {"Q3_K_M": 5.926, "Q4_K_M": 7.351, "Q5_K_M": 8.640, "Q6_K": 10.010}.items()
    ),
]
FTYPES = ("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS", "Q3_K_M")

Shapes = dict[str, tuple[int, ...]]


def llama_layer(n_embd: int, n_kv: int, n_ff: int) -> Shapes:
    return {
        **{f"self_attn.{name}_proj.weight": (n_embd, n_embd) for name in "qo"},
        **{f"self_attn.{name}_proj.weight": (n_kv, n_embd) for name in "kv"},
        **{f"mlp.{name}_proj.weight": (n_ff, n_embd) for name in ("gate", "up")},
        "mlp.down_proj.weight": (n_embd, n_ff),
    }


def phi3_layer(n_embd: int, n_kv: int, n_ff: int) -> Shapes:
    return {
        "self_attn.qkv_proj.weight": (n_embd + 2 * n_kv, n_embd),
        "self_attn.o_proj.weight": (n_embd, n_embd),
        "mlp.gate_up_proj.weight": (2 * n_ff, n_embd),
        "mlp.down_proj.weight": (n_embd, n_ff),
    }


@dataclass
class Published:
    """A model as its makers published it.

    Attributes:
        config: config.json.
        layer: the shapes of a layer's matrices, by their names.
        norms: of a layer.
        n_kv: elements of K for one token in one layer.
        prefix: of a layer's tensors.
    """

    config: Mapping[str, Any]
    layer: Shapes
    norms: tuple[str, ...]
    n_kv: int
    prefix: str = "model.layers"
    path: Path = Path("a-model")

    tensors: Mapping[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        n_embd, n_vocab = self.config["hidden_size"], self.config["vocab_size"]
        shapes: Shapes = {"model.embed_tokens.weight": (n_vocab, n_embd), "model.norm.weight": (n_embd,)}
        if not self.config["tie_word_embeddings"]:
            shapes["lm_head.weight"] = (n_vocab, n_embd)
        for index in range(self.config["num_hidden_layers"]):
            parts = {**self.layer, **{f"{name}.weight": (n_embd,) for name in self.norms}}
            shapes |= {f"{self.prefix}.{index}.{name}": shape for name, shape in parts.items()}
        self.tensors = {name: Tensor(name, shape, "BF16", unread) for name, shape in shapes.items()}

    def file(self, name: str) -> None:
        return None

    def json(self, name: str) -> None:
        return None


def unread() -> Any:
    raise AssertionError("a plan needs no weights")


TWO_NORMS = ("input_layernorm", "post_attention_layernorm")
PUBLISHED = {
    "smollm2-135m-instruct": Published(
        {
            "architectures": ["LlamaForCausalLM"],
            **{"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "vocab_size": 49152},
            **{"num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 8192},
            **{"rms_norm_eps": 1e-5, "rope_theta": 100000, "tie_word_embeddings": True},
        },
        llama_layer(576, 192, 1536),
        TWO_NORMS,
        192,
    ),
    # Phi-3.5 has the shapes of Phi-3 with 128k; only its factors of rotation are others
    "phi-3.5-mini-instruct": Published(PHI_3_MINI_128K, phi3_layer(3072, 3072, 8192), TWO_NORMS, 3072),
    "phi-4-mini-instruct": Published(PHI_4_MINI, phi3_layer(3072, 1024, 8192), TWO_NORMS, 1024),
    "plamo-13b-instruct": Published(
        {  # https://huggingface.co/pfnet/plamo-13b and plamo-13b-instruct-nc, config.json
            "architectures": ["PlamoForCausalLM"],
            **{"hidden_size": 5120, "intermediate_size": 16640, "num_hidden_layers": 40, "vocab_size": 50432},
            **{"num_attention_heads": 40, "num_key_value_heads": 40, "n_shared_head": 8},
            **{"rms_norm_eps": 1e-6, "tie_word_embeddings": False},
        },
        llama_layer(5120, 640, 16640),
        ("norm",),
        640,
        "model.layers.layers",
    ),
}


@cache
def planned(name: str, choices: TypeChoices) -> list[Planned]:
    """What llama.cpp's quantizer would make of a model."""
    model = PUBLISHED[name]
    family = family_of(model.config)
    n_vocab = model.config["vocab_size"]
    tokens = [*(f"<0x{byte:02X}>" for byte in range(256)), *(f"t{token}" for token in range(256, n_vocab))]
    metadata = [
        Meta("general.architecture", family.arch, GGUFValueType.STRING),
        *family.metadata(model),
        Meta("tokenizer.ggml.model", "llama", GGUFValueType.STRING),
        Meta("tokenizer.ggml.tokens", tokens, GGUFValueType.ARRAY, GGUFValueType.STRING),
    ]
    return plan(metadata, family.tensors(model), choices)


def weights_bytes(name: str, choices: TypeChoices) -> int:
    return sum(item.n_bytes for item in planned(name, choices))


def n_params(name: str) -> int:
    return sum(tensor.n_elements for tensor in PUBLISHED[name].tensors.values())


def need(name: str, n_weights: int) -> Estimate:
    """The memory that edgeai would need, as it estimates it for a model that is not on the disk yet."""
    model, config = PUBLISHED[name], PUBLISHED[name].config
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    shape = ModelShape(
        weights_bytes=n_weights,
        n_layer=config["num_hidden_layers"],
        n_embd=config["hidden_size"],
        n_head=config["num_attention_heads"],
        n_head_kv=model.n_kv // head_dim,
        head_dim=head_dim,
        n_ff=config["intermediate_size"],
        n_vocab=config["vocab_size"],
        n_merges=config["vocab_size"],
    )
    return estimate(shape, n_ctx=N_CTX)


def recipe_choices(recipe: Recipe) -> TypeChoices:
    return TypeChoices(
        ftype=recipe.ftype,
        output=recipe.output_type,
        token_embd=recipe.token_embd_type,
        by_pattern=recipe.tensor_types,
        has_imatrix=recipe.calibrate is not False,
    )


def sizes(name: str) -> list[str]:
    """What a card says of sizes: the rows of its table, and the line after it."""
    recipe = read_recipe(MODELS / name)
    rows = [(ftype, TypeChoices(ftype=ftype)) for ftype in FTYPES]
    rows.append((f"the recipe ({recipe.ftype})", recipe_choices(recipe)))
    lines = list(HEAD)
    for label, choices in rows:
        n_weights = weights_bytes(name, choices)
        bpw, total = 8 * n_weights / n_params(name), need(name, n_weights).total_bytes
        lines.append(f"| {label} | {n_weights:,} | {bpw:.2f} | {total / 2**20:,.0f} MiB |")
    kv_bytes = need(name, 0).kv_bytes
    return [*lines, "", f"Of the memory, {kv_bytes:,} bytes are the KV cache of 4,096 tokens at F16."]


def card(name: str) -> str:
    return (MODELS / name / "card.md").read_text()


def stated(name: str, what: str) -> str:
    """A row of the table at the head of a card."""
    found = re.search(rf"^\| {what} \| (.+) \|$", card(name), re.MULTILINE)
    assert found, f"{name}/card.md does not say: {what}"
    return found[1]


def test_models_is_data_only() -> None:
    files = [path for path in MODELS.rglob("*") if not path.is_dir()]
    assert {path.suffix for path in files} <= {".md", ".toml", ".txt"}
    for name in FOLDERS:
        assert {path.name for path in files if path.parent.name == name} >= {"card.md", "recipe.toml"}
    assert all((MODELS / name / "card.md").is_file() for name in SPEECH)


def test_all_weights_of_speech_have_a_card_with_their_licence() -> None:
    entries = {entry.name: entry for entry in Catalog.load().entries.values() if entry.speech}
    voices = {voice.name: voice for voice in known_voices() if voice.name in DEFAULT_VOICES}
    assert sorted({*entries, *voices}) == SPEECH
    for name, entry in entries.items():
        assert (stated(name, "licence"), stated(name, "does")) == (entry.licence, entry.speech)
        assert f"{entry.files[0].size_bytes:,} bytes" in stated(name, "file")
        assert entry.files[0].sha256 == stated(name, "SHA-256").strip("`")
        assert all(part.package[:-1] in card(name) for file in entry.files for part in file.parts)
    for name, voice in voices.items():
        assert stated(name, "licence") == voice.licence
        assert f"{voice.size_bytes:,} bytes" in stated(name, "file")
    assert known_voices()[0].credit.partition(", ")[2] in card("hibari-heart")
    assert "© 2009-2013 Nagoya Institute of Technology" in card("openjtalk-mei")


@pytest.mark.parametrize("name", FOLDERS)
def test_a_recipe_can_be_followed(name: str) -> None:
    recipe = read_recipe(MODELS / name)
    assert recipe.name.lower() == name
    assert family_of({"architectures": [recipe.architecture]}) in FAMILIES
    assert f"https://huggingface.co/{recipe.source}>" in card(name)
    if name in PUBLISHED:
        check_architecture(recipe, PUBLISHED[name].config)


@pytest.mark.parametrize("name", FOLDERS)
def test_licences_are_those_of_the_catalog(name: str) -> None:
    entries = Catalog.load().entries
    assert stated(name, "licence") == (entries[name].licence if name in entries else NOT_IN_CATALOG[name])


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_follow_from_the_shape(name: str) -> None:
    lines = card(name).splitlines()
    start = lines.index(HEAD[0])
    expected = sizes(name)
    assert lines[start : start + len(expected)] == expected
    assert stated(name, "parameters").partition(" ")[0] == f"{n_params(name):,}"
    assert stated(name, "vocabulary").startswith(f"{PUBLISHED[name].config['vocab_size']:,} tokens")


@pytest.mark.parametrize("name", sorted({*FOLDERS} - {*PUBLISHED}))
def test_without_a_published_shape_there_are_no_figures(name: str) -> None:
    assert HEAD[0] not in card(name)
    assert "bits per weight" not in card(name)


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name in Catalog.load().entries])
def test_the_shapes_are_those_of_the_catalog(name: str) -> None:
    entry, config = Catalog.load().entries[name], PUBLISHED[name].config
    assert entry.parameters == n_params(name)
    assert entry.shape == {
        "n_layer": config["num_hidden_layers"],
        "n_embd": config["hidden_size"],
        "n_head": config["num_attention_heads"],
        "n_head_kv": config["num_key_value_heads"],
        "head_dim": PUBLISHED[name].n_kv // config["num_key_value_heads"],
        "n_ff": config["intermediate_size"],
        "n_vocab": config["vocab_size"],
    }


@pytest.mark.parametrize(("name", "ftype", "size_bytes"), OTHERS_FILES)
def test_files_that_others_made_are_as_large(name: str, ftype: str, size_bytes: float) -> None:
    """But for their vocabularies, and for types that older releases chose otherwise (attn_qkv of Phi-3.5)."""
    n_weights = weights_bytes(name, TypeChoices(ftype=ftype))
    assert abs(size_bytes - n_weights) < 9e6
