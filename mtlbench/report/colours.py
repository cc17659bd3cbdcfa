"""One colour and one marker per variant, the same in every figure of every report.

The palette is Okabe and Ito's (Color Universal Design, 2008), told apart with any of the common colour vision
deficiencies. The marker repeats the colour's message, for print and for those who see none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

__all__ = ["OKABE_ITO", "Style", "styles"]

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
