"""The user's defaults in config.toml: a few keys at the top (`default_model`, `theme`), read and changed one by one."""

from __future__ import annotations

import re
from typing import Any

from edgeai.errors import OptionError
from edgeai.files import write_text
from edgeai.paths import config_path
from edgeai.toml_text import read_toml, toml_value


def read_config() -> dict[str, Any]:
    """All of config.toml; empty where there is none.

    Raises:
        OptionError: it is not TOML.
    """
    path = config_path()
    try:
        return read_toml(path)
    except FileNotFoundError:
        return {}
    except ValueError as exc:
        raise OptionError(f"{path}: not a TOML file ({exc}): mend it or delete it") from exc


def config_text(key: str) -> str | None:
    """A key whose value is text; None where it is not set.

    Raises:
        OptionError: the value is not text, or the file is not TOML.
    """
    value = read_config().get(key)
    if value is not None and not (isinstance(value, str) and value):
        raise OptionError(f"{config_path()}: {key} = {value!r}: expected text in quotes")
    return value


def set_config_text(key: str, value: str) -> None:
    """Set a key. All else in the file, comments too, stays as it is.

    Raises:
        OptionError: the file is not TOML, or laid out so that one line cannot be changed.
    """
    path = config_path()
    read_config()  # a broken file is reported, not made worse
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = text.splitlines(keepends=True)
    # Below the first table's head the line would belong to that table.
    n_top = next((index for index, line in enumerate(lines) if line.lstrip().startswith("[")), len(lines))
    top = [line for line in lines[:n_top] if not re.match(rf"\s*{re.escape(key)}\s*=", line)]
    write_text(path, "".join([f"{key} = {toml_value(value)}\n", *top, *lines[n_top:]]))
    try:
        is_set = read_config().get(key) == value
    except OptionError:
        is_set = False
    if not is_set:
        write_text(path, text)
        raise OptionError(f"{path}: cannot be changed line by line: set {key} = {toml_value(value)} in it by hand")
