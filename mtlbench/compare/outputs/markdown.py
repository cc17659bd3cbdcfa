"""A comparison as Markdown for a pull-request comment: regressions first, what passes folded, never too long."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence

from mtlbench.compare.outputs.words import (
    COLUMNS,
    MEANINGS,
    NONE,
    Row,
    by_verdict,
    counted,
    exit_reason,
    explained,
    has_numbers,
    legend,
    plural,
    row,
    side,
    used,
)
from mtlbench.compare.verdict import Comparison, Finding, Verdict
from mtlbench.report.markdown import clean
from mtlbench.report.wrap import shortened

__all__ = ["LONGEST", "MARKER", "TITLE", "is_short", "marker", "to_markdown"]

TITLE = "mtlbench compare"

MARKER = "<!-- mtlbench compare"
"""Every comment starts with it: a bot finds its own by `marker(title)`, and replaces it."""

LONGEST = 65_000
"""Characters; GitHub refuses comments of more than 65,536."""

FOLDED = (Verdict.IMPROVEMENT, Verdict.PASS)
HEADINGS = {
    Verdict.REGRESSION: "Regressions",
    Verdict.MISSING: "Missing",
    Verdict.NOT_COMPARABLE: "Not comparable",
    Verdict.INCONCLUSIVE: "Inconclusive",
    Verdict.IMPROVEMENT: "Improvements",
    Verdict.PASS: "Passes",
}
MOST_NOTES = 10
LONGEST_NAME, LONGEST_SENTENCE, LONGEST_NOTE, LONGEST_SIDE = 200, 1000, 300, 500

# Places where GitHub would notify people, or link issues and addresses; a space without width prevents it.
_LIVE = re.compile(r"(?<=@)|(?<=#)|(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
_BREAK = "&#8203;"


def is_short(text: str) -> bool:
    """Whether GitHub takes it as a comment."""
    return len(text) <= LONGEST


def to_markdown(comparison: Comparison, title: str = TITLE, *, fits: Callable[[str], bool] = is_short) -> str:
    """A comment: marker, headline, notes, regressions in a table, then what else is open; the rest is folded.

    All names and sentences are escaped: they stay text, and mention nobody. What does not fit is cut by whole
    findings, the least grave first, and a sentence says how many are left out.

    Args:
        comparison: two runs, and all that was found.
        title: of the comment; comments of different titles have different markers.
        fits: whether a text is short enough. Where not even the headline is, it is returned all the same.
    """
    findings = [finding for those in by_verdict(comparison.findings).values() for finding in those]

    def with_first(count: int) -> str:
        return _comment(comparison, title, findings[:count], findings[count:])

    # Doubled first, since a text of all findings of a large run would take long to write and be cut.
    tried = 1
    while tried < len(findings) and fits(with_first(tried)):
        tried *= 2
    if tried >= len(findings) and fits(whole := with_first(len(findings))):
        return whole
    counts = range(min(tried, len(findings)))
    too_many = bisect_left(counts, True, key=lambda count: not fits(with_first(count)))
    return with_first(max(too_many - 1, 0))


def marker(title: str = TITLE) -> str:
    """The first line of a comment of this title; people do not see it."""
    suffix = re.sub(r"\W+", "-", shortened(title, LONGEST_NAME)).strip("-")
    return MARKER + (f": {suffix}" if title != TITLE else "") + " -->"


def inert(words: str, longest: int) -> str:
    """Text that GitHub shows as it is, on one line of at most `longest` characters before it is escaped."""
    return _LIVE.sub(_BREAK, clean(shortened(" ".join(words.split()), longest)))


def _comment(comparison: Comparison, title: str, shown: Sequence[Finding], left: Sequence[Finding]) -> str:
    sections = by_verdict(shown)
    blocks = [marker(title), f"## {inert(title, LONGEST_NAME)}", *_top(comparison)]
    for verdict, those in sections.items():
        if verdict not in FOLDED:
            blocks += _section(verdict, those)
    folded = {verdict: those for verdict, those in sections.items() if verdict in FOLDED}
    if folded:
        counts = counted({verdict: len(those) for verdict, those in folded.items()})
        blocks.append(f"<details>\n<summary>{counts}</summary>")
        for verdict, those in folded.items():
            blocks += _section(verdict, those)
        blocks.append("</details>")
    if left:
        counts = counted({verdict: len(those) for verdict, those in by_verdict(left).items()})
        blocks.append(
            f"**{plural(len(left), 'finding')} left out here ({counts}), for GitHub limits the length; the JSON "
            "holds all.**"
        )
    if said := legend(shown):
        blocks.append(f"<sub>{said}</sub>")
    return "\n\n".join(block for block in blocks if block) + "\n"


def _top(comparison: Comparison) -> list[str]:
    notes = [f"Note: {inert(note, LONGEST_NOTE)}" for note in comparison.notes[:MOST_NOTES]]
    if len(comparison.notes) > MOST_NOTES:
        notes.append(f"{plural(len(comparison.notes) - MOST_NOTES, 'more note')} in the JSON.")
    counts = counted(comparison.counts) or "Nothing was compared"
    return [
        f"**{counts}.** Exit code {comparison.exit_code}: {exit_reason(comparison)}.",
        f"Base: {inert(side(comparison.base), LONGEST_SIDE)}\\\nHead: {inert(side(comparison.head), LONGEST_SIDE)}",
        *notes,
    ]


def _section(verdict: Verdict, findings: Sequence[Finding]) -> list[str]:
    """Heading, a table, and sentences: of what passes only the table, which else holds what has numbers."""
    top = [f"### {HEADINGS[verdict]}", f"{MEANINGS[verdict].capitalize()}."]
    rows = [row(finding) for finding in findings]
    if verdict is Verdict.PASS:
        return [*top, _table(rows)]
    sentences = [_sentence(names, sentence) for names, sentence in explained(findings)]
    return [*top, _table([each for each in rows if has_numbers(each)]), "\n".join(sentences)]


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    columns = used(rows)
    rules = ["---" if index <= 1 else "---:" for index in columns]
    lines = [[COLUMNS[index] for index in columns], rules]
    lines += [[_cell(index, each[index]) for index in columns] for each in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(index: int, words: str) -> str:
    """A number stays beside its unit, and an interval in one piece."""
    text = inert(words, LONGEST_NAME) or NONE
    return text if index <= 1 else text.replace(" ", "&nbsp;").replace("&nbsp;\\[", " \\[")


def _sentence(names: Sequence[str], sentence: str) -> str:
    said = "; ".join(inert(name, LONGEST_NAME) for name in names)
    return f"- **{said}**: {inert(sentence, LONGEST_SENTENCE)}"
