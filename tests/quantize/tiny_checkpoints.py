"""Tiny random Hugging Face folders of every family `quantize` knows, the same bits each time, without torch.

`tiny_checkpoint` writes one; `CASES` are those for which `oracle/` holds what the official converter and
`llama_model_quantize` gave. All but PLaMo 13B are below 5 MB, and written in milliseconds.

What the shapes are for: rows of 256 for the K and IQ types beside shorter ones that fall back; 8 layers where types
change with depth; a vocabulary that is filled up to `vocab_size` beside one that is complete; windows of 16 and
long-context factors from 256 tokens on, so that a short text reaches them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.quantize import tiny_families as families
from tests.quantize import tiny_plamo as plamo
from tests.quantize import tiny_vision as vision
from tests.quantize.tiny_families import Config, Tensors
from tests.quantize.tiny_tokenizers import write_tokenizer
from tests.quantize.tiny_weights import Dtype, write_shards
from tests.quantize.tokenizer_parts import write_json

_DTYPE_NAMES: Mapping[Dtype, str] = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}
_LLAMA3 = {"bos_token_id": 480, "eos_token_id": [481, 484], "rope_theta": 500000.0}
_SMOLLM2 = {"bos_token_id": 1, "eos_token_id": 2, "rope_theta": 100000, "tie_word_embeddings": True}
_SPM = {"vocab_size": 576}

README = """---
license: apache-2.0
language:
- en
- ja
library_name: transformers
pipeline_tag: text-generation
base_model:
- example-org/Tiny-Base
tags:
- tiny
- random
---

# A tiny random model

It exists to be converted.
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """A family's checkpoint.

    Attributes:
        config: makes config.json.
        tensors: makes the tensors that go with it.
        tokenizer: a style of `tiny_tokenizers`.
        sampling: keys of generation_config.json beside the special tokens.
        readme: whether there is a model card.
        preprocessor: how pictures are prepared, a key of `tiny_vision.PREPROCESSORS`, where the model sees.
    """

    config: Callable[[], Config]
    tensors: Callable[[Config], Tensors]
    tokenizer: str
    sampling: Mapping[str, Any] | None = None
    readme: bool = False
    preprocessor: str | None = None


def _llama(rope: str, tokenizer: str, **changes: Any) -> Kind:
    return Kind(lambda: families.llama_config(rope, **changes), families.decoder_tensors, tokenizer)


def _qwen(model_type: str, tokenizer: str = "qwen2", **changes: Any) -> Kind:
    sampling = {"do_sample": True, "temperature": 0.7, "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.05}
    config = {"bos_token_id": 480, "eos_token_id": 482} | changes
    return Kind(lambda: families.qwen_config(model_type, **config), families.decoder_tensors, tokenizer, sampling)


def _phi3(tokenizer: str = "phi3", **changes: Any) -> Kind:
    return Kind(lambda: families.phi3_config(**changes), families.phi3_tensors, tokenizer)


def _gemma(model_type: str, **changes: Any) -> Kind:
    sampling = {"do_sample": True, "top_k": 64, "top_p": 0.95}
    config = {"vocab_size": 576} | changes
    return Kind(lambda: families.gemma_config(model_type, **config), families.decoder_tensors, "gemma", sampling)


_PHI3_LONG = families.longrope(16) | {"eos_token_id": 576, "pad_token_id": 576, "vocab_size": 640}
_PHI4_MINI = families.longrope(12) | {
    "_name_or_path": "Phi-4-mini-instruct",
    "attention_bias": False,
    "bos_token_id": 480,
    "eos_token_id": 480,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "pad_token_id": 480,
    "partial_rotary_factor": 0.75,
    "tie_word_embeddings": True,
    "vocab_size": 512,
}
_GEMMA2 = {"attn_logit_softcapping": 50.0, "cache_implementation": "hybrid", "final_logit_softcapping": 30.0}
_GEMMA3 = {
    "cache_implementation": "hybrid",
    "num_hidden_layers": 6,
    "rope_local_base_freq": 10000.0,
    "rope_scaling": None,
    "rope_theta": 1000000.0,
    "sliding_window_pattern": 6,
}
_PLAMO3_YARN = {"initial_context_length": 128, "max_position_embeddings": 512, "rope_scaling_factor": 4.0}

_CHATML_IDS = {"bos_token_id": 480, "eos_token_id": 482}
VISION_KINDS: Mapping[str, Kind] = {
    "gemma3-vision": Kind(
        lambda: vision.gemma3_config(**_GEMMA3, vocab_size=576),
        vision.gemma3_tensors,
        "gemma",
        preprocessor="gemma3",
    ),
    "idefics3": Kind(
        lambda: vision.idefics3_config("idefics3", **_SMOLLM2),
        vision.idefics3_tensors,
        "smollm",
        preprocessor="idefics3",
    ),
    "smolvlm2": Kind(
        lambda: vision.idefics3_config("smolvlm", **_SMOLLM2),
        vision.idefics3_tensors,
        "smollm",
        readme=True,
        preprocessor="idefics3",
    ),
    "qwen2.5-vl": Kind(
        lambda: vision.qwen25_config(**_CHATML_IDS), vision.qwen25_tensors, "qwen2", preprocessor="qwen2.5"
    ),
    "qwen3-vl": Kind(
        lambda: vision.qwen3_config(**_CHATML_IDS, head_dim=32, num_hidden_layers=3, tie_word_embeddings=True),
        vision.qwen3_tensors,
        "qwen2",
        preprocessor="qwen3",
    ),
}
KINDS: Mapping[str, Kind] = {
    "llama": _llama("none", "llama3", hidden_size=256, intermediate_size=320, **_LLAMA3),
    "llama-linear": _llama("linear", "llama-spm", **_SPM),
    "llama-llama3": _llama("llama3", "llama3", head_dim=32, num_attention_heads=2, tie_word_embeddings=True, **_LLAMA3),
    "llama-yarn": _llama("yarn", "llama-json", **_SPM),
    "llama-biased": _llama("none", "llama3", attention_bias=True, **_LLAMA3),
    "mistral": Kind(lambda: families.mistral_config() | _SPM, families.decoder_tensors, "llama-spm"),
    "smollm2": Kind(
        lambda: families.llama_config("none", **_SMOLLM2, intermediate_size=192, num_attention_heads=2),
        families.decoder_tensors,
        "smollm",
        readme=True,
    ),
    "tinyllama": _llama("none", "llama-spm", num_hidden_layers=3, **_SPM),
    "qwen2": _qwen("qwen2"),
    "qwen2.5": _qwen("qwen2", "qwen2-named-templates", tie_word_embeddings=True),
    "qwen3": _qwen("qwen3", head_dim=32, num_hidden_layers=8, tie_word_embeddings=True, attention_bias=False),
    "phi2": Kind(lambda: families.phi2_config(), families.phi2_tensors, "phi2"),
    "phi3": _phi3(eos_token_id=576, pad_token_id=576, vocab_size=640),
    "phi3-su": _phi3(**_PHI3_LONG | families.longrope(16, "su")),
    "phi3.5": _phi3(**_PHI3_LONG),
    "phi4-mini": _phi3("gpt4o", **_PHI4_MINI),
    "gemma2": _gemma("gemma2", **_GEMMA2),
    "gemma3": _gemma("gemma3_text", **_GEMMA3),
    "plamo": Kind(plamo.plamo_config, plamo.plamo_tensors, "plamo-spm"),
    "plamo2": Kind(plamo.plamo2_config, plamo.plamo2_tensors, "plamo-jsonl"),
    "plamo3": Kind(plamo.plamo3_config, plamo.plamo3_tensors, "plamo-jsonl-chat"),
    "plamo3-yarn": Kind(lambda: plamo.plamo3_config(**_PLAMO3_YARN), plamo.plamo3_tensors, "plamo-jsonl"),
    **VISION_KINDS,
}

#: What `oracle/NAME.json` was made of: the arguments of `tiny_checkpoint`. The folder is called `FOLDER_PREFIX + NAME`,
#: for the converter takes the model's name from it.
CASES: Mapping[str, Mapping[str, Any]] = {name: {"kind": name} for name in KINDS} | {
    "llama-f16-3-shards": {"kind": "llama-llama3", "dtype": "f16", "shards": 3},
    "llama-f32-tied": {"kind": "llama", "dtype": "f32", "tied": True},
    "llama-transformers5": {"kind": "llama-llama3", "transformers5": True, "tied": False},
    "gemma3-transformers5": {"kind": "gemma3", "transformers5": True},
    # the official converter adds a norm's offset, and takes PLaMo 2's exponential, in float16 where the source is
    "gemma2-f16": {"kind": "gemma2", "dtype": "f16"},
    "plamo2-f16": {"kind": "plamo2", "dtype": "f16"},
    "plamo3-f16": {"kind": "plamo3", "dtype": "f16"},
    "phi3.5-f16": {"kind": "phi3.5", "dtype": "f16"},
    "qwen3-f16-2-shards": {"kind": "qwen3", "dtype": "f16", "shards": 2, "tied": False},
    "gemma3-vision-f16": {"kind": "gemma3-vision", "dtype": "f16"},
    "qwen2.5-vl-f32-3-shards": {"kind": "qwen2.5-vl", "dtype": "f32", "shards": 3},
}
FOLDER_PREFIX = "Tiny-"


def tiny_checkpoint(
    folder: Path,
    kind: str,
    *,
    dtype: Dtype = "bf16",
    shards: int = 1,
    tied: bool | None = None,
    transformers5: bool = False,
    seed: int = 0,
) -> Path:
    """Write a checkpoint.

    Args:
        folder: is made, with what it lacks above it.
        kind: a key of KINDS.
        dtype: of all tensors.
        shards: number of safetensors files; more than 1 have an index.
        tied: whether the embedding is the output matrix too; None leaves what the family has.
        transformers5: write config.json as transformers 5 does: `rope_parameters`, `dtype`, `layer_types`.
        seed: of the weights.
    Returns:
        folder.
    """
    what = KINDS[kind]
    config = what.config() | {"torch_dtype": _DTYPE_NAMES[dtype]}
    if tied is not None:
        config["tie_word_embeddings"] = tied
    folder.mkdir(parents=True, exist_ok=True)
    write_shards(folder, what.tensors(config), dtype, seed, shards)
    write_json(folder / "config.json", _as_transformers5(config) if transformers5 else config)
    ids = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id") if key in config}
    version = {"transformers_version": config["transformers_version"]}
    write_json(
        folder / "generation_config.json", {"_from_model_config": True, **ids, **(what.sampling or {}), **version}
    )
    write_tokenizer(folder, what.tokenizer)
    if what.preprocessor is not None:
        write_json(folder / "preprocessor_config.json", dict(vision.PREPROCESSORS[what.preprocessor]))
    if what.readme:
        (folder / "README.md").write_text(README, encoding="utf-8")
    return folder


def case_checkpoint(parent: Path, case: str) -> Path:
    """Write the checkpoint of a case of the oracle.

    Args:
        parent: where its folder is made.
        case: a key of CASES.
    Returns:
        the folder.
    """
    return tiny_checkpoint(parent / f"{FOLDER_PREFIX}{case}", **CASES[case])


def _as_transformers5(config: Config) -> Config:
    """Llama's or Gemma 3's config as transformers 5 writes it: one place for all that concerns rotary embeddings."""
    new = {key: value for key, value in config.items() if key not in ("rope_scaling", "rope_theta", "torch_dtype")}
    new |= {"dtype": config["torch_dtype"], "transformers_version": "5.0.0"}
    rope = (config.get("rope_scaling") or {"rope_type": "default"}) | {"rope_theta": config["rope_theta"]}
    pattern, local = new.pop("sliding_window_pattern", None), new.pop("rope_local_base_freq", None)
    if pattern is None:
        return dict(sorted((new | {"rope_parameters": rope}).items()))
    kinds = ["full_attention" if (layer + 1) % pattern == 0 else "sliding_attention" for layer in range(6)]
    both = {"full_attention": rope, "sliding_attention": {"rope_type": "default", "rope_theta": local}}
    return dict(sorted((new | {"layer_types": kinds, "rope_parameters": both}).items()))
