"""`mtlbench report`: the page, the figures and the tables of one or more runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mtlbench.errors import UsageError
from mtlbench.measure.warnings import WARNINGS
from mtlbench.report.formats import FORMATS
from mtlbench.report.wrap import shortened
from mtlbench.results.columns import CODES
from mtlbench.results.folder import RunFolder, require_folder
from mtlbench.results.table import load_tables

if TYPE_CHECKING:
    from mtlbench.report.frame import RunView

__all__ = ["open_view", "report_command", "report_name", "run_names"]

MOST_NAMES = 4


def report_command(runs: list[Path], out: Path | None, formats: str) -> None:
    """Build the report, saying what is being done, print the tables, say where the page is."""
    from mtlbench.report.build import build
    from mtlbench.report.terminal import print_table

    chosen = _suffixes(formats)
    with _telling(Console(stderr=True)) as said:
        views = []
        for path in runs:
            said("opening", str(path))
            views.append(open_view(path, per_input=True))
        folder = out or Path("reports") / report_name(views)
        require_folder(folder, create=True)
        files = build(views, folder, formats=chosen, said=said)
    console = Console()
    for view, name in zip(views, run_names(views), strict=True):
        if len(views) > 1:
            console.rule(escape(f"{name} ({view.folder})"), align="left")
        print_table(view, console)
    console.print(f"\nreport: {files.index}", soft_wrap=True, highlight=False)


@contextmanager
def _telling(console: Console) -> Iterator[Callable[[str, str], None]]:
    """Says what is being done: on a terminal in one line that goes again, elsewhere each step once."""
    if not console.is_terminal:
        yield _each_step_once(
            lambda words: console.print(words, soft_wrap=True, highlight=False, markup=False)
        )
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        room = console.width - len("* 0:00:00") - 2
        yield lambda step, what: progress.update(task, description=escape(shortened(f"{step} {what}", room)))


def _each_step_once(say: Callable[[str], None]) -> Callable[[str, str], None]:
    latest = ""

    def said(step: str, what: str) -> None:
        nonlocal latest
        line = "drawing figures" if step == "drawing" else f"{step} {what}"
        if line != latest:
            say(line)
        latest = line

    return said


def _suffixes(names: str) -> list[str]:
    """Suffixes of the figures' files, from `png,pdf` or `none`."""
    chosen = [f".{name.strip()}" for name in names.split(",")] if names != "none" else []
    for suffix in chosen:
        if suffix not in FORMATS:
            known = ", ".join(known.removeprefix(".") for known in FORMATS)
            raise UsageError(
                f"{suffix.removeprefix('.')!r} is no format of figures",
                where="--formats",
                fix=f"Choose of {known}, separated by commas, or none",
            )
    return chosen


def report_name(views: Sequence[RunView]) -> str:
    """The folder of a report: the suite; of several runs what tells them apart, joined by `+`."""
    if len(views) == 1:
        return views[0].suite
    names = [re.sub(r"[^\w.-]+", "-", name) for name in run_names(views)]
    more = [f"{len(names) - MOST_NAMES}-more"] if len(names) > MOST_NAMES else []
    return "+".join([*names[:MOST_NAMES], *more])


def run_names(views: Sequence[RunView]) -> list[str]:
    """What tells runs apart, as short as it can be: suites, run folders, those with the time, or ids.

    Copies of one run are called alike.
    """
    choices: tuple[Callable[[RunView], str], ...] = (
        lambda view: view.suite,
        lambda view: view.folder.resolve().name,
        lambda view: f"{view.folder.resolve().name} {_created(view)}".strip(),
        lambda view: view.run_id,
    )
    every = [[name(view) for view in views] for name in choices]
    return next((names for names in every if len(set(names)) == len(views)), every[2])


def _created(view: RunView) -> str:
    """When a run was first started, in UTC, to the second."""
    return str(view.run.get("created") or "")[: len("2031-05-04T10:22:07")].replace("T", " ")


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
