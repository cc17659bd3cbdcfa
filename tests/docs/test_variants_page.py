"""The examples of docs/variants.md, and what its tables say of AdaMTL."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest
import yaml

from mtlbench import variants
from mtlbench.contracts import require_contract
from mtlbench.testing import CHECKS, Case
from mtlbench.training.artifact import Named, Problem
from mtlbench.training.protocol import TrainingProtocol

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


def table(title: str) -> list[list[str]]:
    """Rows of the first table below a heading, cells without backticks."""
    below = PAGE.split(f"### {title}\n")[1]
    rows = re.search(r"\|[-|]+\n((?:\|.*\n)+)", below)[1].splitlines()
    return [[cell.strip().replace("`", "") for cell in row.strip("|").split("|")] for row in rows]


@pytest.mark.parametrize(("column", "variant"), [(1, "adamtl"), (2, "adamtl_compat")])
def test_options_and_defaults_of_adamtl_are_those_of_the_code(column, variant):
    told = {row[0]: yaml.safe_load(row[column]) for row in table("Options")}
    known = (
        variants.registry.get(variant)
        .Options()
        .model_dump(exclude={"checkpoint_sha256", "checkpoint_budget"})
    )
    assert told == known


def test_epochs_of_the_stages_are_those_of_the_code():
    protocol = TrainingProtocol(epochs=24)
    rows = {row[0]: list(map(int, row[2:])) for row in table("Three stages")}
    for column, variant in enumerate(("adamtl", "adamtl_compat")):
        options = variants.registry.get(variant).Options()
        shares = {"dense": 1.0, "policy": options.pretrain_share, "joint": options.joint_share}
        epochs = {stage: protocol.scaled(share).epochs for stage, share in shares.items()}
        assert epochs == {stage: row[column] for stage, row in rows.items()}
    shares = (options.pretrain_share, 0.3)
    assert f"for the epochs of both stages ({protocol.scaled(*shares).epochs})" in PAGE


@pytest.mark.parametrize(("column", "options"), [(1, {}), (3, {"scope": "block"})])
def test_the_least_budgets_are_those_of_the_code(column, options):
    told = table("Budgets")[0]
    name, arch = told[0].split(", arch: ")
    tasks = tuple(map(Named, ("depth", "normals", "saliency")))
    problem = Problem((224, 224), Named(name, {"arch": arch}), Named("multiscale", {"width": 32}), tasks)
    refusal = variants.registry.get("adamtl")(problem, **options).refuse({"budget": 0.01})
    assert f"cannot be skipped takes {told[column]} of" in refusal
