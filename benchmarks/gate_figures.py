"""The words and numbers that the gate's rates and their report share: how much is simulated, and one rate."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mtlbench.compare.timing import CONFIRM_ALPHA, FLAG_ALPHA
from mtlbench.suite.gate import Gate

CELLS, FIRST, SECOND = 60, Gate().blocks, Gate().confirm_blocks
FLAG, CONFIRM = FLAG_ALPHA, CONFIRM_ALPHA
ADDED = "same time added to each call"
DELTAS = {0.05: 0.10, 0.10: 0.20}
"""The slow-down that must be found, by the threshold."""
MARGINS = (0.03, 0.05, 0.10)
SLOWER = (0.0, 0.05, 0.10, 0.20, 0.50)
BURST_SHARES = (0.2, 0.7, 0.8, 0.9, 0.95, 1.0)
CROWDED_SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
POWER, SURE, FALSE_CELL, FALSE_ANY = 0.90, 0.95, 0.001, 0.01
CELL_RATES = ("flagged", "flagged ones confirmed", "both steps")
REAL = ("whole trace", "held out")
ORDERS = ("in turns", "serial")
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Size:
    """How many trials of what."""

    comparisons: int
    power: int
    confirm: int
    peers: int
    margins: int
    sensitivity: int
    orders: int
    """Of each stretch of the trace."""
    real: int
    """Second steps on it, for each slow-down."""


FULL = Size(1000, power=3000, confirm=600, peers=100, margins=3000, sensitivity=1200, orders=4, real=60)
QUICK = Size(100, power=150, confirm=16, peers=5, margins=100, sensitivity=60, orders=1, real=2)


@dataclass(frozen=True, slots=True)
class Rate:
    """How often one rule spoke up. `slower` 0 is A/A; `per` says of what the trials are."""

    noise: str
    rule: str
    launches: int
    order: str
    slower: float
    per: str
    hits: int
    trials: int

    @property
    def share(self) -> float:
        """Of the trials; not a number without any."""
        return self.hits / self.trials if self.trials else math.nan

    def most(self) -> float:
        """95 % upper bound (Clopper and Pearson, one-sided), trials taken as independent."""
        return (
            float(stats.beta.ppf(0.95, self.hits + 1, self.trials - self.hits))
            if self.hits < self.trials
            else 1.0
        )

    def least(self) -> float:
        """95 % lower bound."""
        return float(stats.beta.ppf(0.05, self.hits, self.trials - self.hits + 1)) if self.hits else 0.0

    def bounds(self) -> dict[str, float | None]:
        """Both, by name; None on the trace."""
        real = self.noise.startswith(REAL)
        return {"least": None if real else self.least(), "most": None if real else self.most()}

    def __str__(self) -> str:
        """Percent, in brackets the bound on the side that matters: upper for A/A, lower for slow-downs.

        None on the trace, whose stretches overlap.
        """
        if not self.trials:
            return "-"
        if self.noise.startswith(REAL):
            return f"{100 * self.share:.1f}"
        bound = self.least() if self.slower else self.most()
        digits = 3 if bound < 0.001 and not self.slower else 1
        return f"{100 * self.share:.{digits}f} ({100 * bound:.{digits}f})"


def select(rates: Iterable[Rate], **asked: object) -> list[Rate]:
    """Those with these values."""
    return [rate for rate in rates if all(getattr(rate, name) == value for name, value in asked.items())]
