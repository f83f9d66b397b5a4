"""The vocabulary of an ONNX folder: tokenizer.json by Hugging Face's `tokenizers`, or vocab.gguf by llama.cpp."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from edgeai.backends.decoding import Vocabulary
from edgeai.backends.llama_model import LlamaModel
from edgeai.backends.llama_native import bindings
from edgeai.errors import GenerationError, ModelError, ModelFormatError
from edgeai.onnx_folder import TOKENIZER_NAME, OnnxFolder
from edgeai.onnx_json import read_bytes
from edgeai.options import LoadOptions
from edgeai.safe_text import one_line

_MAX_BYTES = 2**26  # Gemma's, with 262,144 tokens, has 33 MB
_MAX_WORDS = 200
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE = "▁"  # stands for a space in SentencePiece's vocabularies


@dataclass(frozen=True, slots=True)
class Texts:
    """What a vocabulary knows of itself; see ModelInfo."""

    bos_token: str
    eos_token: str
    add_bos: bool
    special_tokens: tuple[str, ...]


def open_vocabulary(folder: OnnxFolder) -> tuple[Vocabulary, Texts]:
    """Load the tokenizer that stands beside a graph.

    Raises:
        ModelFormatError: it is none, or another model's.
        ModelError: `tokenizers` is not installed.
    """
    if folder.tokenizer == TOKENIZER_NAME:
        vocabulary = JsonVocabulary(folder)
        return vocabulary, vocabulary.texts
    return _open_gguf(folder)


def _open_gguf(folder: OnnxFolder) -> tuple[Vocabulary, Texts]:
    from edgeai.gguf_header import read_vocabulary

    path, n_vocab = folder.path / folder.tokenizer, folder.decoder.n_vocab
    read_vocabulary(path)
    model = LlamaModel(bindings(), path, LoadOptions(), None, vocab_only=True)
    if model.n_vocab != n_vocab:
        model.close()
        raise ModelFormatError(
            f"{path}: {model.n_vocab:,} tokens, and the graph has logits of {n_vocab:,}: it is another model's; copy "
            "the whole folder again"
        )
    info = model.info(1)
    add_bos = info.add_bos if folder.add_bos is None else folder.add_bos
    return model, Texts(info.bos_token, info.eos_token, add_bos, info.special_tokens)


class JsonVocabulary:
    """tokenizer.json, everything of which is a stranger's; see `edgeai.backends.decoding.Vocabulary`.

    Attributes:
        n_vocab: logits of the graph; more than there are tokens, where the rest is padding.
        control_ids: tokens that steer the model and are no text.
        end_id: the token that ends a turn.
        texts: what it knows of itself.
    """

    def __init__(self, folder: OnnxFolder) -> None:
        self._path = folder.path / folder.tokenizer
        self.n_vocab = folder.decoder.n_vocab
        self._tokenizer = _tokenizer(self._path)
        self._added: dict[int, str] = {
            id: token.content for id, token in self._tokenizer.get_added_tokens_decoder().items()
        }
        self.control_ids: Collection[int] = frozenset(
            id for id, token in self._tokenizer.get_added_tokens_decoder().items() if token.special
        )
        if (n_tokens := self._tokenizer.get_vocab_size(with_added_tokens=False)) > self.n_vocab:
            raise ModelFormatError(
                f"{self._path}: {n_tokens:,} tokens, and the graph has logits of {self.n_vocab:,}: it is another "
                "model's; copy the whole folder again"
            )
        self._is_byte_level, self._has_byte_tokens = self._kind()
        named: int | None = self._tokenizer.token_to_id(folder.end_text) if folder.end_text else None
        self.end_id = named if named is not None and named < self.n_vocab else folder.end_ids[0]
        self._end_ids = frozenset((self.end_id, *folder.end_ids))
        bos = self._first_token() if folder.bos_id is None else folder.bos_id
        self._bos_id = bos
        self.texts = Texts(
            bos_token="" if bos is None else self.text([bos]),
            eos_token=self.text([self.end_id]),
            add_bos=bos is not None and (bos == self._first_token() if folder.add_bos is None else folder.add_bos),
            special_tokens=tuple(self._added[id] for id in sorted(self.control_ids) if self._added[id]),
        )

    def is_end(self, token: int) -> bool:
        """Whether a token ends an answer."""
        return token in self._end_ids

    def tokenize(self, data: bytes, *, add_special: bool, parse_special: bool) -> list[int]:
        """Token ids of UTF-8 text; see `Backend.tokenize`."""
        ids = self._encoded(data.decode("utf-8", "replace"), parse_special=parse_special)
        if ids and max(ids) >= self.n_vocab:
            raise GenerationError(f"{self._path}: the tokenizer gives the token {max(ids):,} of {self.n_vocab:,}")
        return [self._bos_id, *ids] if add_special and self.texts.add_bos and self._bos_id is not None else ids

    def token_bytes(self, token: int, *, special: bool) -> bytes:
        """A token's bytes, which may be part of a character; control tokens are empty unless `special`."""
        return self._bytes(token) if special or token not in self.control_ids else b""

    def text(self, tokens: Sequence[int]) -> str:
        """The text of tokens, control tokens included."""
        return b"".join(self._bytes(token) for token in tokens if token >= 0).decode("utf-8", "replace")

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - one vocabulary lives as long as its backend
    def _bytes(self, token: int) -> bytes:
        if token in self._added:
            return self._added[token].encode("utf-8", "replace")
        text: str = self._tokenizer.id_to_token(token) or ""
        if self._is_byte_level:
            return b"".join(_BYTES_OF.get(char) or char.encode("utf-8", "replace") for char in text)
        if self._has_byte_tokens and (found := _BYTE_TOKEN.fullmatch(text)):
            return bytes([int(found[1], 16)])
        return text.replace(_SPACE, " ").encode("utf-8", "replace")

    def _encoded(self, text: str, *, parse_special: bool) -> list[int]:
        self._tokenizer.encode_special_tokens = not parse_special
        try:
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
            if parse_special or not any(token in self.control_ids for token in ids):
                return ids
            # the model itself holds the text of a control token as a word (a unigram model has "</s>")
            pieces = (self._tokenizer.encode(char, add_special_tokens=False).ids for char in text)
        except Exception as exc:  # tokenizers has no class of errors
            raise GenerationError(f"{self._path}: a text cannot be tokenized ({_line(exc)})") from exc
        return [token for piece in pieces for token in piece if token not in self.control_ids]

    def _first_token(self) -> int | None:
        """What the tokenizer itself puts in front of a text."""
        try:
            plain, whole = (self._tokenizer.encode("a", add_special_tokens=added).ids for added in (False, True))
        except Exception as exc:  # tokenizers has no class of errors
            raise ModelFormatError(f"{self._path}: it cannot tokenize ({_line(exc)}): copy it again") from exc
        if len(whole) <= len(plain) or whole[1 : len(plain) + 1] != plain:
            return None
        first: int = whole[0]
        return first if first in self.control_ids and first < self.n_vocab else None

    def _kind(self) -> tuple[bool, bool]:
        """Whether tokens are written in the visible alphabet of bytes; whether there are tokens of single bytes."""
        decoder = self._tokenizer.decoder
        steps = _steps(json.loads(decoder.__getstate__())) if decoder is not None else []
        names = [step.get("type") for step in steps]
        if "ByteLevel" in names:
            return True, False
        spaces = [step for step in steps if step.get("type") == "Replace" and step.get("content") == " "]
        if "Metaspace" in names or spaces:
            return False, "ByteFallback" in names
        raise ModelFormatError(
            f"{self._path}: its decoder is {', '.join(map(str, names))[:60] or 'missing'}, expected one of bytes "
            "(ByteLevel) or of SentencePiece (Metaspace, ByteFallback): choose another model"
        )


def import_tokenizers(path: Path) -> Any:
    """The module `tokenizers`; `path` is what is to be read by it.

    Raises:
        ModelError: it is not installed.
    """
    try:
        return import_module("tokenizers")
    except ImportError as exc:
        raise ModelError(
            f"{path}: reading it needs tokenizers, which is not installed: pip install 'edgeai[onnx]'"
        ) from exc


def _tokenizer(path: Path) -> Any:
    tokenizers = import_tokenizers(path)
    try:
        tokenizer = tokenizers.Tokenizer.from_buffer(read_bytes(path, _MAX_BYTES))
    except ModelFormatError:
        raise
    except Exception as exc:  # tokenizers has no class of errors
        raise ModelFormatError(f"{path}: no tokenizer that can be read ({_line(exc)}): copy it again") from exc
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _steps(decoder: Any) -> list[dict[str, Any]]:
    """A decoder's steps, those of sequences in their places."""
    if not isinstance(decoder, dict):
        return []
    inner = decoder.get("decoders")
    return [step for each in inner for step in _steps(each)] if isinstance(inner, list) else [decoder]


def _byte_alphabet() -> dict[str, bytes]:
    """The byte that each visible character of a byte-level vocabulary stands for.

    Source: bytes_to_unicode in OpenAI's GPT-2 encoder.py.
    """
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {
        **{chr(byte): bytes([byte]) for byte in visible},
        **{chr(256 + index): bytes([byte]) for index, byte in enumerate(hidden)},
    }


_BYTES_OF = _byte_alphabet()


def _line(exc: BaseException) -> str:
    return one_line(str(exc))[:_MAX_WORDS]
