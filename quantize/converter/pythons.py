"""The converter's script, and a Python that can run it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from edgeai.errors import QuantizeError
from quantize.converter.process import clean_environment

SCRIPT = "convert_hf_to_gguf.py"
CHILD = Path(__file__).with_name("child.py")

_MARK = b"--outtype"
_MAX_SCRIPT_BYTES = 2**24
_CHECK_TIMEOUT_S = 60
_WHAT_TO_INSTALL = "requirements/requirements-convert_hf_to_gguf.txt"


def find_script(converter: Path) -> Path:
    """The converter in a llama.cpp checkout, or the file itself.

    Raises:
        QuantizeError: it is not there, or is another program.
    """
    path = converter.expanduser().absolute()
    script = path / SCRIPT if path.is_dir() else path
    advice = f"name a llama.cpp checkout, or its {SCRIPT}, with --converter"
    try:
        if not script.is_file():
            what = "is not a regular file" if script.exists() else "is not there"
            raise QuantizeError(f"{script}: {what}, expected llama.cpp's converter: {advice}")
        with script.open("rb") as file:
            text = file.read(_MAX_SCRIPT_BYTES)
    except OSError as exc:
        raise QuantizeError(f"{script}: cannot be read ({exc.strerror}): {advice}") from exc
    if _MARK not in text:
        raise QuantizeError(f"{script}: has no option {_MARK.decode()}, expected llama.cpp's converter: {advice}")
    return script.resolve()


def find_python(script: Path, temporary: Path) -> Path:
    """The first Python that has what the converter needs: in or beside the checkout, on the PATH, or our own.

    Args:
        script: the converter.
        temporary: a folder for temporary files.
    Raises:
        QuantizeError: none has. The message says which were tried, and what to install.
    """
    tried: list[str] = []
    for python in dict.fromkeys(_candidates(script.parent)):
        missing = _missing(python, temporary)
        if not missing:
            return python
        tried.append(f"{python} lacks {', '.join(missing)}" if missing else str(python))
    raise QuantizeError(
        f"no Python that can run {script} ({'; '.join(tried) or 'none found'}): install what it needs with "
        f"`pip install -r {script.parent / _WHAT_TO_INSTALL}`, or name a Python with --converter-python PATH"
    )


def named_python(python: Path) -> Path:
    """The Python that the user named.

    Raises:
        QuantizeError: it is no program.
    """
    path = python.expanduser().absolute()  # not resolved: an environment's Python is a link, known by its place
    if not path.is_file() or not os.access(path, os.X_OK):
        raise QuantizeError(f"{path}: is no program, expected a Python with torch: check --converter-python")
    return path


def what_to_install(script: Path) -> str:
    """Advice for a Python that lacks something."""
    return (
        f"install it there, best with `pip install -r {script.parent / _WHAT_TO_INSTALL}`, "
        "or name another Python with --converter-python PATH"
    )


def _candidates(checkout: Path) -> Iterator[Path]:
    inner = Path("Scripts/python.exe") if os.name == "nt" else Path("bin/python")
    for folder in (checkout, checkout.parent):
        for name in (".venv", "venv"):
            python = folder / name / inner
            if python.is_file() and _is_trusted(folder / name, checkout):
                yield python
    for name in ("python3", "python"):
        if found := shutil.which(name):
            yield Path(found).absolute()
    if sys.executable and not getattr(sys, "frozen", False):
        yield Path(sys.executable)


def _is_trusted(folder: Path, checkout: Path) -> bool:
    """Whether it belongs to those whose programs we run anyway: beside a checkout in /tmp anybody can put one."""
    if os.name == "nt":
        return True
    return folder.stat().st_uid in (os.getuid(), 0, checkout.stat().st_uid)


def _missing(python: Path, temporary: Path) -> list[str]:
    """Modules that a Python lacks. They are looked for and not imported, which with torch takes seconds."""
    try:
        done = subprocess.run(
            [str(python), "-I", "-B", str(CHILD), "--missing"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=temporary,
            env=clean_environment(temporary),
            timeout=_CHECK_TIMEOUT_S,
            check=True,
        )
        return [str(name) for name in json.loads(done.stdout)]
    except (OSError, subprocess.SubprocessError, TypeError, ValueError):
        return ["a Python 3.10 or newer that runs"]
