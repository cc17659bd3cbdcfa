"""Annotations, read as the runner of GitHub Actions reads them, and the summary of a step."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

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

from mtlbench.compare.outputs.github import SUMMARY_BYTES, annotations, write_step_summary
from mtlbench.compare.outputs.markdown import to_markdown
from mtlbench.compare.verdict import Comparison, Finding, Verdict
from mtlbench.errors import UsageError

KIND = {
    Verdict.REGRESSION: "error",
    Verdict.MISSING: "error",
    Verdict.NOT_COMPARABLE: "error",
    Verdict.INCONCLUSIVE: "warning",
    Verdict.IMPROVEMENT: "notice",
}


class Command(NamedTuple):
    kind: str
    properties: dict[str, str]
    message: str


def unescaped(words: str, **escapes: str) -> str:
    """The runner replaces one escape after the other, `%25` last."""
    for escape, character in {"0D": "\r", "0A": "\n", **escapes, "25": "%"}.items():
        words = words.replace(f"%{escape}", character)
    return words


def parsed(text: str) -> list[Command]:
    """As the runner does: a command starts a line, ends at the next `::`, properties are split at commas."""
    commands = []
    assert text == "" or text.endswith("\n")
    for line in text.split("\n")[:-1]:
        assert line.startswith("::")
        head, separator, message = line[2:].partition("::")
        assert separator
        kind, _, properties = head.partition(" ")
        pairs = [pair.split("=", 1) for pair in properties.strip().split(",")]
        named = {key: unescaped(value, **{"3A": ":", "2C": ","}) for key, value in pairs}
        commands.append(Command(kind, named, unescaped(message)))
    return commands


@pytest.mark.parametrize("findings", mixtures(), ids=lambda those: "+".join(each.verdict for each in those))
def test_every_mixture_has_an_annotation_for_what_does_not_pass(findings: tuple[Finding, ...]) -> None:
    commands = parsed(annotations(compared(*findings)))
    loud = [each for each in findings if each.verdict in KIND]
    assert sorted(command.kind for command in commands) == sorted(KIND[each.verdict] for each in loud)
    for each in loud:
        (command,) = (one for one in commands if one.properties["title"].startswith(f"{each.verdict}: "))
        assert command.properties == {"title": f"{each.verdict}: {each.cell}, {each.metric}"}
        assert command.message.startswith(each.sentence)


def test_an_annotation_holds_the_numbers() -> None:
    (command,) = parsed(annotations(compared(REGRESSION, PASS)))
    assert command.properties == {"title": f"regression: {CELL}, latency_ms"}
    assert command.message == f"{REGRESSION.sentence} (3.42 ms -> 3.84 ms, +12.3 % [10.1, 14.0])"


def test_nasty_names_neither_end_a_command_nor_start_one() -> None:
    commands = parsed(annotations(hostile()))
    assert {command.kind for command in commands} == {"error", "warning", "notice"}
    assert all(set(command.properties) == {"title"} for command in commands)
    text = annotations(compared(*(each for each in hostile().findings if each.cell == HOSTILE[2])))
    first = parsed(text)[0]
    assert first.properties["title"].startswith("regression: %0A::error title=x::y, a:b")
    assert "\n::warning::z%25" in first.message


@settings(max_examples=60, deadline=None)
@given(COMPARISONS)
def test_anything_is_one_command_a_line(comparison: Comparison) -> None:
    assert len(parsed(annotations(comparison))) == sum(each.verdict in KIND for each in comparison.findings)


@pytest.mark.parametrize(("count", "shown"), [(10, 10), (11, 10), (500, 10)])
def test_the_tenth_says_how_many_more_there_are(count: int, shown: int) -> None:
    comparison = many(2 * count, REGRESSION, INCONCLUSIVE)
    commands = parsed(annotations(comparison))
    for kind in ("error", "warning"):
        assert len([command for command in commands if command.kind == kind]) == shown
    if count > shown:
        last = [command for command in commands if command.kind == "error"][-1]
        assert last.properties["title"] == f"{count - 9} more"
        assert last.message.startswith(f"{count - 9} regressions: ")


def test_of_many_errors_regressions_are_shown_first() -> None:
    commands = parsed(annotations(many(40, MISSING, REGRESSION)))
    assert [command.properties["title"].split(":")[0] for command in commands] == ["regression"] * 9 + [
        "31 more"
    ]
    assert commands[-1].message.startswith("11 regressions, 20 missing: ")


def test_without_the_variable_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_step_summary(compared(*ONE_EACH), {}) is None
    assert write_step_summary(compared(*ONE_EACH), {"GITHUB_STEP_SUMMARY": ""}) is None
    assert list(tmp_path.iterdir()) == []


def test_the_summary_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_text("# of another tool, 漢字", encoding="utf-8")
    for comparison in (compared(*ONE_EACH), hostile()):
        before = path.read_text(encoding="utf-8")
        assert write_step_summary(comparison, {"GITHUB_STEP_SUMMARY": str(path)}) == path
        assert path.read_text(encoding="utf-8").startswith(f"{before}\n<!-- mtlbench compare -->\n")
    assert to_markdown(compared(*ONE_EACH)) in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("room", [20_000, 3_000, 100, -5])
def test_a_summary_grows_no_larger_than_github_takes(tmp_path: Path, room: int) -> None:
    path = tmp_path / "summary.md"
    path.write_bytes(b"x" * (SUMMARY_BYTES - room))
    before = path.stat().st_size
    written = write_step_summary(many(200, *ONE_EACH), {"GITHUB_STEP_SUMMARY": str(path)})
    after = path.stat().st_size
    assert after == before if room <= 100 else before < after <= SUMMARY_BYTES
    assert (written is None) is (room <= 100)
    assert ("left out here" in path.read_text()) is (room > 100)


def test_a_summary_takes_more_than_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    write_step_summary(many(1000, *ONE_EACH), {"GITHUB_STEP_SUMMARY": str(path)})
    assert "left out here" not in path.read_text()


def test_a_summary_that_cannot_be_written_is_an_error_of_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written") as caught:
        write_step_summary(compared(PASS), {"GITHUB_STEP_SUMMARY": str(tmp_path / "none" / "summary.md")})
    assert caught.value.where == str(tmp_path / "none" / "summary.md")
