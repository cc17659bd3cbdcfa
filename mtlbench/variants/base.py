"""The contract of a variant: a way to run a set of tasks, with its knobs, its weights and its honesty.

A variant is *declared* without torch (name, axes, modes, waivers, provenance, artifact graph), so that a suite is
planned quickly; it is *built* in a worker process, where `configure` gives a `Runnable`, the only thing that is ever
timed, counted or asked for a prediction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from mtlbench.component import Component
from mtlbench.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mtlbench.cost.units import CostUnit
    from mtlbench.training.artifact import Artifact, Problem, Source
    from mtlbench.training.recipe import Recipe

__all__ = [
    "Axis",
    "Decision",
    "Mode",
    "Point",
    "Provenance",
    "Runnable",
    "Trace",
    "Variant",
    "Waiver",
    "registry",
]

Mode = Literal["reference", "masked", "gathered", "compact", "exported"]
Decision = Literal["static", "task", "sample", "token", "channel"]
Waiver = Literal["stochastic", "batch_coupled", "subset_dependent"]
AxisValue: TypeAlias = int | float | str
Point: TypeAlias = Mapping[str, AxisValue]


@dataclass(frozen=True, slots=True)
class Axis:
    """A knob that a suite sweeps.

    Args:
        name: as suites and the column `axis.<name>` call it.
        grid: default points of a sweep; the first is full compute.
        when: the latest moment at which it may change, so what a sweep must redo.
        meaning: `exact` MACs, an `expected` value over data, or only a training `target`.
        scope: `global`, `encoder` or `head:<task>`.
        is_budget: the value is the asked share of the reference's MACs.
        low, high: smallest and largest value that makes sense, where the axis is a number.
    """

    name: str
    grid: tuple[AxisValue, ...]
    when: Literal["train", "build", "configure", "call"]
    meaning: Literal["exact", "expected", "target"]
    scope: str = "global"
    is_budget: bool = False
    low: float | None = None
    high: float | None = None

    def refuse(self, value: AxisValue) -> str | None:
        """Why a value is not one of this axis, half a sentence; None where it is."""
        numeric = all(not isinstance(point, str) for point in self.grid)
        if numeric and isinstance(value, str):
            return "must be a number"
        if not numeric and value not in self.grid:
            return f"must be one of {', '.join(map(str, self.grid))}"
        if self.low is not None and not isinstance(value, str) and value < self.low:
            return f"must be at least {self.low:g}"
        if self.high is not None and not isinstance(value, str) and value > self.high:
            return f"must be at most {self.high:g}"
        return None

    def canonical(self, value: AxisValue) -> AxisValue:
        """`1` as `1.0` on an axis of fractions, so that both are one cell."""
        fractional = any(isinstance(point, float) for point in self.grid)
        return float(value) if fractional and isinstance(value, int) else value


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a variant comes from, and how faithful it is.

    Args:
        paper: authors, title, venue and year; or `ours`.
        fidelity: as the `paper` says, as the released `code` does, or `adapted`.
        deviations: each known difference, one sentence.
    """

    paper: str
    fidelity: Literal["paper", "code", "adapted"] = "paper"
    deviations: tuple[str, ...] = ()


@dataclass(slots=True)
class Trace:
    """What one call really did, per sample.

    Args:
        batch: number of samples of the call.
        active: by cost-unit id, float tensor [batch] in [0, 1], the share of the unit that the sample's decisions
            needed; a unit that is left out was needed whole.
        decisions: whatever the runnable needs to replay the call; opaque to everyone else.
        claimed_macs: per sample, what the original authors' formula would print; None where there is none.
        claimed_full_macs: what that formula would print for the same network where everything runs and nothing is
            decided; None where it covers what the reference's MACs cover.
        kept: for pictures, by task (or `all` where tasks share a decision), float tensor [batch, h, w] in [0, 1]: the
            share of the encoder's layers that each token of the h x w grid went through; None for a network
            without token decisions.
    """

    batch: int
    active: Mapping[str, Tensor] | None = None
    decisions: Any = None
    claimed_macs: Sequence[float] | None = None
    claimed_full_macs: float | None = None
    kept: Mapping[str, Tensor] | None = None

    def nominal_macs(self, units: Sequence[CostUnit]) -> list[float]:
        """MACs that each sample's decisions needed: a list of `batch` numbers."""
        active = self.active or {}
        fixed = float(sum(unit.macs for unit in units if unit.id not in active))
        per_sample = [fixed] * self.batch
        for unit in units:
            if unit.id in active:
                shares = active[unit.id].tolist()
                per_sample = [
                    total + share * unit.macs for total, share in zip(per_sample, shares, strict=True)
                ]
        return per_sample


class Runnable(ABC):
    """A configured network on its device, in evaluation mode: what is timed, counted and asked for predictions.

    It is deterministic, blind to labels, and treats the samples of a batch independently, unless its variant declares
    a waiver.
    """

    tasks: tuple[str, ...]

    @abstractmethod
    def __call__(self, x: Tensor, decisions: Trace | None = None) -> tuple[dict[str, Tensor], Trace]:
        """Run once.

        Args:
            x: normalised images [B, 3, H, W] on the runnable's device.
            decisions: a trace of an earlier call, whose decisions are replayed. What decides runs all the same, and its
                answer is put aside: else replayed and forced calls would be timed without it.

        Returns:
            Predictions by task, each [B, C, H, W], and the trace of this call.
        """

    def forced(self, x: Tensor, seed: int) -> Trace | None:
        """Decisions at exactly the configured point, drawn at random; None where there is nothing to decide.

        Untrained networks are measured with them: their own decisions would mean nothing, and might all take one path.

        Args:
            x: the images that will be called with, [B, 3, H, W].
            seed: equal seeds, equal decisions; different ones take other paths at the same cost.
        """
        return None

    def reset(self) -> None:  # noqa: B027  # most runnables have no state, and need not care
        """Forget the state of a stream."""

    @property
    def has_state(self) -> bool:
        """Whether it remembers earlier calls, so that there is something to `reset`."""
        return type(self).reset is not Runnable.reset

    def cache_bytes(self) -> int:
        """Activations of one image that are held for other tasks or for the next frame to take; 0 for none."""
        return 0

    @abstractmethod
    def units(self) -> list[CostUnit]:
        """Cost units of the configured tasks at full compute, policy and gathering included."""

    @abstractmethod
    def networks(self) -> list[nn.Module]:
        """All modules that must be resident in memory for this runnable to run."""

    @abstractmethod
    def parts(self) -> list[tuple[str, nn.Module]]:
        """(part, module) pairs by which counted MACs are attributed; see `CostUnit.part`."""


class Variant(Component, ABC):
    """A way to run a set of tasks.

    Class attributes:
        family: the group it is reported under.
        axes: its knobs; empty for a variant with nothing to sweep.
        decision: the finest unit for which decisions may differ.
        passes: encoder passes that T tasks on one image cost: `one`, `per_task`, or `prefix` (a shared beginning).
        task_subset: which subsets of its tasks it can run: `any`, `one`, or `all_only`.
        modes: ways in which it can execute; the first is what a suite measures.
        waivers: promises of `Runnable` that it cannot keep, shown wherever its numbers are.
        reference: the variant that is its own dense network for the same tasks; None where it is its own.
        provenance: paper, fidelity, deviations.

    Args:
        problem: what to build for.
        options: as the variant's `Options` say.
    """

    family: ClassVar[str]
    axes: ClassVar[tuple[Axis, ...]] = ()
    decision: ClassVar[Decision] = "static"
    passes: ClassVar[Literal["one", "per_task", "prefix"]] = "one"
    task_subset: ClassVar[Literal["any", "one", "all_only"]] = "any"
    modes: ClassVar[tuple[Mode, ...]] = ("reference",)
    waivers: ClassVar[frozenset[Waiver]] = frozenset()
    reference: ClassVar[str | None] = None
    provenance: ClassVar[Provenance]

    def __init__(self, problem: Problem, **options: Any) -> None:
        self.problem = problem
        self.options = self.Options.model_validate(options)

    @classmethod
    def narrowed(cls, problem: Problem, asked: Sequence[str]) -> Problem:
        """What to build when only some of a problem's tasks are asked for.

        By default everything: the networks that were made for all the tasks. A variant whose tasks share nothing
        overrides this and leaves the others out, as its users would.
        """
        return problem

    def refuse(self, point: Point) -> str | None:
        """Why this problem cannot be run at this point, in one sentence; None where it can.

        What is refused becomes a row without numbers.

        Raises:
            UsageError: the options cannot be meant for this problem; the run ends before it begins.
        """
        return None

    def try_weights(self) -> None:
        """Learn before any work whether a file that the options name can be loaded; most variants start from none.

        Raises:
            UsageError: it is not there, cannot be read, is another one than the options say, or does not fit.
        """

    def can_run(self, asked: Sequence[str]) -> bool:
        """Whether `configure` takes these tasks, by what `task_subset` declares."""
        names = self.problem.task_names
        one = self.task_subset == "one" and len(asked) == 1
        return set(asked) <= set(names) and (self.task_subset == "any" or one or len(asked) == len(names))

    @abstractmethod
    def artifacts(self, point: Point, source: Source) -> tuple[Artifact, ...]:
        """The trained weights that this point needs, in the order in which `build` takes them."""

    @abstractmethod
    def recipe(self, artifact: Artifact) -> Recipe:
        """How to train one of this variant's own artifacts."""

    @abstractmethod
    def build(self, point: Point, seed: int, weights: Sequence[Mapping[str, Tensor]] | None) -> None:
        """Create the networks: from the states of `artifacts`, or with random weights of `seed` where None.

        Raises:
            MtlbenchError: the states do not fit; the message accounts for every key.
        """

    @abstractmethod
    def configure(
        self, point: Point, tasks: Sequence[str] | None = None, mode: Mode | None = None, device: str = "cpu"
    ) -> Runnable:
        """A runnable at one point for some of the tasks; slicing and folding happen here, outside the clock.

        Idempotent: configuring twice, or another point in between, changes no result.

        Args:
            point: a value for each axis.
            tasks: names of the tasks to run, in the problem's order; None for all.
            mode: one of `modes`; None for the first.
            device: a torch device.
        """

    def dense(self, device: str = "cpu") -> Runnable:
        """The variant's own dense network with the same weights: what full compute must equal.

        A variant that names a `reference` overrides this.
        """
        return self.configure({axis.name: axis.grid[0] for axis in self.axes}, device=device)


registry: Registry[type[Variant]] = Registry("variant", "mtlbench.variants")
