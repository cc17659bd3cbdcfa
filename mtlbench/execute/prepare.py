"""What a plan needs from this machine before any work: data fingerprints, artifacts, a meter if one is demanded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mtlbench import variants
from mtlbench.data.base import Dataset
from mtlbench.errors import MachineUnfitError
from mtlbench.execute.jobs.cell import make_variant, open_dataset
from mtlbench.execute.versions import versioned
from mtlbench.measure.process import usable_cores
from mtlbench.suite.plan import Cell, Plan
from mtlbench.suite.schema import Hardware
from mtlbench.training.artifact import Artifact, Source, in_training_order

__all__ = ["Prepared", "prepare_plan"]


@dataclass(frozen=True)
class Prepared:
    """A plan with its data found and its artifacts named.

    Args:
        plan: with what this machine cannot run marked as unsupported.
        data_hashes: by cell, the fingerprint of its data.
        artifacts: by cell, its trained weights in the order in which the variant takes them; none where untrained.
        problems: what the suite asks of its data that they cannot give, one sentence each without a full stop.
        places: by artifact, where the variant that trains it finds its files.
    """

    plan: Plan
    data_hashes: Mapping[str, str]
    artifacts: Mapping[str, tuple[Artifact, ...]]
    problems: tuple[str, ...] = ()
    places: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def wanted(self) -> list[Artifact]:
        """Every artifact that a cell names, once."""
        named = {artifact.key: artifact for needed in self.artifacts.values() for artifact in needed}
        return list(named.values())

    def missing(self, is_there: Callable[[Artifact], bool]) -> list[Artifact]:
        """What must be trained before the cells can run, parents first."""
        return in_training_order(self.wanted(), is_there)


def prepare_plan(plan: Plan) -> Prepared:
    """Look at the data and at this machine.

    Raises:
        DataError: a dataset is not there.
        MachineUnfitError: the suite demands an energy meter that this machine lacks.
    """
    datasets: dict[str, Dataset] = {}
    cells: list[Cell] = []
    hashes: dict[str, str] = {}
    artifacts: dict[str, tuple[Artifact, ...]] = {}
    problems: dict[str, None] = {}
    for planned in plan.cells:
        if planned.unsupported is not None:
            cells.append(planned)
            continue
        key = repr(planned.dataset)
        if key not in datasets:
            datasets[key] = open_dataset(planned.dataset, planned.dataset.places)
        too_few = _too_few(planned, datasets[key])
        problems |= dict.fromkeys(filter(None, [too_few, _too_few_for_intervals(planned, datasets[key])]))
        cell = replace(planned, unsupported=_lacking(planned.hardware) or too_few)
        cells.append(cell)
        if cell.unsupported is None:
            hashes[cell.id] = datasets[key].fingerprint()
            artifacts[cell.id] = _artifacts(cell, hashes[cell.id])
    places = _places(cells, artifacts)
    prepared = Prepared(replace(plan, cells=tuple(cells)), hashes, artifacts, tuple(problems), places)
    _require_meter(prepared.plan)
    return prepared


def _artifacts(cell: Cell, data_hash: str) -> tuple[Artifact, ...]:
    if cell.training is None:
        return ()
    source = Source(cell.dataset, data_hash, cell.training, cell.seed)
    variant = make_variant(cell.variant, cell.problem)
    return tuple(versioned(artifact) for artifact in variant.artifacts(cell.point, source))


def _places(
    cells: Iterable[Cell], artifacts: Mapping[str, tuple[Artifact, ...]]
) -> dict[str, Mapping[str, Any]]:
    """By artifact, ancestors too: the places of cells that need it, as far as the variant that trains it has them."""
    places: dict[str, Mapping[str, Any]] = {}
    for cell in cells:
        for artifact in in_training_order(artifacts.get(cell.id, ())) if cell.variant.places else ():
            own = variants.registry.get(artifact.variant).places(dict(cell.variant.places))
            places[artifact.key] = {**own, **places.get(artifact.key, {})}
    return places


def _lacking(hardware: Hardware) -> str | None:
    """Why this machine cannot run a cell; None where it can."""
    if hardware.device != "cpu" and not _has_cuda(hardware.device):
        return f"no device {hardware.device} on this machine"
    cores = usable_cores()
    if hardware.threads > cores:
        return f"{hardware.threads} threads on a machine with {cores} usable cores"
    return None


def _too_few(cell: Cell, dataset: Dataset) -> str | None:
    """Why a cell's data is not enough for it; None where it is."""
    batch = cell.hardware.batch
    needed, there = cell.inputs * batch, dataset.length("test")
    if needed > there:
        return (
            f"{cell.inputs} calls of {batch} images need {needed} test images, {_title(cell)} has {there}; lower "
            "measure.inputs or hardware.batch, or use more test images"
        )
    if cell.training is not None and cell.training["batch"] > (there := dataset.length("train")):
        return (
            f"a training step takes {cell.training['batch']} images, {_title(cell)} has {there} for training; lower "
            "training.batch, or use more training images"
        )
    return None


def _too_few_for_intervals(cell: Cell, dataset: Dataset) -> str | None:
    if cell.training is None or dataset.length("test") != 1:
        return None
    return f"{_title(cell)} has 1 test image, too few for intervals of quality; use more"


def _title(cell: Cell) -> str:
    return cell.labels.get("dataset", cell.dataset.name)


def _has_cuda(device: str) -> bool:
    import torch

    _, _, index = device.partition(":")
    return torch.cuda.is_available() and int(index or 0) < torch.cuda.device_count()


def _require_meter(plan: Plan) -> None:
    settings = plan.suite.suite.measure
    if not settings.energy_required:
        return
    from mtlbench.measure.energy import select_meter

    for device in sorted({cell.hardware.device for cell in plan.cells if cell.unsupported is None}):
        reason = select_meter(settings.energy, device).unavailable()
        if reason is not None:
            raise MachineUnfitError(
                f"the suite demands energy, and {device} has no meter: {reason}",
                fix="Set measure.energy_required to false, or run where there is a meter",
            )
