"""A review as Markdown, slide by slide, and as data for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeai.notes.fixed_words import ENGLISH, JAPANESE
from edgeai.notes.markdown import Notes, NotesPart, escaped
from edgeai.review.deck import Deck, Slide
from edgeai.review.remarks import Remark
from edgeai.review.rules import Language, Rules, filled
from edgeai.safe_text import one_line


class Report:
    """A review that grows.

    Attributes:
        notes: what is finished of it.
        remarks: all of them.
    """

    def __init__(self, deck: Deck, rules: Rules, language: Language) -> None:
        self._deck, self._rules = deck, rules
        fixed = JAPANESE if language == "ja" else ENGLISH
        self._quoted = "「{}」" if language == "ja" else "“{}”"
        self._between = "：" if language == "ja" else ": "
        self.notes = Notes(self._word("title", name=one_line(deck.path.name)), fixed=fixed)
        self.remarks: list[Remark] = []

    def add_slide(self, slide: Slide, remarks: Sequence[Remark]) -> NotesPart | None:
        """The remarks on a slide; the part that they make, None where there are none."""
        title = self._between + slide.title if slide.title else ""
        return self._add(self._word("slide", number=slide.number) + title, remarks)

    def add_between(self, remarks: Sequence[Remark]) -> NotesPart | None:
        """The remarks on several slides together."""
        return self._add(self._word("between"), remarks)

    def finish(self, model: str | None) -> None:
        """Nothing more comes. `model`: that was asked; None where none was."""
        n_measured = sum(remark.is_measured for remark in self.remarks)
        n_model = len(self.remarks) - n_measured
        said = [self._word("overview", n_slides=len(self._deck.numbers), n_measured=n_measured)]
        if model is not None:
            said.append(self._word("of_model", model=escaped(model), n_model=n_model))
        if self._deck.note:
            said.append(self._word("not_drawn"))
        self.notes.overview = " ".join(said)

    def json(self, model: str | None) -> dict[str, Any]:
        """All of it for programs."""
        return {
            "file": str(self._deck.path),
            "sha256": self._deck.sha256,
            "slides": [self._deck.numbers[0], self._deck.numbers[-1]],
            "not_drawn": self._deck.note or None,
            "model": model,
            "remarks": [
                {
                    "by": "measured" if remark.is_measured else "model",
                    "kind": remark.kind,
                    "slides": list(remark.slides),
                    "quotes": list(remark.quotes),
                    "text": remark.text,
                }
                for remark in self.remarks
            ],
        }

    def _add(self, heading: str, remarks: Sequence[Remark]) -> NotesPart | None:
        if not remarks:
            return None
        self.remarks += remarks
        certain = [self._item(remark) for remark in remarks if remark.is_measured]
        others = [self._item(remark) for remark in remarks if not remark.is_measured]
        blocks = ["\n".join(certain)] if certain else []
        blocks += [f"*{self._word('model')}*", "\n".join(others)] if others else []
        part = NotesPart(heading, 2, "\n\n".join(blocks))
        self.notes.parts.append(part)
        return part

    def _item(self, remark: Remark) -> str:
        quotes = " ⇔ ".join(self._quoted.format(escaped(quote)) for quote in remark.quotes)
        if not remark.is_measured and len(remark.slides) > 1:
            pairs = zip(remark.slides, remark.quotes, strict=True)
            quotes = " ⇔ ".join(
                f"{self._word('slide', number=number)} {self._quoted.format(escaped(quote))}" for number, quote in pairs
            )
        head = f"- **{escaped(self._rules.title(remark.kind))}**"
        text = escaped(remark.text)
        if not quotes:
            return f"{head}{self._between}{text}"
        return f"{head}{self._between}{quotes}{self._between}{text}"

    def _word(self, word: str, /, **values: object) -> str:
        return filled(self._rules.report[word], **values)
