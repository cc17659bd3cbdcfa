"""Numbers as people read them: rounded to what their interval supports, in one unit per column."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from mtlbench.report.frame import Estimate

__all__ = ["Unit", "aligned", "join", "macs_unit", "percent", "plus_minus", "printable", "with_interval"]

MOST_DECIMALS = 4
SYMMETRIC = 0.25


class Unit(NamedTuple):
    """A unit and the factor that turns the table's numbers into it."""

    name: str
    factor: float = 1.0


def macs_unit(values: Iterable[float]) -> Unit:
    """The one of kMACs, MMACs and GMACs in which the largest of `values` has one to four digits."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=1e6)
    for name, size in (("GMACs", 1e9), ("MMACs", 1e6)):
        if largest >= size:
            return Unit(name, 1 / size)
    return Unit("kMACs", 1e-3)


def with_interval(estimate: Estimate, factor: float = 1.0) -> str:
    """`12.3 [11.9, 12.8]`, `12.3` without an interval or exact, `-` without a number."""
    if not estimate.known:
        return "-"
    value, low, high = (number * factor for number in estimate)
    scaled = Estimate(value, low, high)
    decimals = _decimals(scaled)
    if not scaled.bounded or low == high:
        return _fixed(value, decimals)
    return f"{_fixed(value, decimals)} [{_fixed(low, decimals)}, {_fixed(high, decimals)}]"


def plus_minus(estimate: Estimate, factor: float = 1.0) -> str:
    """`12.3 ±0.4` where the interval is about symmetric, else as `with_interval`."""
    below, above = estimate.value - estimate.low, estimate.high - estimate.value
    half = (below + above) / 2
    if not estimate.bounded or half <= 0 or abs(above - below) > SYMMETRIC * half:
        return with_interval(estimate, factor)
    decimals = _decimals(Estimate(*(number * factor for number in estimate)))
    return f"{_fixed(estimate.value * factor, decimals)} ±{_fixed(half * factor, decimals)}"


def aligned(estimates: Iterable[Estimate]) -> list[str]:
    """Values without intervals, all with the decimals of the most precise; `-` for unknown ones."""
    every = list(estimates)
    decimals = max((_decimals(estimate) for estimate in every if estimate.known), default=0)
    return [_fixed(estimate.value, decimals) if estimate.known else "-" for estimate in every]


def percent(share: float) -> str:
    """A share as a whole per cent, with a decimal under ten."""
    if not math.isfinite(share):
        return "-"
    return f"{share * 100:.1f} %" if abs(share) < 0.0995 else f"{share * 100:.0f} %"


def printable(words: str) -> str:
    """Text without control characters, which could steer a terminal or break a file; line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in words)


def join(names: Iterable[str], most: int = 4, word: str = "and") -> str:
    """`a, b and c`; what exceeds `most` is counted."""
    every = list(names)
    if len(every) > most:
        return f"{', '.join(every[:most])} and {len(every) - most} more"
    return f" {word} ".join([", ".join(every[:-1]), every[-1]] if len(every) > 1 else every)


def _decimals(estimate: Estimate) -> int:
    """Two digits of a narrow interval's half-width, one of a wide one's; three significant digits without."""
    if estimate.bounded and estimate.high > estimate.low:
        needed = -math.floor(math.log10((estimate.high - estimate.low) / 4))
    elif estimate.value:
        needed = 2 - math.floor(math.log10(abs(estimate.value)))
    else:
        needed = 0
    return min(max(needed, 0), MOST_DECIMALS)


def _fixed(value: float, decimals: int) -> str:
    if value and abs(value) < 10**-MOST_DECIMALS:
        return f"{value:.2g}"
    return f"{round(value, decimals) + 0.0:.{decimals}f}"
