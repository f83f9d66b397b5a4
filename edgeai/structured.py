"""`response_format`: a JSON Schema or a pydantic model that an answer must follow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edgeai.errors import SchemaError


class OutputFormat:
    """The form of an answer.

    Attributes:
        schema: the JSON Schema.
        grammar: the same for llguidance.
    """

    def __init__(self, response_format: Any) -> None:
        self._model = response_format if hasattr(response_format, "model_json_schema") else None
        self.schema: Mapping[str, Any] = self._model.model_json_schema() if self._model else response_format
        if isinstance(self.schema, str):
            self.schema = json.loads(self.schema)
        import llguidance

        self.grammar: str = llguidance.LLMatcher.grammar_from_json_schema(
            dict(self.schema), overrides={"whitespace_flexible": False}
        )
        if problem := llguidance.LLMatcher.validate_grammar(self.grammar):
            raise SchemaError(f"response_format: {problem.splitlines()[0]}")

    def parse(self, text: str) -> Any:
        """The object that an answer stands for; None where it was cut short."""
        try:
            return self._model.model_validate_json(text) if self._model else json.loads(text)
        except ValueError:
            return None
