"""Weights that ship with mtlbench: small, in half precision, one pair of files per artifact.

`<key>.safetensors` holds the tensors, `<key>.json` what is known about them. The key is that of the artifact, so they
are found only where everything that shaped them is the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlbench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MAX_BYTES", "Packed", "pack", "remove_stale", "shipped_folder"]

MAX_BYTES = 5_000_000
"""The largest weights file that ships."""

_SOFTWARE = (
    *("python", "mtlbench", "torch", "numpy", "pillow", "git_commit", "git_dirty"),
    *("os", "architecture"),
)


def shipped_folder() -> Path:
    """Where weights that ship lie: in the installed package, or in a source checkout. It may not be there."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "weights"
    is_checkout = not inside.is_dir() and (package.parent / "pyproject.toml").is_file()
    return package.parent / "weights" if is_checkout else inside


@dataclass(frozen=True)
class Packed:
    """An artifact as it ships.

    Args:
        key: the artifact's key.
        content: of the weights file.
        record: what is known about it, JSON-able, `rounding` of it (see `pack`) included.
    """

    key: str
    content: bytes
    record: Mapping[str, Any]

    def write(self, folder: Path) -> None:
        """Write both files, or replace them."""
        _replace(folder / f"{self.key}.safetensors", self.content)
        _replace(folder / f"{self.key}.json", (json.dumps(self.record, indent=1) + "\n").encode())


def pack(state: Mapping[str, Tensor], record: Mapping[str, Any], *, label: str, suite: str) -> Packed:
    """An artifact in half precision, and what of its record does not belong to one machine.

    Tensors of fp32 are rounded, all others are kept as they are. `rounding` in the record is the largest error
    of any tensor, as a share of the largest value of that tensor: 2^-11 or less, but for tensors of very small values.

    Args:
        state: the artifact's weights.
        record: of it, as `StoredArtifact.record` gives it.
        label: of it, for people.
        suite: name of the suite that it ships for.

    Raises:
        UsageError: a value is too large for half precision.
    """
    from safetensors.torch import save

    halves = {name: _half(tensor, f"{name} of {label}") for name, tensor in state.items()}
    content = save({name: half for name, (half, _) in halves.items()})
    environment = record.get("environment", {})
    about = {
        "key": record["key"],
        "label": label,
        "suite": suite,
        "specification": record["specification"],
        "weights_sha256": hashlib.sha256(content).hexdigest(),
        "precision": "fp16",
        "rounding": max((error for _, error in halves.values()), default=0.0),
        "rounded_from_sha256": record["weights_sha256"],
        "best_epoch": record.get("best_epoch"),
        "history": _short(record),
        "started_from": record.get("started_from", []),
        "parents": record.get("parents", {}),
        "seconds": record.get("seconds"),
        "environment": {name: environment[name] for name in _SOFTWARE if name in environment},
    }
    return Packed(record["key"], content, about)


def remove_stale(folder: Path, suite: str, keys: set[str]) -> list[str]:
    """Remove what was made for a suite and is none of its artifacts any more; the labels of what is gone."""
    removed = []
    for file in sorted(folder.glob("*.safetensors")):
        record_file = file.with_suffix(".json")
        record = json.loads(record_file.read_text()) if record_file.exists() else {}
        if record.get("suite") == suite and record["key"] not in keys:
            record_file.unlink()
            file.unlink()
            removed.append(f"{record['label']} ({record['key']})")
    return removed


def _half(tensor: Tensor, name: str) -> tuple[Tensor, float]:
    """The tensor as it ships, and its rounding error as a share of its largest value."""
    import torch

    plain = tensor.detach().contiguous().cpu()
    if plain.dtype != torch.float32:
        return plain, 0.0
    half, finite = plain.half(), plain[plain.isfinite()]
    rounded = half.float()[plain.isfinite()]
    if not bool(rounded.isfinite().all()):
        raise UsageError(
            f"{name} holds {float(finite.abs().max()):g}, which half precision cannot",
            fix="Train it so that its weights stay below 65504, or leave it out with --only",
        )
    largest = float(finite.abs().max()) if finite.numel() else 0.0
    return half, float((rounded - finite).abs().max()) / largest if largest else 0.0


def _short(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of the training's history that matter later: its best epoch and its last one."""
    rows: list[Mapping[str, Any]] = record.get("history", [])
    return [row for row in rows if row is rows[-1] or row["epoch"] == record.get("best_epoch")]


def _replace(file: Path, content: bytes) -> None:
    partial = file.with_name(file.name + ".partial")
    partial.write_bytes(content)
    os.replace(partial, file)
