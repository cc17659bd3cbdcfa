"""What a plan needs from this machine before any work: data fingerprints, artifacts, a meter if one is demanded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mtlbench import variants
from mtlbench.errors import MachineUnfitError
from mtlbench.execute.jobs.cell import open_dataset
from mtlbench.execute.versions import network_versions
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

    def in_training_order(self) -> list[Artifact]:
        """Every artifact that any cell needs, once, parents first."""
        return in_training_order(artifact for needed in self.artifacts.values() for artifact in needed)


def prepare_plan(plan: Plan) -> Prepared:
    """Look at the data and at this machine.

    Raises:
        DataError: a dataset is not there.
        MachineUnfitError: the suite demands an energy meter that this machine lacks.
    """
    checked = replace(plan, cells=tuple(_on_this_machine(cell) for cell in plan.cells))
    _require_meter(checked)
    fingerprints: dict[str, str] = {}
    hashes: dict[str, str] = {}
    artifacts: dict[str, tuple[Artifact, ...]] = {}
    for cell in checked.cells:
        if cell.unsupported is not None:
            continue
        key = repr(cell.dataset)
        if key not in fingerprints:
            fingerprints[key] = open_dataset(cell.dataset, cell.dataset.places).fingerprint()
        hashes[cell.id] = fingerprints[key]
        artifacts[cell.id] = _artifacts(cell, fingerprints[key])
    return Prepared(checked, hashes, artifacts)


def _artifacts(cell: Cell, data_hash: str) -> tuple[Artifact, ...]:
    if cell.training is None:
        return ()
    source = Source(cell.dataset, data_hash, cell.training, cell.seed, network_versions(cell))
    variant = variants.registry.get(cell.variant.name)(cell.problem, **cell.variant.options)
    return variant.artifacts(cell.point, source)


def _on_this_machine(cell: Cell) -> Cell:
    """The cell, marked where its device or its threads are not here."""
    if cell.unsupported is not None:
        return cell
    hardware = cell.hardware
    if hardware.device != "cpu" and not _has_cuda(hardware.device):
        return replace(cell, unsupported=f"no device {hardware.device} on this machine")
    cores = len(os.sched_getaffinity(0))
    if hardware.threads > cores:
        return replace(cell, unsupported=f"{hardware.threads} threads on a machine with {cores} usable cores")
    return cell


def _has_cuda(device: str) -> bool:
    import torch

    _, _, index = device.partition(":")
    return torch.cuda.is_available() and int(index or 0) < torch.cuda.device_count()


def _require_meter(plan: Plan) -> None:
    settings = plan.suite.suite.measure
    if not settings.energy_required:
        return
    from mtlbench.measure.energy import select_meter

    for device in sorted({cell.hardware.device for cell in plan.cells}):
        reason = select_meter(settings.energy, device).unavailable()
        if reason is not None:
            raise MachineUnfitError(
                f"the suite demands energy, and {device} has no meter: {reason}",
                fix="Set measure.energy_required to false, or run where there is a meter",
            )
