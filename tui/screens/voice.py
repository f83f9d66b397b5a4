"""The screen's part that listens and speaks."""

from __future__ import annotations

from textual import on

from tui.screens.list_commands import ListCommands
from tui.voice import VoiceEnded, VoiceLevel, VoiceMode, VoicePartial, VoiceSaid, VoiceUnspoken
from tui.widgets.block import Block

_BARS = " ▁▂▃▄▅▆▇█"
_MAX_WORDS = 60


class VoiceCommands(ListCommands):
    """F5 writes what is said into the prompt; F6 is a conversation by voice."""

    voice: VoiceMode
    _level = 0.0
    _words = ""
    _n_spoken = 0

    def action_dictate(self) -> None:
        """Listen to one utterance, or stop that."""
        self._toggle(hands_free=False)

    def action_talk(self) -> None:
        """Talk by voice, or stop that."""
        self._toggle(hands_free=True)

    def _toggle(self, *, hands_free: bool) -> None:
        if self.voice.is_on or self.voice.is_speaking:
            self.voice.stop()
        else:
            self._level, self._words = 0.0, ""
            self.voice.start(hands_free=hands_free)
        self.show_activity()

    def voice_activity(self) -> str:
        """What the microphone hears, for the status line; "" while it is closed."""
        if self.voice.is_speaking:
            return "speaking · Esc stops"
        if not self.voice.is_on:
            return ""
        key = "F6" if self.voice.is_hands_free else "F5"
        bar = _BARS[min(len(_BARS) - 1, int(self._level * len(_BARS)))]
        return f"listening {bar} {self._words[-_MAX_WORDS:] or f'{key} ends'}"

    def speak_on(self, text: str) -> None:
        """Read out what an answer has more than before."""
        if self.voice.is_hands_free and len(text) > self._n_spoken:
            self.voice.feed(text[self._n_spoken :])
            self._n_spoken = len(text)

    def speak_rest(self, text: str) -> None:
        """The answer is complete."""
        self.speak_on(text)
        self._n_spoken = 0
        self.voice.end_answer()

    @on(VoiceLevel)
    def _heard_level(self, event: VoiceLevel) -> None:
        self._level = event.level
        self.show_activity()

    @on(VoicePartial)
    def _heard_part(self, event: VoicePartial) -> None:
        self._words = event.words
        self.show_activity()

    @on(VoiceSaid)
    def _heard_all(self, event: VoiceSaid) -> None:
        self._words = ""
        if not event.words:
            return
        written = f"{self.prompt.text.rstrip()} {event.words}".strip()
        if self.voice.is_hands_free and self.live is None:
            self.prompt.write("")
            self.submit(written)
        else:
            self.prompt.write(written)
        self.show_activity()

    @on(VoiceUnspoken)
    def _was_hushed(self, event: VoiceUnspoken) -> None:
        said = event.said or "nothing of it"
        self.conversation.add(Block("notice", f"Spoken until it was stopped: {said}", title="Not spoken to its end"))
        self.show_activity()

    @on(VoiceEnded)
    def _voice_ended(self, event: VoiceEnded) -> None:
        if event.error is not None:
            self.voice.stop()
            self.conversation.add(Block("error", str(event.error), title="No voice"))
        self.show_activity()
