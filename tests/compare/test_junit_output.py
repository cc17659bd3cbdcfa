"""JUnit XML: always well formed, and within what the schemas of CI servers have in common."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree as ET

import pytest
from comparisons import (
    BASE,
    COMPARISONS,
    HOSTILE,
    ONE_EACH,
    PASS,
    REGRESSION,
    compared,
    hostile,
    many,
    mixtures,
)
from hypothesis import given, settings

from mtlbench.compare.outputs.junit import to_junit
from mtlbench.compare.verdict import Comparison, Finding, Tier, Verdict

OUTCOME = {
    Verdict.REGRESSION: "failure",
    Verdict.MISSING: "error",
    Verdict.NOT_COMPARABLE: "error",
    Verdict.INCONCLUSIVE: "skipped",
}
# By element: attributes that it must have, those that it may have, and its children in their order.
# What junit-10.xsd of Jenkins' xUnit plugin and the schema that pytest's documentation quotes both allow.
RULES: dict[str, tuple[set[str], set[str], list[str]]] = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, ["testsuite"]),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"skipped", "time", "timestamp", "hostname", "id", "package"},
        ["properties", "testcase", "system-out", "system-err"],
    ),
    "properties": (set(), set(), ["property"]),
    "property": ({"name", "value"}, set(), []),
    "testcase": (
        {"name"},
        {"classname", "time"},
        ["skipped", "error", "failure", "system-out", "system-err"],
    ),
    "failure": (set(), {"type", "message"}, []),
    "error": (set(), {"type", "message"}, []),
    "skipped": (set(), {"type", "message"}, []),
    "system-out": (set(), set(), []),
}


def check(element: ET.Element) -> None:
    required, optional, children = RULES[element.tag]
    assert required <= set(element.attrib) <= required | optional
    tags = [child.tag for child in element]
    assert tags == sorted(tags, key=children.index)
    if element.tag == "testcase":
        assert len(tags) == len(set(tags))
        assert len({"skipped", "error", "failure"} & set(tags)) <= 1
    if element.tag == "properties":
        assert tags, "the older schema asks for one property at least"
    if element.tag not in ("failure", "error", "skipped", "system-out"):
        assert not (element.text or "").strip()
    for child in element:
        check(child)


def read(text: str) -> ET.Element:
    """Parsed from bytes, as servers do, checked against the rules, its totals recounted."""
    root = ET.fromstring(text.encode("utf-8"))  # noqa: S314  # written by the code under test
    assert root.tag == "testsuites"
    check(root)
    for element in (root, *root):
        cases = list(element.iter("testcase"))
        assert int(element.attrib["tests"]) == len(cases)
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            if attribute in element.attrib:
                assert int(element.attrib[attribute]) == sum(case.find(tag) is not None for case in cases)
    return root


def outcomes(root: ET.Element) -> Counter[str]:
    return Counter(
        child.tag for case in root.iter("testcase") for child in case if child.tag in set(OUTCOME.values())
    )


@pytest.mark.parametrize("findings", mixtures(), ids=lambda those: "+".join(each.verdict for each in those))
def test_every_mixture_has_one_case_per_finding(findings: tuple[Finding, ...]) -> None:
    root = read(to_junit(compared(*findings)))
    names = sorted((case.attrib["classname"], case.attrib["name"]) for case in root.iter("testcase"))
    assert names == sorted((each.cell, each.metric) for each in findings)
    assert outcomes(root) == Counter(OUTCOME[each.verdict] for each in findings if each.verdict in OUTCOME)
    assert [suite.attrib["name"] for suite in root] == [
        f"mtlbench.{tier}" for tier in Tier if tier in {each.tier for each in findings}
    ]


def test_a_case_holds_why_and_all_numbers() -> None:
    root = read(to_junit(compared(REGRESSION, PASS, notes=("A note.",))))
    (case,) = (case for case in root.iter("testcase") if case.attrib["name"] == "latency_ms")
    failure = case.find("failure")
    assert failure is not None
    assert failure.attrib == {"type": "regression", "message": REGRESSION.sentence}
    lines = (case.findtext("system-out") or "").split("\n")
    assert lines[0] == f"regression: {REGRESSION.sentence}"
    numbers = dict(line.split("=") for line in lines[1:])
    assert float(numbers["base"]) == REGRESSION.base
    assert float(numbers["change_percent.ci_low"]) == 10.12
    assert float(numbers["p_holm"]) == REGRESSION.p_holm
    assert (numbers["n"], numbers["unit"], numbers["is_confirmed"]) == ("20", "ms", "true")
    properties = {each.attrib["name"]: each.attrib["value"] for each in root[0].iter("property")}
    assert properties["exit_code"] == "1"
    assert properties["note.1"] == "A note."
    assert BASE.run_id in properties["base"]


def test_many_findings() -> None:
    root = read(to_junit(many(500, *ONE_EACH)))
    assert sum(outcomes(root).values()) == sum(
        each.verdict in OUTCOME for each in many(500, *ONE_EACH).findings
    )


def test_nasty_names_stay_text() -> None:
    root = read(to_junit(hostile()))
    names = {case.attrib["classname"] for case in root.iter("testcase")}
    allowed = {words for words in HOSTILE if "\x1b" not in words}
    assert allowed <= names
    (cleaned,) = (name for name in names if "CDATA" in name)
    assert cleaned == "[31mred[0m  ]]> <![CDATA[ &amp; \x85 \u2028 \u202e"


@settings(max_examples=100, deadline=None)
@given(COMPARISONS)
def test_anything_is_well_formed(comparison: Comparison) -> None:
    assert len(list(read(to_junit(comparison)).iter("testcase"))) == len(comparison.findings)
