from __future__ import annotations

import logging
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from mtlbench.measure.energy import pyrapl as module
from mtlbench.measure.energy.pyrapl import PyRapl

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pyRAPL = pytest.importorskip("pyRAPL")  # noqa: N816  # the package's own name

ZONE = "/sys/class/powercap/intel-rapl/intel-rapl:"


class Tree:
    """The files that pyRAPL reads, as a dictionary; an exception stands for a file that cannot be opened."""

    def __init__(self, sockets: int = 1, dram: bool = True) -> None:
        self.files: dict[str, Any] = {"/sys/devices/system/cpu/present": f"0-{max(sockets - 1, 1)}\n"}
        for socket in range(max(sockets, 2)):
            package = f"/sys/devices/system/cpu/cpu{socket}/topology/physical_package_id"
            self.files[package] = f"{socket if sockets > 1 else 0}\n"
        for socket in range(sockets):
            self.zone(socket, f"package-{socket}", 1_000_000)
            if dram:
                self.zone(socket, "dram", 500_000, child=0)

    def zone(self, number: int, name: str, microjoules: int, child: int | None = None) -> None:
        folder = f"{ZONE}{number}" + ("" if child is None else f"/intel-rapl:{number}:{child}")
        self.files |= {folder: None, f"{folder}/name": f"{name}\n", f"{folder}/energy_uj": f"{microjoules}\n"}

    def add(self, microjoules: int, number: int = 0, child: int | None = None) -> None:
        folder = f"{ZONE}{number}" + ("" if child is None else f"/intel-rapl:{number}:{child}")
        self.files[f"{folder}/energy_uj"] = f"{int(self.files[f'{folder}/energy_uj']) + microjoules}\n"

    def open(self, path: str, *_: str) -> Any:
        content = self.files.get(path, FileNotFoundError(2, "No such file", path))
        if isinstance(content, Exception):
            raise content

        def readline() -> str:
            now = self.files[path]
            if isinstance(now, Exception):
                raise now
            return str(now)

        return SimpleNamespace(readline=readline, seek=lambda *_: None)


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[Tree], Tree]:
    def planted(tree: Tree) -> Tree:
        monkeypatch.setattr(module, "_FIRST_ZONE", SimpleNamespace(exists=lambda: f"{ZONE}0" in tree.files))
        shim = SimpleNamespace(path=SimpleNamespace(exists=lambda path: path in tree.files))
        monkeypatch.setattr(pyRAPL.device_api, "open", tree.open, raising=False)
        monkeypatch.setattr(pyRAPL.device_api, "os", shim)
        return tree

    return planted


def test_microjoules_of_package_and_dram_become_joules(plant: Callable[[Tree], Tree]) -> None:
    tree = plant(Tree())
    meter = PyRapl()
    assert meter.unavailable() is None
    meter.start()
    tree.add(2_500_000)
    tree.add(250_000, child=0)
    reading = meter.stop()
    assert reading.joules == pytest.approx(2.75)
    assert (reading.quality, reading.source) == ("measured", "pyrapl: package+dram")
    assert reading.counter_updates is None
    assert reading.window_s > 0


def test_sockets_add_up_and_the_second_window_starts_anew(plant: Callable[[Tree], Tree]) -> None:
    tree = plant(Tree(sockets=2, dram=False))
    meter = PyRapl()
    for joules in (3, 5):
        meter.start()
        tree.add(1_000_000 * joules, number=0)
        tree.add(2_000_000 * joules, number=1)
        assert meter.stop().joules == pytest.approx(3 * joules)


def test_a_missing_dram_counter_is_said_and_not_an_error(plant: Callable[[Tree], Tree]) -> None:
    tree = plant(Tree(dram=False))
    meter = PyRapl()
    meter.start()
    tree.add(1_000_000)
    reading = meter.stop()
    assert reading.joules == pytest.approx(1.0)
    assert reading.source == "pyrapl: package"
    assert "no DRAM" in reading.note


@pytest.mark.parametrize(
    "wrapped", [{"number": 0}, {"number": 1}, {"number": 0, "child": 0}, {"number": 1, "child": 0}]
)
def test_a_wrap_of_any_counter_is_a_reason_and_not_a_number(
    plant: Callable[[Tree], Tree], wrapped: dict[str, int]
) -> None:
    tree = plant(Tree(sockets=2))
    meter = PyRapl()
    meter.start()
    for number in (0, 1):
        tree.add(5_000_000, number=number)
        tree.add(5_000_000, number=number, child=0)
    tree.add(-5_400_000, **wrapped)
    reading = meter.stop()
    assert reading.joules is None
    assert "wrapped" in str(reading.reason)


def test_a_window_in_which_two_wraps_would_fit_is_refused(
    plant: Callable[[Tree], Tree], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = plant(Tree())
    times = iter([0.0, 59.0, 0.0, 61.0])
    monkeypatch.setattr(module, "perf_counter", lambda: next(times))
    meter = PyRapl()
    for expected in (1.0, None):
        meter.start()
        tree.add(1_000_000)
        reading = meter.stop()
        assert reading.joules == expected
    assert "61 s is too long" in str(reading.reason)


def test_a_counter_that_stands_still_is_no_zero(plant: Callable[[Tree], Tree]) -> None:
    plant(Tree())
    meter = PyRapl()
    meter.start()
    reading = meter.stop()
    assert reading.joules is None
    assert reading.counter_updates == 0
    assert "did not move" in str(reading.reason)


def multi_die() -> Tree:
    tree = Tree(dram=False)
    tree.zone(0, "package-0-die-0", 1)
    tree.zone(1, "package-0-die-1", 1)
    return tree


def unreadable(error: Exception) -> Tree:
    tree = Tree()
    tree.files[f"{ZONE}0/energy_uj"] = error
    return tree


def garbled() -> Tree:
    tree = Tree()
    tree.files[f"{ZONE}0/energy_uj"] = "\n"
    return tree


def without_topology() -> Tree:
    tree = Tree()
    del tree.files["/sys/devices/system/cpu/cpu0/topology/physical_package_id"]
    return tree


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        (Tree(sockets=0), "shows no RAPL counters"),
        (multi_die(), "one RAPL package per socket"),
        (unreadable(PermissionError(13, "denied")), "root only .*chmod a\\+r"),
        (unreadable(OSError(5, "I/O error")), "OSError: .*I/O error"),
        (garbled(), "ValueError"),
        (without_topology(), "FileNotFoundError"),
    ],
)
def test_each_failure_becomes_its_reason_and_never_an_exception(
    plant: Callable[[Tree], Tree], tree: Tree, reason: str
) -> None:
    plant(tree)
    meter = PyRapl()
    meter.start()
    reading = meter.stop()
    assert reading.joules is None
    assert reading.reason == meter.unavailable()
    assert re.search(reason, str(reading.reason))


def test_a_read_that_fails_at_the_end_of_the_window_gives_no_number(plant: Callable[[Tree], Tree]) -> None:
    tree = plant(Tree())
    meter = PyRapl()
    meter.start()
    tree.files[f"{ZONE}0/energy_uj"] = OSError(5, "I/O error")
    assert "I/O error" in str(meter.stop().reason)


def test_a_window_that_was_not_started_has_no_number(plant: Callable[[Tree], Tree]) -> None:
    plant(Tree())
    assert PyRapl().stop().reason == "the meter was not started"


def test_a_missing_package_is_one_sentence(
    plant: Callable[[Tree], Tree], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(Tree())
    monkeypatch.setitem(sys.modules, "pyRAPL", None)
    assert "install pyRAPL" in str(PyRapl().unavailable())


def test_without_counters_the_package_is_not_even_imported() -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom mtlbench.measure.energy import pyrapl\n"
        "pyrapl._FIRST_ZONE = Path('nowhere')\n"
        "assert 'shows no RAPL' in pyrapl.PyRapl().unavailable()\nassert 'pyRAPL' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_first_import_leaves_logging_and_standard_error_alone() -> None:
    code = (
        "import logging\nfrom pathlib import Path\nfrom mtlbench.measure.energy import pyrapl\n"
        "pyrapl._FIRST_ZONE = Path('/')\npyrapl.PyRapl().unavailable()\n"
        "import sys\nassert 'pyRAPL' in sys.modules\n"
        "assert logging.getLogger().handlers == [] and logging.root.manager.disable == 0"
    )
    command = [sys.executable, "-W", "always", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert logging.root.manager.disable == 0
