"""Ask transformers the held-out questions: `python -m tests.vision.tiny_vlm.evaluate [FOLDER]`.

Prints how often the answers are right and writes `reference.json`. Needs torch and transformers.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from transformers import Gemma3ForConditionalGeneration, Gemma3Processor

from .batches import PICTURE
from .pictures import SIDE, draw, letterbox
from .reference import MODEL_DIR, Asked, held_out, held_out_questions, write_reference


class Reference:
    """The model as transformers runs it: f32, one thread, the likeliest token each time."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        self.model = Gemma3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.processor = Gemma3Processor.from_pretrained(folder)
        self.tokenizer = self.processor.tokenizer
        self.tokenizer.padding_side = "left"

    def answers(self, asked: list[Asked]) -> list[str]:
        """Answers to questions about one picture, in one form."""
        texts = [self.prompt(one) for one in asked]
        inputs = self.tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt")
        picture = asked[0].picture
        if picture is not None:
            image = self.tokenizer.convert_tokens_to_ids("<image_soft_token>")
            pixels = self.processor.image_processor(letterbox(draw(held_out(picture))), return_tensors="pt")
            inputs["pixel_values"] = pixels["pixel_values"].repeat(len(asked), 1, 1, 1)
            inputs["token_type_ids"] = (inputs["input_ids"] == image).long()
        n_prompt = inputs["input_ids"].shape[1]
        with torch.no_grad():
            made = self.model.generate(**inputs, max_new_tokens=24, do_sample=False)
        texts = self.tokenizer.batch_decode(made[:, n_prompt:], skip_special_tokens=True)
        return [text.removesuffix("\n") for text in texts]

    def prompt(self, one: Asked) -> str:
        """The whole text, with a token for each of the picture's cells."""
        return with_cells(self.template(one), one.form)

    def template(self, one: Asked) -> str:
        content = [{"type": "text", "text": one.question.text}]
        if one.picture is not None:
            content.insert(len(content) if one.form.startswith("before") else 0, {"type": "image"})
        chat = [{"role": "user", "content": content}]
        text = self.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return str(text)

    def check_processor(self, one: Asked) -> None:
        """The blank-line forms and the pixels are those of transformers' own processor."""
        assert one.picture is not None
        picture = letterbox(draw(held_out(one.picture)))
        made = self.processor(text=[self.template(one)], images=[[picture]], add_special_tokens=False)
        own = self.tokenizer([self.prompt(one)], add_special_tokens=False)
        assert list(made["input_ids"][0]) == list(own["input_ids"][0]), one
        assert made["pixel_values"][0].shape == (3, SIDE, SIDE)


def with_cells(text: str, form: str) -> str:
    gap = "\n\n" if form.endswith("blank") else ""
    return text.replace("<start_of_image>", gap + PICTURE + gap)


def table(asked: Iterable[Asked]) -> str:
    """How often answers are right and how well boxes fit, by form, shapes and language, and then by kind."""
    scores: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for one in asked:
        about = f"{one.n_shapes} shapes" if one.picture is not None else "alone"
        what = "box" if one.question.kind == "box" else "text"
        value = one.score(one.reference)
        scores[(one.form, about, what, one.question.language)].append(value)
        scores[("", about, what, one.question.kind)].append(value)
        if one.picture is not None:
            scores[("", about, what, "square" if held_out(one.picture).square else "not square")].append(value)
    rows = sorted(scores.items())
    return "\n".join(f"{' '.join(key):40} {sum(values) / len(values):.4f} of {len(values)}" for key, values in rows)


def main(folder: Path) -> None:
    model: Any = Reference(folder)
    answered = []
    for (form, picture), group in groupby(held_out_questions(), key=lambda one: (one.form, one.picture)):
        asked = list(group)
        if form.endswith("blank"):
            model.check_processor(asked[0])
        answers = model.answers(asked)
        answered += [replace(one, reference=answer) for one, answer in zip(asked, answers, strict=True)]
        if picture is not None and picture % 40 == 0:
            print(form, picture, file=sys.stderr, flush=True)
    write_reference(answered)
    print(table(answered))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else MODEL_DIR)
