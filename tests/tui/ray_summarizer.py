"""`edgeai summarize` with a stand-in for a model, here and on a cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from edgeai.session import Session
from tests.notes.readers import MarkReader
from tui import session_options
from tui.cli import main

readers: list[MarkReader] = []


def open_session(model: str | None, **options: Any) -> Session:
    """In place of `session_options.open_session`."""
    del model, options
    readers.append(MarkReader())
    return Session(backend=readers[-1])


if __name__ == "__main__":
    from tests.tui import ray_summarizer  # workers find the function there, not in __main__

    session_options.open_session = ray_summarizer.open_session
    code = main(sys.argv[2:])
    asked = [prompt for reader in ray_summarizer.readers for prompt in reader.asked]
    Path(sys.argv[1]).write_text(str(len(asked)))
    sys.exit(code)
