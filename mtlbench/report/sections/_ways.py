"""Ways beside the dense networks that they are to save against: each ledger as a share, with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.report.canvas import estimates
from mtlbench.report.frame import Estimate, is_ok, numeric, text
from mtlbench.report.groups import Group

__all__ = ["BASELINE", "COUNTED", "MEASURED", "Way", "against_single_task", "own_ways"]

COUNTED = ("claimed", "nominal", "executed")
MEASURED = {"latency": ("latency_ms", "realisation"), "energy": ("energy_mj", "realisation_energy")}
"""For each measured ledger its column, and the column of what arrived of the promise, from paired launches."""
LEAST_SAVING = 0.05
BASELINE = "single_task"

Triples = NDArray[np.float64]
"""Values, lows and highs, [n, 3]; NaN where unknown."""


@dataclass(frozen=True)
class Way:
    """One way, in shares of the dense network that it is compared with.

    Attributes:
        label: its name; made of `name`, the heading of its rows, and `point`, where on its axes it is.
        variant: whose style it is drawn in.
        name: its variant, told apart from others that differ in options.
        point: its axis point, maybe empty.
        shares: by ledger (`claimed`, `nominal`, `executed`, `latency`, `energy`), 1 is the dense network; unknown
            where nothing was counted or measured.
        promised: the share of MACs that was to be left: what its decisions need.
        seeds: the share of time of each seed, where there are several.
        realised: of the promised saving, the share that arrived as time.
        realised_energy: the same as energy.
        ceiling: the same as time if what is skipped cost none at all; NaN if unknown.
        reason: why there is no `realised`.
    """

    label: str
    variant: str
    name: str
    point: str
    shares: dict[str, Estimate]
    promised: Estimate
    seeds: tuple[float, ...]
    realised: Estimate
    realised_energy: Estimate
    ceiling: float
    reason: str

    @property
    def promises(self) -> bool:
        """Whether it promises a saving that is worth the word."""
        return 1 - self.promised.value >= LEAST_SAVING

    def share(self, name: str) -> Estimate:
        """One ledger; unknown where there is none."""
        return self.shares.get(name, Estimate(math.nan))


def own_ways(group: Group) -> list[Way]:
    """Every way that has a dense reference other than itself, in the order of the group."""
    points, cells = group.points, group.cells[is_ok(group.cells)]
    reference = text(points, "reference_cell_id")
    points = points[(reference != "") & (reference != text(points, "cell_id"))]
    rivals = _rows_of(cells, text(cells, "reference_cell_id"), text(cells, "cell_id"))
    measured = {name: _measured(cells, rivals, name) for name in MEASURED}
    shares = {name: estimates(points, f"share.{name}") for name in COUNTED}
    shares |= {name: _over_seeds(points, cells, values) for name, values in measured.items()}
    arrived = [estimates(points, column) for _, column in MEASURED.values()]
    return _ways(points, shares, shares["nominal"], arrived, _seeds(cells, measured["latency"]))


def against_single_task(group: Group) -> list[Way]:
    """Every way but the single-task networks in shares of those: what sharing an encoder saves.

    What is promised here is what was executed, because dense networks have no decisions to trace.
    """
    points, cells = group.points, group.cells[is_ok(group.cells)]
    points = points[(text(points, "variant") != BASELINE) & numeric(points, f"macs_vs_{BASELINE}").notna()]
    single = (text(cells, "variant") == BASELINE).to_numpy()
    seed = text(cells, "seed")
    rivals = _rows_of(cells, seed, seed.where(single, "\x00"))
    beside = estimates(cells, f"latency_vs_{BASELINE}")
    measured = {
        "latency": _first_known(beside, _quotients(cells, rivals, "latency_ms")),
        "energy": _quotients(cells, rivals, "energy_mj"),
    }
    executed = estimates(points, f"macs_vs_{BASELINE}")
    shares = {"executed": executed}
    shares |= {name: _over_seeds(points, cells, values) for name, values in measured.items()}
    saving = np.where(1 - executed[:, :1] >= LEAST_SAVING, 1 - executed[:, :1], np.nan)
    arrived = [(1 - shares[name][:, [0, 2, 1]]) / saving for name in MEASURED]
    bare = points.drop(columns="realisation_ceiling", errors="ignore")
    return _ways(bare, shares, executed, arrived, _seeds(cells, measured["latency"]))


def _ways(
    points: pd.DataFrame,
    shares: dict[str, Triples],
    promised: Triples,
    arrived: list[Triples],
    seeds: dict[str, tuple[float, ...]],
) -> list[Way]:
    names = [text(points, name) for name in ("label", "variant", "way", "point", "realisation_reason")]
    ceilings = numeric(points, "realisation_ceiling").to_numpy()
    return [
        Way(
            label=label,
            variant=variant,
            name=name,
            point=point,
            shares={ledger: Estimate(*values[index].tolist()) for ledger, values in shares.items()},
            promised=Estimate(*promised[index].tolist()),
            seeds=seeds.get(label, ()),
            realised=Estimate(*arrived[0][index].tolist()),
            realised_energy=Estimate(*arrived[1][index].tolist()),
            ceiling=float(ceilings[index]),
            reason=reason,
        )
        for index, (label, variant, name, point, reason) in enumerate(zip(*names, strict=True))
    ]


def _rows_of(cells: pd.DataFrame, wanted: pd.Series[str], keys: pd.Series[str]) -> pd.DataFrame:
    """For each cell the first row whose key is wanted; a row of nothing where there is none."""
    positions = pd.Series(np.arange(len(cells)), index=keys.to_numpy())
    found = wanted.map(positions[~positions.index.duplicated()])
    needed = [
        name for name in cells.columns if str(name).startswith(("variant", "seed", "latency_ms", "energy_mj"))
    ]
    rows: pd.DataFrame = cells[needed].reset_index(drop=True).reindex(found.fillna(-1).astype(int))
    return rows


def _measured(cells: pd.DataFrame, references: pd.DataFrame, name: str) -> Triples:
    """Time or energy as shares of the references', from launches that ran side by side where there are any.

    Realisation is a straight line in the paired share, (1 - share) / (1 - nominal), so the share and its
    interval follow from it exactly. Where there is none, the ratio to a baseline may be that to the reference.
    """
    column, arrived = MEASURED[name]
    saving = 1 - numeric(cells, "share.nominal").to_numpy()[:, None]
    paired = np.where(saving > 0, 1 - saving * estimates(cells, arrived)[:, [0, 2, 1]], np.nan)
    beside = _beside(cells, references) if name == "latency" else paired
    return _first_known(
        paired, beside, _quotients(cells, references, column), estimates(cells, f"share.{name}")
    )


def _beside(cells: pd.DataFrame, references: pd.DataFrame) -> Triples:
    """`latency_vs_*` where its baseline can be no other cell than the reference: the only one of its seed."""
    key = text(cells, "variant") + "\x1f" + text(cells, "seed")
    alone = set(key[~key.duplicated(keep=False)])
    theirs = text(references, "variant")
    known = (theirs + "\x1f" + text(references, "seed")).isin(alone).to_numpy()
    found = np.full((len(cells), 3), np.nan)
    for variant in set(theirs) - {""}:
        rows = known & (theirs == variant).to_numpy()
        found[rows] = estimates(cells, f"latency_vs_{variant}")[rows]
    return found


def _quotients(cells: pd.DataFrame, references: pd.DataFrame, column: str) -> Triples:
    """Ratios of two values; an interval holds every ratio of values within theirs, so it is wide."""
    own, other = estimates(cells, column), estimates(references, column)
    other = np.where(other > 0, other, np.nan)
    return own / other[:, [0, 2, 1]]


def _first_known(*choices: Triples) -> Triples:
    """Row by row the first that has a value."""
    found = choices[0].copy()
    for choice in choices[1:]:
        missing = np.isnan(found[:, 0])
        found[missing] = choice[missing]
    return found


def _over_seeds(points: pd.DataFrame, cells: pd.DataFrame, values: Triples) -> Triples:
    """Means; limits are the outermost of the seeds' own, if all that have a value have them."""
    frame = pd.DataFrame(values, columns=["value", "low", "high"])
    by_label = frame.groupby(text(cells, "label").to_numpy())
    counts = by_label.count()
    folded = pd.DataFrame({"value": by_label["value"].mean()})
    for name, ends in (("low", by_label["low"].min()), ("high", by_label["high"].max())):
        folded[name] = ends.where(counts[name] == counts["value"])
    found: Triples = folded.reindex(text(points, "label")).to_numpy(dtype=np.float64)
    return found


def _seeds(cells: pd.DataFrame, values: Triples) -> dict[str, tuple[float, ...]]:
    """The values of single seeds by label, where there are several."""
    label = text(cells, "label")
    several = label.duplicated(keep=False).to_numpy() & np.isfinite(values[:, 0])
    found: dict[str, list[float]] = {}
    for name, value in zip(label[several], values[several, 0], strict=True):
        found.setdefault(name, []).append(float(value))
    return {name: tuple(dots) for name, dots in found.items() if len(dots) > 1}
