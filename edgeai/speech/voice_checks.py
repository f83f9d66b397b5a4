"""What all voices check and report the same way."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgeai.errors import AudioError, OptionError

if TYPE_CHECKING:
    import numpy as np

    from edgeai.speech.types import Waveform

MIN_RATE, MAX_RATE = 0.5, 2.0
"""How much slower and faster than usual a voice can speak."""


def check_rate(rate: float) -> float:
    """A rate of speech that voices can keep.

    Raises:
        OptionError: it is none.
    """
    if not MIN_RATE <= rate <= MAX_RATE:  # NaN is refused too
        raise OptionError(f"rate={rate!r}: expected a number from {MIN_RATE} (slow) to {MAX_RATE} (fast), 1 is usual")
    return float(rate)


def import_engine(module: str, package: str) -> Any:
    """Import the package of a voice.

    Raises:
        OptionError: it is not installed, or cannot be loaded here.
    """
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        raise OptionError(
            f"speaking needs the package {package}, which cannot be loaded here ({exc}): "
            "install it with `pip install 'edgeai[speech]'`"
        ) from exc


def checked_waveform(samples: np.ndarray[Any, Any], voice: str, sentence: str) -> Waveform:
    """What an engine made, [n_samples], as mono float32 in -1..1.

    Raises:
        AudioError: it is empty, or not all of it is numbers.
    """
    import numpy as np

    waveform = np.asarray(samples, dtype=np.float32).reshape(-1)
    if not len(waveform) or not np.isfinite(waveform).all():
        shown = sentence if len(sentence) <= 60 else sentence[:60] + "…"
        raise AudioError(f"the voice {voice} made no sound of {shown!r}: say it in other words")
    peak = float(np.abs(waveform).max())
    return waveform / peak if peak > 1 else waveform
