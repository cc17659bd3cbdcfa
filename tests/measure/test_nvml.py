from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from mtlbench.measure.energy import nvml as module
from mtlbench.measure.energy import select_meter
from mtlbench.measure.energy.nvml import Nvml


class FakeNvml(ModuleType):
    """The part of pynvml that the meter calls; an exception as a value is raised."""

    NVML_DEVICE_MIG_ENABLE = 1
    NVMLError = type("NVMLError", (Exception,), {})
    NVMLError_NotSupported = type("NVMLError_NotSupported", (NVMLError,), {})

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.state: dict[str, Any] = {
            "init": None,
            "handle": "handle",
            "mig": [0, 0],
            "compute": [os.getpid()],
            "graphics": [],
            "millijoules": 10_000,
        }
        self.nvmlInit = lambda: self.answer("init")
        self.nvmlDeviceGetHandleByUUID = self.handle_by_uuid
        self.nvmlDeviceGetMigMode = lambda _: self.answer("mig")
        self.nvmlDeviceGetComputeRunningProcesses = lambda _: self.processes("compute")
        self.nvmlDeviceGetGraphicsRunningProcesses = lambda _: self.processes("graphics")
        self.nvmlDeviceGetTotalEnergyConsumption = lambda _: self.answer("millijoules")

    def answer(self, key: str) -> Any:
        value = self.state[key]
        if isinstance(value, Exception):
            raise value
        return value

    def handle_by_uuid(self, uuid: str) -> Any:
        self.state["uuid"] = uuid
        return self.answer("handle")

    def processes(self, key: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=pid) for pid in self.answer(key)]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="12-34"))
    return fake


def test_millijoules_become_joules_of_the_gpu_that_torch_means(fake: FakeNvml) -> None:
    meter = select_meter("auto", "cuda:1")
    assert isinstance(meter, Nvml)
    meter.start()
    fake.state["millijoules"] += 7_250
    reading = meter.stop()
    assert reading.joules == pytest.approx(7.25)
    assert (reading.quality, reading.source) == ("measured", "nvml: total energy counter")
    assert fake.state["uuid"] == "GPU-12-34"


def test_the_resolution_is_said(fake: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 5.0])
    monkeypatch.setattr(module, "perf_counter", lambda: next(times))
    meter = Nvml("cuda")
    meter.start()
    fake.state["millijoules"] += 1
    assert "resolves 2.0 %" in meter.stop().note


def test_a_counter_that_stood_still_is_no_zero(fake: FakeNvml) -> None:
    meter = Nvml("cuda")
    meter.start()
    reading = meter.stop()
    assert (reading.joules, reading.counter_updates) == (None, 0)
    assert "did not move" in str(reading.reason)


def test_a_counter_that_fell_is_no_energy(fake: FakeNvml) -> None:
    meter = Nvml("cuda")
    meter.start()
    fake.state["millijoules"] = 3
    assert "driver was reloaded" in str(meter.stop().reason)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"init": FakeNvml.NVMLError("library not found")}, "cannot find cuda:0 .library not found"),
        ({"handle": FakeNvml.NVMLError("not found")}, "cannot find cuda:0"),
        ({"mig": [1, 1]}, "MIG is on"),
        ({"mig": FakeNvml.NVMLError("no permission")}, "whether MIG is on"),
        ({"compute": [os.getpid(), 4242]}, "pids 4242"),
        ({"graphics": [4243]}, "pids 4243"),
        ({"compute": FakeNvml.NVMLError("no permission")}, "which processes"),
        (
            {"millijoules": FakeNvml.NVMLError_NotSupported("Not Supported")},
            "power samples do not replace it",
        ),
    ],
)
def test_each_refusal_is_a_reason_and_never_an_exception(
    fake: FakeNvml, state: dict[str, Any], reason: str
) -> None:
    fake.state |= state
    meter = Nvml("cuda:0")
    meter.start()
    reading = meter.stop()
    assert reading.joules is None
    assert reading.reason == meter.unavailable()
    assert re.search(reason, str(reading.reason))


def test_a_gpu_that_does_not_know_mig_is_metered(fake: FakeNvml) -> None:
    fake.state["mig"] = FakeNvml.NVMLError_NotSupported("Not Supported")
    assert Nvml("cuda").unavailable() is None


def test_a_process_that_came_during_the_window_spoils_it(fake: FakeNvml) -> None:
    meter = Nvml("cuda")
    meter.start()
    fake.state["compute"] = [os.getpid(), 99]
    fake.state["millijoules"] += 5_000
    assert "pids 99" in str(meter.stop().reason)


def test_the_unofficial_package_is_refused_before_it_is_imported(
    fake: FakeNvml, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pynvml-11.5.0.dist-info").mkdir()
    (tmp_path / "pynvml-11.5.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: pynvml\nVersion: 11.5.0\n"
    )
    assert Nvml("cuda").unavailable() is None
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "unofficial distribution pynvml" in str(Nvml("cuda").unavailable())


def test_a_missing_package_and_a_torch_without_cuda_are_reasons(
    fake: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_driver(_: str) -> Any:
        raise RuntimeError("Found no NVIDIA driver\nmore lines")

    monkeypatch.setattr(torch.cuda, "get_device_properties", without_driver)
    assert str(Nvml("cuda").unavailable()) == "torch cannot use cuda (Found no NVIDIA driver)"
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "install nvidia-ml-py" in str(Nvml("cuda").unavailable())


def test_a_window_that_was_not_started_has_no_number(fake: FakeNvml) -> None:
    assert Nvml("cuda").stop().reason == "the meter was not started"
