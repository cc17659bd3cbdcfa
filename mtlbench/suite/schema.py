"""The schema of a suite file. Option values of components are validated by the components themselves.

Every field's description is what `docs/suites.md` prints, so it is written for users.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from mtlbench.suite.gate import Gate
from mtlbench.training.protocol import TrainingProtocol

__all__ = ["ComponentRef", "Hardware", "Measure", "Suite", "TaskSet", "VariantRef"]

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ComponentRef(BaseModel):
    """A registered component: its name, and any of its options beside it."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    name: str = Field(description="registered name, see `mtlbench ls`")

    @property
    def options(self) -> dict[str, Any]:
        """The options as written."""
        return dict(self.model_extra or {})


class VariantRef(ComponentRef):
    """A variant, the points of its axes to sweep, and any of its options."""

    axes: dict[str, list[int | float | str]] = Field(
        default_factory=dict,
        description="points of each axis; an axis that is left out is swept over the variant's own grid",
    )


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _task_sets(value: Any) -> Any:
    """One set, or a list of sets, as a list of sets; the same by dataset."""
    if isinstance(value, dict):
        return {name: _task_sets(sets) for name, sets in value.items()}
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and all(isinstance(item, str) and item != "all" for item in value):
        return [value]
    return value


Ref = Annotated[ComponentRef, BeforeValidator(_named)]
Variants = Annotated[list[Annotated[VariantRef, BeforeValidator(_named)]], BeforeValidator(_listed)]
Refs = Annotated[list[Ref], BeforeValidator(_listed)]


def _distinct_names(value: list[str]) -> list[str]:
    if len(set(value)) != len(value):
        raise ValueError("names a task twice")
    return value


def _asked(value: Any) -> Any:
    """One way to ask, or a list of ways, as a list of ways."""
    is_one_set = isinstance(value, list) and value and not {"all", "each"}.intersection(map(str, value))
    return [value] if is_one_set and all(isinstance(item, str) for item in value) else _listed(value)


_Names = Annotated[list[str], Field(min_length=1), AfterValidator(_distinct_names)]
TaskSet = Literal["all"] | _Names
TaskSets = Annotated[list[TaskSet], Field(min_length=1)]
_ALL: list[TaskSet] = ["all"]
Ask = Literal["all", "each"] | _Names


class Hardware(BaseModel):
    """A named way to run."""

    model_config = _STRICT

    device: str = Field(
        default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$", description="`cpu`, `cuda` or `cuda:N`"
    )
    threads: int = Field(
        default=1, ge=1, le=1024, description="intra-op threads; two beside any other job can be 100x slower"
    )
    precision: Literal["fp32"] = Field(default="fp32", description="number format of weights and activations")
    runtime: Literal["eager"] = Field(default="eager", description="how the network is executed")
    batch: int = Field(
        default=1, ge=1, le=4096, description="images per call; batch 1 and batch N are different cells"
    )

    @property
    def label(self) -> str:
        """Short name, used in tables and groups: `cpu-1t-b1`, and what is not the default."""
        plain = f"{self.device.replace(':', '')}-{self.threads}t-b{self.batch}"
        special = [str(getattr(self, name)) for name in ("precision", "runtime") if name in self._special()]
        return "-".join([plain, *special])

    def _special(self) -> set[str]:
        fields = type(self).model_fields
        return {name for name in fields if getattr(self, name) != fields[name].default}


class Measure(BaseModel):
    """What is measured and how long it may take."""

    model_config = _STRICT

    inputs: int = Field(
        default=16,
        ge=1,
        description="test calls (each a batch) that are timed, each issued equally often",
    )
    rounds: int = Field(
        default=5, ge=5, description="repeats of every input per launch; the floor is taken over them"
    )
    launches: int = Field(
        default=6,
        ge=0,
        description="fresh processes per cell, one per block; 6 give a 95 % interval, 0 leaves time and energy out",
    )
    order: Literal["shuffled", "abba"] = Field(
        default="shuffled", description="order of a group's members within blocks"
    )
    max_seconds: float = Field(default=20.0, gt=0, description="bound on the timed part of one launch")
    warmup_max_seconds: float = Field(default=10.0, gt=0, description="bound on warming up in one launch")
    energy: str = Field(
        default="auto",
        description="meter: `auto`, or a name from `mtlbench ls meters` (`unmetered` for none)",
    )
    energy_min_seconds: float = Field(
        default=5.0, gt=0, description="shortest energy window, where there is a meter"
    )
    energy_required: bool = Field(default=False, description="refuse a machine without a meter (exit code 5)")
    requeue: int = Field(
        default=2,
        ge=0,
        le=2,
        description="how often a launch that other work disturbed is repeated; what stays disturbed is marked",
    )
    frame_rate_hz: float | None = Field(
        default=None,
        gt=0,
        le=10_000,
        description="also an open loop: frames (calls) of a camera at this rate, and how many miss the next frame",
    )
    poisson_rate_hz: float | None = Field(
        default=None,
        gt=0,
        le=10_000,
        description="also an open loop: calls that arrive at random at this rate",
    )
    poisson_seed: int = Field(default=0, ge=0, lt=2**31, description="of the random arrivals")
    arrival_seconds: float = Field(
        default=5.0, gt=0, le=600, description="length of each open loop in a launch"
    )
    profile: bool = Field(
        default=True,
        description="one more launch per cell for memory and for time by part, apart from the timed ones",
    )
    resamples: int = Field(default=1000, ge=100, description="bootstrap resamples of quality intervals")
    crosscheck: bool = Field(
        default=True, description="count each static network with fvcore and ptflops too"
    )


class Suite(BaseModel):
    """A suite: a matrix over variants, axis points, datasets, task sets, hardware and seeds."""

    model_config = _STRICT

    suite: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="name; also the default output folder"
    )
    description: str = Field(default="", description="one or two sentences, shown in reports")
    datasets: Refs = Field(min_length=1, description="datasets; each takes `size: [height, width]`")
    tasks: Annotated[TaskSets | dict[str, TaskSets], BeforeValidator(_task_sets)] = Field(
        default=_ALL,
        description="task sets to train for: `all` (what a dataset has), one list of names, or a list of such sets; or "
        "these by dataset name, where a dataset that is not named takes `all`",
    )
    ask: Annotated[list[Ask], BeforeValidator(_asked)] = Field(
        default=["all"],
        min_length=1,
        description="which of its tasks a network is asked for: `all`, `each` alone, or lists of names; every way of "
        "asking is a row of its own, with the same weights",
    )
    encoders: Refs = Field(min_length=1, description="encoders")
    head: Ref = Field(default=ComponentRef(name="multiscale"), description="head of every task")
    variants: Variants = Field(min_length=1, description="variants, with the points of their axes")
    hardware: Annotated[list[Hardware], BeforeValidator(_listed)] = Field(
        default=[Hardware()], min_length=1, description="ways to run"
    )
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], BeforeValidator(_listed)] = Field(
        default=[0], min_length=1, description="seeds of initialisation and training"
    )
    baselines: list[str] = Field(
        default=["single_task"],
        description="variants that the plan adds where they are missing, so that savings and delta-m exist",
    )
    training: Literal["random"] | TrainingProtocol = Field(
        default=TrainingProtocol(),
        description="training protocol; `random` = untrained weights, cost and time only",
    )
    measure: Measure = Field(default=Measure(), description="what is measured and for how long")
    gate: Gate = Field(default=Gate(), description="what a comparison with another run lets pass")

    @field_validator("seeds", "tasks", "ask")
    @classmethod
    def _distinct(cls, value: list[Any] | dict[str, list[Any]]) -> list[Any] | dict[str, list[Any]]:
        for items in value.values() if isinstance(value, dict) else [value]:
            if any(item in items[:i] for i, item in enumerate(items)):
                raise ValueError("holds the same value twice")
        return value

    def task_sets(self, dataset: str) -> list[TaskSet]:
        """The task sets of a dataset, by its registered name."""
        return self.tasks.get(dataset, _ALL) if isinstance(self.tasks, dict) else self.tasks
