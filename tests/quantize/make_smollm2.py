"""Makes a real Hugging Face folder of SmolLM2-135M-Instruct out of the GGUF that `edgeai` runs by default.

Run by hand, from the repository's root, in an environment with torch, transformers, accelerate and gguf:

    python -m tests.quantize.make_smollm2 SmolLM2-135M-Instruct.Q4_1.gguf FOLDER

The weights are those of the Q4_1 file, dequantized to bfloat16 (269 MB): a real checkpoint in shape and use, whose
quality is that of 4 bits, so that what is measured on it is what quantizing *again* loses.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Read the arguments, write the folder."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m tests.quantize.make_smollm2 GGUF FOLDER")
    make_smollm2(Path(sys.argv[1]), Path(sys.argv[2]))


def make_smollm2(gguf: Path, folder: Path) -> None:
    """Write config.json, generation_config.json, the tokenizer's files and model.safetensors.

    Args:
        gguf: SmolLM2-135M-Instruct, any quantized type that transformers can read.
        folder: is made.
    """
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    causal = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16)
    # save_pretrained refuses what came from a GGUF, though its weights are plain by now
    causal.hf_quantizer, causal.is_quantized = None, False
    del causal.config.quantization_config
    causal.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(**source).save_pretrained(folder)


if __name__ == "__main__":
    main()
