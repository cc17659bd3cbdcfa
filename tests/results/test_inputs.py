"""One row per cell and image, from a run folder written by hand."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mtlbench.errors import UsageError
from mtlbench.results.inputs import COLUMNS, load_inputs

DEPTH = {"name": "depth", "options": {}}


def spec(batch=1, tasks=(DEPTH,)):
    return {"problem": {"tasks": list(tasks)}, "hardware": {"batch": batch}}


def launch(cell, kind, block=0, **more):
    known = {"evaluate": {"macs_full": 9, "macs_executed": 9, "macs_refused": False, "uncounted_ops": []}}
    return {
        **{
            "schema_version": 1,
            "run_id": "r",
            "machine_id": "m",
            "session": "s",
            "cell_id": cell,
            "kind": kind,
        },
        **{"launch_id": f"{cell}-{kind}-{block}", "block": block, "status": "ok", "reuse_key": kind},
        **{"started_unix_s": 0.0, "weights_hash": "w", "data_hash": "d"},
        **known.get(kind, {}),
        **more,
    }


def image(name, macs, squares, pixels, complexity=None):
    """A row of an evaluation: `squares` is the sum of squared depth errors over `pixels` valid pixels."""
    row = {"id": name, "macs_executed": 9.0, "macs_nominal": macs, "macs_policy": 0.0, "macs_claimed": None}
    known = {} if complexity is None else {"attribute.complexity": complexity}
    return {**row, **known, "statistics.depth": [squares, 0.0, 0.0, pixels]}


def write(folder, cells, launches, images):
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    run = {"schema_version": 1, "cells": cells, "measure": {"launches": 9}}
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "launches.jsonl").write_text("".join(json.dumps(one) + "\n" for one in launches))
    for cell, rows in images.items():
        pq.write_table(pa.Table.from_pylist(rows), folder / "samples" / f"{cell}-evaluate-0.images.parquet")
    return folder


def entries(**specs):
    return {cell: {"cell_id": cell, "unsupported": None, "spec": one} for cell, one in specs.items()}


def test_each_image_has_its_cost_its_floor_and_its_own_metric(tmp_path):
    rows = [image("x", 3.0, 4.0, 16.0, 0.5), image("y", 5.0, 90.0, 10.0, 0.7), image("z", 4.0, 0.0, 0.0, 0.1)]
    launches = [
        launch("a", "evaluate"),
        *(
            launch("a", "time", block, latency_ms=1.0, floors_ms=[t, 2 * t])
            for block, t in enumerate((1.0, 9.0, 2.0))
        ),
    ]
    found = load_inputs(write(tmp_path, entries(a=spec()), launches, {"a": rows}))
    assert list(found.columns) == [*COLUMNS, "attribute.complexity", "quality.depth"]
    assert list(found["image"]) == ["x", "y", "z"]
    assert set(found["cell_id"]) == {"a"}
    assert set(found["machine_id"]) == {"m"}
    assert list(found["macs_nominal"]) == [3.0, 5.0, 4.0]
    assert list(found["attribute.complexity"]) == [0.5, 0.7, 0.1]
    np.testing.assert_array_equal(found["floor_ms"], [2.0, 4.0, math.nan])
    np.testing.assert_allclose(found["quality.depth"], [0.5, 3.0, math.nan])


def test_a_floor_of_several_images_belongs_to_none_of_them(tmp_path):
    launches = [launch("a", "evaluate"), launch("a", "time", latency_ms=1.0, floors_ms=[1.0])]
    rows = [image("x", 3.0, 4.0, 16.0), image("y", 3.0, 4.0, 16.0)]
    found = load_inputs(write(tmp_path, entries(a=spec(batch=2)), launches, {"a": rows}))
    assert found["floor_ms"].isna().all()


def test_cells_may_know_different_things_of_their_images(tmp_path):
    labelled = [image("x", 3.0, 4.0, 16.0, 0.5)]
    bare = [{name: value for name, value in image("x", 2.0, 0, 0).items() if name != "statistics.depth"}]
    launches = [launch("a", "evaluate"), launch("b", "evaluate", macs_refused=True)]
    found = load_inputs(write(tmp_path, entries(a=spec(), b=spec()), launches, {"a": labelled, "b": bare}))
    assert list(found["cell_id"]) == ["a", "b"]
    np.testing.assert_array_equal(found["attribute.complexity"], [0.5, math.nan])
    np.testing.assert_array_equal(found["quality.depth"], [0.5, math.nan])
    np.testing.assert_array_equal(found["macs_executed"], [9.0, math.nan])  # refused


def test_what_is_not_there_has_no_rows(tmp_path):
    launches = [launch("lost", "evaluate"), launch("failed", "evaluate", status="failed")]
    found = load_inputs(write(tmp_path, entries(lost=spec(), failed=spec(), never=spec()), launches, {}))
    assert list(found.columns) == list(COLUMNS)
    assert found.empty
    with pytest.raises(UsageError):
        load_inputs(tmp_path / "nowhere")


def test_ten_thousand_images_and_ten_thousand_cells_take_no_time(tmp_path):
    rows = [image(f"i{k}", float(k), 4.0, 16.0, k / 1e4) for k in range(10_000)]
    many = write(tmp_path / "images", entries(a=spec()), [launch("a", "evaluate")], {"a": rows})
    cells = {f"c{k}": spec() for k in range(10_000)}
    wide = write(tmp_path / "cells", entries(**cells), [launch(cell, "evaluate") for cell in cells], {})
    started = time.perf_counter()
    assert len(load_inputs(many)) == 10_000
    assert load_inputs(wide).empty
    assert time.perf_counter() - started < 10
