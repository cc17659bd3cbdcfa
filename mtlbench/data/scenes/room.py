"""One room: its size, paint, lights, furniture, and the path of the camera through it."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from mtlbench.data.scenes.camera import Path, Turn, Vector, compose, turn
from mtlbench.data.scenes.catalogue import BUILDERS, CLUTTER, VIVID
from mtlbench.data.scenes.chance import Chance
from mtlbench.data.scenes.item import CLASSES, Item, place
from mtlbench.data.scenes.materials import Colour, Material, Painter
from mtlbench.data.scenes.shapes import Part, Shape, Table

__all__ = ["Light", "Room", "build_room"]

_TRIES = 12
_WALLS: dict[str, Turn] = {"far": (1.0, 0.0), "near": (-1.0, 0.0), "high": (0.0, 1.0), "low": (0.0, -1.0)}


@dataclass(frozen=True, slots=True)
class Light:
    """A point light: where it is in metres, and its colour and strength in one."""

    at: Vector
    power: Colour


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """All that a picture is made from.

    Args:
        table: the parts; the first six are the faces of the room.
        lights: the first is the ceiling light, the only one that casts shadows.
        ambient: light that comes from everywhere.
        path: of the camera.
        vivid: numbers of the items that are painted to be salient.
        complexity: in [0, 1], what was asked for.
        objects: number of items put in, furniture and clutter.
    """

    table: Table
    lights: tuple[Light, ...]
    ambient: Colour
    path: Path
    vivid: frozenset[int]
    complexity: float
    objects: int


@dataclass(frozen=True, slots=True)
class _Box:
    """A footprint on the floor or a stretch of wall, to keep things apart."""

    x: float
    z: float
    half_x: float
    half_z: float

    def touches(self, other: _Box, margin: float = 0.06) -> bool:
        near_x = abs(self.x - other.x) < self.half_x + other.half_x + margin
        return near_x and abs(self.z - other.z) < self.half_z + other.half_z + margin


def build_room(key: tuple[int, ...], complexity: float) -> Room:
    """The room that `key` names, as difficult as `complexity` in [0, 1] says.

    Complexity sets the number of items (2 to 16 are tried), the clutter on them, the share and contrast of
    textured surfaces, the number of salient items, and how gaudy rugs and pictures are.
    """
    return _Builder(Chance(*key), complexity).build()


class _Builder:
    """Fills one room; every method adds to it."""

    def __init__(self, chance: Chance, complexity: float) -> None:
        self.chance = chance
        self.complexity = complexity
        self.painter = Painter(chance, complexity)
        self.size = (chance.between(3.6, 5.6), chance.between(2.3, 2.9), chance.between(3.8, 5.8))
        self.parts: list[Part] = []
        self.labels: list[int] = []
        self.owners: list[int] = []
        self.items = 0
        self.vivid: set[int] = set()
        self.taken: dict[str, list[_Box]] = {"floor": [], "rug": [], "ceiling": [], "picture": []}
        self.lights: list[Light] = []
        self.path = self._camera()

    def build(self) -> Room:
        self._shell()
        self._ceiling_light()
        self._furnish()
        level = self.chance.between(0.16, 0.34)
        warm = self.chance.between(-0.03, 0.03)
        return Room(
            table=Table.of(self.parts, self.labels, self.owners),
            lights=tuple(self.lights[:3]),
            ambient=(level + warm, level, level - warm),
            path=self.path,
            vivid=frozenset(self.vivid),
            complexity=self.complexity,
            objects=self.items - 6,
        )

    def _camera(self) -> Path:
        """Near one end of the room, looking towards the other."""
        chance, (width, _, depth) = self.chance, self.size
        home = (width * chance.between(0.22, 0.78), chance.between(1.35, 1.75), chance.between(0.6, 0.8))
        goal = (width * chance.between(0.2, 0.8), depth * chance.between(0.75, 1.0))
        slope = (goal[0] - home[0]) / (goal[1] - home[2])
        return Path.random(chance, home, turn(slope / (1.0 + sqrt(1.0 + slope * slope))))

    def _add(self, parts: list[Part], kind: str) -> int:
        number = self.items
        self.items += 1
        self.parts += parts
        self.labels += [CLASSES.index(kind)] * len(parts)
        self.owners += [number] * len(parts)
        return number

    def _shell(self) -> None:
        width, height, depth = self.size
        half = (0.5 * width, 0.5 * height, 0.5 * depth)
        walls = [self.painter.wall()] * 4
        if self.chance.happens(0.5):
            walls[self.chance.below(4)] = self.painter.wall()
        faces: list[tuple[Material, str]] = [(wall, "wall") for wall in walls]
        faces[2:2] = [(self.painter.floor(), "floor"), (self.painter.ceiling(), "ceiling")]
        for material, kind in faces:
            self._add([Part(Shape.SHELL, half, half, material, casts=False)], kind)

    def _ceiling_light(self) -> None:
        chance, (width, height, depth) = self.chance, self.size
        at = (width * chance.between(0.25, 0.75), height - 0.12, depth * chance.between(0.25, 0.7))
        strength, warm = chance.between(0.45, 1.1), chance.between(-0.12, 0.2)
        self.lights.append(Light(at, (strength * (1.0 + warm), strength, strength * (1.0 - warm))))

    def _furnish(self) -> None:
        chance, deck = self.chance, list[str]()
        wanted = 2 + int(14.0 * self.complexity + 0.5)
        more_vivid = chance.below(1 + int(2.5 * self.complexity))
        self._try_item(chance.pick(VIVID), vivid=True, aim=0.35)
        for _ in range(1, wanted):
            deck = deck or chance.shuffled(tuple(BUILDERS))
            kind = deck.pop()
            vivid = more_vivid > 0 and kind in VIVID
            more_vivid -= vivid
            self._try_item(kind, vivid=vivid, aim=1.0)

    def _try_item(self, kind: str, *, vivid: bool, aim: float) -> None:
        """Build an item and look for a free place in view; leave it out if there is none."""
        item = BUILDERS[kind](self.chance, self.painter, vivid)
        for _ in range(_TRIES):
            at, facing = self._place_for(item, aim)
            box = _footprint(item, at, facing)
            layer = "floor" if item.spot in ("floor", "wall") else item.spot
            if self._fits(box, layer):
                self.taken[layer].append(box)
                self._put(item, at, facing)
                return

    def _put(self, item: Item, at: Vector, facing: Turn) -> None:
        number = self._add(place(item, at, facing), item.kind)
        if item.vivid:
            self.vivid.add(number)
        if item.light is not None:
            strength = self.chance.between(0.2, 0.4)
            above = (at[0], at[1] + item.light, at[2])
            self.lights.append(Light(above, (1.15 * strength, strength, 0.8 * strength)))
        if item.top is not None and self.chance.happens(0.2 + 0.7 * self.complexity):
            self._clutter(item.top, at, facing)

    def _clutter(self, top: Vector, at: Vector, facing: Turn) -> None:
        """Small things side by side on a surface."""
        half_x, half_z, level = top
        count = 1 + self.chance.below(1 + int(2.0 * self.complexity))
        for number in range(count):
            item = self.chance.pick(CLUTTER)(self.chance, self.painter)
            x = half_x * ((2.0 * number + 1.0) / count - 1.0)
            z = half_z * self.chance.between(-0.6, 0.6)
            cos, sin = facing
            spot = (at[0] + cos * x + sin * z, at[1] + level, at[2] - sin * x + cos * z)
            self._add(place(item, spot, facing), item.kind)

    def _place_for(self, item: Item, aim: float) -> tuple[Vector, Turn]:
        """A place in front of the camera. `aim` below 1 keeps it near the middle of the view."""
        chance = self.chance
        ahead, side = self._sight(0.8 * aim * chance.between(-1.0, 1.0))
        if item.spot in ("wall", "picture"):
            return self._at_wall(item, ahead, side)
        x, _, z = self.path.home
        far = self._reach(ahead, side)
        distance = chance.between(1.3, max(1.5, min(3.4, far - 0.3)))
        width, height, depth = self.size
        facing = turn(chance.between(-1.0, 1.0))
        if chance.happens(0.5):
            facing = compose(facing, (-1.0, 0.0))
        if item.spot == "rug":
            facing = chance.pick(((1.0, 0.0), (0.0, 1.0)))
        extent = _footprint(item, (0.0, 0.0, 0.0), facing)
        x = _clamp(x + distance * ahead, extent.half_x + 0.03, width - extent.half_x - 0.03)
        z = _clamp(z + distance * side, extent.half_z + 0.03, depth - extent.half_z - 0.03)
        return (x, height if item.spot == "ceiling" else 0.0, z), facing

    def _sight(self, slope: float) -> tuple[float, float]:
        """World x and z of a horizontal sight line at `slope` to the middle one."""
        cos, sin = self.path.heading
        return sin + cos * slope, cos - sin * slope

    def _reach(self, ahead: float, side: float) -> float:
        """How far the sight line runs before it leaves the room."""
        (width, _, depth), (x, _, z) = self.size, self.path.home
        along_x = ((width if ahead > 0.0 else 0.0) - x) / ahead if ahead != 0.0 else 1e9
        along_z = ((depth if side > 0.0 else 0.0) - z) / side if side != 0.0 else 1e9
        return min(along_x, along_z)

    def _at_wall(self, item: Item, ahead: float, side: float) -> tuple[Vector, Turn]:
        """Against the wall that the sight line meets."""
        width, height, depth = self.size
        far = self._reach(ahead, side)
        x, z = self.path.home[0] + far * ahead, self.path.home[2] + far * side
        gaps = {"low": abs(x), "high": abs(width - x), "near": abs(z), "far": abs(depth - z)}
        wall = min(gaps, key=gaps.__getitem__)
        facing = _WALLS[wall]
        extent = _footprint(item, (0.0, 0.0, 0.0), facing)
        gap = 0.0 if item.spot == "picture" else 0.02
        x = _clamp(x, extent.half_x + gap, width - extent.half_x - gap)
        z = _clamp(z, extent.half_z + gap, depth - extent.half_z - gap)
        y = height * self.chance.between(0.55, 0.7) if item.spot == "picture" else 0.0
        return (x, y, z), facing

    def _fits(self, box: _Box, layer: str) -> bool:
        if any(box.touches(other) for other in self.taken[layer]):
            return False
        x, _, z = self.path.home
        keep_out = _Box(x, z, 0.75, 0.75)
        return layer in ("rug", "picture") or not box.touches(keep_out)


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _footprint(item: Item, at: Vector, facing: Turn) -> _Box:
    cos, sin = abs(facing[0]), abs(facing[1])
    half_x = cos * item.half_x + sin * item.half_z
    half_z = sin * item.half_x + cos * item.half_z
    return _Box(at[0], at[2], half_x, half_z)
