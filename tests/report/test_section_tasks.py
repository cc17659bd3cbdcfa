from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_run import HOSTILE, TASKS, fake_view, full_table, hostile, random_weights, spread
from hypothesis import given
from hypothesis import strategies as st
from section_checks import check_figures, static_alone, with_copies

from mtlbench.report.canvas import Absent, Drawing
from mtlbench.report.colours import styles
from mtlbench.report.frame import Estimate, RunView, variants
from mtlbench.report.groups import groups
from mtlbench.report.section import Section
from mtlbench.report.sections._subset_costs import (
    BreakEven,
    Costs,
    Subset,
    break_even,
    by_size,
    cheaper,
    marginal,
)
from mtlbench.report.sections.tasks import section
from mtlbench.report.tables import Table

ENCODER, HEADS = 10.0e9, {"a": 1.0e9, "b": 2.0e9, "c": 6.0e9}
NAMES = tuple(HEADS)


def every_subset(tasks: tuple[str, ...]) -> list[Subset]:
    return [frozenset(chosen) for size in range(1, len(tasks) + 1) for chosen in combinations(tasks, size)]


def exact(value: float) -> Estimate:
    return Estimate(value, value, value)


def shared(encoder: float = ENCODER) -> Costs:
    return {subset: exact(encoder + sum(HEADS[task] for task in subset)) for subset in every_subset(NAMES)}


def alone(encoder: float = ENCODER) -> Costs:
    return {subset: exact(sum(encoder + HEADS[task] for task in subset)) for subset in every_subset(NAMES)}


def test_additive_costs_by_number_of_tasks() -> None:
    sizes = by_size(shared())
    assert sizes[1] == (11e9, 13e9, 16e9, 3)
    assert sizes[2] == (13e9, 16e9, 18e9, 3)
    assert sizes[3] == (19e9, 19e9, 19e9, 1)


def test_one_more_task_costs_its_head_where_the_encoder_is_shared() -> None:
    found = marginal(shared(), NAMES)
    assert found.first == pytest.approx(13e9)
    assert found.further == pytest.approx(3e9)
    assert found.share == pytest.approx(3 / 13)
    assert found.last == pytest.approx(HEADS)
    assert marginal(alone(), NAMES).share == pytest.approx(1.0)


@given(st.lists(st.floats(1, 1e6), min_size=15, max_size=15))
def test_one_more_task_is_the_mean_over_all_orders(values: list[float]) -> None:
    tasks = ("a", "b", "c", "d")
    costs = {subset: exact(value) for subset, value in zip(every_subset(tasks), values, strict=True)}
    steps = [
        costs[frozenset(order[: place + 1])].value - costs[frozenset(order[:place])].value
        for order in permutations(tasks)
        for place in range(1, len(order))
    ]
    assert marginal(costs, tasks).further == pytest.approx(np.mean(steps), abs=1e-6 * max(values))


def test_missing_subsets_leave_what_needs_them_unknown() -> None:
    costs = {subset: cost for subset, cost in shared().items() if subset != {"a", "b"}}
    found = marginal(costs, NAMES)
    assert found.further == pytest.approx(3e9)
    assert isnan(found.last["c"])
    assert found.last["a"] == pytest.approx(1e9)
    assert isnan(marginal({frozenset("a"): exact(1.0)}, ("a",)).further)


@pytest.mark.parametrize(
    ("own", "each", "size"),
    [(10e9, 10e9, 2), (25e9, 10e9, 3), (31e9, 10e9, None), (9e9, 10e9, 1)],
)
def test_break_even_of_additive_costs(own: float, each: float, size: int | None) -> None:
    """Heads cancel: E < k E_i, so the smallest k is the first above E / E_i."""
    found = break_even(cheaper(shared(own), alone(each), settled=True))
    assert found == BreakEven(size, (), (1, 2, 3))


def test_equal_counts_are_not_cheaper() -> None:
    assert not any(cheaper(shared(), shared(), settled=False).values())
    nearly = {subset: exact(cost.value * (1 - 1e-13)) for subset, cost in shared().items()}
    assert not any(cheaper(nearly, shared(), settled=False).values())


@given(st.lists(st.booleans(), min_size=15, max_size=15), st.sets(st.integers(0, 14), max_size=8))
def test_break_even_agrees_with_its_definition(verdicts: list[bool], missing: set[int]) -> None:
    subsets = every_subset(("a", "b", "c", "d"))
    known = {s: v for i, (s, v) in enumerate(zip(subsets, verdicts, strict=True)) if i not in missing}
    sizes = sorted({len(subset) for subset in known})
    good = [k for k in sizes if all(yes for subset, yes in known.items() if len(subset) >= k)]
    found = break_even(known)
    assert found.size == (good[0] if good else None)
    assert set(found.sooner) == {s for s, yes in known.items() if yes and (not good or len(s) < good[0])}
    assert found.sizes == tuple(sizes)


def test_only_disjoint_intervals_settle_what_is_cheaper() -> None:
    one, two, three = frozenset("a"), frozenset("b"), frozenset("c")
    own = {one: Estimate(9.0, 8.5, 9.5), two: Estimate(9.0, 8.5, 9.9), three: Estimate(9.0)}
    other = {one: Estimate(10.0, 9.6, 10.4), two: Estimate(10.0, 9.6, 10.4), three: Estimate(10.0, 9.6, 10.4)}
    assert cheaper(own, other, settled=False) == {one: True, two: True, three: True}
    assert cheaper(own, other, settled=True) == {one: True, two: False, three: False}


# --- the section -----------------------------------------------------------------------------------------------


def with_terms(table: pd.DataFrame, tasks: tuple[str, ...] = TASKS) -> pd.DataFrame:
    """Terms of delta-m that add up; semseg loses 4 points more than the mean, the others share its loss."""
    out = table.copy()
    for task in tasks:
        shift = -4.0 if task == "semseg" else 4.0 / max(len(tasks) - 1, 1)
        value = out["delta_m"] + (shift if len(tasks) > 1 else 0.0)
        kept = value.where((out["variant"] != "single_task") & (out["status"] == "ok"))
        out = out.assign(**spread(f"delta_m.{task}", kept, 0.8))  # type: ignore[arg-type]  # columns, not numbers
    return out


def subset_rows(table: pd.DataFrame, tasks: tuple[str, ...] = TASKS, *, timed: bool = True) -> pd.DataFrame:
    """Encoder 10, heads 1, 2, ... (GMACs); single-task networks have an encoder each; 3 ms per GMAC."""
    rows = []
    heads = {task: 1e9 * (place + 1) for place, task in enumerate(tasks)}
    for _, cell in table[table["status"] == "ok"].iterrows():
        for subset in every_subset(tasks):
            encoders = len(subset) if cell["variant"] == "single_task" else 1
            macs = 10e9 * encoders + sum(heads[task] for task in subset)
            row: dict[str, Any] = {
                "cell_id": cell["cell_id"],
                "machine_id": cell["machine_id"],
                "tasks": "+".join(task for task in tasks if task in subset),
                "n_tasks": len(subset),
                "macs_executed": macs,
                "macs_nominal": macs,
                "params_active": 1,
                "source": "measured" if timed else "counted",
            }
            latency = macs * 3e-9 if timed or len(subset) == len(tasks) else np.nan
            rows.append({**row, **spread("latency_ms", latency, 0.02 * latency)})
    return pd.DataFrame(rows)


def rich_view(folder: Path, seeds: int = 1, tasks: tuple[str, ...] = TASKS, **changes: Any) -> RunView:
    table = with_terms(full_table(tasks, seeds), tasks)
    return fake_view(folder, table, **{"subsets": subset_rows(table, tasks), **changes})


def built(view: RunView) -> Section:
    group = groups(view)[0]
    found = section(view, group, styles(variants(view)))
    assert found is not None
    return found


def block(found: Section, end: str) -> Drawing:
    (shown,) = [shown for shown in found.blocks if isinstance(shown, Drawing) and shown.slug.endswith(end)]
    return shown


def test_leads_are_findings_with_numbers(tmp_path: Path) -> None:
    said = " ".join(built(rich_view(tmp_path)).lead)
    assert "semseg (-" in said
    assert "pays for sharing" in said
    assert (
        "One more task costs static_mtl 3.00 GMACs per image (23 % of the first) and 9.00 ms per call" in said
    )
    assert "static_mtl is cheaper from 2 tasks on in executed MACs" in said


def test_dots_stand_at_the_metrics_and_the_line_at_single_task(tmp_path: Path) -> None:
    view = rich_view(tmp_path)
    axes = block(built(view), "task-quality").figure.axes
    assert [panel.get_title(loc="left") for panel in axes if panel.axison][::4] == [
        "semseg miou\nhigher is better",
        "normals mean_angle\nlower is better",
    ]
    done = view.table[view.table["status"] == "ok"]
    assert marks(axes[0]) == pytest.approx(sorted(done["metric.semseg.miou"]))
    single = done.loc[done["variant"] == "single_task", "metric.semseg.miou"].iloc[0]
    dashed = [line for line in axes[0].lines if line.is_dashed()]
    assert [line.get_xdata()[0] for line in dashed] == pytest.approx([single])  # type: ignore[index]  # an array


def marks(axes: Any) -> list[float]:
    """The places of single marks in data coordinates; those beside names are not among them."""
    return sorted(
        float(line.get_xdata()[0])
        for line in axes.lines
        if line.get_linestyle() == "None" and line.get_marker() in {"s", "o", "^", "D"} and line.get_clip_on()
    )


def test_pieces_add_up_to_delta_m(tmp_path: Path) -> None:
    view = rich_view(tmp_path)
    (axes,) = block(built(view), "task-delta-m").figure.axes
    own = view.table[(view.table["status"] == "ok") & (view.table["variant"] != "single_task")]
    sums = np.zeros(len(own))
    for piece in axes.patches:
        sums[round(piece.get_y() + piece.get_height() / 2)] += piece.get_width()  # type: ignore[attr-defined]
    assert sums == pytest.approx(own["delta_m"].to_numpy())
    assert marks(axes) == pytest.approx(sorted(own["delta_m"]))


def test_terms_that_do_not_add_up_are_not_drawn(tmp_path: Path) -> None:
    table = with_terms(full_table(seeds=1))
    table.loc[table["variant"] == "static_mtl", "delta_m.edge"] += 1.0
    table.loc[table["variant"] == "adamtl", "delta_m.edge"] = np.nan
    (axes,) = block(built(fake_view(tmp_path, table)), "task-delta-m").figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "computation_sharing, 1",
        "computation_sharing, 0.5",
    ]


def test_tables_hold_the_closed_form(tmp_path: Path) -> None:
    found = built(rich_view(tmp_path))
    more, time, even = [shown for shown in found.blocks if isinstance(shown, Table)]
    by_variant = {row.variant: [entry.text for entry in row.entries] for row in more.rows}
    assert by_variant["static_mtl"][2:] == ["13.0", "3.00", "23", "1.00", "2.00", "3.00", "4.00", "5.00"]
    assert by_variant["single_task"][2:5] == ["13.0", "13.0", "100"]
    assert "no interval" in time.absent[0]
    static = next(row for row in even.rows if row.variant == "static_mtl")
    assert [entry.text for entry in static.entries][2:] == ["2", "-", "38", "2", "-", "38"]
    assert not even.notes
    for table in (more, time, even):
        assert all(len(row.entries) == len(table.headers) for row in table.rows)


def test_unsettled_break_even_says_so(tmp_path: Path) -> None:
    table = with_terms(full_table(seeds=1))
    subsets = subset_rows(table).drop(columns=["latency_ms.ci_low", "latency_ms.ci_high"])
    found = built(fake_view(tmp_path, table, subsets=subsets))
    even = [shown for shown in found.blocks if isinstance(shown, Table)][-1]
    assert [entry.note for entry in even.rows[0].entries] == [0, 0, 0, 0, 0, 1, 0, 0]
    assert "overlap or are missing" in even.notes[0]
    assert any("not settled by the intervals" in said for said in found.lead)


def test_numbers_of_tasks_that_were_not_timed_are_named_in_the_sentence(tmp_path: Path) -> None:
    table = with_terms(full_table(seeds=1))
    subsets = subset_rows(table)
    subsets.loc[
        subsets["n_tasks"].isin([1, 2, 4]), ["latency_ms", "latency_ms.ci_low", "latency_ms.ci_high"]
    ] = np.nan
    (said,) = [
        said for said in built(fake_view(tmp_path, table, subsets=subsets)).lead if "static_mtl is" in said
    ]
    assert "cheaper from 2 tasks on in executed MACs (38 % of theirs for all 5)" in said
    latency = said.partition("executed MACs")[2]
    assert "cheaper from 3 tasks on in latency" in latency
    assert "sets of 1, 2 and 4 tasks were not timed" in latency


def test_untimed_subsets_leave_one_panel_and_say_what_was_compared(tmp_path: Path) -> None:
    table = with_terms(full_table(seeds=1))
    found = built(fake_view(tmp_path, table, subsets=subset_rows(table, timed=False)))
    picture = block(found, "task-subsets")
    assert [axes.get_title(loc="left") for axes in picture.figure.axes] == ["executed MACs, GMACs per image"]
    assert "`ask`" in picture.caption
    assert any(
        "sets of 5 tasks only" in said for t in found.blocks if isinstance(t, Table) for said in t.absent
    )


def test_mixed_sources_are_stated(tmp_path: Path) -> None:
    table = with_terms(full_table(seeds=1))
    subsets = subset_rows(table)
    subsets.loc[subsets["n_tasks"] < 5, "source"] = "counted"
    found = built(fake_view(tmp_path, table, subsets=subsets))
    first = next(shown for shown in found.blocks if isinstance(shown, Table))
    assert any("counted on a few inputs" in said for said in first.absent)


def test_subsets_of_another_machine_are_not_taken(tmp_path: Path) -> None:
    table = with_terms(full_table(seeds=1))
    subsets = subset_rows(table)
    foreign = subsets.assign(machine_id="elsewhere", macs_executed=1.0, macs_nominal=1.0, latency_ms=1.0)
    both = fake_view(tmp_path, table, subsets=pd.concat([foreign, subsets]))
    assert built(both).lead == built(fake_view(tmp_path, table, subsets=subsets)).lead


def test_costs_are_means_over_seeds(tmp_path: Path) -> None:
    table = with_terms(full_table(seeds=2))
    subsets = subset_rows(table)
    second = subsets["cell_id"].str.endswith("-1")
    subsets.loc[second, "macs_executed"] *= 3
    picture = block(built(fake_view(tmp_path, table, subsets=subsets)), "task-subsets")
    assert "static_mtl, mean executed MACs in GMACs by number of tasks: 1: 26.0" in picture.alt


def test_what_is_missing_is_absent_with_a_reason(tmp_path: Path) -> None:
    view = fake_view(tmp_path, random_weights(full_table(seeds=1)))
    absent = [shown for shown in built(view).blocks if isinstance(shown, Absent)]
    assert [shown.title for shown in absent] == [
        "Quality of each task",
        "Delta-m by task",
        "Cost of each subset of tasks",
    ]
    assert "the weights are random" in absent[1].reason
    assert all(shown.reason.endswith(".") for shown in absent)


def test_without_single_task_networks_there_is_no_break_even(tmp_path: Path) -> None:
    view = rich_view(tmp_path)
    kept = replace(view, table=view.table[view.table["variant"] != "single_task"])
    last = built(kept).blocks[-1]
    assert isinstance(last, Absent)
    assert "lacks single-task networks" in last.reason
    assert not any("Against single-task" in said for said in built(kept).lead)


def test_nothing_finished_means_no_section(tmp_path: Path) -> None:
    view = fake_view(tmp_path, full_table(seeds=1).assign(status="failed"))
    (group,) = groups(view)
    assert section(view, group, styles(variants(view))) is None


def many_ways(tmp_path: Path) -> RunView:
    table = with_copies(with_terms(full_table(seeds=1)), 199)
    return fake_view(tmp_path, table, subsets=subset_rows(table))


def odd_names(tmp_path: Path) -> RunView:
    view = rich_view(tmp_path, seeds=2)
    return replace(view, table=hostile(view.table).replace({"variant": {"static_mtl": "z" * 300}}))


def one_way(tmp_path: Path) -> RunView:
    return static_alone(rich_view(tmp_path, tasks=("semseg",)))


def bare(tmp_path: Path) -> RunView:
    return fake_view(tmp_path, full_table(seeds=1)[["variant", "cell_id"]], subsets=pd.DataFrame())


def holes(tmp_path: Path) -> RunView:
    view = rich_view(tmp_path)
    assert view.subsets is not None
    names = [str(name) for name in view.table if str(name).startswith(("metric.", "delta_m"))]
    table = view.table.assign(**dict.fromkeys(names, np.nan))
    subsets = view.subsets.assign(macs_executed=np.nan, latency_ms=np.nan)
    return replace(view, table=table, subsets=subsets)


@pytest.mark.parametrize("view", [rich_view, many_ways, odd_names, one_way, bare, holes])
def test_every_run_gives_figures_that_fit(tmp_path: Path, view: Any) -> None:
    found = built(view(tmp_path))
    assert found.lead
    check_figures(found, highest_px=1200)


def test_many_ways_are_thinned_in_figures_and_whole_in_tables(tmp_path: Path) -> None:
    found = built(many_ways(tmp_path))
    assert "12 of 200 ways are drawn" in block(found, "task-quality").caption
    assert [len(shown.rows) for shown in found.blocks if isinstance(shown, Table)] == [200, 200, 199]


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    said = " ".join(built(odd_names(tmp_path)).lead)
    assert HOSTILE in said
    assert "z" * 80 not in said
