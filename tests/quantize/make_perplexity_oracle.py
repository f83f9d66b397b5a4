"""Record what llama.cpp's own llama-perplexity measures, for the tests to compare with.

    python -m tests.quantize.make_perplexity_oracle FOLDER_OF_LLAMA_PERPLEXITY

The tool must be built from the source that the installed llama-cpp-python vendors.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgeai.backends.llama_native import bindings
from edgeai.catalog import Catalog
from quantize.texts import evaluation_text
from tests.quantize.perplexity_models import CASES, quantized, tiny_reference

ORACLE = Path(__file__).parent / "oracle" / "perplexity.json"

_NUMBER = r"\s*:\s*(-?[\d.]+)(?:\s*±\s*([\d.]+))?"
_LABELS = {
    "perplexity": "Mean PPL(Q)",
    "reference_perplexity": "Mean PPL(base)",
    "kld_mean": "Mean    KLD",
    "kld_median": "Median  KLD",
    "kld_99": "99.0%   KLD",
    "kld_max": "Maximum KLD",
    "same_top": "Same top p",
}


def measure(program: Path, case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run the tool on one case, first for the reference's probabilities, then for the candidate."""
    if "kind" in case:
        reference = tiny_reference(folder / "reference.gguf", case["kind"], add_bos=case.get("add_bos", False))
    else:
        reference = Catalog.load().resolve(None).path
    candidate = quantized(reference, folder / "candidate.gguf", case["ftype"])
    (folder / "text.txt").write_text(evaluation_text(), encoding="utf-8")
    n_ctx = str(case["n_ctx"])  # one window a batch: rows of other windows beside it change how some are rounded
    common = ["-c", n_ctx, "-b", n_ctx, "--chunks", str(case["n_chunks"]), "-t", "1", "--log-colors", "off"]
    logits = ["--kl-divergence-base", str(folder / "logits.bin")]
    plain = _run(program, "-m", reference, "-f", folder / "text.txt", *common, until="PPL = ")
    _run(program, "-m", reference, "-f", folder / "text.txt", *common, *logits)
    output = _run(program, "-m", candidate, "--kl-divergence", *common, *logits, until="Same top p:")
    found = re.search(r"PPL = ([\d.]+) \+/- ([\d.]+)", plain)
    assert found, plain
    return {
        "plain_perplexity": [float(found[1]), float(found[2])],
        **{name: _numbers(label, output) for name, label in _LABELS.items()},
    }


def _run(program: Path, *arguments: object, until: str = "") -> str:
    """What the tool prints; it sometimes ends before its log thread has printed all."""
    for _ in range(5):
        result = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        if until in (output := result.stdout + result.stderr):
            return output
    raise AssertionError(f"no {until!r} in {output}")


def _numbers(label: str, output: str) -> list[float]:
    found = re.search(re.escape(label) + _NUMBER, output)
    assert found, f"{label} not in {output}"
    return [float(number) for number in found.groups() if number is not None]


def main(program_dir: str) -> None:
    """Measure all cases and write the file."""
    cases = {}
    for name, case in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            cases[name] = measure(Path(program_dir) / "llama-perplexity", case, Path(folder))
        print(name, cases[name])
    system = bindings().llama_print_system_info().decode()
    ORACLE.write_text(json.dumps({"system": system, "cases": cases}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
