"""What the journal says about one cell: the launches that count, and the statistics beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mtlbench import tasks
from mtlbench.errors import JournalError
from mtlbench.measure.warnings import DISTURBED
from mtlbench.results.folder import RunFolder
from mtlbench.results.journal import Launch
from mtlbench.tasks.base import Task

__all__ = ["Evidence", "code_version", "gather", "is_disturbed", "mixed_code"]

# Two launches of one block whose starts are further apart than this did not run side by side.
_APART_S = 600.0
_CODE = "code_version."
_OWN_CODE = ("environment.mtlbench", "environment.git_commit")


@dataclass
class Evidence:
    """One cell on one machine.

    Args:
        entry: the cell's entry in `run.json`.
        folder: the run folder.
        evaluation: the last evaluation that succeeded, or None.
        profile: the last launch for memory and time by part that succeeded with the same, or None.
        timings: by block, the launch that succeeded with the evaluation's weights, data and code; of several the first
            that nothing disturbed, or else the last.
        failures: launches that failed and were not made good since.
    """

    entry: Mapping[str, Any]
    folder: RunFolder
    evaluation: Launch | None = None
    profile: Launch | None = None
    timings: dict[int, Launch] = field(default_factory=dict)
    failures: list[Launch] = field(default_factory=list)

    @property
    def any_launch(self) -> Launch | None:
        """A launch that names identity and environment, timings first."""
        known = [*self.failures, *filter(None, [self.evaluation]), *self.timings.values()]
        return known[-1] if known else None

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The tasks that the cell is asked for, for their metrics."""
        specs = {spec["name"]: spec["options"] for spec in self.entry["spec"]["problem"]["tasks"]}
        return {name: tasks.registry.get(name)(**specs[name]) for name in self.asked}

    @property
    def asked(self) -> list[str]:
        """Names of the tasks that the cell is asked for."""
        spec = self.entry["spec"]
        asked: list[str] = spec.get("asked") or [task["name"] for task in spec["problem"]["tasks"]]
        return asked

    @property
    def lacks_samples(self) -> bool:
        """Whether a launch that counts has lost the file with its samples."""
        launches = [*filter(None, [self.evaluation]), *self.timings.values()]
        return not all(self.folder.has_samples(launch) for launch in launches)

    @cached_property
    def statistics(self) -> dict[str, NDArray[np.float64]]:
        """Sufficient statistics by task, [images, S]; empty for untrained weights."""
        path = self._images
        if path is None:
            return {}
        names = [name for name in _column_names(path) if name.startswith("statistics.")]
        columns = _columns(path, *names)
        return {name.removeprefix("statistics."): _matrix(path, name, columns[name]) for name in names}

    @cached_property
    def image_ids(self) -> list[str]:
        """Ids of the evaluated images, in the order of `statistics`."""
        path = self._images
        return [] if path is None else [str(image) for image in _columns(path, "id")["id"].to_pylist()]

    @cached_property
    def image_macs(self) -> NDArray[np.float64]:
        """Executed MACs of the evaluated images, in the order of `statistics`; empty where samples are gone."""
        path = self._images
        macs = [] if path is None else _columns(path, "macs_executed")["macs_executed"].to_pylist()
        return np.array(macs, dtype=np.float64)

    @property
    def _images(self) -> Path | None:
        """The file with what was kept of each image; None where nothing was evaluated or it is gone."""
        launch = self.evaluation
        return self.folder.sample_file(launch) if launch and self.folder.has_samples(launch) else None

    @cached_property
    def latencies_ms(self) -> NDArray[np.float64]:
        """All calls of all launches, pooled."""
        launches = [launch for launch in self.timings.values() if self.folder.has_samples(launch)]
        paths = [self.folder.sample_file(launch) for launch in launches]
        columns = [_columns(path, "latency_ns")["latency_ns"].to_numpy() for path in paths]
        return np.concatenate(columns) / 1e6 if columns else np.empty(0)

    def numbers(self, key: str) -> NDArray[np.float64]:
        """The values of one key over the timing launches that have it."""
        values = [launch.get(key) for launch in self.timings.values()]
        return np.array([v for v in values if v is not None and math.isfinite(v)], dtype=np.float64)

    def with_rounds(self, launch: Launch, rounds: int) -> Launch:
        """A timed launch as if it had ended after so many rounds; its floors are not numbers where samples are gone."""
        floors: list[float] = [math.nan] * len(launch["floors_ms"])
        if self.folder.has_samples(launch):
            calls = _columns(self.folder.sample_file(launch), "round", "input", "latency_ns")
            early = calls["round"].to_numpy() < rounds
            of_input = [early & (calls["input"].to_numpy() == number) for number in range(len(floors))]
            latency_ms = calls["latency_ns"].to_numpy() / 1e6
            floors = [float(latency_ms[rows].min(initial=np.inf)) for rows in of_input]
        return {**launch, "floors_ms": floors, "n_rounds": rounds}

    def pairs(self, other: Evidence) -> list[tuple[Launch, Launch]]:
        """Own and other's launches of the same block that ran side by side."""
        both = [(own, other.timings[block]) for block, own in self.timings.items() if block in other.timings]
        return [
            (own, its) for own, its in both if abs(own["started_unix_s"] - its["started_unix_s"]) <= _APART_S
        ]

    def not_comparable(self, other: Evidence) -> str | None:
        """Why numbers of the two must not be put in one ratio or difference, one sentence; None where they may."""
        if self.evaluation is None or other.evaluation is None:
            return "One of the two was not evaluated."
        if self.evaluation.get("data_hash") != other.evaluation.get("data_hash"):
            return "It and its baseline saw different data; run the suite again."
        mine, its = code_version(self.evaluation), code_version(other.evaluation)
        changed = sorted(name for name in mine.keys() & its.keys() if mine[name] != its[name])
        if changed:
            return f"It and its baseline ran different code ({', '.join(changed)}); run the suite again."
        return None


def _columns(path: Path, *names: str) -> pa.Table:
    """Columns of a file of samples, which is opened once.

    Raises:
        JournalError: the file is damaged or lacks one of them; names both.
    """
    try:
        table = pq.read_table(path, columns=list(names))
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, f"cannot be read: {error}") from error
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise _unreadable(path, f"lacks the column {missing[0]}")
    return table


def _column_names(path: Path) -> list[str]:
    try:
        names: list[str] = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, f"cannot be read: {error}") from error
    return names


def _matrix(path: Path, name: str, column: pa.ChunkedArray) -> NDArray[np.float64]:
    """A column of equally long lists of numbers, [rows, length]."""
    try:
        rows = np.array(column.to_pylist(), dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise _unreadable(path, f"{name} is no table of numbers") from error
    if rows.ndim != 2:  # rows by length
        raise _unreadable(path, f"{name} is no table of numbers")
    return rows


def _unreadable(path: Path, what: str) -> JournalError:
    return JournalError(
        what, where=str(path), fix="Remove it and run the suite again, which repeats that launch"
    )


def gather(
    folder: RunFolder, run: Mapping[str, Any], launches: Iterable[Launch] | None = None
) -> dict[tuple[str, str], Evidence]:
    """Evidence by (cell, machine), for every cell of `run.json`.

    A cell without launches is on the run's only machine, or on one without a name.
    Where `run.json` says which launches count on a machine (`current`), no others do; elsewhere the last ones count.
    """
    cells = run["cells"]
    grouped: dict[tuple[str, str], list[Launch]] = {}
    for launch in folder.launches() if launches is None else launches:
        if launch["cell_id"] in cells:
            grouped.setdefault((launch["cell_id"], launch["machine_id"]), []).append(launch)
    machines: dict[str, list[str]] = {}
    for cell_id, machine in grouped:
        machines.setdefault(cell_id, []).append(machine)
    known = sorted({machine for _, machine in grouped})
    # A cell that was not run yet belongs to the run's machine, where there is only one.
    elsewhere = known if len(known) == 1 else [""]
    found = {}
    for cell_id, entry in cells.items():
        for machine in machines.get(cell_id, elsewhere):
            own = grouped.get((cell_id, machine), [])
            current = run.get("current", {}).get(machine)
            keys = _last_keys(own) if current is None else current.get(cell_id, {})
            found[cell_id, machine] = _evidence(entry, folder, own, keys, run["measure"]["launches"])
    return found


def _last_keys(launches: Iterable[Launch]) -> dict[str, str]:
    return {launch["kind"]: launch["reuse_key"] for launch in launches if launch["status"] == "ok"}


def _evidence(
    entry: Mapping[str, Any],
    folder: RunFolder,
    launches: Iterable[Launch],
    keys: Mapping[str, str],
    blocks: int,
) -> Evidence:
    evidence = Evidence(entry, folder)
    open_failures: dict[tuple[str, int], Launch] = {}
    timings: list[Launch] = []
    repeated: set[tuple[str, int]] = set()
    for launch in launches:
        place = (launch["kind"], launch["block"])
        if launch["status"] != "ok":
            if place not in repeated:  # else the launch that was to be repeated counts
                open_failures[place] = launch
        elif launch["reuse_key"] == keys.get(launch["kind"]):
            open_failures.pop(place, None)
            if is_disturbed(launch):
                repeated.add(place)
            if launch["kind"] == "evaluate":
                evidence.evaluation = launch
            elif launch["kind"] == "profile":
                if evidence.profile is None or is_disturbed(evidence.profile):
                    evidence.profile = launch
            else:
                timings.append(launch)
    origin = _origin(evidence.evaluation)
    if evidence.profile is not None and _origin(evidence.profile) != origin:
        evidence.profile = None
    for launch in (launch for launch in timings if _origin(launch) == origin):
        known = evidence.timings.get(launch["block"])
        if known is None or is_disturbed(known) or not folder.has_samples(known):
            evidence.timings[launch["block"]] = launch
    evidence.failures = [
        failure
        for (kind, block), failure in open_failures.items()
        if (kind != "time" or block < blocks)
        and (not keys or failure["weights_hash"] == "failed" or failure["reuse_key"] == keys.get(kind))
    ]
    return evidence


def is_disturbed(launch: Launch) -> bool:
    """Whether something beside the call took time from a timed window."""
    return not DISTURBED.isdisjoint(launch.get("warnings", ()))


def _origin(launch: Launch | None) -> tuple[Any, ...]:
    """What a row's launches must share: the same weights, data and code."""
    if launch is None:
        return ()
    return (launch.get("weights_hash"), launch.get("data_hash"), code_version(launch))


def mixed_code(found: Iterable[Evidence]) -> bool:
    """Whether the launches of some cells come from different versions of mtlbench or of one extension."""
    seen: dict[str, set[Any]] = {}
    for evidence in found:
        for launch in (evidence.evaluation, evidence.profile, *evidence.timings.values()):
            if launch is None:
                continue
            known = {key: launch.get(key) for key in _OWN_CODE} | launch.get("extensions", {})
            for key, code in known.items():
                if code is not None:
                    seen.setdefault(key, set()).add(code)
    return any(len(codes) > 1 for codes in seen.values())


def code_version(launch: Launch) -> dict[str, int]:
    """Versions by component, from the launch's flat keys."""
    return {
        key.removeprefix(_CODE): version for key, version in sorted(launch.items()) if key.startswith(_CODE)
    }
