"""The `edgeai` command: finds the command that was asked for, and turns errors into one line and an exit code."""

from __future__ import annotations

import difflib
import errno
import importlib
import io
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from edgeai import EdgeAIError, OptionError, __version__
from edgeai.offline import is_wanted, refuse_network
from tui.output import message

# Each command's module (it has a click command named `command`) and its line in the help. A module is imported when
# its command is called, so that `edgeai ask` does not wait for what `edgeai chat` needs.
COMMANDS = {
    "ask": ("tui.commands.ask", "Answer one question; what is piped in is read as context."),
    "chat": ("tui.commands.chat", "Talk with a model, in a window of the terminal."),
    "summarize": ("tui.commands.summarize", "Summarise documents of any length, with the pages it comes from."),
    "report": ("tui.commands.report", "Write a report from documents, by an outline or a topic."),
    "review": ("tui.commands.review", "Review the slides of a PDF or a presentation."),
    "classify": ("tui.commands.classify", "Sort the rows of a file by labels, with probabilities."),
    "docs": ("tui.commands.docs", "Keep documents in libraries, and search them."),
    "detect": ("tui.commands.detect", "Find things in a picture, and mark them in a copy of it."),
    "caption": ("tui.commands.caption", "Describe many pictures, in a sentence each."),
    "ocr": ("tui.commands.ocr", "Read what is written in pictures and scanned PDFs."),
    "transcribe": ("tui.commands.transcribe", "Write down what is said in sound and video files."),
    "listen": ("tui.commands.listen", "Write down what is said into the microphone, live."),
    "say": ("tui.commands.say", "Speak a text in English and Japanese, or write it as a WAV file."),
    "devices": ("tui.commands.devices", "List microphones and speakers."),
    "models": ("tui.commands.models", "List, fetch, add, check and remove models."),
    "history": ("tui.commands.history", "List, search, show, export and delete conversations."),
    "cache": ("tui.commands.cache", "List, bound and clear the evaluated documents that are kept."),
    "doctor": ("tui.commands.doctor", "Show what this machine has and which models fit it."),
    "eval": ("tui.commands.eval", "Ask models questions with known answers, and compare two."),
    "bench": ("tui.commands.bench", "Measure how fast a model runs here."),
}


class _LazyGroup(click.Group):
    """A group that knows its commands by name and imports each when it is called."""

    def invoke(self, ctx: click.Context) -> Any:
        """Close the network before a command's modules are imported: none of them can reach out either."""
        try:
            if is_wanted(default=True):
                refuse_network()
        except OptionError as exc:
            raise click.UsageError(str(exc), ctx) from exc
        return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            close = difflib.get_close_matches(cmd_name, COMMANDS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"No such command {cmd_name!r}.{hint}", ctx)
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="edgeai", message="%(prog)s %(version)s")
def cli() -> None:
    """An assistant that runs wholly on this machine.

    No command reaches for a network but `edgeai models pull`, and those of speech where you agree that their weights
    are fetched; whatever else tries to is refused.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        args: the arguments; those of the process by default.
    Returns:
        The exit code: 0, 1 for an error, 2 for wrong usage, 130 for Ctrl-C.
    """
    _prepare_streams()
    try:
        code = cli.main(args, prog_name="edgeai", standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as exc:
        exc.show()
        return exc.exit_code
    except click.ClickException as exc:
        message("error", exc.format_message(), "red")
        return exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except EdgeAIError as exc:
        message("error", str(exc), "red")
        return 1
    except BrokenPipeError:
        _forget_stdout()
        return 1
    except OSError as exc:  # a full disk, a folder that is not ours: nothing a traceback would explain
        message("error", _os_error_text(exc), "red")
        return 1
    return code if isinstance(code, int) else 0


def _prepare_streams() -> None:
    """What the terminal's encoding lacks is replaced, not an error; the library's warnings become one line each."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the shell (`>&-`)
            setattr(sys, name, _Nowhere())
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="replace")
    logger = logging.getLogger("edgeai")
    if not any(isinstance(handler, _OneLineHandler) for handler in logger.handlers):
        logger.addHandler(_OneLineHandler(logging.WARNING))


class _Nowhere(io.StringIO):
    """Takes text and forgets it."""

    def write(self, text: str) -> int:
        return len(text)


class _OneLineHandler(logging.Handler):
    """Log records on stderr, without control characters."""

    def emit(self, record: logging.LogRecord) -> None:
        message(record.levelname.lower(), record.getMessage(), "yellow")


def _os_error_text(exc: OSError) -> str:
    text = exc.strerror or str(exc) or type(exc).__name__
    if exc.errno == errno.ENOSPC:
        text += ": free some disk space"
    return f"{exc.filename}: {text}" if exc.filename else text


def _forget_stdout() -> None:
    """Send what is still buffered nowhere: whoever read our output (`| head`) is gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
