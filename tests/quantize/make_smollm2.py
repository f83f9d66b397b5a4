"""Makes a Hugging Face folder of SmolLM2-135M-Instruct by transformers, out of the GGUF that `edgeai` runs by default.

Run by hand, from the repository's root, in an environment with torch, transformers, accelerate and gguf:

    python -m tests.quantize.make_smollm2 SmolLM2-135M-Instruct.Q4_1.gguf FOLDER

Its use is as an oracle for `smollm2`, which writes the same weights without torch, and as a folder of transformers 5's
layout. It says whether the weights are the same.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path
from typing import Any

from tests.quantize.smollm2 import WEIGHTS_SHA256


def main() -> None:
    """Read the arguments, write the folder, compare its weights."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m tests.quantize.make_smollm2 GGUF FOLDER")
    folder = Path(sys.argv[2])
    make_smollm2(Path(sys.argv[1]), folder)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    print(digest, "as expected" if digest == WEIGHTS_SHA256 else f"instead of {WEIGHTS_SHA256}")


def make_smollm2(gguf: Path, folder: Path) -> None:
    """Write config.json, generation_config.json, the tokenizer's files and model.safetensors.

    Args:
        gguf: SmolLM2-135M-Instruct, any quantized type that transformers can read.
        folder: is made.
    """
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    causal = transformers.AutoModelForCausalLM.from_pretrained(
        **source, dtype=torch.bfloat16, quantization_config=transformers.GgufConfig(dequantize=True)
    )
    # save_pretrained refuses what came from a GGUF, though its weights are plain by now
    causal.hf_quantizer, causal.is_quantized = None, False
    if hasattr(causal.config, "quantization_config"):
        del causal.config.quantization_config
    causal.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(**source).save_pretrained(folder)


if __name__ == "__main__":
    main()
