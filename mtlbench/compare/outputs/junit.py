"""A comparison as JUnit XML, for CI servers that show test results.

Elements and attributes are those that the schemas of Jenkins' xUnit plugin (junit-10.xsd, which pytest tests its own
files against) and its older public schema share. Neither lets a test case have properties, so its numbers are its
output, one `name=value` a line, and properties say what the runs were.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from xml.etree import ElementTree as ET

from mtlbench.compare.outputs.words import headline, side
from mtlbench.compare.verdict import Comparison, Finding, Tier, Verdict

__all__ = ["to_junit"]

ELEMENTS: Mapping[Verdict, str] = {
    Verdict.REGRESSION: "failure",
    Verdict.MISSING: "error",
    Verdict.NOT_COMPARABLE: "error",
    Verdict.INCONCLUSIVE: "skipped",
}
"""Improvements and passes have none: such a test case has passed."""

_TOTALS = {"failures": "failure", "errors": "error", "skipped": "skipped"}
_NUMBERS = ("base", "head", "unit", "change_percent", "threshold_percent", "p", "p_holm", "n")
# Everything that is no Char of XML 1.0 (section 2.2).
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(comparison: Comparison) -> str:
    """One test suite per tier, one test case per finding: its class the cell, its name the metric.

    A regression is a failure, missing and not comparable are errors, inconclusive is skipped. Characters that XML 1.0
    forbids are removed.
    """
    root = _element("testsuites", name="mtlbench compare", **_totals(comparison.findings, skipped=False))
    for tier in Tier:
        findings = [finding for finding in comparison.findings if finding.tier is tier]
        if findings:
            root.append(_suite(tier, findings, comparison))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(tier: Tier, findings: Sequence[Finding], comparison: Comparison) -> ET.Element:
    suite = _element("testsuite", name=f"mtlbench.{tier}", **_totals(findings))
    properties = ET.SubElement(suite, "properties")
    facts = {
        "base": side(comparison.base),
        "head": side(comparison.head),
        "headline": headline(comparison),
        "exit_code": str(comparison.exit_code),
        **{f"note.{place}": note for place, note in enumerate(comparison.notes, 1)},
    }
    properties.extend(_element("property", name=name, value=value) for name, value in facts.items())
    suite.extend(_case(finding) for finding in findings)
    return suite


def _case(finding: Finding) -> ET.Element:
    case = _element("testcase", classname=finding.cell, name=finding.metric)
    if finding.verdict in ELEMENTS:
        case.append(_element(ELEMENTS[finding.verdict], type=finding.verdict, message=finding.sentence))
    ET.SubElement(case, "system-out").text = _allowed("\n".join(_output(finding)))
    return case


def _output(finding: Finding) -> Iterable[str]:
    yield f"{finding.verdict}: {finding.sentence}"
    for name in _NUMBERS:
        value = getattr(finding, name)
        if value not in (None, ""):
            yield f"{name}={value}"
    if finding.interval_percent is not None:
        for end in ("low", "high", "level"):
            yield f"change_percent.ci_{end}={getattr(finding.interval_percent, end)}"
    if finding.is_confirmed:
        yield "is_confirmed=true"


def _totals(findings: Sequence[Finding], *, skipped: bool = True) -> dict[str, str]:
    """Attributes that count; the element around all suites has none for what is skipped."""
    elements = [ELEMENTS.get(finding.verdict) for finding in findings]
    totals = {total: str(elements.count(element)) for total, element in _TOTALS.items()}
    if not skipped:
        del totals["skipped"]
    return {"tests": str(len(findings)), **totals}


def _element(tag: str, /, **attributes: str) -> ET.Element:
    return ET.Element(tag, {name: _allowed(value) for name, value in attributes.items()})


def _allowed(words: str) -> str:
    return _FORBIDDEN.sub("", words)
