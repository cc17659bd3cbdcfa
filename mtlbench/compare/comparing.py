"""Two run folders in, one comparison out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mtlbench.compare.exact import exact_findings
from mtlbench.compare.families import families
from mtlbench.compare.front import front_findings
from mtlbench.compare.match import Match, match
from mtlbench.compare.quality import quality_findings
from mtlbench.compare.settings import gate_of, require_known
from mtlbench.compare.sides import RunSide, open_side
from mtlbench.compare.timing import resolution_percent, time_findings
from mtlbench.compare.verdict import Comparison, Finding, Tier, Verdict
from mtlbench.errors import MachineUnfitError, UsageError
from mtlbench.stats.multiple import holm
from mtlbench.suite.gate import Gate

__all__ = ["ThresholdTooFineError", "compare_runs"]

_ORDER = list(Verdict)
_TIERS = list(Tier)


class ThresholdTooFineError(UsageError):
    """A threshold is below what the machine can tell; `comparison` holds what was found all the same."""

    def __init__(self, what: str, *, fix: str, comparison: Comparison) -> None:
        super().__init__(what, where="gate.thresholds", fix=fix)
        self.comparison = comparison


def compare_runs(
    base: Path, head: Path, *, overrides: Sequence[str] = (), tiers: str | None = None
) -> Comparison:
    """What changed from base to head, cell by cell and column by column.

    Args:
        base: a run folder: what is compared against.
        head: a run folder: what is judged; its suite's `gate` section holds the thresholds.
        overrides: texts of the form `gate.a.b=c`.
        tiers: names of tiers, separated by commas; None for what the section says.

    Raises:
        UsageError: a path is no run folder, or a threshold names no column.
        ThresholdTooFineError: a threshold is below what the machine can tell.
        JournalError: a journal cannot be read; names file and line.
        MachineUnfitError: the section demands a quiet machine, and this one was not.
    """
    sides = open_side("base", base), open_side("head", head)
    gate = gate_of(sides[1].run, overrides, tiers)
    pairs, unmatched, told = match(*sides)
    _require_quiet(gate, sides)
    found = [*unmatched, *_findings(pairs, gate)]
    require_known(gate, sides[1].run, found)
    notes = [*_suites(*sides), *told, *(note for side in sides for note in side.notes())]
    notes += [*_gates(*sides, overrides), *_software(pairs), *_same_code(*sides)]
    findings = tuple(_sorted(_with_holm(found)))
    comparison = Comparison(sides[0].told(), sides[1].told(), findings, tuple(notes))
    _require_resolution(gate, pairs, comparison)
    return comparison


def _findings(pairs: Sequence[Match], gate: Gate) -> Iterator[Finding]:
    for pair in pairs:
        if "exact" in gate.tiers:
            yield from exact_findings(pair, gate)
        if "time" in gate.tiers:
            yield from time_findings(pair, gate)
    every = families(pairs)
    if "quality" in gate.tiers:
        for family in every:
            yield from quality_findings(family, family.baselines(every), gate)
    if "front" in gate.tiers:
        yield from front_findings(every, gate)


def _with_holm(findings: Sequence[Finding]) -> list[Finding]:
    """Findings with their level after Holm, over all that were tested."""
    tested = [index for index, finding in enumerate(findings) if finding.p is not None]
    adjusted = dict(zip(tested, holm([findings[index].p or 0.0 for index in tested]), strict=True))
    return [
        replace(finding, p_holm=float(adjusted[index])) if index in adjusted else finding
        for index, finding in enumerate(findings)
    ]


def _sorted(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda f: (_ORDER.index(f.verdict), _TIERS.index(f.tier), f.cell, f.metric))


def _require_quiet(gate: Gate, sides: Sequence[RunSide]) -> None:
    if not gate.quiet_required:
        return
    for side in sides:
        share = side.disturbed_share()
        if share is not None and share >= 0.5:  # half, as the option says
            raise MachineUnfitError(
                f"other work disturbed {share:.0%} of {side.name}'s timed launches, and the suite demands a quiet "
                "machine",
                where=str(side.folder.path),
                fix="Stop the other work and run again, or leave out gate.quiet_required",
            )


def _require_resolution(gate: Gate, pairs: Sequence[Match], comparison: Comparison) -> None:
    """Refuse thresholds that the suite names and that the noise of half of the cells that have them exceeds.

    Raises:
        ThresholdTooFineError: names the threshold, and what the machine can tell.
    """
    ids = {pair.name: (pair.label, pair.cell_id) for pair in pairs}
    told_of: dict[tuple[str, float], list[float]] = {}
    for finding in comparison.findings:
        told = resolution_percent(finding)
        if finding.tier is Tier.TIME and told is not None:
            explicit = gate.explicit(*ids[finding.cell], finding.metric)
            if explicit is not None:
                told_of.setdefault((finding.metric, explicit), []).append(told)
    for (metric, explicit), told_by in told_of.items():
        machine = float(np.median(told_by))
        if explicit < machine:
            raise ThresholdTooFineError(
                f"a threshold of {explicit:g} % for {metric} is below what this machine can tell, which is "
                f"{machine:.2g} % (half the width of the interval, median over {len(told_by)} cells)",
                fix=f"Raise it to {2 * machine:.2g} or more, raise measure.rounds or gate.blocks, or use a quieter "
                "machine",
                comparison=comparison,
            )


def _suites(base: RunSide, head: RunSide) -> list[str]:
    was, now = base.run["suite"], head.run["suite"]
    return (
        [
            f"The runs are of different suites, {was!r} and {now!r}: only cells of equal specification are compared."
        ]
        if was != now
        else []
    )


def _same_code(base: RunSide, head: RunSide) -> list[str]:
    """Whoever meant to compare two versions must see that there was one."""
    was, now = base.told().commits, head.told().commits
    if base.run["run_id"] == head.run["run_id"] or was != now or len(now) != 1 or now[0].endswith("+"):
        return []
    return [f"Both ran the same code, commit {now[0]}: what differs is chance."]


def _gates(base: RunSide, head: RunSide, overrides: Sequence[str]) -> list[str]:
    """Thresholds that head's suite changed: whoever reviews it must see that."""
    try:
        was, now = (gate_of(side.run, (), None) for side in (base, head))
    except UsageError as error:
        return [f"The thresholds of {base.name} are of another version and were not looked at: {error.what}."]
    changed = [name for name in Gate.model_fields if getattr(was, name) != getattr(now, name)]
    said = [
        f"Head's suite changes gate.{name} ({getattr(was, name)} -> {getattr(now, name)})."
        for name in changed
    ]
    return [*said, *([f"Set on the command line: {', '.join(overrides)}."] if overrides else [])]


def _software(pairs: Sequence[Match]) -> list[str]:
    """Versions of other software that changed with the code."""
    names = ("python", "torch", "numpy", "kernel", "governor", "cpu_microcode")
    changed: dict[str, None] = {}
    for pair in pairs:
        ours, theirs = pair.head.any_launch or {}, pair.base.any_launch or {}
        for name in names:
            was, now = theirs.get(f"environment.{name}"), ours.get(f"environment.{name}")
            if was != now:
                changed[f"{name} {was} -> {now}"] = None
    return [f"Not only mtlbench differs: {', '.join(changed)}."] if changed else []
