"""What a plan needs from this machine before any work: data fingerprints, artifacts, a meter if one is demanded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from mtlbench import variants
from mtlbench.data.base import Dataset
from mtlbench.errors import MachineUnfitError
from mtlbench.execute.jobs.cell import open_dataset
from mtlbench.execute.versions import versioned
from mtlbench.measure.process import usable_cores
from mtlbench.suite.plan import Cell, Plan
from mtlbench.training.artifact import Artifact, Source, in_training_order

__all__ = ["Prepared", "prepare_plan"]


@dataclass(frozen=True)
class Prepared:
    """A plan with its data found and its artifacts named.

    Args:
        plan: with what this machine cannot run marked as unsupported.
        data_hashes: by cell, the fingerprint of its data.
        artifacts: by cell, its trained weights in the order in which the variant takes them; none where untrained.
    """

    plan: Plan
    data_hashes: Mapping[str, str]
    artifacts: Mapping[str, tuple[Artifact, ...]]

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
    for planned in plan.cells:
        if planned.unsupported is not None:
            cells.append(planned)
            continue
        key = repr(planned.dataset)
        if key not in datasets:
            datasets[key] = open_dataset(planned.dataset, planned.dataset.places)
        cell = replace(planned, unsupported=_refusal(planned, datasets[key]))
        cells.append(cell)
        if cell.unsupported is None:
            hashes[cell.id] = datasets[key].fingerprint()
            artifacts[cell.id] = _artifacts(cell, hashes[cell.id])
    prepared = Prepared(replace(plan, cells=tuple(cells)), hashes, artifacts)
    _require_meter(prepared.plan)
    return prepared


def _artifacts(cell: Cell, data_hash: str) -> tuple[Artifact, ...]:
    if cell.training is None:
        return ()
    source = Source(cell.dataset, data_hash, cell.training, cell.seed)
    variant = variants.registry.get(cell.variant.name)(cell.problem, **cell.variant.options)
    return tuple(versioned(artifact) for artifact in variant.artifacts(cell.point, source))


def _refusal(cell: Cell, dataset: Dataset) -> str | None:
    """Why this machine, or the amount of data, cannot run a cell; None where they can."""
    hardware = cell.hardware
    if hardware.device != "cpu" and not _has_cuda(hardware.device):
        return f"no device {hardware.device} on this machine"
    cores = usable_cores()
    if hardware.threads > cores:
        return f"{hardware.threads} threads on a machine with {cores} usable cores"
    needed, there = cell.inputs * hardware.batch, dataset.length("test")
    if needed > there:
        return f"{cell.inputs} calls of {hardware.batch} images need {needed} test images, there are {there}"
    return None


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
