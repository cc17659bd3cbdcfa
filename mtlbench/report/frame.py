"""What the report reads: one run, its table and the ways into it.

Nothing here looks past the derived table and the run folder. Any column may be missing or empty; `numeric`,
`text` and `estimate` are the only ways in, and each answers "unknown" instead of failing.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

__all__ = [
    "Estimate",
    "RunView",
    "axes",
    "axis_text",
    "brief",
    "estimate",
    "is_ok",
    "numeric",
    "plain",
    "swept",
    "text",
    "variant_rank",
    "variants",
]

FIRST_VARIANTS = ("single_task", "static_mtl")
LOW, HIGH = ".ci_low", ".ci_high"


@dataclass(frozen=True, eq=False)
class RunView:
    """One run, as the report sees it.

    Args:
        folder: the run folder; pictures are read from its `samples/`.
        run: `run.json`. Used where present: `run_id`, `suite`, `created`, `mtlbench_version`, `code_version`
            and `primary`, `{task: {"metric": name, "direction": "higher" | "lower"}}`.
        table: one row per cell, columns as in DESIGN section 3.
        seeds: one row per point over all its seeds, with the table's column names (`variant`, `axis.*`,
            dataset, encoder, tasks, hardware, and the estimates with intervals over seeds and images). None:
            the report folds the seeds itself, and says how.
        environment: what the workers found on the machine; may be nested.
        warnings: for each warning code, a sentence.
        inputs: one row per cell and image: `cell_id, machine_id, image, macs_nominal, macs_executed, floor_ms,
            attribute.*, quality.<task>`. None: the run kept nothing per input.
        subsets: one row per cell and set of tasks that can be asked for: `cell_id, machine_id, tasks, n_tasks,
            macs_executed, macs_nominal, params_active, latency_ms` (with its interval) and `source`. None: unknown.
    """

    folder: Path
    run: dict[str, Any]
    table: pd.DataFrame
    seeds: pd.DataFrame | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    warnings: dict[str, str] = field(default_factory=dict)
    inputs: pd.DataFrame | None = None
    subsets: pd.DataFrame | None = None

    @property
    def run_id(self) -> str:
        """The run's own id, or the folder's name where `run.json` has none."""
        return str(self.run.get("run_id") or self.folder.name)

    @property
    def suite(self) -> str:
        """The name of the suite, or of the folder."""
        return str(self.run.get("suite") or self.folder.name)


class Estimate(NamedTuple):
    """A number and its interval; NaN where unknown."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def known(self) -> bool:
        """Whether there is a number."""
        return math.isfinite(self.value)

    @property
    def bounded(self) -> bool:
        """Whether there is a number with an interval."""
        return self.known and math.isfinite(self.low) and math.isfinite(self.high)

    def below(self, other: Estimate) -> bool:
        """Whether this interval ends before the other begins; never without both intervals."""
        return self.at_most(other) and self.high != other.low

    def at_most(self, other: Estimate) -> bool:
        """Whether this interval ends where the other begins, or before; never without both intervals."""
        return self.bounded and other.bounded and self.high <= other.low


def numeric(frame: pd.DataFrame, column: str) -> pd.Series[float]:
    """A column as floats; NaN where it is missing, not a number, or infinite."""
    if column not in frame:
        return pd.Series(np.nan, index=frame.index, dtype=float)
    known = frame[column]
    if known.dtype == np.float64 and not np.isinf(known.to_numpy()).any():
        return known
    values = pd.to_numeric(known, errors="coerce").astype(float)
    return values.where(np.isfinite(values))


def text(frame: pd.DataFrame, column: str) -> pd.Series[str]:
    """A column as strings; empty where it is missing."""
    if column not in frame:
        return pd.Series("", index=frame.index, dtype=object)
    return pd.Series(list(map(plain, frame[column].tolist())), index=frame.index, dtype=object)


def plain(value: Any) -> str:
    """One value as people write it: no NaN, no trailing zeros."""
    if type(value) is str:  # nearly all are
        return value
    if value is None or (not isinstance(value, list | tuple | dict) and pd.isna(value)):
        return ""
    if isinstance(value, float | np.floating):
        return f"{value:.10g}"
    return str(value)


def brief(words: str, most: int = 60) -> str:
    """Words on one line, at most `most` characters: names come from suites and can be of any length."""
    line = " ".join(words[: 20 * most].split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def estimate(row: pd.Series[Any] | dict[Hashable, Any], column: str) -> Estimate:
    """The value of `column` in one row with its interval."""
    low, value, high = (_number(row.get(column + end)) for end in (LOW, "", HIGH))
    return Estimate(value, low, high)


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def is_ok(frame: pd.DataFrame) -> pd.Series[bool]:
    """Which cells finished; a table without `status` holds only those that did."""
    return text(frame, "status").isin(["ok", ""])


def variants(view: RunView) -> list[str]:
    """Variants of the run: the baselines first, then by name."""
    return sorted(set(text(view.table, "variant")), key=variant_rank)


def variant_rank(name: str) -> tuple[int, str]:
    """Sort key of variants: single-task networks, the static network, then by name."""
    return (FIRST_VARIANTS.index(name) if name in FIRST_VARIANTS else len(FIRST_VARIANTS), name)


def axes(frame: pd.DataFrame) -> list[str]:
    """Axis columns that hold anything."""
    return [
        str(name) for name in frame.columns if str(name).startswith("axis.") and frame[name].notna().any()
    ]


def swept(frame: pd.DataFrame) -> list[str]:
    """Axis columns of which some variant has more than one value."""
    values = {name: text(frame, name).groupby(text(frame, "variant")).nunique() for name in axes(frame)}
    return [name for name, counts in values.items() if (counts > 1).any()]


def axis_text(frame: pd.DataFrame) -> pd.Series[str]:
    """For each row its axis point: the axes that its variant was swept over, by name and value."""
    described = pd.Series("", index=frame.index, dtype=object)
    for name in axes(frame):
        values = text(frame, name)
        swept = values.groupby(text(frame, "variant")).transform("nunique") > 1
        part = (name.removeprefix("axis.") + " " + values).where(swept & (values != ""), "")
        described = described + np.where((described != "") & (part != ""), ", ", "") + part
    return described
