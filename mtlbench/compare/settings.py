"""Which thresholds a comparison uses: those of the head run's suite, with what the command line changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mtlbench.compare.verdict import Finding
from mtlbench.errors import UsageError, did_you_mean
from mtlbench.suite.gate import Gate
from mtlbench.suite.overrides import apply_override
from mtlbench.suite.problems import raise_validation
from mtlbench.suite.yaml_source import Document, KeyPath, Position

__all__ = ["COLUMNS", "gate_of", "require_known"]

COLUMNS = (
    *("params", "params_active", "weights_mib", "cache_mib", "memory_tensors_mib", "paths", "paths.images"),
    *("macs_executed", "macs_nominal", "macs_policy"),
    *("latency_ms", "energy_mj", "memory_launch_mib", "delta_m", "hypervolume"),
)
"""What can have a threshold, beside what belongs to a task."""


def gate_of(run: Mapping[str, Any], overrides: Sequence[str], tiers: str | None) -> Gate:
    """The `gate` section of a run, or its defaults where the run is older than that.

    Args:
        run: `run.json`.
        overrides: texts of the form `gate.a.b=c`.
        tiers: names of tiers, separated by commas; None for what the section says.

    Raises:
        UsageError: an override is malformed, or a value is not one that it can have.
    """
    section = {"gate": run.get("gate") or {}}
    at = Position(Path("run.json"), 1, 1)
    document = Document(section, dict.fromkeys(_paths(section), at), {})
    for text in overrides:
        if not text.startswith("gate."):
            raise UsageError(
                "only the gate section can be changed here", where=f"--set {text}", fix="Start it with gate."
            )
        document = apply_override(document, text)
    if tiers is not None:
        document = apply_override(document, f"gate.tiers=[{tiers}]")
    try:
        return Gate.model_validate(document.value["gate"])
    except ValidationError as error:
        raise_validation(document, error, Gate, ("gate",))


def _paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """The place of every value in a document, itself included."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from _paths(item, (*path, key))


def require_known(gate: Gate, run: Mapping[str, Any], findings: Iterable[Finding]) -> None:
    """Refuse thresholds of columns that no comparison of this suite has: a mistyped name would let anything pass.

    Args:
        gate: thresholds.
        run: `run.json`, which names the tasks.
        findings: of the tiers that were compared.

    Raises:
        UsageError: names the pattern and the nearest column.
    """
    tasks = {f"metric.{task}.{of['metric']}" for task, of in run["primary"].items()}
    metrics = {finding.metric for finding in findings} | tasks | set(COLUMNS)
    metrics |= {f"predictions.{task}" for task in run["primary"]}
    for pattern in gate.patterns():
        if not any(fnmatchcase(metric, pattern) for metric in metrics):
            raise UsageError(
                f"nothing that is compared is called {pattern!r}",
                where="gate.thresholds",
                fix=did_you_mean(pattern, metrics),
            )
