"""Hard shadows of one lamp.

A shadow lies within the hull of its caster and of the caster pushed away from the lamp until its top meets
the floor, so only pixels in that hull's screen window are tested.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.scenes.camera import Camera, Vector
from mtlbench.data.scenes.raycast import Hits, bounds, entry, windows_of
from mtlbench.data.scenes.shapes import Part, Table

__all__ = ["lit_by"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
_BEFORE = 0.998
"""A caster that is met later than this share of the way is the surface itself."""
_SLACK = 0.02
"""How far below the lamp, in metres, a caster has to end to cast a shadow."""


def lit_by(table: Table, camera: Camera, hits: Hits, lamp: Vector, point: tuple[F32, F32, F32]) -> F32:
    """1 where light from `lamp` arrives, 0 in shadow; flat [N].

    Args:
        table: the parts.
        camera: through which `hits` were found.
        hits: what is seen.
        lamp: position, world frame.
        point: where each pixel's ray ends, world frame, flat.
    """
    size = hits.depth.shape
    x, y, z = (p.reshape(size) for p in point)
    lit = np.ones(size, dtype=np.float32)
    windows = windows_of(*_shadow_hulls(table, lamp), camera, *size)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for part, (top, bottom, left, right) in zip(table.parts, windows, strict=True):
            if not part.casts or bottom <= top or right <= left:
                continue
            block = (slice(top, bottom), slice(left, right))
            origin, toward = _unit_rays(part, lamp, (x[block], y[block], z[block]))
            shadowed = entry(part.shape, part.taper, origin, toward) < _BEFORE
            np.copyto(lit[block], 0.0, where=shadowed)
    return lit.ravel()


def _shadow_hulls(table: Table, lamp: Vector) -> tuple[F64, F64]:
    """Axis-parallel hulls of the shadows inside the room; empty for casters that reach the lamp's height."""
    low, high = bounds(table)
    room_low, room_high = low[:, :1], high[:, :1]
    eye = np.array(lamp)[:, None]
    drop = eye[1] - high[1]
    below = drop > _SLACK
    push = high[1] / np.where(below, drop, 1.0)
    low, high = np.minimum(low, low + push * (low - eye)), np.maximum(high, high + push * (high - eye))
    low = np.where(below, low, 1e6)
    high = np.where(below, high, 1e6)
    return np.maximum(low, room_low), np.minimum(high, room_high)


def _unit_rays(part: Part, lamp: Vector, point: tuple[F32, F32, F32]) -> tuple[Vector, tuple[F32, F32, F32]]:
    """Lamp, and the way from it to each point (parameter 1), in the frame of the part's unit solid."""
    (cx, cy, cz), (hx, hy, hz), (cos, sin) = part.centre, part.half, part.turn
    x, y, z = lamp[0] - cx, lamp[1] - cy, lamp[2] - cz
    origin = ((cos * x - sin * z) / hx, y / hy, (sin * x + cos * z) / hz)
    dx, dy, dz = (p - at for p, at in zip(point, lamp, strict=True))
    toward = (dx * (cos / hx) - dz * (sin / hx), dy * (1.0 / hy), dx * (sin / hz) + dz * (cos / hz))
    return origin, toward
