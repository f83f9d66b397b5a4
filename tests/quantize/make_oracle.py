"""Writes `oracle/`: what the official converter, `llama_model_quantize` and transformers make of the tiny checkpoints.

Run by hand, from the repository's root, in an environment with torch, transformers, sentencepiece and
llama-cpp-python, with the converter out of llama-cpp-python's own source distribution:

    python -m tests.quantize.make_oracle --converter vendor/llama.cpp/convert_hf_to_gguf.py [CASE …]

The converter knows a byte-level BPE by a digest of what the *real* vocabulary makes of a text; the tiny ones are told
apart here instead, by the split in their tokenizer.json (`PRE_TOKENIZER_NAME`). Everything else is its own.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import platform
import runpy
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from tests.quantize.official import llama_logits, quantize_file
from tests.quantize.oracles import (
    LOGITS,
    N_LONG,
    N_SHORT,
    ORACLE,
    file_digests,
    has_importance,
    importance,
    recorded,
    rounded,
    sha256,
    text,
)
from tests.quantize.tiny_checkpoints import CASES, KINDS, case_checkpoint
from tests.quantize.tiny_weights import F32
from tests.quantize.tokenizer_parts import PRE_TOKENIZER_NAME

FTYPES = (
    *("F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K_M", "Q4_K_S", "Q4_K_M", "Q5_K_M", "Q6_K"),
    *("IQ4_NL", "IQ4_XS", "IQ3_S", "MXFP4_MOE", "Q4_0+imatrix", "Q4_K_M+imatrix", "IQ4_NL+imatrix", "IQ2_XXS+imatrix"),
)
FEW_FTYPES = ("F16", "BF16", "Q8_0", "Q4_0", "Q4_K_M")  # of PLaMo 13B, whose layer is as large as the real one's
N_ROWS = 3
# transformers has no class for PLaMo, and refuses the older spelling of Phi-3's rope; its weights are those of phi3.5
WITHOUT_LOGITS = ("plamo", "phi3-su")


def main() -> None:
    """Make the cases that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--converter", type=Path, required=True)
    parser.add_argument("cases", nargs="*", default=list(CASES))
    arguments = parser.parse_args()
    ORACLE.mkdir(exist_ok=True)
    logits = dict(np.load(LOGITS)) if LOGITS.exists() else {}
    for case in arguments.cases:
        print(case, flush=True)
        with tempfile.TemporaryDirectory() as temporary:
            result, rows = _case(arguments.converter.resolve(), Path(temporary), case)
        lines = json.dumps(result, ensure_ascii=False, separators=(",", ":")).replace('},"', '},\n"')
        (ORACLE / f"{case}.json").write_text(lines + "\n", encoding="utf-8")
        logits |= rows
        np.savez_compressed(LOGITS, **dict(sorted(logits.items())))


def _case(converter: Path, temporary: Path, case: str) -> tuple[dict[str, Any], dict[str, F32]]:
    folder = case_checkpoint(temporary, case)
    kind = CASES[case]["kind"]
    original = temporary / "f32.gguf"
    _convert(converter, folder, original, "f32", kind)
    official = _read(original)
    result: dict[str, Any] = {"versions": _versions(), "checkpoint": CASES[case], "files": file_digests(folder)}
    result["metadata"] = dict(_metadata(official))
    tensors = {tensor.name: _shape(tensor) for tensor in official.tensors}
    entries: dict[str, Any] = {name: {"shape": shape, "types": {}, "sha256": {}} for name, shape in tensors.items()}
    for tensor in official.tensors:
        entries[tensor.name]["sha256"]["F32"] = sha256(tensor.data)
    result["tensors"] = entries
    result["quantized"] = {
        ftype: _quantized(original, temporary / f"{ftype}.gguf", ftype, result)
        for ftype in (FEW_FTYPES if kind == "plamo" else FTYPES)
    }
    result["converter"] = _own_dtype(
        converter, folder, temporary / "own.gguf", kind, CASES[case].get("dtype", "bf16"), entries
    )
    return _with_logits(result, folder, original, case)


def _convert(converter: Path, folder: Path, target: Path, outtype: str, kind: str) -> None:
    """Run the official converter in this process, with the name of the split put into its mouth."""
    sys.path.insert(0, str(converter.parent))
    base: Any = importlib.import_module("conversion.base")
    style = KINDS[kind].tokenizer.removesuffix("-named-templates")
    name = PRE_TOKENIZER_NAME.get(style)
    arguments = [str(converter), str(folder), "--outtype", outtype, "--outfile", str(target)]
    with patch.object(sys, "argv", arguments), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name is None:
            runpy.run_path(str(converter), run_name="__main__")
        else:
            with patch.object(base.TextModel, "get_vocab_base_pre", lambda *_: name):
                runpy.run_path(str(converter), run_name="__main__")


def _quantized(original: Path, target: Path, ftype: str, result: dict[str, Any]) -> dict[str, Any]:
    """Quantize, and enter each tensor's type and digest into the result."""
    name, _, with_importance = ftype.partition("+")
    tensors = result["tensors"]
    rows = {
        tensor: importance(tensor, entry["shape"][-1])
        for tensor, entry in tensors.items()
        if has_importance(tensor) and len(entry["shape"]) > 1
    }
    quantize_file(original, target, name, rows if with_importance else None)
    reader = _read(target)
    for tensor in reader.tensors:
        type_name = tensor.tensor_type.name
        coded = type_name not in ("F32", "F16", "BF16")
        key = f"{type_name}+imatrix" if with_importance and coded and tensor.name in rows else type_name
        digest = sha256(tensor.data)
        tensors[tensor.name]["types"][ftype] = type_name
        known = tensors[tensor.name]["sha256"].setdefault(key, digest)
        assert known == digest, f"{tensor.name}: two encodings as {key}"
    places = {name: place for place, name in enumerate(tensors)}
    changed = {key: value for key, value in _metadata(reader) if result["metadata"].get(key) != value}
    target.unlink()
    return {"metadata": changed, "order": [places[tensor.name] for tensor in reader.tensors]}


def _own_dtype(
    converter: Path, folder: Path, target: Path, kind: str, dtype: str, tensors: dict[str, Any]
) -> dict[str, Any]:
    """Where converting to the checkpoint's own dtype differs from converting to f32 and quantizing to that dtype."""
    if dtype == "f32":
        return {}
    _convert(converter, folder, target, dtype, kind)
    differing: dict[str, Any] = {}
    for tensor in _read(target).tensors:
        name, digest = tensor.tensor_type.name, sha256(tensor.data)
        if tensors[tensor.name]["types"].get(dtype.upper()) != name or tensors[tensor.name]["sha256"][name] != digest:
            differing[tensor.name] = [name, digest]
    target.unlink()
    return {"outtype": dtype, "differing": differing}


def _with_logits(
    result: dict[str, Any], folder: Path, original: Path, case: str
) -> tuple[dict[str, Any], dict[str, F32]]:
    """Add transformers' logits, and how far llama.cpp's of the official file are from them."""
    if CASES[case]["kind"].startswith(WITHOUT_LOGITS):
        return result, {}
    long = "longrope" in str(KINDS[CASES[case]["kind"]].config())
    result |= {"tokens": text(N_SHORT), "top1": [], "llama_cpp_error": {}}
    rows = {}
    for name, n in ((case, N_SHORT), (f"{case}-long", N_LONG))[: 2 if long else 1]:
        reference = _transformers_logits(folder, text(n))
        found = llama_logits(original, text(n))
        error = np.abs(found - reference).max() / np.abs(reference).max()
        print(f"  llama.cpp's logits differ by {error:.1e} of the largest", flush=True)
        result["llama_cpp_error"][name] = float(f"{error:.1e}")
        if name == case:
            result["top1"] = reference.argmax(axis=1).tolist()
        rows[name] = rounded(reference[-N_ROWS:])
    return result, rows


def _transformers_logits(folder: Path, tokens: list[int]) -> F32:
    """[n_tokens, n_vocab]"""
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        causal = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", trust_remote_code=False
        )
        values: F32 = causal(torch.tensor([tokens])).logits[0].float().numpy()
    return values


def _read(path: Path) -> Any:
    return importlib.import_module("gguf").GGUFReader(path)


def _shape(tensor: Any) -> list[int]:
    return [int(size) for size in reversed(tensor.shape)]


def _metadata(reader: Any) -> Iterator[tuple[str, list[Any]]]:
    for key, field in reader.fields.items():
        if not key.startswith("GGUF."):
            types = [kind.name for kind in field.types]
            yield key, recorded(types[0], field.contents(), types[-1] if types[0] == "ARRAY" else None)


def _versions() -> dict[str, str]:
    packages = ("llama-cpp-python", "torch", "transformers", "tokenizers", "sentencepiece", "numpy")
    return {name: importlib.metadata.version(name) for name in packages} | {"machine": platform.machine()}


if __name__ == "__main__":
    main()
