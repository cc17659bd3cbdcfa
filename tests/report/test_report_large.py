from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_run import fake_view, full_table
from fake_sweep import large

from mtlbench.report.colours import styles
from mtlbench.report.explore import MOST_CELLS, Place, chart_data, finished
from mtlbench.report.frame import variants
from mtlbench.report.groups import groups

BUILD = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from fake_run import fake_view
from fake_sweep import large
from mtlbench.measure.memory import peak_rss_mib
from mtlbench.report import build
out = Path(sys.argv[2])
view = fake_view(out / "run", large(*map(int, sys.argv[3:])))
started = time.process_time()
files = build([view], out / "report")
spent = time.process_time() - started
print(json.dumps({"seconds": spent, "peak_mib": peak_rss_mib(), "page": files.index.stat().st_size}))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "left_out"),
    [
        ((40, 50, 5), "34 more settings are in the overview and in table.csv."),
        ((1, 2000, 5), "8,500 more cells are in table.csv and table.parquet."),
    ],
)
def test_ten_thousand_cells_take_seconds_and_little_memory(
    tmp_path: Path, shape: tuple[int, int, int], left_out: str
) -> None:
    # Idle, a two-core machine takes 4 s; the bound is generous because tests run beside others.
    arguments = [sys.executable, "-c", BUILD, str(Path(__file__).parent), str(tmp_path), *map(str, shape)]
    done = subprocess.run(
        arguments,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=280,
    )
    measured = json.loads(done.stdout)
    assert measured["seconds"] < 30
    assert measured["peak_mib"] < 1024
    assert measured["page"] < 5_000_000
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "The chart has 3,0" in page
    assert "of 10,000 finished cells" in page
    assert "Figures are drawn for up to 2,000 cells" in page
    assert left_out in page
    with (tmp_path / "report" / "table.csv").open(encoding="utf-8") as rows:
        assert sum(1 for _ in rows) == 10_001


def test_a_thinned_chart_keeps_the_fastest_of_every_group(tmp_path: Path) -> None:
    view = fake_view(tmp_path, large(20, 50, 5))
    found = groups(view)
    offered = [Place(group.label, group) for group in found]
    text, said = chart_data(finished(offered), offered, styles(variants(view)))
    data = json.loads(text)
    shown = next(quantity for quantity in data["quantities"] if quantity["title"] == "latency")["value"]
    assert MOST_CELLS <= len(shown) <= MOST_CELLS + len(found)
    assert said
    for number, group in enumerate(found):
        own = [value for value, place in zip(shown, data["group"], strict=True) if place == number]
        assert min(own) == pytest.approx(group.cells["latency_ms"].min(), rel=1e-5)
        assert len(own) > 100


def test_a_small_chart_leaves_nothing_out(tmp_path: Path) -> None:
    view = fake_view(tmp_path, full_table(seeds=1))
    offered = [Place(group.label, group) for group in groups(view)]
    assert chart_data(finished(offered), offered, styles(variants(view)))[1] == ""
