"""The null meter: no number, always with its reason."""

from __future__ import annotations

from typing import Any

from mtlbench.component import Options
from mtlbench.measure.energy.base import EnergyReading, Meter

__all__ = ["Unmetered", "UnmeteredOptions"]


class UnmeteredOptions(Options):
    """Options of the null meter.

    Attributes:
        reason: why there is no number, one sentence without a full stop.
    """

    reason: str = "no meter was asked for"


class Unmetered(Meter):
    """Stands where no meter can measure, so that no caller has a special case."""

    name = "unmetered"
    Options = UnmeteredOptions

    def __init__(self, device: str = "cpu", **options: Any) -> None:
        super().__init__(device, **options)
        self._reason = UnmeteredOptions.model_validate(options).reason

    def unavailable(self) -> str:
        """The reason."""
        return self._reason

    def start(self) -> None:
        """Nothing."""

    def stop(self) -> EnergyReading:
        """A reading without a number."""
        return EnergyReading.missing(self.name, self._reason)
