"""From a checkpoint to a GGUF of float32 by llama.cpp's converter."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import edgeai
from edgeai.errors import CheckpointError, QuantizeError, UnsupportedArchitectureError
from quantize.checkpoint import Checkpoint
from quantize.converter.process import Ended, clean_environment, run
from quantize.converter.pythons import CHILD, find_python, find_script, named_python, what_to_install
from quantize.converter.staging import Staged, stage
from quantize.writer import check_room, move, work_dir

_WEIGHT_BYTES = 4
_WORDS = 300  # characters of what the converter said
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)(?::|$)")
_UNSUPPORTED = re.compile(r"Model \S+ is not supported|Architecture \S+ (?:is )?not supported")
_NOT_INSTALLED = re.compile(r"(?:ModuleNotFound|Import)Error\b")
_NO_ROOM = re.compile(r"No space left on device|Disk quota exceeded|MemoryError|out of memory")


def float_gguf(
    checkpoint_dir: Path,
    converter: Path,
    out_path: Path,
    *,
    python: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Path:
    """Write a checkpoint as a GGUF of float32, which loses nothing, with llama.cpp's own converter.

    Ctrl-C, and an exception out of `on_line`, end the converter. Where this process is killed, the kernel ends it on
    Linux, and the next call clears away what was left.

    Args:
        checkpoint_dir: a Hugging Face folder of any architecture that the converter knows.
        converter: a llama.cpp checkout, or its convert_hf_to_gguf.py.
        out_path: the file. It is there when it is whole, and not before.
        python: the Python that has torch; None looks for one in the checkout, beside it, and on the PATH.
        on_line: told of each line that the converter writes, harmless and without its end.
    Returns:
        The absolute path of the file. It has not been checked: `quantize` does that when it reads it.
    Raises:
        UnsupportedArchitectureError: the converter does not know it either.
        CheckpointError: the checkpoint is refused, or the converter failed on it.
        QuantizeError: there is no converter, no Python for it, or no room.
    """
    return _made(checkpoint_dir, converter, out_path, ("--outtype", "f32"), python, on_line)


def projector_gguf(
    checkpoint_dir: Path,
    converter: Path,
    out_path: Path,
    qtype: str,
    *,
    python: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Path:
    """Write the projector of a model that sees, of the type F16 or Q8_0; else as `float_gguf`."""
    return _made(checkpoint_dir, converter, out_path, ("--mmproj", "--outtype", qtype.lower()), python, on_line)


def _made(
    checkpoint_dir: Path,
    converter: Path,
    out_path: Path,
    flags: Sequence[str],
    python: Path | None,
    on_line: Callable[[str], None] | None,
) -> Path:
    target = out_path.expanduser().absolute()
    if os.path.lexists(target):
        raise QuantizeError(f"{target} exists: choose another name for the converted model")
    script = find_script(converter)
    chosen = named_python(python) if python is not None else None
    checkpoint = Checkpoint.open(checkpoint_dir)
    try:
        check_room(target, _WEIGHT_BYTES * sum(tensor.n_elements for tensor in checkpoint.tensors.values()))
        with work_dir(target.parent) as work:
            made = _convert(checkpoint, script, chosen, flags, work, on_line)
            _put(made, target)
    except OSError as exc:
        raise QuantizeError(
            f"{target}: cannot be written ({exc.strerror or exc}): make room, or choose another place with --out"
        ) from exc
    return target


def _convert(
    checkpoint: Checkpoint,
    script: Path,
    python: Path | None,
    flags: Sequence[str],
    work: Path,
    on_line: Callable[[str], None] | None,
) -> Path:
    """Run the converter in a folder of its own; the file that it wrote there."""
    given, written, temporary = work / "given", work / "written", work / "written" / "temporary"
    for folder in (given, written, temporary):
        folder.mkdir()
    python = python or find_python(script, temporary)
    staged = stage(checkpoint, given)
    made = written / "model.gguf"  # the converter fills in what stands in braces in a name, so it gets a plain one
    job = work / "job.json"
    job.write_text(json.dumps(_job(script, staged, made, flags)), encoding="utf-8")
    command = [str(python), "-I", "-B", "-u", "-X", "utf8", str(CHILD), str(job)]
    ended = run(command, cwd=written, environment=clean_environment(temporary), on_line=on_line)
    if ended.code or not made.is_file() or made.is_symlink():
        raise _failure(checkpoint, staged, ended, python, script)
    return made


def _job(script: Path, staged: Staged, made: Path, flags: Sequence[str]) -> dict[str, object]:
    return {
        "script": str(script),
        "arguments": [*flags, "--outfile", made.name, str(staged.path)],
        "edgeai": str(Path(edgeai.__file__).parent),
        "parent": os.getpid(),
        "readable": [str(path) for path in (script.parent, staged.path.parent, *staged.targets)],
        "writable": str(made.parent),
    }


def _failure(checkpoint: Checkpoint, staged: Staged, ended: Ended, python: Path, script: Path) -> QuantizeError:
    """What the end of the converter means."""
    words = _last_words(ended)
    if _UNSUPPORTED.search(words):
        return UnsupportedArchitectureError(
            f"{str(checkpoint.path)!r}: llama.cpp's converter does not know it either ({words}): "
            "take a newer llama.cpp, or choose another checkpoint"
        )
    if _NOT_INSTALLED.search(words):
        return QuantizeError(f"{python}: cannot run {script.name} ({words}): {what_to_install(script)}")
    if ended.signal_name == "SIGKILL":
        return QuantizeError(
            f"{str(checkpoint.path)!r}: llama.cpp's converter was killed (memory may have run out): "
            "close other programs, or convert it on a larger machine"
        )
    if _NO_ROOM.search(words):
        return QuantizeError(f"{str(checkpoint.path)!r}: llama.cpp's converter ran out of room ({words}): make room")
    how = f"ended by {ended.signal_name}" if ended.signal_name else f"exit code {ended.code}"
    how = how if ended.code else "it wrote no file"
    advice = "fetch the checkpoint again, or take another llama.cpp"
    if staged.had_code:
        advice = "it comes with code of its own (auto_map), which is never run; take one that needs none"
    return CheckpointError(f"{str(checkpoint.path)!r}: llama.cpp's converter failed ({how}): {words}; {advice}")


def _last_words(ended: Ended) -> str:
    """The line that says what went wrong: an exception's, else an error that was logged, else the last one."""
    lines = ended.lines or ("it said nothing",)
    exceptions = [line for line in lines if _EXCEPTION.match(line)]
    logged = [line for line in lines if line.startswith("ERROR")]
    return (exceptions or logged or list(lines))[-1][:_WORDS]


def _put(made: Path, target: Path) -> None:
    with made.open("rb+") as file:
        os.fsync(file.fileno())
    move(made, target, replace=False)
