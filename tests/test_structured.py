from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import jsonschema
import numpy as np
import pydantic
import pytest

from edgeai import SchemaError
from edgeai.backends.grammar import TokenMaskFactory
from edgeai.structured import OutputFormat

END = 256
FACTORY = TokenMaskFactory(
    [*(bytes([byte]) for byte in range(256)), b"<|end|>"], special_ids=[END], end_ids=[END], tokenize=list
)


def random_answer(output: OutputFormat, seed: int, n_tokens: int = 2000) -> str:
    """What a model with random logits says under the grammar; long texts are made to end."""
    rng = np.random.default_rng(seed)
    mask, data = FACTORY.mask(output.grammar), bytearray()
    for index in range(n_tokens):
        logits = rng.normal(size=257).astype(np.float32)
        logits[[END, *b'"}],']] += index / 20
        mask.apply(logits)
        token = int(logits.argmax())
        if token == END:
            break
        mask.accept(token)
        data.append(token)
        if mask.is_finished:
            break
    return data.decode()


SCHEMAS: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False},
    {"type": "array", "items": {"enum": ["x", "y", 3, None]}, "minItems": 1, "maxItems": 4},
    {"type": "string", "pattern": "^[a-c]{2,5}$"},
    {"anyOf": [{"type": "boolean"}, {"type": "number", "minimum": 0, "maximum": 10}]},
    {
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "maxProperties": 1}},
        "$ref": "#/$defs/node",
        "additionalProperties": False,
    },
    {"type": "object", "properties": {"名前": {"type": "string", "maxLength": 5}}, "required": ["名前"]},
]


@pytest.mark.parametrize("schema", SCHEMAS[:4] + SCHEMAS[5:], ids=range(5))
def test_whatever_the_model_wants_the_answer_is_valid(schema: dict[str, Any]) -> None:
    output = OutputFormat(schema)
    for seed in range(8):
        value = json.loads(random_answer(output, seed))
        jsonschema.validate(value, schema)
        assert output.parse(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"type": "strng"}, "strng"),
        ({"$ref": "http://example.com/schema"}, "example.com"),
        ({"type": "object", "properties": 3}, "properties"),
        ({"enum": []}, "Unsatisfiable"),
        ({"type": "string", "pattern": "("}, "unclosed group"),
        ({"type": "integer", "minimum": 5, "maximum": 3}, "minimum"),
        ("{not json", "not JSON"),
        (42, "int"),
        ([], "list"),
        ({"enum": [object()]}, "not plain JSON"),
        ({"enum": ["x" * 300_000]}, "characters"),
    ],
)
def test_a_wrong_schema_gets_one_line_that_says_what_is_wrong(wrong: Any, says: str) -> None:
    with pytest.raises(SchemaError, match=says) as caught:
        OutputFormat(wrong)
    assert "\n" not in str(caught.value)


def test_hostile_schemas_end_soon() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(5000):
        deep = {"type": "array", "items": deep}
    hostile: list[Any] = [
        deep,
        {"type": "string", "pattern": "^(a+)+$"},
        {"type": "string", "pattern": "(((a{1,99}){1,99}){1,99}){1,99}"},
        {"allOf": [{"anyOf": [{"minLength": n}, {"maxLength": n}]} for n in range(40)], "type": "string"},
        {"$ref": "#"},
    ]
    started = time.process_time()
    for schema in hostile:
        with contextlib.suppress(SchemaError):
            FACTORY.mask(OutputFormat(schema).grammar)
    assert time.process_time() - started < 60


class Point(pydantic.BaseModel):
    x: int
    y: int

    @pydantic.model_validator(mode="after")
    def ordered(self) -> Point:
        if self.x > self.y:
            raise ValueError("x comes first")
        return self


def test_a_pydantic_model_checks_its_own_rules() -> None:
    output = OutputFormat(Point)
    assert output.parse('{"x":1,"y":2}') == Point(x=1, y=2)
    assert output.parse('{"x":1,') is None
    with pytest.raises(SchemaError, match="Point"):
        output.parse('{"x":3,"y":2}')
