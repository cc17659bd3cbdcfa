"""The per-image variant and the case of docs/variants.md."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

from mtlbench.contracts import require_contract
from mtlbench.testing import CHECKS, Case

PAGE = (Path(__file__).parents[2] / "docs/variants.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def package():
    """The page's modules and its case, by name."""
    with pytest.MonkeyPatch.context() as patch:
        names = {}
        for block in BLOCKS:
            file = re.match(r"# my_package/(\w+)\.py", block)
            name = f"my_package.{file[1]}" if file else "the_case"
            if file or "case = " in block:
                module = types.ModuleType(name)
                patch.setitem(sys.modules, name, module)
                exec(compile(block, "docs/variants.md", "exec"), module.__dict__)  # noqa: S102
                names |= module.__dict__
        yield names


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_the_variant_that_decides_for_each_image_conforms(package, check):
    check(Case.small(package["CalmMTL"]))


def test_its_images_take_different_paths(package):
    case = Case.small(package["CalmMTL"])
    runnable = case.build().configure({"contrast": 1.0})
    _, trace = runnable(case.images)
    assert trace.decisions.tolist() == [True, False, False]
    busy, *calm = trace.nominal_macs(runnable.units())
    assert all(macs < busy for macs in calm)


def test_the_documented_case(package):
    CHECKS["full_compute_equals_reference"](package["case"])
    require_contract("variant", "shallow_mtl", package["ShallowMTL"])
    require_contract("variant", "calm_mtl", package["CalmMTL"])
