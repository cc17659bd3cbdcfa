"""The profiling launch, and open loops: what they leave in the table."""

from __future__ import annotations

import pytest
from tiny import WHOLE, write_suite

import mtlbench


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profile")
    text = WHOLE.replace("training: {epochs: 1, batch: 8}", "training: random")
    settings = ["launches=1", "frame_rate_hz=50", "poisson_rate_hz=20", "arrival_seconds=1"]
    overrides = [f"measure.{setting}" for setting in settings]
    result = mtlbench.run(write_suite(folder, text), out=folder / "run", overrides=overrides)
    assert result.exit_code == 0
    return result.table.set_index("variant")


def test_time_by_part_adds_up_and_has_its_distortion(table):
    for _, row in table.iterrows():
        parts = {name: row[name] for name in table.columns if name.startswith("time_part.")}
        assert {"time_part.head.semseg", "time_part.head.depth", "time_part.encoder.block.0"} <= set(parts)
        assert all(ms > 0 for name, ms in parts.items() if ".block." in name)
        assert row["time_distortion"] > -0.5
        # Watched calls take about as long as timed ones: the sum is in the same unit, per call.
        assert 0.2 < sum(parts.values()) / row["latency_ms"] < 20


def test_the_parts_of_macs_are_those_of_time(table):
    row = table.loc["static_mtl"]
    macs = {name.removeprefix("macs_part.") for name in table.columns if name.startswith("macs_part.")}
    time = {name.removeprefix("time_part.") for name in table.columns if name.startswith("time_part.")}
    assert macs <= time
    parts = [name for name in table.columns if name.startswith("macs_part.")]
    assert row[parts].sum() == pytest.approx(row["macs_executed"])


def test_memory_is_told_apart(table):
    for _, row in table.iterrows():
        assert row["memory_peak_mib"] > row["memory_base_mib"] > 50
        assert 0 < row["memory_tensors_mib"] < row["memory_peak_mib"]
    # One network after the other, so two networks need no more activations at once than one; but more weights.
    assert table.loc["single_task", "weights_mib"] > table.loc["static_mtl", "weights_mib"]


def test_open_loops_are_reported(table):
    for _, row in table.iterrows():
        assert 0 <= row["frames_missed"] <= 1
        assert 0 < row["frames_busy"] <= 1
        assert row["frames_response_ms_p50"] > 0
        assert row["poisson_response_ms_p50"] > 0
