from __future__ import annotations

import enum
import json
import time
from dataclasses import dataclass
from typing import Any, Literal

import jsonschema
import pytest

from edgeai import Message, SchemaError, Session, ToolCall, UnsupportedModalityError
from edgeai.tools import ToolBox
from tests.fakes import FakeBackend

TOOL_TEMPLATE = (
    "{% if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for call in m.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Odd(enum.Enum):
    THING = object()


def paint(
    room: str,
    colour: Colour = Colour.RED,
    coats: int = 1,
    scale: float = 1.0,
    walls: list[str] | None = None,
    finish: Literal["matt", "gloss"] = "matt",
    more: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Paint a room
    in a colour.

    More that the model need not read.

    Args:
        room: which room,
            by its name.
        coats: how often.
    """
    assert isinstance(colour, Colour)
    return {"room": room, "colour": colour.value, "coats": coats, "walls": walls, "finish": finish, "more": more}


def test_a_signature_becomes_a_schema() -> None:
    function = ToolBox([paint]).schemas[0]["function"]
    assert function["name"] == "paint"
    assert function["description"] == "Paint a room in a colour."
    parameters = function["parameters"]
    jsonschema.Draft202012Validator.check_schema(parameters)
    assert parameters["required"] == ["room"]
    assert parameters["properties"]["room"] == {"type": "string", "description": "which room, by its name."}
    assert parameters["properties"]["coats"] == {"type": "integer", "description": "how often.", "default": 1}
    assert parameters["properties"]["colour"] == {"enum": ["red", "blue"], "default": "red"}
    assert parameters["properties"]["walls"] == {
        "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]
    }


def test_a_tool_without_its_list_is_named() -> None:
    with pytest.raises(SchemaError, match=r"expected a list of functions, as in tools=\[len\]"):
        ToolBox(len)  # type: ignore[arg-type]


def test_what_cannot_be_described_is_refused_by_name() -> None:
    def bytes_in(data: bytes) -> None: ...
    def no_hint(data) -> None: ...  # type: ignore[no-untyped-def]
    def many(*data: str) -> None: ...

    def odd_choice(data: Literal[b"x"]) -> None: ...
    def odd_enum(data: Odd) -> None: ...
    def no_such_type(data: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821
    async def later(data: str) -> None: ...

    for function in (bytes_in, no_hint, many, odd_choice, odd_enum):
        with pytest.raises(SchemaError, match=r"'data'"):
            ToolBox([function])
    with pytest.raises(SchemaError, match="Nowhere"):
        ToolBox([no_such_type])
    with pytest.raises(SchemaError, match="later is async"):
        ToolBox([later])
    with pytest.raises(SchemaError, match="twice"):
        ToolBox([paint, paint])
    with pytest.raises(SchemaError, match="named function"):
        ToolBox([3])  # type: ignore[list-item]


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "paint", "arguments": {"room": "hall"}}\n</tool_call>',
        '<tool_call>[{"name": "paint", "arguments": {"room": "hall"}}]</tool_call>',
        'I shall paint it. <tool_call>{"name": "paint", "arguments": {"room": "hall"}}',
        '{"name": "paint", "parameters": {"room": "hall"}}',
        '[{"name": "paint", "arguments": {"room": "hall"}}]',
        '[TOOL_CALLS] [{"name": "paint", "arguments": {"room": "hall"}}]',
        '```json\n{"name": "paint", "arguments": {"room": "hall"}}\n```',
        '<|tool_call|>[{"name": "paint", "arguments": {"room": "hall"}}]<|/tool_call|>',
        '<|python_tag|>{"type": "function", "name": "paint", "parameters": {"room": "hall"}}',
        '[TOOL_CALLS]paint[ARGS]{"room": "hall"}',
        '[TOOL_CALLS]paint[CALL_ID]a1b2c3d4e[ARGS]{"room": "hall"}',
        '{"type": "function", "function": {"name": "paint", "arguments": "{\\"room\\": \\"hall\\"}"}}',
    ],
)
def test_calls_are_found_in_every_family_s_marks(text: str) -> None:
    assert ToolBox([paint]).parse(text) == (ToolCall("paint", {"room": "hall"}),)


@pytest.mark.parametrize(
    "text",
    [
        "The hall is painted.",
        '{"room": "hall"}',
        '{"name": "destroy", "arguments": {}}',
        '{"name": "paint", "arguments": [1]}',
        '{"name": "paint", "arguments": "{"}',
        '{"name": "paint", "arguments": {"room": NaN}}',
        '{"name": "paint", "arguments": {"room": ' + "9" * 5000 + "}}",
        '<tool_call>{"name": "paint", "argum',
        "[" * 100_000,
        "__import__('os').system('true')",
        "",
    ],
)
def test_what_is_no_call_is_an_answer(text: str) -> None:
    assert ToolBox([paint]).parse(text) == ()


def test_a_marked_call_that_cannot_be_run_says_why() -> None:
    box = ToolBox([paint])
    text = (
        '<tool_call>{"name": "destroy"}</tool_call><tool_call>{"name": "paint", "arguments": {"room": 1}}</tool_call>'
    )
    unknown, wrong = box.parse(text)
    assert unknown.error == "there is no tool 'destroy': expected one of paint"
    assert wrong.error == "paint: room = 1: expected string"
    assert box.run(unknown) == f"error: {unknown.error}"
    assert box.run(wrong) == f"error: {wrong.error}"


@pytest.mark.parametrize("piece", ["{} ", "[", "<tool_call>{", '<tool_call>["', "```json {}", '{"name":"paint"},'])
def test_long_nonsense_is_read_in_no_time(piece: str) -> None:
    started = time.process_time()
    assert len(ToolBox([paint]).parse(piece * 100_000)) <= 16
    assert time.process_time() - started < 1


def test_several_calls_come_in_order() -> None:
    text = "".join(f'<tool_call>{{"name": "paint", "arguments": {{"room": "{n}"}}}}</tool_call>\n' for n in range(40))
    assert [call.arguments["room"] for call in ToolBox([paint]).parse(text)] == [str(n) for n in range(16)]


def test_running_converts_checks_and_survives() -> None:
    def fail(why: str) -> str:
        raise KeyError(why)

    box = ToolBox([paint, fail])
    result = json.loads(box.run(ToolCall("paint", {"room": "玄関", "colour": "blue", "coats": 2.0, "more": {"a": 1}})))
    assert result == {"room": "玄関", "colour": "blue", "coats": 2, "walls": None, "finish": "matt", "more": {"a": 1}}
    assert isinstance(result["coats"], int)
    for arguments, says in (
        ({}, "'room' is missing"),
        ({"room": 3}, "room = 3: expected string"),
        ({"room": "x", "colour": "green"}, "expected one of ['red', 'blue']"),
        ({"room": "x", "walls": [1]}, "wrong type"),
        ({"room": "x", "coats": True}, "expected integer"),
        ({"room": "x", "paint": 1}, "no parameter 'paint'"),
    ):
        answer = box.run(ToolCall("paint", arguments))
        assert answer.startswith("error: paint: ")
        assert says in answer
    assert box.run(ToolCall("fail", {"why": "no"})) == "error: fail: KeyError: 'no'"


def test_values_inside_of_others_are_converted_too() -> None:
    def mix(colours: list[Colour], sizes: dict[str, float], one: Colour | int | None, flag: Literal[1, "x"]) -> str:
        return f"{colours} {sizes} {one} {flag}"

    box = ToolBox([mix])
    arguments = {"colours": ["red", "blue"], "sizes": {"a": 1}, "one": "blue", "flag": 1}
    assert box.run(ToolCall("mix", arguments)) == f"{[Colour.RED, Colour.BLUE]} {{'a': 1.0}} {Colour.BLUE} 1"
    assert "Colour" not in box.run(ToolCall("mix", {**arguments, "colours": [], "one": None}))
    assert box.run(ToolCall("mix", {**arguments, "flag": True})).startswith("error: mix: flag = True: expected one of")


def test_schemas_and_checks_agree_with_jsonschema() -> None:
    box = ToolBox([paint])
    validator = jsonschema.Draft202012Validator(box.schemas[0]["function"]["parameters"])
    values: list[Any] = ["x", "red", "gloss", 1, 1.0, 1.5, True, None, [], ["a"], [1], {}, {"a": 1}, {"a": "b"}]
    for name in ("room", "colour", "coats", "scale", "walls", "finish", "more", "other"):
        for value in values:
            arguments = {"room": "hall", name: value}
            assert validator.is_valid(arguments) == (not box.run(ToolCall("paint", arguments)).startswith("error"))


def test_any_result_is_text_for_the_model() -> None:
    @dataclass
    class Wall:
        colours: set[Colour]

    def look(kind: str) -> Any:
        return {"wall": Wall({Colour.RED}), "other": object, "long": "x" * 50_000, "none": None}[kind]

    def shout(words: str) -> None:
        raise RuntimeError(words)

    box = ToolBox([look, shout])
    assert box.run(ToolCall("look", {"kind": "wall"})) == '{"colours": ["red"]}'
    assert box.run(ToolCall("look", {"kind": "none"})) == "null"
    assert box.run(ToolCall("look", {"kind": "other"})) == "\"<class 'object'>\""
    assert len(box.run(ToolCall("look", {"kind": "long"}))) < 20_100
    assert len(box.run(ToolCall("shout", {"words": "no" * 5000}))) == 500


CALL = '<tool_call>{"name": "paint", "arguments": {"room": "hall"}}</tool_call>'


def test_a_session_returns_the_calls() -> None:
    session = Session(backend=FakeBackend(chat_template=TOOL_TEMPLATE).enqueue(CALL))
    response = session.chat("Paint the hall.", tools=[paint])
    assert list(response) == [], "the call is no text to show"
    assert response.tool_calls == (ToolCall("paint", {"room": "hall"}),)
    assert response.finish_reason == "tool_calls"
    assert session.messages[-1] == Message("assistant", "", tool_calls=response.tool_calls)


def test_a_session_runs_the_calls_and_lets_the_model_go_on() -> None:
    backend = FakeBackend(chat_template=TOOL_TEMPLATE).enqueue(CALL, "It is red now.")
    session = Session(backend=backend)
    response = session.chat("Paint the hall.", tools=[paint], run_tools=True)
    assert response.text == "It is red now."
    assert response.finish_reason == "stop"
    assert [message.role for message in session.messages] == ["user", "assistant", "tool", "assistant"]
    assert json.loads(session.messages[2].content)["room"] == "hall"
    assert '"colour": "red"' in backend.detokenize(backend.requests[1].tokens)


def test_a_session_tells_the_model_what_was_wrong_with_a_call() -> None:
    wrong = CALL.replace("paint", "pain")
    session = Session(backend=FakeBackend(chat_template=TOOL_TEMPLATE).enqueue(wrong, CALL, "Done."))
    assert session.chat("Paint the hall.", tools=[paint], run_tools=True).text == "Done."
    assert session.messages[2].content == "error: there is no tool 'pain': expected one of paint"


def test_an_ordinary_answer_streams_although_there_are_tools() -> None:
    session = Session(backend=FakeBackend(chat_template=TOOL_TEMPLATE).enqueue("Hello to you"))
    assert list(session.chat("Hello", tools=[paint])) == ["Hello", " to", " you"]


def test_a_model_that_never_stops_calling_is_stopped() -> None:
    session = Session(backend=FakeBackend(chat_template=TOOL_TEMPLATE).enqueue(*[CALL] * 20))
    assert session.chat("Paint.", tools=[paint], run_tools=True).finish_reason == "tool_calls"


def test_a_template_without_tools_says_so() -> None:
    with pytest.raises(UnsupportedModalityError, match="tools"):
        Session(backend=FakeBackend()).chat("Paint.", tools=[paint])
