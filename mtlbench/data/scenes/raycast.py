"""Which part each pixel shows, and how far away it is.

A ray is (u, v, 1) in the camera frame, so its parameter is depth. Every part is mapped to its unit solid;
the mapped rays of one part are affine in u and v, so a part costs a few dozen operations on its own screen
window. A ray that runs exactly along a plane may divide zero by zero: that is NaN, and counts as a miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.scenes.camera import Camera, Vector
from mtlbench.data.scenes.shapes import SHELL, Shape, Table

__all__ = ["Hits", "bounds", "cast", "entry", "windows_of"]

F64 = NDArray[np.float64]
Triple = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
_NEAR = 0.05
_INF = float("inf")
_CORNERS = np.array([(x, y, z) for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)]).T[:, :, None]


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What the camera sees.

    Args:
        depth: float64 [H, W], metres along the optical axis.
        part: intp [H, W], row of the table.
        u: float64 [W], see `Camera.slopes`.
        v: float64 [H].
    """

    depth: F64
    part: NDArray[np.intp]
    u: F64
    v: F64


def cast(table: Table, camera: Camera, height: int, width: int) -> Hits:
    """Nearest part along the ray through each pixel's centre."""
    u, v = camera.slopes(height, width)
    rays = _unit_rays(table, camera)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        depth, part = _shell(rays[0], u, v)
        windows = windows_of(*bounds(table), camera, height, width)
        for index, shape in enumerate(table.shapes.tolist()):
            top, bottom, left, right = windows[index]
            if index < SHELL or bottom <= top or right <= left:
                continue
            block = (slice(top, bottom), slice(left, right))
            ray = rays[index]
            toward = _directions(ray, u[left:right], v[top:bottom])
            met = entry(shape, table.parts[index].taper, ray[:3], toward)
            seen = depth[block]
            closer = met < seen
            np.copyto(seen, met, where=closer)
            np.copyto(part[block], index, where=closer)
    return Hits(depth, part, u, v)


def _unit_rays(table: Table, camera: Camera) -> list[list[float]]:
    """For each part, in the frame of its unit solid: the eye, then what u, v and 1 add to the direction."""
    cx, cy, cz, hx, hy, hz, cos, sin, _ = table.solid
    columns = []
    origin = (camera.eye[0] - cx, camera.eye[1] - cy, camera.eye[2] - cz)
    for x, y, z in (origin, camera.right, camera.down, camera.forward):
        columns += [(cos * x - sin * z) / hx, y / hy, (sin * x + cos * z) / hz]
    rows: list[list[float]] = np.stack(columns, axis=1).tolist()
    return rows


def _directions(ray: list[float], u: F64, v: F64) -> tuple[F64, F64, F64]:
    x, y, z = (
        (u * ray[3 + axis] + ray[9 + axis])[None, :] + (v * ray[6 + axis])[:, None] for axis in range(3)
    )
    return x, y, z


def _shell(ray: list[float], u: F64, v: F64) -> tuple[F64, NDArray[np.intp]]:
    """The face of the room through which each ray leaves."""
    distances, faces = [], []
    for axis, direction in enumerate(_directions(ray, u, v)):
        forwards = direction > 0.0
        distances.append(np.where(forwards, 1.0 - ray[axis], 1.0 + ray[axis]) / np.abs(direction))
        faces.append(forwards + np.intp(2 * axis))
    depth = np.minimum(np.minimum(distances[0], distances[1]), distances[2])
    part = np.where(distances[0] == depth, faces[0], np.where(distances[1] == depth, faces[1], faces[2]))
    return depth, part


def entry(shape: int, taper: float, origin: Sequence[float], toward: Triple) -> NDArray[Any]:
    """Where rays from outside enter a unit solid.

    Args:
        shape: a `Shape` other than SHELL.
        taper: see `Shape`.
        origin: where all rays start, in the frame of the unit solid.
        toward: their directions, of any one shape, float32 or float64.

    Returns:
        The ray parameter, infinite where the solid is missed.
    """
    if shape == Shape.BOX:
        return _entry_box(origin, toward)
    if shape == Shape.BALL:
        return _entry_ball(origin, toward)
    return _entry_drum(origin, toward, taper)


def _entry_box(origin: Sequence[float], toward: Triple) -> NDArray[Any]:
    lows, highs = [], []
    for o, direction in zip(origin, toward, strict=True):
        inverse = 1.0 / direction
        a = (-1.0 - o) * inverse
        b = (1.0 - o) * inverse
        lows.append(np.minimum(a, b))
        highs.append(np.maximum(a, b))
    near = np.maximum(np.maximum(lows[0], lows[1]), lows[2])
    far = np.minimum(np.minimum(highs[0], highs[1]), highs[2])
    return np.where((near <= far) & (near > 0.0), near, _INF)


def _entry_ball(origin: Sequence[float], toward: Triple) -> NDArray[Any]:
    (ox, oy, oz), (dx, dy, dz) = origin, toward
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    inside = b * b - a * (ox * ox + oy * oy + oz * oz - 1.0)
    near = (-b - np.sqrt(np.maximum(inside, 0.0))) / a
    return np.where((inside >= 0.0) & (near > 0.0), near, _INF)


def _entry_drum(origin: Sequence[float], toward: Triple, taper: float) -> NDArray[Any]:
    """Side and, if the origin is above or below, the cap that faces it.

    With f(t) = x^2 + z^2 - r(y)^2 = a t^2 + 2 b t + c, a ray enters the side where f falls, which is the root
    (-b - sqrt(b^2 - a c)) / a whatever the sign of a.
    """
    (ox, oy, oz), (dx, dy, dz) = origin, toward
    radius = 1.0 + taper * oy
    lean = taper * dy
    a = dx * dx + dz * dz - lean * lean
    b = ox * dx + oz * dz - radius * lean
    inside = b * b - a * (ox * ox + oz * oz - radius * radius)
    side = (-b - np.sqrt(np.maximum(inside, 0.0))) / a
    y = oy + side * dy
    side = np.where((inside >= 0.0) & (side > 0.0) & (y <= 1.0) & (y >= -1.0), side, _INF)
    if -1.0 <= oy <= 1.0:
        return side
    level = 1.0 if oy > 1.0 else -1.0
    cap = (level - oy) / dy
    x, z, rim = ox + cap * dx, oz + cap * dz, 1.0 + taper * level
    return np.minimum(side, np.where((x * x + z * z <= rim * rim) & (cap > 0.0), cap, _INF))


def bounds(table: Table) -> tuple[F64, F64]:
    """Lowest and highest corner of each part's axis-parallel hull, [3, P] each."""
    cx, cy, cz, hx, hy, hz, cos, sin, taper = table.solid
    widest = 1.0 + np.abs(taper)
    wide_x = (np.abs(cos) * hx + np.abs(sin) * hz) * widest
    wide_z = (np.abs(sin) * hx + np.abs(cos) * hz) * widest
    return np.stack((cx - wide_x, cy - hy, cz - wide_z)), np.stack((cx + wide_x, cy + hy, cz + wide_z))


def windows_of(low: F64, high: F64, camera: Camera, height: int, width: int) -> list[list[int]]:
    """Screen windows of hulls: [top, bottom, left, right] in pixels, half open, empty if out of sight.

    A hull that reaches behind the camera gets the whole screen, which is safe.
    """
    corners = 0.5 * (low + high)[:, None, :] + 0.5 * _CORNERS * (high - low)[:, None, :]
    x, y, z = (corners[axis] - camera.eye[axis] for axis in range(3))
    across, below, ahead = (_along(axis, x, y, z) for axis in (camera.right, camera.down, camera.forward))
    scale = camera.pixels_per_slope(height, width) / np.maximum(ahead, _NEAR)
    edges = []
    for offset, size in ((below, height), (across, width)):
        pixel = offset * scale + 0.5 * size
        edges.append(np.clip(np.floor(pixel.min(axis=0)), 0, size))
        edges.append(np.clip(np.floor(pixel.max(axis=0)) + 1.0, 0, size))
    nearest, furthest = ahead.min(axis=0), ahead.max(axis=0)
    for edge, whole in zip(edges, (0, height, 0, width), strict=True):
        edge[nearest < _NEAR] = whole
        edge[furthest < _NEAR] = 0
    rows: list[list[int]] = np.stack(edges, axis=1).astype(np.int64).tolist()
    return rows


def _along(axis: Vector, x: F64, y: F64, z: F64) -> F64:
    return axis[0] * x + axis[1] * y + axis[2] * z
