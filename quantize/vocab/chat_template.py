"""The chat template: from tokenizer_config.json or files of its own, one or several by name."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from gguf import GGUFValueType

from edgeai.errors import CheckpointError
from quantize.base import Meta
from quantize.vocab.files import TokenizerFiles, broken

_MAX_BYTES = 2**20
_MAX_TEMPLATES = 64
_KEY = "tokenizer.chat_template"
_PLAIN = frozenset(string.ascii_letters + string.digits)


def chat_template_keys(files: TokenizerFiles) -> list[Meta]:
    """The template's key, or those of several: each by its name, their names, and the default one.

    Raises:
        CheckpointError: a template is no text, or absurdly long.
    """
    template = files.settings.get("chat_template")
    if template is None:
        template = _of_files(files)
    if isinstance(template, str):
        return [Meta(_KEY, _checked("tokenizer_config.json", template), GGUFValueType.STRING)]
    if not isinstance(template, list):
        return []  # the official converter takes no notice of other kinds
    return _named(template)


def _named(templates: list[Any]) -> list[Meta]:
    keys: dict[str, Meta] = {}
    default = []
    for choice in templates[:_MAX_TEMPLATES]:
        if not isinstance(choice, Mapping) or not isinstance(choice.get("name"), str):
            raise broken("tokenizer_config.json", "chat_template", choice, "templates with a name each")
        name = "".join(char if char in _PLAIN else "_" for char in choice["name"])
        if not name or choice.get("template") is None:
            continue
        text = _checked("tokenizer_config.json", choice["template"])
        if name == "default":
            default = [Meta(_KEY, text, GGUFValueType.STRING)]
        else:
            keys[name] = Meta(f"{_KEY}.{name}", text, GGUFValueType.STRING)
    names = [Meta("tokenizer.chat_templates", list(keys), GGUFValueType.ARRAY, GGUFValueType.STRING)] if keys else []
    return [*keys.values(), *names, *default]


def _of_files(files: TokenizerFiles) -> Any:
    """chat_template.jinja with those of additional_chat_templates beside it, else chat_template.json's."""
    checkpoint = files.checkpoint
    default = _text(files, "chat_template.jinja")
    if default is None:
        other = checkpoint.json("chat_template.json")
        return other.get("chat_template") if isinstance(other, Mapping) else None
    folder = checkpoint.path / "additional_chat_templates"
    try:
        more = sorted(path.name for path in folder.glob("*.jinja"))[:_MAX_TEMPLATES]
    except OSError as exc:
        raise CheckpointError(f"{str(folder)!r}: cannot be read ({exc.strerror}); check its rights") from exc
    if not more:
        return default
    named = [{"name": name[: -len(".jinja")], "template": _text(files, f"{folder.name}/{name}")} for name in more]
    return [{"name": "default", "template": default}, *named]


def _text(files: TokenizerFiles, name: str) -> str | None:
    path = files.checkpoint.file(name)
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        # as Python reads text: a line ends in a newline alone
        return _checked(name, data.decode()).replace("\r\n", "\n").replace("\r", "\n")
    except OSError as exc:
        raise CheckpointError(f"{str(path)!r}: cannot be read ({exc.strerror}); check its rights") from exc
    except UnicodeDecodeError as exc:
        raise CheckpointError(f"{str(path)!r}: is not UTF-8 ({exc.reason}); fetch it again") from exc


def _checked(file: str, template: object) -> str:
    if not isinstance(template, str):
        raise broken(file, "chat_template", template, "text")
    try:
        size = len(template.encode())
    except UnicodeEncodeError as exc:
        raise broken(file, "chat_template", template, "Unicode text") from exc
    if size > _MAX_BYTES:
        raise broken(file, "chat_template", template, f"at most {_MAX_BYTES:,} bytes, not {size:,}")
    return template
