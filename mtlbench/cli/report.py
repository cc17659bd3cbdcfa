"""`mtlbench report`: the page, the figures and the tables of one or more runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from mtlbench.measure.warnings import WARNINGS
from mtlbench.results.columns import CODES
from mtlbench.results.folder import RunFolder, require_folder
from mtlbench.results.table import load_tables

if TYPE_CHECKING:
    from mtlbench.report.frame import RunView

__all__ = ["open_view", "report_command"]


def report_command(runs: list[Path], out: Path | None) -> None:
    """Build the report, print the table, say where the page is."""
    from mtlbench.report.build import build
    from mtlbench.report.terminal import print_table

    views = [open_view(path) for path in runs]
    folder = out or Path("reports") / views[0].suite
    require_folder(folder, create=True)
    files = build(views, folder)
    console = Console()
    for view in views:
        print_table(view, console)
    console.print(f"\nreport: {files.index}", soft_wrap=True, highlight=False)


def open_view(path: Path) -> RunView:
    """A run folder as the report sees it."""
    from mtlbench.report.frame import RunView

    run = RunFolder(path).require_run()
    table, seeds = load_tables(path)
    environment = {
        name.removeprefix("environment."): _first(table[name].dropna().tolist())
        for name in table.columns
        if name.startswith("environment.")
    }
    return RunView(path, run, table, seeds, environment, {**WARNINGS, **CODES})


def _first(values: list[object]) -> object:
    """The one value that all cells share, or all of them."""
    distinct = sorted({json.dumps(value, default=str) for value in values})
    if not distinct:
        return None
    return json.loads(distinct[0]) if len(distinct) == 1 else [json.loads(value) for value in distinct]
