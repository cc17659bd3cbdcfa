from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_run import PRIMARY, full_table, hostile
from fake_ways import METRICS, USUAL, Maker, sweep
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from mtlbench.report.canvas import Absent, Drawing, drawing
from mtlbench.report.colours import styles
from mtlbench.report.frame import RunView, variants
from mtlbench.report.groups import Group, groups
from mtlbench.report.section import Section
from mtlbench.report.sections._budgets import asked, budget_words
from mtlbench.report.sections._frontier import COSTS, Frontier, Quality, cost_of, frontier, qualities
from mtlbench.report.sections.tradeoffs import section
from mtlbench.report.svg import inline_svg
from mtlbench.report.tables import Table

MACS, LATENCY, ENERGY, MEMORY = COSTS


def group_of(table: pd.DataFrame) -> tuple[RunView, Group]:
    view = RunView(Path("run"), {"primary": {**PRIMARY, **METRICS}}, table)
    (group,) = groups(view)
    return view, group


def made(table: pd.DataFrame) -> Section:
    view, group = group_of(table)
    found = section(view, group, styles(variants(view)))
    assert found is not None
    return found


def of_kind(found: Section, kind: type[Any]) -> list[Any]:
    return [block for block in found.blocks if isinstance(block, kind)]


@cache
def usual() -> Section:
    return made(Maker().table(USUAL))


def drawn(found: Section, slug: str) -> Drawing:
    (picture,) = [block for block in of_kind(found, Drawing) if block.slug.endswith(slug)]
    assert isinstance(picture, Drawing)
    return picture


def lean(table: pd.DataFrame, keep: str = "latency_ms") -> pd.DataFrame:
    """The table without tasks and with one cost, so that few figures are drawn."""
    costs = {"macs_executed", "latency_ms", "energy_mj", "memory_peak_mib", "budget"} - {keep}
    return table.drop(
        columns=[name for name in table if name.startswith("metric.") or name.split(".")[0] in costs]
    )


def marks(axes: Axes, *, ringed: bool = False) -> list[tuple[float, float]]:
    """Where marks of ways are, or the rings around them."""
    found = []
    for line in axes.lines:
        is_ring = line.get_marker() == "o" and line.get_markersize() >= 9
        if line.get_linestyle() == "None" and line.get_markersize() > 4 and is_ring == ringed:
            found += [(round(float(x), 6), round(float(y), 6)) for x, y in zip(*line.get_data(), strict=True)]
    return sorted(found)


def front_of(latency: list[Any], quality: list[Any], *, higher: bool = True) -> Frontier:
    """A front of ways from values and limits, [n][3]."""
    columns: dict[str, list[Any]] = {"variant": [f"v{index}" for index in range(len(latency))]}
    for name, values in (("latency_ms", latency), ("delta_m", quality)):
        for part, end in enumerate(("", ".ci_low", ".ci_high")):
            columns[name + end] = [value[part] for value in values]
    _, group = group_of(pd.DataFrame(columns))
    return frontier(group, LATENCY, Quality("delta_m", "delta-m", higher))


def is_on(points: list[tuple[float, float]], index: int) -> bool:
    cost, gain = points[index]
    return not any(c <= cost and g >= gain and (c < cost or g > gain) for c, g in points)


box = st.tuples(st.floats(0, 10), st.floats(0.01, 3), st.floats(0.01, 3))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(box, box), min_size=2, max_size=3), st.booleans())
def test_settled_means_the_same_at_every_corner_of_the_intervals(boxes: list[Any], higher: bool) -> None:
    limits = [tuple((value, value - low, value + high) for value, low, high in pair) for pair in boxes]
    found = front_of([pair[0] for pair in limits], [pair[1] for pair in limits], higher=higher)
    sign = 1 if higher else -1
    corners = [[(c, sign * q) for c in cost[1:] for q in quality[1:]] for cost, quality in limits]
    centres = [(cost[0], sign * quality[0]) for cost, quality in limits]
    worlds = list(product(*corners))
    for index in range(len(boxes)):
        assert found.on[index] == is_on(centres, index)
        seen = {is_on(list(world), index) for world in worlds}
        # at the exact touch of two intervals equal points do not beat each other, which the rule leaves open
        assert found.settled[index] <= (seen == {bool(found.on[index])})
        if len(seen) == 1 and len({value for pair in limits for three in pair for value in three}) == 6 * len(
            boxes
        ):
            assert found.settled[index]


def test_without_intervals_nothing_is_settled_or_judged() -> None:
    bare = front_of([(1, None, None), (2, None, None)], [(1, None, None), (0, None, None)])
    assert list(bare.on) == [True, False]
    assert not bare.judged
    assert not bare.settled.any()


def test_counts_are_their_own_intervals() -> None:
    _, group = group_of(Maker().table(USUAL))
    found = frontier(group, cost_of(group, MACS), qualities(group)[0])
    assert found.judged
    np.testing.assert_array_equal(found.x[:, 0], found.x[:, 2])
    assert found.cost.unit.name == "GMACs"


def test_marks_stand_at_the_values_in_the_axis_unit() -> None:
    table = Maker().table(USUAL)
    (axes,) = drawn(usual(), "accuracy-macs").figure.axes
    assert axes.get_xlabel() == "executed MACs, GMACs per image"
    pairs = zip(table["macs_executed"] / 1e9, table["delta_m"], strict=True)
    assert marks(axes) == sorted((round(x, 6), round(y, 6)) for x, y in pairs)


def test_what_is_not_settled_wears_a_ring_and_what_is_surely_beaten_is_hollow() -> None:
    table = Maker().table(USUAL)
    _, group = group_of(table)
    found = frontier(group, cost_of(group, LATENCY), qualities(group)[0])
    (axes,) = drawn(usual(), "accuracy-latency").figure.axes
    open_ends = found.x[~found.settled, 0], found.y[~found.settled, 0]
    assert marks(axes, ringed=True) == sorted(
        (round(x, 6), round(y, 6)) for x, y in zip(*open_ends, strict=True)
    )
    hollow = [
        line for line in axes.lines if line.get_linestyle() == "None" and line.get_markerfacecolor() == "none"
    ]
    beaten = sum(len(line.get_xdata()) for line in hollow if line.get_markersize() == 7)
    assert beaten == int((found.settled & ~found.on).sum()) > 0


def test_the_front_is_drawn_as_steps_through_its_points() -> None:
    table = Maker().table(USUAL)
    _, group = group_of(table)
    found = frontier(group, cost_of(group, LATENCY), qualities(group)[0])
    (axes,) = drawn(usual(), "accuracy-latency").figure.axes
    (steps,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    inner = list(zip(*(np.asarray(data)[1:-1] for data in steps.get_data()), strict=True))
    expected = sorted(zip(found.x[found.on, 0], found.y[found.on, 0], strict=True))
    np.testing.assert_allclose(inner, expected)


def test_whiskers_reach_the_limits_both_ways() -> None:
    table = Maker().table(USUAL)
    (axes,) = drawn(usual(), "accuracy-latency").figure.axes
    ends: set[float] = set()
    for line in axes.lines:
        if np.isnan(np.asarray(line.get_xdata(), dtype=float)).any():
            ends |= {round(float(x), 6) for x in line.get_xdata() if np.isfinite(x)}
            ends |= {round(float(y), 6) for y in line.get_ydata() if np.isfinite(y)}
    for name in ("latency_ms.ci_low", "latency_ms.ci_high", "delta_m.ci_low", "delta_m.ci_high"):
        assert {round(value, 6) for value in table[name]} <= ends


def test_each_task_has_a_panel_and_up_is_better_in_all() -> None:
    panels = [axes for axes in drawn(usual(), "tasks-latency").figure.axes if axes.axison]
    assert [axes.get_title(loc="left") for axes in panels] == [
        *("semseg miou ↑", "edge odsf ↑", "normals mean_angle ↓", "depth rmse_m ↓"),
    ]
    assert [axes.yaxis_inverted() for axes in panels] == [False, False, True, True]


def test_axes_make_no_hill_of_a_small_difference() -> None:
    table = Maker().table(USUAL)
    table["delta_m"] = np.linspace(-0.01, 0, len(table))
    table["delta_m.ci_low"] = table["delta_m.ci_high"] = table["delta_m"]
    (axes,) = drawn(made(lean(table)), "accuracy-latency").figure.axes
    low, high = axes.get_ylim()
    assert high - low >= 2
    assert axes.get_xlim()[0] == 0
    table["metric.edge.odsf"] = 0.7 + table["delta_m"] / 1000
    table[["metric.edge.odsf.ci_low", "metric.edge.odsf.ci_high"]] = np.nan
    low, high = drawn(made(table), "tasks-latency").figure.axes[1].get_ylim()
    assert (high - low) / 0.7 > 0.05


def test_costs_over_more_than_a_decade_get_a_logarithmic_axis() -> None:
    table = Maker().table(USUAL)
    table.loc[table["variant"] == "adamtl", "macs_executed"] /= 100
    picture = drawn(made(lean(table, "macs_executed")), "accuracy-macs")
    assert picture.figure.axes[0].get_xscale() == "log"
    assert "The axis of executed MACs is logarithmic." in picture.caption
    table.loc[table["variant"] == "adamtl", "macs_executed"] = 0.0
    picture = drawn(made(lean(table, "macs_executed")), "accuracy-macs")
    assert picture.figure.axes[0].get_xscale() == "linear"


def test_single_seeds_are_dots_behind_the_means() -> None:
    table = Maker().table(USUAL, seeds=3)
    picture = drawn(made(lean(table)), "accuracy-latency")
    dots = [line for line in picture.figure.axes[0].lines if line.get_markersize() == 3]
    assert sum(len(line.get_xdata()) for line in dots) == len(table)
    assert "small dots are single seeds" in picture.caption


def labels_of(axes: Axes) -> list[Annotation]:
    return [child for child in axes.texts if isinstance(child, Annotation)]


@pytest.mark.parametrize("table", [Maker().table(USUAL), Maker().table(sweep(8, 25))], ids=["usual", "many"])
def test_labels_are_few_and_cover_neither_each_other_nor_the_frame(table: pd.DataFrame) -> None:
    figure = drawn(made(lean(table, "macs_executed")), "accuracy-macs").figure
    with drawing():
        figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in labels_of(figure.axes[0])]
        frame = figure.bbox
    assert 4 <= len(boxes) <= 12
    shared = [
        max(min(a.x1, b.x1) - max(a.x0, b.x0), 0)
        * max(min(a.y1, b.y1) - max(a.y0, b.y0), 0)
        / (a.width * a.height)
        for index, a in enumerate(boxes)
        for b in boxes[:index]
    ]
    assert max(shared) < 0.5
    assert all(box.x0 >= frame.x0 and box.x1 <= frame.x1 for box in boxes)


TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "usual": lambda: Maker().table(USUAL, seeds=2),
    "bare": lambda: Maker(energy=False, intervals=False).table(USUAL),
    "one": lambda: Maker().table([("x", None, 0.5, -3.0)]),
    "many variants": lambda: lean(Maker().table(sweep(40, 2))),
    "hostile": lambda: hostile(full_table()),
}


def check_legible(picture: Drawing) -> None:
    with drawing():
        picture.figure.draw_without_rendering()
        tight = picture.figure.get_tightbbox()
    width, height = picture.figure.get_size_inches()
    assert width <= 6.8
    assert height <= 14
    assert min(tight.x0, tight.y0) >= -0.02
    assert tight.x1 <= width + 0.02
    assert tight.y1 <= height + 0.02
    assert picture.caption.endswith(".")
    assert picture.alt.endswith(".")


@pytest.mark.parametrize("name", TABLES)
def test_nothing_is_clipped_and_everything_is_said(name: str) -> None:
    for picture in of_kind(made(TABLES[name]()), Drawing):
        check_legible(picture)


@pytest.mark.slow
def test_two_hundred_ways_are_legible_and_small_in_the_page() -> None:
    pictures = of_kind(made(Maker().table(sweep(8, 25))), Drawing)
    assert len(pictures) == 9
    for picture in pictures:
        check_legible(picture)
    assert sum(len(inline_svg(picture)) for picture in pictures) < 2_000_000


def test_findings_name_the_ends_of_the_front_and_what_is_settled() -> None:
    lead = usual().lead
    assert lead[0].startswith(
        "6 of 11 ways are on the front of delta-m against executed MACs, from adamtl at"
    )
    assert "to single_task (4.80 GMACs, 0 %); " in lead[0]
    assert "of them for sure" in lead[0]
    assert lead[3].endswith("without intervals this is not settled.")
    alone = Maker().table([])
    alone["delta_m"] = [0.0, 3.0]
    alone[["delta_m.ci_low", "delta_m.ci_high"]] = [[0.0, 0.0], [2.0, 4.0]]
    said = made(lean(alone, "macs_executed")).lead[0]
    assert said.startswith("Nothing beats static_mtl (1.50 GMACs, 3.0 % [2.0, 4.0]) in delta-m or")
    assert said.endswith("that is settled.")


def test_marks_are_explained_once() -> None:
    captions = [block.caption for block in of_kind(usual(), Drawing)][:-1]
    assert [caption.count("A ring: not settled") for caption in captions] == [1] + [0] * (len(captions) - 1)
    assert all(caption.endswith("as above.") for caption in captions[1:])


def test_the_table_marks_what_the_intervals_leave_open() -> None:
    (table,) = of_kind(usual(), Table)
    _, group = group_of(Maker().table(USUAL))
    found = frontier(group, cost_of(group, LATENCY), qualities(group)[0])
    column = [header.title for header in table.headers].index("latency")
    said = [row.entries[column].text for row in table.rows]
    assert [word.startswith("yes") for word in said] == list(found.on)
    assert [not word.endswith("?") for word in said] == list(found.settled)


def test_what_cannot_be_drawn_says_why() -> None:
    def reasons(table: pd.DataFrame) -> dict[str, str]:
        return {block.title: block.reason for block in of_kind(made(table), Absent)}

    unmetered = reasons(Maker(energy=False).table(USUAL[:1]))
    assert unmetered == {
        "Accuracy against energy": "There is no energy: pyrapl: this machine shows no RAPL counters."
    }
    untrained = reasons(Maker(trained=False).table(USUAL))
    assert untrained == {"Quality against cost": "There is no trade-off to draw: The weights are untrained."}
    single = reasons(Maker().table([]).iloc[:1])
    assert single["Quality against cost"] == "Only single_task finished, and a trade-off needs two ways."
    assert single["Budget asked and spent"].startswith("No finished way here takes a budget")
    table = Maker().table(USUAL)
    table.loc[1:, "latency_ms"] = np.nan
    assert reasons(lean(table))["Accuracy against latency"].startswith("Only single_task has a value")
    failed = Maker().table(USUAL).assign(status="failed")
    view, group = group_of(failed)
    assert section(view, group, styles(variants(view))) is None


def test_without_delta_m_the_tasks_are_still_drawn() -> None:
    table = Maker().table(USUAL)
    bare = table.drop(columns=[name for name in table if name.startswith("delta_m")])
    found = made(bare.assign(delta_m_reason="The run has no single_task baseline."))
    slugs = [block.slug for block in of_kind(found, Drawing)]
    assert any(slug.endswith("tasks-latency") for slug in slugs)
    assert not any("accuracy" in slug for slug in slugs)
    assert found.lead[0] == "There is no delta-m: The run has no single_task baseline."


def test_budgets_are_drawn_at_what_was_asked_and_spent() -> None:
    table = Maker().table(USUAL)
    picture = drawn(usual(), "budgets")
    panel = picture.figure.axes[0]
    assert panel.get_title(loc="left") == "adamtl"
    own = table[table["variant"] == "adamtl"].sort_values("budget")
    nominal = next(line for line in panel.lines if line.get_marker() == "o")
    np.testing.assert_allclose(nominal.get_xdata(), own["budget"] * 100)
    np.testing.assert_allclose(nominal.get_ydata(), own["macs_nominal"] / own["macs_reference"] * 100)
    time = next(line for line in panel.lines if line.get_marker() == "_")
    expected = 1 - own["realisation"].fillna(0) * (1 - own["macs_nominal"] / own["macs_reference"])
    np.testing.assert_allclose(np.asarray(time.get_ydata())[:-1] / 100, expected[:-1])
    (bars,) = panel.collections
    ends = np.array([path.vertices[:, 1] for path in bars.get_paths()])
    np.testing.assert_allclose(ends[:, 1], own["macs_nominal_p95"] / own["macs_reference"] * 100)
    diagonal = next(line for line in panel.lines if list(line.get_xdata()) == list(line.get_ydata()))
    assert isinstance(diagonal, Line2D)


def test_the_way_furthest_over_its_budget_is_named() -> None:
    _, group = group_of(Maker().table(USUAL))
    words = budget_words(asked(group))
    assert words.startswith(
        "Furthest over its budget in executed MACs: masked_sharing asked for 50 % and spent 50 %"
    )
    table = Maker().table(USUAL).assign(budget=1.2)
    assert budget_words(asked(group_of(table)[1])) == "No way executed more MACs than its budget."
    assert budget_words(asked(group_of(Maker().table([]))[1])) == ""


def test_more_variants_with_budgets_than_fit_are_named() -> None:
    picture = drawn(made(lean(Maker().table(sweep(8, 3)), "budget")), "budgets")
    assert len([axes for axes in picture.figure.axes if axes.axison]) == 6
    assert "variant_6 and variant_7 are not drawn." in picture.caption
