"""Hostile templates: each must end soon, small, and as a ChatTemplateError."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from edgeai.errors import ChatTemplateError
from edgeai.templating import meter
from edgeai.templating.compiled import MAX_SOURCE_CHARS, CompiledTemplate
from tests.chat_templates import reference_render

MAX_SECONDS = 3.0
MAX_BYTES = 100_000_000
NS = "{% set ns = namespace(x='a' * 1000, l=[1], m=[1], t=(1,), n=3) %}"
REPEAT, END = "{% for i in range(100000) %}", "{% endfor %}"
NEST = NS + (
    "{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% set ns.m = [ns.m, ns.m] %}{% set ns.t = (ns.t, ns.t) %}"
    "{% endfor %}"
)

ESCAPES = {
    "class": "{{ ''.__class__ }}",
    "subclasses": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "by item": "{{ ''['__class__'] }}",
    "by filter": "{{ ''|attr('__class__') }}",
    "by map": "{{ ['a']|map(attribute='__class__')|list }}",
    "by join": "{{ ['a']|join(attribute='__class__') }}",
    "globals of a function": "{{ raise_exception.__globals__ }}",
    "globals of lipsum": "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "globals of cycler": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "globals of a macro": "{% macro m() %}{% endmacro %}{{ m.__call__.__globals__ }}",
    "inside of a macro": "{% macro m() %}{% endmacro %}{{ m._func }}",
    "environment of a macro": "{% macro m() %}{% endmacro %}{{ m._environment.from_string('x') }}",
    "self": "{{ self.__init__.__globals__ }}",
    "context of self": "{{ self._TemplateReference__context }}",
    "loop": "{% for x in [1] %}{{ loop._iterable }}{% endfor %}",
    "namespace": "{{ namespace.__init__ }}",
    "undefined": "{{ nope.__class__ }}",
    "undefined of an item": "{{ messages[0].nope.__init__ }}",
    "format": "{{ '{0.__class__}'.format(1) }}",
    "format_map": "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import 'os' as os %}",
    "extends": "{% extends '/etc/passwd' %}",
    "block": "{% block a %}{{ self.a() }}{% endblock %}",
    "autoescape": "{% autoescape true %}{{ 1 }}{% endautoescape %}",
    "recursive loop": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "unknown tag": "{% do messages.append(1) %}",
    "append": "{{ messages.append(1) }}",
    "clear": "{{ messages[0].clear() }}",
    "addresses": "{{ raise_exception }}",
    "addresses in a list": "{{ [raise_exception] }}",
    "loop variables": "{% for x in [1] %}{{ range(1, _loop_vars=2) }}{% endfor %}",
    "calls of no function": "{{ 'a'() }}",
    "strftime": "{{ strftime_now('%1000000000d') }}",
    "surrogate": "{{ strftime_now('\\ud800') }}",
}
ENDLESS = {
    "loops": REPEAT * 4 + END * 4,
    "loops that print": REPEAT * 4 + "x" + END * 4,
    "range": "{% for i in range(10**12) %}{% endfor %}",
    "range as a list": "{{ range(10**9)|list|length }}",
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "branches": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(45) }}",
    "recursion by argument": "{% macro m(f) %}{{ f(f) }}{% endmacro %}{{ m(m) }}",
    "calls": "{% macro m() %}{{ caller() }}{% endmacro %}" + REPEAT * 2 + "{% call m() %}x{% endcall %}" + END * 2,
    "filters in a row": "{% set s = ['a'] * 100000 %}{{ s" + "|map('upper')" * 100 + " }}",
    "power": "{{ 10 ** 1000000000 }}",
    "products": NS + REPEAT + "{% set ns.n = ns.n * ns.n %}" + END,
    "float power": "{{ 9.0 ** 9999 }}",
    "round": "{{ 1.5|round(1000000000, 'ceil') }}",
    "sum of lists": "{{ ([[1] * 2] * 50000)|sum(start=[])|length }}",
    "division": "{{ 1 / 0 }}",
}
LARGE = {
    "text * number": "{{ 'a' * 10000000000 }}",
    "number * text": "{{ 10000000000 * 'a' }}",
    "list * number": "{{ ([1] * 100000000)|length }}",
    "lists": NS + REPEAT + "{% set ns.l = ns.l + ns.l %}" + END,
    "+": NS + REPEAT + "{% set ns.x = ns.x + ns.x %}" + END,
    "~": NS + REPEAT + "{% set ns.x = ns.x ~ ns.x %}" + END,
    "*": NS + REPEAT + "{% set ns.x = ns.x * 2 %}" + END,
    "%": NS + REPEAT + "{% set ns.x = '%s%s' % (ns.x, ns.x) %}" + END,
    "set block": NS + REPEAT + "{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}" + END,
    "macro": NS + "{% macro m(x) %}{{ x }}{{ x }}{% endmacro %}" + REPEAT + "{% set ns.x = m(ns.x) %}" + END,
    "join filter": NS + REPEAT + "{% set ns.x = [ns.x, ns.x]|join %}" + END,
    "join method": NS + REPEAT + "{% set ns.x = ''.join([ns.x, ns.x]) %}" + END,
    "replace filter": NS + REPEAT + "{% set ns.x = ns.x|replace('a', 'aa') %}" + END,
    "replace method": "{{ ('a' * 100000).replace('a', 'b' * 100000) }}",
    "join of letters": "{{ ('a' * 1000000).join('b' * 1000000) }}",
    "separator": "{{ ('b' * 100000)|join('a' * 1000000) }}",
    "width": "{{ '%1000000000d' % 1 }}",
    "width by argument": "{{ '%*d' % (1000000000, 1) }}",
    "precision": "{{ '%.1000000000f' % 1 }}",
    "width behind a name": "{{ '%(a(b))1000000000d' % {'a(b)': 1} }}",
    "format filter": "{{ '%1000000000d'|format(1) }}",
    "many fields": "{{ ('%s' * 10000) % ('a' * 100000) }}",
    "many named fields": "{{ ('%(a)s' * 10000) % {'a': 'a' * 100000} }}",
    "center": "{{ 'a'.center(1000000000) }}",
    "zfill": "{{ 'a'.zfill(1000000000) }}",
    "indent": "{{ ('a\\n' * 100000)|indent(100000) }}",
    "JSON indent": "{{ messages|tojson(indent=1000000000) }}",
    "JSON separators": "{{ messages|tojson(separators=('a' * 1000000, ':')) }}",
    "output": REPEAT * 2 + "y" * 20000 + END * 2,
    "output of a set block": "{% set x %}" + REPEAT * 2 + "a{{ i }}b" + END * 2 + "{% endset %}",
    "output of a macro": "{% macro m() %}" + REPEAT * 2 + "y" + END * 2 + "{% endmacro %}{{ m() }}",
}
NESTED = {
    "printed": NEST + "{{ ns.l }}",
    "as JSON": NEST + "{{ ns.l|tojson }}",
    "as indented JSON": NEST + "{{ ns.l|tojson(indent=2) }}",
    "compared": NEST + "{{ ns.l == ns.m }}",
    "ordered": NEST + "{{ 1 < 2 < ns.l < ns.m }}",
    "searched": NEST + "{{ ns.l in [ns.m] }}",
    "tested": NEST + "{{ ns.l is eq(ns.m) }}",
    "selected": NEST + "{{ [ns.l]|select('equalto', ns.m)|list }}",
    "sorted": NEST + "{{ [ns.l, ns.m]|sort }}",
    "counted": NEST + "{{ [ns.l].count(ns.m) }}",
    "unique": NEST + "{{ [ns.t, ns.t]|unique }}",
    "hashed": NEST + "{{ {ns.t: 1} }}",
    "key": NEST + "{{ {}.get(ns.t) }}{{ {}[ns.t] }}",
    "dict": NEST + "{{ dict([(ns.t, 1)]) }}",
    "as text": NEST + "{{ ns.l|upper }}",
    "formatted": NEST + "{{ '%s' % ns.l }}",
    "concatenated": NEST + "{{ ns.l ~ '' }}",
    "joined": NEST + "{{ [ns.l]|join }}",
    "changed": NEST + "{% for z in [1, 2] %}{{ loop.changed(ns.l if loop.first else ns.m) }}{% endfor %}",
    "namespaces": NS + "{% set ns.l = [ns, ns] %}{{ ns.l }}",
    "namespaces as text": NS + "{% set ns.l = [ns, ns] %}{{ ns|upper }}",
}
KEPT = {
    "texts": "ns.x ~ i",
    "slices": "ns.x[1:]",
    "methods' results": "ns.x.upper()",
    "methods": "ns.x.upper",
    "parts": "ns.x.split('a')",
    "letters": "ns.x|list",
    "mapped": "ns.x|map('upper')",
    "dicts": "{'a': 1, 'b': 2, 'c': 3, 'd': 4}",
    "long literals": ", ".join("1" * 15000),
    "namespaces": "namespace(a=1)",
    "undefined values": "nope",
    "refunds": "[-1000000000]|map('$')|list, ns.x ~ i",
}
TOO_COMPLEX = {
    "source": "x" * (MAX_SOURCE_CHARS + 1),
    "parentheses": "{{ " + "(" * 30000 + "1" + ")" * 30000 + " }}",
    "lists": "{{ " + "[" * 5000 + "1" + "]" * 5000 + " }}",
    "not": "{{ " + "not " * 15000 + "1 }}",
    "minus": "{{ " + "-" * 60000 + "1 }}",
    "sums": "{{ " + "1+" * 30000 + "1 }}",
    "filters": "{{ x" + "|upper" * 10000 + " }}",
    "attributes": "{{ x" + ".a" * 30000 + " }}",
    "loops": "{% for x in y %}" * 30 + "{% endfor %}" * 30,
    "conditions": "{% if x %}" * 3000 + "{% endif %}" * 3000,
    "digits": "{{ " + "9" * 60000 + " }}",
    "no end": "{%" + " " * 60000 + "raw",
    "syntax": "{% for x in %}",
}
LONG = {
    "prints": "{{ x }}" * 9000,
    "assignments": "{% set a = 1 %}" * 4000,
    "macros": "{% macro m() %}{% endmacro %}" * 2000,
    "comparisons": "{{ 1" + " < 1" * 15000 + " }}",
    "concatenations": "{{ " + "'a' ~ " * 10000 + "1 }}",
    "loops": "".join(f"{{% for a{i} in b{i} %}}" for i in range(18)) + "{{ x }}" * 7000 + "{% endfor %}" * 18,
}
HOSTILE = {
    **{f"escape: {name}": source for name, source in ESCAPES.items()},
    **{f"endless: {name}": source for name, source in ENDLESS.items()},
    **{f"large: {name}": source for name, source in LARGE.items()},
    **{f"nested: {name}": source for name, source in NESTED.items()},
    **{
        f"kept: {name}": NS + REPEAT * 2 + f"{{% set ns.l = [ns.l, {value}] %}}" + END * 2
        for name, value in KEPT.items()
    },
    **{f"complex: {name}": source for name, source in TOO_COMPLEX.items()},
}


def render(source: str, **variables: Any) -> str:
    variables = {"messages": [{"role": "user", "content": "Hello"}], **variables}
    return CompiledTemplate(source).render(variables, n_chars=5, n_messages=1)


@contextmanager
def bounded() -> Iterator[None]:
    """Little time and memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    yield
    assert time.process_time() - started < MAX_SECONDS
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < MAX_BYTES


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_template(name: str) -> None:
    with bounded(), pytest.raises(ChatTemplateError) as caught:
        render(HOSTILE[name])
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500


@pytest.mark.parametrize("name", LONG)
def test_long_templates_compile_soon_and_small(name: str) -> None:
    with bounded():
        render(LONG[name])


def test_time_is_limited_where_memory_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "TIME_LIMIT_S", 0.2)
    source = "{% set s = 'ab' * 400000 %}" + "{% if 'bb' in s %}{% endif %}" * 2000
    started = time.process_time()
    with pytest.raises(ChatTemplateError, match=r"longer than 0\.2 s"):
        render(source)
    assert time.process_time() - started < 1.5


def test_nothing_is_changed_in_the_messages() -> None:
    messages = [{"role": "user", "content": "Hello"}]
    for source in ("{{ messages.append(1) }}", "{{ messages[0].update(role='x') }}", "{% set messages.x = 1 %}"):
        with pytest.raises(ChatTemplateError):
            render(source, messages=messages)
    assert messages == [{"role": "user", "content": "Hello"}]


def test_limits_grow_with_the_conversation() -> None:
    content = "word " * 1_000_000
    source = "{% for m in messages %}{{ m.content|trim }}{% set x = m.content.split('</think>')[-1] %}{% endfor %}"
    messages = [{"role": "user", "content": content}] * 2
    rendered = CompiledTemplate(source).render({"messages": messages}, n_chars=10_000_000, n_messages=2)
    assert rendered == content.strip() * 2


def test_two_thousand_messages_are_within_the_limits() -> None:
    source = (
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
        "{% set content = m.content.strip().split('x')[-1]|trim %}"
        "{% macro turn(role) %}[{{ role|upper }}]{% endmacro %}"
        "{{ turn(m.role) }}{{ content ~ ns.n }}{{ messages[1:]|length if loop.first }}"
        "{% if m.role in ['user', 'assistant'] and m.tool_calls is not defined %};{% endif %}{% endfor %}"
    )
    messages = [{"role": "user", "content": f"word {n}"} for n in range(2000)]
    rendered = CompiledTemplate(source).render({"messages": messages}, n_chars=20_000, n_messages=2000)
    assert rendered.count("[USER]word ") == 2000


SAME_AS_JINJA = [
    "{{ '%s is %d and %5.1f%%' % ('a', 3, 2.25) }}{{ '%(a)s' % {'a': 1} }}",
    "{{ [3, 1, 2]|sort }}{{ ['b', 'A']|sort }}{{ {'b': 1, 'a': 2}|dictsort }}{{ [1, 2, 2]|unique|list }}",
    "{{ [1, 2, 3]|sum }}{{ [1, 5, 3]|max }}{{ [4, 2]|min }}{{ 'abc'|reverse }}{{ [1, 2]|reverse|list }}",
    "{{ [1, 2]|first }}{{ [1, 2]|last }}{{ []|first }}{{ 'abc'|last }}{{ x|default('d') }}",
    "{{ ''|d('e', true) }}",
    "{{ '  a '|trim }}{{ 'a b'|title }}{{ 'aB'|capitalize }}{{ 'xay'|trim('xy') }}",
    "{{ 'aXa'|replace('a', 'b', 1) }}",
    "{{ 'a\nb\n\nc'|indent }}|{{ 'a\nb'|indent(2, true) }}|{{ 'a\n\nb'|indent('> ', blank=true) }}",
    "{{ '12'|int }}{{ 'x'|int(7) }}{{ '3.9'|int }}{{ '1.5'|float }}{{ 'x'|float }}",
    "{{ 'ff'|int(0, 16) }}{{ 2.567|round(1) }}",
    "{{ 2.5|round }}{{ 2.1|round(0, 'ceil') }}{{ 2.9|round(method='floor') }}{{ -3|abs }}",
    "{{ 7 // 2 }}{{ 7 % 4 }}{{ 2 ** 10 }}",
    "{% for k, v in {'a': 1, 'b': [2]}.items() %}{{ loop.index }}{{ k }}{{ v }}{{ loop.cycle('x', 'y') }}{% endfor %}",
    "{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{{ loop.length }}{{ loop.revindex }}{{ loop.previtem }}{% endfor %}",
    "{% for x in range(1, 9, 2) if x != 5 %}{{ x }}{% if not loop.last %}, {% endif %}{% else %}none{% endfor %}",
    "{{ messages|map(attribute='role')|join(', ') }}",
    "{{ messages|selectattr('role', 'equalto', 'user')|list|length }}",
    "{{ messages|rejectattr('role', 'in', ['user'])|list }}{{ ['a', '']|select|list }}",
    "{{ [1, 2]|reject('odd')|list }}",
    "{{ messages|join('-', attribute='role') }}{{ [1, 'a', none]|join }}{{ 'ab'|list }}",
    "{{ {'a': 1}|length }}{{ 'abc'|count }}",
    "{{ 'a,b'.split(',') }}{{ 'a b'.split() }}{{ 'a-b-c'.rsplit('-', 1) }}{{ 'a\nb'.splitlines() }}",
    "{{ 'abc'[1:] }}{{ 'abc'[::-1] }}",
    "{{ 'abc'.startswith('a') }}{{ 'abc'.endswith(('b', 'c')) }}{{ 'abc'.find('c') }}",
    "{{ 'a'.center(5) }}|{{ '7'.zfill(3) }}",
    "{{ {'a': 1}.get('a') }}{{ {'a': 1}.get('b', 2) }}{{ {'items': 3}['items'] }}",
    "{{ {'a': 1}.keys()|list }}{{ {'a': 1}.b }}",
    "{{ [1, 2].index(2) }}{{ (1, 1).count(1) }}{{ [1] + [2] }}{{ (1,) + (2,) }}{{ [0] * 3 }}",
    "{{ 'ab' * 2 }}{{ 1.5 * 2 }}",
    "{{ 1 if x else 2 }}{{ x is defined }}{{ none is none }}{{ 1 is number }}{{ 'a' is string }}",
    "{{ {} is mapping }}{{ [] is iterable }}",
    "{{ 'a' in 'abc' }}{{ 1 not in [1] }}{{ [1] == [1] }}{{ 1 < 2 <= 2 }}{{ 'A' is upper }}",
    "{{ 4 is divisibleby 2 }}{{ true is boolean }}",
    "{{ {'a': [1, {'b': none}], 'é': '<&\"'}|tojson }}{{ [1, {'a': {}}]|tojson(indent=2) }}",
    "{{ {'b': 1, 'a': 2}|tojson(sort_keys=true) }}",
    "{{ [1]|tojson(separators=(',', ':')) }}{{ 'é'|tojson(ensure_ascii=true) }}{{ 5|string + 'a' }}",
    "{{ [1, 'a', {'b': 2}] }}{{ none }}",
    "{% macro m(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{{ kwargs }}{{ varargs }}{% endmacro %}"
    "{{ m(1) }}{{ m(1, c='y') }}{{ m(1, 2, 3, 4, z=5) }}",
    "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}in{% endcall %}{% filter upper %}abc{% endfilter %}",
    "{% set ns = namespace(a=1, operation=2) %}{% for x in [1, 2] %}{% set ns.a = ns.a + x %}{% endfor %}"
    "{{ ns.a }}{{ ns.operation }}{{ ns.b }}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{% set a, b = (1, 2) %}{{ a }}{{ b }}",
    "{% raw %}{{ x }}{% endraw %}{# no #}",
    "{% for x in [1, 2, 3, 4] %}{% if x == 2 %}{% continue %}"
    "{% elif x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% set j = joiner('; ') %}{% for x in [1, 2, 3] %}{{ j() }}{{ x }}{% endfor %}",
    "{{ dict(a=1) }}{{ dict([('b', 2)]) }}",
    "a\n  {% if true %}\n  b\n  {%- endif %}\n\n{{ 1 -}}   c\n",
]


@pytest.mark.parametrize("source", SAME_AS_JINJA)
def test_harmless_operations_do_what_jinja_does(source: str) -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert render(source, messages=messages) == reference_render(source, messages=messages)


def test_the_templates_words_reach_the_error_in_one_harmless_line() -> None:
    with pytest.raises(ChatTemplateError, match=r"refuses this conversation: no \[31m way$"):
        render("{{ raise_exception('no\x1b[31m\n\n  way') }}")


def test_a_syntax_error_names_its_line() -> None:
    with pytest.raises(ChatTemplateError, match=r"fails in line 3: .*chat_template"):
        render("a\nb\n{% for %}")


def test_may_be_used_from_several_threads() -> None:
    template = CompiledTemplate("{% for m in messages %}{{ m.content }}{% endfor %}")
    results: list[str] = []

    def run(word: str) -> None:
        messages = [{"content": word}] * 500
        results.extend(
            template.render({"messages": messages}, n_chars=500, n_messages=500).replace(word, "") for _ in range(20)
        )

    threads = [threading.Thread(target=run, args=(word,)) for word in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [""] * 80
