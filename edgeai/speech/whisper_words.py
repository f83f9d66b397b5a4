"""When each word is said, from Whisper's attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeai.speech.log_mel import FRAMES_PER_S
from edgeai.speech.types import Word
from edgeai.speech.whisper_tokens import TIMESTAMP_S, Piece, WhisperTokens


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says of a window that is so long."""

    pieces: tuple[Piece, ...]
    duration_s: float


def word_times(
    model: Any, encoded: Any, tokens: WhisperTokens, language: str, said: Sequence[Said]
) -> list[list[tuple[Word, ...]]]:
    """The words of each piece, with times from the beginning of the window.

    Args:
        model: CTranslate2's Whisper.
        encoded: the windows as its encoder gave them.
        tokens: its vocabulary.
        language: of all of them.
        said: of each window.
    """
    texts = [[token for piece in each.pieces for token in piece.tokens] for each in said]
    n_frames = [max(2, round(each.duration_s * FRAMES_PER_S)) for each in said]
    if not any(texts):
        return [[() for _ in each.pieces] for each in said]
    aligned = model.align(encoded, tokens.prompt(language), texts, n_frames, median_filter_width=7)
    return [_of_window(tokens, language, *each) for each in zip(said, aligned, strict=True)]


def _of_window(tokens: WhisperTokens, language: str, said: Said, aligned: Any) -> list[tuple[Word, ...]]:
    times_s = _token_times(aligned.alignments)
    probabilities = aligned.text_token_probs
    words: list[tuple[Word, ...]] = []
    at = 0
    for piece in said.pieces:
        found: list[Word] = []
        end_limit_s = min(piece.end_s, said.duration_s)
        for word in tokens.words(piece.tokens, language):
            span = slice(at, at + len(word))
            at += len(word)
            start_s, end_s = (
                float(np.clip(_at(times_s, k), piece.start_s, end_limit_s)) for k in (span.start, span.stop)
            )
            certain = float(np.clip(np.mean(probabilities[span] or [0.0]), 0.0, 1.0))
            found.append(Word(tokens.text(word), start_s, max(start_s, end_s), certain))
        words.append(tuple(found))
    return words


def _token_times(alignments: Sequence[tuple[int, int]]) -> list[float]:
    """When each token begins, by the first step of the path that stands on it."""
    times: list[float] = []
    for token, step in alignments:
        while len(times) <= token:
            times.append(step * TIMESTAMP_S)
    return times


def _at(times_s: Sequence[float], index: int) -> float:
    return times_s[min(index, len(times_s) - 1)] if times_s else 0.0
