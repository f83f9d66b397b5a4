"""Whisper's tokens: what is asked of it, and what its answer says and when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeai.errors import ModelFormatError, OptionError
from edgeai.safe_text import one_line

TIMESTAMP_S = 0.02  # between two of Whisper's timestamps
UNSPACED = frozenset({"ja", "zh", "yue", "th", "lo", "my"})
"""Languages that are written without spaces between words."""

_BROKEN = "\ufffd"  # half of a character


@dataclass(frozen=True, slots=True)
class Piece:
    """What Whisper says between two timestamps.

    Attributes:
        start_s: from the beginning of the window.
        end_s: the same.
        tokens: text alone.
    """

    start_s: float
    end_s: float
    tokens: tuple[int, ...]


class WhisperTokens:
    """The vocabulary of one folder of weights.

    Attributes:
        languages: ISO 639-1 (a few have three letters) of what it understands.
        eot: ends an answer; all special tokens follow it.
    """

    def __init__(self, folder: Path, *, is_multilingual: bool) -> None:
        """Read it.

        Raises:
            OptionError: the extra `speech` is not installed.
            ModelFormatError: the vocabulary is no Whisper's.
        """
        self._tokenizer = _tokenizer(folder / "tokenizer.json")
        self._is_multilingual = is_multilingual
        self.eot = self._special("<|endoftext|>")
        self._sot = self._special("<|startoftranscript|>")
        self._first_timestamp = self._special("<|notimestamps|>") + 1
        self.languages = self._languages(folder / "config.json") if is_multilingual else ("en",)

    def prompt(self, language: str) -> list[int]:
        """What comes before an answer in this language."""
        if not self._is_multilingual:
            return [self._sot]
        return [self._sot, self._special(f"<|{language}|>"), self._special("<|transcribe|>")]

    def text(self, tokens: Sequence[int]) -> str:
        """Harmless text on one line, without the special tokens."""
        return one_line(self._decoded(tokens))

    def pieces(self, tokens: Sequence[int], duration_s: float) -> tuple[list[Piece], float]:
        """What an answer says and when.

        Args:
            tokens: the answer.
            duration_s: of the window; an answer goes on up to there where it has no timestamp at its end.
        Returns:
            The pieces, and up to where the window was heard: the last timestamp where speech goes on behind it.
        """
        pieces: list[Piece] = []
        start_s, said = 0.0, list[int]()
        stamps = 0  # in a row, up to here
        for token in tokens:
            if token >= self._first_timestamp:
                time_s = (token - self._first_timestamp) * TIMESTAMP_S
                if said:
                    pieces.append(Piece(start_s, max(start_s, time_s), tuple(said)))
                    said = []
                start_s = time_s
                stamps += 1
            elif token < self.eot:
                said.append(token)
                stamps = 0
        if said:
            pieces.append(Piece(start_s, max(start_s, duration_s), tuple(said)))
        # Two timestamps at the end: one piece ended, and another was about to begin.
        return pieces, start_s if stamps >= 2 else duration_s

    def words(self, tokens: Sequence[int], language: str) -> list[tuple[int, ...]]:
        """The tokens of each word; of each character, or as few as can be told apart, where words have no spaces."""
        words: list[tuple[int, ...]] = []
        part: tuple[int, ...] = ()
        for token in tokens:
            part += (token,)
            text = self._decoded(part)
            if _BROKEN in text and len(part) < 4:  # UTF-8 has at most four bytes
                continue
            begins = text[:1].isspace()
            if language in UNSPACED:
                begins = any(letter.isalnum() for letter in text)
            if words and not begins:
                words[-1] += part
            else:
                words.append(part)
            part = ()
        return [*words, part] if part else words

    def _decoded(self, tokens: Sequence[int]) -> str:
        text = self._tokenizer.decode([token for token in tokens if token < self.eot])
        assert isinstance(text, str)
        return text

    def _special(self, name: str) -> int:
        token = self._tokenizer.token_to_id(name)
        if token is None:
            raise ModelFormatError(
                f"tokenizer.json has no {name}: expected Whisper's vocabulary; pull the weights again"
            )
        return int(token)

    def _languages(self, config: Path) -> tuple[str, ...]:
        try:
            ids = json.loads(config.read_bytes())["lang_ids"]
            names = [self._tokenizer.id_to_token(int(each)) for each in ids]
            return tuple(name.removeprefix("<|").removesuffix("|>") for name in names)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise ModelFormatError(
                f"{config}: it does not tell Whisper's languages (lang_ids): pull the weights again"
            ) from exc


def _tokenizer(path: Path) -> Any:
    try:
        import tokenizers
    except ImportError as exc:
        raise OptionError(
            "hearing speech needs tokenizers, which is not installed: pip install 'edgeai[speech]'"
        ) from exc
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as exc:  # the library raises plain Exception
        raise ModelFormatError(f"{path}: no vocabulary that can be read ({exc}): pull the weights again") from exc
