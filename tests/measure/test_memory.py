from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from torch import nn

from mtlbench.measure import memory
from mtlbench.measure.memory import current_rss_mib, module_weights_mib, peak_mib, reset_peak


def test_weights_of_one_module_are_its_parameters_and_buffers() -> None:
    net = nn.Sequential(nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64))
    by_hand = 4 * (64 * 27 + 64 + 64 + 64 + 64 + 64) + 8
    assert module_weights_mib([net]) == pytest.approx(by_hand / 2**20)


def test_shared_storage_counts_once_and_networks_side_by_side_add_up() -> None:
    one, other = nn.Linear(256, 256, bias=False), nn.Linear(256, 256, bias=False)
    size = 256 * 256 * 4 / 2**20
    tied = nn.Linear(256, 256, bias=False)
    tied.weight = one.weight
    view = nn.Module()
    view.register_buffer("part", one.weight.detach()[:128])
    assert module_weights_mib([one, other]) == pytest.approx(2 * size)
    assert module_weights_mib([one, one, tied, view]) == pytest.approx(size)
    assert module_weights_mib([]) == 0


def test_weights_on_the_meta_device_are_not_taken_for_one() -> None:
    net = nn.Sequential(nn.Linear(64, 64, bias=False), nn.Linear(64, 64, bias=False)).to("meta")
    assert module_weights_mib([net]) == pytest.approx(2 * 64 * 64 * 4 / 2**20)


FREED = """
import json
from mtlbench.measure.memory import peak_rss_mib, reset_peak
reset_peak()
before = peak_rss_mib()
block = b"1" * (96 << 20)
del block
held = peak_rss_mib()
print(json.dumps({"before": before, "held": held, "restarted": reset_peak(), "after": peak_rss_mib()}))
"""


def test_the_peak_keeps_what_was_freed_and_restarts_where_the_kernel_lets_it() -> None:
    # In a process of its own: where the kernel does not let the peak restart, an earlier test's would hide it.
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["held"] > seen["before"] + 80
    if seen["restarted"]:
        assert seen["after"] < seen["before"] + 40
    else:
        assert seen["after"] >= seen["held"]


def test_memory_held_now_is_what_psutil_says() -> None:
    assert current_rss_mib() == pytest.approx(psutil.Process().memory_info().rss / 2**20, rel=0.05)
    assert peak_mib().keys() == {"rss"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is all there is elsewhere")
def test_the_size_of_the_parent_is_not_the_peak_of_the_child() -> None:
    child = "from mtlbench.measure.memory import peak_rss_mib; print(peak_rss_mib())"
    parent = (
        "import subprocess, sys\n"
        "block = b'1' * (600 << 20)\n"
        f"print(subprocess.run([sys.executable, '-c', {child!r}], capture_output=True, text=True).stdout)"
    )
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True)
    assert 5 < float(done.stdout) < 300


def test_a_kernel_that_refuses_to_restart_the_peak_is_no_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "_CLEAR_REFS", tmp_path / "missing" / "clear_refs")
    assert reset_peak() is False


def test_cuda_peaks_come_from_the_allocator_of_the_asked_device(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", seen.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: seen.append(device) or 3 * 2**20)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: seen.append(device) or 5 * 2**20)
    reset_peak("cuda:1")
    peaks = peak_mib("cuda:1")
    assert (peaks["cuda_allocated"], peaks["cuda_reserved"]) == (3.0, 5.0)
    assert seen == ["cuda:1"] * 3
