"""The Japanese voices of Kokoro 82M: a network in int8 on ONNX Runtime.

Weights and styles: hexgrad, Apache-2.0. ONNX export: kokoro-onnx by thewh1teagle, MIT.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeai.errors import AudioError, ModelFormatError, OptionError
from edgeai.machine import usable_cores
from edgeai.speech import openjtalk
from edgeai.speech.kokoro_phonemes import phonemes, pieces
from edgeai.speech.voice_checks import check_rate, checked_waveform, import_engine
from edgeai.speech.weights import weights_dir

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform

WEIGHTS = "kokoro-ja"
STYLES = ("jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo")
"""The second letter tells women (f) from men (m)."""
_MAX_PIECE = 128
"""Phonemes at once, some eight seconds. The network takes 510, and needs a GB of memory for them."""
_MAX_THREADS = 4
_N_STYLE = 256
_QUIET = 0.01
_LEAD_S, _PAUSE_S = 0.03, 0.3
"""How much of the silence before and after the words is kept."""


class KokoroVoice:
    """A Japanese voice. Its dictionary and weights are loaded by the first sentence."""

    language = "ja"
    sample_rate_hz = 24_000

    def __init__(self, style: str = STYLES[0], *, rate: float = 1.0, n_threads: int | None = None) -> None:
        """Choose a voice.

        Args:
            style: one of STYLES.
            rate: 0.5 (slow) to 2.0 (fast).
            n_threads: None takes all cores, up to four: more do not help.
        Raises:
            OptionError: there is no such style, or the rate makes no sense.
        """
        if style not in STYLES:
            raise OptionError(f"style={style[:40]!r}: Kokoro has no such voice: choose one of {', '.join(STYLES)}")
        self.name = f"kokoro-{style}"
        self._style = style
        self._rate = check_rate(rate)
        self._n_threads = n_threads or min(usable_cores(), _MAX_THREADS)
        self._network: _Network | None = None
        self._lock = threading.Lock()

    def load(self) -> None:
        """See Voice: a word is spoken, as the first one takes longest."""
        if self._network is None:
            self.synthesize("はい。")

    def synthesize(self, sentence: str) -> Waveform:
        """Speak one sentence, in words that can be read out; [n_samples], mono, range -1..1.

        Raises:
            OptionError: a package is missing.
            ModelNotFoundError: the weights are not installed.
            ModelFormatError: they cannot be read.
            AudioError: there is nothing in the sentence that can be spoken.
        """
        import numpy as np

        frontend = import_engine("pyopenjtalk", openjtalk.PACKAGE)
        with self._lock:
            network = self._network or _Network(weights_dir(WEIGHTS), self._style, self._n_threads)
            self._network = network
        text = phonemes(frontend.run_frontend(sentence, **openjtalk.FRONTEND))
        spoken = [network.speak(piece, self._rate) for piece in pieces(text, _MAX_PIECE)]
        return checked_waveform(np.concatenate([*spoken, np.zeros(0, np.float32)]), self.name, sentence)

    def close(self) -> None:
        """Free its memory. May be called twice."""
        self._network = None


class _Network:
    """The weights, and one style."""

    def __init__(self, folder: Path, style: str, n_threads: int) -> None:
        import numpy as np

        onnxruntime = import_engine("onnxruntime", "onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = n_threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the language model needs the cores
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        try:
            with np.load(folder / "voices_ja.npz", allow_pickle=False) as styles:
                self._style = styles[style].reshape(-1, _N_STYLE).astype(np.float32)  # [n_lengths, 256]
            self._ids: dict[str, int] = json.loads((folder / "vocab.json").read_text("utf-8"))["vocab"]
            self._session: Any = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:  # ONNX Runtime's errors have no class in common
            command = f"edgeai models pull {folder.name} --force"
            raise ModelFormatError(f"{folder}: no weights of Kokoro that can be read ({exc}): `{command}`") from exc

    def speak(self, text: str, rate: float) -> Waveform:
        """Phonemes, at most 510, as sound at 24 kHz with little silence around it; [n_samples]."""
        import numpy as np

        ids = [self._ids[phoneme] for phoneme in text if phoneme in self._ids]
        if not ids:
            return np.zeros(0, np.float32)
        inputs = {
            "tokens": np.array([[0, *ids, 0]], np.int64),
            "style": self._style[None, min(len(ids), len(self._style)) - 1],  # [1, 256], the one for this length
            "speed": np.array([rate], np.float32),
        }
        try:
            waveform = np.asarray(self._session.run(None, inputs)[0], np.float32).reshape(-1)
        except Exception as exc:  # as above
            raise AudioError(f"the voice {WEIGHTS} made no sound ({exc}): say it in other words") from exc
        return _trimmed(waveform)


def _trimmed(waveform: Waveform) -> Waveform:
    import numpy as np

    (heard,) = np.nonzero(np.abs(waveform) > _QUIET)
    if not len(heard):
        return waveform
    hz = KokoroVoice.sample_rate_hz
    return waveform[max(0, heard[0] - round(_LEAD_S * hz)) : heard[-1] + round(_PAUSE_S * hz)]
