"""What a command tells of an answer besides its text: where it stands, counts and times, how it ended."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from edgeai import Response
from edgeai.documents.types import Citation
from edgeai.safe_text import one_line
from tui.output import message

_MAX_QUOTE_CHARS = 160


def print_sources(citations: Sequence[Citation]) -> None:
    """A line for each place that the answer cites, with the words that stand there; dim, on stderr."""
    places: dict[str, Citation] = {}
    for citation in citations:
        places.setdefault(citation.label, citation)
    for label, citation in places.items():
        quote = one_line(citation.quote)
        quote = quote if len(quote) <= _MAX_QUOTE_CHARS else quote[: _MAX_QUOTE_CHARS - 1] + "…"
        above = " › ".join(one_line(heading) for heading in citation.headings)
        about = f"[{label}]" + (f" {above}:" if above else "")
        click.echo(click.style(f"{about} “{quote}”", dim=True), err=True)


def as_json(response: Response) -> dict[str, Any]:
    """An answer for programs."""
    return {
        "text": response.text,
        "finish_reason": response.finish_reason,
        "citations": [
            {
                "document": str(citation.path),
                "page": citation.page,
                "line": citation.line,
                "headings": list(citation.headings),
                "quote": citation.quote,
                "passage": citation.passage,
                "start": citation.start,
                "end": citation.end,
            }
            for citation in response.citations
        ],
        "stats": stats(response),
    }


def stats(response: Response) -> dict[str, float | int]:
    """Counts, rates and times of an answer, and the memory that it took."""
    usage, timings = response.usage, response.timings
    return {
        "load_ms": round(timings.load_ms, 1),
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "prefill_tokens_per_s": round(timings.prefill_tokens_per_s, 1),
        "completion_tokens": usage.completion_tokens,
        "decode_tokens_per_s": round(timings.decode_tokens_per_s, 1),
        "ttft_ms": round(timings.ttft_ms, 1),
        "peak_rss_bytes": _peak_rss_bytes(),
    }


def _peak_rss_bytes() -> int:
    """The most memory that this process and the engine's have had, both together; the engine's has ended by now."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(getattr(psutil.Process().memory_info(), "peak_wset"))  # noqa: B009 - mypy knows it on Windows only
    unit = 1 if sys.platform == "darwin" else 1024
    own, engine = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own + engine) * unit


def tell_end(response: Response, is_whole: bool, has_schema: bool) -> int:
    """Say on stderr what the answer itself does not show; the exit code."""
    if response.dropped:
        message(
            "note", f"{len(response.dropped)} of the oldest messages were left out to fit the context window", "yellow"
        )
    if not is_whole:
        return 130
    reason = response.finish_reason
    if has_schema and reason != "stop":
        message("error", f"the JSON is cut short ({reason}): allow more with --max-tokens or --n-ctx", "red")
        return 1
    if reason == "context_full":
        message("note", "the answer ends where the context window is full: --n-ctx makes it larger", "yellow")
    return 0
