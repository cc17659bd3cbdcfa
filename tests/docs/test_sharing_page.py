"""What docs/sharing.md says of options is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mtlbench import variants

PAGE = (Path(__file__).parents[2] / "docs/sharing.md").read_text()


def table(heading: str) -> list[list[str]]:
    """Rows of the table of options below a heading, cells without backticks."""
    below = PAGE.split(f"## {heading}\n")[1]
    rows = re.search(r"\| option \|.*\n\|[-|]+\n((?:\|.*\n)+)", below)[1].splitlines()
    return [[cell.strip().replace("`", "") for cell in row.strip("|").split("|")] for row in rows]


def said(value) -> str:
    return "" if value is None else str(value)


@pytest.mark.parametrize(
    ("heading", "column", "variant", "given", "hidden"),
    [
        ("Token by token", 1, "computation_sharing", {}, set()),
        ("Over time", 1, "computation_sharing_video", {}, {"computation_sharing"}),
        ("Element by element", 1, "computation_sharing_element", {}, set()),
        ("Element by element", 2, "computation_sharing_element", {"preset": "compat"}, set()),
    ],
)
def test_options_and_defaults_are_those_of_the_code(heading, column, variant, given, hidden):
    known = variants.registry.get(variant).Options.model_validate(given).model_dump()
    for other in hidden:  # what another table tells
        for name in variants.registry.get(other).Options.model_fields:
            del known[name]
    assert {row[0]: row[column] for row in table(heading)} == {k: said(v) for k, v in known.items()}


def test_every_variant_of_the_page_is_there():
    named = set(re.findall(r"^\| `(\w*sharing\w*)` \|", PAGE, flags=re.MULTILINE))
    assert named == {name for name in variants.registry.names() if "sharing" in name}
