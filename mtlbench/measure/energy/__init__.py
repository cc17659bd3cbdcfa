"""Energy meters. One file per meter, one line here."""

from __future__ import annotations

from mtlbench.measure.energy.base import EnergyReading, EnergyWindow, Meter, Quality, measure_energy, registry
from mtlbench.measure.energy.unmetered import Unmetered

__all__ = [
    "EnergyReading",
    "EnergyWindow",
    "Meter",
    "Quality",
    "Unmetered",
    "measure_energy",
    "registry",
    "select_meter",
]

registry.add(
    "pyrapl", "mtlbench.measure.energy.pyrapl:PyRapl", "CPU packages and DRAM by RAPL, through pyRAPL"
)
registry.add("nvml", "mtlbench.measure.energy.nvml:Nvml", "one NVIDIA GPU by NVML's energy counter")
registry.add("unmetered", "mtlbench.measure.energy.unmetered:Unmetered", "no energy, with the reason")

_OF_DEVICE = {"cpu": "pyrapl", "cuda": "nvml"}


def select_meter(name: str = "auto", device: str = "cpu") -> Meter:
    """A meter that can measure here, or the null meter with the reason why there is none.

    Args:
        name: a registered meter, or `auto` for the one that belongs to the device. A CPU meter never stands
            in for a GPU's, because it counts something else.
        device: the torch name of the device that does the work.

    Raises:
        UnknownNameError: no such meter.
    """
    if name == "auto":
        kind = device.partition(":")[0]
        if kind not in _OF_DEVICE:
            return Unmetered(device, reason=f"no meter is known for device {device}")
        name = _OF_DEVICE[kind]
    meter = registry.get(name)(device)
    reason = meter.unavailable()
    if reason is None or isinstance(meter, Unmetered):
        return meter
    return Unmetered(device, reason=f"{name}: {reason}")
