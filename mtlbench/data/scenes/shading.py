"""Light: from surfaces, paint and lamps to sRGB bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.scenes.camera import Camera, Vector
from mtlbench.data.scenes.raycast import Hits
from mtlbench.data.scenes.room import Light, Room
from mtlbench.data.scenes.shadows import lit_by
from mtlbench.data.scenes.surface import Surface
from mtlbench.data.scenes.textures import blend

__all__ = ["shade"]

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_REACH = 6.0
"""Square metres over which a lamp's light falls to half."""
_CREASE = 0.18
"""Metres over which ambient light fades towards a corner of the room."""


def shade(room: Room, camera: Camera, hits: Hits, surface: Surface) -> NDArray[np.uint8]:
    """The image, uint8 [H, W, 3]."""
    height, width = hits.depth.shape
    part = hits.part.ravel()
    paint = room.table.paint.take(part, axis=1)
    share = _texture_share(room, camera, hits, surface, paint)
    point = _f32(surface.point)
    normal = _f32(surface.normal)
    light = _lamps(room, camera, hits, point, normal)
    ambient = (0.85 + 0.15 * normal[1]) * _creases(room, part, point)
    image = np.empty((height * width, 3), dtype=np.uint8)
    for channel in range(3):
        base, second, glow = paint[channel], paint[3 + channel], paint[8]
        albedo = base + share * (second - base)
        radiance = albedo * (light[channel] + ambient * np.float32(room.ambient[channel]) + glow)
        # A soft shoulder keeps bright spots from clipping; the square root stands for the display's gamma.
        shown = np.sqrt(radiance * (1.0 + 0.15 * radiance) / (1.0 + 0.55 * radiance))
        image[:, channel] = (np.minimum(shown, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return image.reshape(height, width, 3)


def _f32(triple: tuple[F64, F64, F64]) -> tuple[F32, F32, F32]:
    x, y, z = (a.astype(np.float32) for a in triple)
    return x, y, z


def _texture_share(room: Room, camera: Camera, hits: Hits, surface: Surface, paint: F32) -> F32:
    """Share of the second colour; patterns finer than the pixels fade to their mean instead of flickering."""
    part = hits.part.ravel()
    fu, fv = paint[6], paint[7]
    kind, salt = room.table.texture.take(part), room.table.salt.take(part)
    share = blend(kind, surface.u * fu, surface.v * fv, salt).astype(np.float32)
    cells = np.maximum(fu, fv) * hits.depth.ravel().astype(np.float32)
    cells /= np.float32(camera.pixels_per_slope(*hits.depth.shape))
    sharp = np.minimum(np.maximum(1.6 - 2.2 * cells, 0.0), 1.0)
    return np.where(kind > 0, 0.5 + (share - 0.5) * sharp, 0.0)


def _lamps(
    room: Room, camera: Camera, hits: Hits, point: tuple[F32, F32, F32], normal: tuple[F32, F32, F32]
) -> list[F32]:
    """Light that arrives from each lamp, by colour channel."""
    total: list[F32] = []
    for number, lamp in enumerate(room.lights):
        strength = _lambert(lamp, point, normal)
        if number == 0:
            strength *= lit_by(room.table, camera, hits, lamp.at, point)
        parts = [strength * np.float32(power) for power in lamp.power]
        total = [a + b for a, b in zip(total, parts, strict=True)] if total else parts
    return total


def _lambert(lamp: Light, point: tuple[F32, F32, F32], normal: tuple[F32, F32, F32]) -> F32:
    x, y, z = (np.float32(at) - p for at, p in zip(lamp.at, point, strict=True))
    square = x * x + y * y + z * z
    cosine: F32 = (x * normal[0] + y * normal[1] + z * normal[2]) / np.sqrt(square + np.float32(1e-6))
    faded: F32 = np.maximum(cosine, 0.0) * (np.float32(2.2 * _REACH) / (np.float32(_REACH) + square))
    return faded


def _creases(room: Room, part: NDArray[np.intp], point: tuple[F32, F32, F32]) -> F32:
    """Ambient light that is left near the corners of the room."""
    half: Vector = room.table.parts[0].half
    left = np.ones_like(point[0])
    for axis in range(3):
        p, size = point[axis], np.float32(2.0 * half[axis])
        gap: F32 = np.maximum(np.minimum(p, size - p), 0.0)
        gap[(part == 2 * axis) | (part == 2 * axis + 1)] = 1e3
        left *= (gap + np.float32(0.6 * _CREASE)) / (gap + np.float32(_CREASE))
    return left
