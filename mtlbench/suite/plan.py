"""From a suite to cells: the matrix, the references and baselines it needs, and the groups that are compared.

Pure: nothing is read, trained or measured here, and equal suites give equal plans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import product
from typing import Any, Literal

from mtlbench import data, encoders, tasks, variants
from mtlbench.hashing import digest
from mtlbench.suite.labels import distinct_labels, point_label
from mtlbench.suite.load import LoadedSuite
from mtlbench.suite.schema import Hardware
from mtlbench.training.artifact import Named, Problem

__all__ = ["Cell", "Plan", "plan_suite"]

_ID_DIGITS = 6

Role = Literal["requested", "reference", "baseline"]


@dataclass(frozen=True)
class Cell:
    """One row of the result table.

    Args:
        variant: with its resolved options.
        point: a value for each of its axes.
        problem: encoder, head, tasks and size.
        dataset: with its resolved options.
        hardware: the way to run.
        seed: of initialisation and training.
        training: the resolved protocol, or None for untrained weights.
        inputs: number of test calls that are timed.
        labels: short names for people (`dataset`, `encoder`, `variant`).
        role: asked for by the suite, or added by the plan.
        unsupported: why this product of the matrix cannot be run; None where it can.
        reference_id: the variant's own dense network.
        baseline_ids: by variant, the cells that savings and delta-m are taken against.
    """

    variant: Named
    point: Mapping[str, int | float | str]
    problem: Problem
    dataset: Named
    hardware: Hardware
    seed: int
    training: Mapping[str, Any] | None
    inputs: int
    labels: Mapping[str, str] = field(default_factory=dict)
    role: Role = "requested"
    unsupported: str | None = None
    reference_id: str = ""
    baseline_ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def specification(self) -> dict[str, Any]:
        """All that fixes what is measured, and nothing else; JSON-able."""
        return {
            "variant": self.variant.specification(),
            "point": dict(self.point),
            "problem": self.problem.specification(),
            "dataset": self.dataset.specification(),
            "hardware": self.hardware.model_dump(mode="json"),
            "seed": self.seed,
            "training": None if self.training is None else dict(self.training),
            "inputs": self.inputs,
        }

    @property
    def id(self) -> str:
        """Hash of the specification."""
        return digest(self.specification)

    @property
    def variant_label(self) -> str:
        """Variant and point, `adamtl[keep=0.5]`."""
        return self.labels.get("variant", self.variant.name) + point_label(self.point)

    @property
    def tasks_label(self) -> str:
        """Tasks joined by `+`."""
        return "+".join(self.problem.task_names)

    @property
    def label(self) -> str:
        """Unique in its suite, for people, progress and `--only`."""
        return "/".join(
            [
                self.variant_label,
                self.labels.get("dataset", self.dataset.name),
                self.labels.get("encoder", self.problem.encoder.name),
                self.tasks_label,
                self.hardware.label,
                f"s{self.seed}",
            ]
        )

    @property
    def group(self) -> str:
        """Cells with the same group are compared: same data, tasks, hardware, seed and inputs."""
        return "/".join(
            [
                self.labels.get("dataset", self.dataset.name),
                self.tasks_label,
                self.hardware.label,
                f"s{self.seed}",
            ]
        )


@dataclass(frozen=True)
class Plan:
    """All cells of a suite, in the suite's order, added ones before those that need them."""

    suite: LoadedSuite
    cells: tuple[Cell, ...]

    def groups(self) -> dict[str, list[Cell]]:
        """Runnable cells by comparison group."""
        grouped: dict[str, list[Cell]] = {}
        for cell in self.cells:
            if cell.unsupported is None:
                grouped.setdefault(cell.group, []).append(cell)
        return grouped

    def only(self, pattern: str) -> Plan:
        """Cells whose label or id matches a shell pattern (or holds the text), with what they are compared to."""
        wanted = {cell.id for cell in self.cells if _matches(cell, pattern)}
        needed = {
            needed
            for cell in self.cells
            if cell.id in wanted
            for needed in (cell.reference_id, *cell.baseline_ids.values())
        }
        return replace(self, cells=tuple(cell for cell in self.cells if cell.id in wanted | needed))


def _matches(cell: Cell, pattern: str) -> bool:
    """Brackets are literal, because labels have them; a part of a label or the beginning of an id will do."""
    shell = pattern.replace("[", "[[]")
    is_id = len(pattern) >= _ID_DIGITS and cell.id.startswith(pattern)
    return is_id or pattern in cell.label or fnmatchcase(cell.label, shell) or fnmatchcase(cell.id, shell)


def plan_suite(suite: LoadedSuite) -> Plan:
    """Expand a suite into its cells, and add the references and baselines that they need."""
    cells: dict[str, Cell] = {}
    for cell in _matrix(suite):
        complete, added = _with_companions(cell, suite)
        for companion in added:
            own, _ = _with_companions(companion, suite)
            cells.setdefault(companion.id, own)
        known = cells.get(complete.id)
        if known is None or known.role != "requested":
            cells[complete.id] = complete
    return Plan(suite, tuple(cells.values()))


def _matrix(suite: LoadedSuite) -> Iterator[Cell]:
    """The product that the suite asks for, in the order of its lists."""
    schema = suite.suite
    dataset_labels = distinct_labels(suite.datasets)
    encoder_labels = distinct_labels(suite.encoders)
    training = None if schema.training == "random" else schema.training.model_dump(mode="json")
    variant_labels = distinct_labels([entry.variant for entry in suite.variants])
    for (d, dataset), task_set, hardware, (e, encoder), seed, (v, entry) in product(
        enumerate(suite.datasets),
        schema.tasks,
        schema.hardware,
        enumerate(suite.encoders),
        schema.seeds,
        enumerate(suite.variants),
    ):
        labels = {"dataset": dataset_labels[d], "encoder": encoder_labels[e], "variant": variant_labels[v]}
        for values in product(*entry.axes.values()):
            cell = Cell(
                entry.variant,
                dict(zip(entry.axes, values, strict=True)),
                _problem(dataset, encoder, suite.head, task_set),
                dataset,
                hardware,
                seed,
                training,
                schema.measure.inputs,
                labels,
            )
            yield replace(cell, unsupported=_refusal(cell))


def _problem(dataset: Named, encoder: Named, head: Named, task_set: str | list[str]) -> Problem:
    """The problem of one product of the matrix; tasks in the dataset's order, then those that it lacks."""
    offered = data.registry.get(dataset.name).tasks(dict(dataset.options))
    names = [name for name in offered if task_set == "all" or name in task_set]
    resolved = [Named(name, tasks.registry.get(name).resolve(offered[name])) for name in names]
    if task_set != "all":
        resolved += [Named(name) for name in task_set if name not in offered]
    height, width = dataset.options["size"]
    return Problem((height, width), encoder, head, tuple(resolved))


def _refusal(cell: Cell) -> str | None:
    """Why the dataset, the encoder or the variant cannot run this cell."""
    offered = data.registry.get(cell.dataset.name).tasks(dict(cell.dataset.options))
    missing = [name for name in cell.problem.task_names if name not in offered]
    if missing:
        return f"{cell.dataset.name} has no labels for {', '.join(missing)}"
    encoder = encoders.registry.get(cell.problem.encoder.name)
    refused = encoder.refuse_size(cell.problem.size, dict(cell.problem.encoder.options))
    if refused:
        return refused
    variant = variants.registry.get(cell.variant.name)(cell.problem, **cell.variant.options)
    return variant.refuse(cell.point)


def _with_companions(cell: Cell, suite: LoadedSuite) -> tuple[Cell, list[Cell]]:
    """The cell with its reference and baselines named, and those cells."""
    reference_name = variants.registry.get(cell.variant.name).reference
    reference = cell if reference_name is None else _companion(cell, _default(reference_name), "reference")
    baselines = {
        baseline.name: cell if baseline == cell.variant else _companion(cell, baseline, "baseline")
        for baseline in suite.baselines
    }
    complete = replace(
        cell,
        reference_id=reference.id,
        baseline_ids={name: baseline.id for name, baseline in baselines.items()},
    )
    return complete, [other for other in (*baselines.values(), reference) if other.id != cell.id]


def _default(name: str) -> Named:
    return Named(name, variants.registry.get(name).resolve({}))


def _companion(cell: Cell, variant: Named, role: Role) -> Cell:
    """The cell of another variant, at full compute, that `cell` is compared to."""
    full = {axis.name: axis.grid[0] for axis in variants.registry.get(variant.name).axes}
    labels = {**cell.labels, "variant": variant.name}
    other = replace(cell, variant=variant, point=full, role=role, labels=labels)
    return replace(other, unsupported=_refusal(other))
