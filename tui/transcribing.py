"""Transcribing files one after the other: what is shown meanwhile, and where the text goes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeai.errors import AudioError
from edgeai.files import write_text
from edgeai.safe_text import one_line
from edgeai.speech.decode import Sound, check_sound_file, sound_of
from edgeai.speech.transcribe import transcribe
from edgeai.speech.transcribe_journal import TranscriptJournal, journal_key
from edgeai.speech.transcript_format import FORMATS, SUFFIXES
from tui.docs_reading import fitted
from tui.output import message
from tui.pace import Pace, time_text
from tui.progress_line import ProgressLine
from tui.text_files import Targets, each_file

if TYPE_CHECKING:
    from edgeai.speech.base import Recognizer
    from edgeai.speech.types import Segment, Transcript
    from edgeai.speech.vad import VoiceActivity


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for.

    Attributes:
        language: ISO 639-1 or "auto".
        format: one of FORMATS.
        with_words: the times of words.
        folder: that the texts go to; None prints them.
        force: files there may be replaced.
    """

    language: str
    format: str
    with_words: bool
    folder: Path | None
    force: bool


class Transcribing:
    """Transcribes files; a line goes on meanwhile."""

    def __init__(
        self, paths: Sequence[Path], wishes: Wishes, recognizer: Recognizer, voice: VoiceActivity, line: ProgressLine
    ) -> None:
        self._paths, self._wishes = paths, wishes
        self._recognizer, self._voice, self._line = recognizer, voice, line
        suffix = SUFFIXES[wishes.format]
        self._targets = Targets(paths, wishes.folder, suffix, force=wishes.force, error=AudioError)

    def run(self) -> int:
        """All of them; a line on stderr for each that fails. Returns how many did."""
        return each_file(self._paths, self._line, self._one)

    def _one(self, number: int, path: Path) -> None:
        target = self._targets.of(path)
        check_sound_file(path)
        self._line.start()
        with _journal(path, self._recognizer.name, self._wishes) as journal:
            start_s = journal.until_s
            with sound_of(path, start_s=start_s) as sound:
                transcript = self._heard(number, path, sound, journal)
            self._line.clear()
            if sound.is_cut:
                message("note", f"{path}: a part is damaged or missing and was left out", "yellow")
            if not transcript.segments:
                message("note", f"{path}: nobody speaks in it", "yellow")
            self._put(transcript, target)
            journal.remove()

    def _heard(self, number: int, path: Path, sound: Sound, journal: TranscriptJournal) -> Transcript:
        pace, duration_s = Pace(), sound.duration_s

        def show(done_s: float) -> None:
            if duration_s:
                pace.tell(round(1000 * min(done_s, duration_s)), round(1000 * duration_s))
            far = pace.words or f"{time_text(done_s)} of it"
            of = f" {number:,} of {len(self._paths):,}" if len(self._paths) > 1 else ""
            head = f"transcribing{of} ({far}): "
            room = max(8, shutil.get_terminal_size().columns - len(head) - 1)
            self._line.show(head + fitted(one_line(path.name), room))

        show(journal.until_s)
        return transcribe(
            sound,
            self._recognizer,
            self._wishes.language,
            with_words=self._wishes.with_words,
            on_progress=show,
            on_segment=self._print if self._prints_segments else None,
            journal=journal,
            voice=self._voice,
        )

    @property
    def _prints_segments(self) -> bool:
        return self._wishes.folder is None and self._wishes.format == "text"

    def _print(self, segment: Segment) -> None:
        self._line.clear()
        click.echo(one_line(segment.text))

    def _put(self, transcript: Transcript, target: Path | None) -> None:
        if self._prints_segments:
            return
        text = FORMATS[self._wishes.format](transcript)
        if target is None:
            click.echo(text, nl=False)
        else:
            try:
                write_text(target, text)
            except OSError as exc:
                raise AudioError(
                    f"{target}: cannot be written ({exc.strerror or exc}): expected a folder that you may write into, "
                    "and room on its disk; what was heard is kept, and the same command goes on from there, also with "
                    "another -o"
                ) from exc
            click.echo(one_line(os.fspath(target)))


def _journal(path: Path, recognizer: str, wishes: Wishes) -> TranscriptJournal:
    return TranscriptJournal(journal_key(path, recognizer, wishes.language, with_words=wishes.with_words))
