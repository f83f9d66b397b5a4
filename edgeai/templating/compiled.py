"""One chat template, compiled once and rendered many times."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.environment import Template

from edgeai.errors import ChatTemplateError
from edgeai.templating.meter import Meter
from edgeai.templating.operations import one_line
from edgeai.templating.rewrite import add_guards
from edgeai.templating.sandbox import TemplateEnvironment

MAX_SOURCE_CHARS = 64_000
_FAILURES = (
    TemplateError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NameError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


class CompiledTemplate:
    """A template that is ready to be rendered. May be used from several threads; they wait for each other.

    Attributes:
        uses_tools: it looks at the variable `tools`.
    """

    def __init__(self, source: str) -> None:
        """Compile.

        Raises:
            ChatTemplateError: it is too long, no Jinja, or has parts that no chat template needs.
        """
        if len(source) > MAX_SOURCE_CHARS:
            raise ChatTemplateError(
                f"the chat template has {len(source):,} characters where {MAX_SOURCE_CHARS:,} are allowed: use another"
            )
        self._lock = threading.Lock()
        self._environment = TemplateEnvironment()
        try:
            tree = self._environment.parse(source)
            self.uses_tools = any(name.name == "tools" for name in tree.find_all(nodes.Name))
            add_guards(tree)
            code = self._environment.compile(tree)
            self._template = Template.from_code(self._environment, code, self._environment.globals)
        except _FAILURES as exc:
            raise _broken(exc) from exc

    def render(self, variables: Mapping[str, Any], *, n_chars: int, n_messages: int) -> str:
        """The text for these variables, which must be plain data.

        Args:
            variables: what the template sees.
            n_chars: characters in them, with which the limits grow.
            n_messages: messages in them, likewise.

        Raises:
            TemplateRefusedError: the template called `raise_exception`.
            ChatTemplateError: it failed, or wanted more time or memory than it may have.
        """
        with self._lock:
            meter = self._environment.meter = Meter(n_chars, n_messages)
            pieces, n_made = [], 0
            try:
                context = self._template.new_context(dict(variables))
                for piece in self._template.root_render_func(context):
                    n_made += len(piece)
                    meter.allow_chars(n_made)
                    pieces.append(piece)
            except _FAILURES as exc:
                raise _broken(exc) from exc
            return "".join(pieces)


def _broken(error: BaseException) -> ChatTemplateError:
    if isinstance(error, ChatTemplateError):
        return error
    place = f" in line {error.lineno}" if isinstance(error, TemplateSyntaxError) else ""
    if isinstance(error, (RecursionError, MemoryError)):
        reason = "it nests too deep or is too large"
    else:
        reason = one_line(error) or type(error).__name__
    return ChatTemplateError(
        f'the chat template fails{place}: {reason}; pass another as chat_template=…, or chat_template="plain"'
    )
