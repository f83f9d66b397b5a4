"""How the results of an evaluation look in a terminal: a table with bars, and what can be said of two models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgeai.evaluation.intervals import Estimate, Paired
from edgeai.evaluation.metrics import METRICS
from edgeai.evaluation.results import ALL, Results, Row
from edgeai.safe_text import one_line
from tui.output import console, table

_BAR_CELLS = 20
_MOST_NAMES = 6
_SURE = 0.05  # a p-value below it is called a difference
_FEWEST = 6  # pairs without a p-value that can be sure: five of the same sign would come by chance too often


def print_results(results: Results) -> None:
    """Print a table for each metric, and the difference of two models."""
    out = console()
    is_piped = not out.is_terminal  # lines stay whole then
    plan = results.plan
    out.print(plan.about, soft_wrap=is_piped)
    for metric in results.metrics:
        out.print()
        out.print(_one(results, metric) if len(results.runs) == 1 else _two(results, metric))
    if results.differences:
        out.print()
        for metric in results.metrics:
            for line in verdicts(results, metric):
                out.print(line, soft_wrap=is_piped)
    few = [row for rows in results.rows for row in rows if row.n_examples < plan.few_shot]
    if few:
        why = "their files have no more, or the window holds no more (--n-ctx)"
        out.print(f"\nfewer examples in {_names_of(few)}: {why}", soft_wrap=is_piped)
    if failed := sum(row.n_failed for rows in results.rows for row in rows if row.subject != ALL):
        out.print(
            f"\n{failed:,} could not be asked and count for nothing: see the results file (-o)", soft_wrap=is_piped
        )


def _names_of(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(f"{one_line(row.subject)} ({row.n_examples})" for row in rows if row.subject != ALL))
    shown = ", ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"


def _one(results: Results, metric: str) -> object:
    name = one_line(results.runs[0].name)
    made = table("subject", name, "95 % interval", "", "n", right=(name, "n"))
    shown = [results.rows[0][index] for index in results.shown(metric)]
    scale = max(row.metrics[metric].high for row in shown) if METRICS[metric].is_cost else 1.0
    made.title, made.title_justify = metric, "left"
    for row in shown:
        found = row.metrics[metric]
        made.add_row(*_cells(row, found, metric), bar(found, scale), f"{found.n:,}")
    return made


def _two(results: Results, metric: str) -> object:
    first, second = _names(results)
    tested = ("p",) if METRICS[metric].kind == "share" else ()
    heads = ("subject", first, second, "difference", "95 % interval", *tested, "n")
    made = table(*heads, right=(first, second, "difference", "p", "n"))
    made.title, made.title_justify = metric, "left"
    for index in results.shown(metric):
        one, other = (rows[index] for rows in results.rows)
        if metric in other.metrics and metric in results.differences[index]:
            made.add_row(*_pair_cells(one, other, results.differences[index], metric))
    return made


def _pair_cells(one: Row, other: Row, differences: Mapping[str, Paired], metric: str) -> list[str]:
    found = differences[metric]
    return [
        one_line(one.subject),
        figure(one.metrics[metric].value, metric),
        figure(other.metrics[metric].value, metric),
        figure(found.difference, metric, sign=True),
        _interval(found, metric, sign=True),
        *([] if found.p_value is None else [p_text(found.p_value)]),
        f"{found.n:,}",
    ]


def _cells(row: Row, found: Estimate, metric: str) -> list[str]:
    return [
        one_line(row.subject),
        figure(found.value, metric),
        _interval(found, metric),
    ]


def _interval(found: Estimate | Paired, metric: str, *, sign: bool = False) -> str:
    if found.n == 1 and found.low == found.high:  # of one score nothing is known
        return "unknown"
    return f"{figure(found.low, metric, sign=sign)} … {figure(found.high, metric, sign=sign)}"


def _names(results: Results) -> tuple[str, str]:
    """Of the two models, never the same twice."""
    first, second = (one_line(run.name) for run in results.runs)
    return (first, second) if first != second else (f"{first} (A)", f"{second} (B)")


def figure(value: float, metric: str, *, sign: bool = False) -> str:
    """A figure: shares and scores in percent, correlations from -1 to 1."""
    plus = "+" if sign else ""
    if not _in_percent(metric):
        return f"{value:{plus},.3f}"
    return f"{100 * value:{plus}.1f}{'' if sign else ' %'}"


def _in_percent(metric: str) -> bool:
    return not (METRICS[metric].is_cost or METRICS[metric].is_correlation)


def p_text(value: float) -> str:
    """A p-value."""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def bar(found: Estimate, scale: float) -> str:
    """The figure as a bar, and the interval as a line over its end."""
    if scale <= 0:
        return " " * _BAR_CELLS
    ends = (min(1.0, max(0.0, value / scale)) for value in (found.value, found.low, found.high))
    end, low, high = (round(_BAR_CELLS * share) for share in ends)
    return "█" * min(end, low) + "▓" * (end - low) + "░" * (high - end) + " " * (_BAR_CELLS - max(end, high))


def verdicts(results: Results, metric: str) -> list[str]:
    """What can be said of the two models, in a sentence: over all, or where that is nothing, of each subject."""
    if metric in results.differences[-1]:
        return [f"{metric}: {_verdict(results, results.differences[-1][metric], metric)}"]
    both = zip(results.rows[0], results.differences, strict=True)
    said = [
        f"{metric} of {one_line(row.subject)}: {_verdict(results, found[metric], metric)}"
        for row, found in both
        if metric in found
    ]
    return said or [f"{metric}: they have no question in common"]


def _verdict(results: Results, found: Paired, metric: str) -> str:
    first, second = _names(results)
    size = figure(abs(found.difference), metric).removesuffix(" %")
    unit = " points" if _in_percent(metric) else ""
    if found.p_value is None and found.n < _FEWEST:
        return f"too few questions to tell (n = {found.n:,})"
    is_sure = found.p_value < _SURE if found.p_value is not None else not found.low <= 0 <= found.high
    if not is_sure:
        return f"no difference can be seen ({_evidence(found)})"
    better = first if (found.difference > 0) != METRICS[metric].is_cost else second
    return f"{better} is better by {size}{unit} ({_evidence(found)})"


def _evidence(found: Paired) -> str:
    if found.p_value is None:
        return f"95 % interval, n = {found.n:,}"
    return f"only one of them is right on {found.only_first:,} and {found.only_second:,}; p = {p_text(found.p_value)}"
