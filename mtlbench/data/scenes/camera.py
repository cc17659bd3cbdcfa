"""A pinhole camera, and the smooth path it takes through a room.

World frame: x and z along the floor, y up, metres. Camera frame: x right, y down, z into the scene. Turns are
written as `(1 - t^2) / (1 + t^2), 2t / (1 + t^2)` for cosine and sine, which needs no libm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlbench.data.scenes.chance import Chance

__all__ = ["Camera", "Path", "Turn", "Vector", "compose", "turn"]

Vector = tuple[float, float, float]
Turn = tuple[float, float]
"""Cosine and sine of a rotation about the vertical axis."""


def turn(t: float) -> Turn:
    """Cosine and sine of the angle 2 atan(t)."""
    square = t * t
    return (1.0 - square) / (1.0 + square), 2.0 * t / (1.0 + square)


def compose(first: Turn, second: Turn) -> Turn:
    """The rotation by both."""
    return first[0] * second[0] - first[1] * second[1], first[0] * second[1] + first[1] * second[0]


@dataclass(frozen=True, slots=True)
class Camera:
    """Where the camera is, the directions of its axes in the world, and its focal length.

    Args:
        eye: position in metres.
        right: the world direction of the camera's x axis, unit length.
        down: the same of its y axis.
        forward: the same of its z axis, the optical axis.
        focal: focal length in units of half the longer image side.
    """

    eye: Vector
    right: Vector
    down: Vector
    forward: Vector
    focal: float

    @classmethod
    def looking(cls, eye: Vector, heading: Turn, pitch: Turn, focal: float) -> Camera:
        """A level camera at `eye`, turned by `heading` from +z towards +x, then tipped down by `pitch`."""
        (cos, sin), (level, dip) = heading, pitch
        return cls(
            eye=eye,
            right=(cos, 0.0, -sin),
            down=(-sin * dip, -level, -cos * dip),
            forward=(sin * level, -dip, cos * level),
            focal=focal,
        )

    def pixels_per_slope(self, height: int, width: int) -> float:
        """Focal length in pixels."""
        return 0.5 * self.focal * max(height, width)

    def slopes(self, height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`u` [W] and `v` [H]: the ray of a pixel's centre is (u, v, 1), so its parameter is depth."""
        scale = self.pixels_per_slope(height, width)
        u = (np.arange(width, dtype=np.float64) + 0.5 - 0.5 * width) / scale
        v = (np.arange(height, dtype=np.float64) + 0.5 - 0.5 * height) / scale
        return u, v


def _sway(phase: float) -> float:
    """A smooth wave between -1 and 1 with period 2."""
    x = phase - 2.0 * (phase // 2.0)
    if x > 1.0:
        x = 2.0 - x
    return 2.0 * (x * x * (3.0 - 2.0 * x)) - 1.0


@dataclass(frozen=True, slots=True)
class Path:
    """A smooth, bounded path: any number of frames stays near `home`, at a walking pace.

    Args:
        home: its middle, in metres.
        heading: the direction looked at in the middle.
        focal: see `Camera`.
        pitch: tip of the camera, as the t of `turn`.
        reach: largest deviation: sideways, forward and up in metres, then heading and pitch as t.
        rate: for each of those, half-periods per frame.
        phase: for each of those, the phase of frame 0.
    """

    home: Vector
    heading: Turn
    focal: float
    pitch: float
    reach: tuple[float, ...]
    rate: tuple[float, ...]
    phase: tuple[float, ...]

    @classmethod
    def random(cls, chance: Chance, home: Vector, heading: Turn) -> Path:
        """A path about `home`; it never strays further than 0.45 m from it."""
        return cls(
            home=home,
            heading=heading,
            focal=chance.between(1.15, 1.5),
            pitch=chance.between(0.06, 0.17),
            reach=(0.35, 0.22, 0.1, chance.between(0.08, 0.16), 0.03),
            rate=tuple(chance.between(0.02, 0.04) for _ in range(5)),
            phase=tuple(chance.between(0.0, 2.0) for _ in range(5)),
        )

    def at(self, frame: int) -> Camera:
        """The camera of frame `frame`."""
        waves = [
            reach * _sway(phase + rate * frame)
            for reach, rate, phase in zip(self.reach, self.rate, self.phase, strict=True)
        ]
        side, ahead, up, heading, pitch = waves
        cos, sin = self.heading
        x, y, z = self.home
        eye = (x + cos * side + sin * ahead, y + up, z - sin * side + cos * ahead)
        return Camera.looking(eye, compose(self.heading, turn(heading)), turn(self.pitch + pitch), self.focal)
