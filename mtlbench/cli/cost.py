"""`mtlbench cost`: what every network of a suite costs, audited without training anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from mtlbench.cli.cost_text import print_audit, print_legend, print_line
from mtlbench.errors import CellFailedError, DataError, UsageError
from mtlbench.hashing import digest
from mtlbench.results.folder import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

    from mtlbench.cost.audit import CostAudit
    from mtlbench.suite.plan import Cell

__all__ = ["cost_command"]

_IMAGES = 8
"""Images of a network whose cost depends on the image."""

_STATIC_IMAGES = 5
"""Images of one whose cost does not: their counts are equal, but shares of time are medians."""


@dataclass(frozen=True)
class _Inputs:
    """Normalised images, each [1, 3, H, W], and where they are from."""

    images: list[Tensor]
    source: str


def cost_command(
    suite: str, overrides: list[str], only: str | None = None, json_file: Path | None = None
) -> int:
    """Audit every distinct network of a suite on the CPU, print it, and return the exit code.

    Args:
        suite: path of a suite file, or name of a shipped one.
        overrides: texts of the form `a.b=c`.
        only: a shell pattern over cell labels and ids.
        json_file: also write everything there.

    Returns:
        0, or 4 where a total is refused or a static network does not cost what its closed form says.

    Raises:
        UsageError: the suite is wrong, `only` matches no cell, or the file cannot be written.
    """
    cells = _cells(suite, overrides, only)
    console = Console(highlight=False)
    written = []
    failed = 0
    for label, cell in _networks(cells).items():
        if cell.unsupported is not None:
            print_line(console, f"{label}: not supported: {cell.unsupported}\n", "dim")
            continue
        inputs, audit = _audit(cell)
        print_audit(console, label, inputs.source, audit)
        failed += audit.refused or audit.disagrees
        written.append(_written(label, cell, inputs.source, audit))
    print_legend(console)
    if json_file is not None:
        _write(json_file, {"suite": suite, "networks": written})
    return CellFailedError.exit_code if failed else 0


def _cells(suite: str, overrides: list[str], only: str | None) -> tuple[Cell, ...]:
    from mtlbench.suite.load import load_suite
    from mtlbench.suite.plan import plan_suite

    plan = plan_suite(load_suite(suite, overrides))
    if only is None:
        return plan.cells
    cells = plan.only(only).cells
    if not cells:
        raise UsageError(f"--only {only!r} matches no cell", fix=f"The first cell is {plan.cells[0].label}")
    return cells


def _networks(cells: tuple[Cell, ...]) -> dict[str, Cell]:
    """A cell for each distinct network: hardware and seed make no difference to its cost."""
    distinct: dict[str, Cell] = {}
    for cell in cells:
        key = {"point": dict(cell.point), "asked": list(cell.asked_names)}
        key |= {"variant": cell.variant.specification(), "problem": cell.problem.specification()}
        distinct.setdefault(digest(key), cell)
    return {_label(cell): cell for cell in distinct.values()}


def _label(cell: Cell) -> str:
    dataset = cell.labels.get("dataset", cell.dataset.name)
    encoder = cell.labels.get("encoder", cell.problem.encoder.name)
    return "/".join([cell.variant_label, dataset, encoder, cell.tasks_label])


def _audit(cell: Cell) -> tuple[_Inputs, CostAudit]:
    from mtlbench.cost.audit import audit_cost
    from mtlbench.execute.jobs.cell import make_variant

    variant = make_variant(cell.variant, cell.problem)
    variant.build(cell.point, cell.seed, None)
    network = variant.configure(cell.point, tasks=cell.asked_names)
    static = variant.decision in {"static", "task"}
    inputs = _inputs(cell, _STATIC_IMAGES if static else _IMAGES)
    return inputs, audit_cost(network, inputs.images, static=static)


def _inputs(cell: Cell, count: int) -> _Inputs:
    import numpy as np

    from mtlbench.execute.jobs.cell import normaliser

    normalise = normaliser(cell.problem)
    try:
        images = list(_test_images(cell, count))
        source = f"the first {len(images)} test images" if len(images) > 1 else "the first test image"
        source = f"{source} of {cell.dataset.name}"
    except DataError as error:
        height, width = cell.problem.size
        noise = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)
        images, source = list(noise), f"random images of {height} x {width}, because {error.what}"
    return _Inputs([normalise(image[None]) for image in images], source)


def _test_images(cell: Cell, count: int) -> Iterator[Any]:
    """The first test images, as many as there are.

    Raises:
        DataError: the data is not there, or there is no test image.
    """
    from mtlbench.execute.jobs.cell import open_dataset

    dataset = open_dataset(cell.dataset, cell.dataset.places)
    there = min(count, dataset.length("test"))
    if not there:
        raise DataError(f"{cell.dataset.name} has no test images")
    for index in range(there):
        yield dataset.sample("test", index).image


def _written(label: str, cell: Cell, source: str, audit: CostAudit) -> dict[str, Any]:
    tools = {
        tool.tool: {
            "macs": tool.macs,
            "failure": tool.failure,
            "differences": [asdict(difference) for difference in tool.differences],
        }
        for tool in audit.tools.tools
    }
    return {
        "label": label,
        "variant": cell.variant.specification(),
        "point": dict(cell.point),
        "problem": cell.problem.specification(),
        "asked": list(cell.asked_names),
        "dataset": cell.dataset.name,
        "inputs": source,
        "static": audit.static,
        "macs_executed": audit.macs_executed,
        "macs_executed_by_image": list(audit.executed),
        "macs_nominal": audit.macs_nominal,
        "macs_formula": audit.macs_formula,
        "uncounted_time_share": audit.uncounted_time_share,
        "refused": audit.refused,
        "disagrees": audit.disagrees,
        "parts": [asdict(part) for part in audit.parts],
        "operators": [asdict(operator) for operator in audit.operators],
        "tools": tools,
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    try:
        write_atomically(path, json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise UsageError(
            f"the file cannot be written: {error.strerror}", where=str(path), fix="Name another file"
        ) from error
