"""The cost of task subsets: counted for every cell, measured where the suite asks for it."""

from __future__ import annotations

from itertools import combinations

import pytest
from tiny import SUITE, write_suite

import mtlbench
from mtlbench.execute.jobs.subsets import subsets_of
from mtlbench.results.subsets import COLUMNS, subset_table


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asked")
    text = SUITE.replace("variants:", "ask: [all, each]\nvariants:").replace("launches: 2", "launches: 1")
    return mtlbench.run(write_suite(folder, text), out=folder / "run")


def by_tasks(run, variant, column):
    whole = run.table[(run.table["variant"] == variant) & (run.table["tasks"] == "semseg+depth")]
    subsets = subset_table(run.folder)
    own = subsets[subsets["cell_id"] == whole["cell_id"].item()]
    return dict(zip(own["tasks"], own[column], strict=True))


def test_all_subsets_are_there_with_what_they_cost(run):
    assert run.exit_code == 0
    for variant in ("static_mtl", "single_task"):
        macs = by_tasks(run, variant, "macs_executed")
        assert set(macs) == {"semseg", "depth", "semseg+depth"}
    static, single = (by_tasks(run, name, "macs_executed") for name in ("static_mtl", "single_task"))
    # Closed form: heads add up over one encoder, or over one encoder each; one network alone is the same either way.
    encoder = static["semseg"] + static["depth"] - static["semseg+depth"]
    assert single["semseg+depth"] == single["semseg"] + single["depth"]
    assert single["semseg+depth"] - static["semseg+depth"] == encoder > 0
    assert static["semseg"] == single["semseg"]


def test_an_asked_subset_is_measured_with_the_weights_of_the_whole(run):
    static = run.table[run.table["variant"] == "static_mtl"].set_index("tasks")
    assert set(static.index) == {"semseg", "depth", "semseg+depth"}
    assert static["weights_hash"].nunique() == 1
    assert (static["trained_tasks"] == "semseg+depth").all()
    for task in ("semseg", "depth"):
        columns = [
            name for name in static.columns if name.startswith(f"metric.{task}.") and ".ci_" not in name
        ]
        assert columns
        assert static.loc[task, columns].equals(static.loc["semseg+depth", columns].rename(task))
    assert static.loc["depth", [n for n in static.columns if n.startswith("metric.semseg")]].isna().all()
    subsets = subset_table(run.folder)
    assert tuple(subsets.columns) == COLUMNS
    assert set(subsets["source"]) == {"measured"}
    assert subsets["latency_ms"].notna().all()
    measured = by_tasks(run, "static_mtl", "macs_executed")
    assert measured == static["macs_executed"].to_dict()


def test_a_single_task_network_alone_is_a_row_of_its_own(run):
    alone = run.table[(run.table["variant"] == "single_task") & (run.table["tasks"] == "depth")]
    assert alone["trained_tasks"].item() == "depth"
    static = run.table[(run.table["variant"] == "static_mtl") & (run.table["tasks"] == "depth")]
    assert static["macs_vs_single_task"].item() == pytest.approx(1.0)
    assert alone["macs_vs_static_mtl"].item() == pytest.approx(1.0)


def test_many_tasks_are_not_enumerated():
    assert len(list(subsets_of(tuple("abcde")))) == 31
    names = tuple("abcdefgh")
    assert list(subsets_of(names)) == [*((n,) for n in names), *combinations(names, 7), names]
