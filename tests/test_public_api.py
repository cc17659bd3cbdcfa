"""The public surface is small, and changes on purpose only."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mtlbench


def test_the_public_names():
    assert sorted(mtlbench.__all__) == ["MtlbenchError", "RunResult", "load_results", "run", "seed_table"]
    assert dir(mtlbench) == sorted(mtlbench.__all__)
    for name in mtlbench.__all__:
        assert getattr(mtlbench, name).__name__ == name


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'nonesuch'"):
        _ = mtlbench.nonesuch


def test_importing_mtlbench_is_light():
    code = "import sys, mtlbench; print(sorted({'torch', 'pandas', 'numpy', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
