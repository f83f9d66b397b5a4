"""`edgeai chat --plain`: the conversation line by line, for any terminal and for pipes."""

from __future__ import annotations

import io
import math
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import click

from edgeai import EdgeAIError, HistoryError, Message, OptionError, Response
from edgeai.files import write_text
from edgeai.history import History, Status, StoredMessage
from edgeai.history_export import to_json, to_markdown
from edgeai.options import Overflow
from edgeai.safe_text import one_line, plain
from edgeai.session import Session
from tui.answer_stream import print_answer
from tui.documents import n_ctx_for
from tui.output import message
from tui.plain_documents import LineDocuments
from tui.plain_pictures import LinePictures
from tui.progress_line import ProgressLine
from tui.settings import ConversationSettings
from tui.sources import distinct, source_line, to_stats

HELP = """\
/help              show this
/quit              leave; so does Ctrl-D
/reset             begin a new conversation
/system [TEXT]     show the system prompt, or set it; /system - removes it
/regenerate        make the last answer again
/doc [PATH]        add a document, a folder or a glob to the conversation, or show what there is
/doc remove NAME   take a document out of it
/image [PATH]      let a picture go with the next message, or show which do; /image remove [NAME] takes it away
/save FILE         write the conversation: FILE.md to read, FILE.json with all branches
Ctrl-C stops an answer. A line that begins with a blank is never a command."""

_SAVE_S = 1.0


class LineChat:
    """One conversation after the other, on one session.

    Args:
        session: what answers.
        history: where it is stored.
        settings: those of new conversations.
        conversation_id: a stored one to go on with, with its own settings.
        overflow: what to do when a conversation does not fit the context window.
        documents: what the conversation is about.
        reopen: opens the same model again with a context window of so many tokens; without it no larger one is opened
            for a document that is added.
    """

    def __init__(
        self,
        session: Session,
        history: History,
        settings: ConversationSettings,
        conversation_id: str | None = None,
        overflow: Overflow = "error",
        documents: LineDocuments | None = None,
        reopen: Callable[[int], Session] | None = None,
    ) -> None:
        self._session = session
        self._reopen = reopen
        self._most_tokens = math.inf  # windows of so many could not be opened
        self._history = history
        self._settings = settings
        self._conversation_id = conversation_id
        if conversation_id is not None:
            self._settings = ConversationSettings.from_json(history.get(conversation_id).settings)
        self._overflow = overflow
        self._documents = documents or LineDocuments(self._settings.documents)
        self._session.documents = self._documents.all
        self._pictures = LinePictures()

    def say(self, text: str) -> bool:
        """Answer a line of the user's; False when the answer was stopped."""
        path = self._path()
        system = self._settings.system
        messages, preface = self._pictures.put(self._session, path, system, text)
        parent_id = path[-1].id if path else None

        def begin() -> int:
            if self._conversation_id is None:
                settings = self._settings.to_json()
                self._conversation_id = self._history.create(model=self._session.model_name, settings=settings).id
            shown, self._pictures.attached = self._pictures.attached, []
            return self._history.begin_turn(self._conversation_id, parent_id, text, shown)[1]

        return self._answer(messages, preface, begin)

    def regenerate(self) -> bool:
        """Answer the last line again; False when the answer was stopped."""
        path = self._path()
        while path and path[-1].role != "user":
            path.pop()
        if not path:
            raise OptionError("there is no answer to make again yet")
        system = self._settings.system
        messages, preface = self._pictures.put(self._session, path, system)
        return self._answer(messages, preface, lambda: self._history.begin_answer(path[-1].id))

    def reset(self) -> None:
        """The next line begins a new conversation."""
        self._conversation_id = None

    def system(self, text: str) -> str:
        """Set the system prompt, where there is a text, and say what it is."""
        if text:
            self._keep(replace(self._settings, system=None if text == "-" else text))
        return self._settings.system or "There is no system prompt."

    def doc(self, rest: str) -> str:
        """Add, remove or show documents, as the rest of the line says; what is said then."""
        try:
            return self._documents.obey(rest)
        finally:  # some of them may be there where others could not be read
            self._take_documents()

    def _take_documents(self) -> None:
        if self._documents.all != self._session.documents:
            self._make_room()
            self._session.documents = self._documents.all
        if self._documents.refs != self._settings.documents:
            self._keep(replace(self._settings, documents=self._documents.refs))

    def image(self, rest: str) -> str:
        """Add, remove or show pictures for the next message, as the rest of the line says; what is said then."""
        return self._pictures.obey(self._session, rest)

    def show(self, paths: Sequence[Path]) -> str:
        """Let pictures go with the next message; what is said then."""
        return self._pictures.add(self._session, paths)

    def close(self) -> None:
        """Free the model."""
        self._pictures.close()
        self._session.close()

    def _make_room(self) -> None:
        """Open the model again in a window for the documents; where that cannot be, passages of them are read."""
        if self._reopen is None or self._documents.libraries:
            return
        before = self._session.n_ctx
        n_ctx = n_ctx_for(self._documents.documents, self._session.info.n_ctx_train)
        if n_ctx is None or not before < n_ctx < self._most_tokens:
            return
        self._session.close()  # two models at once might not fit
        try:
            self._session = self._reopen(n_ctx)
        except (EdgeAIError, KeyboardInterrupt) as exc:
            self._most_tokens = n_ctx
            self._session = self._reopen(before)
            words = f"the context window stays at {before:,} tokens ({exc or 'stopped'})"
            message("note", f"{words}: passages of the documents are read", "yellow")
        else:
            message("note", f"the context window holds {n_ctx:,} tokens now, so that the documents fit", "yellow")

    def _keep(self, settings: ConversationSettings) -> None:
        self._settings = settings
        if self._conversation_id is not None:
            self._history.update(self._conversation_id, settings=settings.to_json())

    def save(self, path: Path) -> None:
        """Write the conversation to a new file."""
        if self._conversation_id is None:
            raise OptionError("there is nothing to save yet")
        if path.exists():
            raise HistoryError(f"{path}: there is such a file already: name another")
        conversation = self._history.get(self._conversation_id)
        if path.suffix.lower() == ".json":
            text = to_json(conversation, self._history.all_messages(conversation.id))
        else:
            text = to_markdown(conversation, self._path())
        write_text(path, text)

    def _path(self) -> list[StoredMessage]:
        return [] if self._conversation_id is None else self._history.path(self._conversation_id)

    def _answer(self, messages: list[Message], preface: str, begin: Callable[[], int]) -> bool:
        with ProgressLine() as line:
            response = self._session.chat(
                messages=messages, overflow=self._overflow, on_progress=line.reading, **self._settings.sampling()
            )
            try:
                answer_id = begin()
            except BaseException:
                response.cancel()
                raise
            if response.dropped:
                message("note", f"the {len(response.dropped)} oldest messages were left out to fit", "yellow")
            click.echo(preface, nl=False)
            return self._print_and_store(response, line, answer_id, preface)

    def _print_and_store(self, response: Response, line: ProgressLine, answer_id: int, preface: str) -> bool:
        saved = time.monotonic()

        def save() -> None:
            nonlocal saved
            if time.monotonic() - saved > _SAVE_S:
                self._history.save_partial(answer_id, preface + response.partial_text)
                saved = time.monotonic()

        try:
            is_whole = print_answer(response, line, save)
            click.echo()
        except BaseException:
            response.cancel()
            response.wait()
            self._history.finish_turn(answer_id, preface + response.partial_text, "error")
            raise
        citations = distinct(response.citations)
        for number, citation in enumerate(citations, 1):
            click.echo(source_line(number, citation), err=True)
        status: Status = "cancelled" if response.finish_reason == "cancelled" else "complete"
        self._history.finish_turn(answer_id, preface + response.partial_text, status, self._stats(response, preface))
        if response.finish_reason == "context_full":
            message("note", "the answer ends where the context window is full: /reset begins anew", "yellow")
        return is_whole

    def _stats(self, response: Response, preface: str) -> dict[str, object]:
        stats: dict[str, object] = {
            "model": self._session.model_name,
            "finish_reason": response.finish_reason,
            "dropped": len(response.dropped),
            "usage": asdict(response.usage),
            "timings": asdict(response.timings),
        }
        if response.citations:
            stats["citations"] = to_stats([citation.behind(preface) for citation in response.citations])
        return stats


def converse(chat: LineChat) -> int:
    """Read lines until they end, and answer each.

    Returns:
        The exit code: 1 when a piped line could not be answered, 130 when Ctrl-C ended what is piped in.
    """
    is_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    if is_terminal:
        with suppress(ImportError):
            import readline  # noqa: F401 - gives input() its editing keys
    elif sys.stdin is not None and isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    code = 0
    while (line := _next_line(is_terminal)) is not None and line.strip() != "/quit":
        try:
            is_whole = _obey(chat, line) if line.strip() else True
        except EdgeAIError as exc:
            message("error", str(exc), "red")
            code, is_whole = int(not is_terminal), True
        except KeyboardInterrupt:  # while the prompt was read
            is_whole = False
        if not is_whole and not is_terminal:
            return 130
    return code


def _next_line(is_terminal: bool) -> str | None:
    """A line without its end; None when there are no more."""
    if sys.stdin is None:
        return None
    try:
        line = input("> ") + "\n" if is_terminal else sys.stdin.readline()
    except EOFError:
        click.echo()
        return None
    except KeyboardInterrupt:
        if not is_terminal:
            raise
        click.echo("\n(Ctrl-D or /quit leaves)", err=True)
        return ""
    return line.encode("utf-8", "replace").decode().rstrip("\r\n") if line else None


def _obey(chat: LineChat, line: str) -> bool:
    """Do what a line says; False when it made an answer that was stopped."""
    word, _, rest = line.rstrip().partition(" ")
    rest = rest.strip()
    if word == "/regenerate":
        return chat.regenerate()
    if word == "/help":
        click.echo(HELP, err=True)
    elif word == "/reset":
        chat.reset()
    elif word == "/doc":
        click.echo(plain(chat.doc(rest)), err=True)
    elif word == "/image":
        click.echo(plain(chat.image(rest)), err=True)
    elif word == "/system":
        click.echo(plain(chat.system(rest)), err=True)
    elif word == "/save":
        if not rest:
            raise OptionError("/save needs a file: /save conversation.md")
        chat.save(Path(rest).expanduser())
        click.echo(f"Written: {one_line(rest)}", err=True)
    elif re.fullmatch("/[a-z]+", word):
        raise OptionError(f"{word} is no command: /help shows them; put a blank before a line that begins with /")
    else:
        return chat.say(line.strip())
    return True
