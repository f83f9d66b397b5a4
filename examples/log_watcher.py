"""A watcher that explains new log lines as JSON, one object a line.

    python examples/log_watcher.py /var/log/app.log [MODEL]
    tail -n 20 app.log | python examples/log_watcher.py - [MODEL]

What stands in a log comes from outside and may try to give the model orders. Whatever it makes of them, the grammar
holds the output to the schema: a severity out of three, and one short text.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import edgeai

SYSTEM = "You explain log lines of a device to its owner: how severe it is, and what it means in one short sentence."
SCHEMA = {
    "type": "object",
    "properties": {
        "severity": {"enum": ["info", "warning", "error"]},
        "explanation": {"type": "string", "minLength": 10, "maxLength": 160},
    },
    "required": ["severity", "explanation"],
    "additionalProperties": False,
}
MAX_LINE_CHARS = 1000
POLL_S = 0.5


def explain(session: edgeai.Session, line: str) -> dict[str, Any] | None:
    """The model's view of one line; None where its JSON did not come to an end."""
    # Whole messages instead of a growing conversation: each line stands alone, and only its own tokens are evaluated.
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": line[:MAX_LINE_CHARS]}]
    response = session.chat(messages=messages, response_format=SCHEMA, max_tokens=120, temperature=0)
    return response.parsed  # type: ignore[no-any-return]


def follow(path: Path) -> Generator[str, None, None]:
    """Lines that are added to a file from now on; begins again where the file was cut or replaced."""
    file, held = path.open("rb"), b""
    try:
        file.seek(0, os.SEEK_END)
        while True:
            held += file.readline()
            if held.endswith(b"\n"):
                yield held.decode("utf-8", "replace")
                held = b""
                continue
            time.sleep(POLL_S)
            ours, there = os.fstat(file.fileno()), path.stat() if path.exists() else None
            if there and (there.st_ino != ours.st_ino or there.st_size < file.tell()):
                file.close()
                file, held = path.open("rb"), b""
    finally:
        file.close()


def watch(session: edgeai.Session, lines: Iterable[str]) -> None:
    """Print an object for each line that says anything."""
    for line in filter(None, map(str.strip, lines)):
        print(json.dumps({"line": line, "explained": explain(session, line)}), flush=True)


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("usage: log_watcher.py FILE [MODEL]")
    path, model = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    with edgeai.Session(model, n_ctx=2048) as session:
        watch(session, sys.stdin if path == "-" else follow(Path(path)))


if __name__ == "__main__":
    main()
