"""What follows from a depth image alone: surface normals, occlusion edges, and a smaller depth image.

Steps and fits are taken in inverse depth w = 1 / z. Seen through a pinhole, a plane is linear in the pixel's
coordinates there, and the noise of a structured-light sensor is the same at every distance (Khoshelham and Elberink,
Sensors 2012, section 3), so plain least squares fits planes best. The methods are ours, except where named.

Depth is float [H, W] in metres along the optical axis; what is not finite and above 0 is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Intrinsics", "Resampling", "normals_from_depth", "occlusion_edges"]

IGNORE = 255
_MIN_INFORMATION = 1 / 16  # of a full window's: what is left of it in a corner of the image


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole camera: pixel (column u, row v) sees along ((u - cx) / fx, (v - cy) / fy, 1); all in pixels."""

    fx: float
    fy: float
    cx: float
    cy: float


def normals_from_depth(
    depth: NDArray[Any], camera: Intrinsics, *, radius: float = 4.5, step: float = 0.03
) -> NDArray[np.float32]:
    """Surface normals, each from a plane fitted to the surface around its pixel.

    A fit uses only pixels that are reached from its own by going up or down and then sideways, up to `radius` each way,
    without meeting a missing pixel or a depth step: the cross-shaped support of Zhang, Lu and Lafruit, "Cross-Based
    Local Stereo Matching Using Orthogonal Integral Images", IEEE TCSVT 2009. So nothing is smoothed across a hole or
    an occlusion boundary; creases, which have no step, are rounded within the radius. It grows with the square root of
    depth, which keeps the angle's error the same at every distance.

    Args:
        depth: [H, W] in metres; what is not finite and above 0 is missing.
        camera: of this very image size.
        radius: half the window's side in pixels at a depth of 1 m; rounded at each pixel, and at least 1 there.
        step: a step ends the support, as a share of the farther depth, beyond the slope that both sides have in common.

    Returns:
        float32 [H, W, 3]: unit vectors in the camera frame (x right, y down, z into the scene) on the visible side,
        so their product with the pixel's ray is negative. Zero where depth is missing, or where the support is so
        small or thin that the slope would be more than four times as uncertain as from a full window.
    """
    inverse = _inverse_depth(depth)
    valid = inverse > 0
    v, u = np.mgrid[: inverse.shape[0], : inverse.shape[1]] - np.array([camera.cy, camera.cx])[:, None, None]
    reach = np.maximum(np.rint(radius / np.sqrt(np.where(valid, inverse, 1))), 1).astype(np.int64)
    along, across = _arms(inverse, step, reach), _arms(inverse.T, step, reach.T)
    moments = np.stack([np.ones_like(inverse), u, v, u * u, u * v, v * v])
    terms = np.concatenate([moments, moments[:3] * inverse]) * valid
    sums = _windowed(_windowed(terms, *along).swapaxes(1, 2), *across).swapaxes(1, 2)
    normals = _plane_normals(sums, camera, _MIN_INFORMATION * _full_information(reach))
    normals[~valid] = 0
    return normals.astype(np.float32)


def occlusion_edges(depth: NDArray[Any], *, step: float = 0.05, bridge: int = 8) -> NDArray[np.uint8]:
    """Where a near surface ends in front of a far one: one pixel wide, on the nearer surface.

    Two pixels of a row or column with nothing valid between them are compared. They are on two surfaces where depth
    changes by more than the slope that both sides have in common explains, so a floor seen at a grazing angle holds no
    edge. Short holes are looked across, because a structured-light projector casts one beside every occluding edge.

    Args:
        depth: [H, W] in metres; what is not finite and above 0 is missing.
        step: least change of depth, as a share of the farther one.
        bridge: longest hole in pixels that is looked across.

    Returns:
        uint8 [H, W]: 1 on an edge, 0 elsewhere; 255 = ignore in holes and beside them, unless an edge was found there.
    """
    inverse = _inverse_depth(depth)
    edge = np.zeros(inverse.shape, np.uint8)
    missing = inverse == 0
    beside = missing.copy()
    for flip in (False, True):
        image, out = (inverse.T, edge.T) if flip else (inverse, edge)
        hole, near_hole = (missing.T, beside.T) if flip else (missing, beside)
        change, before = _steps(image, bridge + 1)
        row, column = np.nonzero(np.abs(change) > step)
        out[row, np.where(change[row, column] > 0, column, before[row, column])] = 1
        near_hole[:, 1:] |= hole[:, :-1]
        near_hole[:, :-1] |= hole[:, 1:]
    edge[beside & (edge == 0)] = IGNORE
    return edge


class Resampling:
    """Which pixel of a depth image stands for which pixel of a smaller (or larger) one.

    Every target pixel covers a box of source pixels and takes all its values from one of them: the one of median depth
    among the valid ones (the nearer of two middle ones). So no value mixes two sides of an edge, or what is beside a
    hole with the hole.

    Args:
        depth: [H, W] in metres; what is not finite and above 0 is missing.
        size: (height, width) of the target.
    """

    def __init__(self, depth: NDArray[Any], size: tuple[int, int]) -> None:
        (self._rows, in_rows), (self._columns, in_columns) = (
            _boxes(source, target) for source, target in zip(depth.shape, size, strict=True)
        )
        self._inside = (in_rows[:, None, :, None] & in_columns[None, :, None, :]).reshape(*size, -1)
        self._count = self._inside.sum(axis=-1)
        distance = self._boxed(np.where(_is_valid(depth), depth, np.inf))
        distance[~self._inside] = np.inf
        self._valid = np.isfinite(distance).sum(axis=-1)
        order = np.argsort(distance, axis=-1, kind="stable")
        middle = np.maximum(self._valid - 1, 0) // 2
        self._chosen = np.take_along_axis(order, middle[..., None], axis=-1)

    def take(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values [H, W] or [H, W, C] of the chosen pixels; 0 where less than half of the box has depth."""
        channels = values.reshape(*values.shape[:2], -1)
        taken = [
            np.take_along_axis(self._boxed(channels[..., i]), self._chosen, axis=-1)[..., 0]
            for i in range(channels.shape[-1])
        ]
        stacked = np.stack(taken, axis=-1)
        stacked[2 * self._valid < self._count] = 0
        return stacked.reshape(*stacked.shape[:2], *values.shape[2:])

    def edges(self, edge: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An edge map [H, W] of 0, 1 and 255: 1 where the box holds an edge, else 255 where half of it is ignored."""
        boxed = self._boxed(edge)
        found = ((boxed == 1) & self._inside).any(axis=-1)
        ignored = 2 * ((boxed == IGNORE) & self._inside).sum(axis=-1) >= self._count
        return np.where(found, 1, np.where(ignored, IGNORE, 0)).astype(np.uint8)

    def _boxed(self, values: NDArray[Any]) -> NDArray[Any]:
        """[H, W] as [height, width, pixels of a box]."""
        boxes: NDArray[Any] = values[self._rows[:, None, :, None], self._columns[None, :, None, :]]
        return boxes.reshape(len(self._rows), len(self._columns), -1)


def _boxes(source: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Of each target pixel of one axis, the source pixels it covers, [target, most], and which of them count."""
    start = np.arange(target) * source // target
    stop = np.maximum((np.arange(target) + 1) * source // target, start + 1)
    index = start[:, None] + np.arange((stop - start).max())
    return np.minimum(index, source - 1), index < stop[:, None]


def _is_valid(depth: NDArray[Any]) -> NDArray[np.bool_]:
    valid: NDArray[np.bool_] = np.isfinite(depth) & (depth > 0)
    return valid


def _inverse_depth(depth: NDArray[Any]) -> NDArray[np.float64]:
    """1 / depth, 0 where it is missing."""
    valid = _is_valid(depth)
    inverse: NDArray[np.float64] = np.divide(1.0, depth, out=np.zeros(depth.shape), where=valid)
    return inverse


def _steps(inverse: NDArray[np.float64], reach: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """How much depth steps between each valid pixel and the last valid one before it in its row.

    Returns:
        The step as a share of the farther depth, positive where the pixel is the nearer of the two; 0 where there is no
        valid pixel within `reach`. And the column of that earlier pixel.
    """
    valid = inverse > 0
    column = np.arange(inverse.shape[1])
    last = np.maximum.accumulate(np.where(valid, column, -1), axis=1)
    before = np.concatenate([np.full((len(last), 1), -1), last[:, :-1]], axis=1)
    gap = column - before
    paired = valid & (before >= 0) & (gap <= reach)
    before = np.maximum(before, 0)
    earlier = np.take_along_axis(inverse, before, axis=1)
    change = np.where(paired, inverse - earlier, 0.0)

    unknown = np.full((len(inverse), 1), np.nan)
    slopes = np.where(valid[:, :-1] & valid[:, 1:], np.diff(inverse, axis=1), np.nan)
    after = np.concatenate([slopes, unknown], axis=1)
    until = np.take_along_axis(np.concatenate([unknown, slopes], axis=1), before, axis=1)
    sign = np.sign(change)
    # fmin takes the other side's slope where one is unknown.
    common = np.maximum(np.nan_to_num(np.fmin(sign * after, sign * until)), 0)
    excess = np.maximum(np.abs(change) - gap * common, 0)
    nearer = np.maximum(np.maximum(inverse, earlier), np.finfo(np.float64).tiny)
    return sign * excess / nearer, before


def _arms(
    inverse: NDArray[np.float64], step: float, radius: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first column of each pixel's support in its row, and the column after its last."""
    valid = inverse > 0
    change, _ = _steps(inverse, 1)
    linked = np.zeros(inverse.shape, bool)
    linked[:, 1:] = valid[:, 1:] & valid[:, :-1] & (np.abs(change[:, 1:]) <= step)
    column = np.arange(inverse.shape[1])
    first = np.maximum.accumulate(np.where(linked, 0, column), axis=1)
    ends = np.concatenate([~linked[:, 1:], np.ones((len(linked), 1), bool)], axis=1)
    beyond = np.where(ends, column + 1, inverse.shape[1])
    after = np.minimum.accumulate(beyond[:, ::-1], axis=1)[:, ::-1]
    return np.maximum(first, column - radius), np.minimum(after, column + radius + 1)


def _windowed(
    terms: NDArray[np.float64], first: NDArray[np.int64], after: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Sums of [K, H, W] over the columns from `first` to before `after`, both [H, W]."""
    total = np.zeros((*terms.shape[:2], terms.shape[2] + 1))
    np.cumsum(terms, axis=2, out=total[..., 1:])
    rows = np.arange(terms.shape[1])[:, None]
    sums: NDArray[np.float64] = total[:, rows, after] - total[:, rows, first]
    return sums


def _full_information(radius: NDArray[np.int64]) -> NDArray[np.float64]:
    """Pixels of a full window times their variance along one axis."""
    return (2 * radius + 1) ** 2 * radius * (radius + 1) / 3


def _plane_normals(
    sums: NDArray[np.float64], camera: Intrinsics, least_information: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Normals [H, W, 3] of planes fitted to inverse depth, from sums of 1, u, v, uu, uv, vv, w, uw, vw.

    A plane with normal n has w = -n . ray / distance, which is linear in u and v: its slopes and its value at the
    principal point are n, up to length.
    """
    count, u, v, uu, uv, vv, w, uw, vw = sums
    count = np.maximum(count, 1)
    cov_uu, cov_uv, cov_vv = uu - u * u / count, uv - u * v / count, vv - v * v / count
    cov_uw, cov_vw = uw - u * w / count, vw - v * w / count
    least = (cov_uu + cov_vv) / 2 - np.hypot((cov_uu - cov_vv) / 2, cov_uv)
    known = least >= least_information
    determinant = np.where(known, cov_uu * cov_vv - cov_uv**2, 1.0)
    slope_u = (cov_vv * cov_uw - cov_uv * cov_vw) / determinant
    slope_v = (cov_uu * cov_vw - cov_uv * cov_uw) / determinant
    at_centre = (w - slope_u * u - slope_v * v) / count
    normal = -np.stack([slope_u * camera.fx, slope_v * camera.fy, at_centre], axis=-1)
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    units: NDArray[np.float64] = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    units[~known] = 0
    return units
