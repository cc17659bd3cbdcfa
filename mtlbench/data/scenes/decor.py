"""Lamps, plants, balls, pictures and rugs, each built at the origin with its back towards +z."""

from __future__ import annotations

from mtlbench.data.scenes.chance import Chance
from mtlbench.data.scenes.item import Item, block, drum
from mtlbench.data.scenes.materials import Material, Painter
from mtlbench.data.scenes.shapes import Part, Shape

__all__ = ["ball", "lamp", "picture", "plant", "pot_plant", "rug", "small_ball", "table_lamp"]


def lamp(chance: Chance, painter: Painter, vivid: bool) -> Item:
    """A floor lamp or a pendant; lit three times out of five. A lamp is never vivid."""
    lit = chance.happens(0.6)
    shade, metal = painter.lampshade(lit), painter.metal()
    radius, half = chance.between(0.17, 0.27), chance.between(0.11, 0.17)
    taper = chance.pick((-0.35, -0.2, 0.0))
    if chance.happens(0.3):
        drop = chance.between(0.55, 0.85)
        parts = [
            drum((0.0, -0.5 * (drop - half), 0.0), 0.015, 0.5 * (drop - half), metal, casts=False),
            drum((0.0, -drop, 0.0), radius, half, shade, taper=taper, casts=False),
        ]
        return Item("lamp", tuple(parts), radius, radius, "ceiling", light=-drop - half if lit else None)
    height = chance.between(1.25, 1.65)
    parts = [
        drum((0.0, 0.02, 0.0), chance.between(0.13, 0.18), 0.02, metal),
        drum((0.0, 0.5 * height, 0.0), 0.022, 0.5 * height, metal),
        drum((0.0, height, 0.0), radius, half, shade, taper=taper, casts=False),
    ]
    return Item("lamp", tuple(parts), radius, radius, light=height if lit else None)


def table_lamp(chance: Chance, painter: Painter) -> Item:
    """A small lamp to stand on something."""
    lit = chance.happens(0.5)
    foot, radius = painter.lacquer(), chance.between(0.1, 0.15)
    parts = [
        drum((0.0, 0.1, 0.0), 0.05, 0.1, foot, taper=chance.pick((-0.4, 0.0, 0.4)), casts=False),
        drum((0.0, 0.28, 0.0), radius, 0.09, painter.lampshade(lit), taper=-0.3, casts=False),
    ]
    return Item("lamp", tuple(parts), radius, radius)


def plant(chance: Chance, painter: Painter, vivid: bool) -> Item:
    """A bush, a little tree or a cactus in a pot. A plant is never vivid."""
    scale = chance.between(0.8, 1.2)
    parts, radius = _plant(chance, painter, scale)
    return Item("plant", tuple(parts), radius, radius)


def pot_plant(chance: Chance, painter: Painter) -> Item:
    """A small plant to stand on something."""
    parts, radius = _plant(chance, painter, 0.36)
    return Item("plant", tuple(parts), radius, radius)


def _plant(chance: Chance, painter: Painter, scale: float) -> tuple[list[Part], float]:
    pot, leaf = painter.lacquer(), painter.leaf()
    rim, depth = 0.17 * scale, 0.15 * scale
    parts = [drum((0.0, depth, 0.0), rim, depth, pot, taper=chance.pick((0.0, 0.2, 0.35)))]
    style, radius = chance.below(3), rim * 1.35
    if style == 0:
        for number in range(3 + chance.below(3)):
            size = chance.between(0.13, 0.22) * scale
            spread = 0.16 * scale
            x, z = chance.between(-spread, spread), chance.between(-spread, spread)
            centre = (x, 2.0 * depth + size * (0.6 + 0.45 * number), z)
            parts.append(Part(Shape.BALL, centre, (size, chance.between(0.8, 1.4) * size, size), leaf))
        radius = 0.36 * scale
    elif style == 1:
        stem, crown = 0.5 * scale * chance.between(0.5, 0.9), chance.between(0.25, 0.36) * scale
        bark = painter.wood()
        parts.append(drum((0.0, 2.0 * depth + stem, 0.0), 0.035 * scale, stem, bark))
        centre = (0.0, 2.0 * (depth + stem) + 0.5 * crown, 0.0)
        parts.append(Part(Shape.BALL, centre, (crown, chance.between(0.8, 1.2) * crown, crown), leaf))
        radius = crown
    else:
        for number in range(1 + chance.below(3)):
            tall = chance.between(0.25, 0.5) * scale
            x = (0.0, 0.1, -0.1)[number] * scale
            centre = (x, 2.0 * depth + 0.9 * tall, 0.0)
            parts.append(Part(Shape.BALL, centre, (0.09 * scale, tall, 0.09 * scale), leaf))
    return parts, radius


def ball(chance: Chance, painter: Painter, vivid: bool) -> Item:
    """A ball on the floor."""
    radius = chance.between(0.17, 0.38)
    return _ball(painter.vivid() if vivid else painter.toy(), radius)


def small_ball(chance: Chance, painter: Painter) -> Item:
    """A ball to lie on something."""
    return _ball(painter.toy(), chance.between(0.07, 0.13))


def _ball(paint: Material, radius: float) -> Item:
    part = Part(Shape.BALL, (0.0, radius, 0.0), (radius, radius, radius), paint)
    return Item("ball", (part,), radius, radius, vivid=paint.vivid)


def picture(chance: Chance, painter: Painter, vivid: bool) -> Item:
    """A framed picture. It may be gaudy, but is never salient."""
    half_x, half_y = chance.between(0.25, 0.6), chance.between(0.22, 0.45)
    frame = painter.metal() if chance.happens(0.5) else painter.wood()
    parts = (
        block((0.0, 0.0, 0.0), (half_x, half_y, 0.02), frame, casts=False),
        block((0.0, 0.0, -0.015), (half_x - 0.05, half_y - 0.05, 0.01), painter.pattern(), casts=False),
    )
    return Item("picture", parts, half_x, 0.025, "picture")


def rug(chance: Chance, painter: Painter, vivid: bool) -> Item:
    """A rectangular or round rug. It may be gaudy, but is never salient."""
    if chance.happens(0.4):
        radius = chance.between(0.5, 0.95)
        part = drum((0.0, 0.008, 0.0), radius, 0.008, painter.pattern(), casts=False)
        return Item("rug", (part,), radius, radius, "rug")
    half_x, half_z = chance.between(0.6, 1.1), chance.between(0.4, 0.75)
    part = block((0.0, 0.008, 0.0), (half_x, 0.008, half_z), painter.pattern(), casts=False)
    return Item("rug", (part,), half_x, half_z, "rug")
