"""`response_format`: a JSON Schema or a pydantic model that an answer must follow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edgeai.errors import SchemaError

_MAX_CHARS = 200_000


class OutputFormat:
    """The form of an answer.

    The grammar allows no white space between the parts of the JSON, in which small models lose themselves. Strings and
    lists are as long as the schema lets them be: give `maxLength` and `maxItems`, or the answer may end at max_tokens.

    Attributes:
        schema: the JSON Schema.
        grammar: the same, for llguidance.
    """

    def __init__(self, response_format: Any) -> None:
        """Turn a schema into a grammar.

        Args:
            response_format: a JSON Schema (dict or JSON text) or a pydantic model class.

        Raises:
            SchemaError: it is no schema, refers to other documents, or is too complex.
        """
        self._model = response_format if hasattr(response_format, "model_json_schema") else None
        self.schema = _schema(self._model.model_json_schema() if self._model else response_format)
        import llguidance

        try:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(
                dict(self.schema), overrides={"whitespace_flexible": False}
            )
        except (ValueError, TypeError, RecursionError) as exc:
            raise SchemaError(f"response_format is not a JSON Schema: {exc}") from exc
        if problem := llguidance.LLMatcher.validate_grammar(grammar):
            raise SchemaError(f"response_format cannot be used: {_first_line(problem)}")
        self.grammar: str = grammar

    def parse(self, text: str) -> Any:
        """The object that an answer stands for; None where it was cut short.

        Raises:
            SchemaError: the JSON is whole, but the pydantic model has rules of its own that it breaks.
        """
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if self._model is None:
            return value
        try:
            return self._model.model_validate(value)
        except ValueError as exc:
            raise SchemaError(f"the answer breaks a rule of {self._model.__name__}: {_first_line(str(exc))}") from exc


def _schema(value: Any) -> Mapping[str, Any]:
    """A schema from a dict or from JSON text, small enough to be looked at."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as exc:
            raise SchemaError(f"response_format is not JSON: {exc}") from exc
    if not isinstance(value, Mapping):
        raise SchemaError(
            f"response_format is {type(value).__name__}: expected a JSON Schema (dict or JSON text) or a pydantic model"
        )
    try:
        n_chars = len(json.dumps(value))
    except (ValueError, TypeError, RecursionError) as exc:
        raise SchemaError(f"response_format is not plain JSON: {exc}") from exc
    if n_chars > _MAX_CHARS:
        raise SchemaError(f"response_format has {n_chars:,} characters: expected at most {_MAX_CHARS:,}")
    return value


def _first_line(text: str) -> str:
    return " ".join(text.split())[:200]
