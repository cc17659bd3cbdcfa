"""The examples in the documentation run."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest
import yaml

from mtlbench.__main__ import main
from mtlbench.suite.reference import suite_reference
from mtlbench.testing import CHECKS, Case

ROOT = Path(__file__).parents[2]


def blocks(name: str, language: str) -> list[str]:
    """Fenced code blocks of one language in a document."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)


@pytest.fixture(scope="module")
def example():
    """The variant of docs/variants.md, as a module."""
    module = types.ModuleType("documented_variant")
    sys.modules[module.__name__] = module
    exec(compile(blocks("docs/variants.md", "python")[0], "docs/variants.md", "exec"), module.__dict__)  # noqa: S102
    return module.ShallowMTL


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_the_documented_variant_conforms(example, check):
    check(Case.small(example))


def test_every_link_leads_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#]+)\)", prose):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_suite_reference_is_that_of_the_schema():
    assert (ROOT / "docs/suite-reference.md").read_text() == suite_reference()


def test_the_suite_of_the_guide_is_valid(tmp_path, capsys):
    path = tmp_path / "rooms.yaml"
    path.write_text(blocks("docs/suites.md", "yaml")[0])
    assert main(["validate", str(path)]) == 0
    assert "24 cells" in capsys.readouterr().out


def test_yaml_examples_are_yaml():
    for page in (ROOT / "docs").glob("*.md"):
        for block in blocks(f"docs/{page.name}", "yaml"):
            assert yaml.safe_load(block)
