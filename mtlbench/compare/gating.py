"""Running two versions of the code side by side, confirming what is suspected, and comparing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mtlbench.compare.comparing import compare_runs
from mtlbench.compare.match import match
from mtlbench.compare.sides import open_side
from mtlbench.compare.timing import flagged
from mtlbench.compare.turns import Request, RunningSide, take_turns
from mtlbench.compare.verdict import Comparison
from mtlbench.errors import UsageError
from mtlbench.execute.run import timing_lock_path
from mtlbench.locks import file_lock, try_lock
from mtlbench.results.folder import RunFolder, require_folder
from mtlbench.suite.gate import Gate

__all__ = ["GatePlan", "run_gate"]


@dataclass(frozen=True)
class GatePlan:
    """What is run.

    Attributes:
        suite: path of the suite file; both sides read the same.
        gate: its thresholds and numbers of blocks.
        base: command that starts base's mtlbench.
        head: command that starts head's.
        out: folder that gets the run folders `base` and `head`.
        overrides: texts of the form `a.b=c`, for both sides.
        only: a shell pattern over cells, or None.
        resume: whether to go on with what a gate that was interrupted left; else all is measured anew.
        retrain: whether each side trains its own weights; else both use one cache, in which versions of components
            tell whose weights are whose.
    """

    suite: Path
    gate: Gate
    base: str
    head: str
    out: Path
    overrides: Sequence[str] = ()
    only: str | None = None
    resume: bool = False
    retrain: bool = False

    def arguments(self, side: str) -> list[str]:
        """What a side's mtlbench is told: as many launches as both steps take, and no repeats of its own.

        A repeat comes later than the launch beside it, and one side may repeat where the other does not.
        """
        launches = self.gate.blocks + self.gate.confirm_blocks
        changes = [*self.overrides, f"measure.launches={launches}", "measure.requeue=0"]
        sets = [word for change in changes for word in ("--set", change)]
        only = [] if self.only is None else ["--only", self.only]
        fresh = ["--fresh"] if self.retrain and not self.resume else []
        return ["run", str(self.suite), "--out", str(self.out / side), *sets, *only, *fresh]

    def environment(self, side: str) -> dict[str, str]:
        """Variables of a side: a lock of its own, since whoever gives the turns holds the machine's."""
        own = {"MTLBENCH_LOCK": str(self.out / f".{side}.lock")}
        return own | ({"MTLBENCH_CACHE": str(self.out / f".{side}.cache")} if self.retrain else {})


def run_gate(
    plan: GatePlan,
    said: Callable[[str], None] = lambda _: None,
    on_launch: Callable[[str, Request], None] = lambda _side, _request: None,
) -> Comparison:
    """Run both sides, launch by launch in turn, and compare them.

    Args:
        plan: what is run.
        said: told what is being done, a few words at a time.
        on_launch: told the side and the launch that starts.

    Raises:
        UsageError: a command or the suite is wrong, or a threshold is below what the machine can tell.
        MachineUnfitError: the machine lacks what the suite demands.
    """
    require_folder(plan.out, create=True)
    base = RunningSide("base", plan.base, plan.out / "base.log")
    head = RunningSide("head", plan.head, plan.out / "head.log")
    with _alone(plan.out, said):
        try:
            for side in (base, head):
                said(f"preparing {side.name}")
                _prepare(plan, side)
            said("timing both in turn")
            suspects = _Suspects(plan, said)
            take_turns(base, head, groups=_groups(plan), wanted=suspects.wanted, on_launch=on_launch)
        finally:
            for side in (base, head):
                side.stop()
    own = [text for text in plan.overrides if text.startswith("gate.")]
    return compare_runs(plan.out / "base", plan.out / "head", overrides=own)


@dataclass
class _Suspects:
    """Which launches run: the first blocks of every cell, further ones of cells that those flagged."""

    plan: GatePlan
    said: Callable[[str], None]
    flagged: dict[str, set[str]] = field(default_factory=dict)

    def wanted(self, request: Request) -> bool:
        """Whether a launch is to run; asked when the earlier blocks of its group are done on both sides."""
        if "time" not in self.plan.gate.tiers:
            return False
        if request.block < self.plan.gate.blocks:
            return True
        if request.group not in self.flagged:
            self.flagged[request.group] = self._flagged(request.group)
        return request.cell_id in self.flagged[request.group]

    def _flagged(self, group: str) -> set[str]:
        sides = [open_side(name, self.plan.out / name) for name in ("base", "head")]
        pairs = [pair for pair in match(*sides)[0] if pair.head.entry["group"] == group]
        found = {pair.cell_id: pair.label for pair in pairs if flagged(pair, self.plan.gate)}
        if found:
            self.said(f"confirming {', '.join(found.values())}")
        return set(found)


@contextmanager
def _alone(out: Path, said: Callable[[str], None]) -> Iterator[None]:
    """Be the only gate in this folder, and the only mtlbench that works on this machine."""
    with try_lock(out / ".lock") as holder:
        if holder is not None:
            raise UsageError(
                f"another mtlbench ({holder}) is writing this folder", where=str(out), fix="Wait for it"
            )
        with file_lock(timing_lock_path(), on_wait=lambda by: said(f"waiting for another mtlbench ({by})")):
            yield


def _prepare(plan: GatePlan, side: RunningSide) -> None:
    """Start a side and wait until it asks for its first timed launch, or has nothing left to time.

    Raises:
        UsageError: it timed without asking, so beside nothing.
    """
    folder = RunFolder(plan.out / side.name)
    if not plan.resume:
        folder.forget(set(), everything=True)
    before = _timed(folder)
    side.start(plan.arguments(side.name), plan.environment(side.name))
    side.read()
    if side.ended:
        side.finish()
        if _timed(folder) > before:
            raise UsageError(
                f"{side.name} timed its launches without taking turns: its mtlbench is too old for that",
                where=f"--{side.name} {side.command}",
                fix="Compare with a newer one",
            )


def _timed(folder: RunFolder) -> int:
    """Timed launches in the journal of a run folder, if there is one."""
    return sum(launch["kind"] == "time" for launch in folder.launches())


def _groups(plan: GatePlan) -> list[str]:
    """Comparison groups in the order in which runs go through them."""
    runs = [RunFolder(plan.out / name).require_run() for name in ("base", "head")]
    return list(dict.fromkeys(entry["group"] for run in runs for entry in run["cells"].values()))
