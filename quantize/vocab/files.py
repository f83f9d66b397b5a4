"""The tokenizer's files of a checkpoint, read once, and the checks that all vocabularies share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import Repr
from typing import Any

from gguf import GGUFValueType, TokenType

from edgeai.errors import CheckpointError
from quantize.base import Checkpoint, Meta

MAX_TOKENS = 2**20  # the largest vocabulary known has 262,208
AGAIN = "fetch the checkpoint's tokenizer files again"
_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxstring = 3, 60


@dataclass(frozen=True, slots=True)
class AddedToken:
    """A token that text is searched for before anything else.

    Attributes:
        id: its number.
        text: the text it stands for.
        special: whether it steers the model and is no text.
    """

    id: int
    text: str
    special: bool


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """What the files say.

    Attributes:
        checkpoint: the folder.
        tokenizer: tokenizer.json; empty where there is none.
        settings: tokenizer_config.json; empty where there is none.
        added: `added_tokens` of tokenizer.json.
        decoder: `added_tokens_decoder` of tokenizer_config.json.
        vocab_size: rows of the embedding; None where config.json does not say.
    """

    checkpoint: Checkpoint
    tokenizer: Mapping[str, Any]
    settings: Mapping[str, Any]
    added: Sequence[AddedToken]
    decoder: Sequence[AddedToken]
    vocab_size: int | None

    @classmethod
    def read(cls, checkpoint: Checkpoint) -> TokenizerFiles:
        """Read them.

        Raises:
            CheckpointError: a file has a value of the wrong kind.
        """
        tokenizer = _object(checkpoint, "tokenizer.json")
        settings = _object(checkpoint, "tokenizer_config.json")
        added = items("tokenizer.json", tokenizer, "added_tokens")
        decoder = mapping("tokenizer_config.json", settings, "added_tokens_decoder")
        return cls(
            checkpoint,
            tokenizer,
            settings,
            [_added("tokenizer.json", "added_tokens", entry, None) for entry in added],
            [_added("tokenizer_config.json", "added_tokens_decoder", entry, key) for key, entry in decoder.items()],
            _vocab_size(checkpoint),
        )

    @property
    def model(self) -> Mapping[str, Any]:
        """`model` of tokenizer.json."""
        return mapping("tokenizer.json", self.tokenizer, "model")

    def path(self, name: str) -> Path:
        """A file that must be there.

        Raises:
            CheckpointError: it is not.
        """
        path = self.checkpoint.file(name)
        if path is None:
            raise CheckpointError(
                f"{self.checkpoint.path}: no {name}, expected the checkpoint's tokenizer; fetch it with the weights"
            )
        return path


def shown(value: object) -> str:
    """A value from a file, as short as a message needs it, however deep or long it is."""
    return _SHORT.repr(value)


def broken(file: str, key: str, value: object, expected: str) -> CheckpointError:
    """The error for a value that cannot be used."""
    return CheckpointError(f"{file}: {key} is {shown(value)}, expected {expected}; {AGAIN}")


def mapping(file: str, parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object within a JSON object; empty where it is absent or null."""
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise broken(file, key, value, "an object")
    return value


def items(file: str, parent: Mapping[str, Any], key: str) -> list[Any]:
    """A list within a JSON object; empty where it is absent or null."""
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise broken(file, key, value, "a list")
    return value


def token_id(file: str, key: str, value: object) -> int:
    """A token's number.

    Raises:
        CheckpointError: it is no whole number from 0 on, or larger than any vocabulary.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_TOKENS:
        raise broken(file, key, value, f"a token's number, below {MAX_TOKENS:,}")
    return value


def token_list(
    file: str, tokens: Sequence[str], types: Sequence[TokenType], scores: Sequence[float] | None = None
) -> list[Meta]:
    """The arrays that describe each token, in the official converter's order.

    Raises:
        CheckpointError: a token is one that llama.cpp ends the process on, or cannot tell from another.
    """
    seen: dict[str, int] = {}
    for index, text in enumerate(tokens):
        if "\0" in text or (not text.isprintable() and not _is_unicode(text)):
            raise broken(file, f"token {index:,}", text, "Unicode text without a zero byte")
        # llama.cpp counts its tokens by their texts; an empty one gets a name of its own there
        if text and seen.setdefault(text, index) != index:
            raise broken(file, f"token {index:,}", text, f"a text of its own, not that of token {seen[text]:,}")
    array = GGUFValueType.ARRAY
    keys = [Meta("tokenizer.ggml.tokens", list(tokens), array, GGUFValueType.STRING)]
    if scores is not None:
        keys.append(Meta("tokenizer.ggml.scores", list(scores), array, GGUFValueType.FLOAT32))
    numbers = [int(kind) for kind in types]
    return [*keys, Meta("tokenizer.ggml.token_type", numbers, array, GGUFValueType.INT32)]


def looks_special(text: str) -> bool:
    """Whether a token steers the model although its files do not mark it, as DeepSeek's, Command R's and Gemma's."""
    return (
        text in ("<pad>", "<mask>", "<2mass>", "[@BOS@]")
        or (text.startswith("<|") and text.endswith("|>"))
        or (text.startswith("<｜") and text.endswith("｜>"))
        or (text.startswith("<unused") and text.endswith(">"))
    )


def _object(checkpoint: Checkpoint, name: str) -> Mapping[str, Any]:
    value = checkpoint.json(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise broken(name, "the file", value, "an object")
    return value


def _added(file: str, key: str, entry: object, number: str | None) -> AddedToken:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("content"), str):
        raise broken(file, key, entry, "tokens with an id and a content")
    index: object = entry.get("id")
    if number is not None:
        index = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else number
    return AddedToken(token_id(file, key, index), entry["content"], entry.get("special") is True)


def _vocab_size(checkpoint: Checkpoint) -> int | None:
    config = checkpoint.config
    size = mapping("config.json", config, "text_config").get("vocab_size", config.get("vocab_size"))
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int) or not 0 < size <= MAX_TOKENS:
        raise broken("config.json", "vocab_size", size, f"a whole number up to {MAX_TOKENS:,}")
    return size


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write
        return False
    return True
