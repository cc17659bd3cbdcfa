"""Parts: the convex solids that rooms are made of, and the packing of many into arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.scenes.camera import Turn, Vector
from mtlbench.data.scenes.materials import Material

__all__ = ["SHELL", "Part", "Shape", "Table"]

SHELL = 6
"""The first six parts of every room are its own faces: x low, x high, floor, ceiling, z low, z high."""


class Shape(IntEnum):
    """A unit solid, which a part stretches, turns about the vertical axis and moves.

    SHELL is the cube seen from inside. DRUM is a standing cylinder whose radius is `1 + taper * y` for y in
    [-1, 1], so that it covers pots, shades and cones; half sizes that differ make it elliptic.
    """

    SHELL = 0
    BOX = 1
    BALL = 2
    DRUM = 3


@dataclass(frozen=True, slots=True)
class Part:
    """One convex solid.

    Args:
        shape: the unit solid.
        centre: in metres.
        half: half sizes along its own axes, in metres.
        material: its paint.
        turn: rotation about the vertical axis.
        taper: see `Shape`; between -1 and 1.
        casts: whether it casts a shadow worth drawing.
    """

    shape: Shape
    centre: Vector
    half: Vector
    material: Material
    turn: Turn = (1.0, 0.0)
    taper: float = 0.0
    casts: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The parts of a room as arrays, one row or column per part.

    Args:
        parts: the parts themselves.
        labels: uint8 [P], semantic class.
        items: int16 [P], number of the item (piece of furniture) that the part belongs to.
        shapes: uint8 [P].
        solid: float64 [9, P]: centre, half sizes, cosine, sine, taper.
        paint: float32 [9, P]: base RGB, second RGB, frequencies, glow.
        texture: uint8 [P].
        salt: uint32 [P].
    """

    parts: tuple[Part, ...]
    labels: NDArray[np.uint8]
    items: NDArray[np.int16]
    shapes: NDArray[np.uint8]
    solid: NDArray[np.float64]
    paint: NDArray[np.float32]
    texture: NDArray[np.uint8]
    salt: NDArray[np.uint32]

    @classmethod
    def of(cls, parts: Sequence[Part], labels: Sequence[int], items: Sequence[int]) -> Table:
        """Pack `parts`, with their class and item numbers."""
        solid = [(*p.centre, *p.half, *p.turn, p.taper) for p in parts]
        paints = [p.material for p in parts]
        paint = [(*m.base, *m.second, *m.freq, m.glow) for m in paints]
        return cls(
            parts=tuple(parts),
            labels=np.array(labels, dtype=np.uint8),
            items=np.array(items, dtype=np.int16),
            shapes=np.array([p.shape for p in parts], dtype=np.uint8),
            solid=np.ascontiguousarray(np.array(solid, dtype=np.float64).T),
            paint=np.ascontiguousarray(np.array(paint, dtype=np.float32).T),
            texture=np.array([m.texture for m in paints], dtype=np.uint8),
            salt=np.array([m.salt for m in paints], dtype=np.uint32),
        )
