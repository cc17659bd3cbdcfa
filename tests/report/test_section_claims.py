from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_run import PRIMARY, fake_view, full_table, hostile
from fake_ways import METRICS, USUAL, Maker, sweep
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text

from mtlbench.report.canvas import Absent, Drawing, drawing
from mtlbench.report.colours import styles
from mtlbench.report.frame import Estimate, RunView, variants
from mtlbench.report.groups import Group, groups
from mtlbench.report.section import Section
from mtlbench.report.sections._claims_words import findings, share_words
from mtlbench.report.sections._thin import evenly
from mtlbench.report.sections._ways import Way, against_single_task, own_ways
from mtlbench.report.sections.claims import section
from mtlbench.report.tables import Table


def view_of(table: pd.DataFrame) -> RunView:
    return RunView(Path("run"), {"primary": {**PRIMARY, **METRICS}}, table)


def group_of(table: pd.DataFrame) -> Group:
    (group,) = groups(view_of(table))
    return group


def made(table: pd.DataFrame) -> Section:
    view = view_of(table)
    (group,) = groups(view)
    found = section(view, group, styles(variants(view)))
    assert found is not None
    return found


def of_kind(found: Section, kind: type[Any]) -> list[Any]:
    return [block for block in found.blocks if isinstance(block, kind)]


def pair(**changes: Any) -> pd.DataFrame:
    """A dense network and a way that leaves half of it out, twice as fast."""
    dense = {
        "cell_id": "dense",
        "reference_cell_id": "dense",
        "variant": "static_mtl",
        "macs_reference": 100.0,
        "macs_nominal": 100.0,
        "latency_ms": 10.0,
        "latency_ms.ci_low": 9.0,
        "latency_ms.ci_high": 11.0,
    }
    own = {
        "cell_id": "own",
        "reference_cell_id": "dense",
        "variant": "adamtl",
        "macs_reference": 100.0,
        "macs_nominal": 50.0,
        "latency_ms": 5.0,
        "latency_ms.ci_low": 4.0,
        "latency_ms.ci_high": 6.0,
    }
    return pd.DataFrame([dense, {**own, **changes}])


def test_without_pairs_time_is_the_ratio_with_the_widest_interval() -> None:
    (way,) = own_ways(group_of(pair()))
    assert way.share("latency") == pytest.approx((0.5, 4 / 11, 6 / 9))
    assert way.share("nominal").value == 0.5
    assert not way.share("energy").known
    assert not way.realised.known


def test_paired_time_follows_from_realisation() -> None:
    table = pair(**{"realisation": 0.4, "realisation.ci_low": 0.2, "realisation.ci_high": 0.6})
    (way,) = own_ways(group_of(table))
    assert way.share("latency") == pytest.approx((0.8, 0.7, 0.9))
    assert way.realised == (0.4, 0.2, 0.6)


def test_the_ratio_to_a_baseline_is_taken_only_where_it_can_be_no_other_cell() -> None:
    beside = {
        "latency_vs_static_mtl": 0.6,
        "latency_vs_static_mtl.ci_low": 0.5,
        "latency_vs_static_mtl.ci_high": 0.7,
    }
    table = pair(**beside)
    assert own_ways(group_of(table))[0].share("latency") == (0.6, 0.5, 0.7)
    twin = table.iloc[:1].assign(cell_id="twin", reference_cell_id="twin", latency_ms=1.0)
    assert own_ways(group_of(pd.concat([table, twin])))[0].share("latency").value == 0.5


def test_energy_is_a_share_of_the_reference_too() -> None:
    table = pair(energy_mj=30.0, **{"energy_mj.ci_low": 20.0, "energy_mj.ci_high": 40.0})
    table.loc[0, ["energy_mj", "energy_mj.ci_low", "energy_mj.ci_high"]] = [100.0, 80.0, 125.0]
    (way,) = own_ways(group_of(table))
    assert way.share("energy") == pytest.approx((0.3, 20 / 125, 40 / 80))


@pytest.mark.parametrize("broken", [0.0, np.nan, -3.0])
def test_a_reference_without_macs_or_time_leaves_shares_unknown(broken: float) -> None:
    table = pair()
    table["macs_reference"] = broken
    table.loc[0, "latency_ms"] = broken
    (way,) = own_ways(group_of(table))
    assert not any(share.known for share in way.shares.values())
    absent = of_kind(made(table), Absent)
    assert [block.title for block in absent] == ["Promised and measured"]


def test_seeds_are_averaged_and_their_limits_outermost() -> None:
    table = Maker().table(USUAL[1:2], seeds=3)
    cells = table[table["variant"] == "adamtl"]
    (way,) = own_ways(group_of(table))
    saving = 1 - 0.73
    assert way.seeds == pytest.approx(1 - saving * cells["realisation"])
    assert way.share("latency").value == pytest.approx(np.mean(way.seeds))
    assert way.share("latency").low == pytest.approx((1 - saving * cells["realisation.ci_high"]).min())


def test_only_baselines_are_held_against_the_single_task_networks() -> None:
    table = Maker().table([])
    group = group_of(table)
    assert own_ways(group) == []
    (way,) = against_single_task(group)
    row = table[table["variant"] == "static_mtl"].iloc[0]
    assert way.share("executed").value == pytest.approx(row["macs_executed"] / 4.8e9)
    assert way.share("latency").value == row["latency_vs_single_task"]
    expected = (1 - row["latency_vs_single_task"]) / (1 - row["macs_executed"] / 4.8e9)
    assert way.realised.value == pytest.approx(expected)
    found = made(table)
    assert "so the one claim to test is that sharing pays" in found.lead[0]
    assert "static_mtl shares one encoder" in found.lead[1]
    (figure,) = of_kind(found, Drawing)
    assert figure.figure.axes[0].get_xlabel() == "per cent of the single-task networks"


def test_single_task_networks_alone_claim_nothing() -> None:
    view = view_of(Maker().table([]).iloc[:1])
    (group,) = groups(view)
    assert section(view, group, styles(variants(view))) is None


def test_a_variant_that_never_finished_is_not_passed_over() -> None:
    table = Maker().table(USUAL[:1])
    table.loc[table["variant"] == "adamtl", ["status", "reason"]] = ["failed", "out of memory"]
    (absent,) = of_kind(made(table), Absent)
    assert absent.reason.startswith("No cell of adamtl finished")


def test_best_and_worst_lead() -> None:
    lead = made(Maker().table(USUAL)).lead
    assert lead[0] == "Of the saving promised in MACs, between 7 % and 108 % arrived as time, over 6 ways."
    assert lead[1].startswith("Most: token_drop promised 58 % less compute, executed 55 % less and took 6")
    assert "more than the promise arrived" in lead[1]
    assert lead[2].startswith("Least: adamtl at keep_ratio 0.")
    assert any(said.startswith("masked_sharing executes everything") for said in lead)
    assert any("By its authors' formula" in said for said in lead)
    assert any(said.startswith("As energy, ") for said in lead)


@pytest.mark.parametrize(
    ("realised", "words"),
    [
        (Estimate(0.02, 0.0, 0.05), "is not told apart from nothing"),
        (Estimate(0.3, 0.2, 0.4), "took 15 % less time: 30 % [20, 40] of the promise arrived"),
        (Estimate(-0.5, -0.6, -0.4), "it lost time instead, -50 % [-60, -40] of the promise"),
        (Estimate(1.2, 1.1, 1.3), "more than the promise arrived, 120 % [110, 130] of it"),
        (Estimate(0.3), "These shares have no intervals"),
    ],
)
def test_words_claim_no_more_than_the_interval(realised: Estimate, words: str) -> None:
    shares = {"nominal": Estimate(0.5), "latency": Estimate(1 - 0.5 * realised.value)}
    way = Way("a", "a", "a", "", shares, shares["nominal"], (), realised, Estimate(np.nan), np.nan, "")
    assert words in " ".join(findings([way]))


def test_without_realisation_the_reasons_are_said() -> None:
    lead = made(
        pair(realisation_reason="It ran masked, which saves nothing by design.", macs_executed=100.0)
    ).lead
    assert lead[0] == (
        "Whether any promise arrived as time is not known: It ran masked, which saves nothing by design (adamtl)."
    )
    assert lead[1].startswith("adamtl executes everything")


def test_the_table_says_what_the_chart_draws() -> None:
    found = made(Maker(energy=False).table(USUAL))
    (table,), (figure,) = of_kind(found, Table), of_kind(found, Drawing)
    assert [header.title for header in table.headers[:6]] == [
        *("variant", "point", "claimed", "nominal", "executed", "time"),
    ]
    nominal = [float(row.entries[3].text) for row in table.rows]
    rings = [line for line in figure.figure.axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(sorted(rings[0].get_xdata()), sorted(nominal), atol=0.05)
    noted = {row.variant: table.notes[row.entries[-2].note - 1] for row in table.rows if row.entries[-2].note}
    assert noted["masked_sharing"] == "It ran masked, which saves nothing by design."
    assert "There is no energy: pyrapl: this machine shows no RAPL counters." in table.absent
    assert "Energy is missing: pyrapl" in figure.caption


def test_the_gap_is_shaded_from_promise_to_time() -> None:
    (figure,) = of_kind(made(pair(macs_nominal=20.0)), Drawing)
    (gap,) = figure.figure.axes[0].collections
    box = gap.get_paths()[0].get_extents()
    assert (box.x0, box.x1) == pytest.approx((20, 50))
    (kept,) = of_kind(made(pair(latency_ms=1.0)), Drawing)
    assert not kept.figure.axes[0].collections


def test_axes_start_at_zero_and_far_outliers_make_them_logarithmic() -> None:
    (near,) = of_kind(made(pair()), Drawing)
    assert near.figure.axes[0].get_xlim()[0] == 0
    (far,) = of_kind(made(pair(latency_ms=200.0)), Drawing)
    assert far.figure.axes[0].get_xscale() == "log"


def renamed() -> pd.DataFrame:
    names = {"adamtl": "x" * 200, "computation_sharing": "$x^2$ _y", "token_drop": "名前\n\x07"}
    usual = Maker().table(USUAL, seeds=2)
    return usual.assign(variant=usual["variant"].replace(names))


TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "usual": lambda: Maker().table(USUAL, seeds=2),
    "bare": lambda: Maker(energy=False, intervals=False).table(USUAL),
    "one": lambda: Maker().table([("x", None, 0.5, -3.0)]),
    "many": lambda: Maker().table(sweep(8, 25)),
    "many variants": lambda: Maker().table(sweep(60, 2)),
    "names": renamed,
    "hostile": lambda: hostile(full_table()),
    "fake": full_table,
}


@pytest.mark.parametrize("name", TABLES)
def test_figures_are_legible_whatever_the_run(name: str, tmp_path: Path) -> None:
    (picture,) = of_kind(made(TABLES[name]()), Drawing)
    figure = picture.figure
    with drawing():
        figure.savefig(tmp_path / "x.png", dpi=50)
        tight = figure.get_tightbbox()
        marks = [tick for tick in figure.axes[0].get_yticklabels() if tick.get_text()]
        heights = sorted(tick.get_window_extent().y0 for tick in marks)
    width, height = figure.get_size_inches()
    assert width <= 6.8
    assert height <= 20
    assert min(tight.x0, tight.y0) >= -0.02
    assert tight.x1 <= width + 0.02
    assert tight.y1 <= height + 0.02
    assert all(upper - lower > 0.15 * figure.dpi for lower, upper in pairwise(heights))
    assert picture.alt.endswith(".")
    assert len(picture.alt) < 4000


def test_numbers_stand_apart_from_the_axis_labels() -> None:
    (picture,) = of_kind(made(pair(macs_nominal=1.0)), Drawing)
    axes = picture.figure.axes[0]
    with drawing():
        picture.figure.draw_without_rendering()
        left = axes.get_window_extent().x0
        shown = [child for child in axes.texts if isinstance(child, Text) and child.get_text() == "1.0"]
        assert shown
        assert all(text.get_window_extent().x0 >= left for text in shown)


@given(st.lists(st.integers(0, 6), max_size=60), st.integers(1, 30))
def test_thinning_keeps_order_and_the_ends_of_each_kind(kinds: Sequence[int], most: int) -> None:
    items = list(range(len(kinds)))
    kept = evenly(items, kinds, most)
    assert kept == sorted(set(kept))
    assert len(kept) <= most
    assert len(kept) == len(items) or len(kept) >= min(most, len(items)) - len(set(kinds))
    if len(set(kinds)) * 2 <= most:
        for kind in set(kinds):
            own = [item for item in items if kinds[item] == kind]
            assert {own[0], own[-1]} <= set(kept)


def test_shares_are_written_as_per_cent() -> None:
    assert share_words(Estimate(0.021, 0.001, 0.05)) == "2 % [0, 5]"
    assert share_words(Estimate(0.5)) == "50.0 %"


def test_reading_does_not_change_the_run(tmp_path: Path) -> None:
    view = fake_view(tmp_path)
    before = view.table.copy()
    made(view.table)
    pd.testing.assert_frame_equal(view.table, before)
