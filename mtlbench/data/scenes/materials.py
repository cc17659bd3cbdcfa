"""Paint: two colours, a texture that mixes them, and how much the surface glows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

from mtlbench.data.scenes.chance import Chance

__all__ = ["Colour", "Material", "Painter", "Texture"]

Colour = tuple[float, float, float]


class Texture(IntEnum):
    """How the second colour is laid over the first."""

    PLAIN = 0
    CHECKER = 1
    STRIPES = 2
    NOISE = 3
    WOOD = 4
    BRICK = 5
    DOTS = 6
    TILE = 7
    LEAF = 8


@dataclass(frozen=True, slots=True)
class Material:
    """Paint of one part.

    Args:
        base: albedo, linear RGB in [0, 1].
        second: the other albedo, which the texture mixes in.
        texture: the pattern.
        freq: cells of the pattern per metre, along its two axes.
        salt: makes patterns of one kind differ.
        glow: light given off, as a multiple of the albedo.
        vivid: whether this is the paint of a salient item.
    """

    base: Colour
    second: Colour
    texture: Texture = Texture.PLAIN
    freq: tuple[float, float] = (1.0, 1.0)
    salt: int = 0
    glow: float = 0.0
    vivid: bool = False


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Linear albedo of a display colour: hue in turns, saturation and value in [0, 1]."""

    def channel(offset: float) -> float:
        k = offset + 6.0 * hue
        k -= 6.0 * (k // 6.0)
        shown = value * (1.0 - saturation * max(0.0, min(k, 4.0 - k, 1.0)))
        return shown * shown

    return channel(5.0), channel(3.0), channel(1.0)


def shade(colour: Colour, factor: float) -> Colour:
    """`colour` made darker or lighter."""
    red, green, blue = (min(1.0, c * factor) for c in colour)
    return red, green, blue


class Painter:
    """Draws the materials of one room.

    Args:
        chance: where randomness comes from.
        variety: in [0, 1]: how many surfaces are textured, how finely, and with how much contrast.
    """

    def __init__(self, chance: Chance, variety: float) -> None:
        self._chance = chance
        self._variety = variety

    def muted(self, low: float, high: float) -> Colour:
        """A dull colour of display value between `low` and `high`."""
        return hsv(self._chance.unit(), self._chance.between(0.03, 0.3), self._chance.between(low, high))

    def brown(self, low: float = 0.3, high: float = 0.75) -> Colour:
        """The colour of some wood."""
        hue = self._chance.between(0.055, 0.105)
        return hsv(hue, self._chance.between(0.3, 0.55), self._chance.between(low, high))

    def bright(self) -> Colour:
        """A saturated colour."""
        hue = self._chance.below(9) / 9.0 + self._chance.between(-0.02, 0.02)
        return hsv(hue, self._chance.between(0.82, 1.0), self._chance.between(0.8, 1.0))

    def textured(self, base: Colour, kinds: tuple[Texture, ...], *, always: bool = False) -> Material:
        """`base` with one of the textures `kinds`, or plain, as often as the variety asks."""
        chance = self._chance
        if not (always or chance.happens(0.15 + 0.8 * self._variety)):
            return Material(base, base)
        texture = chance.pick(kinds)
        contrast = chance.between(0.25, 0.45) + 0.3 * self._variety
        darker = base[0] + base[1] + base[2] > 0.45 or chance.happens(0.5)
        second = shade(base, 1.0 - contrast if darker else 1.0 + 2.0 * contrast)
        pace = chance.between(2.5, 4.0 + 3.0 * self._variety)
        return Material(base, second, texture, self._pace(texture, pace), chance.below(1 << 31))

    @staticmethod
    def _pace(texture: Texture, pace: float) -> tuple[float, float]:
        if texture is Texture.BRICK:
            return 0.5 * pace, pace
        if texture is Texture.WOOD:
            return 0.6 * pace, 2.0 * pace
        return pace, pace

    def wood(self) -> Material:
        """Wood, with its grain showing more often than not."""
        return self.textured(self.brown(), (Texture.WOOD,), always=self._chance.happens(0.5))

    def fabric(self) -> Material:
        """Upholstery."""
        kinds = (Texture.NOISE, Texture.STRIPES, Texture.CHECKER, Texture.DOTS)
        return self.textured(self.muted(0.35, 0.85), kinds)

    def lacquer(self) -> Material:
        """Paint on furniture: wood or a dull colour."""
        if self._chance.happens(0.5):
            return self.wood()
        return self.textured(self.muted(0.3, 0.95), (Texture.NOISE, Texture.STRIPES, Texture.TILE))

    def metal(self) -> Material:
        """Dark or light grey, never textured."""
        colour = self.muted(0.15, 0.7)
        return Material(colour, colour)

    def leaf(self) -> Material:
        """Foliage: dull green, dotted with light and shade."""
        chance = self._chance
        base = hsv(chance.between(0.22, 0.4), chance.between(0.35, 0.6), chance.between(0.3, 0.6))
        return Material(
            base, shade(base, 0.35), Texture.LEAF, (chance.between(9, 14),) * 2, chance.below(1 << 31)
        )

    def toy(self) -> Material:
        """The paint of a ball: always patterned, of dull colours."""
        chance = self._chance
        kinds = (Texture.CHECKER, Texture.STRIPES, Texture.DOTS)
        pale, dark = self.muted(0.75, 0.98), self.muted(0.12, 0.5)
        return Material(pale, dark, chance.pick(kinds), (chance.between(5, 8),) * 2, chance.below(1 << 31))

    def vivid(self) -> Material:
        """The paint of a salient item: a saturated colour, perhaps patterned."""
        kinds = (Texture.STRIPES, Texture.CHECKER, Texture.NOISE, Texture.DOTS)
        return replace(self.textured(self.bright(), kinds), vivid=True)

    def pattern(self) -> Material:
        """A rug or a picture: a strong pattern of two colours, at times saturated and yet not salient."""
        chance = self._chance
        gaudy = chance.happens(0.35 + 0.35 * self._variety)
        base = self.bright() if gaudy else self.muted(0.25, 0.9)
        second = self.bright() if gaudy and chance.happens(0.5) else self.muted(0.2, 0.95)
        kinds = (Texture.NOISE, Texture.STRIPES, Texture.CHECKER, Texture.LEAF, Texture.DOTS, Texture.TILE)
        return Material(base, second, chance.pick(kinds), (chance.between(3, 7),) * 2, chance.below(1 << 31))

    def lampshade(self, lit: bool) -> Material:
        """A pale shade that glows if `lit`."""
        base = hsv(self._chance.between(0.08, 0.16), self._chance.between(0.05, 0.4), 0.95)
        return Material(base, base, glow=1.1 if lit else 0.12)

    def wall(self) -> Material:
        """Plaster, wallpaper or brick."""
        kinds = (Texture.NOISE, Texture.STRIPES, Texture.BRICK, Texture.DOTS, Texture.TILE)
        return self._faint(self.textured(self.muted(0.6, 0.97), kinds))

    def floor(self) -> Material:
        """Boards, tiles or carpet."""
        if self._chance.happens(0.5):
            boards = self.textured(self.brown(0.35, 0.8), (Texture.WOOD, Texture.BRICK), always=True)
            return self._faint(boards)
        kinds = (Texture.CHECKER, Texture.TILE, Texture.NOISE)
        return self._faint(self.textured(self.muted(0.3, 0.8), kinds))

    def ceiling(self) -> Material:
        """Near white, plain or tiled."""
        return self._faint(self.textured(self.muted(0.85, 1.0), (Texture.TILE, Texture.NOISE)))

    def _faint(self, material: Material) -> Material:
        """Keep large surfaces from drowning the furniture: the second colour moves halfway to the first."""
        red, green, blue = (0.5 * (a + b) for a, b in zip(material.base, material.second, strict=True))
        pace = (0.6 * material.freq[0], 0.6 * material.freq[1])
        return replace(material, second=(red, green, blue), freq=pace)
