"""From runs to a folder: the page, the figures, the tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mtlbench.errors import UsageError
from mtlbench.report.frame import RunView
from mtlbench.report.markdown import to_markdown

if TYPE_CHECKING:
    from mtlbench.report.canvas import Drawing

__all__ = ["ReportFiles", "build"]

PNG_DPI = 160


@dataclass(frozen=True)
class ReportFiles:
    """Where everything lies; figures are listed as PNG, each has an SVG beside it."""

    index: Path
    csv: Path
    markdown: Path
    figures: tuple[Path, ...]


def build(run_views: list[RunView], out: Path) -> ReportFiles:
    """Write the report of one or several runs.

    Runs are shown one after the other and never mixed: cells of different runs share no axis.

    Args:
        run_views: at least one run.
        out: the folder to write to, made where needed. Page, tables and all figures in it are replaced.

    Raises:
        UsageError: there is no run to report.
    """
    if not run_views:
        raise UsageError("no run to report", where=str(out), fix="Name at least one run folder")
    from mtlbench.report.html import page, run_page

    slugs = [f"run{number}" for number in range(1, len(run_views) + 1)]
    runs = [
        run_page(view, slug, f"{slug}-" if len(slugs) > 1 else "")
        for view, slug in zip(run_views, slugs, strict=True)
    ]
    figures = out / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for old in (*figures.glob("*.png"), *figures.glob("*.svg")):
        old.unlink()
    drawn = [_save(drawing, figures) for run in runs for drawing in run.drawings]
    files = ReportFiles(out / "index.html", out / "table.csv", out / "table.md", tuple(drawn))
    files.index.write_text(page(runs), encoding="utf-8")
    files.markdown.write_text(to_markdown(run_views), encoding="utf-8")
    _stacked(view.table for view in run_views).to_csv(files.csv, index=False)
    return files


def _stacked(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """All rows under the union of columns, in the order of first appearance."""
    every = list(tables)
    columns = list(dict.fromkeys(name for table in every for name in table.columns))
    rows = [record for table in every for record in table.astype(object).to_dict("records")]
    return every[0] if len(every) == 1 else pd.DataFrame(rows, columns=columns)


def _save(drawing: Drawing, folder: Path) -> Path:
    from mtlbench.report.canvas import drawing as settings

    path = folder / f"{drawing.slug}.png"
    with settings():
        drawing.figure.savefig(path, dpi=PNG_DPI, facecolor="white", metadata={"Description": drawing.alt})
        drawing.figure.savefig(path.with_suffix(".svg"), facecolor="white", metadata={"Date": None})
    return path
