"""model.toml, which says of a model's folder what lies in it: written when it is installed, read as hostile text."""

from __future__ import annotations

import datetime
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from edgeai.files import write_text
from edgeai.toml_text import read_toml, toml_table, toml_value

RECORD_NAME = "model.toml"
SPEECH_COMMANDS = {"speech-to-text": "edgeai transcribe FILE", "text-to-speech": "edgeai say TEXT"}
"""What weights of speech do, and the command that they are for."""

_NO_BARE_NAME = re.compile(r"[/\\\x00-\x1f]|^\.{0,2}$")
_MAX_FILES = 64

_log = logging.getLogger(__name__)


def read_record(folder: Path) -> dict[str, Any]:
    """What the record of a folder says; nothing where there is none, or none that can be read."""
    try:
        return read_toml(folder / RECORD_NAME)
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as exc:
        _log.warning("%s cannot be read (%s): the folder's only .gguf file is taken", folder / RECORD_NAME, exc)
        return {}


def write_record(folder: Path, *, data: Mapping[str, str] | None = None, **values: str | None) -> None:
    """Write model.toml, dated today.

    Args:
        folder: of the model.
        data: files that the weights need beside them: name to SHA-256.
        values: everything else.
    """
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    text = toml_table({**values, "added": today})
    if data:
        text += "\n[data]\n" + toml_table({toml_value(name): digest for name, digest in data.items()})
    write_text(folder / RECORD_NAME, text)


def is_bare_name(name: object) -> TypeGuard[str]:
    """Whether it names a file of the folder itself: the record of a copied folder must not point elsewhere."""
    return isinstance(name, str) and not _NO_BARE_NAME.search(name)


def data_of(record: Mapping[str, Any]) -> dict[str, str]:
    """The files that the weights need beside them, as a record tells: name to SHA-256."""
    table = record.get("data")
    if not isinstance(table, dict) or len(table) > _MAX_FILES:
        return {}
    return {name: digest for name, digest in table.items() if is_bare_name(name) and isinstance(digest, str)}
