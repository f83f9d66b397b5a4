"""What runs in the Python that has torch, where edgeai is not installed: it needs the standard library alone.

    python -I child.py --missing     prints which modules llama.cpp's converter would miss
    python -I child.py job.json      enters the sandbox and becomes the converter

The converter reads what a stranger made, with libraries that open the files which that names. So it ends with its
parent, and on Linux it reads its own job and the system's libraries alone, writes into one folder, opens no socket and
starts no program. The Linux parts are those of `edgeai.sandbox`; a kernel that lacks some of them goes without these.
"""

from __future__ import annotations

import importlib.util
import json
import os
import runpy
import site
import sys
import types
from pathlib import Path
from typing import Any

_NEEDED = ("torch", "transformers", "numpy", "yaml")
_SYSTEM = ("/usr", "/opt", "/etc/localtime", "/etc/mime.types")  # nothing that only this user may read
_OLDEST = (3, 10)
_NO_BOUND_BYTES = 2**62
_OPEN_FILES = 4096  # shards stay open


def main() -> None:
    """Answer `--missing`, or do the job whose file is named."""
    _add_user_site()
    if sys.argv[1] == "--missing":
        print(json.dumps(_missing()))
        return
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if missing := _missing():
        raise SystemExit(f"ModuleNotFoundError: missing here: {', '.join(missing)}")
    if sys.platform == "linux":
        _confine(job)
    script = job["script"]
    sys.argv = [script, *job["arguments"]]
    sys.path.insert(0, str(Path(script).parent))  # as Python does it for a script
    runpy.run_path(script, run_name="__main__")


def _add_user_site() -> None:
    """What `pip install --user` installed, which `-I` leaves out; it is not for virtual environments."""
    if sys.prefix == sys.base_prefix and Path(folder := site.getusersitepackages()).is_dir():
        site.addsitedir(folder)


def _missing() -> list[str]:
    if sys.version_info < _OLDEST:
        return [f"Python {'.'.join(map(str, _OLDEST))}"]
    return [name for name in _NEEDED if not _origin(name)]


def _origin(name: str) -> str | None:
    """The file of a module; None where there is none, or only a folder of its name."""
    spec = importlib.util.find_spec(name)
    return spec.origin if spec is not None else None


def _confine(job: dict[str, Any]) -> None:
    """Enter the sandbox. `edgeai` itself is not imported: what it needs is not installed here."""
    package = types.ModuleType("edgeai")
    package.__path__ = [job["edgeai"]]
    sys.modules["edgeai"] = package
    from edgeai.sandbox import Policy, die_with_parent, enter
    from edgeai.sandbox.landlock import restrict
    from edgeai.sandbox.linux import libc

    die_with_parent(job["parent"] if os.getppid() == job["parent"] else os.getppid())  # a wrapper, as pyenv has them
    # Our list of allowed system calls is llama.cpp's, and nobody has torch's: so only the dangerous ones are refused.
    enter(Policy(readable=None, file_bytes=_NO_BOUND_BYTES, open_files=_OPEN_FILES))
    packages = [str(Path(origin).parent) for name in _NEEDED if (origin := _origin(name))]
    restrict(libc(), Policy(readable=(*job["readable"], *_SYSTEM, *packages), writable=(job["writable"],)))


if __name__ == "__main__":
    main()
