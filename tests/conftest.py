"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Before torch is imported: the processes of pytest-xdist share the cores, and threads that wait for each other there
# make everything many times slower.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and golden files; a test that needs it is skipped where it is absent."""
    folder = Path(os.environ.get("MTLBENCH_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data: {folder} is not there (set MTLBENCH_SHARED)")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _private_machine_files(tmp_path_factory: pytest.TempPathFactory):
    """Tests never touch the user's artifact cache, nor wait for the user's own measurements."""
    folder = tmp_path_factory.mktemp("machine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTLBENCH_CACHE", str(folder / "cache"))
        patch.setenv("MTLBENCH_LOCK", str(folder / "timing.lock"))
        yield
