"""The screen's part that listens and speaks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from rich.cells import cell_len
from textual import on, work

from edgeai import PullError
from edgeai.catalog_entry import CatalogEntry
from tui.screens.confirm import ConfirmScreen
from tui.screens.list_commands import ListCommands
from tui.speech_weights import fetch, question
from tui.turn_store import TurnStore
from tui.voice import VoiceMode
from tui.voice_events import (
    VoiceEnded,
    VoiceInterrupted,
    VoiceLevel,
    VoicePartial,
    VoiceProblem,
    VoiceSaid,
    VoiceSpoken,
)
from tui.voice_words import end_of
from tui.widgets.block import Block

_BARS = " ▁▂▃▄▅▆▇█"
_MAX_WORDS = 60
_BESIDE_WORDS = 16
"""Cells of the status line that its edges, `listening` and the level take."""


@dataclass(slots=True)
class _ReadOut:
    """An answer that is read out while it is made.

    Attributes:
        store: where it is stored.
        n_fed: characters that were given to the voice.
        said: what has sounded of it, once it was interrupted.
        is_complete: all of it was given to the voice.
        is_stored: it is stored.
    """

    store: TurnStore
    n_fed: int = 0
    said: str | None = None
    is_complete: bool = False
    is_stored: bool = False


class VoiceCommands(ListCommands):
    """F5 writes what is said into the prompt; F6 is a conversation by voice."""

    voice: VoiceMode
    _level: float | None = None  # None until the microphone is open
    _words = ""
    _was_speaking = False
    _read_out: _ReadOut | None = None
    _fetching = ""  # how far weights are fetched
    _is_to_send = False  # what was said stands in the prompt, until the answer before it is over

    def action_dictate(self) -> None:
        """Listen to one utterance, or end it."""
        self._toggle(hands_free=False)

    def action_talk(self) -> None:
        """Talk by voice, or stop that."""
        self._toggle(hands_free=True)

    def _toggle(self, *, hands_free: bool) -> None:
        if self.voice.is_on or self.voice.is_speaking:
            self.voice.stop()
            self._read_out, self._is_to_send = None, False
        else:
            self._level, self._words = None, ""
            if (entry := self.voice.missing_weights()) is not None:
                self._offer(entry, hands_free=hands_free)
            else:
                self.voice.start(hands_free=hands_free)
        self.show_activity()

    @work(exclusive=True, group="speech-weights")
    async def _offer(self, entry: CatalogEntry, *, hands_free: bool) -> None:
        """Fetch weights, where the user agrees, and listen; without them, listening says what is missing."""
        if self._fetching:
            return
        if await self.app.push_screen_wait(ConfirmScreen(question(entry), "Fetch")):
            with self.errors_shown():
                await asyncio.to_thread(fetch, entry, self._fetched)
            self._fetching = ""
            self.show_activity()
        self.voice.start(hands_free=hands_free)
        self.show_activity()

    def _fetched(self, n_done: int, n_total: int) -> None:
        """In the thread that fetches; it ends with the window."""
        if not self.is_attached:
            raise PullError("the window was closed")
        told = f"fetching {n_done / 1e6:,.0f} of {n_total / 1e6:,.0f} MB"
        if told != self._fetching:
            self._fetching = told
            self.app.call_from_thread(self.show_activity)

    def voice_activity(self) -> str:
        """What the microphone hears, for the status line; "" while it is closed."""
        if self._fetching:
            return self._fetching
        if self.voice.is_speaking:
            return "speaking · speak or Esc to stop it" if self.voice.can_be_interrupted else "speaking · Esc stops"
        if not self.voice.is_on:
            return "writing down what was said" if self.voice.is_listening else ""
        if self._level is None:
            return "opening the microphone"
        key = "F6" if self.voice.is_hands_free else "F5"
        bar = _BARS[min(len(_BARS) - 1, int(self._level * len(_BARS)))]
        room = self.status.size.width - cell_len(self.status.model_name) - _BESIDE_WORDS
        return f"listening {bar} {end_of(self._words, min(_MAX_WORDS, room)) or f'{key} ends'}"

    # --- answers ---

    def speak_on(self, store: TurnStore, text: str) -> None:
        """Read out what an answer has more than before."""
        if not self.voice.is_hands_free:
            return
        if self._read_out is None or self._read_out.store is not store:
            if self._read_out is not None:  # one that still sounds: the user has typed the next question
                self._interrupt(self._read_out, self.voice.hush())
            self._read_out = _ReadOut(store)
            self.voice.begin_answer()
        if self._read_out.said is None and len(text) > self._read_out.n_fed:
            self.voice.feed(text[self._read_out.n_fed :])
            self._read_out.n_fed = len(text)

    def speak_rest(self, store: TurnStore, text: str) -> None:
        """The answer is complete."""
        self.speak_on(store, text)
        self.voice.end_answer()
        if self._read_out is not None and self._read_out.store is store:
            self._read_out.is_complete = True

    def turn_over(self, store: TurnStore) -> None:
        """It is stored and shown."""
        reading = self._read_out
        if reading is not None and reading.store is store:
            reading.is_stored = True
            if reading.said is not None:
                self._store_interrupted(reading)
            elif not reading.n_fed:
                self._read_out = None
        self._send_said()

    def _interrupt(self, reading: _ReadOut, said: str) -> None:
        if reading.said is None:
            reading.said = said
            if reading.is_stored:
                self._store_interrupted(reading)

    @work
    async def _store_interrupted(self, reading: _ReadOut) -> None:
        """What did not sound was not said: the model is to know it too."""
        with self.errors_shown():
            await asyncio.to_thread(reading.store.interrupted, reading.said or "")
            await self.reload()
        if self._read_out is reading:
            self._read_out = None
        self._send_said()

    def _send_said(self) -> None:
        """Send what was said, as soon as the answer before it is over."""
        is_over = self.live is None and (self._read_out is None or self._read_out.said is None)
        if self._is_to_send and is_over and self.voice.is_hands_free:
            self._is_to_send = False
            self.submit(self.prompt.text)

    # --- what the voice tells ---

    @on(VoiceLevel)
    def _heard_level(self, event: VoiceLevel) -> None:
        self._level = event.level
        if self._was_speaking != self.voice.is_speaking:  # Esc stops it, or has nothing to stop any more
            self._was_speaking = self.voice.is_speaking
            self.refresh_bindings()
        self.show_activity()

    @on(VoicePartial)
    def _heard_part(self, event: VoicePartial) -> None:
        self._words = event.words
        self.show_activity()

    @on(VoiceSaid)
    def _heard_all(self, event: VoiceSaid) -> None:
        self._words = ""
        if event.words:
            self.prompt.write(f"{self.prompt.text.rstrip()} {event.words}".strip())
            self._is_to_send = self.voice.is_hands_free
        if not event.goes_on:  # else all of it is sent together
            self._send_said()
        self.show_activity()

    @on(VoiceInterrupted)
    def _was_interrupted(self, event: VoiceInterrupted) -> None:
        if not self.voice.is_hands_free:
            return
        if self.live is not None:
            self.speak_on(self.live.store, "")
            self.live.turn.cancel()
        self.voice.hush()  # what was fed since, too
        if self._read_out is not None:
            self._interrupt(self._read_out, event.said)
        self.show_activity()

    @on(VoiceSpoken)
    def _was_spoken(self) -> None:
        reading = self._read_out
        if reading is not None and reading.is_complete and reading.said is None:
            self._read_out = None
        self.show_activity()

    @on(VoiceProblem)
    def _had_problem(self, event: VoiceProblem) -> None:
        if event.is_lasting:
            self.conversation.add(Block("notice", event.line, title="Voice"))
        else:
            self.say(event.line)
        self.show_activity()

    @on(VoiceEnded)
    def _voice_ended(self, event: VoiceEnded) -> None:
        if event.error is not None:
            self.voice.stop()
            self._read_out = None
            self.conversation.add(Block("error", str(event.error), title="No voice"))
        self.show_activity()
