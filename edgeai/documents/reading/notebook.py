"""Jupyter notebooks: text and code cells in their order, and what the code printed; pictures are left out.

Source: nbformat 4, its JSON schema.
"""

from __future__ import annotations

import json
from typing import Any

from edgeai.documents.reading import markdown
from edgeai.documents.reading.encoding import decode
from edgeai.documents.reading.output import Output
from edgeai.documents.reading.sniff import Hints
from edgeai.errors import DocumentError

_MAX_OUTPUT_CHARS = 10_000


def read(data: bytes, out: Output, hints: Hints) -> None:
    """Cells; lines have no numbers, as nobody sees those of the file."""
    notebook = json.loads(decode(data))
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise DocumentError("no notebook of version 4 (it has no cells): expected one; open it in Jupyter and save it")
    for number, cell in enumerate(cells):
        source = _joined(cell.get("source"))
        if cell.get("cell_type") == "code":
            out.code(source)
            for output in cell.get("outputs") or []:
                printed = output.get("text") or (output.get("data") or {}).get("text/plain")
                out.code(_joined(printed)[:_MAX_OUTPUT_CHARS])
        else:
            markdown.put_markdown(source, out, has_lines=False)
        out.progress(number + 1, len(cells))


def _joined(text: Any) -> str:
    return "".join(text) if isinstance(text, list) else str(text or "")
