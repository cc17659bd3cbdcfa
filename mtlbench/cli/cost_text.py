"""An audit of cost as text: fit for 80 columns, for pipes, and for colours where there are any."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtlbench.report.quantities import printable

if TYPE_CHECKING:
    from mtlbench.cost.audit import CostAudit, OperatorCost, PartCost
    from mtlbench.cost.tools.base import ToolCount

__all__ = ["print_audit", "print_legend", "print_line"]

_ZERO_SHOWN = 5
_TOOLS = {"fvcore": "fvcore", "ptflops": "ptflops", "torch": "torch FlopCounterMode"}


def print_audit(console: Console, label: str, source: str, audit: CostAudit) -> None:
    """Print one network's audit.

    Args:
        console: where to.
        label: of the network.
        source: which images were counted, half a sentence.
        audit: the audit.
    """
    print_line(console, label, "bold")
    print_line(console, f"counted on {source}")
    _print_verdict(console, audit)
    console.print()
    console.print(_totals(audit))
    console.print()
    console.print(_parts(audit))
    console.print()
    console.print(_operators(audit))
    console.print()


def print_legend(console: Console) -> None:
    """Say once what the columns of every audit mean."""
    print_line(console, "share: of our count. time: of all operators while counting, on this machine.", "dim")


def print_line(console: Console, words: str, style: str = "") -> None:
    """Words as they are: neither markup nor control sequences of the terminal."""
    console.print(_text(words, style))


def _print_verdict(console: Console, audit: CostAudit) -> None:
    if audit.refused:
        share = f"{audit.uncounted_time_share:.1%}"
        print_line(
            console,
            f"REFUSED: uncounted operators take {share} of the time, so the count is no total. "
            "declare_macs tells what an operator costs.",
            "bold red",
        )
    if audit.disagrees:
        print_line(
            console,
            "DISAGREES: every image takes one path, yet count and closed form differ by more than 1 %.",
            "bold red",
        )


def _totals(audit: CostAudit) -> Table:
    table = _table("MACs per image", "", "to our count")
    table.columns[0].max_width = 52
    executed = audit.macs_executed
    title = "executed, by our counter" + (", at least" if audit.refused else "")
    table.add_row(title, _number(executed), "")
    varies = min(audit.executed) < max(audit.executed)
    if varies:
        table.add_row("  the cheapest image", _number(min(audit.executed)), "")
        table.add_row("  the dearest image", _number(max(audit.executed)), "")
    if not audit.static:
        table.add_row(
            "needed, by the decisions", _number(audit.macs_nominal), _relative(audit.macs_nominal, executed)
        )
    table.add_row(
        "full compute, by the closed form",
        _number(audit.macs_formula),
        _relative(audit.macs_formula, executed),
    )
    if varies:
        table.add_row("of the first image, by our counter", _number(audit.executed[0]), "", style="bold")
    if audit.tools.failure:
        table.add_row(_text(f"comparison failed: {audit.tools.failure}"), "", "")
    for tool in audit.tools.tools:
        _add_tool(table, tool, audit.executed[0])
    return table


def _add_tool(table: Table, tool: ToolCount, executed: float) -> None:
    name = _TOOLS[tool.tool]
    if tool.macs is None:
        table.add_row(_text(f"{name} failed: {tool.failure}"), "", "")
        return
    table.add_row(name, _number(tool.macs), _relative(tool.macs, executed))
    for difference in tool.differences:
        what = difference.what if difference.known else f"{difference.what}, for no known reason"
        table.add_row(_text(f"  {what}", "dim"), _text(f"{difference.macs:+,}", "dim"), "")


def _parts(audit: CostAudit) -> Table:
    table = _table("part", "MACs", "share", "closed form")
    for name, macs, formula in _grouped(audit.parts):
        share = f"{macs / audit.macs_executed:.1%}" if audit.macs_executed else ""
        same = "equal" if macs == formula else _number(formula)
        table.add_row(_text(name), _number(macs), share, same)
    return table


def _grouped(parts: Sequence[PartCost]) -> Iterator[tuple[str, float, int]]:
    """Parts that differ in their number only, and cost the same, as one row."""

    def alike(part: PartCost) -> tuple[str, float, int]:
        return re.sub(r"\d+$", "", part.part), part.macs_executed, part.macs_formula

    for (stem, macs, formula), members in groupby(parts, alike):
        row = list(members)
        name = row[0].part
        if len(row) > 1:
            name = f"{name} to {row[-1].part.removeprefix(stem)}: {len(row)} x {_number(macs)}"
        yield name, macs * len(row), formula * len(row)


def _operators(audit: CostAudit) -> Table:
    table = _table("operator", "calls", "MACs", "share", "time")
    table.columns[0].overflow = "ellipsis"  # names of kernels are longer than 80 columns allow
    by_kind = {
        kind: [op for op in audit.operators if op.kind == kind] for kind in ("macs", "zero", "uncounted")
    }
    for op in sorted(by_kind["macs"], key=lambda op: -op.macs):
        _add_operator(table, op, audit.macs_executed)
    zero = sorted(by_kind["zero"], key=lambda op: -op.time_share)
    _add_sum(table, "without MACs, as reviewed", zero)
    for op in zero[:_ZERO_SHOWN]:
        _add_operator(table, op, 0)
    if rest := zero[_ZERO_SHOWN:]:
        table.add_row(_text(f"  {len(rest)} more", "dim"), "", "", "", _text(_time(rest), "dim"))
    _add_sum(table, "uncounted", by_kind["uncounted"])
    for op in sorted(by_kind["uncounted"], key=lambda op: -op.time_share):
        _add_operator(table, op, 0)
    return table


def _add_sum(table: Table, title: str, operators: list[OperatorCost]) -> None:
    table.add_row(title, "", "", "", _time(operators) if operators else "none")


def _add_operator(table: Table, op: OperatorCost, total: float) -> None:
    name = op.name.removeprefix("aten.") + (f": {op.reason}" if op.reason else "")
    share = f"{op.macs / total:.1%}" if total and op.kind == "macs" else ""
    macs = _number(op.macs) if op.kind == "macs" else ""
    style = "red" if op.kind == "uncounted" else "dim" if op.kind == "zero" else ""
    table.add_row(_text(f"  {name}"), f"{op.calls:g}", macs, share, _time([op]), style=style)


def _time(operators: Sequence[OperatorCost]) -> str:
    return f"{sum(op.time_share for op in operators):.1%}"


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, overflow="fold")
    for title in others:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _number(macs: float) -> str:
    return f"{round(macs):,}"


def _relative(macs: float, executed: float) -> str:
    if macs == executed:
        return "equal"
    return f"{macs / executed - 1:+.2%}" if executed else ""


def _text(words: str, style: str = "") -> Text:
    return Text(printable(words), style=style)
