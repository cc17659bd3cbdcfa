"""`mtlbench report`: the page, the figures and the tables of one or more runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from mtlbench.measure.warnings import WARNINGS
from mtlbench.results.columns import CODES
from mtlbench.results.folder import RunFolder, require_folder
from mtlbench.results.table import load_tables

if TYPE_CHECKING:
    from mtlbench.report.frame import RunView

__all__ = ["open_view", "report_command", "report_name"]

MOST_NAMES = 4


def report_command(runs: list[Path], out: Path | None) -> None:
    """Build the report, print the table, say where the page is."""
    from mtlbench.report.build import build
    from mtlbench.report.terminal import print_table

    views = [open_view(path, per_input=True) for path in runs]
    folder = out or Path("reports") / report_name(views)
    require_folder(folder, create=True)
    files = build(views, folder)
    console = Console()
    for view in views:
        print_table(view, console)
    console.print(f"\nreport: {files.index}", soft_wrap=True, highlight=False)


def report_name(views: Sequence[RunView]) -> str:
    """The folder of a report: the suite; of several runs what tells them apart, joined by `+`."""
    if len(views) == 1:
        return views[0].suite
    choices: tuple[Callable[[RunView], str], ...] = (
        lambda view: view.suite,
        lambda view: view.folder.resolve().name,
        lambda view: view.run_id,
    )
    by_choice = [[re.sub(r"[^\w.-]+", "-", name(view)) for view in views] for name in choices]
    names = next((names for names in by_choice if len(set(names)) == len(views)), by_choice[-1])
    more = [f"{len(names) - MOST_NAMES}-more"] if len(names) > MOST_NAMES else []
    return "+".join([*names[:MOST_NAMES], *more])


def open_view(path: Path, *, per_input: bool = False) -> RunView:
    """A run folder as the report sees it.

    Args:
        path: the run folder.
        per_input: also read what was kept for every input and every subset of tasks.
    """
    from mtlbench.report.frame import RunView

    run = RunFolder(path).require_run()
    table, seeds = load_tables(path)
    environment = {
        name.removeprefix("environment."): _first(table[name].dropna().tolist())
        for name in table.columns
        if name.startswith("environment.")
    }
    view = RunView(path, run, table, seeds, environment, {**WARNINGS, **CODES})
    return _with_details(view) if per_input else view


def _with_details(view: RunView) -> RunView:
    from dataclasses import replace

    from mtlbench.results.inputs import load_inputs
    from mtlbench.results.subsets import subset_table

    return replace(view, inputs=load_inputs(view.folder), subsets=subset_table(view.folder))


def _first(values: list[object]) -> object:
    """The one value that all cells share, or all of them."""
    distinct = sorted({json.dumps(value, default=str) for value in values})
    if not distinct:
        return None
    return json.loads(distinct[0]) if len(distinct) == 1 else [json.loads(value) for value in distinct]
