"""Tables, chairs, sofas and cabinets, each built at the origin with its back towards +z."""

from __future__ import annotations

from mtlbench.data.scenes.camera import Vector
from mtlbench.data.scenes.chance import Chance
from mtlbench.data.scenes.item import Item, block, drum, legs
from mtlbench.data.scenes.materials import Material, Painter
from mtlbench.data.scenes.shapes import Part

__all__ = ["cabinet", "chair", "sofa", "table"]


def table(chance: Chance, painter: Painter, vivid: bool) -> Item:
    """A rectangular table on four legs, or a round one on a foot."""
    paint = painter.vivid() if vivid else painter.lacquer()
    frame = paint if vivid or chance.happens(0.5) else painter.metal()
    height = chance.between(0.45, 0.8)
    if chance.happens(0.35):
        radius = chance.between(0.4, 0.65)
        parts = [
            drum((0.0, height - 0.025, 0.0), radius, 0.025, paint),
            drum((0.0, 0.5 * height, 0.0), 0.06, 0.5 * height - 0.04, frame),
            drum((0.0, 0.02, 0.0), 0.55 * radius, 0.02, frame, casts=False),
        ]
        return Item(
            "table", tuple(parts), radius, radius, top=(0.6 * radius, 0.6 * radius, height), vivid=vivid
        )
    half_x, half_z = chance.between(0.45, 0.85), chance.between(0.3, 0.5)
    parts = [block((0.0, height - 0.03, 0.0), (half_x, 0.03, half_z), paint)]
    thick = chance.between(0.025, 0.05)
    parts += legs((half_x - 0.07, half_z - 0.07), height - 0.06, thick, frame, box=chance.happens(0.6))
    return Item(
        "table", tuple(parts), half_x, half_z, top=(half_x - 0.15, half_z - 0.12, height), vivid=vivid
    )


def chair(chance: Chance, painter: Painter, vivid: bool) -> Item:
    """A dining chair, an office chair or a stool with a back."""
    paint = painter.vivid() if vivid else painter.lacquer()
    frame = paint if vivid or chance.happens(0.5) else painter.metal()
    half, seat, rise = chance.between(0.22, 0.28), chance.between(0.42, 0.52), chance.between(0.4, 0.55)
    parts = [block((0.0, seat - 0.03, 0.0), (half, 0.03, half), paint)]
    if chance.happens(0.5):
        parts.append(block((0.0, seat + 0.5 * rise, half - 0.02), (half, 0.5 * rise, 0.02), paint))
    else:
        for level in (0.4, 0.85):
            bar = (0.0, seat + level * rise, half - 0.02)
            parts.append(block(bar, (half, 0.08, 0.018), paint))
        for side in (-half + 0.02, half - 0.02):
            post = (side, seat + 0.5 * rise, half - 0.02)
            parts.append(block(post, (0.02, 0.5 * rise, 0.02), paint, casts=False))
    if chance.happens(0.3):
        parts.append(drum((0.0, 0.5 * seat, 0.0), 0.035, 0.5 * seat - 0.06, frame, casts=False))
        parts.append(drum((0.0, 0.025, 0.0), half, 0.025, frame, taper=-0.2))
    else:
        parts += legs((half - 0.03, half - 0.03), seat - 0.06, 0.022, frame, box=chance.happens(0.6))
    return Item("chair", tuple(parts), half, half, vivid=vivid)


def sofa(chance: Chance, painter: Painter, vivid: bool) -> Item:
    """A sofa or armchair: base, back, two arms, cushions."""
    paint = painter.vivid() if vivid else painter.fabric()
    cushion = paint if vivid or chance.happens(0.6) else painter.fabric()
    seats = 1 + chance.below(3)
    arm, half_z = chance.between(0.08, 0.13), chance.between(0.4, 0.46)
    half_x = 0.3 * seats + arm
    seat, back, rest = chance.between(0.3, 0.36), chance.between(0.7, 0.9), chance.between(0.52, 0.62)
    parts = [
        block((0.0, 0.5 * seat, 0.0), (half_x - 0.01, 0.5 * seat, half_z - 0.02), paint),
        block((0.0, 0.5 * back, half_z - 0.1), (half_x - 0.02, 0.5 * back, 0.1), paint),
    ]
    for side in (-half_x + 0.5 * arm, half_x - 0.5 * arm):
        parts.append(block((side, 0.5 * rest, 0.0), (0.5 * arm, 0.5 * rest, half_z), paint))
    for number in range(seats):
        x = 0.6 * (number - 0.5 * (seats - 1))
        parts.append(block((x, seat + 0.06, -0.09), (0.28, 0.06, half_z - 0.13), cushion, casts=False))
    return Item("sofa", tuple(parts), half_x, half_z, spot="wall", vivid=vivid)


def cabinet(chance: Chance, painter: Painter, vivid: bool) -> Item:
    """A cupboard with doors, a chest of drawers, or open shelves."""
    paint = painter.vivid() if vivid else painter.lacquer()
    half_x, half_z = chance.between(0.3, 0.7), chance.between(0.18, 0.27)
    style = chance.below(3)
    height = chance.between(0.6, 1.1) if style == 1 else chance.between(0.8, 1.95)
    top = (half_x - 0.1, half_z - 0.06, height) if height < 1.3 else None
    if style == 2:
        parts = _shelves(chance, painter, paint, (half_x, height, half_z))
    else:
        parts = [block((0.0, 0.5 * height, 0.0), (half_x, 0.5 * height, half_z), paint)]
        parts += _fronts(chance, painter, paint, style == 1, (half_x, height, half_z))
    return Item("cabinet", tuple(parts), half_x, half_z + 0.03, spot="wall", top=top, vivid=vivid)


def _fronts(chance: Chance, painter: Painter, paint: Material, drawers: bool, size: Vector) -> list[Part]:
    """Doors side by side, or drawers one above the other, each with a handle."""
    half_x, height, half_z = size
    handle = paint if paint.vivid else painter.metal()
    count = 3 if drawers else 2
    parts = []
    for number in range(count):
        shift = (2.0 * number + 1.0) / count - 1.0
        if drawers:
            y, half = (
                0.5 * height * (1.0 + 0.94 * shift),
                (half_x - 0.04, 0.47 * height / count - 0.02, 0.012),
            )
            x, grip = 0.0, (0.1, 0.015, 0.015)
            handle_at = (0.0, y, -half_z - 0.03)
        else:
            x, y = 0.96 * shift * half_x, 0.5 * height
            half = (0.48 * half_x - 0.015, 0.5 * height - 0.05, 0.012)
            grip = (0.015, 0.09, 0.015)
            handle_at = (x - shift * 0.75 * half_x, y, -half_z - 0.03)
        parts.append(block((x, y, -half_z - 0.01), half, paint, casts=False))
        parts.append(block(handle_at, grip, handle, casts=False))
    return parts


def _shelves(chance: Chance, painter: Painter, paint: Material, size: Vector) -> list[Part]:
    """Back, sides and boards, with rows of books on some boards."""
    half_x, height, half_z = size
    middle = 0.5 * height
    parts = [block((0.0, middle, half_z - 0.01), (half_x, middle, 0.01), paint)]
    for side in (-half_x + 0.02, half_x - 0.02):
        parts.append(block((side, middle, 0.0), (0.02, middle, half_z), paint))
    count = 3 + chance.below(3)
    gap = (height - 0.04) / (count - 1)
    for number in range(count):
        level = 0.02 + number * gap
        parts.append(block((0.0, level, 0.0), (half_x - 0.04, 0.02, half_z - 0.02), paint))
        if number + 1 < count and chance.happens(0.6):
            books = paint if paint.vivid else painter.fabric()
            half = (
                chance.between(0.3, 0.85) * (half_x - 0.05),
                chance.between(0.3, 0.42) * gap,
                0.7 * half_z,
            )
            x = chance.between(-1.0, 1.0) * (half_x - 0.05 - half[0])
            parts.append(block((x, level + 0.02 + half[1], 0.0), half, books, casts=False))
    return parts
