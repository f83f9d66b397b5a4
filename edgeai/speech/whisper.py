"""Whisper on CTranslate2, in int8."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeai.errors import AudioError, ModelFormatError, ModelNotFoundError, OptionError
from edgeai.speech.base import MAX_WINDOW_S, Recognized
from edgeai.speech.log_mel import FRAMES_PER_S, log_mel
from edgeai.speech.types import SAMPLE_RATE_HZ, Segment, Word
from edgeai.speech.whisper_answer import ATTEMPTS, Answer, Attempt, Window
from edgeai.speech.whisper_tokens import Piece, WhisperTokens
from edgeai.speech.whisper_words import Said, word_times

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeai.speech.types import Waveform

# The encoder was trained on 30 s: speech, and silence behind it. Most of that silence can be left out, which saves most
# of the work where somebody says a sentence. Without any, it repeats itself.
_SILENCE_S = 5.0
_TOKENS, _TOKENS_PER_S, _MAX_TOKENS = 24, 20, 224  # nobody speaks faster; Whisper itself ends at 224
_BATCH = 4
_MAX_WORKERS = 2
_FILES = ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt")


class WhisperRecognizer:
    """Whisper of any size. It hears all the languages of its weights, or English alone."""

    def __init__(self, folder: Path, *, n_threads: int = 2) -> None:
        """Load weights.

        Args:
            folder: model.bin of CTranslate2, config.json, tokenizer.json, vocabulary.txt; its name is the recognizer's.
            n_threads: more than there are cores is slower.
        Raises:
            ModelNotFoundError: one of the files is not there.
            ModelFormatError: they cannot be read.
            OptionError: the extra `speech` is not installed.
        """
        for name in _FILES:
            if not (folder / name).is_file():
                raise ModelNotFoundError(
                    f"{folder / name}: not there; expected weights of Whisper: `edgeai models pull {folder.name}`"
                )
        self.name = folder.name
        # One call keeps two cores busy for three quarters of the time: what it does token by token cannot be shared.
        self.n_workers = min(n_threads, _MAX_WORKERS)
        self._ctranslate2 = _ctranslate2()
        try:
            self._model: Any = self._ctranslate2.models.Whisper(
                str(folder),
                device="cpu",
                compute_type="int8",
                intra_threads=n_threads,
                inter_threads=self.n_workers,
            )
        except (RuntimeError, ValueError) as exc:
            raise ModelFormatError(
                f"{folder}: no weights of Whisper that can be read ({exc}): pull them again"
            ) from exc
        self._tokens = WhisperTokens(folder, is_multilingual=self._model.is_multilingual)
        self.languages = self._tokens.languages

    def recognize(
        self, waveforms: Sequence[Waveform], language: str | None = None, *, with_words: bool = False
    ) -> list[Recognized]:
        """Hear what is said in each waveform.

        Args:
            waveforms: [n_samples] each, 16 kHz, at most MAX_WINDOW_S long; several are quicker together.
            language: ISO 639-1; None finds it out for each.
            with_words: tell the times of words too.
        Raises:
            OptionError: it does not know the language, or was closed.
            AudioError: a waveform is too long, or none.
        """
        self._check(waveforms, language)
        languages = [language or self.languages[0]] * len(waveforms)
        segments: list[list[Segment]] = [[] for _ in waveforms]
        waiting = [Window(index, 0.0, waveform) for index, waveform in enumerate(waveforms) if np.any(waveform)]
        n_together = 1 if with_words and language is None else _BATCH  # words are aligned in one language
        while waiting:
            batch, waiting = _next_batch(waiting, n_together)
            for window, answer in zip(batch, self._hear(batch, language, with_words=with_words), strict=True):
                if not window.judge(answer):
                    waiting.append(window)
                    continue
                if window.best is not None:
                    languages[window.index] = window.best.language
                    segments[window.index] += window.best.segments
                waiting += window.rest()
        in_order = (tuple(sorted(found, key=lambda segment: segment.start_s)) for found in segments)
        return [Recognized(*each) for each in zip(languages, in_order, strict=True)]

    def close(self) -> None:
        """Free its memory. May be called twice."""
        if self._model is not None:
            self._model.unload_model()
            self._model = None

    def _check(self, waveforms: Sequence[Waveform], language: str | None) -> None:
        if self._model is None:
            raise OptionError(f"the recognizer {self.name} was closed: load it again")
        if language is not None and language not in self.languages:
            n = len(self.languages)
            known = f"one of {n}, like en and ja" if n > 1 else f"{self.languages[0]}, which is all that it knows"
            raise OptionError(f"language={language!r}: {self.name} does not know it; expected {known}")
        for waveform in waveforms:
            if waveform.ndim != 1 or len(waveform) > MAX_WINDOW_S * SAMPLE_RATE_HZ:
                raise AudioError(
                    f"a waveform of shape {list(waveform.shape)}: expected [n_samples] of at most {MAX_WINDOW_S:g} s "
                    "at 16 kHz; cut it at a pause"
                )

    def _hear(self, batch: Sequence[Window], language: str | None, *, with_words: bool) -> list[Answer]:
        """Each window's answer, all at once."""
        attempt = ATTEMPTS[batch[0].n_tried]
        encoded = self._model.encode(self._ctranslate2.StorageView.from_array(self._features(batch, attempt)))
        languages = self._languages(encoded, language, len(batch))
        results = self._generate(encoded, languages, attempt, max(window.duration_s for window in batch))
        said: list[Said] = []
        heard_s: list[float] = []
        for window, result in zip(batch, results, strict=True):
            pieces, until_s = self._tokens.pieces(result.sequences_ids[0], window.duration_s)
            # Behind the window there is nothing but silence, and what is said there is made up.
            within = tuple(piece for piece in pieces if piece.start_s < window.duration_s)
            said.append(Said(within, window.duration_s))
            heard_s.append(until_s)
        words = word_times(self._model, encoded, self._tokens, languages[0], said) if with_words else None
        return [
            Answer(
                language=languages[at],
                segments=tuple(self._segments(window, said[at].pieces, languages[at], words[at] if words else None)),
                text=self._tokens.text(result.sequences_ids[0]),
                log_probability=_mean(result),
                no_speech=result.no_speech_prob,
                heard_s=heard_s[at],
            )
            for at, (window, result) in enumerate(zip(batch, results, strict=True))
        ]

    def _features(self, batch: Sequence[Window], attempt: Attempt) -> NDArray[np.float32]:
        """[n_windows, n_mels, n_frames], as few frames as will do."""
        longest_s = max(window.duration_s for window in batch)
        context_s = min(MAX_WINDOW_S, max(attempt.context_s, longest_s + _SILENCE_S))
        n_frames = 2 * round(FRAMES_PER_S * context_s / 2)  # the encoder takes them in pairs
        return np.stack([log_mel(window.waveform, n_frames, self._model.n_mels) for window in batch])

    def _languages(self, encoded: Any, language: str | None, n: int) -> list[str]:
        if language is not None or len(self.languages) == 1:
            return [language or self.languages[0]] * n
        return [found[0][0].removeprefix("<|").removesuffix("|>") for found in self._model.detect_language(encoded)]

    def _generate(self, encoded: Any, languages: Sequence[str], attempt: Attempt, longest_s: float) -> Any:
        prompts = [self._tokens.prompt(language) for language in languages]
        n_tokens = min(_MAX_TOKENS, _TOKENS + round(_TOKENS_PER_S * longest_s))
        self._ctranslate2.set_random_seed(0)  # the same sound gives the same text
        return self._model.generate(
            encoded,
            prompts,
            beam_size=1,
            sampling_topk=0 if attempt.temperature else 1,
            sampling_temperature=attempt.temperature or 1.0,
            max_length=len(prompts[0]) + n_tokens,
            return_scores=True,
            return_no_speech_prob=True,
        )

    def _segments(
        self, window: Window, pieces: Sequence[Piece], language: str, words: Sequence[tuple[Word, ...]] | None
    ) -> list[Segment]:
        """With times from the beginning of the waveform; those without a letter or digit say nothing."""
        segments: list[Segment] = []
        for at, piece in enumerate(pieces):
            text = self._tokens.text(piece.tokens).strip()
            if any(map(str.isalnum, text)):
                start_s, end_s = window.start_s + piece.start_s, window.start_s + min(piece.end_s, window.duration_s)
                moved = tuple(_moved(word, window.start_s) for word in words[at]) if words else ()
                segments.append(Segment(text, start_s, end_s, language, moved))
        return segments


def _moved(word: Word, by_s: float) -> Word:
    return Word(word.text, word.start_s + by_s, word.end_s + by_s, word.probability)


def _mean(result: Any) -> float:
    """The mean logarithm of the tokens' probabilities; CTranslate2 leaves the last token out when it divides."""
    n_tokens = len(result.sequences_ids[0])
    return float(result.scores[0]) * n_tokens / (n_tokens + 1)


def _next_batch(waiting: list[Window], n_together: int) -> tuple[list[Window], list[Window]]:
    """Windows that are heard together, and the others: of one attempt, and about as long."""
    first = waiting[0].n_tried
    same = sorted((window for window in waiting if window.n_tried == first), key=lambda window: window.duration_s)
    batch = same[:n_together]
    return batch, [window for window in waiting if not any(window is taken for taken in batch)]


def _ctranslate2() -> Any:
    try:
        import ctranslate2
    except ImportError as exc:
        raise OptionError(
            f"hearing speech needs ctranslate2, which cannot be loaded here ({exc}): pip install 'edgeai[speech]'"
        ) from exc
    return ctranslate2
