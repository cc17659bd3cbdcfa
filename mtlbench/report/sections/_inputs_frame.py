"""The inputs of one group: what each cost, how long it took, how hard it was."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.report.frame import Estimate, RunView, is_ok, numeric, text
from mtlbench.report.groups import Group, Metric

__all__ = [
    "FEWEST",
    "FEWEST_FOR_TAILS",
    "Measure",
    "Solved",
    "WayInputs",
    "adaptive_ways",
    "correlation",
    "dense_way",
    "group_inputs",
    "in_order",
    "measures",
    "middle_of",
    "rank",
    "solved",
    "tail",
    "way_inputs",
]

ALIKE = 1e-6
FEWEST = 10
FEWEST_FOR_TAILS = 20
MOST_ATTRIBUTES = 2
NOT_DIFFICULTY = ("clip", "frame")
Z95 = 1.959964


@dataclass(frozen=True, eq=False)
class WayInputs:
    """The inputs of one way.

    Attributes:
        place: its place in the table.
        label: the way.
        short_label: the same for figures.
        variant: its variant.
        reference_label: the way that is its dense reference, empty where there is none.
        reference: MACs of that, NaN where unknown.
        asked: share of those that was asked for, NaN where nothing was.
        varies: whether inputs differ in nominal MACs.
        spread: the interquartile range of those over their median.
        timed: how many inputs have a latency of their own.
        every: the rows of all ways.
        own: where its own stand in them, all seeds.
    """

    place: int
    label: str
    short_label: str
    variant: str
    reference_label: str
    reference: float
    asked: float
    varies: bool
    spread: float
    timed: int
    every: pd.DataFrame
    own: NDArray[np.int64]

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Its rows of all seeds."""
        return self.every.iloc[self.own]

    @cached_property
    def by_image(self) -> pd.DataFrame:
        """Means over seeds, one row per image: an image is one observation, however many seeds saw it."""
        return self.rows.groupby("image", observed=True, sort=False)[_numbers(self.every)].mean()


class Solved(NamedTuple):
    """How well single inputs are solved, all tasks together.

    Attributes:
        way: by which dense way.
        metrics: in which metrics.
        rank: by image, the mean over those of its rank as a share of all inputs; the larger the better.
    """

    way: WayInputs
    metrics: tuple[Metric, ...]
    rank: pd.Series[float]


class Measure(NamedTuple):
    """Something by which inputs are harder or easier.

    Attributes:
        title: what it is.
        short: the same in a word.
        values: by image.
        rising: whether larger values are harder.
    """

    title: str
    short: str
    values: pd.Series[float]
    rising: bool


def group_inputs(view: RunView, group: Group) -> pd.DataFrame | None:
    """Rows of `view.inputs` of the group's finished cells, with the way that each belongs to; None without any."""
    if view.inputs is None or view.inputs.empty:
        return None
    cells = group.cells[is_ok(group.cells)]
    ids, machine = text(cells, "cell_id"), group.setting.get("machine_id", "")
    own = view.inputs["cell_id"].isin(ids)
    if machine:
        own &= view.inputs["machine_id"] == machine
    rows = view.inputs[own]
    if rows.empty:
        return None
    known = pd.DataFrame(
        {
            **{name: text(cells, name) for name in ("label", "short_label", "variant", "reference_cell_id")},
            **{name: numeric(cells, name) for name in ("macs_reference", "budget")},
        }
    ).set_index(ids)
    known = known[~known.index.duplicated()]
    joined = known.reindex(rows["cell_id"].astype(object).to_numpy()).set_index(rows.index)
    return pd.concat([rows, joined[known.columns.difference(rows.columns)]], axis="columns")


def way_inputs(rows: pd.DataFrame, group: Group) -> list[WayInputs]:
    """The ways of a group that kept anything per input, in the order of the table."""
    by_cell = rows.groupby("cell_id", observed=True)["macs_nominal"]
    uneven = by_cell.max() > by_cell.min() * (1 + ALIKE)
    varying = set(rows["label"][rows["cell_id"].isin(uneven.index[uneven])])
    by_way = rows.groupby("label", sort=False)
    indices, macs = by_way.indices, by_way["macs_nominal"]
    summary = by_way[["short_label", "variant", "reference_cell_id"]].first()
    summary[["macs_reference", "budget"]] = by_way[["macs_reference", "budget"]].mean()
    summary["timed"] = by_way["floor_ms"].count()
    summary["spread"] = (macs.quantile(0.75) - macs.quantile(0.25)) / macs.median()
    known = summary.to_dict("index")
    way_of = dict(zip(text(group.cells, "cell_id"), text(group.cells, "label"), strict=True))
    return [
        WayInputs(
            place=place,
            label=label,
            short_label=str(known[label]["short_label"]),
            variant=str(known[label]["variant"]),
            reference_label=way_of.get(str(known[label]["reference_cell_id"]), ""),
            reference=float(known[label]["macs_reference"]),
            asked=float(known[label]["budget"]),
            varies=label in varying,
            spread=float(known[label]["spread"]),
            timed=int(known[label]["timed"]),
            every=rows,
            own=np.asarray(indices[label]),
        )
        for place, label in enumerate(dict.fromkeys(text(group.cells, "label")))
        if label in known
    ]


def adaptive_ways(ways: Sequence[WayInputs]) -> list[WayInputs]:
    """Those whose cost differs between inputs, most first, and of these the first of each variant before all others."""
    ordered = sorted((way for way in ways if way.varies), key=lambda way: -way.spread)
    opening = list({way.variant: way for way in reversed(ordered)}.values())[::-1]
    return [*opening, *(way for way in ordered if way not in opening)]


def in_order(ways: Iterable[WayInputs]) -> list[WayInputs]:
    """The ways in the order of the table."""
    return sorted(ways, key=lambda way: way.place)


def dense_way(ways: Sequence[WayInputs]) -> WayInputs | None:
    """By whose errors inputs are called hard: the reference that most ways name, else the first that costs alike."""
    votes = Counter(way.reference_label for way in ways if way.varies)
    return max((way for way in ways if not way.varies), key=lambda way: votes[way.label], default=None)


def solved(group: Group, ways: Sequence[WayInputs]) -> Solved | None:
    """Which inputs a dense way solves better than others; None where no way has a quality of single inputs."""
    if not ways:
        return None
    way = dense_way(ways) or ways[0]
    values = {metric: numeric(way.by_image, f"quality.{metric.task}") for metric in group.metrics}
    known = {metric: column for metric, column in values.items() if column.notna().any()}
    ranks = [column.rank(pct=True, ascending=metric.higher_is_better) for metric, column in known.items()]
    if not ranks:
        return None
    return Solved(way, tuple(known), pd.concat(ranks, axis="columns").mean(axis="columns").dropna())


def measures(way: WayInputs, ways: Sequence[WayInputs], group: Group) -> list[Measure]:
    """What is known of the difficulty of a way's inputs: the dataset's own attributes, the errors of its reference."""
    own = way.by_image
    attributes = [name for name in own.columns if name.startswith("attribute.") and own[name].nunique() > 1]
    attributes = [name for name in attributes if name.removeprefix("attribute.") not in NOT_DIFFICULTY]
    attributes.sort(key=lambda name: (name != "attribute.complexity", name))
    shown = [(name.removeprefix("attribute."), own[name]) for name in attributes[:MOST_ATTRIBUTES]]
    found = [Measure(name, name, values, rising=True) for name, values in shown]
    reference = next(
        (other for other in ways if other.label == way.reference_label and other is not way), None
    )
    if reference is not None:
        theirs = reference.by_image
        for metric in group.metrics:
            values = numeric(theirs, f"quality.{metric.task}").reindex(own.index)
            if values.nunique() > 1:
                title = f"{metric.task} {metric.name} of the dense reference"
                found.append(Measure(title, metric.task, values, rising=not metric.higher_is_better))
    return found


def correlation(first: pd.Series[float], second: pd.Series[float]) -> tuple[Estimate, int]:
    """Spearman's rank correlation with its 95 % interval, and how many pairs it rests on; NaN below `FEWEST`.

    The interval is Fisher's z with the variance (1 + r^2 / 2) / (n - 3) of Bonett and Wright, Psychometrika 65, 2000.
    """
    known = (first.notna() & second.notna()).to_numpy()
    x, y = first[known].rank().to_numpy(), second[known].rank().to_numpy()
    n = len(x)
    if n < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Estimate(math.nan), n
    rank = float(np.corrcoef(x, y)[0, 1])
    if abs(rank) >= 1:
        return Estimate(rank, rank, rank), n
    half = Z95 * math.sqrt((1 + rank**2 / 2) / (n - 3))
    centre = math.atanh(rank)
    return Estimate(rank, math.tanh(centre - half), math.tanh(centre + half)), n


def rank(way: WayInputs, measure: Measure) -> tuple[Estimate, int]:
    """How cost goes with difficulty, see `correlation`: above zero where harder inputs cost more."""
    return correlation(way.by_image["macs_nominal"], measure.values if measure.rising else -measure.values)


def middle_of(values: NDArray[np.float64]) -> float:
    """The median that is the value of some input: of an even number the lower one."""
    return float(np.quantile(values, 0.5, method="inverted_cdf"))


def tail(values: NDArray[np.float64]) -> float:
    """The least value that at most one in twenty exceeds; NaN for fewer than twenty, of which that is the largest."""
    if len(values) < FEWEST_FOR_TAILS:
        return math.nan
    return float(np.quantile(values, 0.95, method="inverted_cdf"))


def _numbers(rows: pd.DataFrame) -> list[str]:
    wanted = ("macs_nominal", "macs_executed", "floor_ms")
    return [
        str(name)
        for name in rows.columns
        if name in wanted or str(name).startswith(("attribute.", "quality."))
    ]
