"""`mtlbench data check`: whether a folder of data can be used, and what is in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from mtlbench.cli.data_text import FEW, print_report, say
from mtlbench.errors import DataError, UsageError

if TYPE_CHECKING:
    from PIL import Image

    from mtlbench.data.check.report import CheckReport

__all__ = ["data_check_command"]

_SHEET = "contact-sheet.png"
_REPORT = "check.txt"
_WIDTH = 120  # of the report, in characters; only tables are fitted to it


def data_check_command(path: Path, out: Path | None, limit: int | None) -> int:
    """Check a `folder` dataset, print what was found and write a contact sheet; returns the exit code.

    Raises:
        UsageError: `path` is no folder, or `out` lies inside the data.
    """
    from mtlbench.data.check import check_folder, contact_sheet

    if limit is not None and limit < 1:
        raise UsageError(f"a limit of {limit} leaves nothing to check", fix="Give at least 1")
    root = path.parent if path.name == "dataset.yaml" else path
    if not root.is_dir():
        raise DataError(
            "there is no such folder", where=str(path), fix="Give the folder that holds dataset.yaml"
        )
    if out is not None:
        _refuse_inside(out, [root])  # before minutes of reading
    report = check_folder(root, limit)
    folder = out or Path(f"data-check-{report.title}")
    _refuse_inside(folder, report.folders)
    console = Console(highlight=False)
    print_report(report, console, FEW)
    if report.title:
        saved = _save(report, contact_sheet(root), folder)
        say(console, "")
        for what, file in saved.items():
            say(console, f"{what}: {file}")
    return 0 if report.usable else UsageError.exit_code


def _refuse_inside(out: Path, data: Iterable[Path]) -> None:
    """Nothing is ever written into the user's data."""
    for folder in data:
        if out.resolve().is_relative_to(folder.resolve()):
            raise UsageError(
                "the output would lie inside the data, where nothing is written",
                where=str(out),
                fix="Name another folder with --out",
            )


def _save(report: CheckReport, sheet: Image.Image | None, folder: Path) -> dict[str, Path]:
    """Write the contact sheet, where there is one, and the report with every place; returns them by what they are."""
    files = {} if sheet is None else {"contact sheet": folder / _SHEET}
    text = files["this report, with every place"] = folder / _REPORT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if sheet is not None:
            sheet.save(folder / _SHEET)
        with text.open("w", encoding="utf-8", errors="replace") as stream:
            print_report(report, Console(file=stream, width=_WIDTH, highlight=False, color_system=None), None)
    except OSError as error:
        raise UsageError(
            f"the contact sheet cannot be written: {error.strerror}",
            where=str(folder),
            fix="Name another folder with --out",
        ) from error
    return files
