"""Writes oracle/smollm2-greedy.json: what transformers writes after 20 prompts, always the most probable token.

Run by hand, from the repository's root, in an environment with torch and transformers, on the folder that
`smollm2_checkpoint` makes:

    python -m tests.quantize.make_onnx_oracle SmolLM2-135M-Instruct
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

GREEDY = Path(__file__).parent / "oracle" / "smollm2-greedy.json"
N_NEW = 24  # tokens
PROMPTS = (
    "The capital of France is",
    "Water boils at a temperature of",
    "Once upon a time, in a small village by the sea,",
    "The three primary colours are",
    "def fibonacci(n):\n",
    "Photosynthesis is the process by which",
    "In 1969, the first human",
    "Dear Sir or Madam,\n\nI am writing to",
    "The largest planet in our solar system is",
    "To make a cup of tea, first",
    "A triangle with two equal sides is called",
    "Shakespeare wrote",
    "The quick brown fox",
    "1, 2, 4, 8, 16,",
    "import numpy as np\n\nx = np.",
    "El perro es un animal",
    *(
        f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        for question in (
            "What is the capital of France?",
            "Name two animals that can fly.",
            "Write one sentence about the moon.",
            "What is 2 + 3?",
        )
    ),
)


def main() -> None:
    """Write the oracle."""
    torch: Any = importlib.import_module("torch")
    transformers: Any = importlib.import_module("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
    model = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
    texts = []
    for prompt in PROMPTS:
        tokens = tokenizer(prompt, add_special_tokens=False).input_ids
        written: list[int] = []
        margins, new, past = [], tokens, None
        with torch.no_grad():
            for _ in range(N_NEW):
                found = model(torch.tensor([new]), past_key_values=past, use_cache=True)
                first, second = torch.topk(found.logits[0, -1], 2).values.tolist()
                margins.append(first - second)
                new, past = [int(found.logits[0, -1].argmax())], found.past_key_values
                written += new
        texts.append({"prompt": tokens, "written": written, "least_margin": round(min(margins), 5)})
    lines = ",\n".join(json.dumps(each) for each in texts)
    GREEDY.write_text(f'{{"transformers": "{transformers.__version__}", "texts": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
