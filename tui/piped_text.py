"""Text that another program pipes in."""

from __future__ import annotations

import sys

import click

MAX_BYTES = 16 << 20
"""More than any context window here holds."""


def read_stdin(*, from_terminal: bool = False) -> str:
    """All of stdin, without newlines at its ends; "" where there is none.

    Args:
        from_terminal: read what is typed, too, up to Ctrl-D.
    Raises:
        click.ClickException: it is not text, or too much.
    """
    if sys.stdin is None or (sys.stdin.isatty() and not from_terminal):
        return ""
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise click.ClickException(f"stdin: more than {MAX_BYTES >> 20} MiB of text: pipe a part of it, such as `tail`")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        found = f"byte 0x{data[exc.start]:02x} at {exc.start:,}"
        raise click.ClickException(
            f"stdin: expected UTF-8 text, found {found}: convert it, for example with `iconv -f SHIFT_JIS -t UTF-8`"
        ) from exc
    if (place := text.find("\0")) >= 0:
        raise click.ClickException(f"stdin: expected text, found binary data (a null byte at {place:,}): pipe text")
    return text.replace("\r\n", "\n").strip("\n")
