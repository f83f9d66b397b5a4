"""Who hears in the speech benchmarks: ours, faster-whisper, and the engine called bare. Each in a process of its own,
on the same weights (int8), with the same threads, greedily."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgeai.speech.types import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

WEIGHTS = "whisper-base"
OURS, OURS_LONG = "edgeai, recognize", "edgeai, transcribe"
FASTER, FASTER_VAD, FASTER_BATCHED = "faster-whisper", "faster-whisper, VAD filter", "faster-whisper, batched"
BARE, BARE_SHORT = "engine, 30 s windows", "engine, short windows"
_SHORT_S, _BEHIND_S = 15.0, 5.0  # what `recognize` shows the encoder: so much at least, so much silence at its end

Hear = Callable[["Waveform", str], str]


class Answer(NamedTuple):
    """What was heard, and how long it took."""

    text: str
    seconds: float


Hearer = Callable[["Waveform", str], Answer]


def ours(folder: Path, n_threads: int) -> Hear:
    """A waveform of up to 30 s as it is, which is how a conversation is heard."""
    from edgeai.speech.whisper import WhisperRecognizer

    recognizer = WhisperRecognizer(folder, n_threads=n_threads)
    return lambda waveform, language: _joined(recognizer.recognize([waveform], language)[0].segments, language)


def ours_long(folder: Path, n_threads: int) -> Hear:
    """A sound of any length, as `Session.transcribe` hears it."""
    from edgeai.speech.transcribe import transcribe
    from edgeai.speech.vad import VoiceActivity
    from edgeai.speech.whisper import WhisperRecognizer

    recognizer, voice = WhisperRecognizer(folder, n_threads=n_threads), VoiceActivity()
    return lambda waveform, language: transcribe(waveform, recognizer, language, voice=voice).text


def faster(folder: Path, n_threads: int, **options: Any) -> Hear:
    """faster-whisper, with its defaults where nothing else is said."""
    from faster_whisper import WhisperModel

    peer = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=n_threads)

    def hear(waveform: Waveform, language: str) -> str:
        segments, _ = peer.transcribe(waveform, language=language, beam_size=1, **options)
        return _joined(segments, language)

    return hear


def faster_vad(folder: Path, n_threads: int) -> Hear:
    """The same, which hears what its voice-activity detector lets through."""
    return faster(folder, n_threads, vad_filter=True)


def faster_batched(folder: Path, n_threads: int) -> Hear:
    """faster-whisper's quickest way with long sounds."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    peer = BatchedInferencePipeline(WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=n_threads))

    def hear(waveform: Waveform, language: str) -> str:
        segments, _ = peer.transcribe(waveform, language=language, beam_size=1)
        return _joined(segments, language)

    return hear


def bare(folder: Path, n_threads: int, *, is_short: bool = False) -> Hear:
    """CTranslate2's Whisper, called once a waveform, with faster-whisper's features and our prompt."""
    import ctranslate2
    import numpy as np
    from faster_whisper.audio import pad_or_trim
    from faster_whisper.feature_extractor import FeatureExtractor

    from edgeai.speech.whisper_tokens import WhisperTokens

    engine = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="int8", intra_threads=n_threads)
    extract = FeatureExtractor(feature_size=engine.n_mels)
    tokens = WhisperTokens(folder, is_multilingual=engine.is_multilingual)

    def hear(waveform: Waveform, language: str) -> str:
        seconds = max(_SHORT_S, len(waveform) / SAMPLE_RATE_HZ + _BEHIND_S) if is_short else 30.0
        features = pad_or_trim(extract(waveform), 2 * round(50 * min(seconds, 30.0)))[None]
        encoded = engine.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(features)))
        result = engine.generate(encoded, [tokens.prompt(language)], beam_size=1)[0]
        return tokens.text(result.sequences_ids[0])

    return hear


def bare_short(folder: Path, n_threads: int) -> Hear:
    """The same with as little silence in the encoder's window as ours has."""
    return bare(folder, n_threads, is_short=True)


LOADERS: dict[str, Callable[[Path, int], Hear]] = {
    OURS: ours,
    OURS_LONG: ours_long,
    FASTER: faster,
    FASTER_VAD: faster_vad,
    FASTER_BATCHED: faster_batched,
    BARE: bare,
    BARE_SHORT: bare_short,
}

_loaded: list[Hear] = []  # in the process of a hearer: itself


@contextmanager
def hearers(names: Sequence[str], n_threads: int) -> Iterator[dict[str, Hearer]]:
    """Start them."""
    with ExitStack() as stack:
        pools = {
            name: stack.enter_context(
                ProcessPoolExecutor(1, get_context("spawn"), initializer=_load, initargs=(name, n_threads))
            )
            for name in names
        }
        yield {name: _hearer(pool) for name, pool in pools.items()}


def _hearer(pool: ProcessPoolExecutor) -> Hearer:
    return lambda waveform, language: pool.submit(_hear, waveform, language).result()


def _load(name: str, n_threads: int) -> None:
    from edgeai.speech.weights import weights_dir

    _loaded.append(LOADERS[name](weights_dir(WEIGHTS), n_threads))


def _hear(waveform: Waveform, language: str) -> Answer:
    started = time.perf_counter()
    text = _loaded[0](waveform, language)
    return Answer(text, time.perf_counter() - started)


def _joined(segments: Any, language: str) -> str:
    return ("" if language == "ja" else " ").join(segment.text.strip() for segment in segments)
