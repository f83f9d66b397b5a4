"""The options by which commands open a session and choose tokens, and the one place where they open it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgeai import OptionError, SamplingOptions
from edgeai.onnx_providers import PROVIDERS
from edgeai.options import KV_TYPES
from tui.path_type import DOCUMENT_PATH

if TYPE_CHECKING:
    from edgeai.session import Session

_Function = TypeVar("_Function", bound=Callable[..., Any])

model_option = click.option(
    "-m", "--model", metavar="MODEL", help="A name (see `edgeai models`), a .gguf file, or a model's folder."
)
provider_option = click.option(
    "--provider",
    type=click.Choice(["auto", *PROVIDERS]),
    help="What runs an ONNX model (auto, the default: the best that the installed onnxruntime has).",
)
_LOAD = (
    model_option,
    click.option(
        "--mmproj",
        "mmproj_path",
        type=click.Path(),
        metavar="FILE",
        help="The model's projector, through which it sees or hears; by default the mmproj*.gguf beside the model.",
    ),
    click.option("--n-ctx", type=click.IntRange(1), help="Context window in tokens."),
    click.option("--threads", "n_threads", type=click.IntRange(1), help="Threads; by default they follow the load."),
    click.option("--type-k", type=click.Choice(KV_TYPES), help="Type of the K cache; q8_0 takes half of f16's memory."),
    click.option("--type-v", type=click.Choice(KV_TYPES), help="The same of the V cache."),
    provider_option,
    click.option(
        "--isolation",
        type=click.Choice(["process", "none"]),
        help="Run the engine in a sandboxed process of its own (process, the default) or inside this one (none).",
    ),
)
_SAMPLING = (
    click.option("--max-tokens", type=click.IntRange(1), help="Tokens of an answer at most."),
    click.option("--temperature", type=float, help="0 always takes the likeliest token."),
    click.option("--top-p", type=float, help="Keep the likeliest tokens that make up this share, 0 to 1."),
    click.option("--top-k", type=int, help="Keep this many of the likeliest tokens; 0 keeps all."),
    click.option("--min-p", type=float, help="Drop tokens less likely than this share of the likeliest, 0 to 1."),
    click.option("--repeat-penalty", type=float, help="Over 1 makes recent tokens less likely; 1 is off."),
    click.option("--seed", type=click.IntRange(0), help="The same seed gives the same text."),
)
SAMPLING_NAMES = ("max_tokens", "temperature", "top_p", "top_k", "min_p", "repeat_penalty", "seed")

stop_option = click.option(
    "--stop", multiple=True, metavar="TEXT", help="End the answer at this text. May be repeated."
)
overflow_option = click.option(
    "--overflow",
    type=click.Choice(["error", "trim"]),
    default="error",
    show_default=True,
    help="What to do when the context window is full: stop, or leave the oldest turns out and say so.",
)

document_option = click.option(
    "-d",
    "--doc",
    "doc_paths",
    type=DOCUMENT_PATH,
    multiple=True,
    metavar="PATH",
    help="A document, a folder of them, or a glob; may be repeated.",
)
ocr_option = click.option(
    "--ocr",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Recognise the text of a PDF's pages: of those without any, of all, of none.",
)
image_option = click.option(
    "-i",
    "--image",
    "image_paths",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="A picture that the question is about; may be repeated. A model without eyes gets what is written in it.",
)
password_option = click.option("--password", metavar="TEXT", help="The password of an encrypted PDF.")


def load_options(function: _Function) -> _Function:
    """Adds the options that open a model."""
    return _with(_LOAD, function)


def sampling_options(function: _Function) -> _Function:
    """Adds the options that choose tokens."""
    return _with(_SAMPLING, function)


def take_sampling(options: dict[str, Any]) -> dict[str, Any]:
    """Take the sampling options that were given out of a command's keywords.

    Raises:
        click.UsageError: a value makes no sense; told before a model is loaded.
    """
    sampling = given({name: options.pop(name) for name in (*SAMPLING_NAMES, "stop") if name in options})
    try:
        SamplingOptions(**sampling)
    except OptionError as exc:
        raise click.UsageError(str(exc)) from exc
    return sampling


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that the user gave a value."""
    return {name: value for name, value in options.items() if value is not None and value != ()}


def open_session(model: str | None, **options: Any) -> Session:
    """A session, as `edgeai.Session` opens it; the tests put another in its place."""
    from edgeai.session import Session

    return Session(model, **options)


def _with(options: tuple[Callable[[_Function], _Function], ...], function: _Function) -> _Function:
    for option in reversed(options):
        function = option(function)
    return function
