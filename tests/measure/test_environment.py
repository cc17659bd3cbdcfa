from __future__ import annotations

import json
import platform
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mtlbench.measure import environment
from mtlbench.measure.environment import MACHINE_KEYS, capture, machine_id

CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 97
model name\t: AMD Ryzen 9 7900
stepping\t: 2
microcode\t: 0xa601206
cache size\t: 1024 KB
flags\t\t: sse2 fpu avx2

processor\t: 1
model name\t: another
"""


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_record_is_flat_json_and_true() -> None:
    record = capture()
    assert json.loads(json.dumps(record)) == record
    assert all(isinstance(value, str | int | float | bool | None) for value in record.values())
    assert record["python"] == platform.python_version()
    assert record["numpy"] == np.__version__
    assert record["torch"] == torch.__version__
    assert record["kernel"] == platform.release()
    assert record["cpu_capability"] == torch.backends.cpu.get_cpu_capability()


def test_no_host_name_and_no_machine_id_in_clear(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "secret-host")
    text = json.dumps(capture(tree(tmp_path, {"etc/machine-id": "0123456789abcdef\n"})))
    assert "secret-host" not in text
    assert "0123456789abcdef" not in text
    assert platform.node() not in text or len(platform.node()) < 6
    one = capture(tmp_path)["host_hash"]
    monkeypatch.setattr(socket, "gethostname", lambda: "other-host")
    assert capture(tmp_path)["host_hash"] != one


def test_a_machine_that_tells_nothing_gives_none_for_every_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError("planted")

    monkeypatch.setattr(subprocess, "run", fail)
    record = capture(tmp_path)
    assert record.keys() == capture().keys()
    unknown = {"cpu_model", "governor", "turbo", "git_commit", "git_dirty", "machine_hash", "gpu_driver"}
    assert {key for key in unknown if record[key] is not None} == set()
    assert len(machine_id(record)) == 12


def test_processor_and_power_settings_are_read(tmp_path: Path) -> None:
    cpu = "sys/devices/system/cpu"
    root = tree(
        tmp_path,
        {
            "proc/cpuinfo": CPUINFO,
            f"{cpu}/cpu0/cpufreq/scaling_governor": "powersave\n",
            f"{cpu}/cpu1/cpufreq/scaling_governor": "performance\n",
            f"{cpu}/cpu0/topology/thread_siblings": "00000000,00000003\n",
            f"{cpu}/cpu1/topology/thread_siblings": "00000000,00000003\n",
            f"{cpu}/cpufreq/boost": "1\n",
            "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue\n",
        },
    )
    record = capture(root)
    assert record["cpu_model"] == "AMD Ryzen 9 7900"
    assert (record["cpu_family"], record["cpu_model_number"], record["cpu_vendor"]) == (
        "25",
        "97",
        "AuthenticAMD",
    )
    assert record["governor"] == "performance,powersave"
    assert record["smt_siblings"] == 2
    assert record["turbo"] is True
    assert record["virtualised"] is False
    assert record["gpu_driver"] == "550.54.15"
    tree(root, {f"{cpu}/intel_pstate/no_turbo": "1\n"})
    assert capture(root)["turbo"] is False


def test_the_digest_of_flags_ignores_their_order(tmp_path: Path) -> None:
    one = capture(tree(tmp_path / "a", {"proc/cpuinfo": CPUINFO}))["cpu_flags"]
    two = capture(tree(tmp_path / "b", {"proc/cpuinfo": CPUINFO.replace("sse2 fpu", "fpu sse2")}))[
        "cpu_flags"
    ]
    new = capture(tree(tmp_path / "c", {"proc/cpuinfo": CPUINFO.replace("fpu", "fpu avx512f")}))["cpu_flags"]
    assert one == two != new


@pytest.mark.parametrize(
    ("files", "cores", "mib"),
    [
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, None, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5, None),
        (
            {  # the tightest of the own group and those around it
                "proc/self/cgroup": "0::/user/job\n",
                "sys/fs/cgroup/user/cpu.max": "50000 100000\n",
                "sys/fs/cgroup/user/job/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/user/job/memory.max": "268435456\n",
                "sys/fs/cgroup/user/memory.max": "max\n",
            },
            0.5,
            256.0,
        ),
        (
            {  # version 1
                "proc/self/cgroup": "3:memory:/box\n2:cpu,cpuacct:/box\n0::/\n",
                "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "75000\n",
                "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "134217728\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            0.75,
            128.0,
        ),
        ({}, None, None),
    ],
)
def test_limits_of_control_groups(
    tmp_path: Path, files: dict[str, str], cores: float | None, mib: float | None
) -> None:
    record = capture(tree(tmp_path, files))
    assert (record["cgroup_quota_cores"], record["cgroup_memory_mib"]) == (cores, mib)


def test_the_machine_id_outlives_reboots_and_updates() -> None:
    record = capture()
    later = record | {
        "kernel": "9.9",
        "torch": "3.0",
        "steal_share": 0.5,
        "git_commit": "x",
        "governor": "other",
    }
    assert machine_id(record) == machine_id(capture()) == machine_id(later)
    assert len(machine_id(record)) == 12
    int(machine_id(record), 16)


@pytest.mark.parametrize("key", MACHINE_KEYS)
def test_the_machine_id_follows_each_of_its_keys(key: str) -> None:
    record = dict.fromkeys(MACHINE_KEYS, "a")
    assert machine_id(record) != machine_id(record | {key: "b"})
    assert key in capture()


def test_the_commit_of_another_project_around_an_installed_copy_is_not_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers = {"--show-toplevel": str(tmp_path / "outer"), "HEAD": "c0ffee", "--porcelain": " M a.py\n"}

    def git(command: list[str], **_: Any) -> SimpleNamespace:
        assert command[:2] == ["git", "--no-optional-locks"]  # reading the state must not write the index
        return SimpleNamespace(stdout=answers[command[-1]])

    monkeypatch.setattr(subprocess, "run", git)
    monkeypatch.setattr(environment, "_CHECKOUT", tmp_path / "outer/venv")
    assert (capture()["git_commit"], capture()["git_dirty"]) == (None, None)
    monkeypatch.setattr(environment, "_CHECKOUT", tmp_path / "outer")
    assert (capture()["git_commit"], capture()["git_dirty"]) == ("c0ffee", True)
    answers["--porcelain"] = ""
    assert capture()["git_dirty"] is False
