"""What furniture is: some parts that belong together, and how to put them somewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mtlbench.data.scenes.camera import Turn, Vector, compose
from mtlbench.data.scenes.materials import Material
from mtlbench.data.scenes.shapes import Part, Shape

__all__ = ["CLASSES", "Item", "block", "drum", "legs", "place"]

CLASSES = (
    "wall",
    "floor",
    "ceiling",
    "picture",
    "rug",
    "table",
    "chair",
    "sofa",
    "cabinet",
    "lamp",
    "plant",
    "ball",
)
"""Semantic classes, in the order of their indices."""

Spot = Literal["floor", "wall", "rug", "ceiling", "picture"]


@dataclass(frozen=True, slots=True)
class Item:
    """A piece of furniture before it is put somewhere.

    Args:
        kind: its class, one of `CLASSES`.
        parts: what it is made of.
        half_x: half its width in metres.
        half_z: half its depth in metres.
        spot: where it goes; "wall" means on the floor with its back to a wall.
        top: half width, half depth and height of a surface that small things can stand on.
        light: height of a lit bulb, or None.
        vivid: whether it is painted to be salient.
    """

    kind: str
    parts: tuple[Part, ...]
    half_x: float
    half_z: float
    spot: Spot = "floor"
    top: Vector | None = None
    light: float | None = None
    vivid: bool = False


def place(item: Item, at: Vector, facing: Turn) -> list[Part]:
    """The parts of `item` in the room, turned by `facing` and moved to `at`."""
    cos, sin = facing
    placed = []
    for part in item.parts:
        x, y, z = part.centre
        centre = (at[0] + cos * x + sin * z, at[1] + y, at[2] - sin * x + cos * z)
        turned = compose(facing, part.turn)
        placed.append(Part(part.shape, centre, part.half, part.material, turned, part.taper, part.casts))
    return placed


def block(centre: Vector, half: Vector, paint: Material, *, casts: bool = True) -> Part:
    """A box."""
    return Part(Shape.BOX, centre, half, paint, casts=casts)


def drum(
    centre: Vector, radius: float, half: float, paint: Material, *, taper: float = 0.0, casts: bool = True
) -> Part:
    """A standing cylinder or, with a taper, the frustum of a cone; `half` is half its height."""
    return Part(Shape.DRUM, centre, (radius, half, radius), paint, taper=taper, casts=casts)


def legs(
    spread: tuple[float, float], height: float, thick: float, paint: Material, *, box: bool
) -> list[Part]:
    """Four legs at the corners of a rectangle with half sides `spread`, square ones or round ones."""
    half_x, half_z = spread
    made = []
    for x, z in ((-half_x, -half_z), (half_x, -half_z), (-half_x, half_z), (half_x, half_z)):
        centre = (x, 0.5 * height, z)
        half = (thick, 0.5 * height, thick)
        made.append(block(centre, half, paint) if box else drum(centre, thick, 0.5 * height, paint))
    return made
