from __future__ import annotations

import gc
import json
import os
import subprocess
import sys

import pytest

from mtlbench.errors import UsageError
from mtlbench.measure.process import ProcessSettings, frozen_gc, prepare, thread_environment
from mtlbench.measure.warnings import WARNINGS


def in_child(code: str, threads: int) -> str:
    """Standard output of `code` in a fresh process, set up as a worker is."""
    environment = os.environ | thread_environment(threads)
    command = [sys.executable, "-c", f"import json\nfrom mtlbench.measure.process import prepare\n{code}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_environment_of_a_worker_holds_every_pool_at_the_asked_size() -> None:
    environment = thread_environment(3)
    pools = {name for name, value in environment.items() if name.endswith("THREADS")}
    assert {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"} <= pools
    assert {environment[name] for name in pools} == {"3"}
    assert environment["PYTHONHASHSEED"] == "0"


@pytest.mark.parametrize("threads", [0, -1])
def test_fewer_than_one_thread_is_refused(threads: int) -> None:
    with pytest.raises(UsageError, match=f"threads is {threads}"):
        thread_environment(threads)
    with pytest.raises(UsageError, match="interop_threads"):
        prepare(1, threads)


def test_each_knob_reaches_its_own_torch_call_and_denormals_are_zero() -> None:
    out = in_child(
        "s = prepare(2, 3)\n"
        "import torch, numpy as np\n"
        "tiny = np.float32(np.finfo(np.float32).tiny)\n"
        "print(json.dumps([s.as_dict(), torch.get_num_threads(), torch.get_num_interop_threads(),"
        " float(tiny * np.float32(0.5)), bool((torch.full((1 << 20,), float(tiny)) * 0.25).any())]))",
        threads=2,
    )
    record, threads, interop, numpy_denormal, any_denormal = json.loads(out)
    assert (threads, interop) == (2, 3)
    assert (record["threads"], record["interop_threads"], record["flush_denormal"]) == (2, 3, True)
    assert record["env.OMP_NUM_THREADS"] == "2"
    assert record["env.PYTHONHASHSEED"] == "0"
    assert numpy_denormal == 0.0
    assert any_denormal is False


def test_a_process_that_has_already_worked_in_parallel_is_unfit() -> None:
    refusal = (
        "from mtlbench.errors import MachineUnfitError\n"
        "try:\n    prepare(2, INTEROP)\n"
        "except MachineUnfitError as error:\n    print(error)"
    )
    work = "import torch\ntorch.set_num_threads(2)\ntorch.ones(1 << 20).mul(2)\n"
    late = in_child(f"{work}torch.set_num_interop_threads(1)\n" + refusal.replace("INTEROP", "1"), threads=2)
    assert "flushing of denormals on every thread is False, not True" in late
    fixed = in_child(
        "import torch\ntorch.set_num_interop_threads(2)\n" + refusal.replace("INTEROP", "1"), threads=2
    )
    assert "inter-operation threads cannot become 1" in fixed
    assert "fresh process" in fixed


def test_settings_warn_of_too_few_cores_and_kept_denormals() -> None:
    good = ProcessSettings(2, 1, True, {}, (0, 1))
    bad = ProcessSettings(2, 1, False, {"OMP_NUM_THREADS": "2"}, (1,))
    assert good.warnings == ()
    assert bad.warnings == ("denormals_kept", "oversubscribed")
    assert set(bad.warnings) <= set(WARNINGS)
    assert ProcessSettings(2, 1, True, {}, None).warnings == ()
    assert bad.as_dict()["affinity"] == "1"
    assert all(isinstance(value, str | int | None) for value in bad.as_dict().values())


def interrupted() -> None:
    with frozen_gc():
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
        raise KeyboardInterrupt


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was_found(enabled: bool) -> None:
    was_enabled, frozen = gc.isenabled(), gc.get_freeze_count()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert gc.isenabled() is enabled
        assert gc.get_freeze_count() == frozen
    finally:
        (gc.enable if was_enabled else gc.disable)()


def test_what_someone_else_froze_stays_frozen() -> None:
    gc.freeze()
    try:
        with frozen_gc():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
