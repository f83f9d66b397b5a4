"""Writes `oracle/`: what the official converter, `llama_model_quantize` and transformers make of the tiny checkpoints.

Run by hand, from the repository's root, in an environment with torch, transformers, sentencepiece and
llama-cpp-python, with the converter out of llama-cpp-python's own source distribution:

    python -m tests.quantize.make_oracle --converter vendor/llama.cpp/convert_hf_to_gguf.py [CASE …]
    python -m tests.quantize.make_oracle --converter … --smollm2 SmolLM2-135M-Instruct.Q4_1.gguf

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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from tests.quantize.make_picture_oracle import picture_embeddings
from tests.quantize.official import llama_logits, quantize_file
from tests.quantize.oracles import (
    LOGITS,
    N_LONG,
    N_SHORT,
    ORACLE,
    file_digests,
    has_importance,
    importance,
    picture,
    recorded,
    rounded,
    sha256,
    text,
)
from tests.quantize.tiny_checkpoints import CASES, KINDS, case_checkpoint
from tests.quantize.tiny_weights import F32
from tests.quantize.tokenizer_parts import FIXTURES, PRE_TOKENIZER_NAME

CORPUS = FIXTURES / "corpus.txt"
FTYPES = (
    *("F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K_M", "Q4_K_S", "Q4_K_M", "Q5_K_M", "Q6_K"),
    *("IQ4_NL", "IQ4_XS", "IQ3_S", "MXFP4_MOE", "Q4_0+imatrix", "Q4_K_M+imatrix", "IQ4_NL+imatrix", "IQ2_XXS+imatrix"),
)
FEW_FTYPES = ("F16", "BF16", "Q8_0", "Q4_0", "Q4_K_M")  # of PLaMo 13B, whose layer is as large as the real one's
REAL_FTYPES = (*FEW_FTYPES, "Q5_K_M", "IQ4_NL")
AGREEMENT = ("F16", "Q8_0")  # whose logits are compared with transformers'
N_ROWS = 3
N_REAL = 500  # tokens of the corpus, mostly English
# transformers has no class for PLaMo, and refuses the older spelling of Phi-3's rope; its weights are those of phi3.5
WITHOUT_LOGITS = ("plamo", "phi3-su")
PROJECTORS = ("F16", "Q8_0")
VISION_FTYPES = ("F16", "BF16", "Q8_0", "Q4_K_M")


@dataclass(frozen=True, slots=True)
class Job:
    """One checkpoint to convert, quantize and run.

    Attributes:
        case: its name.
        folder: the checkpoint.
        dtype: of its weights.
        split: llama.cpp's name of how it cuts text; None leaves that to the converter.
        ftypes: to quantize to.
        texts: tokens to run through it, by the name of their logits.
        arguments: of `tiny_checkpoint`.
    """

    case: str
    folder: Path
    dtype: str
    split: str | None
    ftypes: Sequence[str]
    texts: Mapping[str, list[int]]
    arguments: Mapping[str, Any]


def main() -> None:
    """Make the cases that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--converter", type=Path, required=True)
    parser.add_argument("--smollm2", type=Path, help="SmolLM2-135M-Instruct.Q4_1.gguf: make the real checkpoint's too")
    parser.add_argument("cases", nargs="*")
    arguments = parser.parse_args()
    cases = arguments.cases or ([] if arguments.smollm2 else list(CASES))
    converter = arguments.converter.resolve()
    sys.path[:0] = [str(converter.parent), str(converter.parent / "gguf-py")]  # the converter's own gguf, not another
    for case in cases:
        with tempfile.TemporaryDirectory() as temporary:
            _make(converter, Path(temporary), _tiny(case, Path(temporary)))
    if arguments.smollm2:
        with tempfile.TemporaryDirectory() as temporary:
            _make(converter, Path(temporary), _real(arguments.smollm2, Path(temporary)))


def _tiny(case: str, temporary: Path) -> Job:
    arguments = CASES[case]
    kind = KINDS[arguments["kind"]]
    split = PRE_TOKENIZER_NAME.get(kind.tokenizer.removesuffix("-named-templates"))
    texts = {} if arguments["kind"].startswith(WITHOUT_LOGITS) else {case: text(N_SHORT)}
    if texts and "longrope" in str(kind.config()):
        texts[f"{case}-long"] = text(N_LONG)
    ftypes = FEW_FTYPES if arguments["kind"] == "plamo" else FTYPES if kind.preprocessor is None else VISION_FTYPES
    folder = case_checkpoint(temporary, case)
    return Job(case, folder, arguments.get("dtype", "bf16"), split, ftypes, texts, arguments)


def _real(gguf: Path, temporary: Path) -> Job:
    from tests.quantize import smollm2  # here, for it imports gguf

    folder = smollm2.smollm2_checkpoint(gguf, temporary / smollm2.SMOLLM2_FOLDER)
    case = smollm2.SMOLLM2_CASE
    transformers: Any = importlib.import_module("transformers")
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(CORPUS.read_text(encoding="utf-8")).input_ids
    return Job(case, folder, "bf16", None, REAL_FTYPES, {case: tokens[:N_REAL]}, {})


def _make(converter: Path, temporary: Path, job: Job) -> None:
    """Convert, quantize and run one checkpoint, and write its JSON and its logits."""
    print(job.case, flush=True)
    original = temporary / "f32.gguf"
    _convert(converter, job, original, "f32")
    official = _read(original)
    entries: dict[str, Any] = {
        tensor.name: {"shape": _shape(tensor), "types": {}, "sha256": {"F32": sha256(tensor.data)}}
        for tensor in official.tensors
    }
    result: dict[str, Any] = {"versions": _versions(), "checkpoint": job.arguments, "files": file_digests(job.folder)}
    result |= {"metadata": dict(_metadata(official)), "tensors": entries}
    result["quantized"] = {
        ftype: _quantized(original, temporary / f"{ftype}.gguf", ftype, result) for ftype in job.ftypes
    }
    result["converter"] = _own_dtype(converter, job, temporary / "own.gguf", entries)
    if (job.folder / "preprocessor_config.json").exists():
        result["projectors"] = {qtype: _projector(converter, job, temporary, qtype) for qtype in PROJECTORS}
        _add_rows({f"{job.case}-picture": rounded(picture_embeddings(job.folder, picture(job.case)))})
    _add_logits(result, job, original)
    lines = json.dumps(result, ensure_ascii=False, separators=(",", ":")).replace('},"', '},\n"')
    ORACLE.mkdir(exist_ok=True)
    (ORACLE / f"{job.case}.json").write_text(lines + "\n", encoding="utf-8")


def _convert(converter: Path, job: Job, target: Path, outtype: str, *more: str) -> None:
    """Run the official converter in this process, with the name of the split put into its mouth."""
    base: Any = importlib.import_module("conversion.base")
    arguments = [str(converter), str(job.folder), "--outtype", outtype, "--outfile", str(target), *more]
    with ExitStack() as stack:
        stack.enter_context(patch.object(sys, "argv", arguments))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        if split := job.split:
            stack.enter_context(patch.object(base.TextModel, "get_vocab_base_pre", lambda *_: split))
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


def _own_dtype(converter: Path, job: Job, target: Path, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Where converting to the checkpoint's own dtype differs from converting to f32 and quantizing to that dtype."""
    if job.dtype == "f32":
        return {}
    _convert(converter, job, target, job.dtype)
    differing: dict[str, Any] = {}
    for tensor in _read(target).tensors:
        name, digest, entry = tensor.tensor_type.name, sha256(tensor.data), tensors[tensor.name]
        if entry["types"].get(job.dtype.upper()) != name or entry["sha256"][name] != digest:
            differing[tensor.name] = [name, digest]
    target.unlink()
    return {"outtype": job.dtype, "differing": differing}


def _projector(converter: Path, job: Job, temporary: Path, qtype: str) -> dict[str, Any]:
    """The official converter's projector: a digest of the whole file, its metadata, and each tensor's type, shape and
    digest."""
    target = temporary / f"mmproj-{qtype}.gguf"
    _convert(converter, job, target, qtype.lower(), "--mmproj")
    reader = _read(target)
    tensors = {tensor.name: [tensor.tensor_type.name, _shape(tensor), sha256(tensor.data)] for tensor in reader.tensors}
    return {"sha256": sha256(target.read_bytes()), "metadata": dict(_metadata(reader)), "tensors": tensors}


def _add_logits(result: dict[str, Any], job: Job, original: Path) -> None:
    """Add transformers' predictions, and how far llama.cpp's logits of the official files are from transformers'."""
    rows = {}
    for name, tokens in job.texts.items():
        reference = _transformers_logits(job.folder, tokens)
        if job.arguments:  # the real model's would be larger than all others together
            rows[name] = rounded(reference[-N_ROWS:])
        found = {"F32": llama_logits(original, tokens)}
        for ftype in AGREEMENT:
            quantize_file(original, original.with_name("agreement.gguf"), ftype)
            found[ftype] = llama_logits(original.with_name("agreement.gguf"), tokens)
        size = np.abs(reference).max()
        errors = {ftype: float(f"{np.abs(values - reference).max() / size:.1e}") for ftype, values in found.items()}
        print(f"  llama.cpp's logits differ by {errors} of the largest", flush=True)
        result.setdefault("llama_cpp_error", {})[name] = errors
        if name == job.case:
            top1, best = reference.argmax(axis=1), np.sort(reference, axis=1)
            margins = ((best[:, -1] - best[:, -2]) / size).round(4)
            same = {ftype: int((values.argmax(axis=1) == top1).sum()) for ftype, values in found.items()}
            result |= {"tokens": tokens, "top1": top1.tolist(), "margins": margins.tolist(), "llama_cpp_same": same}
    _add_rows(rows)


def _add_rows(rows: Mapping[str, F32]) -> None:
    logits = (dict(np.load(LOGITS)) if LOGITS.exists() else {}) | dict(rows)
    np.savez_compressed(LOGITS, **dict(sorted(logits.items())))


def _transformers_logits(folder: Path, tokens: list[int]) -> F32:
    """[n_tokens, n_vocab]"""
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sees = (folder / "preprocessor_config.json").exists()
        kind = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
        causal = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", trust_remote_code=False)
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
