"""The runs whose pages the browser opens, each with what the others lack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from fake_inputs import keep, made_inputs
from fake_run import HOSTILE, PRIMARY, TASKS, cell, fake_view, full_table, hostile
from fake_ways import METRICS, USUAL, Maker

from mtlbench.report import RunView, build

__all__ = ["MADE", "Pages", "build_page", "full_run", "many_cells"]


def full_run(folder: Path) -> RunView:
    """One setting, all variants, two seeds, with inputs and pictures; a failed and an unsupported cell."""
    table = full_table()
    done = table[table["status"] == "ok"]
    keep(folder, done)
    return fake_view(folder, table, inputs=made_inputs(done))


def _hostile_run(folder: Path) -> RunView:
    table = hostile(full_table(TASKS[:3], seeds=1))
    table["encoder"] = "{{7*7}} \u202efdp.exe\u2066 \n</script><script>alert(2)</script>"
    table["hardware"] = "</title></textarea>" + "y" * 3000
    table.loc[table["status"] == "failed", "reason"] = "</td><svg onload=alert(6)>" + "R" * 3000
    keep(folder, table[table["status"] == "ok"].head(2), TASKS[:3])
    run = {"suite": HOSTILE, "run_id": "'\"><b onclick=alert(5)>", "primary": PRIMARY}
    return fake_view(folder, table, run=run, environment={"<k>": "</dd><script>alert(4)</script>"})


def _holes_run(folder: Path) -> RunView:
    """Two settings; in each, cells that failed, are unsupported, were skipped or are missing."""
    table = full_table(TASKS[:2], seeds=1)
    lost = (
        table[table["status"] != "ok"]
        .iloc[[0, 0]]
        .assign(
            cell_id=["adamtl-skipped", "adamtl-missing"],
            status=["skipped", "missing"],
            reason=["left out by --only", "no launch of it was written"],
        )
    )
    table = pd.concat([table, lost], ignore_index=True)
    other = table.assign(hardware="cpu-4t-b8", cell_id=table["cell_id"] + "-4t")
    other["reference_cell_id"] = other["reference_cell_id"] + "-4t"
    return fake_view(folder, pd.concat([table, other], ignore_index=True))


def _side_by_side(folder: Path) -> list[RunView]:
    """The same cells on two machines, the second a little slower; with energy and variants of a user's own."""
    table = Maker().table(USUAL[1::2])
    times = [name for name in table if name.startswith("latency_ms")]
    slower = table.assign(machine_id="m-2", **{name: table[name] * 1.1 for name in times})
    return [
        fake_view(folder / name, cells, run={"run_id": name, "suite": "ways", "primary": METRICS})
        for name, cells in (("first", table), ("second", slower))
    ]


MADE: dict[str, Callable[[Path], list[RunView]]] = {
    "full": lambda folder: [full_run(folder)],
    "hostile": lambda folder: [_hostile_run(folder)],
    "holes": lambda folder: [_holes_run(folder)],
    "one": lambda folder: [fake_view(folder, full_table(seeds=1).iloc[:1])],
    "two": _side_by_side,
}


def many_cells(folder: Path) -> RunView:
    """Two hundred cells of two settings, with inputs and noisy pictures, which compress badly."""
    import numpy as np

    rng = np.random.default_rng(11)
    points = [("adamtl", keep_ratio) for keep_ratio in np.round(np.linspace(0.2, 1, 5), 2)]
    points += [("computation_sharing", keep_ratio) for keep_ratio in np.round(np.linspace(0.2, 1, 3), 2)]
    rows = []
    for setting in range(2):
        for seed in range(10):
            for variant, ratio in [("single_task", None), ("static_mtl", None), *points]:
                share = 1.0 if ratio is None else float(ratio)
                row = cell(
                    variant, (ratio, share, share, 1.6e9, 80.0, 300.0, -3.0), seed, tuple(PRIMARY), rng
                )
                ids = {name: f"{row[name]}-{setting}" for name in ("cell_id", "reference_cell_id")}
                rows.append({**row, **ids, "hardware": f"cpu-{2**setting}t-b1"})
    table = pd.DataFrame(rows)
    # Pictures of a fifth of them already are far more than the page can hold.
    keep(folder, table[table["seed"] < 2], size=(192, 256), noise=True)
    return fake_view(folder, table, inputs=made_inputs(table, images=100))


def build_page(views: list[RunView], out: Path) -> Path:
    """The page without figures as files, which take most of the time."""
    return build(views, out, formats=()).index


class Pages:
    """Pages of `MADE` by name, each built when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.views: dict[str, list[RunView]] = {}

    def __getitem__(self, name: str) -> Path:
        out = self.folder / name / "report"
        if name not in self.views:
            self.views[name] = MADE[name](self.folder / name / "run")
            build_page(self.views[name], out)
        return out / "index.html"

    def table(self, name: str) -> pd.DataFrame:
        """The table of the first run of a page."""
        assert self[name].is_file()
        return self.views[name][0].table
