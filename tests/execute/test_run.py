"""A whole run: what is in the table, in the journal, in the samples; and what a second run does again."""

from __future__ import annotations

import json
import re
import shutil
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from tiny import SUITE, Recorder, write_suite

from mtlbench import load_results, run, seed_table
from mtlbench.errors import UsageError
from mtlbench.results.folder import RunFolder

# Columns of DESIGN section 3 that this first version fills for trained static variants on an unmetered CPU.
EXPECTED = [
    "run_id",
    "machine_id",
    "suite",
    "cell_id",
    "reference_cell_id",
    "artifact_ids",
    "weights_from",
    "variant",
    "budget",
    "tasks",
    "dataset",
    "hardware",
    "seed",
    "n_launches",
    "metric.semseg.miou",
    "metric.depth.rmse_m",
    "delta_m",
    "delta_m.ci_low",
    "delta_m.ci_high",
    "n_seeds",
    "params",
    "params_active",
    "macs_reference",
    "macs_nominal",
    "macs_nominal_p50",
    "macs_nominal_p95",
    "macs_executed",
    "macs_claimed",
    "macs_claimed_reference",
    "macs_policy",
    "flops_executed",
    "macs_fvcore",
    "macs_ptflops",
    "uncounted_ops",
    "macs_source",
    "latency_ms",
    "latency_ms.ci_low",
    "latency_ms.ci_high",
    "latency_ms_p50",
    "latency_ms_p90",
    "latency_ms_p99",
    "latency_input_ms_p50",
    "latency_input_ms_p95",
    "throughput_ips",
    "load_ms",
    "first_call_ms",
    "compile_ms",
    "memory_peak_mib",
    "weights_mib",
    "cache_mib",
    "energy_mj",
    "energy_source",
    "energy_quality",
    "energy_reason",
    "energy_modelled_mj",
    "realisation",
    "realisation_ceiling",
    "realisation_energy",
    "status",
    "reason",
    "warnings",
    "environment.torch",
]


def test_every_column_is_there_and_filled_where_it_applies(finished):
    table = finished.result.table
    assert finished.result.exit_code == 0
    assert [name for name in EXPECTED if name not in table.columns] == []
    assert set(table["status"]) == {"ok"}
    assert set(table["role"]) == {"requested", "baseline"}
    static = table.set_index("variant").loc["static_mtl"]
    assert np.isfinite(static[["delta_m", "delta_m.ci_low", "delta_m.ci_high"]].astype(float)).all()
    assert static["delta_m.ci_low"] <= static["delta_m"] <= static["delta_m.ci_high"]
    assert static["macs_executed"] == static["macs_nominal"] == static["macs_reference"]
    assert static["flops_executed"] == 2 * static["macs_executed"]
    assert static["macs_vs_single_task"] < 1
    assert static["latency_ms"] > 0
    assert pd.isna(static["realisation"])
    assert static["realisation_reason"] == "It is its own reference."


def test_every_column_is_documented(finished):
    page = (Path(__file__).parents[2] / "docs/columns.md").read_text()
    first_cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    patterns = [pattern for cell in first_cells for pattern in re.findall(r"`([^`]+)`", cell)]
    values = {re.sub(r"\.ci_(low|high)$|_p(50|95)$", "", name) for name in finished.result.table.columns}
    unknown = [name for name in values if not any(fnmatchcase(name, pattern) for pattern in patterns)]
    assert not [name for name in unknown if not name.startswith("latency_")], unknown
    assert set(patterns) <= {*values, *finished.result.table.columns} | {p for p in patterns if "*" in p}


def test_unmetered_energy_is_empty_with_a_reason(finished):
    for _, row in finished.result.table.iterrows():
        if row["energy_quality"] == "unavailable":
            assert pd.isna(row["energy_mj"])
            assert row["energy_reason"]
        else:
            assert row["energy_mj"] > 0


def test_the_csv_and_load_results_agree(finished):
    loaded = load_results(finished.result.folder)
    stored = pd.read_csv(finished.result.folder / "cells.csv")
    assert list(stored.columns) == list(loaded.columns)
    np.testing.assert_allclose(stored["latency_ms"], loaded["latency_ms"])
    seeds = seed_table(finished.result.folder)
    assert set(seeds["n_seeds"]) == {1}
    assert (seeds["warnings"] == "few_seeds").all()


def test_training_comes_first_and_timing_last(finished):
    kinds = [kind for kind, _ in finished.observer.jobs]
    assert kinds == sorted(kinds, key=["train", "evaluate", "profile", "time"].index)
    assert finished.observer.counts == {"train": 3, "evaluate": 2, "profile": 2, "time": 4}
    assert len(finished.observer.epochs) == 3


def test_samples_say_process_block_and_position_and_members_alternate(finished):
    folder = RunFolder(finished.result.folder)
    timings = [launch for launch in folder.launches() if launch["kind"] == "time"]
    tables = [
        pq.read_table(folder.samples / f"{launch['launch_id']}.latency.parquet").to_pandas()
        for launch in timings
    ]
    samples = pd.concat(tables)
    assert samples["pid"].nunique() == len(timings) == 4
    assert set(samples["pid"]) == {launch["pid"] for launch in timings}
    for _, block in samples.groupby("block"):
        assert block["cell_id"].nunique() == 2
        assert sorted(block.groupby("cell_id")["position"].first()) == [0, 1]
    issued = samples.groupby(["launch_id", "input"]).size()
    assert issued.nunique() == 1
    in_order = [launch["cell_id"] for launch in timings]
    assert set(in_order[:2]) == set(in_order[2:]) == set(in_order)


def test_the_worker_had_the_settings_that_the_record_shows(finished):
    for launch in RunFolder(finished.result.folder).launches():
        if launch["kind"] == "time":
            assert launch["process.threads"] == 1
            assert launch["process.flush_denormal"] is True


def test_a_second_run_does_nothing_again(finished):
    observer = Recorder()
    before = (finished.result.folder / "launches.jsonl").read_bytes()
    again = run(finished.suite, out=finished.result.folder, observer=observer)
    assert observer.jobs == []
    assert (finished.result.folder / "launches.jsonl").read_bytes() == before
    pd.testing.assert_frame_equal(again.table, finished.result.table)


def test_adding_a_cell_reruns_no_other(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished.result.folder, folder)
    before = RunFolder(folder).launches()
    observer = Recorder()
    changes = ["tasks=[[semseg,depth],[semseg]]", "measure.profile=false"]
    result = run(finished.suite, out=folder, overrides=changes, observer=observer)
    launches = RunFolder(folder).launches()
    assert launches[: len(before)] == before
    old = {launch["cell_id"] for launch in before}
    assert not old & {launch["cell_id"] for launch in launches[len(before) :]}
    assert len(result.table) == 4
    assert "train" not in {kind for kind, _ in observer.jobs}, (
        "a static network of one task is a single-task network"
    )
    alone = result.table[result.table["tasks"] == "semseg"].set_index("variant")
    assert alone.loc["static_mtl", "artifact_ids"] == alone.loc["single_task", "artifact_ids"]
    assert alone.loc["static_mtl", "metric.semseg.miou"] == alone.loc["single_task", "metric.semseg.miou"]


def test_more_launches_extend_the_blocks(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished.result.folder, folder)
    observer = Recorder()
    result = run(finished.suite, out=folder, overrides=["measure.launches=3"], observer=observer)
    assert [kind for kind, _ in observer.jobs] == ["time", "time"]
    assert set(result.table["n_launches"]) == {3}


def test_one_seed_gives_the_same_metrics_again(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("MTLBENCH_CACHE", str(tmp_path / "cache"))
    quick = ["measure.launches=1", "measure.profile=false"]
    again = run(finished.suite, out=tmp_path / "run", overrides=quick)
    columns = [name for name in again.table.columns if name.startswith(("metric.", "delta_m", "macs_"))]
    pd.testing.assert_frame_equal(again.table[columns], finished.result.table[columns])
    assert list(again.table["weights_hash"]) == list(finished.result.table["weights_hash"])


def test_untrained_weights_have_cost_and_time_and_say_why_there_is_no_quality(tmp_path):
    suite = write_suite(tmp_path, SUITE.replace("training: {epochs: 1, batch: 8}", "training: random"))
    result = run(suite, out=tmp_path / "run", overrides=["measure.launches=1"])
    assert result.exit_code == 0
    assert not [name for name in result.table.columns if name.startswith("metric.")]
    assert set(result.table["delta_m_reason"]) == {"The weights are untrained."}
    assert (result.table["latency_ms"] > 0).all()
    assert (result.table["macs_executed"] > 0).all()


def test_a_loss_that_is_not_finite_fails_its_cells_and_nothing_else(finished, tmp_path):
    broken = "training={epochs: 1, batch: 8, lr: 1.0e+30, clip: 1.0e+30, warmup_share: 0}"
    result = run(finished.suite, out=tmp_path / "run", overrides=[broken, "datasets.train=32"])
    assert result.exit_code == 4
    assert set(result.table["status"]) == {"failed"}
    reason = result.table["reason"].iloc[0]
    assert "step" in reason
    assert any(task in reason for task in ("semseg", "depth"))
    launches = RunFolder(tmp_path / "run").launches()
    assert {launch["status"] for launch in launches} == {"failed"}


def test_a_folder_of_another_suite_is_refused(finished, tmp_path):
    other = write_suite(tmp_path, SUITE.replace("suite: tiny", "suite: other"))
    with pytest.raises(UsageError, match="tiny"):
        run(other, out=finished.result.folder)


def test_only_leaves_the_rest_as_it_is(finished, tmp_path):
    folder = tmp_path / "run"
    quick = ["measure.launches=1", "measure.profile=false"]
    result = run(finished.suite, out=folder, only="single_task*", overrides=quick)
    statuses = result.table.set_index("variant")["status"].to_dict()
    assert statuses == {"single_task": "ok", "static_mtl": "skipped"}
    assert result.exit_code == 0
    with pytest.raises(UsageError, match="matches no cell"):
        run(finished.suite, out=folder, only="nothing")


def test_run_json_names_what_the_report_needs(finished):
    described = json.loads((finished.result.folder / "run.json").read_text())
    assert described["primary"]["depth"] == {"metric": "rmse_m", "direction": "lower"}
    assert (finished.result.folder / "suite.resolved.yaml").read_text().startswith("suite: tiny")
