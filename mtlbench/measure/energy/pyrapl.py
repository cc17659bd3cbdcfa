"""CPU energy from the RAPL counters, read through pyRAPL's sensor.

pyRAPL reads the counters, in microjoules whatever its documentation says; which differences are energy is
decided here. Its own `Measurement` is not used: there, a counter that wrapped and a counter that does not
exist look the same.

A counter that wrapped once shows as a negative difference. The smallest range of a RAPL counter is 65.5 kJ,
so in a window of at most 60 s even a socket of 1 kW wraps at most once: longer windows are refused, and no
wrap goes unseen.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from mtlbench.measure.energy.base import EnergyReading, Meter

__all__ = ["PyRapl"]

_MAX_WINDOW_S = 60.0
_FIRST_ZONE = Path("/sys/class/powercap/intel-rapl/intel-rapl:0")
_ROOT_ONLY = (
    "the RAPL counters are readable by root only (CVE-2020-8694); run as root, or let an administrator run "
    "chmod a+r on every energy_uj below /sys/class/powercap/intel-rapl"
)
_NO_ZONE = "this machine shows no RAPL counters; virtual machines and most containers hide them"
_ZONES_UNLIKE_SOCKETS = (
    "pyRAPL does not find one RAPL package per socket; "
    "packages of several dies (package-N-die-D) are beyond it"
)


class PyRapl(Meter):
    """Package and DRAM energy of all sockets: whatever runs on them counts, so keep the machine quiet.

    The counters move about once a millisecond, so 0.1 s resolves 1 %.
    """

    name = "pyrapl"
    min_window_s = 0.1

    def __init__(self, device: str = "cpu", **options: Any) -> None:
        super().__init__(device, **options)
        self._sensor: Any = None
        self._before: list[float] | None = None
        self._failure: str | None = "the meter was not started"
        self._begin = 0.0

    def unavailable(self) -> str | None:
        """Why RAPL cannot be read here; None where it can."""
        return self._set_up() or self._read()[1]

    def start(self) -> None:
        """Read the counters."""
        self._before, self._failure = None, self._set_up()
        if self._failure is None:
            self._before, self._failure = self._read()
        self._begin = perf_counter()

    def stop(self) -> EnergyReading:
        """Read the counters again, and give the difference if it is energy."""
        window_s = perf_counter() - self._begin
        after, failure = (None, self._failure) if self._failure else self._read()
        if self._before is None or after is None:
            return EnergyReading.missing(self.name, str(failure), window_s=window_s)
        return _difference(self._before, after, window_s)

    def _set_up(self) -> str | None:
        """Open the counters once; why they cannot be."""
        if self.device != "cpu":
            return f"RAPL counts the energy of the CPU, not of {self.device}"
        if not _FIRST_ZONE.exists():  # asked first: importing pyRAPL takes every launch half a second
            return _NO_ZONE
        try:
            with _silenced():
                import pyRAPL
        except ImportError as error:
            return f"pyRAPL cannot be imported ({error}); install pyRAPL"
        try:
            with _silenced():
                self._sensor = self._sensor or pyRAPL.Sensor()
        except pyRAPL.PyRAPLException:
            return _ZONES_UNLIKE_SOCKETS
        except (OSError, ValueError, LookupError) as error:
            return _why_unreadable(error)
        return None

    def _read(self) -> tuple[list[float] | None, str | None]:
        """The counters, package and DRAM of each socket in turn as pyRAPL lays them out, or why not."""
        try:
            return list(self._sensor.energy()), None
        except (OSError, ValueError) as error:
            return None, _why_unreadable(error)


def _why_unreadable(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return _ROOT_ONLY
    return f"pyRAPL cannot read the RAPL counters ({type(error).__name__}: {error})"


def _difference(before: list[float], after: list[float], window_s: float) -> EnergyReading:
    def missing(reason: str, counter_updates: int | None = None) -> EnergyReading:
        return EnergyReading.missing(PyRapl.name, reason, window_s=window_s, counter_updates=counter_updates)

    # pyRAPL marks a counter that does not exist by -1.
    package, dram = (
        [last - first for first, last in zip(before[kind::2], after[kind::2], strict=True) if first >= 0]
        for kind in (0, 1)
    )
    if any(microjoules < 0 for microjoules in package + dram):
        return missing("a RAPL counter wrapped in the window; repeat it")
    if window_s > _MAX_WINDOW_S:
        return missing(
            f"the window of {window_s:.0f} s is too long to exclude that a RAPL counter wrapped unseen"
        )
    if not sum(package):
        return missing("the RAPL package counters did not move in the window", counter_updates=0)
    return EnergyReading(
        joules=(sum(package) + sum(dram)) / 1e6,
        source="pyrapl: package+dram" if dram else "pyrapl: package",
        quality="measured",
        window_s=window_s,
        note=f"{len(package)} whole sockets" + ("" if dram else ", no DRAM counter"),
    )


@contextmanager
def _silenced() -> Iterator[None]:
    """Let pyRAPL be imported and set up without a trace.

    Its import logs two warnings (missing exporters) on the root logger, which installs a handler there, and
    its set-up leaves files to the garbage collector, which makes Python warn.
    """
    root = logging.getLogger()
    handlers, disabled = root.handlers[:], root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        root.handlers[:] = handlers
