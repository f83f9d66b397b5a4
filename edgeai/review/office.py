"""Presentations made PDFs by LibreOffice, where the user has it: then their slides can be drawn."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NAMES = ("soffice", "libreoffice")
_LEAST_S, _SLIDE_S = 120.0, 3.0
# It must run no macro, and fetch no picture that a deck links to.
_SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Common/Security/Scripting">
<prop oor:name="DisableMacrosExecution" oor:op="fuse"><value>true</value></prop>
<prop oor:name="DisableActiveContent" oor:op="fuse"><value>true</value></prop>
<prop oor:name="BlockUntrustedRefererLinks" oor:op="fuse"><value>true</value></prop>
</item>
<item oor:path="/org.openoffice.Inet/Settings">
<prop oor:name="ooInetProxyType" oor:op="fuse"><value>1</value></prop>
<prop oor:name="ooInetHTTPProxyName" oor:op="fuse"><value>127.0.0.1</value></prop>
<prop oor:name="ooInetHTTPProxyPort" oor:op="fuse"><value>9</value></prop>
<prop oor:name="ooInetHTTPSProxyName" oor:op="fuse"><value>127.0.0.1</value></prop>
<prop oor:name="ooInetHTTPSProxyPort" oor:op="fuse"><value>9</value></prop>
</item>
</oor:items>
"""
_PROXY = "http://127.0.0.1:9"  # where nobody answers: whatever reaches out fails at once


def office_program() -> str | None:
    """LibreOffice's program; None where there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


@contextlib.contextmanager
def as_pdf(path: Path, n_slides: int) -> Iterator[Path | None]:
    """A presentation as a PDF, in a folder that goes with the block; None where LibreOffice fails or takes too long.

    Args:
        path: the presentation.
        n_slides: of it; more of them may take longer.
    """
    program = office_program()
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="edgeai-slides-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        user = folder / "profile" / "user"
        user.mkdir(parents=True)
        (user / "registrymodifications.xcu").write_text(_SETTINGS, encoding="utf-8")
        source = folder / f"slides{path.suffix.lower()}"  # a name that no option can be, and a folder of its own
        shutil.copyfile(path, source)
        out = folder / "out"
        command = [program, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless", "--norestore"]
        command += ["--convert-to", "pdf", "--outdir", str(out), str(source)]
        _run(command, folder, _LEAST_S + _SLIDE_S * n_slides)
        made = out / "slides.pdf"
        yield made if made.is_file() and made.stat().st_size else None


def _run(command: list[str], folder: Path, most_s: float) -> None:
    """Run it to its end, or to that of its time; with all that it starts."""
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "ftp_proxy", "all_proxy"), _PROXY)
    quiet = subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **proxies},
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,
        )
    except OSError:
        return
    try:
        process.wait(most_s)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
