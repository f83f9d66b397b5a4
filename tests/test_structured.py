from __future__ import annotations

import datetime
import enum
import json
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeai.errors import GenerationError, SchemaError
from edgeai.json_schema import MAX_SCHEMA_CHARS, prepare
from edgeai.structured import OutputFormat
from tests.random_writer import write

Schema = dict[str, Any]
TREE: Schema = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"name": {"enum": ["a", "b"]}, "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
            "required": ["name"],
        }
    },
    "$ref": "#/$defs/node",
}
SCHEMAS: dict[str, Schema] = {
    "any": {},
    "text": {"type": "string", "minLength": 2, "maxLength": 5},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"},
    "pattern inside": {"type": "string", "pattern": "b"},
    "date": {"type": "string", "format": "date"},
    "number": {"type": "number", "exclusiveMinimum": -1.5, "maximum": 2},
    "integer": {"type": "integer", "minimum": 17, "maximum": 4242},
    "multiple": {"type": "integer", "multipleOf": 7, "minimum": 0},
    "choice": {"enum": ["東京", 'a"b', 3, None, [1], {"a": "<|im_end|>"}]},
    "constant": {"const": {"a": [1, "x"]}},
    "boolean or nothing": {"type": ["boolean", "null"]},
    "list": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    "tuple": {"type": "array", "prefixItems": [{"type": "null"}, {"const": 1}], "items": False, "minItems": 2},
    "object": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": "null"}},
        "required": ["b"],
    },
    "open object": {"type": "object", "properties": {"a": {"const": 1}}, "additionalProperties": {"type": "boolean"}},
    "required without properties": {"type": "object", "required": ["x"]},
    "patterns of names": {"type": "object", "patternProperties": {"^k": {"const": 1}}, "additionalProperties": False},
    "alternatives": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "null"}}]},
    "one of": {"oneOf": [{"type": "integer"}, {"type": "string", "maxLength": 3}]},
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"const": 2}}, "required": ["b"]},
        ]
    },
    "beside alternatives": {
        "type": "object",
        "properties": {"k": {"const": 0}},
        "anyOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}, {"required": ["k"]}],
    },
    "tree": TREE,
    "own settings": {"x-guidance": {"item_separator": "oops", "lenient": True}, "type": "array", "items": {"const": 1}},
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_written_by_the_grammar_is_valid(name: str) -> None:
    schema = SCHEMAS[name]
    output = OutputFormat(schema)
    assert output.schema == schema
    jsonschema.Draft202012Validator.check_schema(schema)
    for seed in range(8):
        value = output.parse(write(output.grammar, seed))
        jsonschema.validate(value, schema, format_checker=jsonschema.FormatChecker())


def simple_schemas() -> st.SearchStrategy[Schema]:
    bounds = st.integers(-50, 50)
    return st.one_of(
        st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": "string"}, {"type": "number"}]),
        st.tuples(bounds, st.integers(0, 30)).map(
            lambda pair: {"type": "integer", "minimum": pair[0], "maximum": pair[0] + pair[1]}
        ),
        st.tuples(st.integers(0, 4), st.integers(0, 4)).map(
            lambda pair: {"type": "string", "minLength": pair[0], "maxLength": pair[0] + pair[1]}
        ),
        st.lists(st.text(max_size=6) | st.integers() | st.none(), min_size=1, max_size=4).map(lambda it: {"enum": it}),
    )


def nested_schemas(parts: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    names = st.text(alphabet='abé "', max_size=3)
    properties = st.dictionaries(names, parts, max_size=4)
    return st.one_of(
        parts.map(lambda part: {"type": "array", "items": part, "maxItems": 3}),
        st.lists(parts, min_size=1, max_size=3).map(lambda them: {"anyOf": them}),
        properties.flatmap(
            lambda them: st.sets(st.sampled_from(sorted(them))) if them else st.just(set[str]())
        ).flatmap(
            lambda required: st.dictionaries(st.sampled_from(sorted(required) or ["z"]), parts, min_size=1).map(
                lambda them: {"type": "object", "properties": them, "required": [n for n in required if n in them]}
            )
        ),
        properties.map(lambda them: {"type": "object", "properties": them, "required": sorted(them)}),
    )


@settings(max_examples=60, deadline=None)
@given(schema=st.recursive(simple_schemas(), nested_schemas, max_leaves=6), seed=st.integers(0, 1000))
def test_any_schema_of_common_parts_is_followed(schema: Schema, seed: int) -> None:
    output = OutputFormat(schema)
    text = write(output.grammar, seed)
    jsonschema.validate(output.parse(text), schema)
    assert "\n" not in text


def test_objects_are_written_as_python_writes_them() -> None:
    schema = {"const": {"a": [1, 2], "b": {"c": "é"}}}
    assert write(OutputFormat(schema).grammar, 1) == '{"a": [1, 2], "b": {"c": "é"}}'


def test_objects_get_no_properties_that_are_not_listed() -> None:
    output = OutputFormat({"type": "object", "properties": {"a": {"type": "null"}}})
    assert {write(output.grammar, seed) for seed in range(20)} == {"{}", '{"a": null}'}


def test_what_stands_for_data_is_not_taken_for_a_schema() -> None:
    data = {"properties": {"format": "x"}, "format": "phone", "x-guidance": 1}
    schema = {"const": data, "default": data, "properties": {"format": {"const": "phone"}, "x-guidance": {}}}
    prepared = prepare(schema)
    assert prepared == {**schema, "additionalProperties": False}
    assert prepared is not schema


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Circle(pydantic.BaseModel):
    kind: Literal["circle"]
    radius: Annotated[float, pydantic.Field(gt=0, lt=9)]


class Line(pydantic.BaseModel):
    kind: Literal["line"]
    ends: tuple[int, int]


class Drawing(pydantic.BaseModel):
    name: Annotated[str, pydantic.Field(max_length=6)]
    shape: Circle | Line = pydantic.Field(discriminator="kind")
    colour: Colour | None = None
    made: datetime.date
    id: uuid.UUID
    tags: dict[str, bool] = {}
    file: Path = Path("x")


def test_pydantic_models_come_back_as_instances() -> None:
    output = OutputFormat(Drawing)
    assert output.schema == Drawing.model_json_schema()
    for seed in range(10):
        assert isinstance(output.parse(write(output.grammar, seed)), Drawing)


def test_what_a_models_own_validator_refuses_is_an_error() -> None:
    class Even(pydantic.BaseModel):
        number: int

        @pydantic.field_validator("number")
        @classmethod
        def check(cls, number: int) -> int:
            if number % 2:
                raise ValueError("odd numbers are odd")
            return number

    output = OutputFormat(Even)
    assert output.parse('{"number": 2}').number == 2
    with pytest.raises(GenerationError, match="odd numbers are odd"):
        output.parse('{"number": 3}')


@pytest.mark.parametrize("text", ["", "{", '{"a": ', '{"a": "x', "[1, 2", "9" * 5000, "[" * 100_000])
def test_an_answer_that_was_cut_short_is_none(text: str) -> None:
    assert OutputFormat({}).parse(text) is None
    assert OutputFormat(Line).parse(text) is None


@pytest.mark.parametrize("pattern", ["[0-9]{1,3}( [0-9]{1,3}){3}", "(ja|nein), [a-c]+\\.", "赤い(丸|四角)"])
def test_a_regular_expression_is_followed(pattern: str) -> None:
    output = OutputFormat(re.compile(pattern))
    for seed in range(5):
        text = write(output.grammar, seed)
        match = output.parse(text)
        assert isinstance(match, re.Match), text
    assert output.parse("nonsense") is None


@pytest.mark.parametrize("pattern", [re.compile(b"a"), re.compile("(?=a)b"), re.compile(r"(a)\1")])
def test_a_regular_expression_that_cannot_be_followed_is_named(pattern: re.Pattern[str]) -> None:
    with pytest.raises(SchemaError, match="response_format: "):
        OutputFormat(pattern)


def test_json_text_is_taken_as_well() -> None:
    assert OutputFormat('{"type": "null"}').schema == {"type": "null"}


WRONG: list[tuple[Any, str]] = [
    ({"type": "strng"}, r"^response_format: Invalid type: strng$"),
    ({"type": "object", "properties": {"a": {"items": {"type": "x"}}}}, r"at 'properties/a/items': Invalid type: x"),
    ({"$defs": {"x": {"uniqueItems": True}}, "$ref": "#/$defs/x"}, r"at '\$defs/x': \[\"uniqueItems\"\] cannot be"),
    ({"anyOf": [{}, {"not": {"type": "null"}}]}, r"at 'anyOf/1': \[\"not\"\] cannot be followed"),
    ({"type": "string", "pattern": "(a"}, r"unclosed group in the pattern '\(a'"),
    ({"type": "string", "pattern": "^(?=a)"}, "look-around"),
    ({"type": "array", "minItems": 3, "maxItems": 2, "items": {}}, "minItems"),
    ({"enum": []}, "Unsatisfiable"),
    ({"properties": 5}, "properties must be an object"),
    ({"anyOf": 7}, "anyOf"),
    ({"required": "a", "properties": {"a": {}}}, "required"),
    ({"anyOf": [{}] * 1001}, r"1,001 anyOf at one place: at most 1,000"),
    ({"$ref": "#/$defs/nowhere"}, "nowhere"),
    ({"$ref": "https://example.com/schema.json"}, r"'https://example\.com/schema\.json' leads out of the schema"),
    ({"$ref": "file:///etc/passwd"}, "leads out of the schema"),
    ({"$schema": "http://127.0.0.1:1/meta", "type": "null"}, "leads out of the schema"),
    ({"$ref": "#"}, "nothing can follow it"),
    ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, "^response_format: nothing can follow it"),
    ({"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]}, "nothing can follow it"),
    ("{", "not valid JSON"),
    ("true", "expected an object"),
    ("[" * 100_000, "nested too deep"),
    ({"const": {1, 2}}, "not valid JSON"),
    ({"minimum": float("nan")}, "not valid JSON"),
    ({"enum": ["x" * MAX_SCHEMA_CHARS]}, "expected at most 500,000"),
    (None, "expected a JSON Schema"),
    (7, "expected a JSON Schema"),
    (int, "expected a JSON Schema"),
    (Drawing.model_construct(), "expected a JSON Schema"),
]


@pytest.mark.parametrize(("schema", "message"), WRONG)
def test_a_wrong_schema_is_named_in_one_line(schema: Any, message: str) -> None:
    with pytest.raises(SchemaError, match=message) as caught:
        OutputFormat(schema)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


class NoData:
    """Not to be described by a schema."""


class Opaque(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
    thing: NoData


class UniqueTags(pydantic.BaseModel):
    tags: set[str]


def test_a_pydantic_model_without_a_usable_schema_is_named() -> None:
    with pytest.raises(SchemaError, match="Opaque"):
        OutputFormat(Opaque)
    with pytest.raises(SchemaError, match=r"at 'properties/tags': .*uniqueItems"):
        OutputFormat(UniqueTags)


def deep(level: int, inside: Schema) -> Schema:
    return {"type": "object", "properties": {"a": deep(level - 1, inside)}} if level else inside


CHAIN = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
HOSTILE: dict[str, Any] = {
    "deep": deep(60, {"type": "null"}),
    "deeper": deep(200, {"type": "null"}),
    "deepest": '{"items":' * 5000 + "{}" + "}" * 5000,
    "shared": {"$defs": {**CHAIN, "d40": {"type": "null"}}, "$ref": "#/$defs/d0"},
    "alternatives": {"allOf": [{"anyOf": [{"required": [f"p{n}"]}, {"required": [f"q{n}"]}]} for n in range(24)]},
    "choices": {"enum": [f"choice {n}" for n in range(20_000)]},
    "properties": {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(1000)}},
    "many properties": {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(10_000)}},
    "dates": {"type": "object", "properties": {f"p{n}": {"type": "string", "format": "date"} for n in range(500)}},
    "backtracking": {"type": "string", "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$"},
    "states": {"type": "string", "pattern": "^(a|b)*a(a|b){40}$"},
    "repeats": {"type": "string", "pattern": "((a{1000}){1000}){1000}"},
    "groups": {"type": "string", "pattern": "(" * 3000 + "a" + ")" * 3000},
    "length": {"type": "string", "maxLength": 10**18},
    "items": {"type": "array", "items": {"type": "null"}, "minItems": 10**9},
    "multiples": {"type": "integer", "multipleOf": 10**9 + 7},
    "digits": {"type": "integer", "maximum": 10**300},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_ends_soon(name: str) -> None:
    """With an error, or with a grammar that can be followed for a while."""
    started = time.process_time()
    try:
        write(OutputFormat(HOSTILE[name]).grammar, 1, n_max=50)
    except (SchemaError, GenerationError) as exc:
        assert len(str(exc)) < 500  # noqa: PT017 - both ends are good ones
    assert time.process_time() - started < 5


def test_importing_it_loads_neither_llguidance_nor_pydantic() -> None:
    code = "import sys, edgeai.structured; sys.exit(bool({'llguidance', 'pydantic', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_schema_of_an_answer_can_be_kept_as_json() -> None:
    assert json.loads(json.dumps(OutputFormat(TREE).schema)) == TREE
