"""`response_format`: a JSON Schema, a pydantic model or a regular expression that an answer must follow."""

from __future__ import annotations

import functools
import json
import re
from typing import Any, Protocol

from edgeai.errors import GenerationError, SchemaError
from edgeai.json_schema import Schema, find_fault, parse_schema, prepare

GRAMMAR_OPTIONS = {
    "whitespace_flexible": False,
    "whitespace_pattern": None,
    "item_separator": ", ",
    "key_separator": ": ",
    "coerce_one_of": False,
    "lenient": False,
}
"""One way to write an object down, that of Python's json.dumps: a small model that may write any whitespace writes it
without end. Numbers, texts and lists have the lengths that the schema allows, so give `maxLength` and `maxItems`."""

_MAX_FORCED = 10_000


class _PydanticModel(Protocol):
    def model_json_schema(self) -> dict[str, Any]: ...

    def model_validate_json(self, json_data: str) -> Any: ...


class OutputFormat:
    """The form of an answer.

    Attributes:
        grammar: of llguidance.
    """

    def __init__(self, response_format: Any) -> None:
        """Take a form.

        Args:
            response_format: a JSON Schema as a dict or as JSON text, a pydantic model class, or a compiled regular
                expression that the whole answer matches.

        Raises:
            SchemaError: it is no schema, or has parts that cannot be made a grammar of (`not`, `if`, `uniqueItems`,
                references to other documents …). The message names the place.
        """
        self._pattern = response_format if isinstance(response_format, re.Pattern) else None
        self._model = _as_model(response_format)
        if self._pattern is not None:
            self.grammar: str = _of_pattern(self._pattern)
            return
        self.schema: Schema = parse_schema(_schema_of(self._model) if self._model else _as_schema(response_format))
        schema = prepare(self.schema)
        if problem := _problem(schema):
            place, problem = find_fault(schema, problem, _problem)
            where = f" at {place if len(place) < 120 else '…' + place[-120:]!r}" if place else ""
            raise SchemaError(f"response_format{where}: {problem}")
        self.grammar = _grammar(schema)

    def parse(self, text: str) -> Any:
        """What an answer stands for: plain data, a pydantic model's instance or a regular expression's match; None
        where it was cut short.

        Raises:
            GenerationError: the answer has the form, but the pydantic model's own validators refuse it.
        """
        if self._pattern is not None:
            return self._pattern.fullmatch(text)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if self._model is None:
            return value
        try:
            return self._model.model_validate_json(text)
        except ValueError as exc:
            reason = " ".join(str(exc).split())[:300]
            raise GenerationError(f"the answer has the right form, but it is refused: {reason}") from exc


def _as_model(response_format: Any) -> _PydanticModel | None:
    is_model = isinstance(response_format, type) and hasattr(response_format, "model_json_schema")
    return response_format if is_model else None


def _schema_of(model: _PydanticModel) -> dict[str, Any]:
    try:
        return model.model_json_schema()
    except (TypeError, ValueError, RuntimeError) as exc:
        raise SchemaError(f"response_format: no JSON Schema can be made of {model!r}: {exc}") from exc


def _as_schema(response_format: Any) -> Any:
    if isinstance(response_format, (dict, str)):
        return response_format
    raise SchemaError(
        f"response_format is a {type(response_format).__name__}: expected a JSON Schema (dict or JSON text), a "
        "pydantic model class or a compiled regular expression"
    )


def _grammar(schema: Schema) -> str:
    import llguidance

    try:
        grammar: str = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=GRAMMAR_OPTIONS)
    except ValueError as exc:
        raise SchemaError(f"the JSON Schema cannot be read: {exc}") from exc
    return grammar


def _of_pattern(pattern: re.Pattern[Any]) -> str:
    import llguidance

    try:
        if not isinstance(pattern.pattern, str):
            raise SchemaError("response_format: a pattern of bytes, expected one of text")
        grammar: str = llguidance.LLMatcher.grammar_from_regex(pattern.pattern)
        if error := llguidance.LLMatcher.validate_grammar(grammar):
            raise SchemaError(f"response_format: {_in_words(error)}")
    except ValueError as exc:
        raise SchemaError(f"response_format: the pattern cannot be followed: {exc}") from exc
    return grammar


def _problem(schema: Schema) -> str:
    """What keeps a schema from being followed; "" for nothing."""
    import llguidance

    try:
        grammar = _grammar(schema)
    except SchemaError as exc:
        return str(exc)
    matcher = llguidance.LLMatcher(_byte_tokenizer(), grammar, log_level=0)
    for _ in range(_MAX_FORCED):  # the beginning that any answer has: a schema that nothing follows fails here
        forced = matcher.compute_ff_tokens()
        if not forced or not matcher.consume_tokens(forced):
            break
    if not matcher.is_error() and not matcher.is_stopped():
        matcher.compute_bitmask()
    return _in_words(matcher.get_error()) if matcher.is_error() else ""


def _in_words(error: str) -> str:
    """llguidance's message in one line."""
    lines = [line.strip() for line in error.split("<state>")[0].splitlines() if line.strip()]
    if lines[0].startswith("NoExtension") or "Too many items" in lines[0]:
        return "nothing can follow it: it asks for itself without end, or contradicts itself"
    if "Current row has" in lines[0]:
        return "it has too many optional properties or alternatives at one place"
    if lines[0].startswith("regex parse error"):
        return f"{lines[-1].removeprefix('error: ')} in the pattern {lines[1][:80]!r}"
    if lines[0].startswith("Unimplemented keys"):
        return f"{lines[0].partition(': ')[2]} cannot be followed: leave it out"
    if lines[0].startswith("Resource"):
        return f"the reference {lines[0].split(chr(39))[1]!r} leads out of the schema: put its target under $defs"
    return lines[0][:300]


@functools.cache
def _byte_tokenizer() -> Any:
    """A tokenizer whose tokens are the bytes, to try grammars with."""
    import llguidance

    return llguidance.LLTokenizer(llguidance.TokenizerWrapper(_Bytes()), n_vocab=257, eos_token=[256], slices=[])


class _Bytes:
    tokens = [bytes([value]) for value in range(256)] + [b"<end>"]
    special_token_ids = (256,)
    eos_token_id = 256
    bos_token_id = None

    def __call__(self, data: bytes) -> list[int]:
        return list(data)
