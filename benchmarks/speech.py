"""Hearing and speaking, part by part, against faster-whisper and against the engine called bare.

errors    word and character error rates, by two voices, clean and in pink noise
rtf       how long hearing takes: sentences one at a time, and a recording of minutes
latency   a conversation with the default model: from the end of a question to the first sound of its answer
barge_in  how much is said into an answer until it stops
memory    the most memory of a conversation, and of transcribing long files

Contenders have the same weights (whisper-base in int8), threads and sound, decode greedily, run in processes of their
own and take turns. All of it takes about half an hour on two cores.

    python -m benchmarks.speech [--only PART …] [--rounds N] [--sentences N] [--minutes M …] [--json]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import speech_errors, speech_memory, speech_rtf, speech_talk, speech_turns
from benchmarks.common import main_json, print_machine
from benchmarks.speech_audio import LANGUAGES, questions
from edgeai.machine import usable_cores

if TYPE_CHECKING:
    from edgeai.speech.types import Waveform


class Part(NamedTuple):
    """What a part has found, as lines and as plain data."""

    lines: list[str]
    data: Any


def errors(options: argparse.Namespace) -> Part:
    records = speech_errors.measure(options.sentences, usable_cores())
    return Part(speech_errors.table(records), speech_errors.as_json(records))


def rtf(options: argparse.Namespace) -> Part:
    long_s = 60 * options.minutes[0]
    found = speech_rtf.measure(options.rounds, min(options.sentences, 6), usable_cores(), long_s)
    return Part(speech_rtf.lines(found, long_s), speech_rtf.as_json(found))


def latency(options: argparse.Namespace) -> Part:
    budgets = _apart(speech_talk.latency, _asked(), options.rounds)
    return Part(speech_turns.latency_lines(budgets), [budget._asdict() for budget in budgets])


def barge_in(options: argparse.Namespace) -> Part:
    found = _apart(speech_talk.barge_in, _asked(), options.rounds)
    return Part(speech_turns.barge_in_lines(found), [each._asdict() for each in found])


def memory(options: argparse.Namespace) -> Part:
    peaks = [_apart(speech_memory.conversation, _asked())]
    for minutes in options.minutes:
        with speech_memory.sound_file(minutes) as path:
            peaks.append(_apart(speech_memory.transcription, path, minutes))
    return Part(speech_memory.lines(peaks), speech_memory.as_json(peaks))


PARTS: dict[str, Callable[[argparse.Namespace], Part]] = {
    "errors": errors,
    "rtf": rtf,
    "latency": latency,
    "barge_in": barge_in,
    "memory": memory,
}


def _asked() -> dict[str, list[Waveform]]:
    """The questions of conversations, spoken in this process: the voices of the other one are the answers'."""
    return {language: questions(language) for language in LANGUAGES}


def _apart(measure: Callable[..., Any], *arguments: Any) -> Any:
    """In a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage="%(prog)s [options]"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--rounds", type=int, default=3, help="of rtf (half with the recording), latency, barge_in")
    parser.add_argument("--sentences", type=int, default=60, help="of each language, at most 60")
    parser.add_argument(
        "--minutes", type=float, nargs="+", default=[5.0, 30.0], help="long recordings; rtf has the first"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if not options.json:
        print_machine()
    found: dict[str, Any] = {}
    for name in options.only:
        part = PARTS[name](options)
        found[name] = part.data
        if not options.json:
            print(f"\n── {name}", *part.lines, sep="\n", flush=True)
    if options.json:
        main_json(found)


if __name__ == "__main__":
    main()
