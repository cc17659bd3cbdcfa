"""GPU energy from NVML's total-energy counter.

Only the counter is used. Power samples are no stand-in for it: on some GPUs they see a quarter of the run
time (arXiv 2312.02741), so where there is no counter there is no number.
"""

from __future__ import annotations

import os
from importlib import metadata
from time import perf_counter
from typing import Any

from mtlbench.measure.energy.base import EnergyReading, Meter

__all__ = ["Nvml"]

_UPDATE_S = 0.1


class _RefusalError(Exception):
    """Why there is no number."""


class Nvml(Meter):
    """Energy of one whole GPU, refused where something else may have used it: MIG, or a foreign process.

    The counter moves about every 0.1 s, so 5 s resolve 2 %.
    """

    name = "nvml"
    min_window_s = 5.0

    def __init__(self, device: str = "cuda", **options: Any) -> None:
        super().__init__(device, **options)
        self._handle: Any = None
        self._before_mj = 0
        self._failure: str | None = "the meter was not started"
        self._begin = 0.0

    def unavailable(self) -> str | None:
        """Why this GPU's energy cannot be read here; None where it can."""
        try:
            self._find()
            self._refuse_company()
            self._millijoules()
        except _RefusalError as refusal:
            return str(refusal)
        return None

    def start(self) -> None:
        """Check that the GPU is ours alone, then read the counter."""
        try:
            self._find()
            self._refuse_company()
            self._before_mj, self._failure = self._millijoules(), None
        except _RefusalError as refusal:
            self._failure = str(refusal)
        self._begin = perf_counter()

    def stop(self) -> EnergyReading:
        """Read the counter, then check that the GPU is still ours alone."""
        window_s = perf_counter() - self._begin
        try:
            return self._difference(window_s)
        except _RefusalError as refusal:
            return EnergyReading.missing(self.name, str(refusal), window_s=window_s)

    def _difference(self, window_s: float) -> EnergyReading:
        if self._failure is not None:
            raise _RefusalError(self._failure)
        millijoules = self._millijoules() - self._before_mj
        self._refuse_company()
        if millijoules < 0:
            raise _RefusalError("the NVML energy counter fell: the driver was reloaded in the window")
        if millijoules == 0:
            reason = "the NVML energy counter did not move in the window"
            return EnergyReading.missing(self.name, reason, window_s=window_s, counter_updates=0)
        return EnergyReading(
            joules=millijoules / 1000,
            source="nvml: total energy counter",
            quality="measured",
            window_s=window_s,
            note=f"whole GPU; the counter resolves {100 * _UPDATE_S / max(window_s, _UPDATE_S):.1f} %",
        )

    def _find(self) -> None:
        """Find the GPU, once."""
        if self._handle is not None:
            return
        if not self.device.startswith("cuda"):
            raise _RefusalError(f"NVML counts the energy of NVIDIA GPUs, not of {self.device}")
        pynvml = _import_pynvml()
        try:
            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByUUID(_uuid(self.device))
        except pynvml.NVMLError as error:
            raise _RefusalError(f"NVML cannot find {self.device} ({error})") from error
        if _is_split(pynvml, handle):
            raise _RefusalError("MIG is on, and the energy counter belongs to the whole GPU; switch MIG off")
        self._handle = handle

    def _refuse_company(self) -> None:
        """Refuse a GPU that another process uses."""
        import pynvml

        try:
            processes = [
                *pynvml.nvmlDeviceGetComputeRunningProcesses(self._handle),
                *pynvml.nvmlDeviceGetGraphicsRunningProcesses(self._handle),
            ]
        except pynvml.NVMLError as error:
            raise _RefusalError(f"NVML cannot say which processes use the GPU ({error})") from error
        foreign = sorted({process.pid for process in processes} - {os.getpid()})
        if foreign:
            raise _RefusalError(
                f"other processes use the GPU (pids {', '.join(map(str, foreign))}); stop them, and in a "
                "container share the host's pid namespace so that this process is recognised"
            )

    def _millijoules(self) -> int:
        import pynvml

        try:
            return int(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        except pynvml.NVMLError as error:
            raise _RefusalError(
                f"this GPU has no readable energy counter ({error}), and power samples do not replace it"
            ) from error


def _import_pynvml() -> Any:
    if _is_installed("pynvml"):
        raise _RefusalError(
            "the unofficial distribution pynvml is installed; uninstall it and install nvidia-ml-py"
        )
    try:
        import pynvml
    except ImportError as error:
        raise _RefusalError(f"pynvml cannot be imported ({error}); install nvidia-ml-py") from error
    return pynvml


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _uuid(device: str) -> str:
    """NVML's name of a torch device; the indices of the two differ under CUDA_VISIBLE_DEVICES."""
    import torch

    try:
        uuid = str(torch.cuda.get_device_properties(device).uuid)
    except (RuntimeError, AssertionError) as error:  # no driver, no such device, or a CPU build of torch
        raise _RefusalError(f"torch cannot use {device} ({str(error).splitlines()[0]})") from error
    return uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"


def _is_split(pynvml: Any, handle: Any) -> bool:
    try:
        current, _ = pynvml.nvmlDeviceGetMigMode(handle)
    except pynvml.NVMLError_NotSupported:
        return False
    except pynvml.NVMLError as error:
        raise _RefusalError(f"NVML cannot say whether MIG is on ({error})") from error
    return bool(current == pynvml.NVML_DEVICE_MIG_ENABLE)
