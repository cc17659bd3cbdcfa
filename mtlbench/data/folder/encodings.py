"""How stored values become labels. The encoding follows from the layout of a task's labels, never from its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from mtlbench.component import Row
from mtlbench.data.folder.class_map import ClassMap
from mtlbench.data.folder.encoding import Complaint, Encoding, described
from mtlbench.data.folder.error import FolderError
from mtlbench.data.folder.fitting import Scaling, scale_mean, scale_nearest
from mtlbench.errors import DataError
from mtlbench.tasks.base import Task

__all__ = ["ENCODINGS", "Array", "Scalar", "UnitVectors", "default_encoding"]


class Scalar(Encoding):
    """Numbers [H, W]: whole numbers times `scale`, or floats as they are (times `scale` if there is one)."""

    name = "scalar"

    scale: Annotated[float, Field(gt=0)] | None = None
    missing: Row[tuple[float, ...]] = (0.0,)

    @field_validator("missing", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, int | float) else value

    def _decoded(self, stored: NDArray[Any], file: Path, task: Task) -> NDArray[Any]:
        if stored.ndim != 2 or stored.dtype.kind not in "iuf":
            raise FolderError(
                f"the label is {described(stored)}, not one number per pixel",
                where=str(file),
                kind=f"a {task.name} label is not one number per pixel",
                detail=described(stored),
                fix="Save it as a 16-bit grey PNG, or as numbers in .npy",
            )
        if stored.dtype.kind != "f" and self.scale is None:
            raise DataError(
                "the label holds whole numbers of an unknown unit",
                where=str(file),
                fix="Set `scale`: what one stored unit is worth, such as 0.001 for millimetres as metres",
            )
        empty = task.empty_label(*stored.shape)
        known = np.isfinite(stored) & ~np.isin(stored, self.missing)
        scaled = np.where(known, stored, 0).astype(np.float64) * (self.scale or 1.0)
        return np.where(known, scaled, empty).astype(empty.dtype)


class UnitVectors(Encoding):
    """Directions [H, W, 3]: an RGB PNG of (n + 1) / 2 * 255, or vectors of any length."""

    name = "unit_vectors"

    axes: Row[tuple[str, str, str]] = ("x", "y", "z")
    resize: Literal["nearest", "mean"] = "mean"

    def complaints(self, task: Task) -> list[Complaint]:
        """See `Encoding.complaints`."""
        if sorted(axis.removeprefix("-") for axis in self.axes) != ["x", "y", "z"]:
            return [("`axes` names each of x, y and z once, with or without a minus", None)]
        return []

    def scaling(self, task: Task) -> Scaling:
        """See `Encoding.scaling`."""
        return scale_mean if self.resize == "mean" else scale_nearest

    def _decoded(self, stored: NDArray[Any], file: Path, task: Task) -> NDArray[Any]:
        if (
            stored.ndim != 3
            or stored.shape[2] != 3
            or (stored.dtype != np.uint8 and stored.dtype.kind != "f")
        ):
            raise FolderError(
                f"the label is {described(stored)}, not one direction per pixel",
                where=str(file),
                kind=f"a {task.name} label is not one direction per pixel",
                detail=described(stored),
                fix="Save (n + 1) / 2 * 255 as an RGB PNG, or floats [height, width, 3] in .npy",
            )
        vectors = stored / 127.5 - 1 if stored.dtype == np.uint8 else stored.astype(np.float64)
        length = np.linalg.norm(np.where(np.isfinite(vectors), vectors, 0), axis=-1, keepdims=True)
        known = np.isfinite(vectors).all(axis=-1, keepdims=True) & (length > 0)
        if stored.dtype == np.uint8:
            # Black, grey and white say nothing: they decode to lengths of 1.7, 0 and 1.7.
            known &= (length > 0.5) & (length < 1.5)
        units = np.divide(vectors, length, out=np.zeros_like(vectors), where=known)
        sources = ["xyz".index(axis[-1]) for axis in self.axes]
        signs = [-1.0 if axis.startswith("-") else 1.0 for axis in self.axes]
        turned: NDArray[Any] = (units[..., sources] * signs).astype(task.empty_label(1, 1).dtype)
        return turned


class Array(Encoding):
    """A NumPy array in the task's own layout, taken as it is."""

    name = "array"

    def _decoded(self, stored: NDArray[Any], file: Path, task: Task) -> NDArray[Any]:
        empty = task.empty_label(*stored.shape[:2]) if stored.ndim >= 2 else task.empty_label(1, 1)
        if file.suffix.lower() != ".npy" or stored.shape != empty.shape or stored.dtype != empty.dtype:
            layout = task.empty_label(7, 11).shape
            shape = ", ".join({7: "height", 11: "width"}.get(side, str(side)) for side in layout)
            expected = f"{empty.dtype} [{shape}] in .npy"
            raise FolderError(
                f"the label is {described(stored)} in {file.suffix}, not {expected}",
                where=str(file),
                kind=f"a {task.name} label is not {expected}",
                detail=f"{described(stored)} in {file.suffix}",
                fix="Save it with numpy.save in the layout of its task",
            )
        return stored


ENCODINGS: Mapping[str, type[Encoding]] = {
    encoding.name: encoding for encoding in (ClassMap, Scalar, UnitVectors, Array)
}


def default_encoding(task: Task) -> str | None:
    """The encoding that the layout of the task's labels asks for; None where two would fit."""
    layout = task.empty_label(2, 5)
    if layout.shape == (2, 5) and layout.dtype == np.uint8:
        return ClassMap.name
    if layout.shape == (2, 5) and layout.dtype.kind == "f":
        return Scalar.name
    return None if layout.shape == (2, 5, 3) and layout.dtype.kind == "f" else Array.name
