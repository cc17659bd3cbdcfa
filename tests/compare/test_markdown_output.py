"""The comment of a pull request, read by a Markdown parser: well formed, inert, and never too long."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from comparisons import (
    CELL,
    COMPARISONS,
    HOSTILE,
    INCONCLUSIVE,
    MISSING,
    ONE_EACH,
    PASS,
    REGRESSION,
    compared,
    hostile,
    many,
    mixtures,
)
from hypothesis import given, settings
from markdown_it import MarkdownIt

from mtlbench.compare.outputs.markdown import LONGEST, MARKER, TITLE, marker, to_markdown
from mtlbench.compare.verdict import Comparison, Finding, Verdict

# The tags that the comment itself is made of; a name of a cell that became one would be another.
OURS = {
    *("h2", "h3", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "sub"),
    *("details", "summary"),
}


class Page(HTMLParser):
    """Checks that tags are balanced, and keeps the text of cells and of everything."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.comments: list[str] = []
        self.text = ""
        self.folded = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in OURS
        assert [name for name, _ in attrs if name != "style"] == []
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert (tag, attrs) == ("br", [])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "details" in self.open:
            self.folded += data
        if "table" in self.open and data.strip():
            self.tables[-1][-1][-1] += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def page(text: str) -> Page:
    """As GitHub renders it: CommonMark with tables, strikethrough and raw HTML."""
    found = Page(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))
    assert all(len(row) == len(table[0]) for table in found.tables for row in table)
    return found


def plain(text: str) -> str:
    return " ".join(text.replace("\u200b", "").split())


@pytest.mark.parametrize("findings", mixtures(), ids=lambda those: "+".join(each.verdict for each in those))
def test_every_mixture_is_well_formed_and_says_everything(findings: tuple[Finding, ...]) -> None:
    comparison = compared(*findings, notes=("Only head has it.",))
    text = to_markdown(comparison)
    found = page(text)
    said = plain(found.text)
    assert text.startswith(f"{MARKER} -->\n")
    assert f"Exit code {comparison.exit_code}: " in said
    assert "Note: Only head has it." in said
    for each in findings:
        assert each.cell in said
        assert each.verdict is Verdict.PASS or each.sentence in said
    assert ("<details>" in text) is any(
        each.verdict in (Verdict.PASS, Verdict.IMPROVEMENT) for each in findings
    )


def test_regressions_come_first_and_what_passes_is_folded() -> None:
    found = page(to_markdown(compared(*ONE_EACH)))
    said = found.text
    order = [
        said.index(f"\n{heading}\n")
        for heading in ("Regressions", "Missing", "Not comparable", "Inconclusive", "Improvements", "Passes")
    ]
    assert order == sorted(order)
    assert plain(found.folded).startswith("1 improvement, 1 pass")
    assert not {"Regressions", "Inconclusive"} & set(found.folded.split())
    assert [[plain(cell) for cell in line] for line in found.tables[0]] == [
        ["cell", "metric", "base", "head", "change", "threshold", "p (Holm)"],
        [CELL, "latency_ms", "3.42 ms", "3.84 ms", "+12.3 % [10.1, 14.0]", "5 %", "0.0002"],
    ]


def test_a_section_without_numbers_has_no_table() -> None:
    assert page(to_markdown(compared(MISSING))).tables == []


def test_what_passes_is_listed_without_numbers_too() -> None:
    unmeasured = replace(PASS, base=None, head=None, change_percent=None, threshold_percent=None)
    assert page(to_markdown(compared(unmeasured))).tables == [[["cell", "metric"], [PASS.cell, "params"]]]


@pytest.mark.parametrize("count", [60, 2000])
@pytest.mark.parametrize(
    "kinds", [ONE_EACH, (PASS,), (REGRESSION,), (MISSING,)], ids=["all", "pass", "reg", "miss"]
)
def test_a_long_comment_is_cut_by_whole_findings(count: int, kinds: tuple[Finding, ...]) -> None:
    comparison = many(count, *kinds)
    text = to_markdown(comparison)
    found = page(text)
    assert len(text) <= LONGEST
    left = re.search(r"(\d+) findings? left out here \((.*?)\)", found.text)
    shown = {each.cell for each in comparison.findings if each.cell in found.text}
    assert len(shown) == count - (int(left[1]) if left else 0)
    assert shown == {each.cell for each in comparison.findings[: len(shown)]}, "the gravest are shown"
    if left:
        assert len(text) > 0.97 * LONGEST, "no more is left out than must be"
        assert sum(map(int, re.findall(r"\d+", left[2]))) == int(left[1])


def test_a_limit_that_nothing_fits_leaves_the_headline() -> None:
    text = to_markdown(many(20, *ONE_EACH), fits=lambda text: False)
    assert page(text).tables == []
    assert "20 findings left out" in text


def test_nasty_names_stay_text() -> None:
    text = to_markdown(hostile(), title=HOSTILE[1])
    found = page(text)
    assert len(text) <= LONGEST
    assert len(found.comments) == 1
    said = plain(found.text)
    assert "a|b`c`<script>alert(1)</script>*x*_y_[z](http://e.org/q)~~s~~" in said
    assert "</details><!-- x --> --> <img src=x onerror=y> &lt; &#64;root ```" in said


def test_nobody_is_mentioned_and_nothing_is_linked() -> None:
    found = page(to_markdown(hostile()))
    # GitHub looks for these in the text of the rendered page.
    assert not re.search(r"@\w|#\d|\w://|www\.", found.text)
    assert "@\u200bsomeone" in found.text


def test_the_worst_notes_and_titles_leave_room_for_the_headline() -> None:
    worst = "@" * 5000
    side = replace(hostile().head, suite=worst, run_id=worst, commits=(worst,) * 50, machines=(worst,) * 50)
    comparison = replace(compared(REGRESSION, notes=(worst,) * 50), base=side, head=side)
    text = to_markdown(comparison, title=worst)
    assert len(text) <= LONGEST
    assert "40 more notes" in text
    page(text)


@settings(max_examples=60, deadline=None)
@given(COMPARISONS)
def test_anything_is_well_formed(comparison: Comparison) -> None:
    page(to_markdown(comparison))


def test_comments_of_two_titles_are_told_apart() -> None:
    assert marker() == marker(TITLE) == "<!-- mtlbench compare -->"
    assert marker("quick --> suite") == "<!-- mtlbench compare: quick-suite -->"
    assert to_markdown(compared(INCONCLUSIVE), "a: b").startswith(
        "<!-- mtlbench compare: a-b -->\n\n## a: b\n"
    )
