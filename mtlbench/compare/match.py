"""Which cells of two runs belong together, and what is to be said about those that have no counterpart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtlbench.compare.sides import RunSide
from mtlbench.compare.verdict import Finding, Tier, Verdict
from mtlbench.hashing import canonical_json
from mtlbench.results.evidence import Evidence, code_version

__all__ = ["Match", "match", "rules_differ"]

CELL = "cell"
_MOST_DIFFERENCES = 3
_ARITHMETIC = tuple(
    f"environment.{name}" for name in ("cpu_model", "cpu_flags", "cpu_capability", "gpu_names", "torch_build")
)


@dataclass(frozen=True)
class Match:
    """One cell that both runs measured.

    Attributes:
        base: what base says about it.
        head: what head says about it.
        machines: ids of the machines of both.
        is_one_of_many: whether both ran it on several machines.
    """

    base: Evidence
    head: Evidence
    machines: tuple[str, str]
    is_one_of_many: bool = False

    @property
    def cell_id(self) -> str:
        """The same in both."""
        cell_id: str = self.head.entry["cell_id"]
        return cell_id

    @property
    def name(self) -> str:
        """What findings call it: its label, and the machine where there are several."""
        return f"{self.label} on {self.machines[1]}" if self.is_one_of_many else self.label

    @property
    def label(self) -> str:
        """Its label."""
        label: str = self.head.entry["label"]
        return label

    @property
    def is_static(self) -> bool:
        """Whether it runs the same for every input."""
        return bool(self.head.entry["decision"] == "static")

    @property
    def is_trained(self) -> bool:
        """Whether predictions mean anything."""
        return self.head.entry["spec"]["training"] is not None

    @property
    def same_weights(self) -> bool:
        """Whether both were evaluated with the same weights."""
        ours, theirs = self.head.evaluation, self.base.evaluation
        return ours is not None and theirs is not None and ours["weights_hash"] == theirs["weights_hash"]

    @property
    def same_arithmetic(self) -> bool:
        """Whether equal weights must give equal numbers to the last digits: the same processor and torch."""
        ours, theirs = self.head.evaluation or {}, self.base.evaluation or {}
        return all(ours.get(name) == theirs.get(name) for name in _ARITHMETIC)

    @property
    def same_data(self) -> bool:
        """Whether both saw the same data."""
        ours, theirs = self.head.evaluation, self.base.evaluation
        return ours is not None and theirs is not None and ours["data_hash"] == theirs["data_hash"]


def match(base: RunSide, head: RunSide) -> tuple[list[Match], list[Finding], list[str]]:
    """Cells of both runs; findings about those that only base has or that failed; notes about the others.

    Cells of equal specification belong together, whatever they are called. Of the others those with one label differ
    in what they are, and what differs is said.
    """
    matches: list[Match] = []
    findings: list[Finding] = []
    idle: list[str] = []
    new = {cell_id: entry for cell_id, entry in head.run["cells"].items() if cell_id not in base.run["cells"]}
    for cell_id, entry in base.run["cells"].items():
        if entry["unsupported"]:
            continue
        if cell_id not in head.run["cells"]:
            findings.append(_without_counterpart(entry, new))
            continue
        for pair in _machines(base.by_cell[cell_id], head.by_cell[cell_id]):
            problem = _unusable(pair)
            if not _was_run(pair.base) and not _was_run(pair.head):
                idle.append(entry["label"])
            elif problem is None:
                matches.append(pair)
            else:
                findings.append(_finding(entry, *problem))
    told = {finding.cell for finding in findings}
    labels = [e["label"] for e in new.values() if e["label"] not in told and not e["unsupported"]]
    notes = [f"Only head has {_listed(labels)}; there is nothing to compare with."] if labels else []
    return matches, findings, [*notes, *([f"Neither run has run {_listed(idle)}."] if idle else [])]


def rules_differ(pair: Match, *components: str) -> str | None:
    """Why numbers of the two were not measured by the same rules, one sentence; None where they were.

    Args:
        pair: a cell of both runs.
        components: whose versions must be equal, such as `measure` or `task:depth`.
    """
    ours, theirs = (
        code_version(side.evaluation) if side.evaluation else {} for side in (pair.head, pair.base)
    )
    for name in components:
        if ours.get(name) != theirs.get(name):
            return (
                f"Version {theirs.get(name)} of `{name}` measured base and version {ours.get(name)} head, which may "
                "give other numbers: measure base again with the newer one."
            )
    return None


def _machines(base: Mapping[str, Evidence], head: Mapping[str, Evidence]) -> Iterator[Match]:
    """On each machine that both ran on; where there is none, base's first beside head's first."""
    common = [machine for machine in base if machine in head]
    for machine in common:
        yield Match(base[machine], head[machine], (machine, machine), len(common) > 1)
    if not common:
        (ours, theirs) = next(iter(head)), next(iter(base))
        yield Match(base[theirs], head[ours], (theirs, ours))


def _was_run(side: Evidence) -> bool:
    return side.evaluation is not None or bool(side.failures)


def _unusable(pair: Match) -> tuple[Verdict, str] | None:
    """Why a cell of both runs cannot be compared; None where it can."""
    refused = pair.head.entry["unsupported"]
    if refused:
        return Verdict.MISSING, f"Head can no longer run it: {refused}."
    for name, side in (("head", pair.head), ("base", pair.base)):
        if side.failures:
            last = side.failures[-1]
            return Verdict.MISSING, f"It failed in {name} ({last['kind']}): {last.get('reason')}"
        if side.evaluation is None:
            return Verdict.MISSING, f"It was not run in {name}."
    sentence = rules_differ(pair, "measure")
    return None if sentence is None else (Verdict.NOT_COMPARABLE, sentence)


def _without_counterpart(entry: Mapping[str, Any], new: Mapping[str, Mapping[str, Any]]) -> Finding:
    """About a cell of base whose specification head does not have."""
    for other in new.values():
        if other["label"] == entry["label"]:
            differences = _differences(entry["spec"], other["spec"])
            return _finding(
                entry, Verdict.NOT_COMPARABLE, f"It is specified otherwise in head: {'; '.join(differences)}."
            )
    renamed = next((other for other in new.values() if _renamed(entry["spec"], other["spec"])), None)
    if renamed is not None:
        name = renamed["spec"]["variant"]["name"]
        sentence = f"Head does not have it. Was its variant renamed to {name!r}? {renamed['label']} is otherwise equal."
        return _finding(entry, Verdict.MISSING, sentence)
    return _finding(entry, Verdict.MISSING, "Head does not have it.")


def _renamed(spec: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    def without_name(one: Mapping[str, Any]) -> str:
        return canonical_json({**one, "variant": {**one["variant"], "name": None}})

    return without_name(spec) == without_name(other)


def _differences(base: Any, head: Any, path: str = "") -> list[str]:
    """Where two specifications differ, as `training.epochs 2 -> 4`; at most three, then how many more."""
    found = list(_leaves(base, head, path))
    more = len(found) - _MOST_DIFFERENCES
    return found[:_MOST_DIFFERENCES] + ([f"{more} more"] if more > 0 else [])


def _leaves(base: Any, head: Any, path: str) -> Iterator[str]:
    if isinstance(base, dict) and isinstance(head, dict):
        for key in dict.fromkeys([*base, *head]):
            yield from _leaves(base.get(key), head.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(base, list) and isinstance(head, list) and len(base) == len(head):
        for index, (was, now) in enumerate(zip(base, head, strict=True)):
            yield from _leaves(was, now, f"{path}.{index}")
    elif base != head:
        yield f"{path} {base} -> {head}"


def _listed(labels: Sequence[str]) -> str:
    more = len(labels) - _MOST_DIFFERENCES
    return ", ".join(labels[:_MOST_DIFFERENCES]) + (f" and {more} more" if more > 0 else "")


def _finding(entry: Mapping[str, Any], verdict: Verdict, sentence: str) -> Finding:
    return Finding(entry["label"], CELL, Tier.EXACT, verdict, sentence)
