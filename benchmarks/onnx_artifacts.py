"""What `benchmarks.onnx` compares: the commands that make artifacts, ours and the peer's, and where they lie."""

from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

QUANTIZE = str(Path(sys.executable).with_name("quantize"))
GGUF_FTYPES = {4: "Q4_0", 8: "Q8_0"}
_VERSIONS = """
import importlib.metadata as metadata
names = "onnxruntime-genai", "onnxruntime", "torch", "transformers"
print(", ".join(f"{name} {metadata.version(name)}" for name in names))
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """ONNX Runtime GenAI, in a Python of its own.

    Attributes:
        python: which has it.
    """

    python: Path

    def versions(self) -> str:
        """Of its packages.

        Raises:
            SystemExit: there is no such Python, or it does not have them.
        """
        if not self.python.is_file():
            raise SystemExit(f"{self.python}: no such file: check --peer-python")
        done = subprocess.run([str(self.python), "-I", "-c", _VERSIONS], capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:] or ["it ends without a word"]
            raise SystemExit(f"{self.python}: {said[0]}: see `python -m benchmarks.onnx --help` for what it needs")
        return done.stdout.strip()

    def build(self, source: Path, out: Path, bits: int) -> list[str]:
        """Its model builder, as its documentation calls it."""
        precision = f"int{bits}" if bits < 32 else "fp32"
        words = ["-i", str(source), "-o", str(out), "-p", precision, "-e", "cpu", "-c", str(out.with_suffix(".cache"))]
        return [str(self.python), "-I", "-m", "onnxruntime_genai.models.builder", *words]


def build_onnx(source: Path, out: Path, bits: int, n_threads: int) -> list[str]:
    """`quantize`, into a folder of ONNX."""
    words = ["--format", "onnx", "--bits", str(bits), "--threads", str(n_threads), "--out", str(out), "--force"]
    return [QUANTIZE, str(source), *words]


def build_gguf(source: Path, out: Path, bits: int, n_threads: int) -> list[str]:
    """`quantize`, into a GGUF file of as many bits."""
    words = ["--ftype", GGUF_FTYPES[bits], "--threads", str(n_threads), "--out", str(out), "--force"]
    return [QUANTIZE, str(source), *words]


@dataclass(frozen=True, slots=True)
class Made:
    """Artifacts of one number of bits, of the same checkpoint.

    Attributes:
        onnx: our folder.
        gguf: our file.
        theirs: the peer's folder; None without a peer.
    """

    onnx: Path
    gguf: Path
    theirs: Path | None


@functools.cache
def made(source: Path, work: Path, bits: int, n_threads: int, peer: Peer | None) -> Made:
    """Make them, once: ours anew, as the program may have changed; the peer's where it is not there yet."""
    onnx, gguf = work / f"onnx-int{bits}", work / f"{GGUF_FTYPES[bits]}.gguf"
    run(build_onnx(source, onnx, bits, n_threads))
    run(build_gguf(source, gguf, bits, n_threads))
    theirs = work / f"genai-int{bits}" if peer else None
    if peer and theirs and not (theirs / "genai_config.json").exists():  # which its builder writes last
        run(peer.build(source, theirs, bits))
    return Made(onnx, gguf, theirs)


def run(command: list[str]) -> None:
    """A command that must succeed.

    Raises:
        SystemExit: it failed; with its last line.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it ends without a word"]
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}: {said[0]}")


def graph_bytes(folder: Path) -> int:
    """The graph and its weights."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.name.startswith("model.onnx"))


def folder_bytes(folder: Path) -> int:
    """All of it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
