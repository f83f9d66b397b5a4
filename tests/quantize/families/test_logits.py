"""llama.cpp, given a checkpoint's keys, vocabulary and tensors in float16, computes what transformers does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter

from quantize.base import Meta
from quantize.checkpoint import Checkpoint
from quantize.families import family_of
from quantize.families.general import general_metadata
from quantize.vocab import vocabulary
from tests.quantize.official import llama_logits
from tests.quantize.oracles import N_LONG, N_SHORT, logits, text
from tests.quantize.tiny_checkpoints import CASES, case_checkpoint

# transformers has no class for PLaMo, and no longer reads Phi-3's early files
OF_TRANSFORMERS = [case for case, what in CASES.items() if not what["kind"].startswith(("plamo", "phi3-su"))]
LONG = [case for case in OF_TRANSFORMERS if CASES[case]["kind"] in ("phi3.5", "phi4-mini")]


def write_f16(path: Path, checkpoint: Checkpoint) -> Path:
    family = family_of(checkpoint.config)
    tensors = family.tensors(checkpoint)
    keys: dict[str, Meta] = {}  # of a key that comes twice, the vocabulary's value counts
    for meta in (
        *general_metadata(checkpoint, family.arch, tensors),
        *family.metadata(checkpoint),
        *vocabulary(checkpoint, family.arch),
    ):
        keys[meta.key] = meta
    writer = GGUFWriter(path, family.arch)
    del keys["general.architecture"]
    for meta in keys.values():
        writer.add_key_value(meta.key, meta.value, meta.type, meta.item_type)
    for tensor in tensors:
        values = tensor.read()
        writer.add_tensor(tensor.name, values.astype(np.float16) if values.ndim > 1 else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("name", "case", "n_tokens"),
    [(case, case, N_SHORT) for case in OF_TRANSFORMERS] + [(f"{case}-long", case, N_LONG) for case in LONG],
)
def test_logits_are_those_of_transformers(name: str, case: str, n_tokens: int, tmp_path: Path) -> None:
    checkpoint = Checkpoint.open(case_checkpoint(tmp_path, case))
    expected = logits(name)
    found = llama_logits(write_f16(tmp_path / "model.gguf", checkpoint), text(n_tokens))[-len(expected) :]
    assert np.abs(found - expected).max() < 1e-2 * np.abs(expected).max()
