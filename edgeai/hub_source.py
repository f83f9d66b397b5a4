"""Fetch a model's file from the Hugging Face hub: resumable, and compared with its SHA-256.

The hub's own library does the talking (addresses, tokens, redirects, retries). Its `hf_hub_download` begins afresh
after an interruption, so the pieces are kept here and the transfer goes on from where it stopped.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from edgeai.catalog_entry import ModelFile
from edgeai.errors import PullError
from edgeai.files import Progress, free_bytes, sha256

_CHUNK_BYTES = 1 << 18
_MAX_FAILURES = 5
_PARTIAL_DAYS = 14
_TIMEOUT_S = 30
_PUBLIC_HUB = "https://huggingface.co"


def fetch_from_hub(file: ModelFile, target: Path, partial_dir: Path, on_progress: Progress) -> str:
    """Fetch one file.

    Args:
        file: what to fetch.
        target: where it goes; on the same disk as partial_dir.
        partial_dir: where what has arrived is kept when the transfer is interrupted.
        on_progress: told of bytes done and in all.
    Returns:
        The SHA-256 of the file, compared with the catalog's or, where that has none, the hub's.
    Raises:
        PullError: no network, no such file, no access, wrong checksum, or the extra `hub` is missing.
    """
    # Its telemetry asks the hub for a list of AI tools, and tells it in which of them we run.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import huggingface_hub  # noqa: F401
    except ImportError as exc:
        raise PullError("fetching from the hub needs the extra `hub`: pip install 'edgeai[hub]'") from exc
    endpoint = os.environ.get("HF_ENDPOINT") or None
    with _errors_in_one_line(file, endpoint), _quiet():
        location, headers, n_bytes, expected = _look_up(file, endpoint)
        partial_dir.mkdir(parents=True, exist_ok=True)
        _remove_old(partial_dir)
        partial = partial_dir / f"{expected}.part"
        with _open_alone(partial) as part:
            _transfer(location, headers, n_bytes, part, on_progress)
        actual = sha256(partial)
        if actual != expected:
            partial.unlink()
            raise PullError(
                f"{file.file}: what arrived has the SHA-256 {actual}, and {expected} was expected: it is thrown away; "
                "try again, and if it stays so, the file or the connection was tampered with"
            )
        partial.replace(target)
    return actual


def _look_up(file: ModelFile, endpoint: str | None) -> tuple[str, dict[str, str], int, str]:
    """Address, headers, size and SHA-256 of a file, checked against the catalog before a byte is fetched."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined, unused-ignore]

    url = hf_hub_url(file.repo, file.file, revision=file.revision, endpoint=endpoint)
    found = get_hf_file_metadata(url, endpoint=endpoint)
    published = found.etag if found.etag and len(found.etag) == 64 else None
    expected = file.sha256 or published
    if expected is None or found.size is None:
        raise PullError(f"{file.repo}/{file.file}: the server states no SHA-256 or no size, so it cannot be checked")
    if published and published != expected:
        raise PullError(
            f"{file.repo}/{file.file} has the SHA-256 {published} on the hub, and the catalog expects {expected}: "
            "the file was replaced; update edgeai"
        )
    if file.size_is_exact and found.size != file.size_bytes:
        raise PullError(f"{file.file} has {found.size:,} bytes on the hub, and the catalog expects {file.size_bytes:,}")
    headers = build_hf_headers(library_name="edgeai")
    if urlsplit(found.location).hostname != urlsplit(url).hostname:
        headers.pop("authorization", None)  # the token is for the hub, not for the storage it points to
    return found.location, headers, found.size, expected


def _transfer(location: str, headers: dict[str, str], n_bytes: int, part: IO[bytes], on_progress: Progress) -> None:
    """Fetch what a partial file lacks, going on a few times where the connection breaks off."""
    from huggingface_hub import errors

    n_done = part.seek(0, os.SEEK_END)
    if n_done > n_bytes:
        n_done = part.truncate(0)
    if (n_free := free_bytes(Path(part.name).parent)) < n_bytes - n_done:
        raise PullError(f"{n_bytes - n_done:,} bytes to fetch and {n_free:,} free on the disk: make room first")
    on_progress(n_done, n_bytes)
    n_failures = 0
    while n_done < n_bytes:
        try:
            _append(location, headers, n_bytes, part, on_progress)
        except errors.HfHubHTTPError:
            raise
        except errors.HTTPError:  # type: ignore[attr-defined]
            n_failures = 1 if part.tell() > n_done else n_failures + 1
            if n_failures > _MAX_FAILURES:
                raise
            time.sleep(n_failures)
        n_done = part.tell()
    part.flush()
    os.fsync(part.fileno())


def _append(location: str, headers: dict[str, str], n_bytes: int, part: IO[bytes], on_progress: Progress) -> None:
    """Fetch from the end of a partial file on."""
    from huggingface_hub.utils import get_session, hf_raise_for_status  # type: ignore[attr-defined, unused-ignore]

    n_done = part.seek(0, os.SEEK_END)
    asked = {**headers, "Accept-Encoding": "identity"}  # compressed, the offsets would be others
    if n_done:
        asked["Range"] = f"bytes={n_done}-"
    with get_session().stream("GET", location, headers=asked, timeout=_TIMEOUT_S) as response:
        hf_raise_for_status(response)
        if response.status_code != 206:  # the server sends it from the beginning
            n_done = part.truncate(0)
        for piece in response.iter_bytes(_CHUNK_BYTES):
            n_done += len(piece)
            if n_done > n_bytes:
                raise PullError(f"the server sends more than the {n_bytes:,} bytes it announced: stopped")
            part.write(piece)
            on_progress(n_done, n_bytes)


@contextmanager
def _open_alone(path: Path) -> Iterator[IO[bytes]]:
    """Open a partial file for this process only: two that write to one file would spoil it."""
    with path.open("ab+") as file:
        try:
            import fcntl
        except ImportError:  # Windows: the checksum still catches a spoilt file
            fcntl = None  # type: ignore[assignment]
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise PullError("another process is fetching this file: wait for it to end") from exc
        yield file


def _remove_old(folder: Path) -> None:
    for path in folder.glob("*.part"):
        if time.time() - path.stat().st_mtime > _PARTIAL_DAYS * 24 * 3600:
            path.unlink(missing_ok=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the hub library's warnings (each retry is one) from the terminal."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _errors_in_one_line(file: ModelFile, endpoint: str | None) -> Iterator[None]:
    """The hub library's exceptions as PullError, each with what to do."""
    from huggingface_hub import errors

    page = f"{endpoint or _PUBLIC_HUB}/{file.repo}"
    try:
        yield
    except errors.GatedRepoError as exc:
        raise PullError(
            f"{page} is gated: accept its terms there, then set HF_TOKEN or run `hf auth login`, and try again"
        ) from exc
    except errors.RepositoryNotFoundError as exc:
        raise PullError(f"{page}: no such repository, or it is private: for a private one set HF_TOKEN") from exc
    except errors.RevisionNotFoundError as exc:
        raise PullError(f"{page} has no revision {file.revision}: update edgeai") from exc
    except errors.EntryNotFoundError as exc:
        raise PullError(f"{page} has no file {file.file} at {file.revision}: update edgeai") from exc
    except errors.OfflineModeIsEnabled as exc:
        raise PullError("HF_HUB_OFFLINE is set: unset it to fetch from the hub") from exc
    except errors.HfHubHTTPError as exc:
        status = exc.response.status_code
        hint = "set HF_TOKEN or run `hf auth login`" if status in (401, 403) else "try again later"
        raise PullError(f"{page}/{file.file}: the hub answered HTTP {status}: {hint}") from exc
    except (errors.HTTPError, ConnectionError) as exc:  # type: ignore[attr-defined]
        raise PullError(
            f"{endpoint or _PUBLIC_HUB} cannot be reached or broke off ({exc}): check the network and try again; "
            "what has arrived is kept"
        ) from exc
    except OSError as exc:
        if isinstance(exc, PullError) or "Consistency check" not in str(exc):
            raise
        raise PullError(f"{file.file}: the transfer broke off: try again; what has arrived is kept") from exc
