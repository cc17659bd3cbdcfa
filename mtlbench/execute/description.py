"""`run.json`: what a run is, for everyone who reads its folder without the code that made it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from mtlbench import tasks, variants
from mtlbench.errors import UsageError
from mtlbench.hashing import canonical_json
from mtlbench.results.folder import RunFolder
from mtlbench.results.journal import SCHEMA_VERSION
from mtlbench.suite.plan import Cell, Plan

__all__ = ["describe_run"]


def describe_run(folder: RunFolder, plan: Plan) -> dict[str, Any]:
    """What `run.json` holds; a run that continues keeps its id and date.

    Raises:
        UsageError: the folder holds a run of another suite.
    """
    suite = plan.suite.suite
    companions = _companions(plan)
    earlier = folder.read_run()
    if earlier is not None and earlier["suite"] != suite.suite:
        raise UsageError(
            f"this folder holds a run of suite {earlier['suite']!r}, not of {suite.suite!r}",
            where=str(folder.path),
            fix="Choose another --out, or add --fresh to replace it",
        )
    kept = earlier or {
        "run_id": uuid.uuid4().hex[:12],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": kept["run_id"],
        "created": kept["created"],
        "suite": suite.suite,
        "description": suite.description,
        "mtlbench_version": version("mtlbench"),
        "measure": suite.measure.model_dump(mode="json"),
        "gate": suite.gate.model_dump(mode="json"),
        "primary": _primary(plan),
        "cells": {cell.id: _entry(cell, companions[_setting(cell)]) for cell in plan.cells},
        "current": (earlier or {}).get("current", {}),
    }


def _primary(plan: Plan) -> dict[str, dict[str, str]]:
    """The primary metric of every task of the plan, and its direction."""
    names = dict.fromkeys(name for cell in plan.cells for name in cell.asked_names)
    found = {name: tasks.registry.get(name) for name in names}
    return {name: {"metric": t.primary, "direction": t.directions[t.primary]} for name, t in found.items()}


def _entry(cell: Cell, companions: Mapping[str, str]) -> dict[str, Any]:
    variant = variants.registry.get(cell.variant.name)
    budgets = [cell.point[axis.name] for axis in variant.axes if axis.is_budget]
    return {
        "cell_id": cell.id,
        "label": cell.label,
        "group": cell.group,
        "role": cell.role,
        "unsupported": cell.unsupported,
        "dataset": cell.labels.get("dataset", cell.dataset.name),
        "encoder": cell.labels.get("encoder", cell.problem.encoder.name),
        "hardware": cell.hardware.label,
        "budget": budgets[0] if budgets else None,
        "whole_id": cell.whole_id,
        "reference_id": cell.reference_id,
        "baseline_ids": dict(cell.baseline_ids),
        "companions": dict(companions),
        "family": variant.family,
        "decision": variant.decision,
        "mode": variant.modes[0],
        "waivers": sorted(variant.waivers),
        "provenance": {
            "paper": variant.provenance.paper,
            "fidelity": variant.provenance.fidelity,
            "deviations": list(variant.provenance.deviations),
        },
        "spec": cell.specification,
    }


def _companions(plan: Plan) -> dict[str, dict[str, str]]:
    """By setting, the dense cells (static, single-task) that differ from its others in nothing but the variant.

    A network that is asked for some of its tasks is compared with one that was made for the same tasks and is asked for
    the same; where there is none, as for networks of one task each, with one that is asked for the same.
    """
    found: dict[str, dict[str, str]] = {}
    for cell in plan.cells:
        found.setdefault(_setting(cell), {})
        if variants.registry.get(cell.variant.name).reference is None and not cell.point:
            for setting in (_setting(cell), _asked_setting(cell)):
                found.setdefault(setting, {}).setdefault(cell.variant.name, cell.id)
    return {
        _setting(cell): found.get(_asked_setting(cell), {}) | found[_setting(cell)] for cell in plan.cells
    }


def _setting(cell: Cell) -> str:
    return canonical_json({**cell.specification, "variant": None, "point": None})


def _asked_setting(cell: Cell) -> str:
    return _setting(replace(cell, problem=cell.problem.only(*cell.asked_names), asked=None))
