"""What tokenizer.json's post-processor puts around a text: which tokens those are, and whether llama.cpp adds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from quantize.vocab.files import broken, items

_FILE = "tokenizer.json"
TYPES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


@dataclass(slots=True)
class Ends:
    """What is known of the special tokens; `read` adds what a post-processor says.

    Attributes:
        names: by type, the text as tokenizer_config.json has it: a string or an object with `content`.
        configured: whether there is a tokenizer_config.json. Without it names are not kept.
        types: the types, in the order they are written.
        add: by type, whether llama.cpp adds the token to a text.
    """

    names: dict[str, Any]
    configured: bool
    types: list[str] = field(default_factory=lambda: list(TYPES))
    add: dict[str, bool] = field(default_factory=dict)

    def read(self, tokenizer: Mapping[str, Any]) -> None:
        """Take in the post-processor, as the official converter's SpecialVocab does.

        Args:
            tokenizer: tokenizer.json.
        Raises:
            CheckpointError: it has a value of the wrong kind.
        """
        for name, other in (("bos", "cls"), ("eos", "sep")):
            if not self.names.get(name) and self.names.get(other):
                self.names[name] = self.names[other]
        post = tokenizer.get("post_processor")
        if not post:
            return
        if not isinstance(post, Mapping):
            raise broken(_FILE, "post_processor", post, "an object")
        for processor in items(_FILE, post, "processors") or [post]:
            kind = processor.get("type") if isinstance(processor, Mapping) else None
            if kind == "ByteLevel":
                self.add.setdefault("bos", False)
                self.add.setdefault("eos", False)
            elif kind == "RobertaProcessing":
                self._roberta(processor)
            elif kind == "TemplateProcessing":
                self._template(items(_FILE, processor, "single"), items(_FILE, processor, "pair"))

    def _roberta(self, processor: Mapping[str, Any]) -> None:
        self.add.update(bos=True, eos=True, sep=True)
        for name, other in (("cls", "bos"), ("sep", "eos")):
            if self.configured and not self.names.get(name):
                pair = items(_FILE, processor, name)
                self.names[name] = pair[0] if pair else self.names.get(other)

    def _template(self, single: list[Any], pair: list[Any]) -> None:
        first = last = None
        if len(single) > 1:
            first, last = _special(single[0]), _special(single[-1])
        if first:
            self._begin(first)
        if last:
            self._end(last)
        start = 1 if first and pair and _special(pair[0]) == first else 0
        stop = -1 if last and pair and _special(pair[-1]) == last else None
        inner = pair[start:stop]
        if inner and _sequence(inner[0]) == "A" and _sequence(inner[-1]) == "B" and inner[1:-1]:
            self._between(inner[1:-1], last)

    def _begin(self, first: str) -> None:
        names = self.names
        if not self.configured:
            names["bos"] = first
        elif first not in (names.get("bos"), names.get("cls")):
            for name in ("bos", "cls"):
                names[name] = names.get(name) or first
        self.add["bos"] = first in (names.get("bos"), names.get("cls"))

    def _end(self, last: str) -> None:
        if self.configured and last != self.names.get("eos"):
            for name in ("eot", "eom"):  # what was the end of a text becomes that of a turn or a message
                if name not in self.types:
                    self.types.append(name)
                    self.names[name] = self.names.get("eos")
                    break
        self.names["eos"] = last
        self.add["eos"] = True

    def _between(self, middle: list[Any], last: str | None) -> None:
        """Between two texts: A, one or two tokens, B."""
        separators = (self.names.get("sep"), self.names.get("eos"))
        texts = [_special(part) for part in middle]
        known = [bool(text) and text in separators for text in texts]
        self.add["sep"] = (known[0] and not last) or (len(middle) == 2 and known[1])
        if self.add["sep"] and self.configured and not self.names.get("sep"):
            self.names["sep"] = self.names.get("eos")


def _special(part: Any) -> str | None:
    return _id(part, "SpecialToken")


def _sequence(part: Any) -> str | None:
    return _id(part, "Sequence")


def _id(part: Any, kind: str) -> str | None:
    inner = part.get(kind) if isinstance(part, Mapping) else None
    text = inner.get("id") if isinstance(inner, Mapping) else None
    return text if isinstance(text, str) else None
