"""Made-up runs of many settings, and of any size, from the rows of the small made-up run."""

from __future__ import annotations

import numpy as np
import pandas as pd
from fake_run import full_table

LATENCY = ("latency_ms", "latency_ms.ci_low", "latency_ms.ci_high")


def sweep(seeds: int = 1) -> pd.DataFrame:
    """The small run on two datasets and two kinds of hardware; on the second the static network is far ahead."""
    base = full_table(seeds=seeds)
    parts = []
    for number, (dataset, hardware) in enumerate(
        (dataset, hardware)
        for dataset in ("pascal_context", "nyud")
        for hardware in ("cpu-1t-b1", "cpu-8t-b1")
    ):
        suffix = f"-{number}"
        part = base.assign(
            dataset=dataset,
            hardware=hardware,
            cell_id=base["cell_id"] + suffix,
            reference_cell_id=base["reference_cell_id"] + suffix,
        )
        factor = np.where((hardware == "cpu-8t-b1") & (part["variant"] == "static_mtl"), 0.2, 1.0)
        for column in LATENCY:
            part[column] *= factor
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def large(groups: int, ways: int, seeds: int) -> pd.DataFrame:
    """`groups` times `ways` times `seeds` finished cells with as many columns as a real table has."""
    base = full_table(seeds=1)
    base = base[base["status"] == "ok"]
    index = np.arange(groups * ways * seeds)
    group, way, seed = index // (ways * seeds), index // seeds % ways, index % seeds
    table = base.iloc[np.where(way < 2, way, 2 + way % 4)].reset_index(drop=True)
    own = np.where(table["variant"] == "adamtl", 1, 0)
    added = {
        "hardware": [f"cpu-{number}" for number in group],
        "seed": seed,
        "axis.keep_ratio": np.where(way < 2, np.nan, 1 - way / ways),
        "cell_id": [f"{a}-{b}-{c}" for a, b, c in zip(group, way, seed, strict=True)],
        "reference_cell_id": [f"{a}-{b}-{c}" for a, b, c in zip(group, own, seed, strict=True)],
        **{f"environment.fact_{number}": "value" for number in range(60)},
        **{f"health.count_{number}": index % 7 * 1.0 for number in range(20)},
    }
    noise = np.exp(np.random.default_rng(0).normal(0, 0.2, len(index)))
    return table.assign(**added, **{column: table[column] * noise for column in LATENCY})
