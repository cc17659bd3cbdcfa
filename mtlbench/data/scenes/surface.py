"""The surface under each pixel: where it is, which way it faces, and where its texture is sampled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.scenes.camera import Camera
from mtlbench.data.scenes.raycast import Hits
from mtlbench.data.scenes.shapes import Shape, Table

__all__ = ["Surface", "surface_of"]

F64 = NDArray[np.float64]
Triple = tuple[F64, F64, F64]


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Flat arrays over N = H * W pixels.

    Args:
        point: where the ray ends, world frame, metres.
        normal: unit normal on the camera's side, world frame.
        u: first texture coordinate, metres along the part.
        v: second texture coordinate.
    """

    point: Triple
    normal: Triple
    u: F64
    v: F64


def surface_of(table: Table, camera: Camera, hits: Hits) -> Surface:
    """Reconstruct the surface from what `raycast.cast` found."""
    part = hits.part.ravel()
    ray = _world_rays(camera, hits)
    depth = hits.depth.ravel()
    x, y, z = (camera.eye[axis] + depth * ray[axis] for axis in range(3))
    cx, cy, cz, hx, hy, hz, cos, sin, taper = table.solid.take(part, axis=1)
    along, across = x - cx, z - cz
    local = (cos * along - sin * across, y - cy, sin * along + cos * across)
    toward = (cos * ray[0] - sin * ray[2], ray[1], sin * ray[0] + cos * ray[2])
    shape = table.shapes.take(part)
    axis, normal = _flat_normal(local, toward, (hx, hy, hz), shape == Shape.SHELL)
    curved = np.flatnonzero(shape >= Shape.BALL)
    if curved.size:
        rows = [a[curved] for a in (*local, *toward, hx, hy, hz, taper)]
        axis[curved] = _curved_normal(rows, shape[curved] == Shape.DRUM, normal, curved)
    nx, ny, nz = normal
    u = np.where(axis == 0, local[2], local[0])
    v = np.where(axis == 1, local[2], local[1])
    return Surface((x, y, z), (cos * nx + sin * nz, ny, cos * nz - sin * nx), u, v)


def _world_rays(camera: Camera, hits: Hits) -> Triple:
    x, y, z = (
        (
            (hits.u * camera.right[axis])[None, :]
            + (hits.v * camera.down[axis] + camera.forward[axis])[:, None]
        ).ravel()
        for axis in range(3)
    )
    return x, y, z


def _flat_normal(
    local: Triple, toward: Triple, half: Triple, shell: NDArray[np.bool_]
) -> tuple[NDArray[np.int8], Triple]:
    """The face that the point is on, among those that the ray can enter by (of a room: leave by)."""
    facing = tuple(np.copysign(1.0, t) for t in toward)
    flip = np.where(shell, 1.0, -1.0)
    on_x, on_y, on_z = (flip * f * p / h for f, p, h in zip(facing, local, half, strict=True))
    is_x = (on_x >= on_y) & (on_x >= on_z)
    is_y = ~is_x & (on_y >= on_z)
    is_z = ~(is_x | is_y)
    axis = is_y.astype(np.int8) + np.int8(2) * is_z
    nx, ny, nz = (np.where(here, -f, 0.0) for here, f in zip((is_x, is_y, is_z), facing, strict=True))
    return axis, (nx, ny, nz)


def _curved_normal(
    rows: list[F64], drum: NDArray[np.bool_], normal: Triple, where: NDArray[np.intp]
) -> NDArray[np.int8]:
    """Write the normals of balls and drums into `normal` at `where`; returns the axis each is nearest to."""
    px, py, pz, _, ty, _, hx, hy, hz, taper = rows
    x, y, z = px / hx, py / hy, pz / hz
    radius = 1.0 + taper * y
    level = -np.copysign(1.0, ty)
    on_cap = drum & (level * y * radius > np.sqrt(x * x + z * z)) & (level * y > 0.999)
    nx, nz = x / hx, z / hz
    ny = np.where(drum, -taper * radius, y) / hy
    nx = np.where(on_cap, 0.0, nx)
    ny = np.where(on_cap, level, ny)
    nz = np.where(on_cap, 0.0, nz)
    length = np.sqrt(nx * nx + ny * ny + nz * nz)
    for target, value in zip(normal, (nx, ny, nz), strict=True):
        target[where] = value / length
    ax, ay, az = np.abs(nx), np.abs(ny), np.abs(nz)
    upright = (ay >= ax) & (ay >= az)
    return np.where(upright, 1, np.where(ax >= az, 0, 2)).astype(np.int8)
