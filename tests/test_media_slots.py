"""Where a chat template puts pictures: templates shaped as those of models that see, and users who write slots."""

from __future__ import annotations

import pytest

from edgeai.errors import ChatTemplateError
from edgeai.media import Medium, markers
from edgeai.messages import Message
from edgeai.prompt import ChatTemplate
from tests.chat_templates import CHATML

PARTS_ONLY = (  # as SmolVLM's: a string is taken for a list of parts, and lost
    "{% for message in messages %}{{ message.role | capitalize }}"
    "{% if message.content[0].type == 'image' %}:{% else %}: {% endif %}"
    "{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}"
    "{% elif part.type == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
EITHER = (  # as Qwen-VL's: strings, or parts with several control tokens for a picture
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}<|begin|><|image|><|end|>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOKENS = ("<image>", "<end>", "<|im_start|>", "<|im_end|>", "<|begin|>", "<|image|>", "<|end|>")
RED, BLUE = Medium.picture(bytes([255, 0, 0]), 1, 1), Medium.picture(bytes([0, 0, 255]), 1, 1)
NOISE = Medium.sound(bytes(1600))


def template(source: str, margin: str = "") -> ChatTemplate:
    return ChatTemplate(source, special_tokens=TOKENS, picture_margin=margin)


def shown(content: str, *media: Medium) -> Message:
    return Message("user", content, media=media)


def test_a_picture_stands_where_the_template_puts_it() -> None:
    (text,) = template(PARTS_ONLY).render([shown("What?", RED), Message("assistant", "Red."), shown("And?", BLUE)])
    assert text == (
        f"User:{markers([RED])}What?<end>\nAssistant: Red.<end>\nUser:{markers([BLUE])}And?<end>\nAssistant:"
    )


def test_a_template_that_loses_strings_gets_parts_without_pictures_too() -> None:
    assert template(PARTS_ONLY).render([shown("Hello")]) == ("User: Hello<end>\nAssistant:",)


def test_what_stands_for_a_picture_may_be_several_tokens() -> None:
    (text,) = template(EITHER).render([shown("What?", RED, BLUE)])
    assert text == f"<|im_start|>user\n{markers([RED, BLUE])}What?<|im_end|>\n<|im_start|>assistant\n"


def test_a_template_that_knows_no_pictures_gets_them_before_the_text() -> None:
    (text,) = template(CHATML).render([shown("What?", RED)])
    assert text.startswith(f"<|im_start|>user\n{markers([RED])}What?<|im_end|>")


def test_a_margin_stands_around_each_picture() -> None:
    (text,) = template(EITHER, "\n\n").render([shown("What?", RED, BLUE)])
    assert f"user\n\n\n{markers([RED])}\n\n\n\n{markers([BLUE])}\n\nWhat?" in text


def test_sounds_stay_before_the_text_and_pictures_in_their_place() -> None:
    (text,) = template(PARTS_ONLY).render([shown("What?", NOISE, RED)])
    assert text.startswith(f"User:{markers([RED])}{markers([NOISE])}What?")


@pytest.mark.parametrize("source", [PARTS_ONLY, EITHER, CHATML])
@pytest.mark.parametrize("said", ["<image>", "<|begin|><|image|><|end|>", "a <image> b <|image|><|end|>"])
def test_nobody_can_write_a_picture(source: str, said: str) -> None:
    parts = template(source).render([shown(said, RED), Message("assistant", said), shown(said)])
    assert "".join(parts).count(markers([RED])) == 1
    assert "".join(parts).count(said) == 3, "what is said stays what was said"
    assert not any(token in part for part in parts for token in ("<image>", "<|begin|><|image|><|end|>"))


def test_a_template_that_shows_a_picture_twice_is_refused() -> None:
    twice = EITHER.replace(
        "<|begin|><|image|><|end|>", "<|image|>{% if message.content | length > 2 %}<|image|>{% endif %}"
    )
    with pytest.raises(ChatTemplateError, match="one place for each of 2 pictures"):
        template(twice).render([shown("What?", RED, BLUE)])
