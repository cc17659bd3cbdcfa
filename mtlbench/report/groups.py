"""Groups of cells that may be compared, and their points: one row per way, over its seeds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from mtlbench.report.frame import (
    HIGH,
    LOW,
    RunView,
    axes,
    axis_text,
    brief,
    is_ok,
    numeric,
    plain,
    swept,
    text,
    variant_rank,
)

__all__ = ["SETTING", "Group", "Metric", "groups"]

SETTING = ("dataset", "encoder", "tasks", "hardware", "machine_id")
"""Columns that cells must share to be compared."""


class Metric(NamedTuple):
    """The primary metric of one task."""

    task: str
    name: str
    higher_is_better: bool

    @property
    def column(self) -> str:
        """Its column in the table."""
        return f"metric.{self.task}.{self.name}"


@dataclass(frozen=True, eq=False)
class Group:
    """Cells of one dataset, encoder, set of tasks, hardware and machine: those that may share an axis.

    Attributes:
        label: what they share, for people.
        slug: the same as part of a file name.
        cells: rows of the table, all statuses. Added are the name of their way (`label`, made of `way` and
            `axis_text`; `called` where it does not matter for which tasks it was trained; in figures
            `short_label` and `point`) and, in shares of the reference network,
            `share.claimed` (of what the same formula says of it), `share.nominal`, `share.executed` and
            `share.latency`.
        points: one row per way over its seeds, only cells that are ok.
        metrics: the primary metric of each task.
        axis: the name of the axis that ways were swept over, if it is only one.
        pooled: whether `RunView.seeds` knows every point; its intervals then stand in `points`.
        setting: what they share, by column.
    """

    label: str
    slug: str
    cells: pd.DataFrame
    points: pd.DataFrame
    metrics: tuple[Metric, ...]
    axis: str
    pooled: bool
    setting: dict[str, str] = field(default_factory=dict)

    @property
    def many_seeds(self) -> bool:
        """Whether some way was measured with more than one seed."""
        return bool((numeric(self.points, "cells_folded") > 1).any())


def groups(view: RunView) -> list[Group]:
    """Split a run into what may be compared, in the order of the table."""
    if view.table.empty:
        return []
    cells, axis = _named(_side_by_side(view.table.reset_index(drop=True).infer_objects()))
    keys = [text(cells, name) for name in SETTING]
    one_machine = keys[-1].nunique() <= 1
    shares = _shares(cells)
    added = pd.concat(
        [shares, pd.DataFrame({"group": cells.groupby(keys, sort=False).ngroup()})], axis="columns"
    )
    cells = _ordered(pd.concat([cells.drop(columns=added.columns, errors="ignore"), added], axis="columns"))
    points = _points(cells, view.seeds)
    pooled = points["pooled"].groupby(points["group"]).all()
    by_number = _split(points, drop=["group", "pooled"])
    none = pd.DataFrame(columns=[*cells.columns.drop("group"), "cells_folded"])
    return [
        _group(
            view,
            number,
            part,
            by_number.get(number, none).reset_index(drop=True),
            axis,
            one_machine=one_machine,
            pooled=bool(pooled.get(number, False)),
        )
        for number, part in _split(cells, drop=["group"]).items()
    ]


def _side_by_side(frame: pd.DataFrame) -> pd.DataFrame:
    """The same columns as few numpy arrays: a table of a thousand groups is split a thousand times, array by array."""
    words = [name for name, kind in frame.dtypes.items() if isinstance(kind, pd.StringDtype)]
    return frame.astype(dict.fromkeys(words, object)).copy()


def _split(frame: pd.DataFrame, drop: list[str]) -> dict[int, pd.DataFrame]:
    """Rows by their `group`, in its order, without the columns to drop."""
    number = frame["group"].to_numpy()
    return {int(str(key)): part for key, part in _side_by_side(frame.drop(columns=drop)).groupby(number)}


def _group(
    view: RunView,
    number: int,
    cells: pd.DataFrame,
    points: pd.DataFrame,
    axis: str,
    *,
    one_machine: bool,
    pooled: bool,
) -> Group:
    setting = {name: plain(cells[name].iloc[0]) if name in cells else "" for name in SETTING}
    shared = [
        value for name, value in setting.items() if value and not (one_machine and name == "machine_id")
    ]
    return Group(
        label=", ".join(brief(value) for value in shared).replace("+", " + ") or "all cells",
        slug=_slug(number + 1, setting["dataset"], setting["hardware"]),
        cells=cells,
        points=points,
        metrics=_metrics(view, setting["tasks"]),
        axis=axis,
        pooled=pooled,
        setting=setting,
    )


def _named(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The table with what each way is called, and the name of the axis if only one was swept.

    Cells that differ in what the table does not show, such as options, are numbered, so that they never pass
    for seeds of one way.
    """
    names, described, variant = swept(table), axis_text(table), text(table, "variant")
    trained = text(table, "trained_tasks")
    trained = trained.where(trained != text(table, "tasks"), "")
    same = [variant, described, trained, *(text(table, name) for name in (*SETTING, "seed"))]
    namesake = table.groupby(same).cumcount()
    shown = variant.map(_distinct(variant))
    shown = shown + (" #" + (namesake + 1).astype(str)).where(namesake > 0, "")
    bare = shown
    shown = _beside(shown, " trained on ", trained.str.replace("+", " + ").map(brief))
    point = text(table, names[0]).where(described != "", "") if len(names) == 1 else described
    point, described = point.map(brief), described.map(brief)
    called = {
        "way": shown,
        "axis_text": described,
        "point": point,
        "label": _beside(shown, " at ", described),
        "called": _beside(bare, " at ", described),
        "short_label": _beside(shown, ", ", point),
    }
    return table.assign(**called), names[0].removeprefix("axis.") if len(names) == 1 else ""


def _distinct(names: pd.Series[str]) -> dict[str, str]:
    """A brief form of each name; no two share one."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        shown, number = brief(name), 1
        while shown in found.values():
            number += 1
            shown = f"{brief(name)} ({number})"
        found[name] = shown
    return found


def _beside(names: pd.Series[str], word: str, points: pd.Series[str]) -> pd.Series[str]:
    return names + (word + points).where(points != "", "")


def _slug(number: int, *names: str) -> str:
    """The beginning of file names and of ids: plain letters only, kept apart by the group's number."""
    kept = re.sub(r"[^a-z0-9]+", "-", "-".join(names).lower()).strip("-")
    return f"{number}-{kept[:40]}".rstrip("-")


def _metrics(view: RunView, tasks: str) -> tuple[Metric, ...]:
    declared = view.run.get("primary") or {}
    return tuple(
        Metric(task, str(declared[task]["metric"]), declared[task].get("direction", "higher") == "higher")
        for task in tasks.split("+")
        if task in declared
    )


def _ordered(cells: pd.DataFrame) -> pd.DataFrame:
    """Baselines first; within a variant the order of the plan, seeds of one point together."""
    names = list(dict.fromkeys(sorted(set(text(cells, "variant")), key=variant_rank)))
    rank = pd.DataFrame(
        {
            "variant": text(cells, "variant").map({name: number for number, name in enumerate(names)}),
            "point": pd.factorize(cells["label"])[0],
            "seed": numeric(cells, "seed"),
        },
        index=cells.index,
    )
    return cells.loc[rank.sort_values(["variant", "point", "seed"], kind="stable").index]


def _shares(cells: pd.DataFrame) -> pd.DataFrame:
    reference = numeric(cells, "macs_reference")
    reference = reference.where(reference > 0)
    latency = numeric(cells, "latency_ms").where(is_ok(cells))
    machine = text(cells, "machine_id") + "/"
    by_cell = latency.groupby(machine + text(cells, "cell_id")).first()
    own = (machine + text(cells, "reference_cell_id")).map(by_cell).astype(float)
    claimed_of = numeric(cells, "macs_claimed_reference")
    claimed_of = claimed_of.where(claimed_of > 0, reference)
    shares = {
        "share.claimed": numeric(cells, "macs_claimed") / claimed_of,
        "share.nominal": numeric(cells, "macs_nominal") / reference,
        "share.executed": numeric(cells, "macs_executed") / reference,
        "share.latency": latency / own.where(own > 0),
    }
    return pd.DataFrame(shares)


def _points(cells: pd.DataFrame, seeds: pd.DataFrame | None) -> pd.DataFrame:
    """One row per group and way, of cells that are ok; `pooled` says whether its intervals are over seeds."""
    done = _anchored(cells[is_ok(cells)])
    points = _folded(done)
    keys = [name for name in (*SETTING, "variant", "trained_tasks", *axes(cells)) if name in cells]
    wanted = {"variant", *axes(cells)}
    if seeds is None or points.empty or not wanted <= set(seeds.columns):
        return points.assign(pooled=False)
    keys = [name for name in keys if name in seeds]
    ours, theirs = _keys(points, keys), _keys(seeds, keys)
    theirs = theirs[~theirs.duplicated(keep=False)]
    row = ours.map(pd.Series(theirs.index, index=theirs))
    known = row.notna()
    matched = seeds.loc[row[known]].set_index(points.index[known])
    for name in (str(column).removesuffix(LOW) for column in seeds.columns if str(column).endswith(LOW)):
        columns = [name + end for end in ("", LOW, HIGH)]
        pooled = pd.DataFrame({column: numeric(matched, column) for column in columns}).dropna()
        own = pd.DataFrame({column: numeric(points, column) for column in columns})
        own.loc[pooled.index] = pooled
        points = points.assign(**own)
    return points.assign(pooled=known)


def _keys(frame: pd.DataFrame, names: list[str]) -> pd.Series[str]:
    """One string per row that is equal where all named columns are."""
    joined = pd.Series("", index=frame.index, dtype=object)
    for name in names:
        joined = joined + "\x1f" + text(frame, name)
    return joined


def _anchored(cells: pd.DataFrame) -> pd.DataFrame:
    """Single-task networks have a delta-m of exactly zero, by definition, so its interval is that point."""
    exact = (text(cells, "variant") == "single_task") & (numeric(cells, "delta_m") == 0)
    bounds = {f"delta_m{end}": numeric(cells, f"delta_m{end}").mask(exact, 0.0) for end in (LOW, HIGH)}
    return cells.assign(**bounds)


def _folded(done: pd.DataFrame) -> pd.DataFrame:
    """One row for all seeds of a way: means; limits are the outermost of the seeds' own, if all have them."""
    way = done.groupby(["group", "label"], sort=False).ngroup()
    first = done[~way.duplicated()].set_index(way[~way.duplicated()])
    numbers = [name for name in done.columns if _is_measured(done[name], str(name))]
    low = [name for name in numbers if str(name).endswith(LOW)]
    high = [name for name in numbers if str(name).endswith(HIGH)]
    by_way = done[numbers].astype(float).groupby(way)
    means, lows, highs, counts = by_way.mean(), by_way[low].min(), by_way[high].max(), by_way.count()
    size = done.groupby(way).size()
    for limits in (lows, highs):
        means[limits.columns] = limits.where(counts[limits.columns].eq(size, axis="index"))
    folded = pd.concat([first.drop(columns=numbers), means], axis="columns")[list(done.columns)].copy()
    return folded.assign(cells_folded=size)


def _is_measured(column: pd.Series[float], name: str) -> bool:
    return (
        pd.api.types.is_numeric_dtype(column)
        and not pd.api.types.is_bool_dtype(column)
        and not name.startswith("axis.")
        and name not in ("seed", "group")
    )
