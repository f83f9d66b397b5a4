"""Session: one assistant on one model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, get_args

from edgeai.answer import Answer, Job, ProgressCallback
from edgeai.backends.base import Backend
from edgeai.context_window import ContextWindow, Prompt
from edgeai.documents.types import Document, OcrMode
from edgeai.engine.load import Loaded, load
from edgeai.errors import (
    ContextOverflowError,
    OptionError,
    UnsupportedModalityError,
)
from edgeai.messages import Message, MessageLike, to_message
from edgeai.options import LoadOptions, Overflow, SamplingOptions, make_options
from edgeai.response import Outcome, Response
from edgeai.session_media import SeeHearSpeak, asked_with
from edgeai.session_scoring import Classifies
from edgeai.sources import Source, Sources
from edgeai.speech.engines import SpeechEngines
from edgeai.structured import OutputFormat
from edgeai.tools import ToolBox
from edgeai.turns import Turns

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from edgeai.vision.picture import PictureLike


class Session(SeeHearSpeak, Classifies):
    """One assistant: a loaded model, one conversation, one KV cache.

    Calls from several threads are served one after the other. A call returns as soon as its prompt is known to be
    good; the answer is made in a thread of its own, whether it is read or not.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        system: str | None = None,
        overflow: Overflow = "error",
        chat_template: str | None = None,
        backend: Backend | None = None,
        on_load_progress: Callable[[float], None] | None = None,
        **load_options: Any,
    ) -> None:
        """Load a model.

        Args:
            model: a name (`edgeai models` lists them), a .gguf file or a folder; None takes the default.
            system: the system message the conversation starts with; without one the catalog may know a good one for
                the model, "" is none at all.
            overflow: what to do with a prompt that does not fit: raise ("error") or drop the oldest turns ("trim").
            chat_template: Jinja source instead of the model's own; "plain" for a simple one, for models without.
            backend: an already loaded backend; for tests and for engines of your own.
            on_load_progress: told the share that is loaded, 0..1.
            load_options: fields of LoadOptions: n_ctx, n_threads, type_k, isolation, …

        Raises:
            ModelError: no such model, not a model, or too large; see edgeai.errors.
            OptionError: an unknown option, or a value that makes no sense.
            EngineCrashedError: the engine crashed or hung while it loaded the model.
        """
        options = make_options(LoadOptions, load_options)
        self.overflow = _checked_overflow(overflow)
        loaded = Loaded(backend, backend.info.name) if backend else load(model, options, on_load_progress)
        self.model_name = loaded.name
        self.load_ms = loaded.load_ms
        self._backend, self._check_scoring = loaded.backend, loaded.check_scoring
        self._sampling = dict(loaded.sampling)
        self._keeps = options.keep_states
        self._system = system
        self._default_system = loaded.system if chat_template is None else ""
        self._messages: list[Message] = []
        self._sources = self._latest = Sources()  # the conversation's, and those of the last call
        self._template_source = chat_template
        self._window: ContextWindow | None = None
        self._turns = Turns(self._backend, self.load_ms)
        self.speech = SpeechEngines()
        self.reset()

    # --- what it is ---

    @property
    def n_ctx(self) -> int:
        """The context window, tokens."""
        return self._backend.info.n_ctx

    @property
    def n_evaluated(self) -> int:
        """Tokens of the context window in use."""
        return self._backend.n_evaluated

    @property
    def engine_pid(self) -> int:
        """The number of the process that computes: the engine's, or this one's with isolation="none"."""
        return getattr(self._backend, "pid", os.getpid())

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has, without any template."""
        return len(self._backend.tokenize(text))

    # --- the conversation ---

    @property
    def messages(self) -> list[Message]:
        """The conversation, a copy; assign a list to replace it. What stays the same is not evaluated again."""
        return list(self._messages)

    @messages.setter
    def messages(self, messages: Iterable[MessageLike]) -> None:
        self._messages = [to_message(message) for message in messages]

    def reset(self) -> None:
        """Start anew, with the system message of the beginning."""
        self._messages = [] if self._system is None else [Message("system", self._system)]
        self.documents = ()

    @property
    def documents(self) -> tuple[Source, ...]:
        """What the conversation is about; assign to replace it."""
        return self._sources.all

    @documents.setter
    def documents(self, documents: Iterable[Source]) -> None:
        self._sources = self._sources_of(documents)

    def load_document(
        self, path: str | os.PathLike[str], *, password: str | None = None, ocr: OcrMode = "auto"
    ) -> Document:
        """Read a file, in a sandboxed process of its own: PDF, Word, web page, text … Give it to `chat` then.

        With keep_states=True its text is kept on the disk as well.

        Args:
            path: the file.
            password: of an encrypted PDF.
            ocr: pages of a PDF whose text is recognised: those without any where the extra `ocr` is installed ("auto"),
                all ("always"), or none ("never").
        Raises:
            DocumentError: it cannot be read.
            OptionError: `ocr` is "always", and the extra is not installed.
        """
        from edgeai.documents.read import read_document

        return read_document(path, password=password, keep=self._keeps, ocr=ocr)

    def chat(
        self,
        content: str | None = None,
        *,
        messages: Iterable[MessageLike] | None = None,
        images: Sequence[PictureLike] = (),
        audio: Sequence[str | os.PathLike[str] | ArrayLike] = (),
        overflow: Overflow | None = None,
        response_format: Any = None,
        tools: Sequence[Callable[..., Any]] | None = None,
        run_tools: bool = False,
        documents: Iterable[Source] | None = None,
        on_progress: ProgressCallback | None = None,
        **sampling: Any,
    ) -> Response:
        """Answer.

        Args:
            content: the user's next message; the conversation goes on with it and with the answer. Without it (and
                without `messages`) the conversation is answered as it stands.
            messages: a whole conversation instead; the session's own is left alone.
            images: what the user shows, before `content`: picture files, their bytes, or Pillow's images. A model that
                sees (`info.sees`) gets the pictures; another gets what is written in them, and the answer says so.
            audio: what the user says or plays, before `content`: sound files, or samples at 16 kHz. A model that hears
                (`info.hears`) gets the sounds; for another they are transcribed, and their words stand in the message.
            overflow: for this call instead of the session's.
            response_format: a JSON Schema (dict or JSON text), a pydantic model or a compiled regular expression that
                the answer must follow.
            tools: functions the model may ask for; their schemas come from their signatures and docstrings.
            run_tools: run the calls and let the model go on with the results, at most MAX_TOOL_ROUNDS times;
                otherwise they are returned in `response.tool_calls`.
            documents: what the conversation is about from now on: documents that were loaded, and libraries. They stand
                whole before it, where they fit; with keep_states=True they are then evaluated once on this machine,
                however often they are opened. Of longer ones, the passages that the question finds. The answer's
                statements get marks such as `[manual.pdf p. 12]`: see `Response.citations`.
            on_progress: told how far the prompt is evaluated, in the thread that makes the answer.
            sampling: fields of SamplingOptions: temperature, max_tokens, stop, seed, …

        Returns:
            The answer, being made.

        Raises:
            ContextOverflowError: the prompt does not fit and overflow is "error", or its last turn alone does not fit.
            ChatTemplateError: the model has no usable chat template.
            OptionError: an unknown option, or a value that makes no sense.
            AudioError: a sound cannot be read, or nothing is said in it that a model without ears could read.
            PictureError: a picture cannot be read.
            UnsupportedModalityError: nothing is written in a picture that a model without eyes could read.
            SchemaError: response_format or a tool cannot be described to the model.
        """
        if content is not None and messages is not None:
            raise OptionError("chat() takes content or messages=, not both")
        job = Job(
            options=self._options(sampling),
            overflow=_checked_overflow(overflow or self.overflow),
            output=OutputFormat(response_format) if response_format is not None else None,
            tools=ToolBox(tools) if tools else None,
            run_tools=run_tools,
            on_progress=on_progress,
            keep=messages is None,
        )
        wanted = None if documents is None else _checked_documents(documents)
        asked = None if content is None else Message("user", content)
        if any(not isinstance(given, (list, tuple)) or given for given in (images, audio)):
            if messages is not None:
                raise OptionError(
                    "chat() takes images and audio or messages=, not both: a Message may have media of its own"
                )
            asked, job.preface = asked_with(self, images, audio, content or "")

        def prepare() -> None:
            own = self._messages if messages is None else [to_message(message) for message in messages]
            job.messages = [*own, asked] if asked is not None else list(own)
            if not job.messages:
                raise OptionError("the conversation is empty: give chat() a message to answer")
            sources = self._sources if wanted is None else self._sources_of(wanted)
            job.prompt, job.ground = sources.prompt(
                self._chat_window(job.tools is not None),
                job.messages,
                self.count_tokens,
                tools=job.tools.schemas if job.tools else None,
                overflow=job.overflow,
                max_tokens=job.options.max_tokens,
            )
            if wanted is not None:
                self._latest = sources
                if job.keep:
                    self._sources = sources

        return self._start(job, prepare)

    def complete(
        self,
        prompt: str,
        *,
        parse_special: bool = False,
        response_format: Any = None,
        on_progress: ProgressCallback | None = None,
        **sampling: Any,
    ) -> Response:
        """Continue raw text, without a template and without the conversation.

        Args:
            prompt: any text.
            parse_special: read control tokens such as `<|im_start|>` in it; leave it off for text from outside.
            response_format: as for `chat`.
            on_progress: as for `chat`.
            sampling: fields of SamplingOptions.

        Raises:
            ContextOverflowError: the prompt does not fit.
        """
        output = OutputFormat(response_format) if response_format is not None else None
        job = Job(options=self._options(sampling), output=output, on_progress=on_progress)

        def prepare() -> None:
            tokens = self._backend.tokenize(prompt, add_special=True, parse_special=parse_special)
            if not tokens:
                raise OptionError("the prompt is empty: expected at least one token")
            if len(tokens) >= self.n_ctx:
                raise ContextOverflowError(len(tokens), self.n_ctx)
            job.prompt = Prompt(tokens)

        return self._start(job, prepare)

    def close(self) -> None:
        """Stop what is being generated and free the model's memory. May be called twice."""
        self.speech.release()
        self._turns.close()
        self._sources.close()
        self._latest.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- how an answer is made ---

    def _sources_of(self, documents: Iterable[Source]) -> Sources:
        """The same object for the same documents: it knows what it has cut and indexed."""
        documents = tuple(documents)
        known = (sources for sources in (self._sources, self._latest) if sources.all == documents)
        return next(known, None) or Sources(documents)

    def _options(self, sampling: dict[str, Any]) -> SamplingOptions:
        return make_options(SamplingOptions, {**self._sampling, **sampling})

    def _chat_window(self, with_tools: bool) -> ContextWindow:
        if self._window is None:
            self._window = ContextWindow(self._backend, self._template, self._default_system)
        if with_tools and not self._template.supports_tools:
            raise UnsupportedModalityError(f"{self.model_name}: its chat template has no place for tools")
        return self._window

    def _start(self, job: Job, prepare: Callable[[], None]) -> Response:
        def prepared() -> tuple[Message, ...]:
            prepare()
            return job.prompt.dropped

        def make(response: Response, outcome: Outcome) -> None:
            new = Answer(self._backend, self._window if job.messages else None, job, response).make(outcome)
            if job.keep and new:
                self._messages = [*job.messages, *new]

        return self._turns.start(prepared, make)


def _checked_documents(documents: Iterable[Source]) -> tuple[Source, ...]:
    if isinstance(documents, Document):
        raise OptionError("documents is one Document: expected a list of them, documents=[document]")
    return tuple(documents)


def _checked_overflow(value: str) -> Overflow:
    if value not in get_args(Overflow):
        raise OptionError(f'overflow = {value!r}: expected "error" or "trim"')
    return value  # type: ignore[return-value]
