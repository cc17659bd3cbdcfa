"""How much the launches of each way spread, and what else the machine did meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from mtlbench.report.frame import HIGH, LOW, numeric, text
from mtlbench.report.tables import Entry, Header, Row, Table

__all__ = ["noise", "noise_words"]

MOST_ROWS = 60
HEALTH = {
    "health.foreign_cores": (
        "other load",
        "cores",
        "Cores kept busy by other processes while the clock ran.",
    ),
    "health.steal_share": ("stolen", "%", "Share of the machine's time that a hypervisor withheld."),
    "health.involuntary_switches": ("preempted", "times", "Times that the scheduler took the CPU away."),
    "health.cpu_wall_ratio": (
        "CPU per wall",
        "",
        "CPU time over wall time; 1 per thread where nothing interferes.",
    ),
    "health.throttle_events": ("throttled", "times", "Times that the CPU lowered its clock."),
    "health.load_1m_before": ("load", "1 min", "Load average before the timed window."),
}
"""What a worker noticed during its timed window: title, unit, meaning."""
PERCENT = {"health.steal_share"}


def noise_words(done: pd.DataFrame) -> Iterator[str]:
    """How many launches there are, and how well latencies are known.

    Args:
        done: finished cells of all groups, with `label`.
    """
    timed = done[numeric(done, "latency_ms").notna()]
    if timed.empty:
        yield "Nothing was timed, so there is no noise to speak of."
        return
    launches = numeric(timed, "n_launches").dropna()
    if len(launches):
        least, most = f"{launches.min():.0f}", f"{launches.max():.0f}"
        span = least if least == most else f"{least} to {most}"
        yield f"Each cell was timed in {span} fresh processes (launches); a launch is one sample."
    spread = _spread(timed)
    if spread.isna().all():
        yield "No latency has an interval, so its noise is unknown: 6 launches or more give one."
        return
    worst = text(timed, "label").loc[spread == spread.max()].iloc[0]
    yield (
        f"Half of the latencies are known to ±{spread.median():.2g} % or better (half the width of the 95 % interval "
        f"over launches); the worst, that of {worst}, to ±{spread.max():.2g} %."
    )


def noise(done: pd.DataFrame) -> Table | None:
    """Spread and health of each way, the noisiest first; None where nothing was timed.

    Args:
        done: finished cells of all groups, with `label` and the label of their group, `place`.
    """
    timed = done[numeric(done, "latency_ms").notna()]
    if timed.empty:
        return None
    health = [name for name in HEALTH if numeric(timed, name).notna().any()]
    columns = {"n_launches": numeric(timed, "n_launches"), "spread": _spread(timed)}
    columns |= {name: numeric(timed, name) * (100 if name in PERCENT else 1) for name in health}
    by_way = pd.DataFrame(columns).groupby([timed["place"], timed["label"]], sort=False).max()
    variant = text(timed, "variant").groupby([timed["place"], timed["label"]], sort=False).first()
    by_way = by_way.assign(variant=variant).reset_index()
    by_way = by_way.sort_values("spread", ascending=False, na_position="last", kind="stable")
    several = by_way["place"].nunique() > 1
    names = ["label", "place"] if several else ["label"]
    words = [by_way[name] for name in names] + [by_way[name].map(_shown) for name in columns]
    rows = [
        Row(variant, True, tuple(Entry(word, 0, word) for word in row))
        for variant, row in zip(by_way["variant"], zip(*words, strict=True), strict=True)
    ]
    headers = (
        Header("way", "", "The way of running the tasks.", 0),
        *([Header("setting", "", "Data, encoder, tasks and hardware.", 0)] if several else []),
        Header("launches", "", "Fresh processes that were timed.", 0),
        Header("spread", "± %", "Half the width of the latency's 95 % interval, worst cell.", 0),
        *(Header(*HEALTH[name], 2) for name in health),
    )
    left = len(rows) - MOST_ROWS
    absent = (f"{left} quieter ways are left out; table.csv has all.",) if left > 0 else ()
    return Table("Noise of each way, the worst of its cells", headers, tuple(rows[:MOST_ROWS]), (), absent)


def _shown(value: float) -> str:
    return "-" if pd.isna(value) else f"{value:.3g}"


def _spread(cells: pd.DataFrame) -> pd.Series[float]:
    """Half the width of the latency's interval, in per cent of the latency."""
    width = numeric(cells, f"latency_ms{HIGH}") - numeric(cells, f"latency_ms{LOW}")
    latency = numeric(cells, "latency_ms")
    return 50 * width / latency.where(latency > 0)
