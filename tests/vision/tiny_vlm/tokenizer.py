"""The tiny model's vocabulary: SentencePiece byte pairs learned from the words of the questions, as Gemma's files.

A number from 0 to 100 is one token, and so is a line break. A Japanese colour or shape is learned apart from the rest
of its sentence; else whole phrases become one token and the model never learns the words.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import sentencepiece
from transformers import GemmaTokenizerFast

from .pictures import COLOURS, SHAPES, SIDE, Scene, Shape
from .questions import KANJI, LANGUAGES, NO_PICTURE, NUMBERS, adjective, questions

N_VOCAB = 640
CONTROL = ("<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>")
OFTEN = [
    "user", "model", *NO_PICTURE.values(), *NUMBERS["en"], *NUMBERS["ja"], "左", "右", "上", "下", "真ん中",
    "left", "right", "top", "bottom", "middle", "a circle at the bottom", "a circle at the top", "an in the middle",
    "a and a",
]  # fmt: skip
WHOLE = ("\n\n", "\n", *(str(number) for number in range(101)))


def learn(folder: Path) -> None:
    """Write `tokenizer.model` into a folder."""
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_lines()),
        model_writer=made,
        model_type="bpe",
        vocab_size=N_VOCAB,
        pad_id=0,
        eos_id=1,
        bos_id=2,
        unk_id=3,
        pad_piece="<pad>",
        eos_piece="<eos>",
        bos_piece="<bos>",
        unk_piece="<unk>",
        control_symbols=list(CONTROL),
        user_defined_symbols=list(WHOLE),
        byte_fallback=True,
        character_coverage=1.0,
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(made.getvalue())


def load(folder: Path) -> Any:
    """The tokenizer of `tokenizer.model` as transformers has it for Gemma."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    vocabulary = {pieces.IdToPiece(i): i for i in range(len(pieces))}
    template = (Path(__file__).parent / "chat_template.jinja").read_text(encoding="utf-8")
    tokenizer = GemmaTokenizerFast(
        vocab=vocabulary,
        merges=_merges(pieces, vocabulary),
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token=None,
        extra_special_tokens={
            "image_token": "<image_soft_token>",
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
        },
        chat_template=template,
    )
    tokenizer.add_tokens([_token(text, special=True) for text in CONTROL], special_tokens=True)
    tokenizer.add_tokens([_token(text, special=False) for text in WHOLE])
    return tokenizer


def _token(text: str, *, special: bool) -> Any:
    from tokenizers import AddedToken

    return AddedToken(text, normalized=False, special=special)


def _merges(pieces: Any, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """Every way in which a piece is made of two others, the earliest learned first."""
    found = []
    for piece, index in vocabulary.items():
        if piece in WHOLE or pieces.IsControl(index) or pieces.IsByte(index) or pieces.IsUnknown(index):
            continue
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in vocabulary and right in vocabulary:
                found.append((-pieces.GetScore(index), vocabulary[left], vocabulary[right], (left, right)))
    return [pair for *_, pair in sorted(found)]


def _lines() -> list[str]:
    """Every sentence, its slots on lines of their own."""
    nouns = [KANJI[key] for key in (*SHAPES, *COLOURS)] + [adjective(colour) for colour in COLOURS]
    lines = [word for noun in nouns for word in [noun] * 20]
    for shape in SHAPES:
        for colour in COLOURS:
            for other in ("circle", "cross"):
                lines += _asked(
                    Shape(shape, colour, (0, 0, 0), 20, 20, 10), Shape(other, "green", (0, 0, 0), 70, 70, 10)
                )
    lines += OFTEN * 200
    return lines


def _asked(*shapes: Shape) -> list[str]:
    """Questions and answers about one and about two shapes, cut at the Japanese colours and shapes."""
    cut = sorted({form for shape in shapes for form in (KANJI[shape.kind], adjective(shape.colour))}, key=len)
    lines = []
    for scene in (Scene(SIDE, SIDE, (0, 0, 0), shapes[:1]), Scene(SIDE, SIDE, (0, 0, 0), shapes)):
        for language in LANGUAGES:
            for question in questions(scene, language):
                texts = [question.text] if question.kind == "box" else [question.text, question.answer]
                for text in texts:
                    for form in cut if language == "ja" else []:
                        text = text.replace(form, f"\n{form}\n")
                    lines += [part for part in text.split("\n") if part]
    return lines
