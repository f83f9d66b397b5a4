"""A jinja2 environment for templates that nobody has looked at: bounded in what they reach, in time and in memory.

jinja2's own sandbox keeps a template from Python's internals. It does not keep it from running for ever or from
filling the memory, and it lets it call whatever a value offers. Here a template reaches nothing but plain data and the
operations of edgeai.templating.operations, and each of them asks a meter (edgeai.templating.meter).

The settings are those of transformers (`_compile_jinja_template` in utils/chat_template_utils.py), for which chat
templates are written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Undefined, nodes, pass_context
from jinja2.ext import Extension
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as JINJA_TESTS
from jinja2.utils import Joiner, Namespace

from edgeai.errors import ChatTemplateError
from edgeai.templating.filters import COMPARING_FILTERS, COMPARING_TESTS, FILTERS, LAZY_FILTERS, PLAIN_TESTS
from edgeai.templating.meter import MAX_MACRO_DEPTH, SCALARS, Meter
from edgeai.templating.operations import FUNCTIONS, METHODS, OPERATORS, Operation, one_line
from edgeai.templating.rewrite import CHECK, CONCAT, SLICE, TICK

_LOOP_ATTRIBUTES = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem", "depth", "depth0"}
)


class _Function:
    """Something a template may call: an operation, and the value it is a method of."""

    __slots__ = ("operation", "value")

    def __init__(self, operation: Operation, *value: Any) -> None:
        self.operation = operation
        self.value = value


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """Attributes: `meter`, of the rendering that is going on."""

    intercepted_binops = frozenset(OPERATORS)

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            extensions=["jinja2.ext.loopcontrols", _Generation],
            finalize=self._finalize,
        )
        self.meter = Meter()
        self.concat = self._concat  # type: ignore[method-assign, assignment]
        self.globals = {name: _Function(operation) for name, operation in FUNCTIONS.items()}
        self.filters = {name: self._filter(operation) for name, operation in FILTERS.items()}
        self.filters |= {name: self._lazy_filter(JINJA_FILTERS[name]) for name in LAZY_FILTERS}
        self.filters |= {name: self._comparing_filter(name) for name in COMPARING_FILTERS}
        self.filters |= {
            TICK: pass_context(lambda _context, cost: self.meter.spend(max(cost, 0))),
            CHECK: pass_context(lambda _context, value: self.meter.check(value)),
            CONCAT: self._filter(lambda _meter, *values: self._concat([str(self._finalize(item)) for item in values])),
            SLICE: self._filter(lambda _meter, value, *bounds: value[slice(*bounds)]),
        }
        self.tests = {name: JINJA_TESTS[name] for name in PLAIN_TESTS}
        self.tests |= {name: self._comparing_test(name) for name in COMPARING_TESTS}

    # --- what jinja2's generated code calls ---

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`: of a method and a key of the same name the method is meant."""
        method = self._method(obj, attribute)
        return self._item(obj, attribute) if method is None else method

    def getitem(self, obj: Any, argument: Any) -> Any:
        """`obj[argument]`."""
        value = self._item(obj, argument)
        if isinstance(value, Undefined) and isinstance(argument, str):
            method = self._method(obj, argument)
            return value if method is None else method
        return value

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """A call: of our own functions and the template's macros, and nothing else."""
        kwargs.pop("_loop_vars", None)
        kwargs.pop("_block_vars", None)
        if isinstance(obj, _Function):
            return self._run(obj.operation, *obj.value, *args, **kwargs)
        if isinstance(obj, Macro):
            return self._call_macro(obj, *args, **kwargs)
        if isinstance(obj, (Joiner, Undefined)):
            return obj(*args, **kwargs)
        raise ChatTemplateError(f"the chat template calls a {type(obj).__name__}, which is no function: use another")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operator of OPERATORS."""
        result = OPERATORS[operator](self.meter, left, right)
        self.meter.spend_on(result)
        return result

    def _finalize(self, value: Any) -> Any:
        """What is printed."""
        if type(value) is str:
            return value
        if type(value) in SCALARS or isinstance(value, (str, list, tuple, dict, Undefined)):
            return self.meter.check(value)
        if isinstance(value, Joiner):
            return value()
        raise ChatTemplateError(f"the chat template prints a {type(value).__name__}, which is no text: use another")

    def _concat(self, pieces: list[str]) -> str:
        """Joins what a macro or a set block printed."""
        n_chars = sum(map(len, pieces))
        self.meter.allow_chars(n_chars)
        self.meter.spend(4 * n_chars)
        return "".join(pieces)

    # --- values ---

    def _method(self, obj: Any, name: str) -> _Function | None:
        operation = METHODS.get(type(obj), {}).get(name)
        if operation is None:
            return None
        self.meter.spend(100)
        return _Function(operation, obj)

    def _item(self, obj: Any, key: Any) -> Any:
        if isinstance(obj, (dict, list, tuple, str)):
            try:
                return obj[key if type(key) in SCALARS else self.meter.check(key)]
            except (TypeError, LookupError):
                return self._missing(obj, key)
        if isinstance(obj, Undefined):
            return obj[key]  # raises what is undefined
        if not isinstance(key, str) or key.startswith("_"):
            return self._missing(obj, key)
        if isinstance(obj, Namespace) or (isinstance(obj, LoopContext) and key in _LOOP_ATTRIBUTES):
            try:
                return getattr(obj, key)
            except AttributeError:
                pass
        return self._missing(obj, key)

    def _missing(self, obj: Any, key: Any) -> Undefined:
        if isinstance(key, str) and (key.startswith("_") or (type(obj) in METHODS and hasattr(obj, key))):
            raise ChatTemplateError(
                f"the chat template reads {type(obj).__name__}.{one_line(key, 40)}, which is not allowed: use another"
            )
        return self.undefined(obj=obj, name=key)

    def _call_macro(self, macro: Macro, /, *args: Any, **kwargs: Any) -> Any:
        meter = self.meter
        meter.spend(100)
        meter.macro_depth += 1
        if meter.macro_depth > MAX_MACRO_DEPTH:
            raise ChatTemplateError(f"the chat template calls macros more than {MAX_MACRO_DEPTH} deep: use another")
        result = macro(*args, **kwargs)
        meter.macro_depth -= 1
        return result

    # --- filters and tests ---

    def _run(self, operation: Operation, /, *args: Any, **kwargs: Any) -> Any:
        """An operation, which pays for being called and for its result."""
        meter = self.meter
        meter.spend(100)
        result = operation(meter, *args, **kwargs)
        meter.spend_on(result)
        return result

    def _filter(self, operation: Operation) -> Operation:
        """A filter. Those that take the context are not run by jinja2 at compile time, before there are limits."""

        @pass_context
        def run(_context: Context, /, *args: Any, **kwargs: Any) -> Any:
            return self._run(operation, *args, **kwargs)

        return run

    def _lazy_filter(self, jinja_filter: Callable[..., Any]) -> Operation:
        @pass_context
        def run(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
            return self._run(lambda _meter: list(jinja_filter(context, value, *args, **kwargs)))

        return run

    def _comparing_filter(self, name: str) -> Operation:
        jinja_filter, first = JINJA_FILTERS[name], () if name == "dictsort" else (self,)

        def compare(meter: Meter, value: Any, *args: Any, **kwargs: Any) -> Any:
            result = jinja_filter(*first, meter.check(value), *args, **kwargs)
            return list(result) if name == "unique" else result

        return self._filter(compare)

    def _comparing_test(self, name: str) -> Operation:
        jinja_test: Any = JINJA_TESTS[name]

        def run(*values: Any) -> Any:
            return jinja_test(*map(self.meter.check, values))

        return run


class _Generation(Extension):
    """`{% generation %}…{% endgeneration %}`, which marks the assistant's words for training; here it only prints."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> nodes.Node:
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(lineno)
