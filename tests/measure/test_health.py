from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mtlbench.measure import health
from mtlbench.measure.health import Health, HealthReport, compare
from mtlbench.measure.warnings import WARNINGS

START = Health(
    wall_s=100.0,
    process_cpu_s=50.0,
    voluntary_switches=10,
    involuntary_switches=20,
    machine_busy_s=1000.0,
    steal_s=5.0,
    throttle_events=3,
    load_1m=0.5,
)


def after(wall: float = 10.0, cpu: float = 9.95, foreign: float = 0.1, **more: float) -> HealthReport:
    """The report of a quiet window of one thread, but for what is named."""
    threads = int(more.pop("threads", 1))
    changed = {name: getattr(START, name) + value for name, value in more.items()}
    end = replace(
        START,
        wall_s=START.wall_s + wall,
        process_cpu_s=START.process_cpu_s + cpu,
        machine_busy_s=START.machine_busy_s + cpu + foreign,
        **changed,
    )
    return compare(START, end, threads=threads)


def test_a_quiet_window_raises_nothing() -> None:
    report = after(involuntary_switches=40, voluntary_switches=7, steal_s=0.01, load_1m=0.4)
    assert report.warnings == ()
    assert report.cpu_wall_ratio == pytest.approx(0.995)
    assert report.foreign_cores == pytest.approx(0.01)
    assert (report.voluntary_switches, report.involuntary_switches, report.throttle_events) == (7, 40, 0)
    assert report.load_1m_after == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"foreign": 1.2}, "foreign_load"),
        ({"involuntary_switches": 101}, "involuntary_switches"),
        ({"steal_s": 0.02 * 10 * (psutil.cpu_count() or 1)}, "steal"),
        ({"throttle_events": 1}, "throttled"),
        ({"cpu": 8.0}, "cpu_wall_ratio"),
        ({"cpu": 12.0}, "cpu_wall_ratio"),
        ({"cpu": 23.0, "threads": 2}, "cpu_wall_ratio"),
    ],
)
def test_each_planted_fault_raises_its_code_alone(change: dict[str, float], code: str) -> None:
    assert after(**change).warnings == (code,)
    assert code in WARNINGS


@pytest.mark.parametrize("cpu", [10.0, 15.0, 20.0])
def test_two_threads_may_use_up_to_two_cores(cpu: float) -> None:
    assert after(cpu=cpu, threads=2).warnings == ()


def test_a_window_as_short_as_the_ticks_raises_nothing() -> None:
    report = after(wall=0.02, cpu=0.01, foreign=0.04, involuntary_switches=5, steal_s=0.02)
    assert report.warnings == ()


def test_what_the_system_does_not_say_stays_unknown() -> None:
    silent = replace(START, steal_s=None, throttle_events=None)
    report = compare(silent, replace(START, wall_s=101.0, process_cpu_s=51.0))
    assert report.steal_share is None
    assert report.throttle_events is None
    assert report.warnings == ()


def test_the_numbers_are_flat() -> None:
    numbers = after().as_dict()
    assert "warnings" not in numbers
    assert all(isinstance(value, int | float | None) for value in numbers.values())


def test_a_busy_process_beside_us_is_foreign_and_our_own_work_is_not() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            time.sleep(0.2)
            before = Health.read()
            time.sleep(1.0)
            report = compare(before, Health.read())
        finally:
            busy.kill()
    assert report.foreign_cores > 0.3
    assert "foreign_load" in report.warnings
    assert "cpu_wall_ratio" in report.warnings  # this process slept
    assert report.voluntary_switches >= 1
    before = Health.read()
    while time.perf_counter() < before.wall_s + 0.3:
        pass
    assert compare(before, Health.read()).cpu_wall_ratio > 0.1


def test_throttle_counters_are_summed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for core, events in (("cpu0", 2), ("cpu1", 5)):
        (tmp_path / core / "thermal_throttle").mkdir(parents=True)
        (tmp_path / core / "thermal_throttle/core_throttle_count").write_text(f"{events}\n")
    monkeypatch.setattr(health, "_CPU", tmp_path)
    monkeypatch.setattr(health, "_QUOTA", tmp_path / "cpu.stat")
    assert Health.read().throttle_events == 7
    (tmp_path / "cpu.stat").write_text("usage_usec 9000\nnr_periods 12\nnr_throttled 3\nthrottled_usec 40\n")
    assert Health.read().throttle_events == 10
    (tmp_path / "cpu.stat").unlink()
    (tmp_path / "cpu0/thermal_throttle/core_throttle_count").write_text("?")
    assert Health.read().throttle_events is None
    monkeypatch.setattr(health, "_CPU", tmp_path / "none")
    assert Health.read().throttle_events is None
