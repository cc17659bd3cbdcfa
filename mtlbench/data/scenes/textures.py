"""Procedural textures: how much of the second colour each pixel shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.scenes.materials import Texture

__all__ = ["blend"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]


def blend(kind: NDArray[np.uint8], u: F64, v: F64, salt: U32) -> F64:
    """Share of the second colour, in [0, 1].

    Args:
        kind: [N], a `Texture` for each pixel.
        u: [N], first coordinate in cells of the pattern.
        v: [N], second coordinate.
        salt: [N], tells patterns of one kind apart.
    """
    share = np.zeros_like(u)
    for texture, pattern in _PATTERNS.items():
        where = np.flatnonzero(kind == texture)
        if where.size:
            share[where] = pattern(u[where], v[where], salt[where])
    return share


def _scatter(x: I64, y: I64, salt: U32) -> F64:
    """A number in [0, 1) for each lattice point: the finaliser of MurmurHash3 on 32 bits."""
    h = x.astype(np.uint32) * np.uint32(0x8DA6B343) ^ y.astype(np.uint32) * np.uint32(0xD8163841) ^ salt
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return (h >> np.uint32(8)).astype(np.float64) / 16777216.0


def _cell(u: F64) -> tuple[I64, F64]:
    whole = np.floor(u)
    return whole.astype(np.int64), u - whole


def _value_noise(u: F64, v: F64, salt: U32) -> F64:
    """Smooth noise with one random value per lattice point."""
    (x, p), (y, q) = _cell(u), _cell(v)
    p = p * p * (3.0 - 2.0 * p)
    q = q * q * (3.0 - 2.0 * q)
    low = _scatter(x, y, salt)
    low += p * (_scatter(x + 1, y, salt) - low)
    high = _scatter(x, y + 1, salt)
    high += p * (_scatter(x + 1, y + 1, salt) - high)
    return low + q * (high - low)


def _checker(u: F64, v: F64, salt: U32) -> F64:
    return ((np.floor(u).astype(np.int64) + np.floor(v).astype(np.int64)) & 1).astype(np.float64)


def _stripes(u: F64, v: F64, salt: U32) -> F64:
    """Upright or level stripes, as the salt says."""
    across: F64 = np.where((salt & np.uint32(1)) == 0, u, v)
    return (np.floor(across + across).astype(np.int64) & 1).astype(np.float64)


def _noise(u: F64, v: F64, salt: U32) -> F64:
    return _value_noise(u + u, v + v, salt)


def _wood(u: F64, v: F64, salt: U32) -> F64:
    """Rings that wander along the grain."""
    ring = v + 1.6 * _value_noise(0.5 * u, 0.5 * v, salt)
    wave = np.abs(2.0 * (ring - np.floor(ring)) - 1.0)
    return wave * wave


def _masonry(u: F64, v: F64, salt: U32, shift: float) -> F64:
    (row, q) = _cell(v)
    (column, p) = _cell(u + shift * (row & 1))
    joint = (p < 0.07) | (q < 0.14)
    return np.where(joint, 1.0, 0.5 * _scatter(column, row, salt))


def _brick(u: F64, v: F64, salt: U32) -> F64:
    return _masonry(u, v, salt, 0.5)


def _tile(u: F64, v: F64, salt: U32) -> F64:
    return _masonry(u, v, salt, 0.0)


def _dots(u: F64, v: F64, salt: U32) -> F64:
    p, q = u - np.floor(u) - 0.5, v - np.floor(v) - 0.5
    return (p * p + q * q < 0.1).astype(np.float64)


def _leaf(u: F64, v: F64, salt: U32) -> F64:
    """Speckles on a slanting lattice."""
    return _scatter(_cell(u + 0.5 * v)[0], _cell(v - 0.5 * u)[0], salt)


_PATTERNS: Mapping[Texture, Callable[[F64, F64, U32], F64]] = MappingProxyType(
    {
        Texture.CHECKER: _checker,
        Texture.STRIPES: _stripes,
        Texture.NOISE: _noise,
        Texture.WOOD: _wood,
        Texture.BRICK: _brick,
        Texture.DOTS: _dots,
        Texture.TILE: _tile,
        Texture.LEAF: _leaf,
    }
)
