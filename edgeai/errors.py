"""Every error that edgeai raises.

    EdgeAIError
    ├─ ModelError
    │  ├─ ModelNotFoundError (FileNotFoundError)
    │  ├─ ModelFormatError (ValueError)
    │  ├─ ModelTooLargeError (MemoryError)
    │  └─ UnsupportedModalityError (ValueError)
    ├─ OptionError (ValueError)
    ├─ ChatTemplateError (ValueError)
    ├─ SchemaError (ValueError)
    ├─ ContextOverflowError (ValueError)
    ├─ GenerationError (RuntimeError)
    │  ├─ EngineCrashedError
    │  └─ SessionClosedError
    ├─ DocumentError (ValueError)
    ├─ MediaError (ValueError)
    │  ├─ AudioError
    │  └─ PictureError
    ├─ AudioDeviceError (OSError)
    ├─ HistoryError (OSError)
    ├─ PullError (OSError)
    ├─ OfflineError (OSError)
    └─ QuantizeError
       ├─ UnsupportedArchitectureError (ValueError)
       ├─ UnsupportedBitsError (ValueError)
       └─ CheckpointError (ValueError)

A message names the path or value, what was expected, and what to do next, in one line.
"""

from __future__ import annotations


class EdgeAIError(Exception):
    """The base of all errors of this library."""


class ModelError(EdgeAIError):
    """Something is wrong with a model or its file."""


class ModelNotFoundError(ModelError, FileNotFoundError):
    """No model of this name is installed, or no file is at this path."""


class ModelFormatError(ModelError, ValueError):
    """The file is not a model that we can read: wrong magic, truncated, corrupted or of an unknown kind."""


class ModelTooLargeError(ModelError, MemoryError):
    """The model does not fit into the memory that is free. The message says what would."""


class UnsupportedModalityError(ModelError, ValueError):
    """The model cannot take this kind of input (pictures, sound, tools)."""


class OptionError(EdgeAIError, ValueError):
    """A load or sampling option has a value that makes no sense."""


class ChatTemplateError(EdgeAIError, ValueError):
    """The model has no chat template, or its template is broken or hostile."""


class SchemaError(EdgeAIError, ValueError):
    """A JSON Schema, or a tool's signature, that cannot be turned into a grammar."""


class ContextOverflowError(EdgeAIError, ValueError):
    """The prompt does not fit into the context window.

    Attributes:
        n_prompt: tokens of the prompt.
        n_ctx: tokens of the context window.
    """

    def __init__(self, n_prompt: int, n_ctx: int) -> None:
        super().__init__(
            f"the prompt has {n_prompt:,} tokens and the context window holds n_ctx = {n_ctx:,}: "
            'shorten it, open the session with a larger n_ctx, or choose overflow="trim" to drop the oldest turns'
        )
        self.n_prompt = n_prompt
        self.n_ctx = n_ctx


class GenerationError(EdgeAIError, RuntimeError):
    """The engine failed while it evaluated or generated."""


class EngineCrashedError(GenerationError):
    """The engine's process crashed, hung or was killed. The text made so far stays; the next call starts a new one.

    Attributes:
        doing: what it was doing.
        end: how it ended, in words.
        signal: the signal that ended it (`SIGSEGV`, `SIGABRT`, `SIGKILL` …), or None.
        exit_code: its exit code, where no signal ended it.
        log: the last lines that it logged, oldest first.
        hung_s: it was ended because it had made no progress for so many seconds; None where it ended by itself.
    """

    def __init__(
        self,
        *,
        doing: str,
        signal: str | None = None,
        exit_code: int | None = None,
        log: tuple[str, ...] = (),
        last_words: str = "",
        hung_s: float | None = None,
        broken: str | None = None,
    ) -> None:
        """`last_words`: the line of the log that matters; `broken`: what was wrong with a message that it sent."""
        if broken is not None:
            end = f"sent what cannot be ({broken}) and was ended while it was {doing}"
        elif hung_s is not None:
            end = f"made no progress for {hung_s:g} s and was ended while it was {doing}"
        elif signal == "SIGKILL":
            end = f"was killed (SIGKILL: memory may have run out) while it was {doing}"
        else:
            end = f"crashed ({signal or f'exit code {exit_code}'}) while it was {doing}"
        self.end = end
        words = f"; its last words: {last_words}" if last_words else ""
        super().__init__(f"the engine {end}: the next question starts a new engine{words}")
        self.doing = doing
        self.signal = signal
        self.exit_code = exit_code
        self.log = log
        self.hung_s = hung_s


class SessionClosedError(GenerationError):
    """The session was closed and cannot be used any more."""


class DocumentError(EdgeAIError, ValueError):
    """A document cannot be read: missing, encrypted, damaged, of an unknown kind, or too large.

    Attributes:
        needs_password: it is encrypted, and another password may open it.
    """

    def __init__(self, *args: object, needs_password: bool = False) -> None:
        super().__init__(*args)
        self.needs_password = needs_password


class MediaError(EdgeAIError, ValueError):
    """A picture, sound or video cannot be read."""


class AudioError(MediaError):
    """A sound file cannot be read, or a waveform is not what was expected."""


class PictureError(MediaError):
    """A picture cannot be read, or is too large."""


class AudioDeviceError(EdgeAIError, OSError):
    """A microphone or speaker is missing, busy, unplugged, or cannot do what was asked; or there is no PortAudio."""


class HistoryError(EdgeAIError, OSError):
    """The conversation store could not be read or written (disk full, read-only, corrupted)."""


class PullError(EdgeAIError, OSError):
    """A model could not be fetched: no network, wrong checksum, missing extra."""


class OfflineError(EdgeAIError, OSError):
    """Something tried to reach another machine, and edgeai works offline."""


class QuantizeError(EdgeAIError):
    """A checkpoint could not be turned into an artifact."""


class UnsupportedArchitectureError(QuantizeError, ValueError):
    """The checkpoint's architecture is not known. The message lists those that are."""


class UnsupportedBitsError(QuantizeError, ValueError):
    """No type has so many bits. The message offers the nearest."""


class CheckpointError(QuantizeError, ValueError):
    """The checkpoint is incomplete, damaged or hostile. The message names the file and the key or tensor."""
