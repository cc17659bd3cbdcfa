"""Options of computation sharing between tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from mtlbench import component
from mtlbench.errors import UsageError

__all__ = ["PrefixOptions", "SharingOptions", "ThresholdOptions", "base_of", "shared_blocks"]

_Share = Annotated[float, Field(ge=0, le=10)]
PREFERRED_BASE = "semseg"


class PrefixOptions(component.Options):
    """Sub-tasks that branch off a base task's network.

    Attributes:
        base: the base task; by default semseg, as in the paper, and the first task where there is none.
        branch_share: epochs of a sub-task's training, which starts from the base task's weights, as a share of the
            suite's.
    """

    base: str | None = None
    branch_share: Annotated[float, Field(gt=0, le=10)] = 1.0


class SharingOptions(component.Options):
    """Sub-tasks as low-rank differences of weights and token-wise differences of activations.

    Attributes:
        base: the base task; by default semseg, as in the paper, and the first task where there is none.
        rank: of the difference of each weight matrix.
        scale: factor of each difference, so that its thin matrices learn faster than the rest (alpha / rank in LoRA).
        below: what a token gets that differs too little to be computed: what the `base` task's has become, or that and
            the difference that it came with (`carried`).
        delta_share: epochs of the first stage (differences of weights, everything computed), as a share of the suite's.
        gate_share: epochs of the second stage (tokens chosen, densities of all sizes), as a share of the suite's.
        sparsity: weight of the penalty on differences of activations in the second stage: the mean over layers of the
            group norm of each token's difference, as a share of the norm of the base task's token.
        full_share: share of the second stage's steps at full density.
    """

    base: str | None = None
    rank: Annotated[int, Field(ge=1, le=1024)] = 8
    scale: Annotated[float, Field(gt=0)] = 4.0
    below: Literal["base", "carried"] = "base"
    delta_share: _Share = 1.0
    gate_share: Annotated[float, Field(gt=0, le=10)] = 1.0
    sparsity: Annotated[float, Field(ge=0)] = 0.0
    full_share: Annotated[float, Field(ge=0, le=1)] = 0.2


class ThresholdOptions(SharingOptions):
    """The same, and thresholds of one's own.

    Attributes:
        thresholds: one for each block of a branch, in place of those that are solved for a density below 1.0, which
            then only says how many tokens forced decisions compute.
    """

    thresholds: component.Row[tuple[Annotated[float, Field(ge=0)], ...]] | None = None


def base_of(named: str | None, names: Sequence[str]) -> str:
    """The base task among the tasks of a problem.

    Raises:
        UsageError: the one that is named is not there.
    """
    if named is None:
        return PREFERRED_BASE if PREFERRED_BASE in names else names[0]
    if named not in names:
        raise UsageError(
            f"the base task {named} is not among the tasks {', '.join(names)}",
            fix="Name one of them as the option `base`, or leave it out",
        )
    return named


def shared_blocks(point: Mapping[str, int | float | str]) -> int:
    """The value of the axis of that name.

    Raises:
        UsageError: it is not a whole number.
    """
    value = point["shared_blocks"]
    if not isinstance(value, int):
        raise UsageError(f"shared_blocks is a number of blocks, not {value!r}", fix="Give a whole number")
    return value
