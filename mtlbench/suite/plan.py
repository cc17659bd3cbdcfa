"""From a suite to cells: the matrix, the references and baselines it needs, and the groups that are compared.

Pure: nothing is read, trained or measured here, and equal suites give equal plans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
        asked: the tasks that the network is asked for, in the problem's order; None for all of them.
        labels: short names for people (`dataset`, `encoder`, `variant`).
        role: asked for by the suite, or added by the plan.
        unsupported: why this product of the matrix cannot be run; None where it can.
        reference_id: the variant's own dense network.
        baseline_ids: by variant, the cells that savings and delta-m are taken against.
        whole_id: the cell with the same weights that is asked for all its tasks.
    """

    variant: Named
    point: Mapping[str, int | float | str]
    problem: Problem
    dataset: Named
    hardware: Hardware
    seed: int
    training: Mapping[str, Any] | None
    inputs: int
    asked: tuple[str, ...] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    role: Role = "requested"
    unsupported: str | None = None
    reference_id: str = ""
    baseline_ids: Mapping[str, str] = field(default_factory=dict)
    whole_id: str = ""

    @property
    def specification(self) -> dict[str, Any]:
        """All that fixes what is measured, and nothing else; JSON-able."""
        asked = {} if self.asked is None else {"asked": list(self.asked)}
        return asked | {
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
    def asked_names(self) -> tuple[str, ...]:
        """The tasks that the network is asked for."""
        return self.problem.task_names if self.asked is None else self.asked

    @property
    def tasks_label(self) -> str:
        """Tasks that are asked for, joined by `+`, and `of N` where the network has more."""
        names = "+".join(self.asked_names)
        return names if self.asked is None else f"{names} of {len(self.problem.tasks)}"

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
        """Cells with the same group are compared: same data, tasks asked for, hardware, seed and inputs."""
        return "/".join(
            [
                self.labels.get("dataset", self.dataset.name),
                "+".join(self.asked_names),
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

    def requested(self) -> list[Cell]:
        """The cells that the suite asks for, without those added for comparison, unless it has only such ones."""
        found = [cell for cell in self.cells if cell.role == "requested"]
        return found or list(self.cells)

    def matching(self, pattern: str) -> list[Cell]:
        """Cells whose label or id matches a shell pattern (or holds the text)."""
        return [cell for cell in self.cells if _matches(cell, pattern)]

    def only(self, pattern: str) -> Plan:
        """The cells that match, with what they are compared to."""
        needed = {
            needed
            for cell in self.matching(pattern)
            for needed in (cell.id, cell.reference_id, *cell.baseline_ids.values())
        }
        return replace(self, cells=tuple(cell for cell in self.cells if cell.id in needed))


def _matches(cell: Cell, pattern: str) -> bool:
    """Brackets are literal, because labels have them; a part of a label or the beginning of an id will do."""
    shell = pattern.replace("[", "[[]")
    is_id = len(pattern) >= _ID_DIGITS and cell.id.startswith(pattern)
    return is_id or pattern in cell.label or fnmatchcase(cell.label, shell) or fnmatchcase(cell.id, shell)


def plan_suite(suite: LoadedSuite) -> Plan:
    """Expand a suite into its cells, and add the references and baselines that they need."""
    cells: dict[str, Cell] = {}
    for product_cell in _matrix(suite):
        cell, companions = _with_companions(product_cell, suite)
        for companion in companions:
            own, _ = _with_companions(companion, suite)
            cells.setdefault(own.id, own)
        known = cells.get(cell.id)
        if known is None or known.role != "requested":
            cells[cell.id] = cell
    return Plan(suite, tuple(cells.values()))


def _matrix(suite: LoadedSuite) -> Iterator[Cell]:
    """The product that the suite asks for, in the order of its lists; every cell with all tasks of its task set."""
    schema = suite.suite
    dataset_labels = distinct_labels(suite.datasets)
    encoder_labels = distinct_labels(suite.encoders)
    training = None if schema.training == "random" else schema.training.model_dump(mode="json")
    variant_labels = distinct_labels([entry.variant for entry in suite.variants])
    sets = [
        (d, task_set)
        for d, dataset in enumerate(suite.datasets)
        for task_set in schema.task_sets(dataset.name)
    ]
    for (d, task_set), hardware, (e, encoder), seed in product(
        sets, schema.hardware, enumerate(suite.encoders), schema.seeds
    ):
        problem = _problem(suite.datasets[d], encoder, suite.head, task_set)
        for asked, (v, entry) in product(_asked(problem, schema.ask), enumerate(suite.variants)):
            labels = {
                "dataset": dataset_labels[d],
                "encoder": encoder_labels[e],
                "variant": variant_labels[v],
            }
            for values in product(*entry.axes.values()):
                point = dict(zip(entry.axes, values, strict=True))
                yield Cell(
                    entry.variant,
                    point,
                    problem,
                    suite.datasets[d],
                    hardware,
                    seed,
                    training,
                    schema.measure.inputs,
                    asked,
                    labels,
                )


def _asked(problem: Problem, ways: Sequence[str | list[str]]) -> list[tuple[str, ...] | None]:
    """The subsets that the suite asks for, each once, in the problem's order of tasks; None for all tasks."""
    every = problem.task_names
    subsets: list[tuple[str, ...]] = []
    for way in ways:
        if way == "each":
            subsets += [(name,) for name in every]
        else:
            wanted = every if way == "all" else way
            subsets.append((*(n for n in every if n in wanted), *(n for n in wanted if n not in every)))
    return [None if subset == every else subset for subset in dict.fromkeys(subsets)]


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
    untrained = [name for name in cell.asked_names if name not in cell.problem.task_names]
    if untrained:
        return f"asked for {', '.join(untrained)}, which is not among the tasks of this task set"
    encoder = encoders.registry.get(cell.problem.encoder.name)
    refused = encoder.refuse_size(cell.problem.size, dict(cell.problem.encoder.options))
    if refused:
        return refused
    declared = variants.registry.get(cell.variant.name)
    variant = declared(cell.problem, **cell.variant.options, **cell.variant.places)
    if not variant.can_run(cell.asked_names):
        return f"{cell.variant.name} cannot run {'+'.join(cell.asked_names)} alone"
    return variant.refuse(cell.point)


def _narrowed(cell: Cell) -> Cell:
    """The cell as its variant would be built for the tasks that it is asked for, and refused where it cannot run."""
    if cell.asked is not None:
        problem = variants.registry.get(cell.variant.name).narrowed(cell.problem, cell.asked)
        asked = None if problem.task_names == cell.asked else cell.asked
        cell = replace(cell, problem=problem, asked=asked)
    return replace(cell, unsupported=_refusal(cell))


def _with_companions(cell: Cell, suite: LoadedSuite) -> tuple[Cell, list[Cell]]:
    """The cell with its reference and baselines named, and those cells, with all tasks of the task set again."""
    reference_name = variants.registry.get(cell.variant.name).reference
    reference = cell if reference_name is None else _companion(cell, _default(reference_name), "reference")
    baselines = {
        baseline.name: cell if baseline == cell.variant else _companion(cell, baseline, "baseline")
        for baseline in suite.baselines
    }
    complete = replace(
        _narrowed(cell),
        reference_id=_narrowed(reference).id,
        baseline_ids={name: _narrowed(baseline).id for name, baseline in baselines.items()},
        whole_id=replace(cell, asked=None).id,
    )
    return complete, [other for other in (*baselines.values(), reference) if other != cell]


def _default(name: str) -> Named:
    return Named(name, variants.registry.get(name).resolve({}))


def _companion(cell: Cell, variant: Named, role: Role) -> Cell:
    """The cell of another variant, at full compute, that `cell` is compared to."""
    full = {axis.name: axis.grid[0] for axis in variants.registry.get(variant.name).axes}
    labels = {**cell.labels, "variant": variant.name}
    return replace(cell, variant=variant, point=full, role=role, labels=labels)
