"""Is somebody speaking? Silero's network tells it of each 32 ms of sound."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeai.errors import AudioError, OptionError
from edgeai.speech.cutting import FRAME_SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeai.speech.types import Waveform

_CONTEXT_SAMPLES = 64  # of the frame before, which the network sees with each frame
_N_STATE = 128
_MAX_FRAMES = 1024  # at once: bounds the memory, 33 s of sound


class VoiceActivity:
    """Silero VAD 6 on one thread. It comes with faster-whisper, so nothing has to be fetched for it.

    It remembers what it heard: the frames of one sound are given in their order, and `reset` begins another.
    The network and its context: github.com/snakers4/silero-vad, MIT.
    """

    def __init__(self) -> None:
        """Load the network.

        Raises:
            OptionError: the extra `speech` is not installed.
        """
        self._session = _session(_weights())
        self.reset()

    def reset(self) -> None:
        """What comes next is the beginning of another sound."""
        self._h = np.zeros((1, 1, _N_STATE), np.float32)
        self._c = np.zeros((1, 1, _N_STATE), np.float32)
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)

    def __call__(self, frames: Waveform) -> NDArray[np.float32]:
        """Hear the next frames; many at once are quicker than one by one, and give the same.

        Args:
            frames: [n_frames * 512], 16 kHz, range -1..1.
        Returns:
            [n_frames], how probable it is that speech is heard in each.
        Raises:
            AudioError: no whole frames.
        """
        if frames.ndim != 1 or len(frames) % FRAME_SAMPLES:
            raise AudioError(
                f"frames of shape {list(frames.shape)}: expected [n * {FRAME_SAMPLES}]; keep the rest for the next call"
            )
        step = _MAX_FRAMES * FRAME_SAMPLES
        pieces = [self._heard(frames[at : at + step]) for at in range(0, len(frames), step)]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)

    def _heard(self, frames: Waveform) -> NDArray[np.float32]:
        sound = np.concatenate([self._context, frames.astype(np.float32, copy=False)])
        width = _CONTEXT_SAMPLES + FRAME_SAMPLES
        rows = np.lib.stride_tricks.sliding_window_view(sound, width)[::FRAME_SAMPLES]  # [n_frames, 576]
        inputs = {"input": np.ascontiguousarray(rows), "h": self._h, "c": self._c}
        probabilities, self._h, self._c = self._session.run(None, inputs)
        self._context = sound[-_CONTEXT_SAMPLES:]
        heard: NDArray[np.float32] = np.asarray(probabilities, np.float32).reshape(-1)
        return heard


def _weights() -> Path:
    """The network's file, found without importing the package that brings it: that would load far more."""
    spec = find_spec("faster_whisper")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else None
    if folder is None:
        raise OptionError("hearing speech needs faster-whisper, which is not installed: pip install 'edgeai[speech]'")
    found = sorted(folder.glob("assets/silero_vad_v6*.onnx"))
    if not found:
        raise OptionError(f"{folder}: it has no silero_vad_v6.onnx: pip install 'faster-whisper>=1.2,<2'")
    return found[0]


def _session(path: Path) -> Any:
    try:
        onnxruntime = import_module("onnxruntime")
    except ImportError as exc:
        raise OptionError(
            f"hearing speech needs onnxruntime, which cannot be loaded here: {exc}; reinstall it"
        ) from exc
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
