"""A chat template's syntax tree: what may stand in it, and the guards that are put into it."""

from __future__ import annotations

from jinja2 import nodes

from edgeai.errors import ChatTemplateError

TICK, CONCAT, SLICE, CHECK = "$", "~", ":", "?"
"""Names of the filters that guards are; no template can write them as `|name`."""

MAX_DEPTH = 120
_ALLOWED = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.For,
    nodes.If,
    nodes.Macro,
    nodes.CallBlock,
    nodes.FilterBlock,
    nodes.With,
    nodes.Assign,
    nodes.AssignBlock,
    nodes.Scope,
    nodes.Break,
    nodes.Continue,
    nodes.Name,
    nodes.NSRef,
    nodes.Const,
    nodes.Tuple,
    nodes.List,
    nodes.Dict,
    nodes.Pair,
    nodes.Keyword,
    nodes.CondExpr,
    nodes.Filter,
    nodes.Test,
    nodes.Call,
    nodes.Getitem,
    nodes.Getattr,
    nodes.Slice,
    nodes.Concat,
    nodes.Compare,
    nodes.Operand,
    nodes.BinExpr,
    nodes.UnaryExpr,
)
_ITEM_BYTES = 64
_MACRO_BYTES = 1024


def add_guards(tree: nodes.Template) -> None:
    """Check a tree and put guards into it, in place.

    Operators and calls are guarded where they run (edgeai.templating.sandbox); this is for the rest: every turn of a
    loop and every run of a macro looks at the clock and pays for what its body makes; slices, `~` and comparisons
    become filters.

    Raises:
        ChatTemplateError: the template has parts that no chat template needs, or nests too deep.
    """
    _visit(tree, 0)


def _visit(node: nodes.Node, depth: int) -> nodes.Node:
    """Guard what is inside a node, then the node; returns what stands in its place."""
    if depth > MAX_DEPTH:
        raise ChatTemplateError(f"the chat template nests more than {MAX_DEPTH} levels deep: use another")
    if not isinstance(node, _ALLOWED) or (isinstance(node, nodes.For) and node.recursive):
        kind = type(node).__name__.lower()
        raise ChatTemplateError(f"the chat template has a part of the kind {kind!r}, which is not allowed: use another")
    for field, value in node.iter_fields():
        if isinstance(value, list):
            value[:] = [_visit(item, depth + 1) if isinstance(item, nodes.Node) else item for item in value]
        elif isinstance(value, nodes.Node):
            setattr(node, field, _visit(value, depth + 1))
    if isinstance(node, (nodes.For, nodes.Macro, nodes.CallBlock)):
        node.body.insert(
            0, nodes.ExprStmt(_filter(nodes.Const(_ITEM_BYTES + _n_bytes(node)), TICK)).set_lineno(node.lineno)
        )
    return _guarded(node)


def _guarded(node: nodes.Node) -> nodes.Node:
    if isinstance(node, nodes.Concat):
        return _filter(node.nodes[0], CONCAT, node.nodes[1:])
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice):
        bounds = (node.arg.start, node.arg.stop, node.arg.step)
        return _filter(node.node, SLICE, [bound or nodes.Const(None) for bound in bounds])
    if isinstance(node, nodes.Pair):
        node.key = _checked(node.key)
    if isinstance(node, nodes.Compare) and not _is_shallow(node):
        node.expr = _checked(node.expr)
        for operand in node.ops:
            operand.expr = _checked(operand.expr)
    return node


def _is_shallow(node: nodes.Compare) -> bool:
    """Whether one side is a constant, so that the other is not walked through."""
    operand = node.ops[0]
    return (
        len(node.ops) == 1
        and operand.op not in ("in", "notin")
        and any(isinstance(side, nodes.Const) for side in (node.expr, operand.expr))
    )


def _checked(node: nodes.Expr) -> nodes.Expr:
    return node if isinstance(node, nodes.Const) else _filter(node, CHECK)


def _filter(node: nodes.Expr, name: str, args: list[nodes.Expr] | None = None) -> nodes.Filter:
    guard = nodes.Filter(node, name, args or [], [], None, None)
    guard.set_lineno(node.lineno)
    return guard


def _n_bytes(node: nodes.Node) -> int:
    """About what one run of a body keeps: items of literals, pieces of output, macros.

    Inner loops and macros count for themselves when they run.
    """
    is_container = isinstance(node, (nodes.List, nodes.Tuple, nodes.Pair, nodes.Output))
    n_bytes = 0
    for child in node.iter_child_nodes():
        n_bytes += _ITEM_BYTES if is_container else 0
        if isinstance(child, (nodes.Macro, nodes.CallBlock)):
            n_bytes += _MACRO_BYTES
        elif not isinstance(child, nodes.For):
            n_bytes += _n_bytes(child)
    return n_bytes
