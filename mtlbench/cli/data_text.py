"""What `mtlbench data check` prints, and writes to a file without leaving anything out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mtlbench.report.quantities import printable

if TYPE_CHECKING:
    from mtlbench.data.check.report import CheckReport, ClassShares, Place, Problem

__all__ = ["FEW", "print_report", "say"]

FEW = 3
"""Places of a problem that are shown where there is no room for all."""

_MOST_SIZES = 5


def print_report(report: CheckReport, console: Console, most: int | None) -> None:
    """Print what is in the data, what should be looked at and what is wrong.

    Args:
        report: what was found.
        console: where to.
        most: places of each problem that are named; None for all.
    """
    _print_contents(report, console)
    if report.notes:
        say(console, "\nto look at", "bold")
        for note in report.notes:
            _indented(console, f"- {note}", 2)
    if report.usable:
        say(console, "\nno problems", "bold green")
        return
    places = sum(len(problem.places) for problem in report.problems)
    problems = len(report.problems)
    where = f" at {places} places" if places > problems else ""
    say(console, f"\n{problems} problem{'s' if problems > 1 else ''}{where}", "bold red")
    for number, problem in enumerate(report.problems, 1):
        _print_problem(f"{number}. ", problem, str(report.root), console, most)


def _print_problem(bullet: str, problem: Problem, root: str, console: Console, most: int | None) -> None:
    count = len(problem.places)
    times = f" ({count} times)" if count > 1 else ""
    _indented(console, f"\n{bullet}{_capital(problem.what)}{times}.", len(bullet))
    if problem.fix:
        _indented(console, f"{' ' * len(bullet)}{problem.fix}.", len(bullet), "green")
    shown = problem.places if most is None or count <= most + 1 else problem.places[:most]
    width = max(len(_below(place, root)) for place in shown)
    for place in shown:
        words = f"{_below(place, root):<{width}}  {place.detail}".rstrip()
        say(console, f"{' ' * (len(bullet) + 2)}{words}", "dim")
    if len(shown) < count:
        say(console, f"{' ' * (len(bullet) + 2)}and {count - len(shown)} more", "dim")


def _below(place: Place, root: str) -> str:
    """A place as seen from the folder that is checked, whose name is printed above."""
    return place.where.removeprefix(root).lstrip("/") or place.where


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _print_contents(report: CheckReport, console: Console) -> None:
    """What is in the data."""
    say(console, f"{report.title} in {report.root}" if report.title else str(report.root), "bold")
    if report.splits:
        console.print(_split_table(report))
    if report.images.sizes:
        _print_images(report, console)
    for name, shares in report.classes.items():
        if any(shares.images) or shares.ignored:
            console.print(_class_table(name, shares))
    if any(numbers.quantiles for numbers in report.numbers.values()):
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
    say(console, "\nimages", "bold")
    say(console, f"width x height: {', '.join(sizes[:_MOST_SIZES])}{more}")
    say(console, f"stored as: {modes}")
    mean, std = (", ".join(f"{value:.3f}" for value in values) for values in (images.mean, images.std))
    say(console, f"mean of R, G, B: {mean}; standard deviation: {std}")


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


def say(console: Console, words: str, style: str = "") -> None:
    """Print words on one line, however long, so that names can be copied and searched for."""
    console.print(_text(words, style), soft_wrap=True)


def _indented(console: Console, words: str, indent: int, style: str = "") -> None:
    """Print a sentence; on a terminal it is wrapped at spaces, and further lines stand below the first word."""
    if not console.is_terminal:
        say(console, words, style)
        return
    if words.startswith("\n"):
        console.print()
    first, *others = _text(words.removeprefix("\n"), style).wrap(console, console.width - indent)
    console.print(first)
    for line in others:
        console.print(Text(" " * indent) + line)


def _text(words: str, style: str = "") -> Text:
    """Words as they are: neither markup nor control sequences of the terminal."""
    return Text("\n" * words.startswith("\n") + printable(words.removeprefix("\n")), style=style)
