"""What GitHub Actions shows of a comparison: annotations of the workflow, and the step's summary.

Formats: GitHub's documentation, "Workflow commands for GitHub Actions"; escapes as in the command.ts of its toolkit.
"""

# Without `from __future__ import annotations`, whose name would be that of the function below.

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mtlbench.compare.outputs.markdown import TITLE, to_markdown
from mtlbench.compare.outputs.words import NONE, by_verdict, change, counted, name, values
from mtlbench.compare.verdict import Comparison, Finding, Verdict
from mtlbench.errors import UsageError
from mtlbench.report.quantities import printable
from mtlbench.report.wrap import shortened

__all__ = ["MOST_OF_A_KIND", "SUMMARY_BYTES", "annotations", "write_step_summary"]

MOST_OF_A_KIND = 10
"""Annotations of one kind that GitHub shows of a step; it drops further ones without a word."""

SUMMARY_BYTES = 1024 * 1024
"""GitHub drops a step's summary that is larger."""

SUMMARY = "GITHUB_STEP_SUMMARY"
KINDS: Mapping[str, tuple[Verdict, ...]] = {
    "error": (Verdict.REGRESSION, Verdict.MISSING, Verdict.NOT_COMPARABLE),
    "warning": (Verdict.INCONCLUSIVE,),
    "notice": (Verdict.IMPROVEMENT,),
}
LONGEST_TITLE, LONGEST_MESSAGE = 250, 4000
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def annotations(comparison: Comparison) -> str:
    """Workflow commands, one a line, to be printed on stdout; empty where everything passes.

    At most ten of a kind: of more than ten the tenth says how many more there are.
    """
    grouped = by_verdict(comparison.findings)
    lines: list[str] = []
    for kind, verdicts in KINDS.items():
        lines += _of_kind(kind, [finding for verdict in verdicts for finding in grouped.get(verdict, [])])
    return "".join(f"{line}\n" for line in lines)


def write_step_summary(
    comparison: Comparison, environment: Mapping[str, str], title: str = TITLE
) -> Path | None:
    """Append the comparison, as Markdown, to the file that `GITHUB_STEP_SUMMARY` names.

    Where the file would grow beyond what GitHub takes, findings are left out; where there is no room even for the
    headline, all of it is, since GitHub would else drop what is there already.

    Args:
        comparison: two runs, and all that was found.
        environment: the variables of the process.
        title: of the summary.

    Returns:
        The file; None where the variable is unset or empty, or the file is full.

    Raises:
        UsageError: the file cannot be written.
    """
    if not (named := environment.get(SUMMARY)):
        return None
    path = Path(named)
    try:
        room = SUMMARY_BYTES - (path.stat().st_size if path.exists() else 0) - len("\n")

        def fits(text: str) -> bool:
            return len(text.encode()) <= room

        text = to_markdown(comparison, title, fits=fits)
        if not fits(text):
            return None
        with path.open("a", encoding="utf-8", newline="\n") as summary:
            summary.write(f"\n{text}")
    except OSError as error:
        raise UsageError(
            f"it cannot be written: {error.strerror}",
            where=named,
            fix=f"Unset {SUMMARY}, or make it writable",
        ) from error
    return path


def _of_kind(kind: str, findings: Sequence[Finding]) -> list[str]:
    if len(findings) <= MOST_OF_A_KIND:
        return [_annotation(kind, finding) for finding in findings]
    shown, left = findings[: MOST_OF_A_KIND - 1], findings[MOST_OF_A_KIND - 1 :]
    return [*(_annotation(kind, finding) for finding in shown), _more(kind, left)]


def _annotation(kind: str, finding: Finding) -> str:
    base, head = values(finding)
    numbers = [f"{base} -> {head}"] if (base, head) != (NONE, NONE) else []
    numbers += [change(finding)] if change(finding) != NONE else []
    message = f"{finding.sentence} ({', '.join(numbers)})" if numbers else finding.sentence
    return _command(kind, f"{finding.verdict}: {name(finding)}", message)


def _more(kind: str, left: Iterable[Finding]) -> str:
    grouped = {verdict: len(those) for verdict, those in by_verdict(left).items()}
    total = sum(grouped.values())
    return _command(kind, f"{total} more", f"{counted(grouped)}: see the step summary or the JSON.")


def _command(kind: str, title: str, message: str) -> str:
    title = printable(shortened(title, LONGEST_TITLE)).translate(_PROPERTY)
    return f"::{kind} title={title}::{printable(shortened(message, LONGEST_MESSAGE)).translate(_DATA)}"
