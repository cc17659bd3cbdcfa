"""One colour and one marker per variant, the same in every figure of every report.

The palette is Okabe and Ito's (Color Universal Design, 2008), told apart with any of the common colour vision
deficiencies. The marker repeats the colour's message, for print and for those who see none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

__all__ = ["MARKS", "OKABE_ITO", "Style", "styles"]

OKABE_ITO = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "bluish green": "#009E73",
    "reddish purple": "#CC79A7",
    "vermillion": "#D55E00",
    "sky blue": "#56B4E9",
    "yellow": "#F0E442",
}


class Style(NamedTuple):
    """How a variant is drawn: a colour (#RRGGBB) and a matplotlib marker."""

    colour: str
    marker: str


FIXED = {
    "single_task": Style(OKABE_ITO["blue"], "s"),
    "static_mtl": Style(OKABE_ITO["orange"], "o"),
    "adamtl": Style(OKABE_ITO["bluish green"], "^"),
    "computation_sharing": Style(OKABE_ITO["reddish purple"], "D"),
}
SPARE = tuple(
    Style(OKABE_ITO[colour], marker)
    for markers in ("vP<", "X>p", "h*d")
    for colour, marker in zip(("vermillion", "sky blue", "yellow"), markers, strict=True)
)


def _polygon(corners: int, turn: float, radii: tuple[float, ...] = (5.0,), stretch: float = 1.0) -> str:
    """A closed path around the origin; the first corner points up, turned by so many corners."""
    angles = [2 * math.pi * (corner + turn) / corners for corner in range(corners)]
    points = [
        (
            stretch * radii[corner % len(radii)] * math.sin(angle),
            -radii[corner % len(radii)] * math.cos(angle),
        )
        for corner, angle in enumerate(angles)
    ]
    return "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in points) + "Z"


def _cross(turn: float) -> str:
    """A plus sign with thick arms, turned by so many eighths of a circle."""
    arm, half = 5.0, 1.8
    corners = [(half, arm), (half, half), (arm, half)]
    corners += [(x, -y) for x, y in reversed(corners)]
    corners += [(-x, y) for x, y in reversed(corners)]
    cos, sin = math.cos(turn * math.pi / 4), math.sin(turn * math.pi / 4)
    return "M" + "L".join(f"{x * cos - y * sin:.2f} {x * sin + y * cos:.2f}" for x, y in corners) + "Z"


MARKS = {
    "o": "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0Z",
    "s": _polygon(4, 0.5, (5.7,)),
    "D": _polygon(4, 0, (5.5,)),
    "d": _polygon(4, 0, (5.7,), 0.6),
    "^": _polygon(3, 0),
    "v": _polygon(3, 1.5),
    "<": _polygon(3, 2.25),
    ">": _polygon(3, 0.75),
    "P": _cross(0),
    "X": _cross(1),
    "p": _polygon(5, 0),
    "h": _polygon(6, 0),
    "*": _polygon(10, 0, (5.6, 2.4)),
}
"""Outlines of the markers for the page: paths within -6 and 6."""


def styles(names: Iterable[str]) -> dict[str, Style]:
    """A style for each variant.

    A variant that is not built in gets the spare style that its name hashes to, so that it keeps it in every
    report; where two names of one report meet, the later in the alphabet takes the next free one. Styles
    repeat only when there are more names than styles.
    """
    wanted = set(names)
    chosen = {name: FIXED[name] for name in FIXED if name in wanted}
    free = list(SPARE)
    for name in sorted(wanted - set(FIXED)):
        free = free or list(SPARE)
        start = crc32(name.encode()) % len(SPARE)
        chosen[name] = next(style for style in (*SPARE[start:], *SPARE[:start]) if style in free)
        free.remove(chosen[name])
    return chosen
