"""What the page shows, put together from runs: figures are drawn, saved and weighed here, once each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mtlbench.report.analysis import Analysis
from mtlbench.report.canvas import Absent, Drawing
from mtlbench.report.colours import Style, styles
from mtlbench.report.energy import energy_words
from mtlbench.report.explore import Place, chart_data, finished, static_chart
from mtlbench.report.frame import RunView, brief, is_ok, text, variants
from mtlbench.report.groups import Group
from mtlbench.report.overview import Overview, headline, overview
from mtlbench.report.prose import Answer
from mtlbench.report.runs import Source, matches, places, side_by_side, sources
from mtlbench.report.runs_chart import runs_chart
from mtlbench.report.sections import sections
from mtlbench.report.store import FigureStore, Picture, ShownSection
from mtlbench.report.tables import Table, all_columns
from mtlbench.report.trust import Trust, trust

__all__ = ["Chart", "Comparison", "GroupPage", "Page", "RunPage", "page_of"]

MOST_DRAWN_CELLS = 2000
MOST_DRAWN_GROUPS = 6
MOST_GROUPS = 60
MOST_FULL_ROWS = 400
STATUSES = ("failed", "unsupported", "skipped", "missing")


@dataclass(frozen=True, eq=False)
class GroupPage:
    """What the page shows of one group.

    Attributes:
        slug: begins ids.
        answer: what it says.
        table: its cells.
        sections: what there is to say about it.
        said: what is left out, in sentences.
        finished: cells that finished, of all, in words.
    """

    slug: str
    answer: Answer
    table: Table
    sections: tuple[ShownSection, ...]
    said: tuple[str, ...]
    finished: str


@dataclass(frozen=True, eq=False)
class RunPage:
    """What the page shows of one run."""

    slug: str
    view: RunView
    facts: tuple[tuple[str, str], ...]
    headline: str
    overview: Overview | None
    groups: tuple[GroupPage, ...]
    said: tuple[str, ...]
    gaps: tuple[str, ...]
    columns: tuple[list[str], list[list[str]], list[str]] | None
    trust: Trust

    @property
    def parts(self) -> list[tuple[str, str]]:
        """Ids and titles of its parts, for a list of links."""
        found = [(f"{self.slug}-answer", "Answer"), ("explore", "Explore")]
        if self.overview:
            found.append((f"{self.slug}-settings", "Setting by setting"))
        else:
            for group in self.groups:
                found.append((f"{group.slug}-results", "Results"))
                found += [(section.slug, section.title) for section in group.sections]
        return [*found, (f"{self.slug}-columns", "All columns"), (f"{self.slug}-trust", "Trust")]


@dataclass(frozen=True, eq=False)
class Chart:
    """The interactive chart: its data, what it leaves out, and what stands in its place without scripts."""

    data: str
    said: str
    still: Picture | Absent


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several runs side by side."""

    places: Table
    sentences: tuple[str, ...]
    table: Table
    figure: Picture | Absent


@dataclass(frozen=True, eq=False)
class Page:
    """The whole page."""

    title: str
    runs: tuple[RunPage, ...]
    comparison: Comparison | None
    chart: Chart
    look: dict[str, Style]


def page_of(runs: Sequence[Analysis], store: FigureStore) -> Page:
    """Everything that the page shows of one or several runs.

    Args:
        runs: at least one run.
        store: where figures go.
    """
    look = styles(dict.fromkeys(name for run in runs for name in variants(run.view)))
    several = len(runs) > 1
    offered = [
        Place(f"{run.view.suite}, run {run.view.run_id}: {group.label}" if several else group.label, group)
        for run in runs
        for group in run.groups
    ]
    cells = finished(offered)
    data, said = chart_data(cells, offered, look)
    still = static_chart(cells, offered, look)
    every = sources([(run.view, run.groups) for run in runs])
    budget = _Budget(store, sum(len(run.view.table) for run in runs))
    return Page(
        title=", ".join(dict.fromkeys(brief(run.view.suite) for run in runs)),
        chart=Chart(data, said, store.figure(still) if isinstance(still, Drawing) else still),
        comparison=_comparison(runs, every, look, store) if len(every) > 1 else None,
        runs=tuple(
            _run_page(
                run,
                f"run{number}",
                several,
                [each.letter for each in every if each.view is run.view],
                look,
                budget,
            )
            for number, run in enumerate(runs, 1)
        ),
        look=look,
    )


class _Budget:
    """How much of a large run the page still takes."""

    def __init__(self, store: FigureStore, cells: int) -> None:
        self.store = store
        self.drawn = MOST_DRAWN_GROUPS if cells <= MOST_DRAWN_CELLS else 0
        self.why = (
            f"Figures are drawn for the first {MOST_DRAWN_GROUPS} settings"
            if self.drawn
            else f"Figures are drawn for up to {MOST_DRAWN_CELLS:,} cells"
        )

    def take_figures(self) -> bool:
        self.drawn -= 1
        return self.drawn >= 0


def _run_page(
    run: Analysis, slug: str, several: bool, letters: Sequence[str], look: dict[str, Style], budget: _Budget
) -> RunPage:
    view = run.view
    named = [replace(group, slug=f"{slug}-{group.slug}" if several else group.slug) for group in run.groups]
    shown = list(zip(named, run.answers, run.tables, strict=False))[:MOST_GROUPS]
    left = len(named) - len(shown)
    return RunPage(
        slug=slug,
        view=view,
        facts=((("letter", " and ".join(letters)),) if several and letters else ())
        + tuple(_facts(view, named)),
        headline=headline(run.answers) if len(named) > 1 else "",
        overview=overview(named, run.answers, len(shown)) if len(named) > 1 else None,
        groups=tuple(_group_page(view, *each, look, budget) for each in shown),
        said=(f"{left} more settings are in the overview and in table.csv.",) if left > 0 else (),
        gaps=run.gaps,
        columns=all_columns(view) if len(view.table) <= MOST_FULL_ROWS else None,
        trust=trust(view, named),
    )


def _facts(view: RunView, found: Sequence[Group]) -> Iterator[tuple[str, str]]:
    status = text(view.table, "status")
    counts = [f"{int(is_ok(view.table).sum())} finished"]
    counts += [f"{count} {name}" for name in STATUSES if (count := int((status == name).sum()))]
    yield "cells", f"{', '.join(counts)}, of {len(view.table)}"
    for column, title in (("hardware", "hardware"), ("machine_id", "machine"), ("dataset", "data")):
        names = dict.fromkeys(group.setting[column] for group in found if group.setting[column])
        if names:
            shown = ", ".join(map(brief, list(names)[:4])) + (
                f" and {len(names) - 4} more" if len(names) > 4 else ""
            )
            yield "machines" if title == "machine" and len(names) > 1 else title, shown
    yield "energy", energy_words(view.table)
    for key, title in (("created", "created"), ("mtlbench_version", "mtlbench"), ("code_version", "code")):
        if view.run.get(key):
            yield title, brief(str(view.run[key]))


def _group_page(
    view: RunView, group: Group, said: Answer, table: Table, look: dict[str, Style], budget: _Budget
) -> GroupPage:
    left_out: tuple[str, ...] = ()
    found: tuple[ShownSection, ...] = ()
    if budget.take_figures():
        found = tuple(budget.store.section(group, section) for section in sections(view, group, look))
    else:
        left_out = (f"{budget.why}; the chart at the top can show these cells too.",)
    done = int(is_ok(group.cells).sum())
    return GroupPage(
        slug=group.slug,
        answer=said,
        table=table,
        sections=found,
        said=left_out,
        finished=f"{done} of {len(group.cells)} cells",
    )


def _comparison(
    runs: Sequence[Analysis], every: Sequence[Source], look: dict[str, Style], store: FigureStore
) -> Comparison:
    found = matches(every)
    metrics = dict.fromkeys(metric for run in runs for group in run.groups for metric in group.metrics)
    sentences, table = side_by_side(every, found, list(metrics))
    drawn = runs_chart(every, found, look)
    figure = store.figure(drawn) if isinstance(drawn, Drawing) else drawn
    return Comparison(places(every), tuple(sentences), table, figure)
