"""From runs to a folder: the page, the figures, the tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtlbench.errors import UsageError
from mtlbench.report.formats import FORMATS
from mtlbench.report.frame import RunView

__all__ = ["ReportFiles", "build"]


@dataclass(frozen=True)
class ReportFiles:
    """Where everything lies; a figure is listed in its first format, the others are beside it."""

    index: Path
    csv: Path
    markdown: Path
    latex: Path
    parquet: Path
    figures: tuple[Path, ...]


def build(
    run_views: list[RunView],
    out: Path,
    *,
    formats: Sequence[str] = FORMATS,
    said: Callable[[str, str], None] = lambda *_: None,
) -> ReportFiles:
    """Write the report of one or several runs.

    Runs are shown one after the other, and cells that several of them have side by side.

    Args:
        run_views: at least one run.
        out: the folder to write to, made where needed. Page, tables and all figures in it are replaced.
        formats: of the figures' files; with none, figures are only in the page.
        said: is told the step (`reading`, `drawing`, `writing`) and of what, since a large report takes a minute.

    Raises:
        UsageError: there is no run to report.
    """
    if not run_views:
        raise UsageError("no run to report", where=str(out), fix="Name at least one run folder")
    from mtlbench.report.analysis import analysis
    from mtlbench.report.exports import stacked, to_latex, write_csv, write_parquet
    from mtlbench.report.html import page
    from mtlbench.report.markdown import to_markdown
    from mtlbench.report.pages import page_of
    from mtlbench.report.store import FigureStore

    figures = out / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for suffix in FORMATS:
        for old in figures.glob(f"*{suffix}"):
            old.unlink()
    runs = []
    for view in run_views:
        said("reading", str(view.folder))
        runs.append(analysis(view))
    store = FigureStore(figures, formats, said=said)
    shown = page_of(runs, store)
    written = ReportFiles(
        index=out / "index.html",
        csv=out / "table.csv",
        markdown=out / "table.md",
        latex=out / "table.tex",
        parquet=out / "table.parquet",
        figures=tuple(store.files),
    )
    said("writing", str(out))
    extra = [shown.comparison.table] if shown.comparison else []
    written.index.write_text(page(shown, formats), encoding="utf-8")
    written.markdown.write_text(to_markdown(runs, extra), encoding="utf-8")
    written.latex.write_text(
        to_latex([*extra, *(table for run in runs for table in run.tables)]), encoding="utf-8"
    )
    table = stacked(view.table for view in run_views)
    write_csv(table, written.csv)
    write_parquet(table, written.parquet)
    return written
