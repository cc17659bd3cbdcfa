"""The page: one self-contained file, readable without scripts and without a network."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mtlbench.report.canvas import Absent, Drawing
from mtlbench.report.claims import claims
from mtlbench.report.colours import Style, styles
from mtlbench.report.frame import RunView, is_ok, variants
from mtlbench.report.gaps import Warned, gaps, warned
from mtlbench.report.groups import Group, groups
from mtlbench.report.pictures import Sample, data_uri, sample_drawing, samples
from mtlbench.report.plots import task_bars, trade_off
from mtlbench.report.prose import Answer, answer, costs
from mtlbench.report.quantities import printable
from mtlbench.report.svg import inline_svg
from mtlbench.report.tables import Table, all_columns, compact

__all__ = ["GroupPage", "RunPage", "page", "run_page"]


@dataclass(frozen=True, eq=False)
class GroupPage:
    """What the page shows of one group."""

    slug: str
    answer: Answer
    table: Table
    drawings: tuple[Drawing | Absent, ...]
    samples: tuple[Sample, ...]
    sample_drawings: tuple[Drawing, ...]
    sample_notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RunPage:
    """What the page shows of one run."""

    slug: str
    view: RunView
    facts: tuple[tuple[str, str], ...]
    groups: tuple[GroupPage, ...]
    gaps: tuple[str, ...]
    warnings: tuple[Warned, ...]
    columns: tuple[list[str], list[list[str]], list[str]]
    environment: tuple[tuple[str, str], ...]
    rerun: tuple[str, ...]
    styles: dict[str, Style]

    @property
    def drawings(self) -> list[Drawing]:
        """Every figure that could be drawn."""
        return [
            shown
            for group in self.groups
            for shown in (*group.drawings, *group.sample_drawings)
            if isinstance(shown, Drawing)
        ]


def run_page(view: RunView, slug: str, prefix: str = "") -> RunPage:
    """Everything of one run that the page shows.

    Args:
        view: the run.
        slug: begins the ids of its parts.
        prefix: begins the file names of its figures, where a page has several runs.
    """
    look = styles(variants(view))
    return RunPage(
        slug=slug,
        view=view,
        facts=tuple(_facts(view)),
        groups=tuple(
            _group_page(view, replace(group, slug=prefix + group.slug), slug, look) for group in groups(view)
        ),
        gaps=tuple(gaps(view)),
        warnings=tuple(warned(view)),
        columns=all_columns(view),
        environment=tuple(_flat(view.environment)),
        rerun=tuple(_rerun(view)),
        styles=look,
    )


def _group_page(view: RunView, group: Group, slug: str, look: dict[str, Style]) -> GroupPage:
    drawings: list[Drawing | Absent] = [trade_off(group, cost, look) for cost in costs(group)]
    drawings += [task_bars(group, look), claims(group, look)]
    shown, notes = samples(view, group)
    pictures = [sample_drawing(group, sample, number) for number, sample in enumerate(shown, 1)]
    return GroupPage(
        slug=f"{slug}-{group.slug}",
        answer=answer(group),
        table=compact(group),
        drawings=tuple(drawings),
        samples=tuple(shown),
        sample_drawings=tuple(picture for picture in pictures if isinstance(picture, Drawing)),
        sample_notes=tuple(notes),
    )


def _facts(view: RunView) -> Iterator[tuple[str, str]]:
    done = int(is_ok(view.table).sum())
    yield "cells", f"{done} finished of {len(view.table)}"
    for key, title in (("created", "created"), ("mtlbench_version", "mtlbench"), ("code_version", "code")):
        if view.run.get(key):
            yield title, str(view.run[key])


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield (
                f"{prefix}{key}",
                ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value),
            )


def _rerun(view: RunView) -> Iterator[str]:
    suite = shlex.quote(str(view.folder / "suite.resolved.yaml"))
    yield f"mtlbench run {suite} --out {shlex.quote(f'{view.folder}-again')}"
    yield f"mtlbench report {shlex.quote(str(view.folder))}"


def page(runs: list[RunPage]) -> str:
    """The whole page as text."""
    environment = Environment(
        loader=PackageLoader("mtlbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: (
            value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)
        ),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["svg"] = inline_svg
    environment.filters["uri"] = lambda picture: Markup(data_uri(picture))  # noqa: S704  # base64 has nothing to escape
    environment.tests["drawing"] = lambda shown: isinstance(shown, Drawing)
    return environment.get_template("index.html.j2").render(runs=runs) + "\n"
