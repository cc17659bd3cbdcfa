from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_run import PRIMARY, fake_view, full_table

from mtlbench.report.frame import numeric, text
from mtlbench.report.groups import groups


def test_cells_of_other_hardware_data_tasks_or_machines_share_no_group(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    changes = ({"hardware": "cpu-8t-b1"}, {"dataset": "nyud"}, {"tasks": "semseg"}, {"machine_id": "other"})
    every = pd.concat([table, *(table.assign(**change) for change in changes)])
    found = groups(fake_view(tmp_path, every))
    assert [len(group.cells) for group in found] == [len(table)] * 5
    assert len({group.label for group in found}) == 5
    assert len({group.slug for group in found}) == 5
    assert [metric.task for metric in found[0].metrics] == list(PRIMARY)
    assert [metric.task for metric in found[3].metrics] == ["semseg"]


def test_cells_and_points_are_few_blocks_so_that_a_thousand_groups_split_fast(tmp_path: Path) -> None:
    (group,) = groups(fake_view(tmp_path, full_table(seeds=1)))
    for frame in (group.cells, group.points):
        # A string column is a block of its own, and each costs time in every group.
        assert not any(isinstance(kind, pd.StringDtype) for kind in frame.dtypes)


def test_points_are_means_over_seeds_with_the_outermost_limits(tmp_path: Path) -> None:
    table = full_table(seeds=2)
    (group,) = groups(fake_view(tmp_path, table))
    rows = table[(table["variant"] == "adamtl") & (table["axis.keep_ratio"] == 0.5)]
    point = group.points[group.points["label"] == "adamtl at keep_ratio 0.5"].iloc[0]
    assert point["latency_ms"] == pytest.approx(sum(rows["latency_ms"]) / 2)
    assert point["latency_ms.ci_low"] == min(rows["latency_ms.ci_low"])
    assert point["latency_ms.ci_high"] == max(rows["latency_ms.ci_high"])
    assert group.many_seeds
    assert not group.pooled
    assert not text(group.points, "label").str.contains("0.25").any()


def test_one_seed_without_an_interval_takes_it_from_the_mean(tmp_path: Path) -> None:
    table = full_table(seeds=2)
    table.loc[table["cell_id"] == "static_mtl-None-1", "latency_ms.ci_low"] = np.nan
    (group,) = groups(fake_view(tmp_path, table))
    point = group.points[group.points["variant"] == "static_mtl"].iloc[0]
    assert np.isnan(point["latency_ms.ci_low"])


def test_intervals_over_seeds_replace_folded_ones_and_only_those(tmp_path: Path) -> None:
    table = full_table(seeds=2)
    keys = ["variant", "axis.keep_ratio", "tasks", "dataset", "encoder", "hardware", "machine_id"]
    seeds = (
        table[table["status"] == "ok"]
        .groupby(keys, dropna=False)[["delta_m", "latency_ms"]]
        .mean()
        .reset_index()
    )
    seeds = seeds.assign(**{"delta_m.ci_low": -9.0, "delta_m.ci_high": 9.0, "latency_ms.sd_seeds": 1.0})
    plain = groups(fake_view(tmp_path, table))[0]
    (group,) = groups(fake_view(tmp_path, table, seeds=seeds))
    assert group.pooled
    assert set(group.points["delta_m.ci_high"]) == {9.0}
    assert list(group.points["latency_ms.ci_high"]) == list(plain.points["latency_ms.ci_high"])


def test_a_seed_table_without_keys_is_not_used(tmp_path: Path) -> None:
    (group,) = groups(fake_view(tmp_path, seeds=pd.DataFrame(columns=["variant", "n_seeds"])))
    assert not group.pooled


def test_cells_that_differ_in_hidden_options_never_pass_for_seeds(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    twin = table[table["variant"] == "static_mtl"].assign(cell_id="twin", latency_ms=1.0)
    (group,) = groups(fake_view(tmp_path, pd.concat([table, twin])))
    static = group.points[group.points["variant"] == "static_mtl"]
    assert list(static["label"]) == ["static_mtl", "static_mtl #2"]
    assert not group.many_seeds


def test_shares_are_of_the_cells_own_reference(tmp_path: Path) -> None:
    table = full_table(seeds=2)
    slower = table.assign(machine_id="slower", latency_ms=table["latency_ms"] * 3)
    group = groups(fake_view(tmp_path, pd.concat([slower, table])))[1]
    by_id = table.set_index("cell_id")
    for _, row in group.cells[group.cells["status"] == "ok"].iterrows():
        reference = by_id.loc[row["reference_cell_id"]]
        assert row["share.latency"] == pytest.approx(row["latency_ms"] / reference["latency_ms"])
        assert row["share.nominal"] == pytest.approx(row["macs_nominal"] / row["macs_reference"])


def test_a_claim_is_put_beside_what_the_same_formula_says_of_full_compute(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    table["macs_claimed"] = 0.3 * table["macs_reference"]
    table["macs_claimed_reference"] = (0.6 * table["macs_reference"]).where(table["variant"] == "adamtl")
    (group,) = groups(fake_view(tmp_path, table))
    done = group.cells[group.cells["status"] == "ok"]
    ours = done["variant"] == "adamtl"
    assert done.loc[ours, "share.claimed"].to_numpy() == pytest.approx(0.5)
    assert done.loc[~ours, "share.claimed"].to_numpy() == pytest.approx(0.3), "else it covers the network"


def test_the_baseline_has_an_exact_delta_m(tmp_path: Path) -> None:
    (group,) = groups(fake_view(tmp_path))
    single = group.points[group.points["variant"] == "single_task"].iloc[0]
    assert (single["delta_m"], single["delta_m.ci_low"], single["delta_m.ci_high"]) == (0, 0, 0)


def test_several_axes_are_named_and_one_is_not(tmp_path: Path) -> None:
    table = full_table(seeds=1)
    assert groups(fake_view(tmp_path, table))[0].axis == "keep_ratio"
    table["axis.width"] = np.where(table["variant"] == "adamtl", table["axis.keep_ratio"] * 2, np.nan)
    (group,) = groups(fake_view(tmp_path, table))
    assert group.axis == ""
    assert "adamtl at keep_ratio 0.5, width 1" in set(group.points["label"])


def test_missing_columns_are_unknown_not_an_error() -> None:
    frame = pd.DataFrame({"a": ["1", "x", None], "b": [np.inf, 1.0, np.nan]})
    assert numeric(frame, "none").isna().all()
    assert list(numeric(frame, "a").notna()) == [True, False, False]
    assert list(numeric(frame, "b").notna()) == [False, True, False]
    assert list(text(frame, "none")) == [""] * 3
    assert list(text(frame, "b")) == ["inf", "1", ""]
