"""`mtlbench data check`: whether a folder of data can be used, and what is in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtlbench.errors import DataError, UsageError
from mtlbench.report.quantities import printable

if TYPE_CHECKING:
    from PIL import Image

    from mtlbench.data.check.report import CheckReport, ClassShares

__all__ = ["data_check_command"]

_SHEET = "contact-sheet.png"
_MOST_SIZES = 5


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
    _print_contents(report, console)
    _print_findings(report, console)
    sheet = contact_sheet(root)
    if sheet is not None:
        _say(console, f"\ncontact sheet: {_save(sheet, folder)}")
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


def _save(sheet: Image.Image, folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sheet.save(folder / _SHEET)
    except OSError as error:
        raise UsageError(
            f"the contact sheet cannot be written: {error.strerror}",
            where=str(folder),
            fix="Name another folder with --out",
        ) from error
    return folder / _SHEET


def _print_contents(report: CheckReport, console: Console) -> None:
    """What is in the data."""
    _say(console, f"{report.title} in {report.root}" if report.title else str(report.root), "bold")
    if report.splits:
        console.print(_split_table(report))
    if report.images.sizes:
        _print_images(report, console)
    for name, shares in report.classes.items():
        console.print(_class_table(name, shares))
    if report.numbers:
        console.print(_number_table(report))


def _split_table(report: CheckReport) -> Table:
    tasks = list(next(iter(report.splits.values())).labelled)
    table = _table("\nsamples", "listed", "read", *tasks, "no label")
    for split, counts in report.splits.items():
        labelled = [counts.labelled[name] for name in tasks]
        table.add_row(
            split, *(str(count) for count in (counts.listed, counts.read, *labelled, counts.unlabelled))
        )
    return table


def _print_images(report: CheckReport, console: Console) -> None:
    images = report.images
    sizes = [f"{width} x {height} ({count})" for (height, width), count in images.sizes.items()]
    more = f" and {len(sizes) - _MOST_SIZES} more sizes" if len(sizes) > _MOST_SIZES else ""
    modes = ", ".join(f"{mode} ({count})" for mode, count in images.modes.items())
    _say(console, "\nimages", "bold")
    _say(console, f"width x height: {', '.join(sizes[:_MOST_SIZES])}{more}")
    _say(console, f"stored as: {modes}")
    mean, std = (", ".join(f"{value:.3f}" for value in values) for values in (images.mean, images.std))
    _say(console, f"mean of R, G, B: {mean}; standard deviation: {std}")


def _class_table(name: str, shares: ClassShares) -> Table:
    table = _table(f"\n{name}", "pixels", "images")
    for label, pixels, images in zip(shares.names, shares.pixels, shares.images, strict=True):
        table.add_row(_text(label), f"{pixels:.2%}", str(images))
    table.add_row(_text("ignored, of all", "dim"), _text(f"{shares.ignored:.2%}", "dim"))
    return table


def _number_table(report: CheckReport) -> Table:
    from mtlbench.data.check.report import QUANTILES

    table = _table("\nnumbers", *(f"{quantile:.0%}" for quantile in QUANTILES), "missing")
    for name, numbers in report.numbers.items():
        for i, quantiles in enumerate(numbers.quantiles or ((),)):
            component = f"{name}[{i}]" if len(numbers.quantiles) > 1 else name
            values = [f"{value:.4g}" for value in quantiles] or ["-"] * len(QUANTILES)
            table.add_row(_text(component), *values, f"{numbers.missing:.2%}")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(first, no_wrap=True)
    for title in others:
        table.add_column(title, justify="right", vertical="bottom")
    return table


def _print_findings(report: CheckReport, console: Console) -> None:
    """What should be looked at, and everything that is wrong."""
    if report.notes:
        _say(console, "\nto look at", "bold")
        for note in report.notes:
            _say(console, f"- {note}")
    if report.usable:
        _say(console, "\nno problems", "bold")
        return
    _say(console, f"\n{sum(len(problem.places) for problem in report.problems)} problems", "bold")
    for problem in report.problems:
        _say(console, f"- {problem.what}" + (f". {problem.fix}." if problem.fix else ""))
        for place in problem.places:
            _say(console, f"    {place}", "dim")


def _say(console: Console, words: str, style: str = "") -> None:
    console.print(_text(words, style), soft_wrap=True)


def _text(words: str, style: str = "") -> Text:
    """Words as they are: neither markup nor control sequences of the terminal."""
    return Text("\n" * words.startswith("\n") + printable(words.removeprefix("\n")), style=style)
