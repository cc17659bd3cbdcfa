"""The package of docs/extending.md, installed as another package would be, runs its suite."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pandas as pd
import pytest

PAGE = (Path(__file__).parents[2] / "docs/extending.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def site(tmp_path):
    """A folder that Python sees as installed packages."""
    package = tmp_path / "site" / "my_package"
    package.mkdir(parents=True)
    for block in blocks("python"):
        name = re.match(r"# my_package/(\w+\.py)", block)
        (package / name[1]).write_text(block)
    metadata = tmp_path / "site" / "my_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    groups = tomllib.loads(blocks("toml")[0])["project"]["entry-points"]
    lines = [
        line
        for group, names in groups.items()
        for line in (f"[{group}]", *(f"{n} = {at}" for n, at in names.items()))
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "site"


def mtlbench(site: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mtlbench", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(site), **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


def feed(counter: Path, stop: threading.Event) -> None:
    """A plug that draws ten watts."""
    joules = 0.0
    while not stop.wait(0.05):
        joules += 0.5
        partial = counter.with_suffix(".partial")
        partial.write_text(str(joules))
        partial.replace(counter)


@pytest.mark.slow
def test_the_suite_of_the_page_runs_with_all_four(tmp_path, site):
    suite = tmp_path / "stripes.yaml"
    suite.write_text(blocks("yaml")[0].replace("launches: 2", "launches: 1, requeue: 0, profile: false"))
    for kind, name in (
        ("datasets", "stripes"),
        ("tasks", "edge_distance"),
        ("encoders", "patches"),
        ("meters", "plug"),
    ):
        assert name in mtlbench(site, "ls", kind).stdout
    counter, stop = tmp_path / "joules", threading.Event()
    counter.write_text("0")
    plug = threading.Thread(target=feed, args=(counter, stop))
    plug.start()
    try:
        done = mtlbench(site, "run", suite, "--out", tmp_path / "run", PLUG_FILE=str(counter))
    finally:
        stop.set()
        plug.join()
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "run" / "cells.csv").set_index("variant")
    assert set(table.index) == {"single_task", "static_mtl"}
    assert (table["status"] == "ok").all()
    assert table["metric.edge_distance.mae_px"].between(0, 8).all()
    assert table["delta_m"].notna().all()
    assert set(table["energy_source"]) == {"plug"}
    assert (table["energy_mj"] > 0).all()
    # Formulas of the documented encoder are what the dispatcher counts.
    assert not table["warnings"].fillna("").str.contains("counter_differs_from_formula").any()
    report = mtlbench(site, "report", tmp_path / "run", "--out", tmp_path / "report")
    assert report.returncode == 0, report.stderr


def test_a_meter_that_cannot_measure_says_why(tmp_path, site):
    suite = tmp_path / "stripes.yaml"
    suite.write_text(blocks("yaml")[0].replace("energy: plug", "energy: plug, energy_required: true"))
    done = mtlbench(site, "run", suite, "--out", tmp_path / "run")
    assert done.returncode == 5
    assert "PLUG_FILE names no file" in done.stderr
