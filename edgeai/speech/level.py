"""How loud a sound is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

_CLIPPED = 0.999
_SILENT_DBFS = -60.0


@dataclass(frozen=True, slots=True)
class Level:
    """The level of a sound.

    Attributes:
        peak: of the samples' magnitudes, 0..1.
        rms: root of the mean square, 0..1.
        clipped_share: of the samples, those at full scale, 0..1.
    """

    peak: float = 0.0
    rms: float = 0.0
    clipped_share: float = 0.0

    @property
    def peak_dbfs(self) -> float:
        """-inf for digital silence."""
        return _dbfs(self.peak)

    @property
    def rms_dbfs(self) -> float:
        """Against the amplitude of full scale: a full sine has -3. -inf for digital silence."""
        return _dbfs(self.rms)

    @property
    def is_silent(self) -> bool:
        """Quieter than any room is to a microphone that works."""
        return self.peak_dbfs < _SILENT_DBFS


def level(waveform: Waveform) -> Level:
    """The level of [n_samples] in -1..1."""
    import numpy as np

    if not len(waveform):
        return Level()
    magnitudes = np.abs(waveform, dtype=np.float64)
    return Level(
        peak=float(magnitudes.max()),
        rms=float(np.sqrt(np.mean(magnitudes**2))),
        clipped_share=float(np.mean(magnitudes >= _CLIPPED)),
    )


def _dbfs(amplitude: float) -> float:
    return 20 * math.log10(amplitude) if amplitude else -math.inf
