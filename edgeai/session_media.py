"""What a session does with pictures and sounds: look at them, read and find things in them, hear and speak."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from edgeai.backends.base import Backend, ModelInfo
from edgeai.errors import OptionError
from edgeai.media import Medium
from edgeai.messages import Message
from edgeai.speech.engines import SpeechEngines

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from edgeai.session import Session
    from edgeai.speech.base import AudioSink, AudioSource
    from edgeai.speech.spoken import Spoken
    from edgeai.speech.types import Transcript
    from edgeai.vision.grounding import Detection, GroundingStyle
    from edgeai.vision.picture import PictureLike
    from edgeai.vision.picture_text import PictureText


class SeeHearSpeak:
    """The half of `Session` that is about pictures and sounds.

    Attributes:
        speech: the engines that transcribe and speak; `speech.release()` frees their memory.
    """

    speech: SpeechEngines
    _backend: Backend

    @property
    def info(self) -> ModelInfo:
        """What is known of the model."""
        return self._backend.info

    # --- pictures ---

    def count_picture_tokens(self, image: PictureLike | Medium) -> int:
        """How many places of the context window a picture takes; 0 where the model does not see.

        Args:
            image: a picture file, its bytes, one of Pillow's images, or a picture that was loaded.
        Raises:
            PictureError: it cannot be read, or is too large for the model.
        """
        from edgeai.vision.picture import load_picture
        from edgeai.vision.prepare import prepared

        if not self.info.sees:
            return 0
        medium = image if isinstance(image, Medium) else load_picture(image).medium
        medium = prepared(medium, self.info.architecture, self.info.n_picture_tokens)
        return len(self._backend.media_tokens(medium))

    def read_text(self, image: PictureLike) -> PictureText:
        """What is written in a picture, in reading order, with the places of its lines. The model has no part in it.

        Args:
            image: a picture file, its bytes, or one of Pillow's images.
        Raises:
            PictureError: it cannot be read.
            OptionError: the extra `ocr` is not installed.
        """
        from edgeai.vision.ocr import read_text
        from edgeai.vision.picture import load_picture

        return read_text(load_picture(image).medium)

    def detect(
        self,
        image: PictureLike,
        labels: Sequence[str],
        *,
        style: str | GroundingStyle = "auto",
        detector: str | os.PathLike[str] | None = None,
        threshold: float | None = None,
    ) -> list[Detection]:
        """Where things are in a picture, through a model that sees, or a detector. The conversation is left alone.

        Args:
            image: a picture file, its bytes, or one of Pillow's images.
            labels: what to look for: "red circle", "bolt".
            style: how the model writes boxes (edgeai/vision/grounding.toml), where it is not known for that.
            detector: the ONNX folder of an OWL-ViT, OWLv2 or Grounding DINO, which looks instead of the model.
            threshold: the least score of what a detector finds, 0..1.
        Raises:
            PictureError: it cannot be read.
            UnsupportedModalityError: the model sees no pictures.
            OptionError: labels that make no sense, or a model that is not known to say where things are.
            ModelError: the folder holds no detector that can be run.
        """
        if detector is not None:
            from edgeai.vision.onnx_detector import detect_with

            return detect_with(detector, image, labels, threshold)
        if threshold is not None:
            raise OptionError("threshold goes with detector: a model that sees gives no scores")
        from edgeai.vision.detect import detect

        return detect(cast("Session", self), image, labels, style)

    # --- speech ---

    def transcribe(
        self,
        audio: str | os.PathLike[str] | ArrayLike,
        language: str = "auto",
        *,
        sample_rate_hz: float = 16_000,
        with_words: bool = False,
        on_progress: Callable[[float], None] | None = None,
    ) -> Transcript:
        """Speech to text, in constant memory however long it is.

        Args:
            audio: a sound or video file, or samples: [n] or [n, channels], integers or floats in -1..1.
            language: that is spoken, ISO 639-1; "auto" finds it out.
            sample_rate_hz: of samples.
            with_words: with the times of words.
            on_progress: told how many seconds are heard.
        Raises:
            AudioError: it is no sound that can be read.
            ModelNotFoundError: the weights, or the extra `speech`, are not installed.
        """
        return self.speech.transcribe(
            audio, language, sample_rate_hz=sample_rate_hz, with_words=with_words, on_progress=on_progress
        )

    def speak(self, text: str | Iterable[str], language: str | None = None) -> Spoken:
        """Text to speech, sentence by sentence; a Response that is still being made will do.

        Args:
            text: English and Japanese; Markdown is read as its words.
            language: "en" or "ja" for all of it; None chooses by sentence.
        Raises:
            OptionError: no voice speaks the language.
        """
        return self.speech.speak(text, language)

    def converse(self, source: AudioSource, sink: AudioSink, **options: Any) -> None:
        """Talk by voice until the source ends: what is said there is answered through the sink.

        Args:
            source: see `edgeai.speech.base.AudioSource`: blocks of samples; no sound hardware is needed.
            sink: see AudioSink.
            options: of `edgeai.speech.converse.Conversation`: language, echo, on_event, keep_dir.
        Raises:
            AudioDeviceError: a device is gone.
            ModelNotFoundError: weights are not installed.
            OptionError: the extra `speech` is not installed, or an option makes no sense.
        """
        from edgeai.speech.converse import Conversation

        Conversation(
            cast("Session", self), source, sink, self.speech.recognizer(), self.speech.voices(), **options
        ).run()


def asked_with(
    session: SeeHearSpeak, images: Sequence[PictureLike], audio: Sequence[Any], content: str
) -> tuple[Message, str]:
    """A message with pictures and sounds, and what its answer begins with."""
    asked, preface = Message("user", content), ""
    if not isinstance(audio, (list, tuple)) or audio:
        from edgeai.speech.asked_aloud import asked_aloud

        asked = asked_aloud(audio, content, hears=session.info.hears, transcribe=session.transcribe)
    if not isinstance(images, (list, tuple)) or images:
        from edgeai.vision.ocr import read_text
        from edgeai.vision.shown import shown

        asked, preface = shown(images, asked, sees=session.info.sees, read_text=read_text)
    return asked, preface
