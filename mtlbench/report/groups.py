"""Groups of cells that may be compared, and their points: one row per way, over its seeds."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from mtlbench.report.frame import (
    HIGH,
    LOW,
    RunView,
    axes,
    axis_text,
    estimate,
    is_ok,
    numeric,
    swept,
    text,
    variant_rank,
)

__all__ = ["Group", "Metric", "groups"]

SETTING = ("dataset", "encoder", "tasks", "hardware", "machine_id")


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
        cells: rows of the table, all statuses. Added are the name of their way (`label`; in figures `short_label`
            and `point`) and, in shares of the reference network, `share.claimed`, `share.nominal`,
            `share.executed` and `share.latency`.
        points: one row per way over its seeds, only cells that are ok.
        metrics: the primary metric of each task.
        axis: the name of the axis that ways were swept over, if it is only one.
        pooled: whether `RunView.seeds` knows every point; its intervals then stand in `points`.
    """

    label: str
    slug: str
    cells: pd.DataFrame
    points: pd.DataFrame
    metrics: tuple[Metric, ...]
    axis: str
    pooled: bool

    @property
    def many_seeds(self) -> bool:
        """Whether some way was measured with more than one seed."""
        return bool((numeric(self.points, "cells_folded") > 1).any())


def groups(view: RunView) -> list[Group]:
    """Split a run into what may be compared, in the order of the table."""
    cells, axis = _named(view.table.reset_index(drop=True).infer_objects())
    shares = _shares(cells)
    cells = pd.concat([cells.drop(columns=shares.columns, errors="ignore"), shares], axis="columns")
    keys = [text(cells, name).rename(name) for name in SETTING]
    one_machine = keys[-1].nunique() <= 1
    found: list[Group] = []
    for number, (values, part) in enumerate(cells.groupby(keys, sort=False), 1):
        setting = dict(zip(SETTING, map(str, values), strict=True))
        shared = [
            value for name, value in setting.items() if value and not (one_machine and name == "machine_id")
        ]
        points, pooled = _points(part, view.seeds)
        found.append(
            Group(
                label=", ".join(shared).replace("+", " + ") or "all cells",
                slug=_slug(number, setting["dataset"], setting["hardware"]),
                cells=_ordered(part),
                points=points,
                metrics=_metrics(view, setting["tasks"]),
                axis=axis,
                pooled=pooled,
            )
        )
    return found


def _named(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The table with what each way is called, and the name of the axis if only one was swept.

    Cells that differ in what the table does not show, such as options, are numbered, so that they never pass
    for seeds of one way.
    """
    names, described, variant = swept(table), axis_text(table), text(table, "variant")
    same = [variant, described, *(text(table, name) for name in (*SETTING, "seed"))]
    namesake = table.groupby(same).cumcount()
    variant = variant + (" #" + (namesake + 1).astype(str)).where(namesake > 0, "")
    point = text(table, names[0]).where(described != "", "") if len(names) == 1 else described
    called = {
        "axis_text": described,
        "point": point,
        "label": _beside(variant, " at ", described),
        "short_label": _beside(variant, ", ", point),
    }
    return table.assign(**called), names[0].removeprefix("axis.") if len(names) == 1 else ""


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
    names = list(dict.fromkeys(sorted(text(cells, "variant"), key=variant_rank)))
    rank = pd.DataFrame(
        {
            "variant": text(cells, "variant").map(names.index),
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
    shares = {
        f"share.{name}": numeric(cells, f"macs_{name}") / reference
        for name in ("claimed", "nominal", "executed")
    }
    return pd.DataFrame({**shares, "share.latency": latency / own.where(own > 0)})


def _points(cells: pd.DataFrame, seeds: pd.DataFrame | None) -> tuple[pd.DataFrame, bool]:
    done = _anchored(_ordered(cells[is_ok(cells)]))
    rows = [_fold(part) for _, part in done.groupby("label", sort=False)]
    points = pd.DataFrame(rows, columns=None if rows else [*cells.columns, "cells_folded"])
    if seeds is None or points.empty or not {"variant", *axes(cells)} <= set(seeds.columns):
        return points, False
    keys = [name for name in [*SETTING, "variant", *axes(cells)] if name in cells and name in seeds]
    ours, theirs = _keys(points, keys), _keys(seeds, keys)
    known = {
        key: row for key, (_, row) in zip(theirs, seeds.iterrows(), strict=True) if theirs.count(key) == 1
    }
    rows = [
        _pool(row.to_dict(), known[key]) if key in known else row.to_dict()
        for key, (_, row) in zip(ours, points.iterrows(), strict=True)
    ]
    return pd.DataFrame(rows), all(key in known for key in ours)


def _keys(frame: pd.DataFrame, names: list[str]) -> list[tuple[str, ...]]:
    return list(zip(*(text(frame, name) for name in names), strict=True))


def _anchored(cells: pd.DataFrame) -> pd.DataFrame:
    """Single-task networks have a delta-m of exactly zero, by definition, so its interval is that point."""
    exact = (text(cells, "variant") == "single_task") & (numeric(cells, "delta_m") == 0)
    bounds = {f"delta_m{end}": numeric(cells, f"delta_m{end}").mask(exact, 0.0) for end in (LOW, HIGH)}
    return cells.assign(**bounds)


def _fold(part: pd.DataFrame) -> dict[Hashable, Any]:
    """One row for all seeds of a way: means; limits are the outermost of the seeds' own, if all have them."""
    folded: dict[Hashable, Any] = {}
    for name in part.columns:
        column = part[name]
        measured = (
            pd.api.types.is_numeric_dtype(column) and not str(name).startswith("axis.") and name != "seed"
        )
        if not measured:
            folded[name] = column.iloc[0]
        elif str(name).endswith(LOW):
            folded[name] = column.min(skipna=False)
        elif str(name).endswith(HIGH):
            folded[name] = column.max(skipna=False)
        else:
            folded[name] = column.mean()
    return {**folded, "cells_folded": len(part)}


def _pool(point: dict[Hashable, Any], pooled: pd.Series[Any]) -> dict[Hashable, Any]:
    """Take over the estimates that have an interval over seeds; all others stay folded."""
    for name in (str(column).removesuffix(LOW) for column in pooled.index if str(column).endswith(LOW)):
        value = estimate(pooled, name)
        if value.bounded:
            point.update({name: value.value, f"{name}{LOW}": value.low, f"{name}{HIGH}": value.high})
    return point
