"""Keep the files that llama.cpp's own llama-imatrix writes for tiny models, for the tests to compare with.

    python -m tests.quantize.make_imatrix_oracle FOLDER_OF_LLAMA_IMATRIX

The tool must be built from the source that the installed llama-cpp-python vendors.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from quantize.texts import calibration_text
from tests.quantize.imatrix_models import N_CHUNKS, N_CTX, experts_model
from tests.tiny import tiny_model

ORACLE = Path(__file__).parent / "oracle"
DATASET = "calibration.txt"


def main(program_dir: str) -> None:
    """Run the tool in a folder of its own, so that the text's name is a short one."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / DATASET).write_text(calibration_text(), encoding="utf-8")
        for name, make in (("llama", tiny_model), ("experts", experts_model)):
            make(folder / "model.gguf")
            for suffix, kind in (("imatrix", "gguf"), ("dat", "dat")):
                target = f"imatrix-{name}.{suffix}"
                arguments = ["-m", "model.gguf", "-f", DATASET, "-o", target, "--output-format", kind, "--no-ppl"]
                arguments += ["-c", str(N_CTX), "-b", str(N_CTX), "--chunks", str(N_CHUNKS), "-t", "1"]
                program = Path(program_dir).resolve() / "llama-imatrix"
                subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True)
                shutil.copy(folder / target, ORACLE / target)


if __name__ == "__main__":
    main(*sys.argv[1:])
